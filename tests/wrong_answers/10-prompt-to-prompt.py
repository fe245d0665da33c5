"""Wrong answers to the exercises of chapter 10: (exercise, words that the check must say, the answer)."""

WRONG = [
    ("backwards", "those are no timesteps", """
def backwards(predict_noise, x, timesteps):
    s = -1
    for i, t in enumerate(timesteps):
        eps = predict_noise(x, i)
        abar_s, abar_t = SCHEDULE.alpha_bar(s), SCHEDULE.alpha_bar(t)
        x0 = (x - (1 - abar_s).sqrt() * eps) / abar_s.sqrt()
        x = abar_t.sqrt() * x0 + (1 - abar_t).sqrt() * eps
        s = t
    return x
"""),
    ("backwards", "at which noise level does x start", """
def backwards(predict_noise, x, timesteps):
    for i, t in enumerate(timesteps):
        s = timesteps[i - 1]
        eps = predict_noise(x, t)
        abar_s, abar_t = SCHEDULE.alpha_bar(s), SCHEDULE.alpha_bar(t)
        x0 = (x - (1 - abar_s).sqrt() * eps) / abar_s.sqrt()
        x = abar_t.sqrt() * x0 + (1 - abar_t).sqrt() * eps
    return x
"""),
    ("backwards", "was asked 4 times", """
def backwards(predict_noise, x, timesteps):
    for s, t in zip(timesteps[:-1], timesteps[1:]):
        eps = predict_noise(x, t)
        abar_s, abar_t = SCHEDULE.alpha_bar(s), SCHEDULE.alpha_bar(t)
        x0 = (x - (1 - abar_s).sqrt() * eps) / abar_s.sqrt()
        x = abar_t.sqrt() * x0 + (1 - abar_t).sqrt() * eps
    return x
"""),
    ("backwards", "it should be", """
def backwards(predict_noise, x, timesteps):
    s = -1
    for t in timesteps:
        eps = predict_noise(x, s)
        abar_s, abar_t = SCHEDULE.alpha_bar(s), SCHEDULE.alpha_bar(t)
        x0 = (x - (1 - abar_s).sqrt() * eps) / abar_s.sqrt()
        x = abar_t.sqrt() * x0 + (1 - abar_t).sqrt() * eps
        s = t
    return x
"""),
    ("refined", "written into", """
def refined(probs, aligned):
    source, target = probs
    for j, i in enumerate(aligned):
        if i >= 0:
            target[..., j] = source[..., i]
    return torch.stack([source, target])
"""),
    ("refined", "keep their own probabilities", """
def refined(probs, aligned):
    source, target = probs[0], probs[1].clone()
    for j, i in enumerate(aligned):
        target[..., j] = source[..., i]
    return torch.stack([source, target])
"""),
    ("refined", "which of the two indices", """
def refined(probs, aligned):
    source, target = probs[0], probs[1].clone()
    for j, i in enumerate(aligned):
        if i >= 0:
            target[..., j] = source[..., j]
    return torch.stack([source, target])
"""),
    ("refined", "source's own probabilities changed", """
def refined(probs, aligned):
    source, target = probs[0], probs[1].clone()
    for j, i in enumerate(aligned):
        if i >= 0:
            target[..., j] = source[..., i]
    return torch.stack([target, target])
"""),
    ("after-step", "one step behind", """
def after_step(x, done, path, mask):
    _, target = x.chunk(2)
    source = path[done - 1]
    return torch.cat([source, source + mask * (target - source)])
"""),
    ("after-step", "not on the path", """
def after_step(x, done, path, mask):
    source, target = x.chunk(2)
    return torch.cat([source, source + mask * (target - source)])
"""),
    ("after-step", "must stay as they were painted", """
def after_step(x, done, path, mask):
    _, target = x.chunk(2)
    source = path[done]
    return torch.cat([source, target + mask * (source - target)])
"""),
    ("after-step", "must stay as they were painted", """
def after_step(x, done, path, mask):
    source, target = x.chunk(2)
    target = target + path[done] - source
    return torch.cat([path[done], path[done] + mask * (target - path[done])])
"""),
    ("after-step", "after they were put right", """
def after_step(x, done, path, mask):
    source, target = x.chunk(2)
    return torch.cat([path[done], source + mask * (target - source)])
"""),
    ("after-step", "in one batch", """
def after_step(x, done, path, mask):
    _, target = x.chunk(2)
    return path[done] + mask * (target - path[done])
"""),
]  # fmt: skip

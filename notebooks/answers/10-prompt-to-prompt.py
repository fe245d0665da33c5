# Answers and hidden checks of chapter 10, laid out as CONTRIBUTING.md says.

# %% backwards
def backwards(predict_noise, x, timesteps):
    s = -1
    for t in timesteps:
        eps = predict_noise(x, t)
        abar_s, abar_t = SCHEDULE.alpha_bar(s), SCHEDULE.alpha_bar(t)
        x0 = (x - (1 - abar_s).sqrt() * eps) / abar_s.sqrt()
        x = abar_t.sqrt() * x0 + (1 - abar_t).sqrt() * eps
        s = t
    return x

# %% backwards-hidden
for levels in ([499], [99, 299, 999], [0, 1, 2]):
    answer = backwards(lambda x, t: grain, picture, levels)
    expect_close(
        answer,
        SCHEDULE.add_noise(picture, grain, levels[-1]),
        f"timesteps {levels}: wrong",
        atol=1e-3,
    )
wave = lambda x, t: torch.sin(x + 0.01 * t)  # noqa: E731
x, s = picture, -1
for t in (249, 499, 749):
    eps, abar_s, abar_t = wave(x, t), SCHEDULE.alpha_bar(s), SCHEDULE.alpha_bar(t)
    x, s = (
        (abar_t / abar_s).sqrt() * (x - (1 - abar_s).sqrt() * eps)
        + (1 - abar_t).sqrt() * eps,
        t,
    )
expect_close(
    backwards(wave, picture, [249, 499, 749]),
    x,
    "a network that looks at x: wrong",
    atol=1e-3,
)

# %% refined
def refined(probs, aligned):
    source, target = probs[0], probs[1].clone()
    for j, i in enumerate(aligned):
        if i >= 0:
            target[..., j] = source[..., i]
    return torch.stack([source, target])

# %% refined-hidden
for seed, aligned in (
    (1, [0, 1, 2, 3, 4]),
    (2, [-1] * 5),
    (3, [4, 3, -1, 1, 0]),
    (4, [0, 0, 2, 2, -1]),
):
    probs = random(2, 2, 4, 5, seed=seed).softmax(-1)
    wanted = torch.stack(
        [probs[int(i < 0), ..., j if i < 0 else i] for j, i in enumerate(aligned)], -1
    )
    expect_close(
        refined(probs.clone(), aligned)[1], wanted, f"aligned {aligned}: wrong"
    )

# %% after-step
def after_step(x, done, path, mask):
    _, target = x.chunk(2)
    source = path[done]
    return torch.cat([source, source + mask * (target - source)])

# %% after-step-hidden
mask = (random(2, 1, 2, 2, seed=2) > 0).float()
for done in (1, 3, 5):
    wanted = torch.cat([path[done], torch.where(mask > 0, x[2:], path[done])])
    expect_close(after_step(x, done, path, mask), wanted, f"after {done} steps: wrong")

"""Wrong answers to the exercises of chapter 5: (exercise, words that the check must say, the answer)."""

WRONG = [
    ("draw-latent", "is 9 its standard deviation", """
def draw_latent(moments, noise, scaling_factor):
    mean, log_variance = moments.chunk(2, dim=1)
    return (mean + log_variance.exp() * noise) * scaling_factor
"""),
    ("draw-latent", "noise and all", """
def draw_latent(moments, noise, scaling_factor):
    mean, log_variance = moments.chunk(2, dim=1)
    return mean * scaling_factor + (0.5 * log_variance).exp() * noise
"""),
    ("draw-latent", "is 9 its standard deviation", """
def draw_latent(moments, noise, scaling_factor):
    mean, log_variance = moments.chunk(2, dim=1)
    return mean * scaling_factor + log_variance.exp() * noise
"""),
    ("draw-latent", "as loud for a variance of 9 as for 1", """
def draw_latent(moments, noise, scaling_factor):
    return (moments.chunk(2, dim=1)[0] + noise) * scaling_factor
"""),
    ("draw-latent", "the mean, scaled", """
def draw_latent(moments, noise, scaling_factor):
    mean, log_variance = moments.chunk(2, dim=1)
    return (mean + (0.5 * log_variance).exp() * noise) / scaling_factor
"""),
    ("draw-latent", "should add noise of standard deviation 3", """
def draw_latent(moments, noise, scaling_factor):
    mean, log_variance = moments.chunk(2, dim=1)
    return (mean + (2 * log_variance).exp() * noise) * scaling_factor
"""),
    ("psnr-each", "one number for each picture", """
def psnr_of_each(rebuilt, original):
    return 10 * torch.log10(4 / (rebuilt - original).square().mean())
"""),
    ("psnr-each", "a darker picture", """
def psnr_of_each(rebuilt, original):
    error = (rebuilt - original).square().mean(dim=(1, 2, 3))
    return 10 * torch.log10(original.amax(dim=(1, 2, 3)) ** 2 / error)
"""),
    ("psnr-each", "-6.0 dB off", """
def psnr_of_each(rebuilt, original):
    return 10 * torch.log10(1 / (rebuilt - original).square().mean(dim=(1, 2, 3)))
"""),
    ("psnr-each", "20 dB, here it is 10", """
def psnr_of_each(rebuilt, original):
    return 10 * torch.log10(2 / (rebuilt - original).square().mean(dim=(1, 2, 3)).sqrt())
"""),
    ("psnr-each", "further off must have the lower", """
def psnr_of_each(rebuilt, original):
    return 10 * torch.log10((rebuilt - original).square().mean(dim=(1, 2, 3)) / 4)
"""),
    ("psnr-each", "differ from pixel to pixel", """
def psnr_of_each(rebuilt, original):
    return 20 * torch.log10(2 / (rebuilt - original).abs().mean(dim=(1, 2, 3)))
"""),
    ("scale-factor", "is that a variance", """
def scaling_factor_of(latents):
    return 1 / latents.var().item()
"""),
    ("scale-factor", "which way around", """
def scaling_factor_of(latents):
    return latents.std().item()
"""),
    ("scale-factor", "one number for all channels", """
def scaling_factor_of(latents):
    return 1 / latents.std(dim=(0, 2, 3))
"""),
    ("scale-factor", "a constant added", """
def scaling_factor_of(latents):
    return 1 / latents.square().mean().sqrt().item()
"""),
    ("scale-factor", "different loudness", """
def scaling_factor_of(latents):
    return 1 / latents.std(dim=(0, 2, 3)).mean().item()
"""),
    ("scale-factor", "come out at 0.729", """
def scaling_factor_of(latents):
    return 0.18215
"""),
    ("slerp-safe", "cosine of an angle is never above 1", """
def arc_between(a, b, weight):
    angle = torch.acos((a * b).sum())
    toward_a, toward_b = torch.sin((1 - weight) * angle), torch.sin(weight * angle)
    return (toward_a * a + toward_b * b) / torch.sin(angle)
"""),
    ("slerp-safe", "sine of that angle", """
def arc_between(a, b, weight):
    angle = torch.acos(((a * b).sum() / (a.norm() * b.norm())).clamp(-1, 1))
    toward_a, toward_b = torch.sin((1 - weight) * angle), torch.sin(weight * angle)
    return (toward_a * a + toward_b * b) / torch.sin(angle)
"""),
    ("slerp-safe", "the straight line", """
def arc_between(a, b, weight):
    return (1 - weight) * a + weight * b
"""),
    ("slerp-safe", "in the middle", """
def arc_between(a, b, weight):
    angle = torch.acos((a * b).sum().clamp(-1, 1))
    if angle < 1e-3:
        return (1 - weight) * a + weight * b
    toward_a, toward_b = torch.sin((1 - weight) * angle), torch.sin(weight * angle)
    return (toward_a * a + toward_b * b) / torch.sin(angle)
"""),
    ("slerp-safe", "at weight 0", """
def arc_between(a, b, weight):
    a, b = a / a.norm(), b / b.norm()
    angle = torch.acos((a * b).sum().clamp(-1, 1))
    if angle < 1e-3:
        return a
    toward_a, toward_b = torch.sin((1 - weight) * angle), torch.sin(weight * angle)
    return (toward_a * a + toward_b * b) / torch.sin(angle)
"""),
]  # fmt: skip

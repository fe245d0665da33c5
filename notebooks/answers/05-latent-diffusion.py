# Answers and hidden checks of chapter 5, laid out as CONTRIBUTING.md says.

# %% draw-latent
def draw_latent(moments, noise, scaling_factor):
    mean, log_variance = moments.chunk(2, dim=1)
    return (mean + (0.5 * log_variance).exp() * noise) * scaling_factor

# %% draw-latent-hidden
log_variance = torch.randn(2, 4, 3, 3, generator=g)
drawn = draw_latent(torch.cat([mean, log_variance], dim=1), noise, 0.18215)
expect_close(
    drawn,
    (mean + log_variance.exp().sqrt() * noise) * 0.18215,
    "variances that differ from place to place",
)

# %% psnr-each
def psnr_of_each(rebuilt, original):
    error = (rebuilt - original).square().mean(dim=(1, 2, 3))
    return 10 * torch.log10(4 / error)

# %% psnr-each-hidden
noisy = picture + 0.1 * torch.randn(picture.shape, generator=g)
wanted = torch.stack(
    [
        20 * torch.log10(2 / (a - b).square().mean().sqrt())
        for a, b in zip(noisy, picture, strict=True)
    ]
)
expect_close(
    psnr_of_each(noisy, picture),
    wanted,
    "wrong for errors that differ from pixel to pixel",
    atol=1e-3,
)

# %% scale-factor
def scaling_factor_of(latents):
    return 1 / latents.std().item()

# %% scale-factor-hidden
for s in (0.1, 3.3, 5.49):
    assert abs(float(scaling_factor_of(s * unit)) * s - 1) < 1e-3, (
        f"latents of deviation {s}: wrong factor"
    )

# %% slerp-safe
def arc_between(a, b, weight):
    cosine = (a * b).sum() / (a.norm() * b.norm())
    angle = torch.acos(cosine.clamp(-1, 1))
    if angle < 1e-3:
        return (1 - weight) * a + weight * b
    toward_a, toward_b = torch.sin((1 - weight) * angle), torch.sin(weight * angle)
    return (toward_a * a + toward_b * b) / torch.sin(angle)

# %% slerp-safe-hidden
east, north = torch.tensor([2.0, 0.0]), torch.tensor([0.0, 2.0])
third = arc_between(east, north, 1 / 3)
expect_close(
    third,
    torch.tensor([3.0**0.5, 1.0]),
    "a third of a quarter turn is 30 degrees",
    atol=1e-4,
)

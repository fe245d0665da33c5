# Answers and hidden checks of chapter 11, laid out as CONTRIBUTING.md says.

# %% paste
def paste(x, t, t_next, clean, mask, noise):
    kept = clean if t_next < 0 else SCHEDULE.add_noise(clean, noise, t_next)
    return mask * x + (1 - mask) * kept

# %% paste-hidden
soft = torch.rand(2, 1, 8, 8, generator=torch.Generator().manual_seed(4))
for t, t_next in ((999, 899), (99, 0), (249, 199)):
    wanted = soft * x + (1 - soft) * SCHEDULE.add_noise(clean, noise, t_next)
    expect_close(
        paste(x, t, t_next, clean, soft, noise), wanted, f"from {t} to {t_next}: wrong"
    )
expect_close(
    paste(x, 0, -1, clean, soft, noise),
    soft * x + (1 - soft) * clean,
    "a soft mask, at the end: wrong",
    atol=1e-6,
)

# %% go-back
def go_back(x, s, t, noise):
    ratio = SCHEDULE.alpha_bar(t) / SCHEDULE.alpha_bar(s)
    return ratio.sqrt() * x + (1 - ratio).sqrt() * noise

# %% go-back-hidden
for s, t in ((0, 999), (99, 199), (700, 900)):
    ratio = SCHEDULE.alpha_bar(t) / SCHEDULE.alpha_bar(s)
    expect_close(
        go_back(x, s, t, noise),
        ratio**0.5 * x + (1 - ratio) ** 0.5 * noise,
        f"from {s} to {t}: wrong",
    )

# %% thin
def latent_mask(mask, factor):
    return torch.nn.functional.max_pool2d((mask >= 0.5).float(), factor)

# %% thin-hidden
mask = (draw(2, 1, 16, 24) > 2).float()
for factor in (2, 4, 8):
    tiles = mask.unfold(2, factor, factor).unfold(3, factor, factor)
    expect_close(
        latent_mask(mask, factor).float(),
        tiles.amax((-1, -2)),
        f"factor {factor}: wrong",
    )

# %% seen
def extra_channels(encode, pixels, mask):
    latent = encode(pixels * (1 - mask))
    small = mask[..., ::8, ::8]
    return torch.cat([small, latent], dim=1)

# %% seen-hidden
pixels, mask = (
    draw(2, 3, 24, 40, seed=3).clamp(-1, 1),
    (draw(2, 1, 24, 40, seed=4) > 0).float(),
)
wanted = torch.cat(
    [mask[..., ::8, ::8], toy_encoder([])(torch.where(mask > 0, 0.0, pixels))], dim=1
)
expect_close(
    extra_channels(toy_encoder([]), pixels, mask),
    wanted,
    "two pictures with ragged masks: wrong",
)

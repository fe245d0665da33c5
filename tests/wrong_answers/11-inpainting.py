"""Wrong answers to the exercises of chapter 11: (exercise, words that the check must say, the answer)."""

WRONG = [
    ("paste", "noisier than x is", """
def paste(x, t, t_next, clean, mask, noise):
    kept = SCHEDULE.add_noise(clean, noise, t)
    return mask * x + (1 - mask) * kept
"""),
    ("paste", "still has noise on it", """
def paste(x, t, t_next, clean, mask, noise):
    kept = SCHEDULE.add_noise(clean, noise, t_next)
    return mask * x + (1 - mask) * kept
"""),
    ("paste", "still has noise on it", """
def paste(x, t, t_next, clean, mask, noise):
    kept = SCHEDULE.add_noise(clean, noise, max(t_next, 0))
    return mask * x + (1 - mask) * kept
"""),
    ("paste", "swapped", """
def paste(x, t, t_next, clean, mask, noise):
    kept = clean if t_next < 0 else SCHEDULE.add_noise(clean, noise, t_next)
    return (1 - mask) * x + mask * kept
"""),
    ("paste", "use the given noise", """
def paste(x, t, t_next, clean, mask, noise):
    kept = clean if t_next < 0 else SCHEDULE.add_noise(clean, torch.randn_like(clean), t_next)
    return mask * x + (1 - mask) * kept
"""),
    ("paste", "wrong noise level", """
def paste(x, t, t_next, clean, mask, noise):
    return mask * x + (1 - mask) * clean
"""),
    ("paste", "not yet the end", """
def paste(x, t, t_next, clean, mask, noise):
    kept = clean if t_next <= 0 else SCHEDULE.add_noise(clean, noise, t_next)
    return mask * x + (1 - mask) * kept
"""),
    ("go-back", "too little is left", """
def go_back(x, s, t, noise):
    ratio = SCHEDULE.alpha_bar(t) / SCHEDULE.alpha_bar(s)
    return ratio * x + (1 - ratio) * noise
"""),
    ("go-back", "was at s, not at 0", """
def go_back(x, s, t, noise):
    abar = SCHEDULE.alpha_bar(t)
    return abar.sqrt() * x + (1 - abar).sqrt() * noise
"""),
    ("go-back", "wrong way around", """
def go_back(x, s, t, noise):
    ratio = SCHEDULE.alpha_bar(s) / SCHEDULE.alpha_bar(t)
    return ratio.sqrt() * x + (1 - ratio).sqrt() * noise
"""),
    ("go-back", "too much", """
def go_back(x, s, t, noise):
    ratio = SCHEDULE.alpha_bar(t) / SCHEDULE.alpha_bar(s)
    return x + (1 - ratio).sqrt() * noise
"""),
    ("go-back", "does the function return", """
def go_back(x, s, t, noise):
    ratio = SCHEDULE.alpha_bar(t) / SCHEDULE.alpha_bar(s)
    x = ratio.sqrt() * x + (1 - ratio).sqrt() * noise
"""),
    ("thin", "the scratch is lost", """
def latent_mask(mask, factor):
    return (mask >= 0.5).float()[..., ::factor, ::factor]
"""),
    ("thin", "the scratch is lost", """
def latent_mask(mask, factor):
    return (torch.nn.functional.avg_pool2d(mask, factor) >= 0.5).float()
"""),
    ("thin", "something in between", """
def latent_mask(mask, factor):
    return torch.nn.functional.avg_pool2d((mask >= 0.5).float(), factor)
"""),
    ("thin", "the hole begins at 0.5", """
def latent_mask(mask, factor):
    return torch.nn.functional.max_pool2d((mask > 0).float(), factor)
"""),
    ("thin", "more is filled in", """
def latent_mask(mask, factor):
    return torch.ones_like(mask[..., ::factor, ::factor])
"""),
    ("seen", "can copy it", """
def extra_channels(encode, pixels, mask):
    latent = encode(pixels * mask)
    small = mask[..., ::8, ::8]
    return torch.cat([latent, small], dim=1)
"""),
    ("seen", "can copy it", """
def extra_channels(encode, pixels, mask):
    return torch.cat([mask[..., ::8, ::8], encode(pixels)], dim=1)
"""),
    ("seen", "not the first of the five", """
def extra_channels(encode, pixels, mask):
    latent = encode(pixels * (1 - mask))
    small = mask[..., ::8, ::8]
    return torch.cat([latent, small], dim=1)
"""),
    ("seen", "not gray", """
def extra_channels(encode, pixels, mask):
    latent = encode(torch.where(mask > 0, -1.0, pixels))
    return torch.cat([mask[..., ::8, ::8], latent], dim=1)
"""),
    ("seen", "called 2 times", """
def extra_channels(encode, pixels, mask):
    return torch.cat([mask[..., ::8, ::8], encode(pixels * (1 - mask))[:, :2], encode(pixels * (1 - mask))[:, 2:]], 1)
"""),
]  # fmt: skip

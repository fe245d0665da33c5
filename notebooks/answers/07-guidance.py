# Answers and hidden checks of chapter 7, laid out as CONTRIBUTING.md says.

# %% order
def guided(predict_noise, x, t, text, nothing, guidance_scale):
    both = torch.cat([nothing, text])
    eps_nothing, eps_text = predict_noise(torch.cat([x, x]), t, both).chunk(2)
    return eps_nothing + guidance_scale * (eps_text - eps_nothing)

# %% order-hidden
for w in (-1.0, 0.5, 3.0, 7.5):
    shift = w * torch.tensor([6.0, 8.0])[:, None, None, None]
    expect_close(
        guided(Network(), x, 500, text, nothing, w),
        x - 1 + shift,
        f"scale {w}: wrong",
        atol=1e-4,
    )
other = torch.full((2, 3, 8), -2.0)
expect_close(
    guided(Network(), x, 500, text, other, 1.0),
    Network()(x, 500, text),
    "another negative text: wrong",
)

# %% interval
def scale_at(t, guidance_scale, sigma_low, sigma_high):
    abar = SCHEDULE.alpha_bar(t)
    sigma = ((1 - abar) / abar).sqrt()
    return guidance_scale if sigma_low < sigma <= sigma_high else 1.0

# %% interval-hidden
for sigma_low, sigma_high in ((0.28, 5.42), (0.0, 1.0), (3.0, 20.0)):
    for t in range(0, 1000, 7):
        wanted = 5.0 if sigma_low < level(t) <= sigma_high else 1.0
        assert scale_at(t, 5.0, sigma_low, sigma_high) == wanted, (
            f"t = {t}, from {sigma_low} to {sigma_high}: wrong"
        )

# %% rescale
def rescaled_guidance(eps_nothing, eps_text, guidance_scale, phi):
    eps = eps_nothing + guidance_scale * (eps_text - eps_nothing)
    length, wanted = (e.std((1, 2, 3), keepdim=True) for e in (eps, eps_text))
    matched = eps * wanted / length
    return phi * matched + (1 - phi) * eps

# %% rescale-hidden
nothing, text = predictions(2, 5)
for w, phi in ((1.0, 0.7), (7.5, 0.7), (12.0, 0.3)):
    eps = (1 - w) * nothing + w * text
    ratio = torch.stack([text[i].std() / eps[i].std() for i in range(2)])[
        :, None, None, None
    ]
    wanted = eps * (1 - phi + phi * ratio)
    expect_close(
        rescaled_guidance(nothing, text, w, phi),
        wanted,
        f"scale {w}, phi {phi}: wrong",
        atol=1e-3,
    )

# %% recover
def recover(first, first_scale, second, second_scale):
    direction = (second - first) / (second_scale - first_scale)
    eps_nothing = first - first_scale * direction
    return eps_nothing, eps_nothing + direction

# %% recover-hidden
a, b = torch.randn(2, 1, 3, 5, 5, generator=torch.Generator().manual_seed(4))
for one, other in ((0.0, 1.0), (7.5, 3.0), (-1.0, 4.0)):
    nothing, text = recover(service(one), one, service(other), other)
    expect_close(
        nothing, a, f"scales {one} and {other}: without the text, wrong", atol=1e-4
    )
    expect_close(text, b, f"scales {one} and {other}: with the text, wrong", atol=1e-4)

# Answers and hidden checks of chapter 1, laid out as CONTRIBUTING.md says.

# %% add-noise
def noise_it(x0, noise, t, alphas_cumprod):
    alpha_bar = alphas_cumprod[t].to(x0).reshape(-1, *[1] * (x0.ndim - 1))  # B,1,...
    return alpha_bar.sqrt() * x0 + (1 - alpha_bar).sqrt() * noise

# %% add-noise-hidden
steps = torch.arange(0, 1000, 111)
x0, noise = torch.randn(2, len(steps), 3, 2, 2, generator=g)
a = ALPHA_BARS[steps].float()[:, None, None, None]
expect_close(
    noise_it(x0, noise, steps, ALPHA_BARS),
    a.sqrt() * x0 + (1 - a).sqrt() * noise,
    "pictures: not x_t",
)
x0, noise = torch.randn(2, len(steps), 2, generator=g)
a = ALPHA_BARS[steps].float()[:, None]
expect_close(
    noise_it(x0, noise, steps, ALPHA_BARS),
    a.sqrt() * x0 + (1 - a).sqrt() * noise,
    "points: not x_t",
)

# %% estimate-x0
def estimate_x0(x, eps, alpha_bar):
    return (x - (1 - alpha_bar) ** 0.5 * eps) / alpha_bar**0.5

# %% estimate-x0-hidden
x0, eps = torch.randn(2, 4, 3, 2, 2, generator=g)
for alpha_bar in (0.999, 0.36, 0.02):
    x = alpha_bar**0.5 * x0 + (1 - alpha_bar) ** 0.5 * eps
    expect_close(estimate_x0(x, eps, alpha_bar), x0, "not x0", atol=1e-4)

# %% ddpm-last-step
def ddpm(predict_noise, x, alphas, generator):
    alpha_bars = alphas.cumprod(0)
    for t in reversed(range(len(alphas))):
        eps = predict_noise(x, t)
        x = (x - (1 - alphas[t]) / (1 - alpha_bars[t]).sqrt() * eps) / alphas[t].sqrt()
        if t > 0:
            x = x + (1 - alphas[t]).sqrt() * torch.randn(x.shape, generator=generator)
    return x

# %% ddpm-last-step-hidden
one = ddpm(
    lambda x, t: torch.zeros_like(x),
    torch.ones(2, 2),
    toy_alphas[:1],
    torch.Generator().manual_seed(3),
)
expect_close(
    one,
    torch.ones(2, 2) / toy_alphas[0].sqrt(),
    "a single step from t = 0 must be free of noise",
)
x = torch.ones(200_000, 1)
two = ddpm(
    lambda x, t: torch.zeros_like(x),
    x,
    toy_alphas[:2],
    torch.Generator().manual_seed(4),
)
wanted = ((1 - toy_alphas[1]) / toy_alphas[0]).sqrt()
assert abs(two.std() / wanted - 1) < 0.02, (
    "the noise added at t = 1 has the wrong deviation"
)

# %% ddim-eta
def ddim_eta(x0, eps, z, alpha_bar_t, alpha_bar_s, eta):
    variance = (1 - alpha_bar_t / alpha_bar_s) * (1 - alpha_bar_s) / (1 - alpha_bar_t)
    sigma = eta * variance**0.5
    direction = (1 - alpha_bar_s - sigma**2) ** 0.5
    return alpha_bar_s**0.5 * x0 + direction * eps + sigma * z

# %% ddim-eta-hidden
for a_t, a_s in ((0.2, 0.25), (0.1, 0.8)):
    variance = (1 - a_t / a_s) * (1 - a_s) / (1 - a_t)
    expect_close(
        ddim_eta(zero, zero, one, a_t, a_s, 1.0),
        variance**0.5 * one,
        "eta = 1 must be DDPM's deviation",
    )
    mean = (a_t / a_s) ** 0.5 * (1 - a_s) / (1 - a_t) * (1 - a_t) ** 0.5
    expect_close(
        ddim_eta(zero, one, zero, a_t, a_s, 1.0),
        mean * one,
        "eta = 1 must be DDPM's mean",
    )

"""Wrong answers to the exercises of chapter 1: (exercise, words that the check must say, the answer)."""

WRONG = [
    ("add-noise", "variance is not a standard deviation", """
def noise_it(x0, noise, t, alphas_cumprod):
    a = alphas_cumprod[t].to(x0).reshape(-1, *[1] * (x0.ndim - 1))
    return a * x0 + (1 - a) * noise
"""),
    ("add-noise", "variance is not a standard deviation", """
def noise_it(x0, noise, t, alphas_cumprod):
    a = alphas_cumprod[t].to(x0).reshape(-1, *[1] * (x0.ndim - 1))
    return a.sqrt() * x0 + (1 - a) * noise
"""),
    ("add-noise", "one step", """
def noise_it(x0, noise, t, alphas_cumprod):
    alphas = alphas_cumprod / torch.cat([torch.ones(1), alphas_cumprod[:-1]])
    a = alphas[t].to(x0).reshape(-1, *[1] * (x0.ndim - 1))
    return a.sqrt() * x0 + (1 - a).sqrt() * noise
"""),
    ("add-noise", "which weight", """
def noise_it(x0, noise, t, alphas_cumprod):
    a = alphas_cumprod[t].to(x0).reshape(-1, *[1] * (x0.ndim - 1))
    return (1 - a).sqrt() * x0 + a.sqrt() * noise
"""),
    ("add-noise", "own time", """
def noise_it(x0, noise, t, alphas_cumprod):
    a = alphas_cumprod[t].to(x0)
    a = a if x0.ndim == 2 else a.reshape(-1, 1, 1, 1)
    return a.sqrt() * x0 + (1 - a).sqrt() * noise
"""),
    ("add-noise", "returns nothing", """
def noise_it(x0, noise, t, alphas_cumprod):
    a = alphas_cumprod[t]
"""),
    ("add-noise", "Which shape", """
def noise_it(x0, noise, t, alphas_cumprod):
    a = alphas_cumprod[t].to(x0)
    return a.sqrt() * x0 + (1 - a).sqrt() * noise
"""),
    ("add-noise", "taken away", """
def noise_it(x0, noise, t, alphas_cumprod):
    a = alphas_cumprod[t].to(x0).reshape(-1, *[1] * (x0.ndim - 1))
    return a.sqrt() * x0 - (1 - a).sqrt() * noise
"""),
    ("estimate-x0", "some of it is left", """
def estimate_x0(x, eps, alpha_bar):
    return (x - (1 - alpha_bar) * eps) / alpha_bar**0.5
"""),
    ("estimate-x0", "no noise at all", """
def estimate_x0(x, eps, alpha_bar):
    return (x - (1 - alpha_bar) ** 0.5 * eps) / alpha_bar
"""),
    ("estimate-x0", "no noise at all", """
def estimate_x0(x, eps, alpha_bar):
    return x - (1 - alpha_bar) ** 0.5 * eps
"""),
    ("estimate-x0", "some of it is left", """
def estimate_x0(x, eps, alpha_bar):
    return (x + (1 - alpha_bar) ** 0.5 * eps) / alpha_bar**0.5
"""),
    ("ddpm-last-step", "still scatter", """
def ddpm(predict_noise, x, alphas, generator):
    alpha_bars = alphas.cumprod(0)
    for t in reversed(range(len(alphas))):
        eps = predict_noise(x, t)
        x = (x - (1 - alphas[t]) / (1 - alpha_bars[t]).sqrt() * eps) / alphas[t].sqrt()
        x = x + (1 - alphas[t]).sqrt() * torch.randn(x.shape, generator=generator)
    return x
"""),
    ("ddpm-last-step", "fresh noise", """
def ddpm(predict_noise, x, alphas, generator):
    alpha_bars = alphas.cumprod(0)
    for t in reversed(range(len(alphas))):
        eps = predict_noise(x, t)
        x = (x - (1 - alphas[t]) / (1 - alpha_bars[t]).sqrt() * eps) / alphas[t].sqrt()
    return x
"""),
    ("ddpm-last-step", "the one before it", """
def ddpm(predict_noise, x, alphas, generator):
    alpha_bars = alphas.cumprod(0)
    for t in reversed(range(len(alphas))):
        eps = predict_noise(x, t)
        x = (x - (1 - alphas[t]) / (1 - alpha_bars[t]).sqrt() * eps) / alphas[t].sqrt()
        if t > 1:
            x = x + (1 - alphas[t]).sqrt() * torch.randn(x.shape, generator=generator)
    return x
"""),
    ("ddpm-last-step", "visited once", """
def ddpm(predict_noise, x, alphas, generator):
    alpha_bars = alphas.cumprod(0)
    for t in reversed(range(1, len(alphas))):
        eps = predict_noise(x, t)
        x = (x - (1 - alphas[t]) / (1 - alpha_bars[t]).sqrt() * eps) / alphas[t].sqrt()
        x = x + (1 - alphas[t]).sqrt() * torch.randn(x.shape, generator=generator)
    return x
"""),
    ("ddpm-last-step", "the posterior's", """
def ddpm(predict_noise, x, alphas, generator):
    alpha_bars = alphas.cumprod(0)
    for t in reversed(range(len(alphas))):
        eps = predict_noise(x, t)
        x = (x - (1 - alphas[t]) / (1 - alpha_bars[t]).sqrt() * eps) / alphas[t].sqrt()
        if t > 0:
            variance = (1 - alphas[t]) * (1 - alpha_bars[t - 1]) / (1 - alpha_bars[t])
            x = x + variance.sqrt() * torch.randn(x.shape, generator=generator)
    return x
"""),
    ("ddpm-last-step", "standard deviation what you multiply", """
def ddpm(predict_noise, x, alphas, generator):
    alpha_bars = alphas.cumprod(0)
    for t in reversed(range(len(alphas))):
        eps = predict_noise(x, t)
        x = (x - (1 - alphas[t]) / (1 - alpha_bars[t]).sqrt() * eps) / alphas[t].sqrt()
        if t > 0:
            x = x + 1.5 * (1 - alphas[t]).sqrt() * torch.randn(x.shape, generator=generator)
    return x
"""),
    ("ddim-eta", "variance at s", """
def ddim_eta(x0, eps, z, alpha_bar_t, alpha_bar_s, eta):
    variance = (1 - alpha_bar_t / alpha_bar_s) * (1 - alpha_bar_s) / (1 - alpha_bar_t)
    sigma = eta * variance**0.5
    direction = max(1 - alpha_bar_s - sigma, 0) ** 0.5
    return alpha_bar_s**0.5 * x0 + direction * eps + sigma * z
"""),
    ("ddim-eta", "variance at s", """
def ddim_eta(x0, eps, z, alpha_bar_t, alpha_bar_s, eta):
    variance = (1 - alpha_bar_t / alpha_bar_s) * (1 - alpha_bar_s) / (1 - alpha_bar_t)
    sigma = eta * variance**0.5
    return alpha_bar_s**0.5 * x0 + (1 - alpha_bar_s) ** 0.5 * eps + sigma * z
"""),
    ("ddim-eta", "not its root", """
def ddim_eta(x0, eps, z, alpha_bar_t, alpha_bar_s, eta):
    variance = (1 - alpha_bar_t / alpha_bar_s) * (1 - alpha_bar_s) / (1 - alpha_bar_t)
    sigma = eta * variance
    return alpha_bar_s**0.5 * x0 + (1 - alpha_bar_s - sigma**2) ** 0.5 * eps + sigma * z
"""),
    ("ddim-eta", "half of eta", """
def ddim_eta(x0, eps, z, alpha_bar_t, alpha_bar_s, eta):
    variance = (1 - alpha_bar_t / alpha_bar_s) * (1 - alpha_bar_s) / (1 - alpha_bar_t)
    sigma = eta**0.5 * variance**0.5
    return alpha_bar_s**0.5 * x0 + (1 - alpha_bar_s - sigma**2) ** 0.5 * eps + sigma * z
"""),
    ("ddim-eta", "weight of x0", """
def ddim_eta(x0, eps, z, alpha_bar_t, alpha_bar_s, eta):
    variance = (1 - alpha_bar_t / alpha_bar_s) * (1 - alpha_bar_s) / (1 - alpha_bar_t)
    sigma = eta * variance**0.5
    return alpha_bar_t**0.5 * x0 + (1 - alpha_bar_s - sigma**2) ** 0.5 * eps + sigma * z
"""),
]  # fmt: skip

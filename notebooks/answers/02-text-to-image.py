# Answers and hidden checks of chapter 2, laid out as CONTRIBUTING.md says.

# %% guidance
def guided(eps_nothing, eps_text, guidance_scale):
    return eps_nothing + guidance_scale * (eps_text - eps_nothing)

# %% guidance-hidden
a, b = torch.randn(2, 2, 4, 8, 8, generator=torch.Generator().manual_seed(0))
for w in (-1.0, 0.3, 2.0, 7.5):
    expect_close(guided(a, b, w), (1 - w) * a + w * b, f"scale {w}: wrong")

# %% walk
def walk(predict_noise, x, scheduler):
    previews = []
    for t in scheduler.timesteps:
        eps = predict_noise(x, t)
        out = scheduler.step(eps, t, x)
        x = out.prev_sample
        previews.append(out.pred_original_sample)
    return x, previews

# %% walk-hidden
def never_sure(x, t):
    return torch.tanh(x) + t / 1000


scheduler, x, wanted = CountingScheduler(5), torch.tensor([[0.5, -0.5]]), []
reference = samplers.ddim(SCHEDULE, 5)
advance = reference.begin()
made, previews = walk(never_sure, x, scheduler)
for t in reference.timesteps:
    x, x0 = advance(x, t, never_sure(x, t))
    wanted.append(x0)
expect_close(made, x, "an imperfect guess: the final x is wrong")
expect_close(
    torch.stack(previews),
    torch.stack(wanted),
    "an imperfect guess: the previews are wrong",
)

# %% to-pixels
def to_pixels(vae, latent):
    pixels = vae.decode(latent / vae.config.scaling_factor).sample
    return (pixels / 2 + 0.5).clamp(0, 1)

# %% to-pixels-hidden
wide = torch.linspace(-3, 3, 64).reshape(1, 4, 4, 4)
expect_close(
    to_pixels(toy_vae(0.5), wide),
    (wide[:, :3] / 0.5 / 2 + 0.5).clamp(0, 1),
    "wrong pixels",
)

"""Wrong answers to the exercises of chapter 2: (exercise, words that the check must say, the answer)."""

WRONG = [
    ("guidance", "away from the text", """
def guided(eps_nothing, eps_text, guidance_scale):
    return eps_nothing + guidance_scale * (eps_nothing - eps_text)
"""),
    ("guidance", "at scale 0", """
def guided(eps_nothing, eps_text, guidance_scale):
    return eps_text + guidance_scale * (eps_text - eps_nothing)
"""),
    ("guidance", "clamped", """
def guided(eps_nothing, eps_text, guidance_scale):
    return eps_nothing + min(guidance_scale, 1.0) * (eps_text - eps_nothing)
"""),
    ("guidance", "at scale 1", """
def guided(eps_nothing, eps_text, guidance_scale):
    return eps_nothing + guidance_scale * eps_text
"""),
    ("walk", "stepped 16 times", """
def walk(predict_noise, x, scheduler):
    previews = []
    for t in scheduler.timesteps:
        eps = predict_noise(x, t)
        x = scheduler.step(eps, t, x).prev_sample
        previews.append(scheduler.step(eps, t, x).pred_original_sample)
    return x, previews
"""),
    ("walk", "stepped 16 times", """
def walk(predict_noise, x, scheduler):
    previews = []
    for t in scheduler.timesteps:
        eps = predict_noise(x, t)
        previews.append(scheduler.step(eps, t, x).pred_original_sample)
        x = scheduler.step(eps, t, x).prev_sample
    return x, previews
"""),
    ("walk", "not the clean picture", """
def walk(predict_noise, x, scheduler):
    previews = []
    for t in scheduler.timesteps:
        x = scheduler.step(predict_noise(x, t), t, x).prev_sample
        previews.append(x)
    return x, previews
"""),
    ("walk", "0 previews", """
def walk(predict_noise, x, scheduler):
    for t in scheduler.timesteps:
        x = scheduler.step(predict_noise(x, t), t, x).prev_sample
    return x, []
"""),
    ("walk", "two things", """
def walk(predict_noise, x, scheduler):
    for t in scheduler.timesteps:
        x = scheduler.step(predict_noise(x, t), t, x).prev_sample
    return x
"""),
    ("to-pixels", "loop's scale", """
def to_pixels(vae, latent):
    return (vae.decode(latent).sample / 2 + 0.5).clamp(0, 1)
"""),
    ("to-pixels", "wrong direction", """
def to_pixels(vae, latent):
    return (vae.decode(latent * vae.config.scaling_factor).sample / 2 + 0.5).clamp(0, 1)
"""),
    ("to-pixels", "another model", """
def to_pixels(vae, latent):
    return (vae.decode(latent / 0.18215).sample / 2 + 0.5).clamp(0, 1)
"""),
    ("to-pixels", "must become 0.5", """
def to_pixels(vae, latent):
    return vae.decode(latent / vae.config.scaling_factor).sample.clamp(0, 1)
"""),
    ("to-pixels", "between 0 and 1", """
def to_pixels(vae, latent):
    return vae.decode(latent / vae.config.scaling_factor).sample
"""),
    ("to-pixels", "0.5 must become 0.75", """
def to_pixels(vae, latent):
    return (vae.decode(latent / vae.config.scaling_factor).sample + 0.5).clamp(0, 1)
"""),
    ("to-pixels", "whatever the decoder says", """
def to_pixels(vae, latent):
    return vae.decode(latent / vae.config.scaling_factor).sample / 2 + 0.5
"""),
]  # fmt: skip

"""Wrong answers to the exercises of chapter 8: (exercise, words that the check must say, the answer)."""

WRONG = [
    ("steps", "what does a slice do with 0", """
def steps_left(timesteps, strength):
    return timesteps[-int(len(timesteps) * strength) :]
"""),
    ("steps", "an edit takes the last", """
def steps_left(timesteps, strength):
    return timesteps[: int(len(timesteps) * strength)]
"""),
    ("steps", "should be 40, not 10", """
def steps_left(timesteps, strength):
    return timesteps[int(len(timesteps) * strength) :]
"""),
    ("steps", "diffusers takes", """
def steps_left(timesteps, strength):
    return timesteps[len(timesteps) - round(len(timesteps) * strength) :]
"""),
    ("steps", "noise stays in the picture", """
def steps_left(timesteps, strength):
    skip = len(timesteps) - int(len(timesteps) * strength)
    return timesteps[skip - 1 : -1]
"""),
    ("steps", "does the function return", """
def steps_left(timesteps, strength):
    timesteps[len(timesteps) - int(len(timesteps) * strength) :]
"""),
    ("start", "which entry of the table is read", """
def start(z0, noise, timesteps, strength, alphas_cumprod):
    skip = len(timesteps) - int(len(timesteps) * strength)
    abar = alphas_cumprod[skip]
    x = abar**0.5 * z0 + (1 - abar) ** 0.5 * noise
    return x, timesteps[skip:]
"""),
    ("start", "stronger edit begins with less noise", """
def start(z0, noise, timesteps, strength, alphas_cumprod):
    skip = len(timesteps) - int(len(timesteps) * strength)
    abar = alphas_cumprod[timesteps[len(timesteps) - skip]]
    x = abar**0.5 * z0 + (1 - abar) ** 0.5 * noise
    return x, timesteps[skip:]
"""),
    ("start", "one too early", """
def start(z0, noise, timesteps, strength, alphas_cumprod):
    skip = len(timesteps) - int(len(timesteps) * strength)
    abar = alphas_cumprod[timesteps[skip - 1]]
    x = abar**0.5 * z0 + (1 - abar) ** 0.5 * noise
    return x, timesteps[skip:]
"""),
    ("start", "another root", """
def start(z0, noise, timesteps, strength, alphas_cumprod):
    skip = len(timesteps) - int(len(timesteps) * strength)
    abar = alphas_cumprod[timesteps[skip]]
    x = abar**0.5 * z0 + (1 - abar) * noise
    return x, timesteps[skip:]
"""),
    ("start", "not the last half", """
def start(z0, noise, timesteps, strength, alphas_cumprod):
    skip = len(timesteps) - int(len(timesteps) * strength)
    abar = alphas_cumprod[timesteps[skip]]
    x = abar**0.5 * z0 + (1 - abar) ** 0.5 * noise
    return x, timesteps
"""),
    ("start", "is told first", """
def start(z0, noise, timesteps, strength, alphas_cumprod):
    skip = len(timesteps) - int(len(timesteps) * strength)
    abar = alphas_cumprod[timesteps[skip]]
    x = z0 + (1 - abar) ** 0.5 * noise
    return x, timesteps[skip:]
"""),
    ("translate", "half of the time is not half of the noise", """
def same_strength(t, their_alphas_cumprod, timesteps, alphas_cumprod):
    gaps = (torch.tensor(timesteps) - t).abs()
    return (len(timesteps) - gaps.argmin().item()) / len(timesteps)
"""),
    ("translate", "the fraction of steps left out", """
def same_strength(t, their_alphas_cumprod, timesteps, alphas_cumprod):
    gaps = (alphas_cumprod[torch.tensor(timesteps)] - their_alphas_cumprod[t]).abs()
    return gaps.argmin().item() / len(timesteps)
"""),
    ("translate", "a step's number, or a timestep", """
def same_strength(t, their_alphas_cumprod, timesteps, alphas_cumprod):
    return (alphas_cumprod - their_alphas_cumprod[t]).abs().argmin().item()
"""),
    ("translate", "does the function return", """
def same_strength(t, their_alphas_cumprod, timesteps, alphas_cumprod):
    gaps = (alphas_cumprod[torch.tensor(timesteps)] - their_alphas_cumprod[t]).abs()
    (len(timesteps) - gaps.argmin().item()) / len(timesteps)
"""),
    ("translate", "is strength 0.75, not", """
def same_strength(t, their_alphas_cumprod, timesteps, alphas_cumprod):
    gaps = (alphas_cumprod[torch.tensor(timesteps)] ** 0.5 - their_alphas_cumprod[t]).abs()
    return (len(timesteps) - gaps.argmin().item()) / len(timesteps)
"""),
    ("translate", "is strength 0.75, not", """
def same_strength(t, their_alphas_cumprod, timesteps, alphas_cumprod):
    gaps = (alphas_cumprod[torch.tensor(timesteps)] - their_alphas_cumprod[t]).abs()
    return (len(timesteps) - gaps.argmin().item() - 1) / len(timesteps)
"""),
]  # fmt: skip

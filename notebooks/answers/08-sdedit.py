# Answers and hidden checks of chapter 8, laid out as CONTRIBUTING.md says.

# %% steps
def steps_left(timesteps, strength):
    taken = int(len(timesteps) * strength)
    return timesteps[len(timesteps) - taken :]

# %% steps-hidden
for n in (1, 4, 7, 20, 50, 999):
    times = SCHEDULE.timesteps(n).tolist()
    for percent in range(0, 101, 3):
        strength = percent / 100
        wanted = [t for i, t in enumerate(times) if i >= n - int(n * strength)]
        answer = steps_left(times, strength)
        assert answer == wanted, (
            f"{n} steps, strength {strength}: {len(answer)} are taken, "
            f"diffusers takes {len(wanted)}"
        )

# %% start
def start(z0, noise, timesteps, strength, alphas_cumprod):
    skip = len(timesteps) - int(len(timesteps) * strength)
    abar = alphas_cumprod[timesteps[skip]]
    x = abar**0.5 * z0 + (1 - abar) ** 0.5 * noise
    return x, timesteps[skip:]

# %% start-hidden
for n, strength in ((50, 0.8), (20, 0.25), (7, 0.6)):
    times = SCHEDULE.timesteps(n).tolist()
    skip = n - int(n * strength)
    x, left = start(z0, noise, times, strength, TABLE)
    expect_close(
        x,
        SCHEDULE.add_noise(z0, noise, times[skip]),
        f"{n} steps, strength {strength}: wrong noise",
        atol=1e-4,
    )
    assert list(left) == times[skip:], f"{n} steps, strength {strength}: wrong steps"

# %% translate
def same_strength(t, their_alphas_cumprod, timesteps, alphas_cumprod):
    gaps = (alphas_cumprod[torch.tensor(timesteps)] - their_alphas_cumprod[t]).abs()
    return (len(timesteps) - gaps.argmin().item()) / len(timesteps)

# %% translate-hidden
for n in (10, 50):
    times = SCHEDULE.timesteps(n).tolist()
    for t in (10, 299, 599, 800):
        best = min(range(n), key=lambda i: abs(OWN[times[i]].item() - LINEAR[t].item()))
        assert abs(same_strength(t, LINEAR, times, OWN) - (n - best) / n) < 1e-6, (
            f"{n} steps, their t = {t}: wrong"
        )

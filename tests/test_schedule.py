"""The noise schedule: equal to diffusers' numbers, its formulas inverse to each other, its timesteps in range."""

import diffusers
import numpy as np
import pytest
import torch
from hypothesis import given, strategies as st

from difflab import NoiseSchedule, noise

SCHEDULE = NoiseSchedule.scaled_linear()


@pytest.mark.parametrize("beta_schedule", ["linear", "scaled_linear", "squaredcos_cap_v2"])
def test_table_is_diffusers_to_the_bit(beta_schedule):
    peer = diffusers.DDPMScheduler(beta_schedule=beta_schedule, beta_start=0.00085, beta_end=0.012)
    ours = NoiseSchedule.from_config(peer.config)
    assert torch.equal(ours.alphas_cumprod, peer.alphas_cumprod)


def test_constructors_agree_with_from_config():
    for schedule, config in [
        (NoiseSchedule.scaled_linear(), dict(beta_schedule="scaled_linear", beta_start=0.00085, beta_end=0.012)),
        (NoiseSchedule.linear(), dict(beta_schedule="linear")),
        (NoiseSchedule.cosine(), dict(beta_schedule="squaredcos_cap_v2")),
    ]:
        assert torch.equal(schedule.alphas_cumprod, NoiseSchedule.from_config(config).alphas_cumprod)
        assert len(schedule) == 1000 and schedule.timestep_spacing == "trailing"


def test_stable_diffusions_clean_end():
    sd = NoiseSchedule.from_config(dict(beta_schedule="scaled_linear", set_alpha_to_one=False, steps_offset=1))
    assert sd.alpha_bar(-1) == sd.alpha_bar(0) and sd.steps_offset == 1
    assert SCHEDULE.alpha_bar(-1) == 1 and SCHEDULE.snr(-1) == float("inf")


@pytest.mark.parametrize("steps", [1, 2, 3, 4, 7, 20, 28, 50, 333, 999, 1000])
@pytest.mark.parametrize("spacing", ["trailing", "leading", "linspace"])
def test_timesteps_are_diffusers(spacing, steps):
    settings = dict(timestep_spacing=spacing, steps_offset=0)
    ours = NoiseSchedule.scaled_linear(**settings)
    ddpm = diffusers.DDPMScheduler(**settings)
    ddpm.set_timesteps(steps)
    if (spacing, steps) != ("linspace", 1):  # there diffusers starts at t = 0, where nothing is left to do
        assert ours.timesteps(steps).tolist() == ddpm.timesteps.tolist()
    dpm = diffusers.DPMSolverMultistepScheduler(**settings)
    if steps < 1000:  # its rule has no room for 1001 timesteps
        dpm.set_timesteps(steps)
        assert ours.timesteps(steps, drop_last=True).tolist() == dpm.timesteps.tolist()


@given(
    n=st.integers(1, 1000),
    spacing=st.sampled_from(["trailing", "leading", "linspace"]),
    offset=st.integers(0, 1),
    drop_last=st.booleans(),
)
def test_timesteps_fall_strictly_and_stay_in_range(n, spacing, offset, drop_last):
    schedule = NoiseSchedule.scaled_linear(timestep_spacing=spacing, steps_offset=offset)
    ts = schedule.timesteps(n, drop_last=drop_last)
    assert ts.shape == (n,) and ts.dtype == torch.int64
    assert bool((ts.diff() < 0).all()) and 0 <= ts[-1] and ts[0] <= 999


@given(t=st.integers(-1, 999), seed=st.integers(0, 1000))
def test_predict_x0_inverts_add_noise(t, seed):
    x0, eps = noise((2, 3, 4, 4), seed), noise((2, 3, 4, 4), seed + 2)
    assert torch.allclose(SCHEDULE.predict_x0(SCHEDULE.add_noise(x0, eps, t), t, eps), x0, atol=2e-5)


def test_each_picture_may_have_its_own_t():
    x0, eps, t = noise((3, 4, 2, 2), 0), noise((3, 4, 2, 2), 9), torch.tensor([0, 500, 999])
    together = SCHEDULE.add_noise(x0, eps, t)
    alone = [SCHEDULE.add_noise(x0[i : i + 1], eps[i : i + 1], int(t[i])) for i in range(3)]
    assert torch.equal(together, torch.cat(alone))
    assert torch.allclose(SCHEDULE.predict_x0(together, t, eps), x0, atol=2e-5)
    assert SCHEDULE.alpha_bar(t).shape == (3,) and SCHEDULE.alpha_bar(t, like=x0).shape == (3, 1, 1, 1)


def test_noise_at_t_0_is_not_none_and_at_the_end_is_all():
    """t = 0 already carries a little noise; only -1 is clean. (Adding none at t = 0 is a published mistake.)"""
    x0, eps = torch.ones(1, 1, 1, 1), torch.ones(1, 1, 1, 1)
    assert SCHEDULE.add_noise(x0, eps, 0).item() == pytest.approx(np.sqrt(1 - 0.00085) + np.sqrt(0.00085), abs=1e-6)
    assert SCHEDULE.add_noise(x0, eps, -1).item() == 1
    assert SCHEDULE.snr(999) < 0.005 < 1000 < SCHEDULE.snr(0)


@given(t=st.integers(0, 999))
def test_variance_is_preserved(t):
    """For a picture and a noise of unit variance, x_t has unit variance: abar + (1 - abar) = 1, with the roots."""
    a = SCHEDULE.add_noise(torch.ones(1), torch.zeros(1), t)
    b = SCHEDULE.add_noise(torch.zeros(1), torch.ones(1), t)
    assert (a**2 + b**2).item() == pytest.approx(1, abs=1e-6)


@pytest.mark.parametrize("n", [0, -1, 1001, 2.5, "20", True, None])
def test_bad_number_of_steps(n):
    with pytest.raises(ValueError, match="num_inference_steps"):
        SCHEDULE.timesteps(n)


@pytest.mark.parametrize("t", [-2, 1000, 3.5, True, None, torch.tensor([0, 1000]), torch.tensor([0.5])])
def test_bad_timestep(t):
    with pytest.raises(ValueError, match=r"^t=.*from -1 \(clean\) to 999"):
        SCHEDULE.alpha_bar(t)


def test_bad_tables():
    with pytest.raises(ValueError, match="alphas_cumprod"):
        NoiseSchedule(torch.tensor([0.5, 0.9]))  # rises
    with pytest.raises(ValueError, match="timestep_spacing"):
        NoiseSchedule.scaled_linear(timestep_spacing="karras")
    with pytest.raises(ValueError, match="beta_schedule"):
        NoiseSchedule.from_config(dict(beta_schedule="sigmoid"))
    with pytest.raises(ValueError, match="rescale_betas_zero_snr"):
        NoiseSchedule.from_config(dict(rescale_betas_zero_snr=True))
    with pytest.raises(ValueError, match="final_alpha_cumprod"):
        NoiseSchedule.scaled_linear(final_alpha_cumprod=0.0)

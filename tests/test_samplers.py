"""Samplers: deterministic, resumable part way, nothing remembered. What diffusers' schedulers do is in test_parity."""

import diffusers
import pytest
import torch
from hypothesis import given, strategies as st

from difflab import SAMPLERS, NoiseSchedule, ddim, ddpm, dpmpp, euler, from_diffusers, noise, sample
from difflab.applications.inpaint import repaint
from difflab.applications.invert import ddim_inversion
from difflab.parity.samplers import make_scheduler, toy_noise
from difflab.samplers import randn

SCHEDULE = NoiseSchedule.scaled_linear()
EVERY = sorted(SAMPLERS)


def generator(seed=1):
    return torch.Generator().manual_seed(seed)


def last_x(sampler, x, predict_noise=toy_noise, **openings):
    *_, last = sample(predict_noise, x, sampler, **openings)
    return last.x


@pytest.mark.parametrize("name", EVERY)
def test_the_true_noise_leads_to_the_true_picture(name):
    """If the prediction is right, every sampler ends at the picture, however few its steps."""
    x0 = noise((2, 4, 8, 8), 5)

    def true_noise(x, t):
        abar = SCHEDULE.alpha_bar(t)
        return (x - abar.sqrt() * x0) / (1 - abar).sqrt()

    for steps in (1, 2, 5, 20):
        sampler = SAMPLERS[name](SCHEDULE, steps, generator=generator())
        assert torch.allclose(last_x(sampler, noise((2, 4, 8, 8), 0), true_noise), x0, atol=1e-4)


@pytest.mark.parametrize("name", EVERY)
def test_a_walk_yields_every_timestep_and_ends_clean(name):
    steps = list(sample(toy_noise, noise((1, 3, 8, 8), 0), SAMPLERS[name](SCHEDULE, 7, generator=generator())))
    assert len(steps) == 7 and steps[0].t == 999 and steps[-1].t_next == -1
    assert [step.t_next for step in steps[:-1]] == [step.t for step in steps[1:]]
    assert torch.equal(steps[-1].x, steps[-1].x0)
    assert all(step.x.shape == step.x0.shape == step.eps.shape == (1, 3, 8, 8) for step in steps)


@given(name=st.sampled_from(EVERY), n=st.integers(1, 30), seed=st.integers(0, 99))
def test_same_seed_same_walk_bit_for_bit(name, n, seed):
    def walk():
        return last_x(SAMPLERS[name](SCHEDULE, n, generator=generator(seed)), noise((1, 3, 4, 4), seed))

    assert torch.equal(walk(), walk())


@pytest.mark.parametrize("name", EVERY)
def test_the_global_generator_is_left_alone(name):
    before = torch.get_rng_state()
    last_x(SAMPLERS[name](SCHEDULE, 5, generator=generator()), noise((1, 3, 4, 4), 0))
    assert torch.equal(before, torch.get_rng_state())


@pytest.mark.parametrize("name", ["ddim", "euler", "ddpm"])
def test_start_is_the_tail_of_the_whole_walk(name):
    """SDEdit's opening: a sampler for the last timesteps continues a walk as the whole one would."""
    random = generator()
    whole = list(sample(toy_noise, noise((1, 3, 4, 4), 0), SAMPLERS[name](SCHEDULE, 10, generator=random)))
    randomness = generator()
    for _ in range(4):  # the noise the first four steps would have drawn
        torch.randn(1, 3, 4, 4, generator=randomness)
    tail = SAMPLERS[name](SCHEDULE, 10, generator=randomness, start=4)
    assert tail.timesteps == tuple(step.t for step in whole[4:])
    assert torch.allclose(last_x(tail, whole[3].x), whole[-1].x, atol=1e-6)


def test_start_with_a_plugged_in_scheduler():
    for kind in ("DPMSolverMultistepScheduler", "DDIMScheduler", "EulerDiscreteScheduler"):
        scheduler = make_scheduler(kind, timestep_spacing="trailing")
        tail = from_diffusers(scheduler, 10, start=6)
        x0 = noise((1, 3, 4, 4), 3)
        x = SCHEDULE.add_noise(x0, noise((1, 3, 4, 4), 4), int(tail.timesteps[0]))
        steps = list(sample(toy_noise, x, tail))
        ours = ddim if kind != "DPMSolverMultistepScheduler" else dpmpp
        assert len(steps) == 4
        assert torch.allclose(steps[-1].x, last_x(ours(SCHEDULE, 10, start=6), x), atol=1e-5)
        assert torch.allclose(steps[0].x0, SCHEDULE.predict_x0(x, int(steps[0].t), steps[0].eps), atol=1e-4)


def test_a_plugged_in_scheduler_is_left_untouched():
    scheduler = diffusers.EulerDiscreteScheduler(prediction_type="v_prediction", timestep_spacing="trailing")
    before = scheduler.timesteps.clone(), scheduler.sigmas.clone()
    last_x(from_diffusers(scheduler, 5), noise((1, 3, 4, 4), 0))
    assert torch.equal(scheduler.timesteps, before[0]) and torch.equal(scheduler.sigmas, before[1])
    assert scheduler.config.prediction_type == "v_prediction"


def test_euler_is_ddim_in_other_coordinates():
    x = noise((1, 3, 8, 8), 0)
    assert torch.allclose(last_x(euler(SCHEDULE, 20), x), last_x(ddim(SCHEDULE, 20), x), atol=1e-5)


def test_ddim_with_eta_1_is_ddpm():
    x = noise((1, 3, 8, 8), 0)
    one = last_x(ddim(SCHEDULE, 20, eta=1.0, generator=generator()), x)
    assert torch.allclose(one, last_x(ddpm(SCHEDULE, 20, generator=generator()), x), atol=1e-5)


def test_second_order_is_closer_to_the_truth():
    """The reason to have DPM-Solver++: at equal cost, nearer to where a very fine walk ends."""
    x = noise((4, 3, 8, 8), 0)
    truth = last_x(ddim(SCHEDULE, 1000), x)
    error = {f: (last_x(f(SCHEDULE, 20), x) - truth).abs().mean().item() for f in (ddim, dpmpp)}
    assert error[dpmpp] < 0.5 * error[ddim]


def test_after_replaces_x_and_the_next_step_sees_it():
    seen = []

    def predict_noise(x, t):
        seen.append(x)
        return toy_noise(x, t)

    def after(step):
        return step.x * 0 + step.t_next

    steps = list(sample(predict_noise, noise((1, 3, 4, 4), 0), ddim(SCHEDULE, 4), after=after))
    assert all(bool((step.x == step.t_next).all()) for step in steps)
    assert all(torch.equal(seen[i + 1], steps[i].x) for i in range(3))


def test_the_loop_is_lazy():
    calls = []
    walk = sample(lambda x, t: calls.append(t) or x, noise((1, 3, 4, 4), 0), ddim(SCHEDULE, 50))
    next(walk)
    assert calls == [999]


# Walks


PLUGGED = ("DPMSolverMultistepScheduler", "UniPCMultistepScheduler", "PNDMScheduler", "HeunDiscreteScheduler")


def any_sampler(kind):
    """One of ours, RePaint's, the inversion's, or one of diffusers' with a memory of its own."""
    if kind in PLUGGED:
        return from_diffusers(make_scheduler(kind, timestep_spacing="trailing"), 6)
    make = {**SAMPLERS, "repaint": repaint(3, sampler="ddim"), "inversion": ddim_inversion}[kind]
    return make(SCHEDULE, 6, generator=generator())


@pytest.mark.parametrize("kind", ["ddim", "dpm++", "euler", "inversion", *PLUGGED])
def test_walks_of_one_sampler_never_disturb_one_another(kind):
    """Taken by turns, broken off, begun again: each equals the walk of a sampler of its own, to the bit."""
    shared, xs = any_sampler(kind), [noise((1, 3, 4, 4), seed) for seed in (0, 1)]
    alone = [last_x(any_sampler(kind), x) for x in xs]
    by_turns = list(zip(*(sample(toy_noise, x, shared) for x in xs), strict=True))
    assert all(torch.equal(step.x, wanted) for step, wanted in zip(by_turns[-1], alone, strict=True))
    broken_off = sample(toy_noise, xs[0], shared)
    for _ in range(3):
        next(broken_off)
    assert torch.equal(last_x(shared, xs[1]), alone[1])  # with another one left open
    *_, last = broken_off
    assert torch.equal(last.x, alone[0])


def test_a_repaint_walk_broken_off_leaves_the_next_one_whole():
    """It goes up again by the walk's own count of its steps; the count once outlived the walk, and x ended noisy."""
    x0, grain = noise((1, 3, 4, 4), 3), noise((1, 3, 4, 4), 4)
    sampler = any_sampler("repaint")

    def sure(x, t):  # of the one picture that there is
        return (x - SCHEDULE.alpha_bar(t).sqrt() * x0) / (1 - SCHEDULE.alpha_bar(t)).sqrt()

    next(sample(sure, grain, sampler))
    assert torch.allclose(last_x(sampler, grain, sure), x0, atol=1e-4)


@pytest.mark.parametrize("kind", [*EVERY, "repaint", "inversion"])
def test_a_step_says_where_x_is_now(kind):
    sampler = any_sampler(kind)
    steps = list(sample(toy_noise, noise((1, 3, 4, 4), 0), sampler))
    assert [(step.t, step.t_next) for step in steps] == list(sampler.walk)
    assert sampler.timesteps == tuple(step.t for step in steps)


def test_generators_one_for_each_picture():
    together = randn((3, 2, 2, 2), [generator(i) for i in range(3)])
    assert torch.equal(together[2:], randn((1, 2, 2, 2), generator(2)))
    assert torch.equal(noise((2, 2, 2, 2), 4), torch.cat([noise((1, 2, 2, 2), 4), noise((1, 2, 2, 2), 5)]))


def test_bad_arguments():
    with pytest.raises(ValueError, match="generator"):
        last_x(ddpm(SCHEDULE, 5), noise((1, 3, 4, 4), 0))
    with pytest.raises(ValueError, match="2 generators for a batch of 3"):
        randn((3, 1, 1, 1), [generator(), generator()])
    for eta in (-0.1, 1.5, float("nan")):
        with pytest.raises(ValueError, match="eta"):
            ddim(SCHEDULE, 5, eta=eta)
    for start in (-1, 6):
        for f in (*SAMPLERS.values(), lambda _, n, start: from_diffusers(diffusers.DDIMScheduler(), n, start=start)):
            with pytest.raises(ValueError, match="start"):
                f(SCHEDULE, 5, start=start)
    with pytest.raises(ValueError, match="alphas_cumprod"):
        from_diffusers(diffusers.FlowMatchEulerDiscreteScheduler(), 5)
    with pytest.raises(ValueError, match="num_inference_steps"):
        from_diffusers(diffusers.DDIMScheduler(), 0)

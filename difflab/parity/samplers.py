"""Samplers against diffusers' schedulers: whole walks with a stand-in for the network."""

import inspect
from collections.abc import Callable, Iterator
from typing import NamedTuple

import torch

from difflab.inputs import noise
from difflab.loop import sample
from difflab.parity.peers import BETAS
from difflab.parity.row import Row, compared
from difflab.samplers import ddim, ddpm, dpmpp, euler, from_diffusers
from difflab.schedule import NoiseSchedule

TABLE = NoiseSchedule.scaled_linear()
EVERY = ("trailing", "leading", "linspace")
AS_OURS = dict(algorithm_type="dpmsolver++", solver_order=2, final_sigmas_type="zero")


class Case(NamedTuple):
    """A sampler of ours, diffusers' scheduler, and the settings with which they should be one.

    "linspace" is left out where the two cannot mean the same: DDIMScheduler steps by T // n whatever the spacing, and
    EulerDiscreteScheduler visits fractional timesteps unless n - 1 divides 999; hence 28 steps.
    """

    name: str
    sampler: Callable
    peer: str
    steps: int
    spacings: tuple[str, ...] = EVERY
    settings: dict = {}
    peer_settings: dict = {}
    step_arguments: dict = {}


CASES = (
    Case("DDPM", ddpm, "DDPMScheduler", 20),
    Case("DDPM, many steps", ddpm, "DDPMScheduler", 250, ("trailing",)),
    Case("DDIM, eta 0", ddim, "DDIMScheduler", 20, EVERY[:2]),
    Case("DDIM, eta 0.7", ddim, "DDIMScheduler", 20, EVERY[:2], dict(eta=0.7), step_arguments=dict(eta=0.7)),
    Case("DPM-Solver++(2M)", dpmpp, "DPMSolverMultistepScheduler", 20, peer_settings=AS_OURS),
    Case("DPM-Solver++(2M), few steps", dpmpp, "DPMSolverMultistepScheduler", 5, peer_settings=AS_OURS),
    Case("Euler", euler, "EulerDiscreteScheduler", 28),
)
PLUGGED_IN = (
    "DDIM", "PNDM", "EulerDiscrete", "EulerAncestralDiscrete", "HeunDiscrete", "UniPCMultistep", "DPMSolverMultistep",
    "DEISMultistep",
)  # fmt: skip


def compare(predict_noise: Callable) -> Iterator[Row]:
    """Every sampler against diffusers' scheduler of the same settings, over a whole walk."""
    for case in CASES:
        for spacing in case.spacings:
            scheduler = make_scheduler(case.peer, timestep_spacing=spacing, steps_offset=1, **case.peer_settings)
            schedule = NoiseSchedule.from_config(scheduler.config)
            sampler = case.sampler(schedule, case.steps, generator=seeded(), **case.settings)
            x = noise((2, 3, 8, 8), seed=0)
            ours = [step.x for step in sample(predict_noise, x, sampler)]
            theirs = walk_of(scheduler, predict_noise, x, case.steps, seeded(), **case.step_arguments)
            yield compared(f"{case.name}, {spacing}, {case.steps} steps", case.peer, ours, theirs, 1e-5)


def compare_plugged_in(predict_noise: Callable) -> Iterator[Row]:
    """diffusers' schedulers through `from_diffusers`, against the same schedulers driven by hand."""
    for name in PLUGGED_IN:
        scheduler = make_scheduler(f"{name}Scheduler", timestep_spacing="trailing")
        x = noise((2, 3, 8, 8), seed=0)
        ours = [step.x for step in sample(predict_noise, x, from_diffusers(scheduler, 10, generator=seeded()))]
        theirs = walk_of(scheduler, predict_noise, x, 10, seeded())
        yield compared("from_diffusers, 10 steps", f"{name}Scheduler", ours, theirs, 1e-5)


def toy_noise(x, t):
    """A stand-in for the network, at its scale: what noise there is in x if the pictures were N(0, I), and a wave,
    so that it is not linear in x."""
    return (1 - TABLE.alpha_bar(int(t))).sqrt() * x + 0.1 * torch.sin(3 * x + 0.01 * float(t))


def make_scheduler(name: str, **settings):
    """A diffusers scheduler by class name, on Stable Diffusion's betas, without clipping, which is not for latents;
    settings it does not know are left out."""
    import diffusers

    kind = getattr(diffusers, name)
    known = inspect.signature(kind.__init__).parameters
    settings = {**BETAS, "clip_sample": False, **settings}
    return kind(**{key: value for key, value in settings.items() if key in known})


def walk_of(scheduler, predict_noise, x, num_inference_steps, generator, **arguments) -> list[torch.Tensor]:
    """Drive a diffusers scheduler as its documentation says, from x on the variance-preserving scale; every x, scaled
    back to it. Schedulers that work with sigmas get x in their own scale, x * sqrt(1 + sigma^2)."""
    scheduler.set_timesteps(num_inference_steps)
    if "generator" in inspect.signature(scheduler.step).parameters:
        arguments["generator"] = generator
    scaled = "sigma" in type(scheduler).scale_model_input.__code__.co_varnames
    sigmas = scheduler.sigmas if scaled else torch.zeros(len(scheduler.timesteps) + 1)
    x, walk = x * (1 + sigmas[0] ** 2) ** 0.5, []
    for i, t in enumerate(scheduler.timesteps):
        eps = predict_noise(scheduler.scale_model_input(x, t), t)
        x = scheduler.step(eps, t, x, **arguments).prev_sample
        walk.append(x / (1 + sigmas[i + 1] ** 2) ** 0.5)
    return walk


def seeded() -> torch.Generator:
    """A random generator that draws the same for both sides."""
    return torch.Generator().manual_seed(1)

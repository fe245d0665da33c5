"""Samplers: given x at timestep t and the noise predicted in it, where is x at the next timestep?

Each is one function of the noise schedule. It returns a `Sampler`: the walk, and how to begin one. All keep x variance
preserving, x_t = sqrt(abar_t) x_0 + sqrt(1 - abar_t) eps, so they are interchangeable at any moment; x_T is N(0, I) for
every one of them. ``start=k`` leaves out the first k timesteps: the sampler for the tail of the walk, which is what
SDEdit needs. A sampler that draws noise takes it from ``generator``, never from the global one.
"""

import inspect
from collections.abc import Callable, Iterable
from typing import Any, NamedTuple

import torch
from torch import Tensor

from difflab.checks import as_number, as_whole
from difflab.schedule import NoiseSchedule


class Sampler(NamedTuple):
    """The steps of a walk, and how to take them.

    walk: (t, t_next) for each step: the timestep at which the network is asked, and the one at which x then is.
    begin: () -> advance(x, t, eps) -> (x at t_next, the estimate of x_0). Each call begins a walk of its own: what a
        solver remembers of the steps before belongs to the walk, so walks of one sampler never disturb one another.
    """

    walk: tuple[tuple[int, int], ...]
    begin: Callable[[], Callable]

    @property
    def timesteps(self) -> tuple[int, ...]:
        """The timesteps at which the network is asked, in order."""
        return tuple(t for t, _ in self.walk)


def randn(shape, generator, like=None):
    """Standard normal noise, always drawn on the CPU in float32, so that a seed means the same on every device.

    generator: one for the whole batch, or a list with one for each picture.
    like: a tensor whose device and dtype to take.
    """
    if isinstance(generator, torch.Generator):
        noise = torch.randn(shape, generator=generator)
    elif not isinstance(generator, list | tuple) or not all(isinstance(each, torch.Generator) for each in generator):
        raise ValueError("this draws noise: pass generator=torch.Generator().manual_seed(0), or one for each picture")
    elif len(generator) != shape[0]:
        raise ValueError(f"{len(generator)} generators for a batch of {shape[0]}: pass one, or one for each picture")
    else:
        noise = torch.stack([torch.randn(shape[1:], generator=g) for g in generator])
    return noise if like is None else noise.to(like.device, like.dtype)


def walk_down(timesteps: Iterable[float], start: int = 0) -> tuple[tuple[Any, Any], ...]:
    """The walk through falling timesteps, from number ``start`` on: each leads to the one after it, the last to -1."""
    timesteps = [int(t) if t == int(t) else t for t in timesteps]  # some of diffusers' lie between two whole numbers
    says = f"a whole number from 0 to {len(timesteps)}: it leaves out that many of the first steps"
    start = as_whole("start", start, says, 0, len(timesteps))
    return tuple(zip(timesteps, timesteps[1:] + [-1], strict=True))[start:]


def first_step(num_inference_steps: int, strength: float) -> int:
    """How many of the first steps a strength leaves out, 0 to num_inference_steps: the ``start`` of SDEdit's walk.

    The last int(num_inference_steps * strength) are taken, as in diffusers: of 50 at strength 0.8 it is 40, and at 0.58
    it is 28, because in floating point 50 * 0.58 is a little below 29. Raises ValueError unless strength is a number
    from 0 to 1.
    """
    says = "a number from 0 (the picture stays) to 1 (only the prompt counts)"
    strength = as_number("strength", strength, says, 0, 1)
    as_whole("num_inference_steps", num_inference_steps, "a whole number from 1 up", 1)
    return num_inference_steps - int(num_inference_steps * strength)


def ddpm(schedule, num_inference_steps, *, generator=None, start=0):
    """Ancestral sampling. Ho et al. 2020 (2006.11239), algorithm 2, with the smaller variance beta tilde.

    Noise is drawn at every step but the last, from ``generator``.
    """
    walk = walk_down(schedule.timesteps(num_inference_steps), start)
    following = dict(walk)

    def step(x, t, eps):
        s = following[t]
        x0 = schedule.predict_x0(x, t, eps)  # eq. 15
        if s < 0:
            return x0, x0
        abar_t, abar_s = schedule.alpha_bar(t), schedule.alpha_bar(s)
        alpha_t = abar_t / abar_s
        beta_t = 1 - alpha_t
        mean = (abar_s.sqrt() * beta_t * x0 + alpha_t.sqrt() * (1 - abar_s) * x) / (1 - abar_t)  # eq. 7
        variance = (1 - abar_s) / (1 - abar_t) * beta_t  # eq. 7, beta tilde
        return mean + variance.sqrt() * randn(x.shape, generator, like=x), x0

    return Sampler(walk, lambda: step)


def ddim(schedule, num_inference_steps, *, eta=0.0, generator=None, start=0):
    """Song et al. 2021 (2010.02502), eq. 12. eta 0 is deterministic; eta 1 has DDPM's variance. eta in [0, 1].

    With eta above 0, noise is drawn at every step from ``generator``.
    """
    eta = as_number("eta", eta, "a number from 0 (deterministic) to 1 (as noisy as DDPM)", 0, 1)
    walk = walk_down(schedule.timesteps(num_inference_steps), start)
    following = dict(walk)

    def step(x, t, eps):
        abar_t, abar_s = schedule.alpha_bar(t), schedule.alpha_bar(following[t])
        x0 = schedule.predict_x0(x, t, eps)
        sigma = eta * ((1 - abar_s) / (1 - abar_t) * (1 - abar_t / abar_s)).sqrt()  # eq. 16
        x_s = abar_s.sqrt() * x0 + (1 - abar_s - sigma**2).clamp(min=0).sqrt() * eps  # eq. 12
        if eta > 0:
            x_s = x_s + sigma * randn(x.shape, generator, like=x)
        return x_s, x0

    return Sampler(walk, lambda: step)


def dpmpp(schedule, num_inference_steps, *, generator=None, start=0):
    """DPM-Solver++(2M), Lu et al. 2022 (2211.01095), algorithm 2: second order from remembering one x_0.

    The first step has nothing to remember and the last, to lambda = infinity, nothing to gain: both are first order.
    Draws no noise; ``generator`` is accepted so that all samplers are called alike.
    """
    walk = walk_down(schedule.timesteps(num_inference_steps, drop_last=True), start)
    following = dict(walk)

    def coefficients(t):
        abar = schedule.alpha_bar(t)
        alpha, sigma = abar.sqrt(), (1 - abar).sqrt()
        return alpha, sigma, alpha.log() - sigma.log()  # lambda: half the log of the signal to noise ratio

    def begin():
        before: tuple[Tensor, Tensor] | None = None  # lambda and x_0 of the step before

        def step(x, s, eps):
            nonlocal before
            t = following[s]
            x0 = D = schedule.predict_x0(x, s, eps)
            if t < 0:
                return x0, x0
            alpha_t, sigma_t, lambda_t = coefficients(t)
            _, sigma_s, lambda_s = coefficients(s)
            h = lambda_t - lambda_s
            if before is not None:
                lambda_r, x0_r = before
                r = (lambda_s - lambda_r) / h
                D = (1 + 1 / (2 * r)) * x0 - 1 / (2 * r) * x0_r
            before = lambda_s, x0
            return sigma_t / sigma_s * x - alpha_t * torch.expm1(-h) * D, x0

        return step

    return Sampler(walk, begin)


def euler(schedule, num_inference_steps, *, generator=None, start=0):
    """Euler's method on the probability-flow ODE dx/dsigma = eps (Karras et al. 2022, 2206.00364, algorithm 1).

    The ODE is this simple in "variance exploding" coordinates, z = x / sqrt(abar) = x_0 + sigma eps, so x is converted
    on the way in and out. Written in x again it is DDIM with eta 0: the same sampler, found twice.
    Draws no noise; ``generator`` is accepted so that all samplers are called alike.
    """
    walk = walk_down(schedule.timesteps(num_inference_steps), start)
    following = dict(walk)

    def coordinates(t):
        abar = schedule.alpha_bar(t) if t >= 0 else torch.ones(())
        return abar.sqrt(), ((1 - abar) / abar).sqrt()

    def step(x, t, eps):
        (scale, sigma), (scale_next, sigma_next) = coordinates(t), coordinates(following[t])
        z = x / scale
        x0 = z - sigma * eps
        z = z + (sigma_next - sigma) * eps
        return scale_next * z, x0

    return Sampler(walk, lambda: step)


SAMPLERS = {"ddpm": ddpm, "ddim": ddim, "dpm++": dpmpp, "euler": euler}


def by_name(sampler):
    """The sampler function of that name; a function of the same form is returned as it is."""
    if callable(sampler):
        try:
            inspect.signature(sampler).bind(None, 1, generator=None, start=0)
        except (TypeError, ValueError) as error:
            form = "a function (schedule, num_inference_steps, *, generator, start)"
            raise ValueError(f"sampler={sampler!r} must be {form}: {error}") from error
        return sampler
    if not isinstance(sampler, str) or sampler not in SAMPLERS:
        known = ", ".join(SAMPLERS)
        raise ValueError(f"sampler={sampler!r} is unknown: choose one of {known}, or pass a function of their form")
    return SAMPLERS[sampler]


def from_diffusers(scheduler, num_inference_steps, *, generator=None, start=0):
    """Any of diffusers' schedulers with an alpha-bar table, as one of ours. The scheduler itself is left untouched.

    It is told that it gets eps, which is what predict_noise gives. Schedulers that work in other coordinates say so
    through ``scale_model_input``; x is converted there and back, so it stays variance preserving outside.
    Raises ValueError for flow-matching and EDM schedulers, which have no such table.
    """
    if not hasattr(scheduler, "alphas_cumprod"):
        raise ValueError(f"{type(scheduler).__name__} has no alphas_cumprod: only schedulers of a DDPM-like kind fit")
    schedule = NoiseSchedule(scheduler.alphas_cumprod)
    schedule.timesteps(num_inference_steps)  # checks the number

    def fresh():
        own = type(scheduler).from_config(scheduler.config, prediction_type="epsilon")
        own.set_timesteps(num_inference_steps)
        return own

    walk = walk_down(fresh().timesteps.tolist(), start)
    takes = inspect.signature(scheduler.step).parameters
    arguments = {"generator": generator} if "generator" in takes else {}

    def begin():
        own = fresh()
        if hasattr(own, "set_begin_index"):  # those that count their steps
            own.set_begin_index(start)
        native = {k.item(): k for k in own.timesteps}  # each timestep as the scheduler wants it: some insist on a float

        def step(x, t, eps):
            scale = own.scale_model_input(torch.ones((), device=x.device, dtype=x.dtype), native[t])
            out = own.step(eps, native[t], x / scale, **arguments)
            x0 = out.get("pred_original_sample")
            if x0 is None:
                x0 = schedule.predict_x0(x, int(t), eps)
            return own.scale_model_input(out.prev_sample, native[t]), x0

        return step

    return Sampler(walk, begin)

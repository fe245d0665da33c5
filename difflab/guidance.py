"""Combining several predictions into one. One convention, here and everywhere:

    eps = eps_uncond + guidance_scale * (eps_cond - eps_uncond)

0 is unconditional, 1 is conditional, above 1 is stronger. (Ho and Salimans 2022, 2207.12598, call it 1 + w.)

The two published remedies for what a large scale does to colors are put together with it, not built into it:

    classifier_free_guidance(predict_noise, condition, negative, 8.0, rescaled(0.7))
    classifier_free_guidance(predict_noise, text, negative, in_interval(8.0, 200, 700))
"""

from collections.abc import Callable

import torch
from torch import Tensor

from difflab.checks import as_number, check_function
from difflab.condition import Condition, join

LARGEST = 1000  # a scale: beyond it nothing but overflow is to be had


def guide(eps_uncond: Tensor, eps_cond: Tensor, guidance_scale: float) -> Tensor:
    """The equation above, on two predictions of equal shape."""
    return eps_uncond + guidance_scale * (eps_cond - eps_uncond)


def classifier_free_guidance(
    predict_noise: Callable,
    condition: Condition,
    negative_condition: Condition,
    guidance_scale: float | Callable[[int], float],
    combine: Callable[[Tensor, Tensor, float], Tensor] = guide,
) -> Callable[[Tensor, int], Tensor]:
    """Close over the condition: returns predict_noise(x, t) -> eps, guided.

    predict_noise: (x, t, condition) -> eps, such as ``model.predict_noise``.
    condition, negative_condition: of one kind and for B pictures each, what to draw and what to move away from (usually
        the prompt ""): (B, tokens, d), or what else `difflab.condition` takes.
    guidance_scale: a number, or a function from the timestep to one, such as `in_interval`.
    combine: (eps_uncond, eps_cond, guidance_scale) -> eps, such as `guide` or `rescaled`.
    Both questions are asked in one call of twice the batch; at scale 0 or 1 only one of them matters and is asked.
    """
    check_function("predict_noise", predict_noise, "(x, t, condition) -> eps: model.predict_noise")
    check_function("combine", combine, "of two predictions and a scale: guide, rescaled(0.7)")
    scale_at = as_scales(guidance_scale)
    both = join(negative_condition, condition)  # 2B

    def guided(x, t):
        scale = scale_at(t)
        if scale in (0, 1):
            return predict_noise(x, t, condition if scale == 1 else negative_condition)
        eps_uncond, eps_cond = predict_noise(torch.cat([x, x]), t, both).chunk(2)
        return combine(eps_uncond, eps_cond, scale)

    return guided


def as_scale(guidance_scale, name: str = "guidance_scale") -> float:
    """The scale as a plain number. Raises ValueError unless it is a finite one, of at most `LARGEST` either way."""
    says = f"a finite number from {-LARGEST} to {LARGEST}: 0 unconditional, 1 conditional, 5 strong"
    return as_number(name, guidance_scale, says, -LARGEST, LARGEST)


def as_scales(guidance_scale) -> Callable[[int], float]:
    """A number, or a function from the timestep to one, as such a function, whose answers are checked."""
    if callable(guidance_scale):
        return lambda t: as_scale(guidance_scale(t))
    scale = as_scale(guidance_scale)
    return lambda t: scale


def in_interval(guidance_scale: float, t_low: int, t_high: int) -> Callable[[int], float]:
    """Guidance in an interval: guidance_scale while t_low <= t <= t_high, and 1 before and after.

    Kynkaanniemi et al. 2024 (2404.07724), who give the limits as noise levels sigma = sqrt((1 - abar) / abar).
    Outside the interval the prediction without text is not needed and not asked for.
    """
    scale = as_scale(guidance_scale)
    if not as_number("t_low", t_low) <= as_number("t_high", t_high):
        raise ValueError(f"t_low={t_low} is above t_high={t_high}: the larger t is the earlier, noisier one")
    return lambda t: scale if t_low <= t <= t_high else 1


def rescale(eps: Tensor, eps_cond: Tensor, phi: float) -> Tensor:
    """Give each picture's eps (B, C, H, W) the standard deviation of its eps_cond, to the fraction phi.

    Lin et al. 2023 (2305.08891), equations 15 and 16: phi = 0 changes nothing, 1 is all of it, they use 0.7. Their
    network predicts v; with one that predicts the noise, diffusers rescales the noise, as this does. Chapter 7
    measures both.
    """
    axes = tuple(range(1, eps.ndim))  # all but the batch: every picture by itself
    rescaled = eps * (eps_cond.std(axes, keepdim=True) / eps.std(axes, keepdim=True))
    return phi * rescaled + (1 - phi) * eps


def rescaled(phi: float) -> Callable[[Tensor, Tensor, float], Tensor]:
    """Guidance, then `rescale`: a ``combine`` for `classifier_free_guidance`. phi: from 0 to 1."""
    phi = as_number("phi", phi, "a number from 0 (nothing is rescaled) to 1 (everything is)", 0, 1)
    return lambda eps_uncond, eps_cond, guidance_scale: rescale(
        guide(eps_uncond, eps_cond, guidance_scale), eps_cond, phi
    )

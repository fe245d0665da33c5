"""Combining several predictions into one. One convention, here and everywhere:

    eps = eps_uncond + guidance_scale * (eps_cond - eps_uncond)

0 is unconditional, 1 is conditional, above 1 is stronger. (Ho and Salimans 2022, 2207.12598, call it 1 + w.)

The two published remedies for what a large scale does to colors are put together with it, not built into it:

    classifier_free_guidance(predict_noise, text, negative, 8.0, rescaled(0.7))
    classifier_free_guidance(predict_noise, text, negative, in_interval(8.0, 200, 700))
"""

import math

import torch


def guide(eps_uncond, eps_cond, guidance_scale):
    """The equation above, on two predictions of equal shape."""
    return eps_uncond + guidance_scale * (eps_cond - eps_uncond)


def classifier_free_guidance(predict_noise, text_embedding, negative_embedding, guidance_scale, combine=guide):
    """Close over the text: returns predict_noise(x, t) -> eps, guided.

    predict_noise: (x, t, embedding) -> eps, such as ``model.predict_noise``.
    text_embedding, negative_embedding: (B, tokens, d), what to draw and what to move away from (usually "").
    guidance_scale: a number, or a function from the timestep to one, such as `in_interval`.
    combine: (eps_uncond, eps_cond, guidance_scale) -> eps, such as `guide` or `rescaled`.
    Both questions are asked in one call of twice the batch; at scale 0 or 1 only one of them matters and is asked.
    """
    if not callable(guidance_scale):
        check_scale(guidance_scale)
    both = torch.cat([negative_embedding, text_embedding])  # (2B, tokens, d)

    def guided(x, t):
        scale = check_scale(guidance_scale(t)) if callable(guidance_scale) else guidance_scale
        if scale in (0, 1):
            return predict_noise(x, t, text_embedding if scale == 1 else negative_embedding)
        eps_uncond, eps_cond = predict_noise(torch.cat([x, x]), t, both).chunk(2)
        return combine(eps_uncond, eps_cond, scale)

    return guided


def check_scale(guidance_scale):
    """The scale itself, if it is a finite number. Raises ValueError otherwise."""
    if not isinstance(guidance_scale, int | float) or not math.isfinite(guidance_scale):
        raise ValueError(
            f"guidance_scale={guidance_scale!r} must be a finite number, or a function from the timestep to one: "
            "0 unconditional, 1 conditional, 5 strong"
        )
    return guidance_scale


def in_interval(guidance_scale, t_low, t_high):
    """Guidance in an interval: guidance_scale while t_low <= t <= t_high, and 1 before and after.

    Kynkaanniemi et al. 2024 (2404.07724), who give the limits as noise levels sigma = sqrt((1 - abar) / abar).
    Outside the interval the prediction without text is not needed and not asked for.
    """
    check_scale(guidance_scale)
    if not t_low <= t_high:
        raise ValueError(f"t_low={t_low} is above t_high={t_high}: the larger t is the earlier, noisier one")
    return lambda t: guidance_scale if t_low <= t <= t_high else 1.0


def rescale(eps, eps_cond, phi):
    """Give each picture's eps (B, C, H, W) the standard deviation of its eps_cond, in the share phi.

    Lin et al. 2023 (2305.08891), equations 15 and 16: phi = 0 changes nothing, 1 is all of it, they use 0.7. Their
    network predicts v; with one that predicts the noise, diffusers rescales the noise, as this does. Chapter 7
    measures both.
    """
    axes = tuple(range(1, eps.ndim))  # all but the batch: every picture by itself
    rescaled = eps * (eps_cond.std(axes, keepdim=True) / eps.std(axes, keepdim=True))
    return phi * rescaled + (1 - phi) * eps


def rescaled(phi):
    """Guidance, then `rescale`: a ``combine`` for `classifier_free_guidance`. phi: from 0 to 1."""
    if not isinstance(phi, int | float) or not 0 <= phi <= 1:
        raise ValueError(f"phi={phi!r} must be a number from 0 (nothing is rescaled) to 1 (everything is)")
    return lambda eps_uncond, eps_cond, guidance_scale: rescale(
        guide(eps_uncond, eps_cond, guidance_scale), eps_cond, phi
    )

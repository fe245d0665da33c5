"""Combining several predictions into one. One convention, here and everywhere:

    eps = eps_uncond + guidance_scale * (eps_cond - eps_uncond)

0 is unconditional, 1 is conditional, above 1 is stronger. (Ho and Salimans 2022, 2207.12598, call it 1 + w.)
"""

import math

import torch


def guide(eps_uncond, eps_cond, guidance_scale):
    """The equation above, on two predictions of equal shape."""
    return eps_uncond + guidance_scale * (eps_cond - eps_uncond)


def classifier_free_guidance(predict_noise, text_embedding, negative_embedding, guidance_scale):
    """Close over the text: returns predict_noise(x, t) -> eps, guided.

    predict_noise: (x, t, embedding) -> eps, such as ``model.predict_noise``.
    text_embedding, negative_embedding: (B, tokens, d), what to draw and what to move away from (usually "").
    Both questions are asked in one call of twice the batch; at scale 0 or 1 only one of them matters and is asked.
    """
    if not isinstance(guidance_scale, int | float) or not math.isfinite(guidance_scale):
        raise ValueError(
            f"guidance_scale={guidance_scale!r} must be a finite number: 0 unconditional, 1 conditional, 5 strong"
        )
    if guidance_scale in (0, 1):
        embedding = text_embedding if guidance_scale == 1 else negative_embedding
        return lambda x, t: predict_noise(x, t, embedding)
    both = torch.cat([negative_embedding, text_embedding])  # (2B, tokens, d)

    def guided(x, t):
        eps_uncond, eps_cond = predict_noise(torch.cat([x, x]), t, both).chunk(2)
        return guide(eps_uncond, eps_cond, guidance_scale)

    return guided

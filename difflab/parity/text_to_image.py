"""`text_to_image` against StableDiffusionPipeline and StableDiffusionXLPipeline: the latents of two prompts."""

import itertools
from collections.abc import Iterator
from typing import Any

from difflab.applications.text_to_image import text_to_latents
from difflab.parity.peers import PROMPTS, SEED, drawn, last_x, pipeline_of
from difflab.parity.row import Row, compared
from difflab.parity.weights import Weights


def compare(
    weights: Weights,
    peer: str = "StableDiffusionPipeline",
    samplers=("dpm++", "ddim"),
    guidance_scales=(1.0, 5.0, 7.5),
    negative_prompts=("",),
    num_inference_steps: int = 8,
) -> Iterator[Row]:
    """Both sides start from the same noise. No negative prompt means an empty one to Stable Diffusion, and no text at
    all to SDXL."""
    for sampler in samplers:
        pipeline = pipeline_of(weights, peer, sampler)
        for scale, negative in itertools.product(guidance_scales, negative_prompts):
            shared: dict[str, Any] = dict(num_inference_steps=num_inference_steps, guidance_scale=scale)
            chosen: dict[str, Any] = dict(sampler=sampler, negative_prompt=negative, seed=SEED)
            ours = last_x(text_to_latents(weights.model, PROMPTS, **chosen, **shared))
            theirs = drawn(pipeline, negative_prompt=[negative] * len(PROMPTS) if negative else None, **shared)
            what = f"text_to_image, {weights.label}, {sampler}, guidance {scale:g}"
            what += f"{', a negative prompt' if negative else ''}, {num_inference_steps} steps"
            yield compared(what, peer, ours, theirs)

"""`sdedit` against StableDiffusionImg2ImgPipeline: the latents of two pictures and prompts."""

from collections.abc import Iterator
from typing import Any

from difflab.applications.sdedit import sdedit_to_latents
from difflab.parity.peers import PROMPTS, SEED, drawn, last_x, pictures, pipeline_of
from difflab.parity.row import Row, compared
from difflab.parity.weights import Weights

PEER = "StableDiffusionImg2ImgPipeline"


def compare(
    weights: Weights, samplers=("dpm++", "ddim"), strengths=(0.2, 0.58, 0.8), num_inference_steps: int = 10
) -> Iterator[Row]:
    """The pipeline is given the pictures' latents: it would draw them at random around those that we take. It has
    nothing to compare at strength 0, where it refuses, and at 1, where it keeps a trace of the picture."""
    model, given = weights.model, pictures(weights.model.image_size)
    for sampler in samplers:
        pipeline = pipeline_of(weights, PEER, sampler)
        for strength in strengths:
            shared: dict[str, Any] = dict(
                strength=strength, num_inference_steps=num_inference_steps, guidance_scale=5.0
            )
            ours = last_x(sdedit_to_latents(model, given, PROMPTS, sampler=sampler, seed=SEED, **shared))
            theirs = drawn(pipeline, image=model.encode_image(given), **shared)
            what = f"sdedit, {weights.label}, {sampler}, strength {strength:g} of {num_inference_steps} steps"
            yield compared(what, PEER, ours, theirs)

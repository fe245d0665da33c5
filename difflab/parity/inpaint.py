"""`inpaint` against StableDiffusionInpaintPipeline: the latents of two pictures, masks and prompts."""

from collections.abc import Iterator
from typing import Any

from PIL import Image

from difflab.applications.inpaint import inpaint_to_latents
from difflab.masks import nearest
from difflab.parity.peers import PROMPTS, SEED, drawn, last_x, pictures, pipeline_of
from difflab.parity.row import Row, compared
from difflab.parity.weights import Weights

PEER = "StableDiffusionInpaintPipeline"


def compare(
    weights: Weights, samplers=("dpm++", "ddim"), strengths=(1.0, 0.5), num_inference_steps: int = 8
) -> Iterator[Row]:
    """With a U-Net of four input channels or of nine, where each corner pixel decides for its position of the latent.

    The pipeline is given the pictures' latents: it would draw them at random around those that we take.
    """
    model, size = weights.model, weights.model.image_size
    given, masks = pictures(size), holes(size)
    for sampler in samplers:
        pipeline = pipeline_of(weights, PEER, sampler)
        kept = pipeline.image_processor.preprocess(given) * (pipeline.mask_processor.preprocess(masks) < 0.5)
        kept = pipeline.vae.encode(kept).latent_dist.mode() * pipeline.vae.config.scaling_factor  # 2, 4, h, w
        for strength in strengths:
            shared: dict[str, Any] = dict(
                strength=strength, num_inference_steps=num_inference_steps, guidance_scale=3.0
            )
            chosen: dict[str, Any] = dict(sampler=sampler, shrink=nearest, seed=SEED)
            ours = last_x(inpaint_to_latents(model, given, masks, PROMPTS, **chosen, **shared))
            theirs = drawn(
                pipeline,
                image=model.encode_image(given),
                mask_image=masks,
                masked_image_latents=kept,
                height=size,
                width=size,
                **shared,
            )
            what = f"inpaint, {weights.label}, {model.unet.config.in_channels} channels, {sampler}"
            yield compared(f"{what}, strength {strength:g} of {num_inference_steps} steps", PEER, ours, theirs)


def holes(size: int) -> list[Image.Image]:
    """Two masks, size x size pixels: a box, and a gradient."""
    box = Image.new("L", (size, size))
    box.paste(255, (size // 4 + 3, size // 4 - 3, size - 9, size - 1))
    return [box, Image.linear_gradient("L").resize((size, size))]

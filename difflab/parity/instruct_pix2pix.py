"""`instruct_pix2pix` against StableDiffusionInstructPix2PixPipeline: the latents of two pictures and instructions."""

from collections.abc import Iterator
from typing import Any

from difflab.applications.instruct_pix2pix import instruct_pix2pix_to_latents
from difflab.parity.peers import SEED, drawn, last_x, pictures, pipeline_of
from difflab.parity.row import Row, compared
from difflab.parity.weights import Weights

PEER = "StableDiffusionInstructPix2PixPipeline"
INSTRUCTIONS = ["make it sunset", "turn the cat into a dog"]


def compare(
    weights: Weights, scales=((3.0, 1.5), (4.0, 1.0), (2.0, 2.0)), num_inference_steps: int = 6
) -> Iterator[Row]:
    """On weights whose U-Net sees eight channels, at pairs of a scale for the instruction and one for the picture.

    Below a picture's scale of 1, and at an instruction's of 1 and below, the pipeline does not guide at all.
    """
    pipeline, given = pipeline_of(weights, PEER), pictures(weights.model.image_size)
    for text_scale, image_scale in scales:
        shared: dict[str, Any] = dict(
            num_inference_steps=num_inference_steps, guidance_scale=text_scale, image_guidance_scale=image_scale
        )
        ours = last_x(instruct_pix2pix_to_latents(weights.model, given, INSTRUCTIONS, seed=SEED, **shared))
        theirs = drawn(pipeline, INSTRUCTIONS, image=given, **shared)
        what = f"instruct_pix2pix, {weights.label}, scales {text_scale:g} and {image_scale:g}"
        yield compared(f"{what}, {num_inference_steps} steps", PEER, ours, theirs)

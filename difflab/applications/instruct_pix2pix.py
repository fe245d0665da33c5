"""InstructPix2Pix: edit a picture by saying what to do with it. Brooks et al. 2023 (2211.09800).

It fills two openings of the loop. see: the U-Net looks at the picture's latent beside the noisy one, eight channels in
all. combine: three predictions, with picture and words, with the picture alone, and with neither, become one by two
scales.
"""

from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch import Tensor

from difflab.applications.request import pictures_of, request
from difflab.checks import check_function, check_tensor
from difflab.condition import join, see_beside
from difflab.guidance import as_scale
from difflab.loop import Step, sample
from difflab.model import LatentDiffusion


def instruct_pix2pix_to_latents(
    model: LatentDiffusion,
    image,
    prompt: str | list[str],
    *,
    num_inference_steps: int = 20,
    guidance_scale: float = 3.0,
    image_guidance_scale: float = 2.0,
    negative_prompt: str | list[str] = "",
    sampler: str | Callable = "dpm++",
    seed: int | list[int] = 0,
) -> Iterator[Step]:
    """Edited pictures, one step at a time: yields a `Step` for each step of the walk,
    which ``model.decode(step.x0)`` shows.

    model: one whose U-Net has eight input channels: ``load("tiny-pix2pix")``, ``load("sd15-pix2pix")``.
    image: a picture (PIL RGB or uint8 array) or a list of them, as `LatentDiffusion.encode_image` takes it. One picture
        serves for several prompts, and one prompt for several pictures.
    prompt: one or several: what to do, as in "make it sunset". An empty one raises ValueError unless guidance_scale
        is 0.
    guidance_scale: how much the instruction counts: 0 not at all, 1 as trained, above 1 more. Stable Diffusion: 7.5.
    image_guidance_scale: how much the picture counts, likewise. Stable Diffusion: 1.5.
    The other arguments are those of `text_to_image`.

    Raises ValueError, before any work, for anything that does not fit.
    """
    scales = as_scale(guidance_scale), as_scale(image_guidance_scale, "image_guidance_scale")
    asked = request(
        model,
        prompt,
        num_inference_steps=num_inference_steps,
        guidance_scale=guidance_scale,
        negative_prompt=negative_prompt,
        sampler=sampler,
        seed=seed,
        channels=2 * model.vae.config.latent_channels,
        pictures=model.as_pixels(image),
    )

    def see(x, t, picture, text):
        return see_picture(model.predict_noise, picture)(x, t, text)

    picture = as_seen(model, asked.given["pictures"])
    text, nothing = model.encode_text(asked.prompts), model.encode_text(asked.negatives)
    predict_noise = two_scale_guidance(see, picture, text, nothing, *scales)
    yield from sample(predict_noise, asked.noise(like=picture), asked.sampler)


instruct_pix2pix = pictures_of(
    instruct_pix2pix_to_latents,
    "instruct_pix2pix",
    "Edited pictures: a list of PIL images, one for each picture or prompt.",
)


def as_seen(model, pixels: Tensor) -> Tensor:
    """The latents of pictures as this U-Net was trained to see them, unscaled: (B, 3, H, W) -> (B, 4, h, w)."""
    return model.encode_pixels(pixels) / model.vae.config.scaling_factor


def see_picture(predict_noise: Callable, picture: Tensor) -> Callable:
    """Fills ``see``: predict_noise(x, t, condition) for a U-Net that looks at a picture's latent beside x.

    predict_noise: ``model.predict_noise`` of an eight-channel model. picture: (B, 4, h, w), from `as_seen`.
    """
    return see_beside(predict_noise, picture)


def two_scale_guidance(
    predict_noise: Callable,
    picture: Tensor,
    text_embedding: Tensor,
    negative_embedding: Tensor,
    guidance_scale: float,
    image_guidance_scale: float,
) -> Callable[[Tensor, int], Tensor]:
    """Close over picture and text: returns predict_noise(x, t) -> eps, guided by both. Equation 3 of the paper,

        eps = nothing + image_guidance_scale * (picture - nothing) + guidance_scale * (both - picture),

    sorted by prediction: three weights that add up to 1. All that have one are asked in a single call: three, or fewer
    at equal scales, at a guidance_scale of 0 and at an image_guidance_scale of 1.

    predict_noise: (x, t, picture, embedding) -> eps. picture: (B, 4, h, w), and zeros in its place for none.
    text_embedding, negative_embedding: (B, tokens, d), the instruction and what stands for none (usually "").
    """
    check_function("predict_noise", predict_noise, "(x, t, picture, embedding) -> eps")
    check_tensor("picture", picture, "B", "C", "h", "w")
    text_scale, image_scale = as_scale(guidance_scale), as_scale(image_guidance_scale, "image_guidance_scale")
    questions = [
        (1 - image_scale, torch.zeros_like(picture), negative_embedding),
        (image_scale - text_scale, picture, negative_embedding),
        (text_scale, picture, text_embedding),
    ]
    weights, pictures, texts = zip(*(question for question in questions if question[0] != 0), strict=True)
    pictures, texts = join(*pictures), join(*texts)  # up to 3B each

    def guided(x, t):
        answers = predict_noise(torch.cat([x] * len(weights)), t, pictures, texts).chunk(len(weights))
        combined: Any = sum(weight * eps for weight, eps in zip(weights, answers, strict=True))
        return combined

    return guided

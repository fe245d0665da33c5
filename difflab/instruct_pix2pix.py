"""InstructPix2Pix: edit a picture by saying what to do with it. Brooks et al. 2023 (2211.09800).

Two openings of the loop are filled. see: the U-Net looks at the picture's latent beside the noisy one, eight channels
in all. combine: its predictions with both inputs, with the picture alone and with neither become one, by two scales.
"""

import math

import torch

from difflab.loop import sample
from difflab.model import as_prompts, check_said, generators, in_pairs, pictures_of
from difflab.samplers import by_name, randn


def instruct_pix2pix_to_latents(
    model,
    image,
    prompt,
    *,
    num_inference_steps=20,
    guidance_scale=3.0,
    image_guidance_scale=2.0,
    negative_prompt="",
    sampler="dpm++",
    seed=0,
):
    """Edited pictures, step by step: yields a `Step` for each turn of the loop,
    which ``model.decode(step.x0)`` shows.

    model: one whose U-Net has eight input channels: ``load("tiny-pix2pix")``, ``load("sd15-pix2pix")``.
    image: a picture (PIL RGB or uint8 array) or a list of them, as `LatentDiffusion.encode_image` takes it. One picture
        with several prompts, or one prompt with several pictures, is repeated.
    prompt: str or list of str, what to do: "make it sunset". An empty one raises ValueError unless guidance_scale is 0.
    guidance_scale: how much the instruction counts: 0 not at all, 1 as trained, above 1 more. Stable Diffusion: 7.5.
    image_guidance_scale: how much the picture counts, likewise. Stable Diffusion: 1.5.
    The other arguments are those of `text_to_image`. Raises ValueError, before any work, for what does not fit.
    """
    channels, wanted = model.unet.config.in_channels, 2 * model.vae.config.latent_channels
    if channels != wanted:
        raise ValueError(
            f"this U-Net has {channels} input channels, and to see a picture beside the noise it needs {wanted}: "
            "load('tiny-pix2pix'), or load('sd15-pix2pix')"
        )
    images, prompts = in_pairs(image, prompt, seed)
    negatives = as_prompts(negative_prompt, len(prompts), "negative prompts")
    check_said(prompts, guidance_scale)
    check_scales(guidance_scale, image_guidance_scale)
    random = generators(seed, len(prompts))
    sampler = by_name(sampler)(model.schedule, num_inference_steps, generator=random)
    model.check_images(images)

    def see(x, t, picture, text):
        return model.predict_noise(torch.cat([x, picture], dim=1), t, text)  # B, 8, h, w

    picture = model.encode_image(images) / model.vae.config.scaling_factor  # B, 4, h, w; unscaled, as it was trained
    predict_noise = two_scale_guidance(
        see, picture, model.encode_text(prompts), model.encode_text(negatives), guidance_scale, image_guidance_scale
    )
    yield from sample(predict_noise, randn(picture.shape, random, like=picture), sampler)


instruct_pix2pix = pictures_of(
    instruct_pix2pix_to_latents,
    "instruct_pix2pix",
    "Edited pictures: a list of PIL images, one for each picture or prompt.",
)


def two_scale_guidance(
    predict_noise, picture, text_embedding, negative_embedding, guidance_scale, image_guidance_scale
):
    """Close over picture and text: returns predict_noise(x, t) -> eps, guided by both. Equation 3 of the paper,

        eps = nothing + image_guidance_scale * (picture - nothing) + guidance_scale * (both - picture),

    sorted by prediction: three weights that add up to 1. All that have one are asked in a single call: three, or fewer
    at equal scales, at a guidance_scale of 0 and at an image_guidance_scale of 1.

    predict_noise: (x, t, picture, embedding) -> eps. picture: (B, 4, h, w), and zeros in its place for none.
    text_embedding, negative_embedding: (B, tokens, d), the instruction and what stands for none (usually "").
    """
    check_scales(guidance_scale, image_guidance_scale)
    questions = [
        (1 - image_guidance_scale, torch.zeros_like(picture), negative_embedding),
        (image_guidance_scale - guidance_scale, picture, negative_embedding),
        (guidance_scale, picture, text_embedding),
    ]
    weights, pictures, texts = zip(*(question for question in questions if question[0] != 0), strict=True)
    pictures, texts = torch.cat(pictures), torch.cat(texts)  # up to 3B each

    def guided(x, t):
        answers = predict_noise(torch.cat([x] * len(weights)), t, pictures, texts).chunk(len(weights))
        return sum(weight * eps for weight, eps in zip(weights, answers, strict=True))

    return guided


def check_scales(guidance_scale, image_guidance_scale):
    """Raises ValueError unless both are finite numbers."""
    for name, scale in dict(guidance_scale=guidance_scale, image_guidance_scale=image_guidance_scale).items():
        if isinstance(scale, bool) or not isinstance(scale, int | float) or not math.isfinite(scale):
            raise ValueError(
                f"{name}={scale!r} must be a finite number: 0 ignores it, 1 is as trained, above 1 is more"
            )

"""SDEdit: the loop with its start opening filled by a picture. Meng et al. 2022 (2108.01073).

Noise a picture part-way and denoise it with a new prompt: what the noise hides is drawn anew, the rest stays.
"""

import torch

from difflab.guidance import classifier_free_guidance, guide
from difflab.loop import Step, sample
from difflab.model import as_prompts, check_said, generators, in_pairs, pictures_of
from difflab.samplers import by_name, randn


def sdedit_to_latents(
    model,
    image,
    prompt,
    *,
    strength=0.7,
    num_inference_steps=20,
    guidance_scale=2.0,
    negative_prompt="",
    combine=guide,
    sampler="dpm++",
    seed=0,
):
    """Pictures changed toward the prompt, step by step: yields a `Step` for each turn of the loop that is taken.

    image: a picture (PIL RGB or uint8 array) or a list of them, as `LatentDiffusion.encode_image` takes it. One picture
        with several prompts, or one prompt with several pictures, is repeated.
    prompt: str or list of str, what the finished picture shows: all of it, not only what is new.
    strength: 0 to 1, the share of the steps that are taken, see `first_step`. 0 takes none and returns the picture as
        the autoencoder sees it; 1 takes all, from pure noise: the very picture of `text_to_image`.
    The other arguments are those of `text_to_image`. Raises ValueError, before any work, for what does not fit.
    """
    images, prompts = in_pairs(image, prompt, seed)
    negatives = as_prompts(negative_prompt, len(prompts), "negative prompts")
    check_said(prompts, guidance_scale)
    random = generators(seed, len(prompts))
    sampler = by_name(sampler)
    skip = first_step(len(model.schedule.timesteps(num_inference_steps)), strength)
    model.check_images(images)

    predict_noise = classifier_free_guidance(
        model.predict_noise, model.encode_text(prompts), model.encode_text(negatives), guidance_scale, combine
    )
    z0 = model.encode_image(images)  # B, 4, h, w
    if skip == num_inference_steps:
        yield Step(-1, -1, z0, z0, torch.zeros_like(z0))  # no turn is taken: the clean end is where it begins
        return
    sampler = sampler(model.schedule, num_inference_steps, generator=random, start=skip)
    x = noise = randn(z0.shape, random, like=z0)
    if skip > 0:  # at strength 1 nothing of the picture is left
        x = model.schedule.add_noise(z0, noise, sampler.timesteps[0])
    yield from sample(predict_noise, x, sampler)


sdedit = pictures_of(
    sdedit_to_latents,
    "sdedit",
    "Pictures changed toward the prompt: a list of PIL images, one for each picture or prompt.",
)


def first_step(num_inference_steps, strength):
    """Which of the steps is the first to be taken, counted from 0: as many are left out. int, 0 to num_inference_steps.

    The last int(num_inference_steps * strength) are taken, as in diffusers: of 50 at strength 0.8 it is 40, and at 0.58
    it is 28, because in floating point 50 * 0.58 is a little below 29. Raises ValueError for a strength that is no
    number from 0 to 1.
    """
    if isinstance(strength, bool) or not isinstance(strength, int | float) or not 0 <= strength <= 1:
        raise ValueError(
            f"strength={strength!r} must be a number from 0 (the picture stays) to 1 (only the prompt counts)"
        )
    return num_inference_steps - int(num_inference_steps * strength)

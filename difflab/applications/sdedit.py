"""SDEdit: the loop with its start opening filled by a picture. Meng et al. 2022 (2108.01073).

Noise a picture part-way and denoise it with a new prompt: what the noise hides is drawn anew, the rest stays.
"""

import torch

from difflab.applications.request import pictures_of, request
from difflab.checks import as_number
from difflab.guidance import guide
from difflab.loop import Step, sample


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
    """Pictures changed toward the prompt, step by step: yields a `Step` for each step of the loop that is taken.

    image: a picture (PIL RGB or uint8 array) or a list of them, as `LatentDiffusion.encode_image` takes it. One picture
        with several prompts, or one prompt with several pictures, is repeated.
    prompt: str or list of str, what the finished picture shows: all of it, not only what is new.
    strength: 0 to 1, the share of the steps that are taken, see `first_step`. 0 takes none and returns the picture as
        the autoencoder sees it; 1 takes all, from pure noise: the very picture of `text_to_image`.
    The other arguments are those of `text_to_image`. Raises ValueError, before any work, for what does not fit.
    """
    count = len(model.schedule.timesteps(num_inference_steps))
    skip = first_step(count, strength)
    asked = request(
        model,
        prompt,
        num_inference_steps=num_inference_steps,
        guidance_scale=guidance_scale,
        negative_prompt=negative_prompt,
        combine=combine,
        sampler=sampler,
        seed=seed,
        start=min(skip, count - 1),
        pictures=model.as_pixels(image),
    )
    z0 = model.encode_pixels(asked.given["pictures"])  # B, 4, h, w
    if skip == count:
        yield Step(-1, -1, z0, z0, torch.zeros_like(z0))  # no step is taken: the clean end is where it begins
        return
    x = noise = asked.noise(like=z0)
    if skip > 0:  # at strength 1 nothing of the picture is left
        x = model.schedule.add_noise(z0, noise, asked.sampler.timesteps[0])
    yield from sample(asked.guided(), x, asked.sampler)


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
    says = "a number from 0 (the picture stays) to 1 (only the prompt counts)"
    strength = as_number("strength", strength, says, 0, 1)
    return num_inference_steps - int(num_inference_steps * strength)

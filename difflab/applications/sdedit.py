"""SDEdit: the loop with a picture in its start opening. Meng et al. 2022 (2108.01073).

Add noise to a picture part of the way and denoise it with a new prompt: what the noise hides is drawn anew, the rest
stays.
"""

from collections.abc import Callable, Iterator

import torch

from difflab.applications.request import pictures_of, request
from difflab.guidance import guide
from difflab.loop import Step, sample
from difflab.model import LatentDiffusion


def sdedit_to_latents(
    model: LatentDiffusion,
    image,
    prompt: str | list[str],
    *,
    strength: float = 0.7,
    num_inference_steps: int = 20,
    guidance_scale: float | Callable[[int], float] = 2.0,
    negative_prompt: str | list[str] = "",
    combine: Callable = guide,
    sampler: str | Callable = "dpm++",
    seed: int | list[int] = 0,
) -> Iterator[Step]:
    """Pictures changed toward the prompt, one step at a time: yields a `Step` for each step that is taken.

    image: a picture (PIL RGB or uint8 array) or a list of them, as `LatentDiffusion.encode_image` takes it. One picture
        serves for several prompts, and one prompt for several pictures.
    prompt: one or several: what the finished picture shows, all of it and not only what is new.
    strength: 0 to 1, the fraction of the steps that are taken, see `first_step`. 0 takes none and returns the picture
        as the autoencoder sees it; 1 takes all, from pure noise: the very picture of `text_to_image`.
    The other arguments are those of `text_to_image`.

    Raises ValueError, before any work, for anything that does not fit.
    """
    asked = request(
        model,
        prompt,
        strength=strength,
        num_inference_steps=num_inference_steps,
        guidance_scale=guidance_scale,
        negative_prompt=negative_prompt,
        combine=combine,
        sampler=sampler,
        seed=seed,
        pictures=model.as_pixels(image),
    )
    z0 = model.encode_pixels(asked.given["pictures"])  # B, 4, h, w
    if not asked.sampler.walk:  # strength 0: the clean end is where it begins
        yield Step(-1, -1, z0, z0, torch.zeros_like(z0))
    yield from sample(asked.guided(), asked.noised(z0, asked.noise(like=z0)), asked.sampler)


sdedit = pictures_of(
    sdedit_to_latents,
    "sdedit",
    "Pictures changed toward the prompt: a list of PIL images, one for each picture or prompt.",
)

"""Inversion: the noise from which a given picture would be drawn.

DDIM's step (Song et al. 2021, 2010.02502) taken backward, from clean to noise; used for editing by Mokady et al. 2023
(2211.09794) and Ju et al. 2023 (2310.01506).
"""

from collections.abc import Callable

import torch
from torch import Tensor

from difflab.applications.request import check_model, request
from difflab.loop import sample
from difflab.model import LatentDiffusion, text_computed_once
from difflab.samplers import Sampler, walk_down
from difflab.schedule import NoiseSchedule


@torch.no_grad()  # not inference_mode: null-text optimization differentiates on the path
def invert(
    model: LatentDiffusion,
    image,
    prompt: str | list[str],
    *,
    num_inference_steps: int = 20,
    guidance_scale: float | Callable[[int], float] = 1.0,
    negative_prompt: str | list[str] = "",
) -> Tensor:
    """The path of a picture to its noise: a tensor (steps + 1, B, 4, h, w) in the order in which DDIM draws.

    ``path[0]`` is the noise to start from, ``path[i]`` where the sampler should be after i steps, and ``path[-1]`` the
    picture's own latent. It is what `prompt_to_prompt` takes as ``inverted``.

    image: one picture or a list, PIL in mode RGB or uint8 (H, W, 3), of the model's own size.
    prompt: what the picture shows: one, or one for each picture. One picture serves for several prompts.
    guidance_scale, negative_prompt: as in drawing. 1 is nearly always right: with guidance the errors grow from step
        to step.

    Raises ValueError for an empty prompt, unless guidance_scale is 0, and for pictures of another size.
    """
    check_model(model)
    pixels, size = model.as_pixels(image), model.image_size
    height, width = pixels.shape[-2:]
    if (width, height) != (size, size):
        raise ValueError(f"the picture is {width} x {height}; this model inverts {size} x {size}: resize it first")
    asked = request(
        model,
        prompt,
        num_inference_steps=num_inference_steps,
        guidance_scale=guidance_scale,
        negative_prompt=negative_prompt,
        sampler=ddim_inversion,
        pictures=pixels,
    )
    clean = model.encode_pixels(asked.given["pictures"])  # B, 4, h, w
    with text_computed_once(model.unet):
        path = [step.x for step in sample(asked.guided(), clean, asked.sampler)]
    return torch.stack([*path[::-1], clean])


def ddim_inversion(schedule: NoiseSchedule, num_inference_steps: int, *, generator=None, start: int = 0) -> Sampler:
    """DDIM backward: a sampler whose walk begins at the clean x_0 and ends at noise.

    DDIM goes from x_t to x_s with the noise seen in x_t. Going backward, x_t is not known yet, so the network is asked
    about x_s as if it were at timestep t: nearly the same where steps are small, and what diffusers'
    DDIMInverseScheduler does. Draws no noise; ``generator`` is accepted so that all samplers are called alike.
    """
    upward = walk_down(schedule.timesteps(num_inference_steps).tolist(), start)[::-1]
    below = dict(upward)

    def step(x, t, eps):
        x0 = schedule.predict_x0(x, below[t], eps)
        return schedule.add_noise(x0, eps, t), x0

    return Sampler(tuple((t, t) for t, _ in upward), lambda: step)

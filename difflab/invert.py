"""Inversion: the noise from which a given picture would be drawn.

DDIM's step (Song et al. 2021, 2010.02502) taken backwards, from clean to noise; used for editing by Mokady et al. 2023
(2211.09794) and Ju et al. 2023 (2310.01506).
"""

import torch

from difflab.guidance import classifier_free_guidance
from difflab.model import as_prompts, check_said, in_pairs, text_computed_once


@torch.no_grad()  # not inference_mode: null-text optimization differentiates on the path
def invert(model, image, prompt, *, num_inference_steps=20, guidance_scale=1.0, negative_prompt=""):
    """The path of a picture to its noise: a tensor (steps + 1, B, 4, h, w) in the order in which DDIM draws.

    ``path[0]`` is the noise to start from, ``path[i]`` where the sampler should be after i steps, and ``path[-1]`` the
    picture's own latent. It is what `prompt_to_prompt` takes as ``inverted``.

    image: one picture or a list, PIL in mode RGB or uint8 (H, W, 3), of the model's own size.
    prompt: what the picture shows: str, or a list with one for each picture. One picture with several is repeated.
    guidance_scale, negative_prompt: as in drawing. 1 is right nearly always: with guidance the errors grow from step
        to step. Raises ValueError for an empty prompt, unless guidance_scale is 0, and for pictures of another size.
    """
    arrays, prompts = in_pairs(image, prompt)
    negatives = as_prompts(negative_prompt, len(arrays), "negative prompts")
    check_said(prompts, guidance_scale)
    size = model.image_size
    for height, width, _ in (array.shape for array in arrays):
        if (width, height) != (size, size):
            raise ValueError(f"the picture is {width} x {height}; this model inverts {size} x {size}: resize it first")
    predict_noise = classifier_free_guidance(
        model.predict_noise, model.encode_text(prompts), model.encode_text(negatives), guidance_scale
    )
    model.schedule.timesteps(num_inference_steps)  # checks the number
    with text_computed_once(model.unet):
        path = list(ddim_inversion(predict_noise, model.encode_image(arrays), model.schedule, num_inference_steps))
    return torch.stack(path[::-1])


def ddim_inversion(predict_noise, x, schedule, num_inference_steps):
    """Yields x at each noise level, from the clean x (B, C, H, W) that is given to the noisiest.

    DDIM goes from x_t to x_s with the noise seen in x_t. Backwards x_t is not known yet, so the noise is taken from
    x_s, at timestep t: nearly the same where steps are small. diffusers' DDIMInverseScheduler does so too.
    """
    yield x
    timesteps = schedule.timesteps(num_inference_steps).flip(0).tolist()  # rising
    for s, t in zip([-1] + timesteps[:-1], timesteps, strict=True):
        eps = predict_noise(x, t)
        abar = schedule.alpha_bar(t, like=x)
        x = abar.sqrt() * schedule.predict_x0(x, s, eps) + (1 - abar).sqrt() * eps
        yield x

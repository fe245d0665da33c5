"""What every application is asked for, checked whole before any work; and how its steps become pictures."""

import functools
from collections.abc import Callable
from typing import NamedTuple

import torch
from torch import Tensor

from difflab.checks import check_function
from difflab.guidance import as_scales, classifier_free_guidance, guide
from difflab.inputs import as_many, as_prompts, check_said, generators
from difflab.model import LatentDiffusion, text_computed_once
from difflab.samplers import SAMPLERS, Sampler, by_name, first_step, randn


class Request(NamedTuple):
    """What is to be made, one of each for every picture. Nothing has been computed yet.

    start: how many of the first steps the sampler leaves out.
    given: what else the application gets, such as pixels, under the names that `request` was given.
    """

    model: LatentDiffusion
    prompts: list[str]
    negatives: list[str]
    guidance_scale: float | Callable[[int], float]
    combine: Callable
    sampler: Sampler
    start: int
    generators: list[torch.Generator]
    given: dict

    def noise(self, like: Tensor | None = None) -> Tensor:
        """N(0, I), each picture's from its own seed, on the model's device: (B, 4, h, w), of the model's own size or of
        that of ``like``."""
        shape = self.model.latent_shape if like is None else like.shape[1:]
        return randn((len(self.prompts), *shape), self.generators).to(self.model.device)

    def noised(self, clean: Tensor, noise: Tensor) -> Tensor:
        """Where the walk begins: the clean latents (B, 4, h, w) with as much noise as the first timestep has. With no
        step left out it is the noise alone, and nothing of the picture is left."""
        if self.start == 0 or not self.sampler.walk:
            return noise
        return self.model.schedule.add_noise(clean, noise, self.sampler.timesteps[0])

    def guided(self, predict_noise: Callable | None = None) -> Callable[[Tensor, int], Tensor]:
        """predict_noise(x, t) -> eps, with the texts closed over and guided; of the model itself, if none is given."""
        return classifier_free_guidance(
            predict_noise or self.model.predict_noise,
            self.model.encode_text(self.prompts),
            self.model.encode_text(self.negatives),
            self.guidance_scale,
            self.combine,
        )


def request(
    model: LatentDiffusion,
    prompt: str | list[str],
    *,
    strength: float = 1.0,
    num_inference_steps: int,
    guidance_scale: float | Callable[[int], float],
    negative_prompt: str | list[str] = "",
    combine: Callable = guide,
    sampler: str | Callable = "dpm++",
    seed: int | list[int] = 0,
    channels: int | None = None,
    **given: Tensor | None,
) -> Request:
    """Check what an application is asked for; a single prompt, picture or mask serves for all, as `Request` holds them.

    There are as many pictures as prompts, as seeds in a list, or as rows in the tensors of ``given``, whichever is
    more. strength: the fraction of the steps that are taken. channels: how many the U-Net will be shown, those of the
    latent if None. given: tensors with the batch first, or None.

    Raises ValueError, before any work, for anything that is not as the application's documentation says.
    """
    check_model(model)
    model.check_channels(channels or model.vae.config.latent_channels)
    check_function("combine", combine, "of two predictions and a scale: guide, rescaled(0.7)")
    as_scales(guidance_scale)
    prompts, negatives = as_prompts(prompt), as_prompts(negative_prompt)
    seeds = seed if isinstance(seed, list | tuple) else [seed]
    count = max(len(prompts), len(seeds), *(len(each) for each in given.values() if each is not None))
    prompts, negatives = as_many(prompts, count, "prompts"), as_many(negatives, count, "negative prompts")
    check_said(prompts, guidance_scale)
    random = generators(seed, count)
    start = first_step(len(model.schedule.timesteps(num_inference_steps)), strength)
    walk = by_name(sampler)(model.schedule, num_inference_steps, generator=random, start=start)
    if not isinstance(walk, Sampler):
        raise ValueError(f"sampler={sampler!r} makes no Sampler but {walk!r}: choose one of {', '.join(SAMPLERS)}")
    return Request(
        model,
        prompts,
        negatives,
        guidance_scale,
        combine,
        walk,
        start,
        random,
        {name: each if each is None else as_many(each, count, name) for name, each in given.items()},
    )


def check_model(model) -> None:
    """Raises ValueError for anything but a loaded model, such as its name."""
    if not isinstance(model, LatentDiffusion):
        raise ValueError(f"model={model!r} must be a loaded one: model = difflab.load()")


def pictures_of(to_latents: Callable, name: str, summary: str) -> Callable:
    """The function that walks an application's generator of Steps to its end and decodes: a list of PIL images.

    It has the generator's arguments and defaults, besides ``progress``; and its documentation, but for the first
    paragraph, which is ``summary``.
    """

    @torch.inference_mode()
    def draw(model, *arguments, progress=None, **settings):
        check_model(model)
        if progress is not None:
            check_function("progress", progress, "of one Step, or None")
        with text_computed_once(model.unet):
            for step in to_latents(model, *arguments, **settings):
                if progress is not None:
                    progress(step)
        return model.decode(step.x)

    functools.update_wrapper(draw, to_latents)
    draw.__name__ = draw.__qualname__ = name
    _, *details = (to_latents.__doc__ or "").split("\n\n", 1)
    draw.__doc__ = "\n\n".join([summary, "    progress: a function that is called with each Step, or None.", *details])
    return draw

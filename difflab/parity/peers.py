"""The peer's side: diffusers' pipelines and schedulers, loaded and asked as anybody would."""

import warnings
from contextlib import contextmanager
from typing import Any

import torch
from PIL import Image

from difflab.inputs import generators

BETAS: dict[str, Any] = dict(beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear")  # Stable Diffusion's
SCHEDULERS = {"dpm++": "DPMSolverMultistepScheduler", "ddim": "DDIMScheduler"}

# What both sides are asked for.
PROMPTS = ["a cat on a sofa at night", "a red car in the snow"]
SEED = 7  # of the first picture; the second has the next


def pictures(size: int) -> list[Image.Image]:
    """Two pictures to start from, size x size pixels: a gradient and a plain one."""
    return [Image.linear_gradient("L").resize((size, size)).convert("RGB"), Image.new("RGB", (size, size), "teal")]


def pipeline_of(weights, peer: str = "StableDiffusionPipeline", sampler: str = "dpm++"):
    """diffusers' pipeline on the weights, in single precision.

    weights: from `difflab.parity.weights`. peer: the name of the pipeline's class. sampler: "dpm++" or "ddim".
    """
    import diffusers

    with quietly():
        pipeline = getattr(diffusers, peer).from_pretrained(
            str(weights.folder), torch_dtype=torch.float32, **weights.parts
        )
    pipeline.set_progress_bar_config(disable=True)
    pipeline.scheduler = scheduler_of(pipeline, SCHEDULERS[sampler])
    return pipeline


def scheduler_of(pipeline, name: str, **settings):
    """The scheduler of this class, made from the configuration of the pipeline's own; settings: what is to differ."""
    import diffusers

    with quietly():
        return getattr(diffusers, name).from_config(pipeline.scheduler.config, **settings)


def drawn(pipeline, prompts=PROMPTS, **settings) -> torch.Tensor:
    """The latents that the pipeline draws for the prompts, each from its own seed: (B, 4, h, w)."""
    chosen: dict[str, Any] = dict(generator=generators(SEED, len(prompts)), output_type="latent") | settings
    return pipeline(prompts, **chosen).images


def last_x(steps) -> torch.Tensor:
    """The latents at the end of a walk of ours: (B, 4, h, w)."""
    *_, last = steps
    return last.x


@contextmanager
def quietly():
    """Without diffusers' warnings of outdated settings in old pipeline folders, which are what is being compared, and
    without bars for files that are read in a blink."""
    from diffusers.utils import logging

    from difflab.loading import no_progress_bars

    verbosity, bars = logging.get_verbosity(), logging.is_progress_bar_enabled()
    logging.set_verbosity_error()
    logging.disable_progress_bar()
    try:
        with warnings.catch_warnings(), no_progress_bars():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.set_verbosity(verbosity)
        if bars:
            logging.enable_progress_bar()

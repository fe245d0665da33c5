"""difflab: applied diffusion on a laptop. One loop, four openings: start, see, combine, after.

>>> import difflab
>>> model = difflab.load()                                      # the tiny model that ships with the package
>>> difflab.text_to_image(model, "a cat on a sofa at night")    # a list of PIL pictures

Importing the package costs little more than importing torch: diffusers and transformers are imported when a model
is loaded. Every other room (``difflab.world``, ``difflab.show``, ...) is imported when it is first named.
"""

import importlib
import importlib.util

# The application functions carry their file's name, so they are bound here, once, before anything can rebind them.
from difflab.guidance import classifier_free_guidance, guide, in_interval, rescaled
from difflab.inpaint import inpaint, inpaint_to_latents, outpaint
from difflab.instruct_pix2pix import instruct_pix2pix, instruct_pix2pix_to_latents
from difflab.invert import invert
from difflab.loop import Step, sample
from difflab.model import LatentDiffusion, load, noise, pick_device, weights_folder
from difflab.plan import plan
from difflab.prompt_to_prompt import prompt_to_prompt, prompt_to_prompt_to_latents
from difflab.samplers import SAMPLERS, Sampler, ddim, ddpm, dpmpp, euler, from_diffusers
from difflab.schedule import NoiseSchedule
from difflab.sdedit import sdedit, sdedit_to_latents
from difflab.text_to_image import text_to_image, text_to_latents

__version__ = "0.1.0"

__all__ = [
    "SAMPLERS",
    "LatentDiffusion",
    "NoiseSchedule",
    "Sampler",
    "Step",
    "classifier_free_guidance",
    "ddim",
    "ddpm",
    "dpmpp",
    "euler",
    "from_diffusers",
    "guide",
    "in_interval",
    "inpaint",
    "inpaint_to_latents",
    "instruct_pix2pix",
    "instruct_pix2pix_to_latents",
    "invert",
    "load",
    "noise",
    "pick_device",
    "outpaint",
    "plan",
    "prompt_to_prompt",
    "prompt_to_prompt_to_latents",
    "rescaled",
    "sample",
    "sdedit",
    "sdedit_to_latents",
    "text_to_image",
    "text_to_latents",
    "weights_folder",
]


def __getattr__(name):
    """Import a room of the package the first time it is named: ``difflab.world``, ``difflab.show``, ..."""
    full_name = f"{__name__}.{name}"
    if name.startswith("_") or importlib.util.find_spec(full_name) is None:
        raise AttributeError(f"difflab has no {name!r}")
    return importlib.import_module(full_name)

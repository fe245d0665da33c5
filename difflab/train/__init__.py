"""Training, the same on CPU and GPU: `difflab train --help` on the command line, `run(name, steps=...)` in Python.

`RECIPES` has a row for each weight file; its recipe is the module of that name in `difflab.train.recipes`, which has
a function `train(options)`. Nothing heavy is imported before a recipe is asked for.
"""

import importlib
from typing import TYPE_CHECKING, NamedTuple

from difflab.train import options as kinds

if TYPE_CHECKING:
    from difflab.train.loop import Result


class Recipe(NamedTuple):
    """options: the dataclass of what one may choose. what: what it makes of what, for `--help`."""

    options: type
    what: str


RECIPES = {
    "tokenizer": Recipe(
        kinds.TokenizerOptions,
        "The words of the captions as a CLIPTokenizer; OUT is its folder, by default runs/tokenizer.",
    ),
    "autoencoder": Recipe(
        kinds.AutoencoderOptions,
        "Pictures to latents and back (AutoencoderKL); the model is OUT/vae, OUT by default runs/autoencoder.",
    ),
    "clip": Recipe(
        kinds.ClipOptions,
        "Text tower and image tower, trained to agree (CLIPModel); in OUT/clip, OUT by default runs/clip.",
    ),
    "unet": Recipe(
        kinds.DenoisingOptions,
        "Noisy latents and text to their noise (UNet2DConditionModel); in OUT/unet, OUT by default runs/unet.",
    ),
    "pix2pix": Recipe(
        kinds.EditOptions,
        "A U-Net that sees a picture and reads what to do with it; in OUT/unet, OUT by default runs/pix2pix.",
    ),
    "inpaint": Recipe(
        kinds.AdapterOptions,
        "A U-Net that sees a mask and the picture around it; in OUT/unet, OUT by default runs/inpaint.",
    ),
    "web": Recipe(
        kinds.AdapterOptions,
        "A U-Net half of whose captions belonged to other pictures; in OUT/unet, OUT by default runs/web.",
    ),
    "judge": Recipe(
        kinds.Options,
        "What is in a picture (the oracle that measures the others); in OUT/judge, OUT by default runs/judge.",
    ),
    "readers": Recipe(
        kinds.ReadersOptions,
        "Depth, classes and joints of a picture; in OUT/readers, OUT by default runs/readers.",
    ),
}


def run(name: str, **options) -> "Result":
    """Run a recipe. The options are those of its dataclass, as on the command line: `run("unet", out="runs/mine")`.

    Raises ValueError, before any work, for an unknown name and for options that make no sense; FloatingPointError when
    the training stops giving numbers.
    """
    if name not in RECIPES:
        raise ValueError(f"recipe={name!r} is unknown; choose one of {', '.join(RECIPES)}")
    chosen = RECIPES[name].options(**options)
    return importlib.import_module(f"difflab.train.recipes.{name}").train(chosen)

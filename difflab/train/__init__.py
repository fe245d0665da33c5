"""One training recipe per weight file, the same on CPU and GPU: `python -m difflab.train --help`.

`RECIPES` maps the names of the recipes to the modules that hold them; each has a function `train`. Nothing heavy is
imported before a recipe is asked for.
"""

import importlib
from collections.abc import Callable

RECIPES = {
    "autoencoder": "difflab.train.autoencoder",
    "tokenizer": "difflab.train.tokenizer",
    "clip": "difflab.train.clip",
    "unet": "difflab.train.unet",
    "pix2pix": "difflab.train.pix2pix",
    "inpaint": "difflab.train.inpaint",
    "judge": "difflab.train.judge",
}


def recipe(name: str) -> Callable:
    """The `train` function of a recipe; raises ValueError for an unknown name."""
    if name not in RECIPES:
        raise ValueError(f"recipe={name!r} is unknown; choose one of {', '.join(RECIPES)}")
    return importlib.import_module(RECIPES[name]).train

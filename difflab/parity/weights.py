"""The weights that comparisons are made on: those that ship, and small random ones for the many that do not."""

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from difflab.loading import load, weights_folder
from difflab.model import LatentDiffusion
from difflab.parity.random_weights import SMALL_UNET, random_pipeline, random_xl_pipeline
from difflab.parity.samplers import toy_noise


class Weights(NamedTuple):
    """Weights as both sides load them.

    label: how rows call them. model: ours, on the CPU in single precision. folder: the pipeline folder that diffusers
    reads. parts: what it takes in place of the folder's, by name.
    """

    label: str
    model: LatentDiffusion
    folder: Path
    parts: dict[str, Any]


def in_folder(label: str, folder: Path) -> Weights:
    """The weights of a pipeline folder."""
    return Weights(label, load(str(folder), device="cpu"), folder, {})


def with_adapter(name: str) -> Weights:
    """The shipped weights with the U-Net of another task: "tiny-pix2pix" or "tiny-inpaint"."""
    model = load(name, device="cpu")
    return Weights("shipped weights", model, weights_folder(), {"unet": model.unet})


#: name -> a function that makes the weights, given a folder to write random ones into.
WEIGHTS: dict[str, Callable[[Path], Any]] = {
    "toy": lambda _: toy_noise,
    "tiny": lambda _: in_folder("shipped weights", weights_folder()),
    "tiny-pix2pix": lambda _: with_adapter("tiny-pix2pix"),
    "tiny-inpaint": lambda _: with_adapter("tiny-inpaint"),
    "random": lambda folder: in_folder("random small SD 1.5, epsilon", random_pipeline(folder)),
    "random v": lambda folder: in_folder(
        "random small SD 1.5, v_prediction", random_pipeline(folder, prediction_type="v_prediction")
    ),
    "random, 8 channels": lambda folder: in_folder(
        "random small SD 1.5", random_pipeline(folder, unet=SMALL_UNET | dict(in_channels=8))
    ),
    "random, 9 channels": lambda folder: in_folder(
        "random small SD 1.5", random_pipeline(folder, unet=SMALL_UNET | dict(in_channels=9))
    ),
    "random XL": lambda folder: in_folder("random small SDXL", random_xl_pipeline(folder)),
}


def weights_in(scratch) -> Callable[[str], Any]:
    """A function from a name of `WEIGHTS` to those weights, made once, when first asked for; ``scratch``: an empty
    folder for the random ones, which has to last as long."""
    return functools.cache(lambda name: WEIGHTS[name](Path(scratch) / name))

"""How far difflab is from diffusers, measured: samplers against schedulers, applications against pipelines.

Each file compares one application with its peer; `TABLE` says on which weights. The book prints the rows, and the tests
read the same table.
"""

import tempfile
from collections.abc import Callable, Iterable
from typing import NamedTuple

from difflab.parity import (
    attention,
    guidance,
    inpaint,
    instruct_pix2pix,
    invert,
    prompt_to_prompt,
    samplers,
    sdedit,
    text_to_image,
)
from difflab.parity.peers import pipeline_of, quietly
from difflab.parity.random_weights import SMALL_UNET, random_pipeline, random_xl_pipeline
from difflab.parity.row import Row, largest_difference
from difflab.parity.weights import WEIGHTS, Weights, weights_in

__all__ = [
    "SMALL_UNET", "TABLE", "WEIGHTS", "Comparison", "Row", "Weights", "largest_difference", "pipeline_of", "quietly",
    "random_pipeline", "random_xl_pipeline", "table", "weights_in",
]  # fmt: skip


class Comparison(NamedTuple):
    """What is compared: a function from weights to rows, the names of the weights in `WEIGHTS`, and its settings."""

    compare: Callable[..., Iterable[Row]]
    on: tuple[str, ...]
    settings: dict = {}

    @property
    def application(self) -> str:
        """The file that compares it."""
        return self.compare.__module__.rpartition(".")[2]

    @property
    def name(self) -> str:
        """The same, and what of it, where one file compares several things: "samplers_plugged_in"."""
        return self.compare.__name__.replace("compare", self.application)

    def rows(self, weights) -> list[Row]:
        """The comparison made on one kind of weights."""
        return list(self.compare(weights, **self.settings))


#: Everything that is compared. A new application is a file beside this one, and a line here.
TABLE = (
    Comparison(samplers.compare, ("toy",)),
    Comparison(samplers.compare_plugged_in, ("toy",)),
    Comparison(
        text_to_image.compare, ("tiny",), dict(samplers=("dpm++",), guidance_scales=(5.0,), num_inference_steps=20)
    ),
    Comparison(text_to_image.compare, ("random", "random v")),
    Comparison(
        text_to_image.compare,
        ("random XL",),
        dict(peer="StableDiffusionXLPipeline", guidance_scales=(5.0,), negative_prompts=("", "by day")),
    ),
    Comparison(guidance.compare, ("tiny", "random")),
    Comparison(attention.compare, ("tiny", "random")),
    Comparison(sdedit.compare, ("tiny", "random", "random v")),
    Comparison(prompt_to_prompt.compare, ("tiny", "random", "random v")),
    Comparison(invert.compare, ("tiny", "random", "random v")),
    Comparison(instruct_pix2pix.compare, ("tiny-pix2pix", "random, 8 channels")),
    Comparison(inpaint.compare, ("tiny", "tiny-inpaint", "random", "random v", "random, 9 channels")),
)


def table() -> list[Row]:
    """All rows of `TABLE`, computed. Takes half a minute."""
    with tempfile.TemporaryDirectory() as scratch:
        weights = weights_in(scratch)
        return [row for comparison in TABLE for name in comparison.on for row in comparison.rows(weights(name))]

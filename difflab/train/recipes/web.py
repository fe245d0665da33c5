"""The U-Net as if it had learned from the web, where many captions belong to something else: LoRA on the shipped one.

Half of the captions are of other pictures. At guidance 1 such a network draws from a mixture of what fits the text and
of everything; guidance divides the latter out again. The shipped network, whose captions all fit, needs little of it.
"""

from functools import partial
from pathlib import Path

import numpy as np

from difflab.train import adapter, data, denoising
from difflab.train.recipes.unet import PROMPTS
from difflab.train.runs import Product

RANK = 8
PRIME = 15_485_863  # so far on is the picture whose captions are taken; no length of a source is a multiple of it


class Mismatched:
    """A source of which every second caption belongs to another picture."""

    def __init__(self, source):
        self.source, self.name = source, f"mismatched-{source.name}"

    def __len__(self) -> int:
        return len(self.source)

    def __getitem__(self, index: int) -> tuple[np.ndarray, str]:
        return self.source[index]

    def captions(self, index: int, n: int) -> list[str]:
        own = self.source.captions(index, n)
        others = self.source.captions((index + PRIME) % len(self), n)
        return [(own if i % 2 == 0 else others)[i] for i in range(n)]


def open_data(folder: str | Path | None = None, *, seed: int = 0) -> tuple:
    """Training and unseen source, as `data.open_data`; captions of the first are mismatched, of the other they fit."""
    training, unseen = data.open_data(folder, seed=seed)
    return Mismatched(training), unseen


TASK = denoising.Task(
    product=Product(
        name="web",
        kind="LoRA on UNet2DConditionModel",
        method="half of the captions taken from other pictures; LoRA (Hu et al. 2021, arXiv 2106.09685) on the shipped "
        "U-Net",
        folder="unet",
    ),
    open_data=open_data,
    prompts=PROMPTS,
    defaults={"steps": 900, "decay_from": 0.4, "pictures": 12_000},
)
attach = partial(adapter.inputs_and_lora, rank=RANK)
train = partial(adapter.train, TASK, attach)

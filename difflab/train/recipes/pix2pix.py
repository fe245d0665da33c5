"""The U-Net of InstructPix2Pix: it sees a picture and reads what to do with it (Brooks et al. 2023, arXiv 2211.09800).

Four more input channels take the latent of the picture before. One text in ten is dropped and one picture in ten, half
of them together (section 3.2.1), so that both can be guided.
"""

from functools import partial
from pathlib import Path

import numpy as np
from torch import Tensor

from difflab import world
from difflab.train import adapter, data, denoising
from difflab.train.runs import Product


class WorldEdits(data.Drawn):
    """Edits of the tiny world: item i is the picture after and the instruction; `seen(i)` is the picture before."""

    def __init__(self, count: int, seed: int, world=world):
        super().__init__("edits", count, seed, world)

    def __getitem__(self, index: int) -> tuple[np.ndarray, str]:
        edit = self.world.edit(self.seed, index)
        return self.world.render(edit.after), edit.instruction

    def seen(self, index: int) -> np.ndarray:
        return self.world.render(self.world.edit(self.seed, index).before)

    def captions(self, index: int, n: int) -> list[str]:
        edit = self.world.edit(self.seed, index)
        rng = np.random.default_rng([self.seed, index, 1])
        return [edit.instruction] + [self.world.reworded(edit, rng) for _ in range(n - 1)]


class FolderEdits(data.Folder):
    """Your own: each line of `metadata.jsonl` names the picture after (`file_name`), the one `before`, and the `text`
    that leads from one to the other."""

    PICTURES = ("file_name", "before")

    def __init__(self, folder: str | Path):
        super().__init__(folder)
        self.name = f"edits-{self.name}"

    def seen(self, index: int) -> np.ndarray:
        return self.picture(self.entries[index]["before"])


def before(source, indices) -> np.ndarray:
    """The pictures before: uint8 (N,128,128,3)."""
    return np.stack([source.seen(i) for i in indices])


def encode_edits(source, indices, encode) -> dict[str, Tensor]:
    """The latents of the pictures after; and of those before, which Brooks et al. left unscaled."""
    mean, std = encode(data.stack(source, indices))
    return {"mean": mean, "std": std, "seen": encode(before(source, indices))[0] / encode.scaling_factor}


TASK = denoising.Task(
    product=Product(
        name="pix2pix",
        kind="UNet2DConditionModel, input layer and LoRA",
        method="a U-Net that sees a picture and reads an instruction (Brooks et al. 2023, arXiv 2211.09800): a new "
        "input layer, and LoRA (Hu et al. 2021, arXiv 2106.09685) on the shipped U-Net",
        folder="unet",
    ),
    open_data=partial(data.open_data, world=WorldEdits, own=FolderEdits),
    encode=encode_edits,
    drop=(0.05, 0.05, 0.05),
    show=before,
)
attach = partial(adapter.inputs_and_lora, channels=4)
train = partial(adapter.train, TASK, attach)

"""The U-Net of inpainting: it sees a mask and the picture around it (Rombach et al. 2022, 2112.10752, section 4.5).

Five more input channels: the mask (1 where the picture is to be filled in) and the latent of the picture with the hole
painted gray, as in Stable Diffusion's inpainting checkpoints and diffusers' pipeline for them.
"""

from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from difflab import world
from difflab.train import adapter, data, denoising
from difflab.train.runs import Product

NOTHING_THERE = 0.15  # of the training scenes: only the place, so that a hole can also be filled with no thing
GRAY = 128


class MaskedWorld(data.Drawn):
    """Scenes of the tiny world, some of them empty: item i is the picture and its caption, `seen(i)` the mask."""

    def __init__(self, count: int, seed: int, world=world):
        super().__init__("masked", count, seed, world)

    def scene(self, index: int):
        rng = np.random.default_rng([self.seed, index])
        scene = self.world.random_scene(rng)
        if rng.random() < NOTHING_THERE:
            scene = replace(scene, things=(), relation="alone")
        return scene

    def __getitem__(self, index: int) -> tuple[np.ndarray, str]:
        return self.world.render(self.scene(index)), self.captions(index, 1)[0]

    def seen(self, index: int) -> np.ndarray:
        return self.world.random_mask(np.random.default_rng([self.seed, index, 2]), self.scene(index))

    def captions(self, index: int, n: int) -> list[str]:
        rng = np.random.default_rng([self.seed, index, 1])
        return [self.scene(index).caption(rng) for _ in range(n)]


class MaskedFolder(data.Folder):
    """Your own pictures and captions, with random masks."""

    def __init__(self, folder: str | Path):
        super().__init__(folder)
        self.name = f"masked-{self.name}"

    def seen(self, index: int) -> np.ndarray:
        return world.random_mask(np.random.default_rng([index, 2]), world.Scene(()))


def masked(source, indices) -> np.ndarray:
    """The pictures with their holes painted gray: uint8 (N,128,128,3)."""
    masks = np.stack([source.seen(i) for i in indices])[..., None]
    return np.where(masks, GRAY, data.stack(source, indices)).astype(np.uint8)


def encode_masked(source, indices, encode) -> dict[str, Tensor]:
    """The latents of the pictures; what is seen are the mask, every eighth pixel of it, and the masked latents."""
    mean, std = encode(data.stack(source, indices))
    masks = torch.from_numpy(np.stack([source.seen(i) for i in indices])[:, None])  # N,1,128,128
    step = masks.shape[-1] // mean.shape[-1]
    seen = torch.cat([masks[..., ::step, ::step].float(), encode(masked(source, indices))[0]], 1)
    return {"mean": mean, "std": std, "seen": seen}


TASK = denoising.Task(
    product=Product(
        name="inpaint",
        kind="UNet2DConditionModel, input layer and LoRA",
        method="a U-Net that sees a mask and the picture around it (Rombach et al. 2022, arXiv 2112.10752): a new "
        "input layer, and LoRA (Hu et al. 2021, arXiv 2106.09685) on the shipped U-Net",
        folder="unet",
    ),
    open_data=partial(data.open_data, world=MaskedWorld, own=MaskedFolder),
    encode=encode_masked,
    show=masked,
)
attach = partial(adapter.inputs_and_lora, channels=5)
train = partial(adapter.train, TASK, attach)

"""Readers: one small network that tells depth, classes and joints of a picture of the tiny world, where no truth is.

>>> difflab.hints(picture, "depth")     # what a control takes, of a picture of your own
>>> readers.read(pictures)[0].joints    # and what is measured of one that was made

It was trained on fresh scenes, whose truth is known, with all nouns and poses, those held out of the diffusion model's
training too. Its own error on unseen true scenes stands on its card: read it as the ceiling of what it measures.
"""

from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image
from torch import Tensor, nn

from difflab.inputs import as_arrays, to_tensor
from difflab.metrics import FAR
from difflab.world import hints as world_hints
from difflab.world.figure import JOINTS
from difflab.world.hints import CLASS_OF, CLASSES, GROUND, canny

FOLDER = Path(__file__).parent / "weights" / "readers"
SIDE = 128  # pictures are read at this size
CELL = 2  # pixels of a cell in which a joint is looked for


class Readers(nn.Module):
    """Pictures (B, 3, 128, 128) in [-1, 1] to a dict of what is read in them. A U-Net (Ronneberger et al. 2015).

    ``depth`` (B, 1, 128, 128) and ``classes`` (B, classes, 128, 128): logits of nearness and of the classes;
    ``joints`` (B, 14, 64, 64): logits of where each joint is; ``figure`` (B,): of there being a superhero at all.
    """

    def __init__(self, width: int = 24):
        super().__init__()
        widths = [width, 2 * width, 3 * width, 4 * width]  # at 64, 32, 16 and 8 positions a side
        self.stem = block(3, width, 2)
        self.levels = nn.ModuleList([nn.Sequential(block(c, c), block(c, c)) for c in widths])
        self.down = nn.ModuleList([block(a, b, 2) for a, b in zip(widths, widths[1:], strict=False)])
        self.up = nn.ModuleList([block(b, a) for a, b in zip(widths, widths[1:], strict=False)])
        self.joined = nn.ModuleList([block(c, c) for c in widths[:-1]])
        self.pixels = nn.Conv2d(width, CELL**2 * (1 + len(CLASSES)), 1)
        self.joints = nn.Conv2d(width, len(JOINTS), 1)
        self.figure = nn.Linear(widths[-1], 1)

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        h = self.levels[0](self.stem(x))  # B,w,64,64
        seen = []
        for down, level in zip(self.down, self.levels[1:], strict=True):
            seen.append(h)
            h = level(down(h))
        figure = self.figure(h.amax((2, 3)))[:, 0]
        for up, joined, skip in zip(reversed(self.up), reversed(self.joined), reversed(seen), strict=True):
            h = joined(F.interpolate(up(h), scale_factor=2.0, mode="bilinear") + skip)
        pixels = F.pixel_shuffle(self.pixels(h), CELL)  # B,1+classes,128,128
        return {"depth": pixels[:, :1], "classes": pixels[:, 1:], "joints": self.joints(h), "figure": figure}


def block(c_in: int, c_out: int, stride: int = 1) -> nn.Sequential:
    """A convolution of 3 x 3, normalized in groups: (B, c_in, H, W) -> (B, c_out, H / stride, W / stride)."""
    conv = nn.Conv2d(c_in, c_out, 3, stride, 1, bias=False)
    return nn.Sequential(conv, nn.GroupNorm(8, c_out), nn.ReLU(inplace=True))


class Reading(NamedTuple):
    """What was read in one picture.

    depth   (128, 128) float32 in [0, 1]: nearness, 1 in front
    classes (128, 128) uint8: numbers into `world.hints.CLASSES`
    joints  (14, 2) float32: x and y in pixels, in the order of `world.figure.JOINTS`; None without a superhero
    """

    depth: np.ndarray
    classes: np.ndarray
    joints: np.ndarray | None


@lru_cache(maxsize=1)
def load_readers(folder: str | Path = FOLDER) -> Readers:
    """The trained network of a folder as `difflab train assemble --readers` writes it; left out, the package's own.

    Raises ValueError when its weight file is missing or damaged.
    """
    from difflab.loading import read_weights, verify

    folder = Path(folder)
    verify(folder)
    weights = {name: tensor.float() for name, tensor in read_weights(folder / "readers.safetensors").items()}
    readers = Readers(width=len(weights["stem.0.weight"]))
    readers.load_state_dict(weights)
    return readers.eval()


@torch.inference_mode()
def read(pictures, readers: Readers | None = None) -> list[Reading]:
    """Read pictures, one or a list: PIL in mode RGB, or uint8 (128, 128, 3).

    readers: another network than the one that ships. Raises ValueError for anything else, and for another size.
    """
    arrays = as_arrays(pictures)
    for array in arrays:
        if array.shape != (SIDE, SIDE, 3):
            raise ValueError(f"pictures of {SIDE} x {SIDE} pixels are read, not {array.shape[1]} x {array.shape[0]}")
    readers = readers or load_readers()
    readings = []
    for start in range(0, len(arrays), 32):
        out = {name: logits.float() for name, logits in readers(to_tensor(arrays[start : start + 32])).items()}
        depth, classes = out["depth"][:, 0].sigmoid().numpy(), out["classes"].argmax(1).byte().numpy()
        joints, there = peaks(out["joints"]).numpy(), (out["figure"] > 0).tolist()
        readings += [Reading(d, c, j if t else None) for d, c, j, t in zip(depth, classes, joints, there, strict=True)]
    return readings


def peaks(logits: Tensor) -> Tensor:
    """Where each joint is likeliest, between cells by their weights: (B, joints, h, w) -> (B, joints, 2) in pixels."""
    height, width = logits.shape[2:]
    best = logits.flatten(2).argmax(-1)  # B,joints
    y, x = torch.arange(height)[:, None], torch.arange(width)
    near = ((y - (best // width)[..., None, None]).abs() <= 1) & ((x - (best % width)[..., None, None]).abs() <= 1)
    weight = logits.masked_fill(~near, -torch.inf).flatten(2).softmax(-1).unflatten(-1, (height, width))
    return (torch.stack([(weight * x).sum((2, 3)), (weight * y).sum((2, 3))], -1) + 0.5) * CELL


def hints(pictures, kind: str, seed: int = 0, readers: Readers | None = None) -> list[Image.Image]:
    """What a control takes, of any pictures: depth, canny, sketch, pose or segmentation, in the look of `world.hint`.

    pictures: one or a list, PIL in mode RGB or uint8 (128, 128, 3); for canny, of any size. kind: one of `world.HINTS`.
    seed: whose hand sketches. readers: as for `read`; canny needs no network.

    Raises ValueError for anything else.
    """
    world_hints.check_kind(kind)
    if kind == "canny":
        return [Image.fromarray(world_hints.paint_lines(canny(array))) for array in as_arrays(pictures)]
    paint = {
        "depth": lambda reading: world_hints.paint_depth(reading.depth),
        "segmentation": lambda reading: world_hints.paint_classes(reading.classes),
        "pose": lambda reading: world_hints.paint_pose([] if reading.joints is None else [reading.joints]),
        "sketch": lambda reading: world_hints.sketch(
            [reading.classes == number for number in sorted(set(CLASS_OF.values()))], reading.classes == GROUND, seed
        ),
    }[kind]
    return [Image.fromarray(paint(reading)) for reading in read(pictures, readers)]


def loss(out: dict[str, Tensor], target: dict[str, Tensor]) -> Tensor:
    """How far answers are from the truth: nearness as it is and as a distance's logarithm, the cross-entropies of
    classes and of joints, where there are some in the picture, and of there being a figure.

    target: ``depth`` (B, 128, 128) in [0, 1], ``classes`` (B, 128, 128), ``joints`` (B, 14, 2) in pixels, NaN where
    there is none.
    """
    depth = out["depth"][:, 0].sigmoid()
    far = (depth.clamp_min(FAR).log() - target["depth"].clamp_min(FAR).log()).abs().mean()
    total = 4 * F.l1_loss(depth, target["depth"]) + 0.5 * far
    total = total + F.cross_entropy(out["classes"], target["classes"].long())
    known = ~target["joints"].isnan().any(-1)  # B,14
    total = total + 0.3 * F.binary_cross_entropy_with_logits(out["figure"], known.any(-1).float())
    if known.any():
        total = total + 0.3 * missed(out["joints"][known], target["joints"][known])
    return total


def missed(logits: Tensor, points: Tensor) -> Tensor:
    """Cross-entropy of where points (N, 2) in pixels are said to be, (N, h, w), each shared by the cells around it."""
    height, width = logits.shape[1:]
    chances = logits.flatten(1).log_softmax(-1)
    at = (points / CELL - 0.5).clamp(min=0)
    corner = at.floor()
    part = at - corner
    total = torch.zeros((), device=logits.device)
    for right in (0, 1):
        for below in (0, 1):
            x = (corner[:, 0].long() + right).clamp(max=width - 1)
            y = (corner[:, 1].long() + below).clamp(max=height - 1)
            weight = (part[:, 0] if right else 1 - part[:, 0]) * (part[:, 1] if below else 1 - part[:, 1])
            total = total - (weight * chances.gather(1, (y * width + x)[:, None])[:, 0]).mean()
    return total

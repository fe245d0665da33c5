"""The readers of `difflab.readers`, trained on scenes with their truth."""

from functools import lru_cache, partial
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from difflab import metrics, readers, world
from difflab.train import data, reading
from difflab.train.loop import Result
from difflab.train.options import ReadersOptions
from difflab.train.runs import Product
from difflab.world import figure, first, layout
from difflab.world.hints import classes
from difflab.world.nouns import ANY_POSE
from difflab.world.render import layers

FULL = {"steps": 4_000, "batch_size": 24, "learning_rate": 2e-3, "validate_minutes": 5.0}
FULL |= {"width": 24, "validation": 240}
SMOKE = FULL | {"steps": 6, "batch_size": 8, "width": 8, "validation": 8}
READERS = Product(
    name="readers",
    kind="Readers",
    method="a U-Net that reads depth, classes and joints, trained on the tiny world's scenes with their truth",
    folder="readers",
)
SCENES = 8_000  # as many are drawn, and kept in memory (0.7 GB): to draw one takes longer than to learn from it
POSED, HELD_OUT = 3, 10  # one scene in so many has a superhero, in any pose; one a noun that is held out
BESIDE = ("alone", "left of", "right of", "in front of", "behind")
EVERY_POSE = (*world.POSES, *world.HELD_OUT_POSES, *4 * [ANY_POSE])


class Known(NamedTuple):
    """A picture uint8 (128,128,3) and what is true of it: nearness in steps of 255 uint8 (128,128), classes uint8
    (128,128), joints float32 (14,2), NaN where there is none in the picture."""

    picture: np.ndarray
    depth: np.ndarray
    classes: np.ndarray
    joints: np.ndarray


@lru_cache(maxsize=SCENES)
def draw_sample(seed: int, index: int, source: str | None) -> Known:
    """A scene with its truth: of the first world, or, where the source is "free", of the freer one."""
    given = {}
    if index % POSED == 0 and source == data.FREE:
        turn, number = divmod(index // POSED, len(EVERY_POSE))
        given = {"noun": "superhero", "relation": BESIDE[turn % len(BESIDE)], "pose": EVERY_POSE[number]}
    elif index % POSED == 0:
        given = {"noun": "superhero", "relation": "alone"}  # the first world knows four poses, and draws them all
    elif index % HELD_OUT == 1:
        given = {"noun": world.HELD_OUT_NOUNS[index // HELD_OUT % len(world.HELD_OUT_NOUNS)], "relation": "alone"}
    sample = world.sample(seed, index, layout=layout if source == data.FREE else first, **given)
    masks, depth, skeletons = layers(sample.scene)
    joints = next((joints for joints in skeletons if joints is not None), np.full((14, 2), np.nan, np.float32))
    seen = ((joints >= 0) & (joints < data.SIZE)).all(1, keepdims=True)
    depth = (depth * 255).round().astype(np.uint8)
    return Known(sample.picture, depth, classes(sample.scene, masks), np.where(seen, joints, np.float32(np.nan)))


def draw(seed: int, source: str | None, generator: torch.Generator, n: int) -> dict[str, Tensor]:
    """A batch of `Known`, of the series `seed`; every second one as a mirror shows it."""
    known = [draw_sample(seed, i, source) for i in torch.randint(0, SCENES, (n,), generator=generator).tolist()]
    columns = zip(*known, strict=True)
    batch = {name: torch.from_numpy(np.stack(each)) for name, each in zip(Known._fields, columns, strict=True)}
    return mirrored(batch) if torch.rand((), generator=generator) < 0.5 else batch


def mirrored(batch: dict[str, Tensor]) -> dict[str, Tensor]:
    """The batch as a mirror shows it, in which right hands look like left ones."""
    flipped = {name: batch[name].flip(2) for name in ("picture", "depth", "classes")}
    x, y = batch["joints"][:, figure.MIRRORED].unbind(-1)
    return flipped | {"joints": torch.stack([data.SIZE - x, y], -1)}


def loss(answers: dict[str, Tensor], batch: dict[str, Tensor]) -> Tensor:
    """That of the readers, of a batch whose nearness is in steps of 255."""
    return readers.loss(answers, batch | {"depth": batch["depth"].float() / 255})


def validate(seed: int, source: str | None, count: int, network: readers.Readers) -> dict[str, float]:
    """Their error on unseen scenes."""
    unseen = [draw_sample(data.UNSEEN_SEED + seed, index, source) for index in range(count)]
    return ceiling(readers.read([each.picture for each in unseen], network), unseen)


def train(options: ReadersOptions) -> Result:
    """Train the readers into `options.out`; `readers/readers.safetensors` there is their weight file."""
    sizes = SMOKE if options.smoke else FULL
    series = options.seed, options.data
    examine = partial(validate, *series, sizes["validation"])
    source = options.data or "world"
    return reading.train(READERS, options, sizes, readers.Readers, partial(draw, *series), loss, examine, source)


def ceiling(readings: list[readers.Reading], known: list[Known]) -> dict[str, float]:
    """What the metrics say of readings of true pictures: the best that can be asked of any picture that is read so."""
    depths = [each.depth for each in readings], [each.depth / np.float32(255) for each in known]
    there = [not np.isnan(each.joints).all() for each in known]
    told = [each.joints is not None for each in readings]
    return {
        "depth_si_rmse": float(np.mean(metrics.depth_error(*depths))),
        "depth_within": float(np.mean(metrics.depth_within(*depths))),
        "miou": metrics.mean_iou([r.classes for r in readings], [k.classes for k in known]),
        "pck": metrics.pck([each.joints for each in readings], [each.joints for each in known]),
        "figure": float(np.mean(np.equal(told, there))),
    }

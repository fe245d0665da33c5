"""Samples of the tiny world: any number of them, each determined by a seed and an index."""

from typing import NamedTuple

import numpy as np

from . import first
from .render import render
from .scene import Scene


class Sample(NamedTuple):
    picture: np.ndarray  # (128, 128, 3) uint8
    caption: str
    scene: Scene


def sample(seed, index, *, layout=first, **given):
    """Sample ``index`` of the endless series ``seed``. ``given`` fixes parts of the scene, as in ``random_scene``.

    ``layout`` is what draws scenes: the first world, or `world.layout`, the freer one.
    """
    rng = np.random.default_rng([seed, index])
    scene = layout.random_scene(rng, **given)
    return Sample(render(scene), scene.caption(rng), scene)


def samples(n, seed=0, *, layout=first, **given):
    """The first ``n`` samples of series ``seed``: a list of (picture, caption, scene)."""
    return [sample(seed, index, layout=layout, **given) for index in range(n)]


class Dataset:
    """``n`` samples of series ``seed`` for a torch DataLoader: item i is (picture uint8 (128, 128, 3), caption)."""

    def __init__(self, n, seed=0, **given):
        self.n, self.seed, self.given = n, seed, given

    def __len__(self):
        return self.n

    def __getitem__(self, index):
        if not 0 <= index < self.n:
            raise IndexError(f"index {index} in a data set of {self.n}")
        picture, caption, _ = sample(self.seed, index, **self.given)
        return picture, caption

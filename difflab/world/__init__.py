"""The tiny world: captioned 128 x 128 scenes whose truth is known.

>>> from difflab import world
>>> picture, caption, scene = world.sample(seed=0, index=7)
>>> masks, depth, edges, skeletons = world.truth(scene)
"""

from . import layout, motion
from .data import Dataset, Sample, sample, samples
from .edits import EDITS, Edit, changed, edit, edits, random_edit, random_mask, reworded
from .first import random_scene
from .hints import HINTS, canny, hint
from .nouns import (
    BASE_NOUNS,
    COLORS,
    HATS,
    HELD_OUT_NOUNS,
    HELD_OUT_PAIRS,
    HELD_OUT_POSES,
    HELD_OUT_STYLES,
    NOUNS,
    PLACES,
    POSES,
    RELATIONS,
    STYLES,
    TIMES,
)  # fmt: skip
from .render import Truth, edges, render, truth
from .scene import SIZE, Scene, Thing, is_held_out

__all__ = [
    "BASE_NOUNS",
    "COLORS",
    "Dataset",
    "EDITS",
    "Edit",
    "HATS",
    "HELD_OUT_NOUNS",
    "HELD_OUT_PAIRS",
    "HELD_OUT_POSES",
    "HELD_OUT_STYLES",
    "HINTS",
    "NOUNS",
    "PLACES",
    "POSES",
    "RELATIONS",
    "SIZE",
    "STYLES",
    "Sample",
    "Scene",
    "TIMES",
    "Thing",
    "Truth",
    "canny",
    "changed",
    "edges",
    "edit",
    "edits",
    "hint",
    "is_held_out",
    "layout",
    "motion",
    "random_edit",
    "random_mask",
    "random_scene",
    "render",
    "reworded",
    "sample",
    "samples",
    "truth",
]

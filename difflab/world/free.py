"""The freer world under the names of `difflab.world`: its scenes are drawn by `layout`, the rest is the same."""

from functools import partial

from . import layout
from .data import Dataset, sample, samples
from .edits import EDITS, changed, edit, edits, random_edit, random_mask, reworded
from .hints import HINTS, canny, hint
from .layout import random_scene
from .render import render, truth
from .scene import Scene, Thing

sample, samples, Dataset, edit, edits, random_edit = (
    partial(f, layout=layout) for f in (sample, samples, Dataset, edit, edits, random_edit)
)

__all__ = [
    "Dataset",
    "EDITS",
    "HINTS",
    "Scene",
    "Thing",
    "canny",
    "changed",
    "edit",
    "edits",
    "hint",
    "random_edit",
    "random_mask",
    "random_scene",
    "render",
    "reworded",
    "sample",
    "samples",
    "truth",
]

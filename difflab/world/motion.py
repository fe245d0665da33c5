"""Films of the tiny world: a scene with a motion, its frames, and the truth about each frame and from one to the next.

>>> from difflab.world import motion
>>> frames, caption, film = motion.sample(seed=0, index=7)
>>> flow, occluded = motion.truth(film)[-2:]
"""

from dataclasses import replace
from math import ceil
from typing import NamedTuple

import numpy as np

from . import places
from .casting import doers, random_film
from .film import HELD_OUT_PAIRS, MOTIONS, Film, is_held_out
from .mover import Mover
from .nouns import TIMES
from .render import STYLE, layers, staged, to_uint8
from .sprites import SIZE

__all__ = [
    "Film",
    "FilmSample",
    "FilmTruth",
    "HELD_OUT_PAIRS",
    "MOTIONS",
    "doers",
    "is_held_out",
    "random_film",
    "render",
    "sample",
    "truth",
]


class FilmSample(NamedTuple):
    frames: np.ndarray  # (F, 128, 128, 3) uint8
    caption: str
    film: Film


class FilmTruth(NamedTuple):
    """What is true of a film of F frames with n things, all aligned with its frames.

    masks: (F, n, 128, 128) float32 in [0, 1]; and depth, (F, 128, 128) float32, and skeletons, F times a tuple: as in
        `Truth`, frame by frame.
    boxes: (F, n, 4) float32, left, top, right and bottom of thing i, as fractions of the picture, were it not hidden;
        beyond 0 and 1 it is outside.
    flow: (F - 1, 2, 128, 128) float32, in pixels, x to the right and y down: what pixel p of frame i shows is at
        p + flow in frame i + 1. So frame i + 1, read at p + flow, is frame i (`difflab.metrics.warped`), but for
        shadows, which have no flow of their own, and for light.
    occluded: (F - 1, 128, 128) bool, what pixel p of frame i shows is hidden or outside of the picture in frame i + 1.
    """

    masks: np.ndarray
    depth: np.ndarray
    boxes: np.ndarray
    skeletons: tuple
    flow: np.ndarray
    occluded: np.ndarray


def sample(seed: int, index: int, **given) -> FilmSample:
    """Film ``index`` of the endless series ``seed``. ``given`` fixes parts of it, as in `random_film`."""
    rng = np.random.default_rng([seed, index, 17])
    film = random_film(rng, **given)
    return FilmSample(render(film), film.caption(rng), film)


# -- pictures ---------------------------------------------------------------------------------------------------------


def render(film: Film) -> np.ndarray:
    """The frames of a film: (F, 128, 128, 3) uint8."""
    scene, camera = film.scene, film.camera
    width = SIZE + ceil(camera.max())
    if film.motion == "getting dark":
        lights = [staged(replace(scene, time=time), _backdrop(scene, time, width)) for time in TIMES]
        pictures = (_between(lights, u) for u in film.times)
    else:
        wide = _backdrop(scene, scene.time, width)
        pictures = (staged(each, _view(wide, x)) for each, x in zip(film.scenes, camera, strict=True))
    return np.stack([STYLE[scene.style](to_uint8(picture)) for picture in pictures])


def _backdrop(scene, time, width):
    return places.backdrop(scene.place, time, scene.backdrop, width)


def _between(pictures, u):
    """A picture on the way from the first, at u = 0, to the last, at u = 1."""
    i = min(int(u * (len(pictures) - 1)), len(pictures) - 2)
    part = np.float32(u * (len(pictures) - 1) - i)
    return pictures[i] + part * (pictures[i + 1] - pictures[i])


def _view(wide, x):
    """The picture that begins at column ``x`` of a wide one; between columns by Lanczos' filter of three lobes."""
    first, part = int(x // 1), x % 1
    if not part:
        return wide[:, first : first + SIZE].copy(order="K")  # channel by channel, as `planar` has it
    taps = np.arange(-2, 4)
    weights = np.sinc(taps - part) * np.sinc((taps - part) / 3)
    padded = np.pad(wide.transpose(2, 0, 1), ((0, 0), (0, 0), (2, 3)), mode="edge")
    columns = np.stack([padded[..., first + k : first + k + SIZE] for k in range(len(taps))])
    return np.tensordot((weights / weights.sum()).astype(np.float32), columns, 1).transpose(1, 2, 0)


# -- truth ------------------------------------------------------------------------------------------------------------


def truth(film: Film) -> FilmTruth:
    """Masks, depth, boxes and skeletons of every frame, optical flow and occlusion from each to the next."""
    scenes, camera = film.scenes, film.camera
    masks, depth, skeletons = zip(*map(layers, scenes), strict=True)
    masks = np.stack(masks)
    shown = np.concatenate([1 - masks.sum(1, keepdims=True), masks], 1)  # F, 1 + n, 128, 128: the backdrop, then things
    pairs = zip(scenes, scenes[1:], np.diff(camera), shown, shown[1:], strict=False)
    ahead = [_ahead(*pair) for pair in pairs]
    return FilmTruth(
        masks,
        np.stack(depth),
        np.array([[_box(thing) for thing in scene.things] for scene in scenes], np.float32),
        skeletons,
        np.stack([flow for flow, _ in ahead]).astype(np.float32),
        np.stack([occluded for _, occluded in ahead]),
    )


def _ahead(scene, after, panned, shown, shown_after):
    """Flow (2, 128, 128) and occlusion (128, 128) from a frame to the one after it.

    Every pixel belongs to what it shows most of. That is hidden where less than half as much of it is seen as before.
    """
    grid = np.stack(np.meshgrid(np.arange(SIZE) + 0.5, np.arange(SIZE) + 0.5), -1)  # 128, 128, 2: x and y
    flow, seen, owner = np.zeros_like(grid), np.zeros((SIZE, SIZE)), shown.argmax(0)
    for i in range(len(shown)):
        here = owner == i
        old = grid[here]
        new = old - (panned, 0) if i == 0 else _carried(scene.things[i - 1], after.things[i - 1], old)
        flow[here], seen[here] = new - old, _read(shown_after[i], new)
    target = grid + flow
    outside = (target < 0).any(-1) | (target > SIZE).any(-1)
    return flow.transpose(2, 0, 1), outside | (seen < 0.5 * shown.max(0))


def _carried(thing, after, points):
    """Where points (m, 2) of a thing are in the frame after."""
    if not isinstance(thing, Mover):
        return points
    turn = after.matrix @ np.linalg.inv(thing.matrix)
    return (points - thing.middle) @ turn.T + after.middle


def _read(values, points):
    """Values (128, 128) at points (m, 2) in pixels, between the middles of pixels bilinearly."""
    x, y = np.clip(points.T - 0.5, 0, SIZE - 1)
    left, top = np.minimum(x.astype(int), SIZE - 2), np.minimum(y.astype(int), SIZE - 2)
    x, y = x - left, y - top
    above = values[top, left] * (1 - x) + values[top, left + 1] * x
    below = values[top + 1, left] * (1 - x) + values[top + 1, left + 1] * x
    return above * (1 - y) + below * y


def _box(thing):
    rgba, left, top = thing.placed()
    solid = rgba[..., 3] > 127
    rows, columns = np.nonzero(solid.any(1))[0], np.nonzero(solid.any(0))[0]
    return np.array((left + columns[0], top + rows[0], left + columns[-1] + 1, top + rows[-1] + 1)) / SIZE

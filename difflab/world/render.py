"""From a scene to its picture, and to the truth about that picture."""

from typing import NamedTuple

import numpy as np
from PIL import Image, ImageFilter

from . import first, places
from .scene import shape
from .sprites import SIZE, paste

TINT = {"day": (1, 1, 1), "sunset": (1.0, 0.88, 0.80), "night": (0.72, 0.75, 0.96)}  # the light that falls on things
INDOOR_NIGHT, STARLIGHT = (0.82, 0.8, 0.94), (0.94, 0.92, 1.0)


class Truth(NamedTuple):
    """What is true of a rendered scene, all aligned with its picture.

    masks: (n, 128, 128) float32 in [0, 1], how much of each pixel shows thing i (hidden parts count 0).
    depth: (128, 128) float32 in [0, 1], nearness: 1 in front and 0 far away, as MiDaS and depth-to-image use it.
    edges: (128, 128) float32 in [0, 1], strength of the picture's outlines.
    skeletons: for each thing, (14, 2) joints x, y in pixels for a superhero, in the order of `figure.JOINTS`, which is
        OpenPose's; None for anything else.
    """

    masks: np.ndarray
    depth: np.ndarray
    edges: np.ndarray
    skeletons: tuple


def render(scene):
    """The picture of a scene: (128, 128, 3) uint8."""
    return STYLE[scene.style](to_uint8(staged(scene, _backdrop(scene))))


def staged(scene, picture):
    """Lay the things of a scene over a picture of its place, (128, 128, 3) float32 in [0, 1]; returns the picture."""
    light = _light(scene)
    for i in _from_back(scene):
        if _casts_shadow(scene, i):
            shadow, x, y = scene.things[i].shadow()
            paste(picture, shadow, x, y, np.float32(1))
        sprite, x, y = scene.things[i].placed()
        paste(picture, sprite, x, y, light)
    return picture


def to_uint8(picture):
    return np.ascontiguousarray((np.clip(picture, 0, 1) * 255 + 0.5).astype(np.uint8))


def truth(scene):
    """Masks, depth, edges and skeletons of a scene: a Truth."""
    masks, depth, skeletons = layers(scene)
    return Truth(masks, depth, edges(render(scene)), skeletons)


def layers(scene):
    """Masks, depth and skeletons of a scene, as in `Truth`: what can be told without painting it."""
    masks = np.zeros((len(scene.things), SIZE, SIZE), np.float32)
    rows = (np.arange(SIZE) + 0.5) / SIZE
    start = ground_line(scene)
    slope = np.clip((rows - start) / max(1 - start, 0.05), 0, 1) if scene.place != "space" else 0 * rows
    depth = np.repeat(0.9 * slope[:, None], SIZE, 1).astype(np.float32)
    for i in _from_back(scene):
        canvas = shape(scene.things[i])
        masks *= 1 - canvas
        masks[i] = canvas
        foot = np.clip((scene.things[_base(scene, i)].ground - start) / max(1 - start, 0.05), 0.3, 1)
        depth += canvas * (0.9 * foot + 0.1 - depth)
    return masks, depth, tuple(thing.joints() for thing in scene.things)


def edges(picture):
    """Outlines of any (H, W, 3) uint8 picture: Sobel gradient of its smoothed colors, (H, W) float32 in [0, 1]."""
    smooth = np.asarray(Image.fromarray(picture).filter(ImageFilter.GaussianBlur(1.0))).astype(np.float32) / 255
    padded = np.pad(smooth, ((1, 1), (1, 1), (0, 0)), mode="edge")
    across = padded[:, 2:] - padded[:, :-2]
    across = across[:-2] + 2 * across[1:-1] + across[2:]
    down = padded[2:] - padded[:-2]
    down = down[:, :-2] + 2 * down[:, 1:-1] + down[:, 2:]
    return np.clip(np.sqrt(across**2 + down**2).max(-1) / 1.5, 0, 1)


def _backdrop(scene):
    if isinstance(scene.backdrop, tuple):
        return first.picture(scene)
    return places.backdrop(scene.place, scene.time, scene.backdrop)


def ground_line(scene):
    """Where the ground begins, as a fraction of the picture's height. Space has none, whatever this says of it."""
    if isinstance(scene.backdrop, tuple):
        return first.horizon(scene)
    return places.horizon(scene.place, scene.backdrop)


def _light(scene):
    light = (
        STARLIGHT
        if scene.place == "space"
        else INDOOR_NIGHT
        if (scene.place, scene.time) == ("room", "night")
        else TINT[scene.time]
    )
    return np.array([*light, 1], np.float32) / 255


def _from_back(scene):
    """The indices of things, from back to front."""
    carried = _carried(scene)
    return sorted(range(len(scene.things)), key=lambda i: (scene.things[_base(scene, i)].ground, i == carried))


def _carried(scene):
    """The index of the rider or the hat, if there is one."""
    return {"on": 0, "wearing": 1}.get(scene.relation)


def _base(scene, i):
    """The index of the thing that carries thing ``i``: mostly itself."""
    return 1 - i if i == _carried(scene) else i


def _casts_shadow(scene, i):
    hovers = isinstance(scene.backdrop, tuple) and scene.things[i].y <= 0.7  # what the first world knows of flying
    return scene.place != "space" and i != _carried(scene) and not hovers


def _pencil_sketch(picture):
    """Color dodge: gray divided by its blurred inverse leaves lines and soft shading on white paper."""
    gray = np.asarray(Image.fromarray(picture).convert("L"))
    blurred = np.asarray(Image.fromarray(255 - gray).filter(ImageFilter.GaussianBlur(4))).astype(np.float32)
    lines = np.clip(gray / np.maximum(255 - blurred, 1), 0, 1) ** 1.6 * (0.75 + 0.25 * gray / 255)
    return np.repeat((lines * 255 + 0.5).astype(np.uint8)[..., None], 3, 2)


def _blueprint(picture):
    """White outlines on blue paper."""
    ink = np.clip(edges(picture) * 1.6, 0, 1)[..., None]
    return (np.array([28, 66, 150]) * (1 - ink) + np.array([236, 242, 255]) * ink + 0.5).astype(np.uint8)


STYLE = {"plain": lambda picture: picture, "pencil sketch": _pencil_sketch, "blueprint": _blueprint}

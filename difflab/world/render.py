"""From a scene to its picture, and to the truth about that picture."""

from functools import cache
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageFilter

from . import figure
from .places import HEIGHT, panorama
from .scene import SIZE
from .sprites import sprite

TINT = {"day": (1, 1, 1), "sunset": (1.0, 0.88, 0.80), "night": (0.72, 0.75, 0.96)}  # the light that falls on things
INDOOR_NIGHT, STARLIGHT = (0.82, 0.8, 0.94), (0.94, 0.92, 1.0)


class Truth(NamedTuple):
    """What is true of a rendered scene, all aligned with its picture.

    masks     (n, 128, 128) float32 in [0, 1]: how much of each pixel shows thing i (hidden parts count 0)
    depth     (128, 128) float32 in [0, 1]: nearness, 1 in front and 0 far away, as MiDaS and depth-to-image use it
    edges     (128, 128) float32 in [0, 1]: strength of the picture's outlines
    skeletons for each thing: (14, 2) joints x, y in pixels for a superhero, None for anything else
    """

    masks: np.ndarray
    depth: np.ndarray
    edges: np.ndarray
    skeletons: tuple


def render(scene):
    """The picture of a scene: (128, 128, 3) uint8."""
    picture = _backdrop(scene)
    light = _light(scene)
    for i, sprite_, x, y in _painted(scene):
        if _casts_shadow(scene, i):
            _shadow(picture, x + sprite_.shape[1] / 2, y + sprite_.shape[0] - 1, 0.95 * sprite_.shape[1])
        _paste(picture, sprite_, x, y, light)
    picture = (np.clip(picture, 0, 1) * 255 + 0.5).astype(np.uint8)
    return STYLE[scene.style](picture)


def truth(scene):
    """Masks, depth, edges and skeletons of a scene: a Truth."""
    masks = np.zeros((len(scene.things), SIZE, SIZE), np.float32)
    _, horizon = panorama(scene.place, scene.time, scene.backdrop[0])
    rows = (np.arange(SIZE) + 0.5) / SIZE
    start = (horizon * HEIGHT - scene.backdrop[2]) / SIZE  # the horizon, as a fraction of the cut-out
    slope = np.clip((rows - start) / max(1 - start, 0.05), 0, 1) if scene.place != "space" else 0 * rows
    depth = np.repeat(0.9 * slope[:, None], SIZE, 1).astype(np.float32)
    skeletons = [None] * len(scene.things)
    for i, sprite_, x, y in _painted(scene):
        canvas = np.zeros((SIZE, SIZE), np.float32)
        window, part = _overlap(sprite_, x, y)
        canvas[window] = part[..., 3] / np.float32(255)
        masks *= 1 - canvas
        masks[i] = canvas
        seat = (
            scene.things[1]
            if scene.relation == "on"
            else scene.things[0]
            if scene.relation == "wearing"
            else scene.things[i]
        )
        foot = np.clip((seat.y - start) / max(1 - start, 0.05), 0.3, 1)
        depth += canvas * (0.9 * foot + 0.1 - depth)
        if scene.things[i].pose:
            height, width = sprite_.shape[:2]
            joints = figure.skeleton(scene.things[i].pose)
            joints = np.stack([1 - joints[:, 0] if scene.things[i].mirror else joints[:, 0], joints[:, 1]], 1)
            skeletons[i] = (joints * (width, height) + (x, y)).astype(np.float32)
    return Truth(masks, depth, edges(render(scene)), tuple(skeletons))


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
    variant, x, y, mirror = scene.backdrop
    picture = panorama(scene.place, scene.time, variant)[0][y : y + SIZE, x : x + SIZE]
    return (picture[:, ::-1] if mirror else picture).astype(np.float32) * np.float32(1 / 255)


def _light(scene):
    light = (
        STARLIGHT
        if scene.place == "space"
        else INDOOR_NIGHT
        if (scene.place, scene.time) == ("room", "night")
        else TINT[scene.time]
    )
    return np.array([*light, 1], np.float32) / 255


def _painted(scene):
    """Things from back to front as (index, sprite, x, y), the sprite's top left corner in pixels."""
    order = {"on": (1, 0), "wearing": (0, 1)}.get(
        scene.relation, sorted(range(len(scene.things)), key=lambda i: scene.things[i].y)
    )
    for i in order:
        thing = scene.things[i]
        rgba = sprite(thing.noun, thing.color, thing.pose, round(thing.size * SIZE), thing.tilt, thing.mirror)
        yield i, rgba, round(thing.x * SIZE - rgba.shape[1] / 2), round(thing.y * SIZE - rgba.shape[0])


def _casts_shadow(scene, i):
    rides = (scene.relation, i) in (("on", 0), ("wearing", 1))
    return scene.place != "space" and not rides and scene.things[i].y > 0.7


def _overlap(rgba, x, y):
    """The window of the picture that a sprite at (x, y) covers, and the part of the sprite that falls in it."""
    height, width = rgba.shape[:2]
    left, top, right, bottom = max(x, 0), max(y, 0), max(min(x + width, SIZE), 0), max(min(y + height, SIZE), 0)
    return (slice(top, bottom), slice(left, right)), rgba[top - y : bottom - y, left - x : right - x]


def _paste(picture, rgba, x, y, light):
    window, part = _overlap(rgba, x, y)
    part = part * light
    picture[window] = picture[window] * (1 - part[..., 3:]) + part[..., :3]


@cache
def _shadow_shape(width):
    height = max(6, int(0.3 * width))
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    radius = ((x - width / 2 + 0.5) / (width / 2)) ** 2 + ((y - height / 2 + 0.5) / (height / 2)) ** 2
    shape = np.zeros((height, width, 4), np.float32)
    shape[..., 3] = 0.4 * np.clip(1 - radius, 0, 1) ** 0.8
    return shape


def _shadow(picture, x, y, width):
    shape = _shadow_shape(max(8, int(width) // 2 * 2))
    _paste(picture, shape, round(x - shape.shape[1] / 2), round(y - 0.55 * shape.shape[0]), np.float32(1))


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

"""Sprites: the emoji pictures, recolored, resized, tilted. All arrays are RGBA, uint8, color premultiplied by alpha."""

from functools import cache, lru_cache
from importlib.resources import files

import numpy as np
from PIL import Image, ImageOps

from . import figure
from .nouns import HATS, NOUNS, Look

SIZE = 128  # pictures are SIZE x SIZE
LEVEL = np.float32(1 / 255)
HUE = {"red": 355, "orange": 24, "yellow": 47, "green": 130, "blue": 215, "purple": 272}


def rgb_to_hsv(rgb):
    top, low = rgb.max(-1), rgb.min(-1)
    spread = top - low + 1e-6
    r, g, b = rgb[..., 0], rgb[..., 1], rgb[..., 2]
    hue = np.where(top == r, (g - b) / spread % 6, np.where(top == g, (b - r) / spread + 2, (r - g) / spread + 4)) * 60
    return hue, spread / (top + 1e-6), top


def hsv_to_rgb(hue, saturation, value):
    def channel(k):
        sector = (k + hue / 60) % 6
        return value - value * saturation * np.clip(np.minimum(sector, 4 - sector), 0, 1)

    return np.stack([channel(5), channel(3), channel(1)], -1)


def recolor(rgb, hue, color):
    """Repaint the part of ``rgb`` (H, W, 3 in [0, 1]) whose hue lies near ``hue`` (degrees) in ``color``."""
    h, s, v = rgb_to_hsv(rgb)
    away = (h - hue + 180) % 360 - 180
    mask = np.clip((50 - np.abs(away)) / 12, 0, 1) * np.clip((s - 0.12) / 0.12, 0, 1)
    if color in HUE:
        gain = {"yellow": 1.12, "orange": 1.08}.get(color, 1.0)
        painted = hsv_to_rgb((HUE[color] + 0.4 * away) % 360, s, np.clip(gain * v, 0, 1))
    else:
        value = {"white": 0.62 + 0.38 * v, "gray": 0.2 + 0.42 * v, "black": 0.05 + 0.25 * v}[color]
        painted = hsv_to_rgb(h, 0.08 * s, np.clip(value, 0, 1))
    return rgb + mask[..., None] * (painted - rgb)


@cache
def source(noun, color, pose, look=0):
    """The full-size sprite (longest side 128), float32 RGBA in [0, 1], premultiplied."""
    drawn = NOUNS[noun].looks[look] if noun in NOUNS else Look(HATS[noun])
    if noun == "superhero":
        rgba = figure.draw(pose)
    else:
        with files("difflab.world").joinpath("sprites", f"{drawn.sprite}.png").open("rb") as file:
            rgba = np.asarray(Image.open(file).convert("RGBA")).astype(np.float32) / 255
    rgb = rgba[..., :3]
    paint = color or drawn.paint
    if paint and paint != drawn.color:
        rgb = recolor(rgb, drawn.hue, paint)
    return np.concatenate([rgb * rgba[..., 3:], rgba[..., 3:]], -1)


def sprite(noun, color=None, pose=None, size=64, tilt=0, mirror=False, look=0):
    """A sprite whose longest side is ``size`` pixels: (h, w, 4) uint8, premultiplied; ``tilt`` in degrees."""
    rgba = _sprite(noun, color, pose, size, tilt, look)
    return rgba[:, ::-1] if mirror else rgba


@lru_cache(maxsize=6000)
def _sprite(noun, color, pose, size, tilt, look):
    rgba = source(noun, color, pose, look)
    height, width = rgba.shape[:2]
    shape = (max(1, round(width * size / max(width, height))), max(1, round(height * size / max(width, height))))
    layers = [Image.fromarray(rgba[..., c]).resize(shape, Image.Resampling.LANCZOS) for c in range(4)]
    if tilt:
        if abs(tilt) != 12:  # the first world's tilts, which the shipped weights know, have ragged edges
            layers = [ImageOps.expand(layer, 2) for layer in layers]
        layers = [layer.rotate(tilt, Image.Resampling.BICUBIC, expand=True) for layer in layers]
    result = np.clip(np.stack([np.asarray(layer) for layer in layers], -1), 0, 1)
    result[..., :3] = np.minimum(result[..., :3], result[..., 3:])
    return planar((result * 255 + 0.5).astype(np.uint8))


@lru_cache(maxsize=512)
def shadow(width, height, left=0.0, top=0.0):
    """The light that a thing takes away on the ground: an ellipse, RGBA, float32 in [0, 1]. ``left`` and ``top`` are
    where it begins in its first pixel, 0 to 1."""
    y, x = np.mgrid[0 : int(np.ceil(top + height)), 0 : int(np.ceil(left + width))].astype(np.float32)
    radius = ((x - (left + width / 2) + 0.5) / (width / 2)) ** 2 + ((y - (top + height / 2) + 0.5) / (height / 2)) ** 2
    shape = np.zeros((*radius.shape, 4), np.float32)
    shape[..., 3] = 0.4 * np.clip(1 - radius, 0, 1) ** 0.8
    return shape


def planar(picture):
    """The same (h, w, channels) array, each channel by itself in memory: numpy then works along rows, faster."""
    return np.ascontiguousarray(picture.transpose(2, 0, 1)).transpose(1, 2, 0)


def overlap(rgba, x, y, across=SIZE):
    """The window of a picture, ``across`` pixels wide, that a sprite at (x, y) covers, and the part of it in there."""
    height, width = rgba.shape[:2]
    left, right = (min(max(edge, 0), across) for edge in (x, x + width))
    top, bottom = (min(max(edge, 0), SIZE) for edge in (y, y + height))
    return (slice(top, bottom), slice(left, right)), rgba[top - y : bottom - y, left - x : right - x]


def paste(picture, rgba, x, y, light: np.ndarray | np.floating = LEVEL):
    """Lay a sprite over ``picture`` (128, w, 3) in [0, 1], its top left corner at (x, y), in ``light`` (RGBA)."""
    window, part = overlap(rgba, x, y, picture.shape[1])
    part = part * light
    picture[window] = picture[window] * (1 - part[..., 3:]) + part[..., :3]

"""A thing in a film: drawn exactly where it is, to a fraction of a pixel, at any size and tilt."""

from dataclasses import dataclass, replace
from functools import cache, lru_cache

import numpy as np
from PIL import Image, ImageOps

from . import figure
from .scene import Thing
from .sprites import SIZE, planar, shadow, source

ROOM = 36  # transparent pixels around a full-size sprite: to turn in, and for the resampling filter


@dataclass(frozen=True)
class Mover(Thing):
    """A `Thing` that is not rounded to whole pixels. It turns about its middle; ``tilt`` counts counterclockwise,
    before it is mirrored, and ``y`` is its foot, were it not tilted."""

    tilt: float = 0.0

    @property
    def sides(self):
        """Width and height in pixels, were it not tilted."""
        height, width = source(self.noun, self.color, self.pose, self.look).shape[:2]
        scale = self.size * SIZE / max(width, height)
        return scale * width, scale * height

    @property
    def middle(self):
        """Where its middle is in the picture, in pixels: (x, y)."""
        return np.array((self.x * SIZE, self.y * SIZE - self.sides[1] / 2))

    @property
    def matrix(self):
        """From a point of its full-size sprite, in pixels from the sprite's middle, to one of the picture, in pixels
        from `middle`: (2, 2)."""
        height, width = source(self.noun, self.color, self.pose, self.look).shape[:2]
        cos, sin = np.cos(np.deg2rad(self.tilt)), np.sin(np.deg2rad(self.tilt))
        turned = np.array([[cos, sin], [-sin, cos]]) * self.size * SIZE / max(width, height)
        return turned * [[-1], [1]] if self.mirror else turned

    def placed(self):
        return _resampled(self)

    def shadow(self):
        """The higher it is, the smaller and fainter its shadow."""
        near = np.clip(1 - self.lift, 0, 1)
        width = max((0.95 - 0.25 * min(self.lift / 0.1, 1)) * self.sides[0], 8)
        height = max(0.3 * width, 6)
        x, y = self.x * SIZE - width / 2, self.ground * SIZE - 1 - 0.55 * height
        left, top = int(np.floor(x)), int(np.floor(y))
        return shadow(width, height, x - left, y - top) * np.float32(near**2), left, top

    def joints(self):
        if not self.pose:
            return None
        height, width = source(self.noun, self.color, self.pose, self.look).shape[:2]
        joints = (figure.skeleton(self.pose) - 0.5) * (width, height)
        joints = (joints @ self.matrix.T + self.middle).astype(np.float32)
        return joints[figure.MIRRORED] if self.mirror else joints


def mover(thing):
    """A thing as a `Mover` that begins where the thing is drawn."""
    rgba, left, top = thing.placed()
    moving = Mover(**vars(thing))
    x, y = left + rgba.shape[1] / 2, top + (rgba.shape[0] + moving.sides[1]) / 2
    return replace(moving, x=x / SIZE, y=y / SIZE, lift=thing.ground - y / SIZE)


@cache
def _sheet(noun, color, pose, look):
    """A full-size sprite in the middle of a transparent square, as a picture of premultiplied RGBA."""
    rgba = source(noun, color, pose, look)
    height, width = rgba.shape[:2]
    image = Image.frombytes("RGBa", (width, height), (np.clip(rgba, 0, 1) * 255 + 0.5).astype(np.uint8).tobytes())
    side = SIZE + 2 * ROOM
    left, top = (side - width) // 2, (side - height) // 2
    return ImageOps.expand(image, (left, top, side - width - left, side - height - top))


@lru_cache(maxsize=256)
def _resampled(mover):
    """A mover's sprite, and the column and row of its top left corner: what `Thing.placed` gives of a thing."""
    sheet = _sheet(mover.noun, mover.color, mover.pose, mover.look)
    scale = np.sqrt(abs(np.linalg.det(mover.matrix)))
    if mover.tilt:
        sheet = sheet.rotate(mover.tilt, Image.Resampling.BILINEAR)
    if mover.mirror:
        sheet = sheet.transpose(Image.Transpose.FLIP_LEFT_RIGHT)
    sides, middle, half = np.array(mover.sides), mover.middle, sheet.width / 2
    reach = np.hypot(*sides) / 2 if mover.tilt else sides / 2
    reach = np.minimum(reach + 2, scale * half - 1)  # for the filter, but not beyond the sheet
    low, high = np.floor(middle - reach).astype(int), np.ceil(middle + reach).astype(int)
    box = (*(half + (low - middle) / scale), *(half + (high - middle) / scale))
    small = np.array(sheet.resize(tuple(high - low), Image.Resampling.LANCZOS, box))
    small[..., :3] = np.minimum(small[..., :3], small[..., 3:])
    return planar(small), int(low[0]), int(low[1])

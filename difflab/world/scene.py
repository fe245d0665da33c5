"""A scene is data first: things, their relation, a place, a time, a style. Pictures and captions are made from it."""

from dataclasses import dataclass

import numpy as np

from . import figure
from .nouns import (
    BASE_NOUNS,
    HATS,
    HELD_OUT_PAIRS,
    HELD_OUT_POSES,
    HELD_OUT_STYLES,
    NOUNS,
    PLACES,
    RELATIONS,
    STYLES,
    TIMES,
)  # fmt: skip
from .sprites import SIZE, overlap, shadow, source, sprite
from .words import PLACE_PHRASES as PLACE_PHRASES, article as article, caption


@dataclass(frozen=True)
class Thing:
    """One thing. ``x`` is its middle, ``y`` its foot, ``size`` its longest side, all as fractions of the picture.

    ``lift`` is how far below its foot the ground is (or the table, or the sea), ``look`` which drawing of the noun.
    """

    noun: str
    color: str | None = None  # None is the natural color
    x: float = 0.5
    y: float = 0.9
    size: float = 0.65
    mirror: bool = False
    tilt: int = 0  # degrees
    pose: tuple[str, int] | None = None  # the superhero's: a name of POSES or HELD_OUT_POSES and a variant
    look: int = 0
    lift: float = 0.0

    def __post_init__(self):
        if self.noun not in NOUNS and self.noun not in HATS:
            raise ValueError(f"no noun {self.noun!r} in the tiny world; it has {', '.join([*NOUNS, *HATS])}")
        allowed = NOUNS[self.noun].colors if self.noun in NOUNS else ()
        if self.color is not None and self.color not in allowed:
            raise ValueError(
                f"a {self.noun} cannot be {self.color!r}; it can be {', '.join(allowed) or 'only as it is'}"
            )
        if self.pose is not None:
            figure.variants(self.pose[0])
        looks = len(NOUNS[self.noun].looks) if self.noun in NOUNS else 1
        if not 0 <= self.look < looks:
            raise ValueError(f"no look {self.look} of a {self.noun}; it has {looks}, counted from 0")

    @property
    def ground(self):
        """The row (a fraction of the picture) where what it stands on, or hovers over, is: the larger, the nearer."""
        return self.y + self.lift

    @property
    def box(self):
        """Left, top, right and bottom, as fractions of the picture, were it not tilted."""
        height, width = source(self.noun, self.color, self.pose, self.look).shape[:2]
        half, up = self.size * width / max(width, height) / 2, self.size * height / max(width, height)
        return self.x - half, self.y - up, self.x + half, self.y

    def placed(self):
        """Its sprite, and the column and row of the sprite's top left corner, in whole pixels."""
        pixels = round(self.size * SIZE)
        rgba = sprite(self.noun, self.color, self.pose, pixels, self.tilt, self.mirror, self.look)
        return rgba, round(self.x * SIZE - rgba.shape[1] / 2), round(self.y * SIZE - rgba.shape[0])

    def shadow(self):
        """The shadow on the ground beneath it, as `placed` gives its sprite."""
        rgba, x, y = self.placed()
        width = max(8, int((0.95 if self.lift < 0.03 else 0.7) * rgba.shape[1]) // 2 * 2)
        height = max(6, int(0.3 * width))
        x, y = x + rgba.shape[1] / 2, y + rgba.shape[0] - 1 + self.lift * SIZE
        return shadow(width, height), round(x - width / 2), round(y - 0.55 * height)

    def joints(self):
        """Where a superhero's joints lie in the picture, in pixels: (14, 2) float32; None for anything else. Mirrored,
        its right hand looks like a left one, and is called so."""
        if not self.pose:
            return None
        height, width = sprite(self.noun, self.color, self.pose, round(self.size * SIZE)).shape[:2]
        rgba, left, top = self.placed()
        joints = (figure.skeleton(self.pose) - 0.5) * (width, height)
        cos, sin = np.cos(np.deg2rad(self.tilt)), np.sin(np.deg2rad(self.tilt))
        joints = joints @ np.array([[cos, -sin], [sin, cos]]) + (rgba.shape[1] / 2, rgba.shape[0] / 2)
        if self.mirror:
            joints = (joints * (-1, 1) + (rgba.shape[1], 0))[figure.MIRRORED]
        return joints.astype(np.float32) + np.array((left, top), np.float32)


@dataclass(frozen=True)
class Scene:
    """``things[0]`` stands in ``relation`` to ``things[1]``: left of, right of, in front of, behind, on (a seat) or
    wearing (a hat). Things after these happen to be there, too; the full caption does not name them.

    ``backdrop`` is the number of the place's backdrop; four numbers are one of the first world: variant, crop x, crop
    y, mirrored. Without things, only the place is there; `random_scene` draws no such scene.
    """

    things: tuple[Thing, ...]
    relation: str = "alone"
    place: str = "meadow"
    time: str = "day"
    style: str = "plain"
    backdrop: int | tuple[int, int, int, bool] = (0, 24, 6, False)

    def __post_init__(self):
        for what, known in (("relation", RELATIONS), ("place", PLACES), ("time", TIMES), ("style", STYLES)):
            value = getattr(self, what)
            if value not in known:
                raise ValueError(f"no {what} {value!r} in the tiny world; it has {', '.join(known)}")
        if len(self.things) < 2 and self.relation != "alone":
            raise ValueError(
                f"{len(self.things)} things cannot stand {self.relation!r}: alone takes one or none, the others two"
            )

    @property
    def named(self):
        """The things that the full caption names."""
        return self.things[: 1 if self.relation == "alone" else 2]

    def caption(self, rng=None):
        """A caption. Without ``rng`` the plain full one; with a numpy Generator one of its many wordings."""
        return caption(self, rng)


def is_held_out(scene):
    """Whether the scene shows something that base training never shows."""
    words = {scene.place, *(t.noun for t in scene.things), *(t.color for t in scene.things)}
    pairs = any(a in words and b in words for a, b in HELD_OUT_PAIRS)
    return (
        pairs
        or scene.style in HELD_OUT_STYLES
        or any(t.pose and t.pose[0] in HELD_OUT_POSES for t in scene.things)
        or any(t.noun in NOUNS and t.noun not in BASE_NOUNS for t in scene.things)
    )


def shape(thing):
    """How much of every pixel a thing covers, if nothing hides it: (128, 128) float32 in [0, 1]."""
    canvas = np.zeros((SIZE, SIZE), np.float32)
    window, part = overlap(*thing.placed())
    canvas[window] = part[..., 3] / np.float32(255)
    return canvas


def anchor(thing, point):
    """Where a point of the thing's sprite (fractions) lies in the picture (fractions)."""
    pixels = round(thing.size * SIZE)
    height, width = sprite(thing.noun, thing.color, thing.pose, pixels, look=thing.look).shape[:2]
    x = 1 - point[0] if thing.mirror else point[0]
    return thing.x + (x - 0.5) * width / SIZE, thing.y + (point[1] - 1) * height / SIZE

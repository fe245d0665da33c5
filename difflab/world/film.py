"""A film is data first: a scene, a motion and how much of it. Pictures, captions and truth are made from it."""

from dataclasses import dataclass, replace
from numbers import Integral, Real

import numpy as np

from . import verbs
from .mover import mover
from .moves import MOVES, STANDING, can, pan
from .scene import Scene, is_held_out as scene_is_held_out
from .sprites import SIZE

MOTIONS = tuple(MOVES)
# never seen together in base training, though each part is: the test of composition
HELD_OUT_PAIRS = (
    ("panda", "jumping"),
    ("bus", "moving left"),
    ("lion", "moving right"),
    ("apple", "spinning"),
    ("fox", "coming nearer"),
    ("ghost", "flying off"),
)
# how much of a motion there may be: fractions of the picture, turns, times as large
AMOUNTS = {
    "jumping": (0.05, 1.0), "moving left": (0.05, 1.5), "moving right": (0.05, 1.5), "spinning": (-3.0, 3.0),
    "coming nearer": (1.05, 4.0), "flying off": (0.05, 2.0), "panning left": (0.05, 0.5), "panning right": (0.05, 0.5),
    "still": (0.0, 0.0), "getting dark": (0.0, 0.0),
}  # fmt: skip
LONGEST = 64  # frames


@dataclass(frozen=True)
class Film:
    """``scene`` is how it begins (a pan to the left ends there), ``motion`` one of MOTIONS, which its first thing or
    the camera or the light is in, ``amount`` how much of it: a fraction of the picture for what goes, jumps and pans;
    turns for what spins; how many times as large what comes nearer becomes. ``frames`` is how many there are."""

    scene: Scene
    motion: str
    amount: float = 0.0
    frames: int = 8

    def __post_init__(self):
        scene, motion = self.scene, self.motion
        check(motion, self.frames)
        if isinstance(scene.backdrop, tuple) or scene.relation != "alone" or not scene.things:
            raise ValueError(f"{scene} cannot move: draw one of `world.layout`, relation 'alone', with a thing in it")
        if not can(scene.things[0], motion, scene.place):
            raise ValueError(f"no {motion} for {scene.things[0]} in place {scene.place!r}: see world.moves.can")
        low, high = AMOUNTS[motion]
        if not isinstance(self.amount, Real) or not low <= self.amount <= high:
            raise ValueError(f"amount={self.amount!r} must be a number from {low} to {high} for {motion}")
        if motion == "getting dark" and scene.time != "day":
            raise ValueError(f"it gets dark by day, not at time={scene.time!r}: give replace(scene, time='day')")

    @property
    def times(self) -> np.ndarray:
        """When each frame is, from 0 to 1."""
        return np.linspace(0, 1, self.frames)

    @property
    def scenes(self) -> tuple[Scene, ...]:
        """The scene of every frame. Where anything moves, each of its things is a `Mover`."""
        if self.motion in STANDING:
            return (self.scene,) * self.frames
        first = replace(self.scene, things=tuple(map(mover, self.scene.things)))
        return tuple(MOVES[self.motion](first, self.amount, u) for u in self.times)

    @property
    def camera(self) -> np.ndarray:
        """How many pixels to the right of the scene the camera looks, frame by frame: (F,)."""
        side = {"panning left": -1, "panning right": 1}.get(self.motion)
        return np.array([SIZE * pan(side * self.amount, u) if side else 0.0 for u in self.times])

    def caption(self, rng=None) -> str:
        """A caption. Without ``rng`` the plain full one; with a numpy Generator one of its many wordings."""
        return verbs.caption(self, rng)


def is_held_out(film: Film) -> bool:
    """Whether the film shows something that base training never shows."""
    return (film.scene.things[0].noun, film.motion) in HELD_OUT_PAIRS or scene_is_held_out(film.scene)


def check(motion, frames):
    """Raises ValueError for what is no motion, and no number of frames."""
    if motion not in MOTIONS:
        raise ValueError(f"no motion {motion!r} in the tiny world; it has {', '.join(MOTIONS)}")
    if not isinstance(frames, Integral) or isinstance(frames, bool) or not 2 <= int(frames) <= LONGEST:
        raise ValueError(f"frames={frames!r} must be a whole number from 2 to {LONGEST}")

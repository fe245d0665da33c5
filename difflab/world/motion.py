"""Films of the tiny world: a scene with a motion, its frames, and the truth about each frame and from one to the next.

>>> from difflab.world import motion
>>> frames, caption, film = motion.sample(seed=0, index=7)
>>> flow, occluded = motion.truth(film)[-2:]
"""

from dataclasses import dataclass, replace
from functools import cache
from math import ceil
from numbers import Integral, Real
from typing import NamedTuple

import numpy as np

from . import layout, places, verbs
from .cutouts import pick
from .mover import Mover, mover
from .moves import MOVES, STANDING, can, heading, pan, vanishing_point
from .nouns import BASE_NOUNS, NOUNS, PLACES, POSES, TIMES
from .render import STYLE, layers, staged, to_uint8
from .scene import Scene, Thing, is_held_out as scene_is_held_out
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
        """The scene of every frame. Where anything moves, its things are `Mover`s."""
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


class FilmSample(NamedTuple):
    frames: np.ndarray  # (F, 128, 128, 3) uint8
    caption: str
    film: Film


class FilmTruth(NamedTuple):
    """What is true of a film of F frames with n things, all aligned with its frames.

    masks     (F, n, 128, 128) float32 in [0, 1], depth (F, 128, 128) float32 and skeletons, F times a tuple: as in
              `Truth`, frame by frame
    boxes     (F, n, 4) float32: left, top, right and bottom of thing i, as fractions of the picture, were it not
              hidden; beyond 0 and 1 it is outside
    flow      (F - 1, 2, 128, 128) float32, in pixels, x to the right and y down: what pixel p of frame i shows is at
              p + flow in frame i + 1. So frame i + 1, read at p + flow, is frame i (`difflab.metrics.warp`), but for
              shadows, which have no flow of their own, and for light
    occluded  (F - 1, 128, 128) bool: what pixel p of frame i shows is hidden or outside of the picture in frame i + 1
    """

    masks: np.ndarray
    depth: np.ndarray
    boxes: np.ndarray
    skeletons: tuple
    flow: np.ndarray
    occluded: np.ndarray


def is_held_out(film: Film) -> bool:
    """Whether the film shows something that base training never shows."""
    return (film.scene.things[0].noun, film.motion) in HELD_OUT_PAIRS or scene_is_held_out(film.scene)


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


# -- drawing films ----------------------------------------------------------------------------------------------------


def random_film(rng, *, motion=None, noun=None, place=None, time=None, frames=8) -> Film:
    """Draw a film from numpy Generator ``rng``: one thing in a place, sometimes with a bystander, and a motion.

    What is given is taken, held out or not; what is not given is drawn from the base world, so that HELD_OUT nouns and
    pairs never come by chance. Raises ValueError for what is not in the world, and for a motion that does not fit.
    """
    check(motion or "still", frames)
    for what, value, known in (("noun", noun, NOUNS), ("place", place, PLACES), ("time", time, TIMES)):
        if value is not None and value not in known:
            raise ValueError(f"no {what} {value!r} in the tiny world; it has {', '.join(known)}")
    by_day = time in (None, "day")
    if motion == "getting dark" and not by_day:
        raise ValueError(f"it gets dark by day, not at time={time!r}: leave it out")
    doing = [motion] if motion else [each for each in MOTIONS[1:] if each != "getting dark" or by_day]
    casts = {each: _casts(each, noun, place, noun and motion) for each in doing}
    if not any(casts.values()):
        raise ValueError(f"no {motion or 'motion'} for noun={noun!r}, place={place!r}: see `world.moves.can`")
    motion = pick(rng, [each for each in doing if casts[each]])
    while True:
        where, nouns = pick(rng, casts[motion])
        film = _draw(rng, motion, pick(rng, nouns), where, "day" if motion == "getting dark" else time, frames)
        if film and (noun or place or not scene_is_held_out(film.scene)):
            return film


def check(motion, frames):
    """Raises ValueError for what is no motion, and no number of frames."""
    if motion not in MOTIONS:
        raise ValueError(f"no motion {motion!r} in the tiny world; it has {', '.join(MOTIONS)}")
    if not isinstance(frames, Integral) or isinstance(frames, bool) or not 2 <= int(frames) <= LONGEST:
        raise ValueError(f"frames={frames!r} must be a whole number from 2 to {LONGEST}")


def _casts(motion, noun, place, both):
    """Where a motion can be, and who can do it there: of the base world unless a ``noun`` is asked for, and nobody held
    out of the motion unless ``both`` are."""
    nouns = [each for each in ([noun] if noun else BASE_NOUNS) if both or (each, motion) not in HELD_OUT_PAIRS]
    casts = [
        (where, [each for each in doers(motion, where) if each in nouns]) for where in ([place] if place else PLACES)
    ]
    return [cast for cast in casts if cast[1]]


@cache
def doers(motion: str, place: str) -> tuple[str, ...]:
    """The nouns of the base world, and those held out of it, that can do a motion in a place."""
    return tuple(
        noun
        for noun in NOUNS
        if any(
            can(Thing(noun, look=look, pose=pose), motion, place)
            for look in range(len(NOUNS[noun].looks))
            for pose in ([(pose, 0) for pose in POSES] if noun == "superhero" else [None])
        )
    )


def _draw(rng, motion, noun, place, time, frames):
    """One film, held out or not; None if it did not fit."""
    scene = layout.random_scene(rng, relation="alone", noun=noun, place=place, time=time, style="plain")
    if not can(scene.things[0], motion, place):
        return None
    thing = scene.things[0] if place == "space" else _upright(scene.things[0])
    if (cast := CAST[motion](rng, scene, thing)) is None:
        return None
    thing, amount = cast
    film = Film(replace(scene, things=(thing, *scene.things[1:])), motion, float(amount), frames)
    return film if motion == "flying off" or _in_sight(film) else None


def _upright(thing):
    """A thing that is not tilted, its foot on the ground unless it is in the air."""
    return replace(thing, tilt=0, y=min(thing.y, thing.ground), lift=max(thing.lift, 0.0))


def _in_sight(film):
    """Whether the thing stays in the picture, and no bystander hides half of it."""
    for scene in film.scenes:
        thing, *others = scene.things
        left, top, right, foot = thing.box
        if left < -0.04 or top < -0.04 or right > 1.04 or foot > 1.0:
            return False
        if any(other.ground > thing.ground and layout.crowding(thing, other) > 0.5 for other in others):
            return False
    return True


# one function for every motion: the thing as it is cast, and how much of the motion there is; None if it does not fit


def _jumps(rng, scene, thing):
    height = min(rng.uniform(0.16, 0.36), thing.box[1] + 0.03)
    return (thing, height) if height > 0.12 else None


def _goes(rng, scene, thing, side):
    left, _, right, _ = thing.box
    half, free = (right - left) / 2, 1.06 - (right - left)
    far = min(rng.uniform(0.3, 0.6), free)
    if far < 0.3:
        return None
    start = half - 0.03 + rng.random() * (free - far)
    rocket = thing.noun == "rocket"  # all others face left
    return replace(
        thing,
        x=start if side > 0 else start + far,
        mirror=(side > 0) != rocket,
        tilt=-45 if rocket else thing.tilt,
    ), far


def _spins(rng, scene, thing):
    return thing, pick(rng, (-1, 1)) * rng.uniform(0.35, 0.6)


def _nears(rng, scene, thing):
    """What is drawn is how it ends."""
    scale, (middle, line) = rng.uniform(1.7, 2.4), vanishing_point(scene)
    if thing.size < 0.5:
        return None
    return replace(
        thing,
        x=middle + (thing.x - middle) / scale,
        y=line + (thing.y - line) / scale,
        size=thing.size / scale,
        lift=thing.lift / scale,
    ), scale


def _flies_off(rng, scene, thing):
    """Toward the side where there is more room."""
    right = replace(thing, mirror=heading(replace(thing, mirror=False)) < 0)
    thing = right if thing.x < 0.5 else replace(right, mirror=not right.mirror)
    return (thing, thing.y + rng.uniform(-0.1, 0.0)) if thing.y > 0.5 else None


def _panned(rng, scene, thing):
    far = min(rng.uniform(0.15, 0.35), thing.box[0] + 0.03)
    return (thing, far) if far > 0.12 else None


def _stands(rng, scene, thing):
    return scene.things[0], 0.0


CAST = {
    "still": _stands,
    "jumping": _jumps,
    "moving left": lambda rng, scene, thing: _goes(rng, scene, thing, -1),
    "moving right": lambda rng, scene, thing: _goes(rng, scene, thing, 1),
    "spinning": _spins,
    "coming nearer": _nears,
    "flying off": _flies_off,
    "panning left": _panned,
    "panning right": _panned,
    "getting dark": _stands,
}

"""Casting: films drawn at random, each with a thing that can do what it is to do, and room to do it in."""

from dataclasses import replace
from functools import cache

from . import layout
from .cutouts import pick
from .film import HELD_OUT_PAIRS, MOTIONS, Film, check
from .moves import can, heading, vanishing_point
from .nouns import BASE_NOUNS, NOUNS, PLACES, POSES, TIMES
from .scene import Thing, is_held_out


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
        if film and (noun or place or not is_held_out(film.scene)):
            return film


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

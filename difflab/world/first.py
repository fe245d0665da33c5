"""The first world: where things stand, which panorama is behind them, and how captions say it.

The weights that ship have seen nothing else, so `world.random_scene` draws it until others are adopted. Then this file
and `first_places` go, and `layout` takes their place.
"""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from . import figure
from .cutouts import pick
from .first_places import HEIGHT, VARIANTS, WIDTH, panorama
from .nouns import ANIMALS, BASE_NOUNS, HATS, HATTED, NOUNS, PLACES, POSES, RELATIONS, RIDERS, SEATS, TIMES
from .scene import SIZE, Scene, Thing, anchor, is_held_out
from .sprites import planar
from .words import PLACE_PHRASES, TIME_PHRASES, article


@dataclass(frozen=True)
class FirstScene(Scene):
    """A scene worded by the first world's grammar."""

    def caption(self, rng=None):
        return caption(self, rng)


def picture(scene):
    """What is behind the things: (128, 128, 3) float32 in [0, 1]."""
    variant, x, y, mirror = scene.backdrop
    cut = panorama(scene.place, scene.time, variant)[0][y : y + SIZE, x : x + SIZE]
    return planar(cut[:, ::-1] if mirror else cut).astype(np.float32) * np.float32(1 / 255)


def horizon(scene):
    """Where the ground begins, as a fraction of the picture's height."""
    variant, _, y, _ = scene.backdrop
    return (panorama(scene.place, scene.time, variant)[1] * HEIGHT - y) / SIZE


def random_scene(rng, *, relation=None, noun=None, other=None, place=None, time=None, style=None):
    """Draw a scene from numpy Generator ``rng``. What is given is taken, held out or not; what is not given is drawn
    from the base world, so that HELD_OUT nouns, styles and pairs never come by chance."""
    while True:
        scene = _draw(rng, relation, noun, other, place, time, style)
        if not is_held_out(scene) or any((noun, other, place, style)):
            return scene


def _draw(rng, relation, noun, other, place, time, style):
    relation = relation or RELATIONS[int(rng.choice(5, p=(0.40, 0.17, 0.17, 0.16, 0.10)))]
    place = place or pick(rng, PLACES)
    style = style or ("pencil sketch" if rng.random() < 0.06 else "plain")
    time = "night" if place == "space" else "day" if style != "plain" else time or pick(rng, TIMES)
    first = {"alone": ANIMALS if rng.random() < 0.3 else BASE_NOUNS, "on": RIDERS, "wearing": HATTED}.get(
        relation, BASE_NOUNS
    )
    noun = noun or pick(rng, first)
    if relation == "alone":
        nouns = [noun]
    else:
        second = {"on": SEATS, "wearing": tuple(HATS)}.get(relation, BASE_NOUNS)
        nouns = [noun, other or pick(rng, [n for n in second if n != noun])]
    things = _place(rng, relation, place, [describe(rng, n) for n in nouns])
    backdrop = (
        int(rng.integers(VARIANTS)),
        int(rng.integers(WIDTH - SIZE + 1)),
        int(rng.integers(HEIGHT - SIZE + 1)),
        bool(rng.random() < 0.5),
    )
    return FirstScene(things, relation, place, time, style, backdrop)


def describe(rng, noun) -> dict[str, Any]:
    """What a thing looks like, before it has a spot: a color word half of the time where it may have one."""
    colors = NOUNS[noun].colors if noun in NOUNS else ()
    color = pick(rng, colors) if colors and rng.random() < 0.6 else None
    pose = None
    if noun == "superhero":
        pose = (pick(rng, POSES[:4]), int(rng.integers(figure.VARIANTS)))
    return dict(noun=noun, color=color, mirror=bool(rng.random() < 0.5), pose=pose)


def _size(rng, noun, low, high):
    scale = NOUNS[noun].scale if noun in NOUNS else 1.0
    return (
        round(min(scale * rng.uniform(low, high), 0.8) * SIZE / 4) * 4 / SIZE
    )  # steps of 4 pixels, so that sprites are shared


def _place(rng, relation, place, looks):
    """Give every thing its spot and size."""
    foot = rng.uniform(0.72, 0.84) if place == "sea" else rng.uniform(0.86, 0.95)
    names = [look["noun"] for look in looks]
    if relation == "alone":
        size = _size(rng, names[0], 0.56, 0.7)
        tilt = pick(rng, (0, 0, -12, 12)) if place == "space" else 0
        y = _lifted(rng, names[0], size, foot, place)
        return (Thing(**looks[0], x=rng.uniform(0.38, 0.62), y=y, size=size, tilt=tilt),)
    if relation in ("left of", "right of"):
        sizes = [_size(rng, name, 0.42, 0.5) for name in names]
        spots = [0.26 + rng.uniform(-0.03, 0.03), 0.74 + rng.uniform(-0.03, 0.03)]
        if relation == "right of":
            spots.reverse()
        spots_feet = [
            (x, _lifted(rng, n, s, foot + rng.uniform(-0.03, 0.03), place))
            for x, n, s in zip(spots, names, sizes, strict=True)
        ]
        return tuple(Thing(**look, x=x, y=y, size=s) for look, (x, y), s in zip(looks, spots_feet, sizes, strict=True))
    if relation == "on":
        rider = min(_size(rng, names[0], 0.38, 0.44), 0.44)
        seat = Thing(**looks[1], x=rng.uniform(0.42, 0.58), y=foot, size=_size(rng, names[1], 0.58, 0.68))
        height = seat.y - anchor(seat, NOUNS[names[1]].seat)[1]  # of the seat above the ground
        fits = min(1, (foot - rider) / height)  # so that the rider's head stays in the picture
        seat = replace(seat, size=int(fits * seat.size * SIZE / 4) * 4 / SIZE)
        x, y = anchor(seat, NOUNS[names[1]].seat)
        return (Thing(**looks[0], x=x, y=y + 0.015, size=rider), seat)
    wearer = Thing(**looks[0], x=rng.uniform(0.4, 0.6), y=foot, size=_size(rng, names[0], 0.52, 0.62))
    x, y = anchor(wearer, NOUNS[names[0]].head or (0.5, 0.1))
    head = NOUNS[names[0]].head
    hat = 0.5 if head and abs(head[0] - 0.5) < 0.05 else 0.42
    hat_size = round(hat * wearer.size * SIZE / 2) * 2 / SIZE
    return (wearer, Thing(names[1], x=x, y=y + 0.28 * hat_size, size=hat_size))


def _lifted(rng, noun, size, foot, place):
    """Where the foot of a thing is once airborne things have left the ground."""
    lift = rng.uniform(0.1, 0.24) if NOUNS[noun].airborne or place == "space" else 0
    return max(foot - lift, size + 0.02)


def successor(rng, old, noun):
    """A thing of another noun in the spot of an old one."""
    size = old.size if noun in HATS else min(old.size * NOUNS[noun].scale / NOUNS[old.noun].scale, 0.8)
    return Thing(**describe(rng, noun), x=old.x, y=old.y, size=round(size * SIZE / 2) * 2 / SIZE)


def fits(scene):
    """Everything fits everywhere."""
    return True


def caption(scene, rng=None):
    """The scene in words. ``rng`` None gives the plain full caption; otherwise wording, order and omissions vary."""
    choose = (lambda options: pick(rng, options)) if rng else (lambda options: options[0])
    chance = (lambda p: rng.random() < p) if rng else (lambda p: False)
    names = []
    for thing in scene.things:
        name = f"{thing.color} {thing.noun}" if thing.color else thing.noun
        if thing.pose:
            name = choose((f"{thing.pose[0]} {name}", f"{name} {thing.pose[0]}"))
        names.append(article(name))
    what = names[0] if names else ""
    if scene.relation == "on":
        what = f"{names[0]} {choose(('on', 'on', 'sitting on'))} {names[1]}"
    elif scene.relation == "wearing":
        what = f"{names[0]} {choose(('wearing', 'wearing', 'with'))} {names[1]}"
    elif scene.relation != "alone":
        side, other = ("left", "right") if scene.relation == "left of" else ("right", "left")
        if chance(0.2):
            pair = names if chance(0.5) else names[::-1]
            what = f"{pair[0]} {choose(('and', 'next to', 'beside'))} {pair[1]}"
        elif chance(0.5):
            what = f"{names[1]} to the {other} of {names[0]}"
        else:
            what = f"{names[0]} to the {side} of {names[1]}"
    where = "" if names and chance(0.07) else " " + choose(PLACE_PHRASES[scene.place])
    when = choose(TIME_PHRASES[scene.time])
    if scene.place == "space" or scene.style != "plain" or chance(0.35 if scene.time == "day" else 0.06):
        when = ""
    if scene.style != "plain":
        what = f"{choose((article(scene.style) + ' of', article(scene.style) + ' of', scene.style + ' of'))} {what}"
    elif names and chance(0.1):
        what = f"{choose(('a picture of', 'a photo of'))} {what}"
    elif names and when and chance(0.06):
        return f"{when}, {what}{where}"
    return f"{what}{where} {when}".strip()

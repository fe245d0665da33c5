"""The freer world: where things stand, and what they look like.

A ground plane in perspective. How near a thing is tells how large it looks and how low it stands; left and right it may
be anywhere, partly behind another, mirrored, a little tilted. What flies is anywhere in the air.
"""

from dataclasses import replace
from typing import Any

import numpy as np

from . import figure
from .cutouts import pick
from .nouns import AIRBORNE, ANIMALS, BASE_NOUNS, HATS, HATTED, NOUNS, PLACES, POSES, RELATIONS, RIDERS, SEATS, TIMES
from .places import horizon
from .scene import SIZE, Scene, Thing, anchor, is_held_out, shape
from .sprites import source, sprite

# how often things are alone, left of, right of, on, wearing, in front of, behind
RELATED = (0.42, 0.12, 0.12, 0.11, 0.08, 0.075, 0.075)
BYSTANDERS = (0.26, 0.3)  # how often one more thing is there, beside one that is named and beside two
FARTHEST, NEAREST = 0.3, 0.75  # how large a thing of scale 1 looks there
BYSTANDER = 0.5  # how large, at most, such a thing looks
TRIES, SMALLEST = 60, 0.5  # things that do not fit are tried again, smaller and smaller, down to this largest size
LEAP = 0.18  # how high a jump may go
FRONT = 0.97  # the row of the nearest foot
ROUND = ("ball", "apple", "pumpkin", "balloon", "rocket", "mushroom", "gift", "ghost")  # what may lean a little
NATURAL = 0.4  # of the things that take color words have their natural color


def random_scene(rng, *, relation=None, noun=None, other=None, place=None, time=None, style=None, pose=None):
    """Draw a scene from numpy Generator ``rng``. What is given is taken, held out or not; what is not given is drawn
    from the base world, so that HELD_OUT nouns, styles, poses and pairs never come by chance. ``pose`` is the
    superhero's, if there is one; ``nouns.ANY_POSE`` gives it a new one each time, of which captions do not speak."""
    while True:
        scene = _draw(rng, relation, noun, other, place, time, style, pose)
        if scene and (not is_held_out(scene) or any((noun, other, place, style, pose))):
            return scene


def _draw(rng, relation, noun, other, place, time, style, pose):
    """One scene, held out or not; None if its things did not fit."""
    relation = relation or RELATIONS[int(rng.choice(len(RELATIONS), p=RELATED))]
    place = place or pick(rng, PLACES)
    style = style or ("pencil sketch" if rng.random() < 0.06 else "plain")
    time = "night" if place == "space" else "day" if style != "plain" else time or pick(rng, TIMES)
    animal = relation == "alone" and rng.random() < 0.3
    noun = noun or pick(rng, ANIMALS if animal else {"on": RIDERS, "wearing": HATTED}.get(relation, BASE_NOUNS))
    nouns = [noun]
    if relation != "alone":
        second = {"on": SEATS, "wearing": tuple(HATS)}.get(relation, BASE_NOUNS)
        nouns.append(other or pick(rng, [n for n in second if n != noun]))
    number = int(rng.integers(2**31))
    line = horizon(place, number)
    needs = {"on": (None, "seat"), "wearing": ("head", None)}.get(relation, (None, None))
    upright = relation in ("on", "wearing")
    looks = [describe(rng, n, need, place, upright, pose) for n, need in zip(nouns, needs, strict=False)]
    for tries in range(TRIES):
        high = max(NEAREST * 0.985**tries, SMALLEST)
        if things := ARRANGE[relation](rng, looks, place, line, high):
            break
    else:
        return None
    if rng.random() < BYSTANDERS[len(things) - 1]:
        extra = pick(rng, [n for n in BASE_NOUNS if n not in nouns])
        for _ in range(12):
            one = stand(rng, describe(rng, extra, None, place, pose=pose), place, line, BYSTANDER)
            if all(crowding(one, thing) < 0.2 for thing in things):
                things += (one,)
                break
    return Scene(things, relation, place, time, style, number)


def describe(rng, noun, need=None, place="meadow", upright=False, pose=None) -> dict[str, Any]:
    """What a thing looks like, before it has a spot: one of its looks (with a ``need``ed head or seat), colored.
    A superhero has the ``pose`` of that name, or one that the place has room for."""
    if noun in HATS:
        return dict(noun=noun)
    colors, looks = NOUNS[noun].colors, NOUNS[noun].looks
    color = None
    if colors:
        color = colors[0] if rng.random() < NATURAL else pick(rng, colors[1:])
    fitting = [
        i
        for i, look in enumerate(looks)
        if (color is None or look.hue is not None or look.color == color) and (need is None or getattr(look, need))
    ]
    posture = None
    if noun == "superhero":
        pose = pose or pick(rng, [name for name in POSES if name != "flying" or place != "room"])
        posture = (pose, int(rng.integers(figure.variants(pose))))
    tilts = (-8, 0, 8) if noun in ROUND else (0, 0, -6, 6) if NOUNS[noun].animal else (0,)
    tilts = (-24, -10, 0, 10, 24) if place == "space" else tilts
    return dict(
        noun=noun,
        color=color,
        look=pick(rng, fitting or [0]),
        mirror=bool(rng.random() < 0.5),
        tilt=0 if upright else pick(rng, tilts),
        pose=posture,
    )


def stand(rng, look, place, line, high=NEAREST):
    """A thing somewhere in a place whose ground begins at ``line``: on the ground, or in the air."""
    depth, noun = high - (high - FARTHEST) * rng.random() ** 1.4, NOUNS[look["noun"]]
    size = steps(min(max(depth * noun.scale * rng.uniform(0.85, 1.15), noun.least), NEAREST))
    height, width = source(look["noun"], look["color"], look["pose"], look["look"]).shape[:2]
    width, height = size * width / max(width, height), size * height / max(width, height)
    x = rng.uniform(width / 2 - 0.03, 1 - width / 2 + 0.03)
    ground = line + (FRONT - line) * depth / NEAREST
    if place == "space":
        ground = y = rng.uniform(height + 0.02, 0.98)
    elif airborne(look["noun"], look["pose"]):
        highest = ground - LEAP if look["pose"] and look["pose"][0] == "jumping" else 0
        y = rng.uniform(max(highest, height + 0.01), max(ground - 0.05, height + 0.01))
    else:
        ground = max(ground, height + 0.01)
        y = ground + gap(look, size)
    return Thing(**look, x=x, y=y, size=size, lift=ground - y)


def airborne(noun, pose):
    return NOUNS[noun].airborne or (pose is not None and pose[0] in AIRBORNE)


def gap(look, size):
    """How far below the lowest point of a tilted thing its sprite ends."""
    if not look["tilt"]:
        return 0.0
    alpha = sprite(**look, size=round(size * SIZE))[..., 3]
    return int(np.argmax((alpha[::-1] > 128).any(1))) / SIZE


def steps(size):
    """A size in steps of 4 pixels, so that sprites are shared."""
    return float(round(size * SIZE / 4) * 4 / SIZE)


def crowding(a, b):
    """How much of the smaller of two things' boxes lies in the other's box, 0 to 1."""
    (a_left, a_top, a_right, a_foot), (b_left, b_top, b_right, b_foot) = a.box, b.box
    across, down = min(a_right, b_right) - max(a_left, b_left), min(a_foot, b_foot) - max(a_top, b_top)
    areas = (a_right - a_left) * (a_foot - a_top), (b_right - b_left) * (b_foot - b_top)
    return max(across, 0) * max(down, 0) / min(areas)


# -- one function for every relation: things in their spots, or None if they did not fit ------------------------------


def _alone(rng, looks, place, line, high):
    return (stand(rng, looks[0], place, line, high),)


def _left_of(rng, looks, place, line, high):
    left, right = (stand(rng, look, place, line, min(high, 0.62)) for look in looks)
    if left.x > right.x:
        left, right = replace(left, x=right.x), replace(right, x=left.x)
    return (left, right) if right.x - left.x > 0.2 and crowding(left, right) < 0.15 else None


def _right_of(rng, looks, place, line, high):
    things = _left_of(rng, looks[::-1], place, line, high)
    return things and things[::-1]


def _in_front_of(rng, looks, place, line, high):
    """The first hides a part of the second, which still can be seen."""
    back = stand(rng, looks[1], place, line, min(high, 0.54))
    front = stand(rng, looks[0], place, line, min(high, 0.66))
    if front.ground < back.ground + 0.03:
        return None
    reach = (front.box[2] - front.box[0] + back.box[2] - back.box[0]) / 2
    front = replace(front, x=back.x + pick(rng, (-1, 1)) * rng.uniform(0.45, 0.8) * reach)
    if not (0.1 < front.x < 0.9 and 0.1 < crowding(front, back) < 0.5):
        return None
    covered = shape(back)
    return (front, back) if 0.06 < (covered * shape(front)).sum() / covered.sum() < 0.5 else None


def _behind(rng, looks, place, line, high):
    things = _in_front_of(rng, looks[::-1], place, line, high)
    return things and things[::-1]


def _on(rng, looks, place, line, high):
    seat = stand(rng, looks[1], place, line, high)
    size = steps(np.clip(seat.size * rng.uniform(0.56, 0.74), 0.26, 0.46))
    x, y = anchor(seat, NOUNS[seat.noun].looks[seat.look].seat or (0.5, 0.1))
    rider = Thing(**looks[0], x=x, y=y + 0.015, size=size, lift=seat.ground - y - 0.015)
    return (rider, seat) if rider.box[1] > 0 and seat.size >= 0.36 else None


def _wearing(rng, looks, place, line, high):
    wearer = stand(rng, looks[0], place, line, high)
    point = NOUNS[wearer.noun].looks[wearer.look].head or (0.5, 0.1)
    x, y = anchor(wearer, point)
    size = round((0.5 if abs(point[0] - 0.5) < 0.05 else 0.42) * wearer.size * SIZE / 2) * 2 / SIZE
    hat = Thing(looks[1]["noun"], x=x, y=y + 0.28 * size, size=size, lift=wearer.ground - y - 0.28 * size)
    return (wearer, hat) if hat.box[1] > -0.02 and wearer.size >= 0.38 else None


ARRANGE = {
    "alone": _alone,
    "left of": _left_of,
    "right of": _right_of,
    "in front of": _in_front_of,
    "behind": _behind,
    "on": _on,
    "wearing": _wearing,
}


# -- what edits ask ---------------------------------------------------------------------------------------------------


def successor(rng, old, noun):
    """A thing of another noun in the spot of an old one."""
    new = replace(Thing(**describe(rng, noun, upright=True)), x=old.x, y=old.y, size=old.size, lift=old.lift)
    if noun in HATS:
        return new
    size = np.clip(old.size * NOUNS[noun].scale / NOUNS[old.noun].scale, NOUNS[noun].least, NEAREST)
    return replace(new, size=steps(size))


def fits(scene):
    """Whether everything is in the picture, what is heavy on the ground, and what flies in the air."""
    line = 0 if scene.place == "space" else horizon(scene.place, scene.backdrop)
    carried = {"on": 0, "wearing": 1}.get(scene.relation)
    for i, thing in enumerate(scene.things):
        if thing.box[1] < -0.03 or thing.ground < line + 0.04:
            return False
        if i != carried and scene.place != "space" and airborne(thing.noun, thing.pose) != (thing.lift > 0.03):
            return False
    return True

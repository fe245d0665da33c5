"""What moves how: the motions of the tiny world, which of its things can do which, and where they are meanwhile.

Things are cut-outs of a paper theater: they are shifted, turned and scaled, never bent, so that where a point goes is
known exactly. A motion is a function (scene of movers, amount, u) -> scene, u from 0 at the beginning to 1 at the end.
"""

from collections.abc import Callable
from dataclasses import replace
from functools import partial

import numpy as np

from .nouns import NOUNS
from .places import horizon

# drawings that show a thing from its side, all of them facing left; what is not here is seen from the front
SIDES = {
    "cat": (2,), "dog": (1, 3, 4), "tiger": (1,), "rabbit": (1,), "cow": (1,), "pig": (1,), "monkey": (1,),
    "elephant": (0,), "turtle": (0,), "dinosaur": (0, 1), "unicorn": (0,), "car": (0, 1), "bus": (0,), "tractor": (0,),
    "bicycle": (0,), "rocket": (0, 1),
}  # fmt: skip
VEHICLES = {"car": "drive", "bus": "drive", "tractor": "drive", "bicycle": "ride"}
ROUND = ("ball", "apple", "pumpkin", "donut")
POSED = {"flying": "fly", "diving": "fly", "running": "run", "standing": "walk", "waving": "walk"}
HEAVY = ("elephant", "turtle", "octopus")  # animals that do not jump
STRIDE, HOP, WADDLE = 0.2, 0.08, 5  # of a walk: how far a step goes, how high (of its size), how far it leans (degrees)


def gait(thing, place):
    """How a thing gets along in a place: walk, run, drive, ride, sail, fly, float or roll; None if it cannot."""
    posed = POSED.get(thing.pose[0]) if thing.pose else None
    if thing.noun == "rocket" or posed == "fly":
        return "fly"
    if place == "space" or NOUNS[thing.noun].airborne:
        return "float"
    if thing.noun == "sailboat":
        return "sail" if place == "sea" else None
    if place == "sea" or thing.noun == "octopus":
        return None
    if thing.noun in VEHICLES:
        return VEHICLES[thing.noun] if place != "room" else None
    if thing.noun in ROUND:
        return "roll"
    return "walk" if NOUNS[thing.noun].animal or thing.noun == "robot" else posed


def can(thing, motion, place):
    """Whether a motion fits a thing in a place: a car does not jump, and nothing walks in space."""
    way, sideways = gait(thing, place), thing.look in SIDES.get(thing.noun, ())
    ground = place not in ("space", "sea")
    return {
        "jumping": ground and way in ("walk", "run", "roll") and thing.noun not in (*HEAVY, "apple", "pumpkin"),
        "moving left": way is not None and (sideways or thing.noun not in ("car", "bus")),
        "moving right": way is not None and (sideways or thing.noun not in ("car", "bus")),
        "spinning": place == "space" or way == "roll",
        "coming nearer": way not in (None, "roll", "fly") and (place == "space" or not sideways),
        "flying off": place != "room" and (NOUNS[thing.noun].airborne or way == "fly"),
        "getting dark": place != "space",
    }.get(motion, True)


# -- how a thing gets along: (thing, how far in all, u, side) -> thing, with side -1 to the left and 1 to the right ----


def bounced(thing, far, u):
    """In steps: up and down, leaning to one side and to the other."""
    step = np.sin(np.pi * max(1, round(far / STRIDE)) * u)
    up = HOP * thing.size * abs(step)
    return replace(thing, y=thing.y - up, lift=thing.lift + up, tilt=thing.tilt + WADDLE * step)


def rocked(thing, degrees, u):
    return replace(thing, tilt=thing.tilt + degrees * np.sin(2 * np.pi * u))


def rolled(thing, far, u, side):
    """As a wheel that does not slip."""
    turn = np.rad2deg(far * u / (thing.size / 2))
    return replace(thing, tilt=thing.tilt - turn * side * (-1 if thing.mirror else 1))


GAITS: dict[str | None, Callable] = {
    "walk": lambda thing, far, u, side: bounced(thing, far, u),
    "run": lambda thing, far, u, side: bounced(thing, 1.5 * far, u),
    "sail": lambda thing, far, u, side: rocked(thing, 4, u),
    "float": lambda thing, far, u, side: rocked(thing, 10, u),
    "roll": rolled,
    "drive": lambda thing, far, u, side: thing,
    "ride": lambda thing, far, u, side: thing,
    "fly": lambda thing, far, u, side: thing,
}


# -- the motions ------------------------------------------------------------------------------------------------------


def _still(scene, amount, u):
    return scene


def _jump(scene, amount, u):
    """A parabola, ``amount`` of the picture high."""
    up = 4 * amount * u * (1 - u)
    return _first(scene, lambda thing: replace(thing, y=thing.y - up, lift=thing.lift + up))


def _go(side, scene, amount, u):
    """Across ``amount`` of the picture."""
    step = GAITS[gait(scene.things[0], scene.place)]
    return _first(scene, lambda thing: step(replace(thing, x=thing.x + side * amount * u), amount, u, side))


def _spin(scene, amount, u):
    """``amount`` times around, counterclockwise (clockwise below 0)."""
    side = -1 if scene.things[0].mirror else 1
    return _first(scene, lambda thing: replace(thing, tilt=thing.tilt + 360 * side * amount * u))


def _near(scene, amount, u):
    """At a steady pace toward us, until it is ``amount`` times as large: perspective moves it away from the vanishing
    point, which lies on the horizon."""
    scale = 1 / (1 - (1 - 1 / amount) * u)
    middle, line = vanishing_point(scene)
    place = scene.place

    def nearer(thing):
        near = replace(
            thing,
            x=middle + (thing.x - middle) * scale,
            y=line + (thing.y - line) * scale,
            size=thing.size * scale,
            lift=thing.lift * scale,
        )
        return bounced(near, 0.6, u) if gait(thing, place) in ("walk", "run") else near

    return _first(scene, nearer)


def _off(scene, amount, u):
    """Away, faster and faster: ``amount`` of the picture up, and to the side it heads for; smaller, as it recedes."""
    far = u**1.6
    up, across = amount * far, amount * far * heading(scene.things[0])
    return _first(
        scene,
        lambda thing: replace(
            thing, x=thing.x + across, y=thing.y - up, lift=thing.lift + up, size=thing.size * (1 - 0.4 * far)
        ),
    )


def _pan(side, scene, amount, u):
    """The camera turns over ``amount`` of the picture: everything moves the other way."""
    away = pan(side * amount, u)
    return replace(scene, things=tuple(replace(thing, x=thing.x - away) for thing in scene.things))


MOVES = {
    "still": _still,
    "jumping": _jump,
    "moving left": partial(_go, -1),
    "moving right": partial(_go, 1),
    "spinning": _spin,
    "coming nearer": _near,
    "flying off": _off,
    "panning left": partial(_pan, -1),
    "panning right": partial(_pan, 1),
    "getting dark": _still,
}
STANDING = ("still", "getting dark")  # nothing is elsewhere in the next frame


def pan(amount, u):
    """How far to the right of the scene the camera looks, as a fraction of the picture. A pan to the left ends at the
    scene, others begin there."""
    return amount * u if amount > 0 else -amount * (1 - u)


def heading(thing):
    """How far to the right what flies off goes, for every step up: along a rocket's nose, a hero's arm."""
    side = -1 if thing.mirror else 1
    return side * {"rocket": 0.9, "superhero": -0.5}.get(thing.noun, 0.25)


def vanishing_point(scene):
    return 0.5, 0.5 if scene.place == "space" else horizon(scene.place, scene.backdrop)


def _first(scene, move):
    """The scene with its first thing moved."""
    return replace(scene, things=(move(scene.things[0]), *scene.things[1:]))

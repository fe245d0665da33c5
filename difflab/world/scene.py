"""A scene is data first: things, their relation, a place, a time, a style. Pictures and captions are made from it."""

from dataclasses import dataclass, replace

from . import figure
from .nouns import (
    ANIMALS,
    BASE_NOUNS,
    HATS,
    HATTED,
    HELD_OUT_PAIRS,
    HELD_OUT_STYLES,
    NOUNS,
    PLACES,
    POSES,
    RELATIONS,
    RIDERS,
    SEATS,
    STYLES,
    TIMES,
)  # fmt: skip
from .places import HEIGHT, VARIANTS, WIDTH

SIZE = 128  # pictures are SIZE x SIZE


@dataclass(frozen=True)
class Thing:
    """One thing. ``x`` is its middle, ``y`` its foot, ``size`` its longest side, all as fractions of the picture."""

    noun: str
    color: str | None = None  # None is the natural color
    x: float = 0.5
    y: float = 0.9
    size: float = 0.65
    mirror: bool = False
    tilt: int = 0  # degrees
    pose: tuple[str, int] | None = None  # the superhero's: a name of POSES and a variant

    def __post_init__(self):
        if self.noun not in NOUNS and self.noun not in HATS:
            raise ValueError(f"no noun {self.noun!r} in the tiny world; it has {', '.join([*NOUNS, *HATS])}")
        allowed = NOUNS[self.noun].colors if self.noun in NOUNS else ()
        if self.color is not None and self.color not in allowed:
            raise ValueError(
                f"a {self.noun} cannot be {self.color!r}; it can be {', '.join(allowed) or 'only as it is'}"
            )


@dataclass(frozen=True)
class Scene:
    """``things[0]`` stands in ``relation`` to ``things[1]``: left of, right of, on (a seat) or wearing (a hat).

    Without things, only the place is there; `random_scene` draws no such scene.
    """

    things: tuple[Thing, ...]
    relation: str = "alone"
    place: str = "meadow"
    time: str = "day"
    style: str = "plain"
    backdrop: tuple[int, int, int, bool] = (0, 24, 6, False)  # variant, crop x, crop y, mirrored

    def __post_init__(self):
        for what, known in (("relation", RELATIONS), ("place", PLACES), ("time", TIMES), ("style", STYLES)):
            value = getattr(self, what)
            if value not in known:
                raise ValueError(f"no {what} {value!r} in the tiny world; it has {', '.join(known)}")
        if len(self.things) not in ((0, 1) if self.relation == "alone" else (2,)):
            raise ValueError(
                f"{len(self.things)} things cannot stand {self.relation!r}: alone takes one or none, the others two"
            )

    def caption(self, rng=None):
        """A caption. Without ``rng`` the plain full one; with a numpy Generator one of its many wordings."""
        return caption(self, rng)


def random_scene(rng, *, relation=None, noun=None, other=None, place=None, time=None, style=None):
    """Draw a scene from numpy Generator ``rng``. What is given is taken, held out or not; what is not given is drawn
    from the base world, so that HELD_OUT nouns, styles and pairs never come by chance."""
    while True:
        scene = _draw(rng, relation, noun, other, place, time, style)
        if not is_held_out(scene) or any((noun, other, place, style)):
            return scene


def is_held_out(scene):
    """Whether the scene shows something that base training never shows."""
    words = {scene.place, *(t.noun for t in scene.things), *(t.color for t in scene.things)}
    pairs = any(a in words and b in words for a, b in HELD_OUT_PAIRS)
    return (
        pairs
        or scene.style in HELD_OUT_STYLES
        or any(t.noun in NOUNS and t.noun not in BASE_NOUNS for t in scene.things)
    )


def _pick(rng, options):
    return options[int(rng.integers(len(options)))]


def _draw(rng, relation, noun, other, place, time, style):
    relation = relation or RELATIONS[int(rng.choice(5, p=(0.40, 0.17, 0.17, 0.16, 0.10)))]
    place = place or _pick(rng, PLACES)
    style = style or ("pencil sketch" if rng.random() < 0.06 else "plain")
    time = "night" if place == "space" else "day" if style != "plain" else time or _pick(rng, TIMES)
    first = {"alone": ANIMALS if rng.random() < 0.3 else BASE_NOUNS, "on": RIDERS, "wearing": HATTED}.get(
        relation, BASE_NOUNS
    )
    noun = noun or _pick(rng, first)
    if relation == "alone":
        nouns = [noun]
    else:
        second = {"on": SEATS, "wearing": tuple(HATS)}.get(relation, BASE_NOUNS)
        nouns = [noun, other or _pick(rng, [n for n in second if n != noun])]
    things = _place(rng, relation, place, [_describe(rng, n, alone=relation == "alone") for n in nouns])
    backdrop = (
        int(rng.integers(VARIANTS)),
        int(rng.integers(WIDTH - SIZE + 1)),
        int(rng.integers(HEIGHT - SIZE + 1)),
        bool(rng.random() < 0.5),
    )
    return Scene(things, relation, place, time, style, backdrop)


def _describe(rng, noun, alone):
    """What a thing looks like, before it has a spot: a color word half of the time where it may have one."""
    colors = NOUNS[noun].colors if noun in NOUNS else ()
    color = _pick(rng, colors) if colors and rng.random() < 0.6 else None
    pose = None
    if noun == "superhero":
        pose = (_pick(rng, POSES), int(rng.integers(figure.VARIANTS)))
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
        tilt = _pick(rng, (0, 0, -12, 12)) if place == "space" else 0
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
        height = seat.y - _anchor(seat, NOUNS[names[1]].seat)[1]  # of the seat above the ground
        fits = min(1, (foot - rider) / height)  # so that the rider's head stays in the picture
        seat = replace(seat, size=int(fits * seat.size * SIZE / 4) * 4 / SIZE)
        x, y = _anchor(seat, NOUNS[names[1]].seat)
        return (Thing(**looks[0], x=x, y=y + 0.015, size=rider), seat)
    wearer = Thing(**looks[0], x=rng.uniform(0.4, 0.6), y=foot, size=_size(rng, names[0], 0.52, 0.62))
    x, y = _anchor(wearer, NOUNS[names[0]].head or (0.5, 0.1))
    hat = 0.5 if NOUNS[names[0]].head and abs(NOUNS[names[0]].head[0] - 0.5) < 0.05 else 0.42
    hat_size = round(hat * wearer.size * SIZE / 2) * 2 / SIZE
    return (wearer, Thing(names[1], x=x, y=y + 0.28 * hat_size, size=hat_size))


def _lifted(rng, noun, size, foot, place):
    """Where the foot of a thing is once airborne things have left the ground."""
    lift = rng.uniform(0.1, 0.24) if NOUNS[noun].airborne or place == "space" else 0
    return max(foot - lift, size + 0.02)


def _anchor(thing, point):
    """Where a point of the thing's sprite (fractions) lies in the picture (fractions)."""
    from .sprites import sprite

    height, width = sprite(thing.noun, thing.color, thing.pose, round(thing.size * SIZE)).shape[:2]
    x = 1 - point[0] if thing.mirror else point[0]
    return thing.x + (x - 0.5) * width / SIZE, thing.y + (point[1] - 1) * height / SIZE


PLACE_PHRASES = {
    "beach": ("on the beach", "on a beach", "at the beach"),
    "meadow": ("in a meadow", "in the meadow", "on the grass"),
    "desert": ("in the desert", "in a desert"),
    "snow": ("in the snow", "on the snow"),
    "city": ("in the city", "in a city", "on a city street"),
    "room": ("in a room", "in the living room"),
    "forest": ("in the forest", "in a forest"),
    "sea": ("on the sea", "on the water"),
    "space": ("in space", "in outer space"),
    "mountains": ("in the mountains", "near the mountains"),
}
TIME_PHRASES = {"day": ("by day", "during the day", "on a sunny day"), "sunset": ("at sunset",), "night": ("at night",)}


def article(words):
    return ("an " if words[0] in "aeio" else "a ") + words  # "a unicorn"


def caption(scene, rng=None):
    """The scene in words. ``rng`` None gives the plain full caption; otherwise wording, order and omissions vary."""
    choose = (lambda options: _pick(rng, options)) if rng else (lambda options: options[0])
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

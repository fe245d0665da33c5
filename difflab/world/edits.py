"""Edits: a scene, a wish in words, and the scene after it; and masks for pictures that are to be filled in.

The truth for everything that changes existing pictures. As with scenes, a seed and an index determine an edit.
"""

from collections.abc import Callable
from dataclasses import replace
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from . import first
from .cutouts import pick
from .nouns import BASE_NOUNS, HATS, NOUNS, PLACES, RIDERS, TIMES
from .render import render, truth
from .scene import SIZE, Scene, is_held_out
from .words import PLACE_PHRASES, article

EDITS = ("time", "place", "swap", "recolor", "add", "remove", "style")
SHARES = (0.15, 0.15, 0.2, 0.14, 0.16, 0.14, 0.06)


class Edit(NamedTuple):
    """A wish and its fulfillment: both scenes share whatever the instruction does not speak of."""

    kind: str  # one of EDITS
    instruction: str  # "turn the cat into a dog"
    before: Scene
    after: Scene


def edit(seed, index, *, kind=None, layout=first):
    """Edit ``index`` of the endless series ``seed``; of one kind of EDITS, or of any. Raises ValueError for others.

    ``layout`` is what draws scenes, as in `sample`.
    """
    if kind is not None and kind not in EDITS:
        raise ValueError(f"no edit of kind {kind!r} in the tiny world; it has {', '.join(EDITS)}")
    rng = np.random.default_rng([seed, index, 7])
    return random_edit(rng, kind=kind, layout=layout)


def edits(n, seed=0, *, kind=None, layout=first):
    """The first ``n`` edits of series ``seed``: a list of `Edit`."""
    return [edit(seed, index, kind=kind, layout=layout) for index in range(n)]


def random_edit(rng, *, kind=None, layout=first):
    """Draw an edit from numpy Generator ``rng``; neither of its scenes shows anything held out of base training."""
    kind = kind or str(rng.choice(EDITS, p=SHARES))
    draw = DRAW[kind]
    while True:
        before, after, instruction = draw(rng, layout)
        if before != after and not is_held_out(before) and not is_held_out(after) and layout.fits(after):
            return Edit(kind, instruction, before, after)


def reworded(wish, rng):
    """Another wording of an edit's instruction."""
    return _instruction(rng, wish.kind, wish.before, wish.after)


def changed(wish, margin=4):
    """Where an edit's two pictures differ, and ``margin`` pixels around it: (128, 128) bool."""
    before, after = (render(scene).astype(np.int16) for scene in (wish.before, wish.after))
    differs = np.abs(after - before).max(-1) > 8
    grown = Image.fromarray((differs * 255).astype(np.uint8)).filter(ImageFilter.MaxFilter(2 * margin + 1))
    return np.asarray(grown) > 0


# -- one function for every kind of edit: two scenes and the words that lead from one to the other -------------------


def _time(rng, layout):
    before = layout.random_scene(rng, style="plain", place=pick(rng, [p for p in PLACES if p != "space"]))
    after = replace(before, time=pick(rng, [t for t in TIMES if t != before.time]))
    return before, after, _instruction(rng, "time", before, after)


def _place(rng, layout):
    before = layout.random_scene(rng, style="plain")
    place = pick(rng, [p for p in PLACES if p != before.place])
    after = replace(before, place=place, time="night" if place == "space" else before.time)
    return before, after, _instruction(rng, "place", before, after)


def _swap(rng, layout):
    """One thing becomes another; of two, the one that carries nothing."""
    before = layout.random_scene(rng)
    i = 1 if before.relation == "wearing" else int(rng.integers(2)) if before.relation.endswith("of") else 0
    old = before.things[i]
    others = {"wearing": tuple(HATS), "on": RIDERS}.get(before.relation, BASE_NOUNS)
    noun = pick(rng, [n for n in others if n not in {thing.noun for thing in before.things}])
    new = layout.successor(rng, old, noun)
    after = replace(before, things=_with(before.things, i, new))
    return before, after, _instruction(rng, "swap", before, after)


def _recolor(rng, layout):
    colorful = [noun for noun in BASE_NOUNS if NOUNS[noun].colors]
    before = layout.random_scene(rng, style="plain", relation=pick(rng, ("alone", "alone", "left of")))
    i = int(rng.integers(len(before.named)))
    if before.things[i].noun not in colorful:
        noun = pick(rng, [n for n in colorful if n not in {thing.noun for thing in before.things}])
        before = replace(
            before, things=_with(before.things, i, replace(before.things[i], noun=noun, color=None, pose=None, look=0))
        )
    if NOUNS[before.things[i].noun].looks[before.things[i].look].hue is None:  # this drawing has one color only
        before = replace(before, things=_with(before.things, i, replace(before.things[i], look=0)))
    thing = before.things[i]
    natural, *_ = NOUNS[thing.noun].colors
    color = pick(rng, [c for c in NOUNS[thing.noun].colors if c not in (thing.color, natural)])
    after = replace(before, things=_with(before.things, i, replace(thing, color=color)))
    return before, after, _instruction(rng, "recolor", before, after)


def _remove(rng, layout):
    """Of two things one goes: a hat, what sits on something, or either of two neighbors."""
    before = layout.random_scene(rng, relation=pick(rng, ("left of", "right of", "on", "wearing")))
    gone = {"on": 0, "wearing": 1}.get(before.relation, int(rng.integers(2)))
    after = replace(before, things=(before.things[1 - gone], *before.things[2:]), relation="alone")
    return before, after, _instruction(rng, "remove", before, after)


def _add(rng, layout):
    after, before, _ = _remove(rng, layout)
    return before, after, _instruction(rng, "add", before, after)


def _style(rng, layout):
    before = layout.random_scene(rng, style="plain", time="day")
    after = replace(before, style="pencil sketch")
    return before, after, _instruction(rng, "style", before, after)


DRAW: dict[str, Callable] = dict(zip(EDITS, (_time, _place, _swap, _recolor, _add, _remove, _style), strict=True))


def _with(things, i, thing):
    return (*things[:i], thing, *things[i + 1 :])


def _name(thing):
    return f"{thing.color} {thing.noun}" if thing.color else thing.noun


# -- the words --------------------------------------------------------------------------------------------------------


def _instruction(rng, kind, before, after):
    choose = lambda options: pick(rng, options)  # noqa: E731
    it = "it" if len(before.named) == 1 else "them"
    if kind == "time":
        now = {"day": ("day", "a sunny day"), "sunset": ("sunset",), "night": ("night",)}[after.time]
        return choose(("make it {}", "make it {}", "turn it into {}", "change the time to {}")).format(choose(now))
    if kind == "place":
        where = choose(PLACE_PHRASES[after.place])
        them = choose((it, it, "the " + before.things[0].noun if len(before.named) == 1 else it))
        to = f"move {them} to {where.split(' ', 1)[1]}"
        return choose(
            (f"put {them} {where}", f"put {them} {where}", to, f"change the place to {where.split(' ', 1)[1]}")
        )
    if kind == "style":
        return choose(("make it a pencil sketch", "turn it into a pencil sketch", "draw it as a pencil sketch"))
    if kind in ("swap", "recolor"):
        old, new = next((a, b) for a, b in zip(before.things, after.things, strict=True) if a != b)
        the = choose(("it", f"the {old.noun}")) if len(before.named) == 1 else f"the {old.noun}"
        if kind == "recolor":
            return choose(("make {} {}", "make {} {}", "turn {} {}", "paint {} {}")).format(the, new.color)
        words = ("turn the {} into {}", "turn the {} into {}", "replace the {} with {}", "make the {} {}")
        return choose(words).format(old.noun, article(_name(new)))
    more, less = (after, before) if kind == "add" else (before, after)
    thing = next(t for t in more.things if t not in less.things)
    other = less.things[0].noun
    if kind == "remove":
        return choose(("remove the {}", "remove the {}", "take the {} away", "take away the {}")).format(thing.noun)
    name = article(_name(thing))
    if more.relation == "wearing":
        return choose((f"give it {name}", f"give the {other} {name}", f"put {name} on the {other}", f"add {name}"))
    if more.relation == "on":
        return choose((f"put {name} on the {other}", f"put {name} on it", f"add {name} on the {other}"))
    if more.relation in ("in front of", "behind"):
        where = more.relation if thing is more.things[0] else {"behind": "in front of"}.get(more.relation, "behind")
        return choose((f"add {name}", f"put {name} {where} the {other}", f"add {name} {where} the {other}"))
    on_the = "left" if thing.x < less.things[0].x else "right"
    beside = f"put {name} to the {on_the} of the {other}"
    return choose((f"add {name}", f"add {name} on the {on_the}", beside, f"put {name} next to the {other}"))


# -- masks ------------------------------------------------------------------------------------------------------------


def random_mask(rng, scene):
    """A mask as people draw them, (128, 128) bool, True where the picture is to be filled in.

    Around a thing (its outline or its box, with room to spare), a box anywhere, strokes of a brush, or a border that is
    to be painted on; never empty, never everything.
    """
    while True:
        kind = str(rng.choice(("outline", "box", "anywhere", "brush", "border"), p=(0.2, 0.3, 0.15, 0.15, 0.2)))
        if kind in ("outline", "box") and not scene.things:
            kind = "anywhere"
        mask = MASKS[kind](rng, scene)
        if 0.02 < mask.mean() < 0.95:
            return mask


def grow(mask, pixels):
    """A mask, with ``pixels`` more on every side: bool (h, w)."""
    return np.asarray(Image.fromarray(mask.astype(np.uint8) * 255).filter(ImageFilter.MaxFilter(2 * pixels + 1))) > 0


def _outline(rng, scene):
    masks = truth(scene).masks
    return grow(masks[int(rng.integers(len(masks)))] > 0.1, int(rng.integers(3, 13)))


def _box(rng, scene):
    masks = truth(scene).masks
    y, x = np.nonzero(masks[int(rng.integers(len(masks)))] > 0.1)
    left, top, right, bottom = x.min(), y.min(), x.max() + 1, y.max() + 1
    grown = rng.integers(0, 21, 4)
    return _rectangle(left - grown[0], top - grown[1], right + grown[2], bottom + grown[3])


def _anywhere(rng, scene):
    width, height = rng.integers(20, 100, 2)
    left, top = rng.integers(-10, SIZE - width + 11), rng.integers(-10, SIZE - height + 11)
    return _rectangle(left, top, left + width, top + height)


def _brush(rng, scene):
    canvas = Image.new("1", (SIZE, SIZE))
    draw = ImageDraw.Draw(canvas)
    for _ in range(int(rng.integers(1, 4))):
        points = [tuple(int(v) for v in rng.integers(0, SIZE, 2)) for _ in range(int(rng.integers(2, 5)))]
        draw.line(points, fill=1, width=int(rng.integers(6, 28)), joint="curve")
    return np.asarray(canvas)


def _border(rng, scene):
    kept = np.zeros((SIZE, SIZE), bool)
    left, top, right, bottom = rng.integers(0, 49, 4) * (rng.random(4) < 0.6)
    kept[top : SIZE - bottom, left : SIZE - right] = True
    return ~kept


def _rectangle(left, top, right, bottom):
    mask = np.zeros((SIZE, SIZE), bool)
    mask[max(top, 0) : max(bottom, 0), max(left, 0) : max(right, 0)] = True
    return mask


MASKS = {"outline": _outline, "box": _box, "anywhere": _anywhere, "brush": _brush, "border": _border}

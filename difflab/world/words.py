"""How scenes are put in words: the grammar of captions.

People leave out what goes without saying, or what they do not care for; so do captions. `LEFT_OUT` says how often.
"""

from .cutouts import pick
from .nouns import ANY_POSE, HATS
from .places import horizon

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
# of who flies, besides
OVER_PHRASES = {place: (f"over the {place}", f"above the {place}") for place in PLACE_PHRASES} | {
    "room": (),
    "space": ("through space", "through outer space"),
}
TIME_PHRASES = {"day": ("by day", "during the day", "on a sunny day"), "sunset": ("at sunset",), "night": ("at night",)}

# how often a caption does without: of two neighbors the second, ...
LEFT_OUT = {"time": 0.45, "place": 0.25, "color": 0.3, "pose": 0.3, "neighbor": 0.12, "side": 0.2}
PRECISE = 0.25  # of the captions say how large, how far or on which side, where that is clear
BYSTANDER = 0.3  # of the captions name a thing that happens to be behind or before the others
SMALL, LARGE = 0.38, 0.6  # longest sides
FAR, NEAR = 0.42, 0.64  # how large a thing of scale 1 looks there
LEFT, RIGHT = 0.36, 0.64  # where a thing's middle is


def article(words):
    return ("an " if words[0] in "aeio" else "a ") + words  # "a unicorn"


def nearness(scene, thing):
    """How near a thing is: the size that a thing of scale 1 has there; None where there is no ground to judge by."""
    if scene.place == "space" or isinstance(scene.backdrop, tuple):
        return None
    line = horizon(scene.place, scene.backdrop)
    return 0.75 * (thing.ground - line) / (0.97 - line)


def place_phrases(scene):
    """Phrases that say where the scene is set; who flies, and is all that there is, is over it."""
    flies = [thing.pose is not None and thing.pose[0] == "flying" for thing in scene.things] == [True]
    return (OVER_PHRASES[scene.place] if flies else ()) + PLACE_PHRASES[scene.place]


def size_word(thing):
    """small, large, or nothing."""
    return "" if thing.noun in HATS else "small" if thing.size <= SMALL else "large" if thing.size >= LARGE else ""


def spot_phrases(scene, thing):
    """Phrases that say truly where a thing is."""
    near = nearness(scene, thing)
    far, close = (False, False) if near is None else (near < FAR, near > NEAR)
    clear = far, far, close, thing.x < LEFT, thing.x > RIGHT
    phrases = "far away", "in the distance", "in the foreground", "on the left", "on the right"
    return tuple(phrase for phrase, true in zip(phrases, clear, strict=True) if true)


def caption(scene, rng=None):
    """The scene in words. ``rng`` None gives the plain full caption; otherwise wording, order and omissions vary."""
    choose = (lambda options: pick(rng, options)) if rng else (lambda options: options[0])
    chance = (lambda p: rng.random() < p) if rng else (lambda p: False)
    without = {part: chance(p) for part, p in LEFT_OUT.items()}
    precise = chance(PRECISE)

    def name(thing):
        words = f"{thing.color} {thing.noun}" if thing.color and colors else thing.noun
        if thing.pose and thing.pose[0] != ANY_POSE and not without["pose"]:
            words = choose((f"{thing.pose[0]} {words}", f"{words} {thing.pose[0]}"))
        size = size_word(thing) if precise and chance(0.5) else ""
        return article(f"{size} {words}" if size else words)

    colors = scene.style == "plain" and not without["color"]
    named, relation = scene.named, scene.relation
    if without["neighbor"] and relation in ("left of", "right of", "in front of", "behind"):
        named, relation = (choose(named),), "alone"
    names = [name(thing) for thing in named]
    what = RELATE[relation](names, named, choose, without["side"]) if names else ""
    if precise and relation in ("alone", "on", "wearing") and named:
        where = spot_phrases(scene, named[1 if relation == "on" else 0])
        what = f"{what} {choose(where)}" if where else what
    if scene.things[len(scene.named) :] and chance(BYSTANDER):
        what += bystander(scene, name, choose)
    where = "" if names and without["place"] else " " + choose(place_phrases(scene))
    when = choose(TIME_PHRASES[scene.time])
    if scene.place == "space" or scene.style != "plain" or without["time"]:
        when = ""
    if scene.style != "plain":
        what = f"{choose((article(scene.style) + ' of', article(scene.style) + ' of', scene.style + ' of'))} {what}"
    elif names and chance(0.1):
        what = f"{choose(('a picture of', 'a photo of'))} {what}"
    elif names and when and chance(0.06):
        return f"{when}, {what}{where}"
    return f"{what}{where} {when}".strip()


def bystander(scene, name, choose):
    """Words for the first thing that the caption need not name, if it is clearly behind or before all that it names."""
    thing, grounds = scene.things[len(scene.named)], [t.ground for t in scene.named]
    if scene.place == "space" or min(grounds) - 0.05 < thing.ground < max(grounds) + 0.05:
        return ""
    depth = "background" if thing.ground < min(grounds) else "foreground"
    return choose((", {} in the {}", " with {} in the {}")).format(name(thing), depth)


def _beside(names, named, choose, no_side):
    """Two neighbors; which of them is left, unless the caption leaves that out."""
    if no_side:
        level = abs(named[0].ground - named[1].ground) < 0.1
        first, second = choose((names, names[::-1]))
        return f"{first} {choose(('and', 'next to', 'beside') if level else ('and',))} {second}"
    first, second = names
    here, there = ("left", "right") if named[0].x < named[1].x else ("right", "left")
    return choose((f"{first} to the {here} of {second}", f"{second} to the {there} of {first}"))


RELATE = {
    "alone": lambda names, named, choose, no_side: names[0],
    "left of": _beside,
    "right of": _beside,
    "in front of": lambda names, named, choose, no_side: choose(
        (f"{names[0]} in front of {names[1]}", f"{names[1]} behind {names[0]}")
    ),
    "behind": lambda names, named, choose, no_side: choose(
        (f"{names[0]} behind {names[1]}", f"{names[1]} in front of {names[0]}")
    ),
    "on": lambda names, named, choose, no_side: f"{names[0]} {choose(('on', 'on', 'sitting on'))} {names[1]}",
    "wearing": lambda names, named, choose, no_side: f"{names[0]} {choose(('wearing', 'wearing', 'with'))} {names[1]}",
}

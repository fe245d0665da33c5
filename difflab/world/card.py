"""The data card of the tiny world, counted, not claimed."""

from collections import Counter

import numpy as np

from . import first
from .nouns import (
    COLORS,
    HATS,
    HELD_OUT_NOUNS,
    HELD_OUT_PAIRS,
    HELD_OUT_POSES,
    HELD_OUT_STYLES,
    NOUNS,
    PLACES,
    POSES,
    RELATIONS,
    STYLES,
    TIMES,
)
from .scene import is_held_out
from .words import PLACE_PHRASES, TIME_PHRASES

KINDS = "relation", "place", "time", "style", "things", "noun", "color", "caption says", "caption length"
PRECISE = "small", "large", "far away", "in the distance", "foreground", "background", "on the left", "on the right"


def says(scene, caption):
    """Which parts of its scene a caption speaks of."""
    things = [thing for thing in scene.things if thing.noun in caption]
    colors = [thing.color for thing in scene.named if thing.color]
    found = {
        "the time": any(phrase in caption for phrase in TIME_PHRASES[scene.time]),
        "the place": any(phrase in caption for phrase in PLACE_PHRASES[scene.place]),
        "every color": bool(colors) and all(color in caption for color in colors),
        "every thing that is there": len(things) == len(scene.things),
        "left or right of": " to the left of " in caption or " to the right of " in caption,
        "in front of or behind": " in front of " in caption or " behind " in caption,
        "size, distance or side": any(word in caption for word in PRECISE),
    }
    return [part for part, true in found.items() if true]


def count(n=20_000, seed=0, layout=first):
    """Draw ``n`` scenes without rendering them. Returns {kind: Counter} and the number of different captions."""
    counts = {kind: Counter() for kind in KINDS}
    captions = set()
    for index in range(n):
        rng = np.random.default_rng([seed, index])
        scene = layout.random_scene(rng)
        if is_held_out(scene):
            raise AssertionError(f"scene {index} of series {seed} shows something held out: {scene}")
        for kind in ("relation", "place", "time", "style"):
            counts[kind][getattr(scene, kind)] += 1
        for thing in scene.things:
            counts["noun"][thing.noun] += 1
            counts["color"][thing.color or "natural"] += 1
        counts["things"][len(scene.things)] += 1
        caption = scene.caption(rng)
        counts["caption says"].update(says(scene, caption))
        captions.add(caption)
        counts["caption length"][len(caption.split())] += 1
    return counts, len(captions)


def card(n=20_000, seed=0, layout=first):
    """The data card of the scenes that ``layout`` draws, as Markdown."""
    counts, distinct = count(n, seed, layout)

    def table(kind, names, total=None):
        total = total or sum(counts[kind].values())
        rows = [f"| {name} | {counts[kind][name]:,} | {counts[kind][name] / total:.1%} |" for name in names]
        return "\n".join([f"| {kind} | count | share |", "|---|---|---|", *rows])

    nouns = [noun for noun, _ in counts["noun"].most_common()]
    lengths = sorted(counts["caption length"].elements())
    pairs = ", ".join(f"{a} with {b}" for a, b in HELD_OUT_PAIRS)
    return f"""## Data card

Scenes of 128 x 128 pixels with captions, drawn by a program from {len(NOUNS)} nouns, {len(HATS)} hats,
{len(COLORS)} color words, {len(PLACES)} places, {len(TIMES)} times of day, {len(POSES)} poses and {len(STYLES)} styles.
There is no fixed data set: a seed and an index determine a scene, its picture and its caption, and there are as many as
you ask for. The figures below count {n:,} of them.

### What it is for

Learning how diffusion models work, with a truth to measure against: every scene knows its caption, the mask of each
thing, depth, edges and the skeleton of its superhero. It is not a picture of the real world, and nothing measured on it
carries over to one without a test.

### What is in it

{table("relation", RELATIONS)}

{table("place", PLACES)}

In space there is neither day nor sunset, which is why night is the most frequent time.

{table("time", TIMES)}

{table("style", [style for style in STYLES if style not in HELD_OUT_STYLES])}

{table("color", ["natural", *COLORS])}

{table("noun", nouns)}

{table("things", sorted(counts["things"]))}

{table("caption says", [part for part, _ in counts["caption says"].most_common()], n)}

{distinct:,} of {n:,} captions are different; they have {lengths[0]} to {lengths[-1]} words, half of them at most
{lengths[n // 2]}.

### What is kept out of base training

- nouns, for textual inversion and LoRA to learn: {", ".join(HELD_OUT_NOUNS)}
- a look, for a style LoRA: {", ".join(HELD_OUT_STYLES)}
- poses, for skeletons to ask for: {", ".join(HELD_OUT_POSES)}
- pairs, each part of which is common, to test composition: {pairs}

`world.random_scene` gives these only when asked for by name.

### Limits

English captions, one grammar. No people but a cartoon superhero, no text in pictures, at most {max(counts["things"])}
things and one of each. Sizes, positions and light are tidier than life. Animals are mostly faces, because faces read
well at this size.

### Where it comes from

The sprites are Fluent Emoji by Microsoft (MIT), as packaged in `@lobehub/fluent-emoji-3d` 1.1.0 (MIT); places,
superhero and styles are drawn by `difflab.world`. Both licenses are in `NOTICE`.
"""

"""How much a caption leaves open: the outlines that two scenes of one caption share, and the variance that is left.

A caption that says nearly all makes every experiment of the field come out null, so room is measured.
"""

from collections.abc import Callable

import numpy as np

from .edits import grow
from .render import render, truth
from .words import TIME_PHRASES, place_phrases

EDGE = 0.25  # from this strength on an outline counts


def edge_f1(a: np.ndarray, b: np.ndarray, tolerance: int = 2) -> float:
    """How well two edge maps (bool, (h, w)) agree, edges up to ``tolerance`` pixels apart being the same: F1, 0 to 1.

    Precision is the part of ``a`` that lies near an edge of ``b``, recall the part of ``b`` near one of ``a`` (Martin,
    Fowlkes and Malik 2004, with the tolerance in place of a matching). Two empty maps agree.
    """
    if not a.any() or not b.any():
        return float(a.any() == b.any())
    precision, recall = grow(b, tolerance)[a].mean(), grow(a, tolerance)[b].mean()
    return float(2 * precision * recall / max(precision + recall, 1e-12))


def variance_left(groups: np.ndarray) -> float:
    """The part of the variance that is left when the group is known: groups (g, k, ...), k samples of each of g
    captions. The estimate is unbiased: within over within plus between, by the analysis of variance of one factor."""
    g, k = groups.shape[:2]
    if g < 2 or k < 2:
        raise ValueError(f"groups of shape {groups.shape} have no variance within and between: give 2 or more of each")
    groups = groups.reshape(g, k, -1).astype(np.float64)
    within = groups.var(axis=1, ddof=1).mean(axis=0).sum()
    between = groups.mean(axis=1).var(axis=0, ddof=1).sum() - within / k
    return float(within / (within + max(between, 0.0)))


def alike(rng: np.random.Generator, scene, layout, caption: str | None = None):
    """Another scene drawn by ``layout`` that ``caption``, one of the scene's, fits as well; by default its full one.

    Of a caption that is not full, place, time, colors and poses are heeded where it names them, and the relation;
    words for size, distance and side are not.
    """
    first, other = (*(thing.noun for thing in scene.named), None)[:2]
    given = dict(relation=scene.relation, noun=first, other=other, style=scene.style)
    text = caption or scene.caption()
    for part, phrases in (("place", place_phrases(scene)), ("time", TIME_PHRASES[scene.time])):
        if caption is None or any(phrase in text for phrase in phrases):
            given[part] = getattr(scene, part)
    while True:
        new = layout.random_scene(rng, **given)
        if new.caption() == text or (caption and _same_where_said(scene, new, text)):
            return new


def _same_where_said(scene, new, text):
    return all(
        (old.color == thing.color or f"{old.color} {old.noun}" not in text)
        and (old.pose is None or old.pose[0] == thing.pose[0] or old.pose[0] not in text)
        for old, thing in zip(scene.named, new.named, strict=True)
    )


def room(
    layout, captions: int = 200, each: int = 8, seed: int = 0, encode: Callable[[np.ndarray], np.ndarray] | None = None
) -> dict[str, float]:
    """What captions leave open in the scenes that ``layout`` draws, sketches left out.

    ``edges``: `edge_f1` of two scenes of one full caption; ``edges of others``: of two captions. ``pixels``: the
    `variance_left` by full captions, ``pixels, ordinary``: by captions as they come. ``latents``: as ``pixels``, of
    what ``encode`` makes of pictures (n, 128, 128, 3), where it is given.
    """
    rng = np.random.default_rng([seed, 11])
    scenes = [layout.random_scene(rng, style="plain") for _ in range(captions)]

    def groups(captions):
        return [
            [s, *(alike(rng, s, layout, c) for _ in range(each - 1))] for s, c in zip(scenes, captions, strict=True)
        ]

    def pictures(groups):
        return np.stack([[render(scene) for scene in group] for group in groups])

    full = groups([None] * captions)
    outlines = [[truth(scene).edges > EDGE for scene in group[:2]] for group in full]
    seen = pictures(full)
    found = {
        "edges": np.mean([edge_f1(one, two) for one, two in outlines]),
        "edges of others": np.mean([edge_f1(a, b) for (a, _), (b, _) in zip(outlines, outlines[1:], strict=False)]),
        "pixels": variance_left(seen),
        "pixels, ordinary": variance_left(pictures(groups([scene.caption(rng) for scene in scenes]))),
    }
    if encode is not None:
        latents = np.concatenate([encode(group) for group in seen])
        found["latents"] = variance_left(latents.reshape(captions, each, *latents.shape[1:]))
    return {name: float(value) for name, value in found.items()}

"""How much a caption leaves open: the outlines that two scenes of one caption share, and the variance that is left.

A caption that says nearly all makes every experiment of the field come out null, so room is measured.
"""

from collections.abc import Callable

import numpy as np

from .edits import grow
from .render import render, truth

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


def alike(rng: np.random.Generator, scene, layout):
    """Another scene drawn by ``layout`` with the same full caption and style."""
    first, other = (*(thing.noun for thing in scene.named), None)[:2]
    given = dict(relation=scene.relation, noun=first, other=other, place=scene.place, time=scene.time)
    while True:
        new = layout.random_scene(rng, **given, style=scene.style)
        if new.caption() == scene.caption():
            return new


def room(
    layout, captions: int = 200, each: int = 8, seed: int = 0, encode: Callable[[np.ndarray], np.ndarray] | None = None
) -> dict[str, float]:
    """What full captions leave open in the scenes that ``layout`` draws, sketches left out.

    ``edges``: `edge_f1` of two scenes of one caption; ``edges of others``: of two captions; ``pixels``: `variance_left`
    of the pixels; ``latents``: of what ``encode`` makes of pictures (n, 128, 128, 3), where it is given.
    """
    rng = np.random.default_rng([seed, 11])
    scenes = [layout.random_scene(rng, style="plain") for _ in range(captions)]
    groups = [[scene, *(alike(rng, scene, layout) for _ in range(each - 1))] for scene in scenes]
    outlines = [[truth(scene).edges > EDGE for scene in group[:2]] for group in groups]
    pictures = np.stack([[render(scene) for scene in group] for group in groups])
    found = {
        "edges": np.mean([edge_f1(*pair) for pair in outlines]),
        "edges of others": np.mean([edge_f1(a, b) for (a, _), (b, _) in zip(outlines, outlines[1:], strict=False)]),
        "pixels": variance_left(pictures),
    }
    if encode is not None:
        latents = np.concatenate([encode(group) for group in pictures])
        found["latents"] = variance_left(latents.reshape(captions, each, *latents.shape[1:]))
    return {name: float(value) for name, value in found.items()}

"""The oracle: a small classifier that says what a picture of the tiny world shows.

It was trained on fresh scenes, whose truth is known, and knows every noun of the world, those held out of the
diffusion model's training too. Its own accuracy on unseen real scenes stands on its card and in the report: read it as
the ceiling.
"""

from functools import lru_cache
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from difflab.inputs import to_tensor
from difflab.world import COLORS, HATS, NOUNS, PLACES, TIMES

WORDS = (*NOUNS, *HATS)  # what the oracle looks for
GRAY = 6  # of 255: below this mean spread between a pixel's channels a picture has no colors
FOLDER = Path(__file__).parent / "weights" / "judge"


class Judge(nn.Module):
    """Pictures (B, 3, 128, 128) in [-1, 1] to logits: a dict of

    ``left``, ``right`` (B, words): is this noun in that half of the picture; ``nouns``: anywhere;
    ``colors`` (B, words, colors): the color a thing of that noun has, read where the noun was found;
    ``place`` (B, places) and ``time`` (B, times).
    """

    def __init__(self, width: int = 32):
        super().__init__()

        def block(c_in, c_out, stride):
            conv = nn.Conv2d(c_in, c_out, 3, stride, 1, bias=False)
            return nn.Sequential(conv, nn.GroupNorm(8, c_out), nn.ReLU(inplace=True))

        w = width
        self.features = nn.Sequential(
            block(3, w, 2),  # 64
            block(w, 2 * w, 2),  # 32
            block(2 * w, 3 * w, 1),
            block(3 * w, 4 * w, 2),  # 16
            block(4 * w, 4 * w, 1),
            block(4 * w, 5 * w, 2),  # 8
            block(5 * w, 5 * w, 1),
        )
        self.noun = nn.Conv2d(5 * w, len(WORDS), 1)
        self.color = nn.Conv2d(5 * w, len(COLORS), 1)
        self.place = nn.Linear(5 * w, len(PLACES))
        self.time = nn.Linear(5 * w, len(TIMES))

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        h = self.features(x)  # B,C,8,8
        pooled = h.mean((2, 3))
        found = self.noun(h)  # B,words,8,8
        half = found.shape[-1] // 2
        where = found.flatten(2).softmax(-1)  # B,words,64: where the noun would be
        colors = torch.einsum("bwp,bcp->bwc", where, self.color(h).flatten(2))
        return {
            "nouns": _anywhere(found),
            "left": _anywhere(found[..., :half]),
            "right": _anywhere(found[..., half:]),
            "colors": colors,
            "place": self.place(pooled),
            "time": self.time(pooled),
        }


def _anywhere(found: Tensor) -> Tensor:
    """A soft maximum over places: (B, words, h, w) -> (B, words)."""
    return torch.logsumexp(found.flatten(2), -1) - 4.0


class Verdict(NamedTuple):
    """What the oracle says of one picture.

    ``nouns`` are all words with their probability, likeliest first; ``left`` and ``right`` the likeliest noun of each
    half; ``colors`` maps each noun to the color it would have; ``place`` and ``time`` are words.
    """

    nouns: dict[str, float]
    left: str
    right: str
    colors: dict[str, str]
    place: str
    time: str


@lru_cache(maxsize=1)
def load_judge() -> Judge:
    """The trained oracle that ships with the package. Raises ValueError when its weight file is damaged."""
    from difflab.loading import read_weights, verify

    verify(FOLDER)
    judge = Judge()
    judge.load_state_dict({name: tensor.float() for name, tensor in read_weights(FOLDER / "judge.safetensors").items()})
    return judge.eval()


@torch.inference_mode()
def look(pictures, judge: Judge | None = None) -> list[Verdict]:
    """Say what pictures show.

    ``pictures``: PIL images, or uint8 arrays (128, 128, 3), one or a list. Raises ValueError for another size.
    """
    if not isinstance(pictures, list | tuple):
        pictures = [pictures] if np.ndim(pictures) < 4 else list(pictures)
    arrays = [np.asarray(picture) for picture in pictures]
    for array in arrays:
        if array.shape != (128, 128, 3) or array.dtype != np.uint8:
            raise ValueError(
                f"the oracle reads 8-bit RGB pictures of 128 x 128 pixels, not {array.dtype} {array.shape}"
            )
    judge = judge or load_judge()
    verdicts = []
    for start in range(0, len(arrays), 50):
        out = judge(to_tensor(arrays[start : start + 50]))
        verdicts += _read({name: logits.float() for name, logits in out.items()})
    return verdicts


def _read(out: dict[str, Tensor]) -> list[Verdict]:
    verdicts = []
    for i in range(len(out["place"])):
        chances = out["nouns"][i].sigmoid()
        order = chances.argsort(descending=True).tolist()
        verdicts.append(
            Verdict(
                nouns={WORDS[k]: float(chances[k]) for k in order},
                left=WORDS[out["left"][i, : len(NOUNS)].argmax()],
                right=WORDS[out["right"][i, : len(NOUNS)].argmax()],
                colors={WORDS[k]: COLORS[out["colors"][i, k].argmax()] for k in range(len(WORDS))},
                place=PLACES[out["place"][i].argmax()],
                time=TIMES[out["time"][i].argmax()],
            )
        )
    return verdicts


def agreement(verdicts, scenes) -> dict[str, tuple[int, int]]:
    """How often verdicts agree with the scenes that were asked for: {question: (right, asked)}.

    ``noun``: the thing that stands alone (or wears a hat) is the likeliest noun. ``both nouns``: the two likeliest
    nouns are the scene's two. ``both sides``: each of two neighbors is the likeliest noun of its own half. ``color``:
    the color a caption names, or the natural one. ``place`` and ``time`` (not asked in space, nor of a sketch).
    """
    questions = ("noun", "both nouns", "both sides", "on", "wearing", "color", "place", "time")
    score: dict[str, tuple[int, int]] = {question: (0, 0) for question in questions}

    def mark(question, right):
        hits, asked = score[question]
        score[question] = (hits + bool(right), asked + 1)

    if len(verdicts) != len(scenes):
        raise ValueError(f"{len(verdicts)} verdicts for {len(scenes)} scenes: give one for each")
    for verdict, scene in zip(verdicts, scenes, strict=True):
        names = [thing.noun for thing in scene.things]
        ranked = [word for word in verdict.nouns if word in NOUNS]
        if scene.relation in ("alone", "wearing"):
            mark("noun", ranked[0] == names[0])
            if scene.relation == "wearing":
                mark("wearing", verdict.nouns[names[1]] > 0.5)
        else:
            mark("both nouns" if scene.relation != "on" else "on", set(ranked[:2]) == set(names))
        if scene.relation in ("left of", "right of"):
            sides = names if scene.relation == "left of" else names[::-1]
            mark("both sides", [verdict.left, verdict.right] == sides)
        mark("place", verdict.place == scene.place)
        if scene.place != "space" and scene.style == "plain":
            mark("time", verdict.time == scene.time)
        color = true_color(scene.things[0])
        if color and scene.style == "plain" and scene.relation in ("alone", "wearing"):
            mark("color", verdict.colors[names[0]] == color)
    return {question: counts for question, counts in score.items() if counts[1]}


def obeyed(pictures, edits, judge: Judge | None = None) -> list[bool]:
    """Whether each picture shows what its `world.Edit` asked for, and still has the things that were to stay.

    The oracle has to find all things of the scene after, and none that only the scene before has. Besides, ``time``,
    ``place``: it names the new one; ``recolor``: the thing has the new color. ``style``: the picture is gray all over;
    that is all, as the oracle is unsure of sketches. Whether what stayed looks as it did is not asked here; measure it
    in decibels.
    """
    pictures = list(pictures)
    if len(pictures) != len(edits):
        raise ValueError(f"{len(pictures)} pictures for {len(edits)} edits: give one for each")
    return [
        _obeyed(verdict, picture, edit)
        for verdict, picture, edit in zip(look(pictures, judge), pictures, edits, strict=True)
    ]


def _obeyed(verdict: Verdict, picture, edit) -> bool:
    if edit.kind == "style":
        return bool(np.ptp(np.asarray(picture).astype(int), axis=-1).mean() < GRAY)
    old, new = ({thing.noun for thing in scene.things} for scene in (edit.before, edit.after))
    if any(verdict.nouns[noun] <= 0.5 for noun in new) or any(verdict.nouns[noun] > 0.5 for noun in old - new):
        return False
    if edit.kind in ("time", "place"):
        return getattr(verdict, edit.kind) == getattr(edit.after, edit.kind)
    if edit.kind == "recolor":
        painted = next(thing for thing in edit.after.things if thing not in edit.before.things)
        return verdict.colors[painted.noun] == painted.color
    return True


def true_color(thing) -> str | None:
    """The color a thing shows: the one it was given, or its natural one; None where color words do not apply."""
    colors = NOUNS[thing.noun].colors if thing.noun in NOUNS else ()
    return thing.color or (colors[0] if colors else None)


def labels(scenes) -> dict[str, Tensor]:
    """Targets for ``loss``; -1 and empty rows mean 'not asked'."""
    n = len(scenes)
    target = {
        "nouns": torch.zeros(n, len(WORDS)),
        "left": torch.zeros(n, len(WORDS)),
        "right": torch.zeros(n, len(WORDS)),
        "sided": torch.zeros(n),
        "color_word": torch.full((n,), -1),
        "color": torch.full((n,), -1),
        "place": torch.zeros(n, dtype=torch.long),
        "time": torch.full((n,), -1),
    }
    for i, scene in enumerate(scenes):
        for thing in scene.things:
            target["nouns"][i, WORDS.index(thing.noun)] = 1
        if scene.relation in ("left of", "right of"):
            left, right = scene.things if scene.relation == "left of" else scene.things[::-1]
            target["left"][i, WORDS.index(left.noun)] = target["right"][i, WORDS.index(right.noun)] = 1
            target["sided"][i] = 1
        colored = [thing for thing in scene.things if true_color(thing) and scene.style == "plain"]
        if colored:
            thing = colored[i % len(colored)]
            target["color_word"][i] = WORDS.index(thing.noun)
            target["color"][i] = COLORS.index(true_color(thing))
        target["place"][i] = PLACES.index(scene.place)
        if scene.place != "space" and scene.style == "plain":
            target["time"][i] = TIMES.index(scene.time)
    return target


def loss(out: dict[str, Tensor], target: dict[str, Tensor]) -> Tensor:
    """Cross-entropies of all questions, added; nouns weigh most, and a present noun eight times an absent one."""
    rare = torch.tensor(8.0, device=out["nouns"].device)
    present = F.binary_cross_entropy_with_logits(out["nouns"], target["nouns"], pos_weight=rare)
    sides = sum(
        F.binary_cross_entropy_with_logits(out[side], target[side], pos_weight=rare, reduction="none").mean(-1)
        for side in ("left", "right")
    )
    total = 6 * present + 6 * (sides * target["sided"]).mean()
    total = total + 0.5 * F.cross_entropy(out["place"], target["place"])
    total = total + 0.5 * F.cross_entropy(out["time"], target["time"], ignore_index=-1, reduction="sum") / len(
        target["time"]
    )
    words = target["color_word"].clamp_min(0)
    colors = out["colors"][torch.arange(len(words)), words]
    return total + 0.5 * F.cross_entropy(colors, target["color"], ignore_index=-1, reduction="sum") / len(words)

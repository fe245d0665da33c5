"""What the book says of its own runs: a sentence with its numbers, decided by more than chance, or the build stops.

>>> claim("G1", "Guided, {a:.0%} of {n} captions are obeyed; unguided, {b:.0%}.", greater(guided, unguided))

The sentence is filled in with what was measured. Evidence is paired wherever two ways draw from the same seeds. It is
deterministic: the same measurements give the same verdict. As the last line of a cell a claim shows as a line of text,
and carries itself as data in the output, from which the book's ledger is made.
"""

import html
import itertools
import math
import re
import string
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

LEVEL = 0.05  # how often chance alone may pass for evidence
Z = 1.959964  # of a normal distribution, 95 % lie within so many standard deviations
DRAWS = 10_000  # of a permutation test or a bootstrap
EXACT_UP_TO = 13  # pairs that differ: all their sign flips are counted, not drawn
MIME = "application/vnd.difflab.claim+json"
HOLDS, CONDITIONAL, FAILS = "holds", "holds with a condition", "does not hold"
SIGNS = {HOLDS: "✓", CONDITIONAL: "◐", FAILS: "✗"}


class Evidence(NamedTuple):
    """What was measured, and whether it decides.

    decides: whether it shows what it was asked for, by more than chance.
    how: the test in words. numbers: by the names that a sentence can use.
    """

    decides: bool
    how: str
    numbers: dict[str, float]


class Unfounded(AssertionError):
    """What a page says is not what its run has shown."""


class Claim(NamedTuple):
    """A sentence of the book and what became of it. It is its own output: leave it on the last line of a cell."""

    id: str
    sentence: str
    verdict: str
    evidence: Evidence
    condition: str | None = None

    def __str__(self) -> str:
        condition = f" ({self.condition})" if self.condition else ""
        return f"{self.id} {self.verdict}{condition}: {self.sentence} [{self.evidence.how}]"

    def data(self) -> dict:
        """The claim as plain data, for the ledger."""
        numbers = {name: round(float(value), 6) for name, value in self.evidence.numbers.items()}
        return self._asdict() | {"evidence": {"how": self.evidence.how, "numbers": numbers}}

    def _repr_mimebundle_(self, include=None, exclude=None) -> dict:
        condition = f" ({html.escape(self.condition)})" if self.condition else ""
        line = (
            f'<p class="difflab-claim" id="claim-{self.id}" data-verdict="{self.verdict}">'
            f"<strong>{SIGNS[self.verdict]} {self.id} {self.verdict}</strong>{condition}: "
            f"{html.escape(self.sentence)} <small>{html.escape(self.evidence.how)}</small></p>"
        )
        return {"text/plain": str(self), "text/html": line, MIME: self.data()}


def claim(id: str, sentence: str, evidence: Evidence, *, condition: str | None = None, holds: bool = True) -> Claim:
    """The claim, if its evidence bears it out. Raises Unfounded otherwise: the page would say what is not so.

    id: one of the survey's (book/claims.json), or its own: letters, digits, points and hyphens, once in a chapter.
    sentence: with at least one number in braces, by the names in ``evidence.numbers``, such as {a:.0%}.
    condition: under which it holds, and under which it was measured; left out, it holds as it stands.
    holds: False for a claim that the page says does not hold: then the evidence must *not* decide for it.

    Raises ValueError for a sentence without a number of the evidence's, and for an id of anything else.
    """
    if not re.fullmatch(r"[A-Za-z][A-Za-z0-9.-]*", id):
        raise ValueError(f"id={id!r}: use letters, digits, points and hyphens, so that a page can link to it")
    names = {name for _, name, _, _ in string.Formatter().parse(sentence) if name}
    if not names or not names <= evidence.numbers.keys():
        have = ", ".join(evidence.numbers)
        raise ValueError(f"the sentence {sentence!r} needs numbers of its evidence, in braces, from: {have}")
    if condition and not holds:
        raise ValueError("a claim that does not hold has no condition: say in the text what does hold")
    verdict = FAILS if not holds else CONDITIONAL if condition else HOLDS
    made = Claim(id, sentence.format(**evidence.numbers), verdict, evidence, condition)
    if evidence.decides != holds:
        shown = "shows it" if evidence.decides else "does not show it by more than chance"
        raise Unfounded(f"the page says that {made}, but this run {shown}: measure more, or write what is so")
    return made


# -- evidence ---------------------------------------------------------------------------------------------------------


def greater(a: Sequence[float], b: Sequence[float]) -> Evidence:
    """That a is greater than b on average, of pairs: a[i] and b[i] are of the same seed or picture. Numbers, or yes/no.

    A one-sided permutation test flips the signs of the differences (Fisher 1935, section 21); of yes/no it is McNemar's
    exact test (1947). Numbers: n, a and b (means), difference, low and high (95 % bootstrap interval), p.
    """
    x, y = pairs(a, b)
    p = sign_flips(x - y)
    low, high = bootstrap(x - y)
    numbers = {"n": len(x), "a": x.mean(), "b": y.mean(), "difference": (x - y).mean(), "low": low, "high": high}
    how = f"{len(x)} pairs, permutation test, p = {p:.2g}"
    return Evidence(bool(p <= LEVEL and x.mean() > y.mean()), how, numbers | {"p": p})


def alike(a: Sequence[float], b: Sequence[float], within: float) -> Evidence:
    """That a and b differ by no more than ``within`` on average, of pairs. Not to find a difference is not enough: the
    whole 95 % bootstrap interval has to lie inside. Numbers: n, a, b, difference, low, high, within.
    """
    x, y = pairs(a, b)
    low, high = bootstrap(x - y)
    numbers = {"n": len(x), "a": x.mean(), "b": y.mean(), "difference": (x - y).mean(), "low": low, "high": high}
    how = f"{len(x)} pairs, 95 % interval of the difference {low:.3g} to {high:.3g}"
    return Evidence(-within <= low and high <= within, how, numbers | {"within": within})


def at_least(yes: Sequence[bool], bound: float) -> Evidence:
    """That the answer is yes in at least this fraction of all cases like these. Numbers: n, fraction, low, high, bound.

    The whole 95 % interval (Wilson 1927) has to lie there.
    """
    low, high = wilson(int(np.sum(yes)), len(yes))
    return Evidence(low >= bound, *_of_fraction(yes, low, high, bound))


def at_most(yes: Sequence[bool], bound: float) -> Evidence:
    """That the answer is yes in at most this fraction of all cases like these; as `at_least`."""
    low, high = wilson(int(np.sum(yes)), len(yes))
    return Evidence(high <= bound, *_of_fraction(yes, low, high, bound))


def exact(value: float, bound: float) -> Evidence:
    """That a number which chance has no part in is at most ``bound``: an error, a count. Numbers: value, bound."""
    return Evidence(bool(value <= bound), f"{value:.3g}, bound {bound:.3g}", {"value": float(value), "bound": bound})


def together(**named: Evidence) -> Evidence:
    """That all of this is so. The numbers of each get its name in front: together(w2=..., w8=...) gives w2_a, w8_p."""
    numbers = {f"{name}_{key}": value for name, each in named.items() for key, value in each.numbers.items()}
    how = "; ".join(f"{name}: {each.how}" for name, each in named.items())
    return Evidence(all(each.decides for each in named.values()), how, numbers)


def _of_fraction(yes, low, high, bound):
    numbers = {"n": len(yes), "fraction": float(np.mean(yes)), "low": low, "high": high, "bound": bound}
    return f"{len(yes)} cases, 95 % interval {low:.1%} to {high:.1%}", numbers


# -- statistics -------------------------------------------------------------------------------------------------------


def pairs(a, b) -> tuple[np.ndarray, np.ndarray]:
    """Two lists of equal length as arrays (n,). Raises ValueError otherwise, and for NaN."""
    x, y = np.asarray(a, dtype=float), np.asarray(b, dtype=float)
    if x.shape != y.shape or x.ndim != 1 or not len(x):
        raise ValueError(f"pairs need two lists of one length, got shapes {x.shape} and {y.shape}")
    if not (np.isfinite(x).all() and np.isfinite(y).all()):
        raise ValueError("a measurement is NaN or infinite: a claim is made of numbers")
    return x, y


def sign_flips(differences: np.ndarray) -> float:
    """How often flipping the signs of the differences (n,) at random gives a sum as large as theirs: one-sided p.

    All flips are counted where there are few; else a fixed sample is drawn, and theirs counts as one of it.
    """
    moved = differences[differences != 0]
    if not len(moved):
        return 1.0
    if len(moved) <= EXACT_UP_TO:
        signs = np.array(list(itertools.product((-1, 1), repeat=len(moved))))
        extra = 0
    else:
        signs = np.random.default_rng(0).choice((-1, 1), (DRAWS, len(moved)))
        extra = 1
    reached = (signs @ moved >= moved.sum() - 1e-12 * np.abs(moved).sum()).sum()
    return float((reached + extra) / (len(signs) + extra))


def bootstrap(values: np.ndarray) -> tuple[float, float]:
    """The 95 % percentile interval of the mean of values (n,), from a fixed sample of resamples (Efron 1979)."""
    rows = np.random.default_rng(0).integers(len(values), size=(DRAWS, len(values)))
    low, high = np.quantile(values[rows].mean(1), (0.025, 0.975))
    return float(low), float(high)


def wilson(right: int, asked: int) -> tuple[float, float]:
    """The 95 % interval of a fraction, right of asked (Wilson 1927). Raises ValueError for none asked."""
    if not 0 <= right <= asked or not asked:
        raise ValueError(f"{right} of {asked} is no fraction: at least one has to be asked")
    found = right / asked
    middle = found + Z**2 / (2 * asked)
    spread = Z * math.sqrt(found * (1 - found) / asked + Z**2 / (4 * asked**2))
    return max(0.0, (middle - spread) / (1 + Z**2 / asked)), min(1.0, (middle + spread) / (1 + Z**2 / asked))

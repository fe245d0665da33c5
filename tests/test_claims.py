"""Claims: decided by more than chance, deterministic, and raised where a page would say what is not so."""

import json
import math
import re

import numpy as np
import pytest
from hypothesis import given, strategies as st

from difflab.claims import (
    CONDITIONAL,
    FAILS,
    HOLDS,
    LEVEL,
    MIME,
    Unfounded,
    alike,
    at_least,
    at_most,
    bootstrap,
    claim,
    exact,
    greater,
    sign_flips,
    together,
    wilson,
)

YES = [True] * 20
MOSTLY = [True] * 9 + [False]


def mcnemar(better, worse):
    """The exact one-sided p of so many discordant pairs either way: a sum of binomials."""
    n = better + worse
    return sum(math.comb(n, k) for k in range(better, n + 1)) / 2**n


def test_a_claim_that_holds_says_its_numbers():
    made = claim("X1", "With it {a:.0%} of {n:.0f}, without {b:.0%}.", greater(YES, [False] * 20))
    assert made.sentence == "With it 100% of 20, without 0%." and made.verdict == HOLDS
    bundle = made._repr_mimebundle_()
    assert bundle["text/plain"].startswith("X1 holds: With it 100%") and "permutation" in bundle["text/html"]
    data = json.loads(json.dumps(bundle[MIME]))
    assert data["id"] == "X1" and data["verdict"] == HOLDS and data["evidence"]["numbers"]["a"] == 1


def test_in_a_page_it_says_its_verdict_and_can_be_linked_to():
    made = claim("X1", "{n} < 21 & more.", greater(YES, [False] * 20), condition="a > b")
    line = made._repr_mimebundle_()["text/html"]
    assert line.startswith('<p class="difflab-claim" id="claim-X1" data-verdict="holds with a condition">')
    told = " ".join(re.sub(r"<.*?>", "", line).split())
    assert told.startswith("◐ X1 holds with a condition (a &gt; b): 20 &lt; 21 &amp; more. 20 pairs")
    for wrong in ("X 1", "X<1", "", "1X"):
        with pytest.raises(ValueError, match="letters, digits"):
            claim(wrong, "{n}", greater(YES, [False] * 20))


def test_a_claim_that_is_not_so_stops_the_build():
    nothing = greater([1, 0, 1, 0], [0, 1, 0, 1])
    with pytest.raises(Unfounded, match="X holds: 0.5.*does not show it by more than chance"):
        claim("X", "{a}", nothing)
    assert claim("X", "{a} and {b} are alike.", nothing, holds=False).verdict == FAILS
    with pytest.raises(Unfounded, match="does not hold.*this run shows it"):
        claim("X", "{a}", greater(YES, [False] * 20), holds=False)
    assert claim("X", "{n}", greater(YES, [False] * 20), condition="on a sofa").verdict == CONDITIONAL


def test_a_sentence_without_a_measured_number_is_refused():
    for sentence in ("It is so.", "It is {much} so.", ""):
        with pytest.raises(ValueError, match="needs numbers of its evidence.*a, b"):
            claim("X", sentence, greater(YES, [False] * 20))
    with pytest.raises(ValueError, match="no condition"):
        claim("X", "{n}", greater([1, 0], [0, 1]), condition="sometimes", holds=False)


@pytest.mark.parametrize("better, worse", [(5, 0), (4, 0), (8, 2), (9, 4), (1, 1), (3, 9)])
def test_yes_and_no_is_mcnemars_exact_test(better, worse):
    a = [True] * better + [False] * worse + [True] * 30
    b = [False] * better + [True] * worse + [True] * 30
    evidence = greater(a, b)
    assert evidence.numbers["p"] == pytest.approx(mcnemar(better, worse), abs=1e-9)
    assert evidence.decides == (mcnemar(better, worse) <= 0.05)


def test_many_pairs_agree_with_the_exact_test_within_the_sampling():
    assert sign_flips(np.array([1] * 30 + [-1] * 15)) == pytest.approx(mcnemar(30, 15), abs=0.006)


@pytest.mark.parametrize("n", [6, 12, 40])
@pytest.mark.parametrize("kind", ["yes or no", "numbers", "heavy tails"])
def test_chance_does_not_pass(n, kind):
    """Two ways that are one and the same: at most one run in twenty may find a difference."""
    rng, runs = np.random.default_rng(n), 200
    draw = {
        "yes or no": lambda: rng.random(n) < 0.7,
        "numbers": lambda: rng.normal(size=n),
        "heavy tails": lambda: rng.standard_t(2, size=n),
    }[kind]
    passed = sum(sign_flips(np.subtract(draw(), draw(), dtype=float)) <= LEVEL for _ in range(runs))
    assert passed <= runs * 0.05 + 3 * math.sqrt(runs * 0.05 * 0.95)


def test_a_real_difference_passes():
    rng = np.random.default_rng(0)
    base = rng.normal(size=40)
    assert greater(base + 0.4 + 0.3 * rng.normal(size=40), base).decides
    assert not greater(base, base + 0.4).decides, "the other way round it is not greater"


def test_no_difference_found_is_not_alike():
    rng = np.random.default_rng(1)
    few = rng.normal(size=6), rng.normal(size=6)
    assert not greater(*few).decides and not alike(*few, within=0.1).decides
    same = rng.normal(size=400)
    assert alike(same, same + 0.01 * rng.normal(size=400), within=0.1).decides


@given(st.integers(0, 60), st.integers(1, 60))
def test_wilson_holds_the_fraction_and_narrows(right, asked):
    right = min(right, asked)
    low, high = wilson(right, asked)
    assert 0 <= low <= right / asked + 1e-12 and right / asked - 1e-12 <= high <= 1
    narrow = wilson(10 * right, 10 * asked)
    assert narrow[1] - narrow[0] < high - low


def test_fractions_have_to_be_there_with_their_whole_interval():
    assert wilson(9, 10) == pytest.approx((0.5958, 0.9821), abs=1e-3)  # the textbook's
    assert at_least(MOSTLY, 0.5).decides and not at_least(MOSTLY, 0.85).decides
    assert at_most(MOSTLY, 0.99).decides and not at_most(MOSTLY, 0.95).decides
    assert claim("X", "{fraction:.0%} of {n}, {low:.0%} to {high:.0%}", at_least(MOSTLY, 0.5)).sentence == (
        "90% of 10, 60% to 98%"
    )


def test_everything_together_and_exactly():
    found = together(small=exact(1e-6, 1e-5), more=greater(YES, [False] * 20))
    assert claim("X", "{small_value:.0e} and {more_a:.0%}", found).sentence == "1e-06 and 100%"
    assert not together(small=exact(1.0, 0.1), more=greater(YES, [False] * 20)).decides
    assert not exact(float("nan"), 1.0).decides


def test_it_is_deterministic():
    rng = np.random.default_rng(3)
    a, b = rng.normal(size=30), rng.normal(size=30)
    assert greater(a, b) == greater(a, b) and bootstrap(a - b) == bootstrap(a - b)


def test_measurements_that_are_none():
    for a, b, says in (([1, 2], [1], "one length"), ([], [], "one length"), ([1, math.nan], [1, 2], "NaN")):
        with pytest.raises(ValueError, match=says):
            greater(a, b)
    with pytest.raises(ValueError, match="at least one"):
        at_least([], 0.5)

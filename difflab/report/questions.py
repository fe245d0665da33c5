"""The oracle's questions: what is aimed at, how answers are counted, and what is made of the counts."""

import numpy as np

from difflab.judge import agreement, look

AIMS = {"noun": 0.92, "both nouns": 0.75, "both sides": 0.60, "color": 0.95, "place": 0.97, "time": 0.98}


def scores(images, scenes) -> dict[str, list[int]]:
    """How often the oracle finds in each picture what its scene asks for: {question: [right, asked]}."""
    return {question: list(counts) for question, counts in agreement(look(images), scenes).items()}


def mean_score(counts: dict) -> float:
    """One number to choose a guidance scale by: the fraction right, as the mean over the questions with an aim."""
    return float(np.mean([right / asked for question, (right, asked) in counts.items() if question in AIMS]))


def best_scale(sweep: dict[float, dict]) -> float:
    """The smallest scale with guidance, so above 1, whose mean score is within a point of the best: less is chance."""
    means = {scale: mean_score(counts) for scale, counts in sweep.items() if scale > 1}
    return min(scale for scale, mean in means.items() if mean >= max(means.values()) - 0.01)


def with_margin(counts) -> str:
    """[right, asked] as a percentage with its 95 % margin, e.g. '82 ± 4 %' (Agresti and Coull 1998)."""
    right, asked = counts
    p = (right + 2) / (asked + 4)
    return f"{100 * right / asked:.0f} ± {100 * 1.96 * (p * (1 - p) / (asked + 4)) ** 0.5:.0f} %"

"""One measured comparison: what was computed, beside whom, and how far apart the two are."""

from collections.abc import Iterable
from typing import NamedTuple

import torch
from torch import Tensor


class Row(NamedTuple):
    """One measured comparison. ``holds`` says whether the difference is within the tolerance; NaN never is."""

    what: str
    peer: str
    max_abs_difference: float
    tolerance: float

    @property
    def holds(self) -> bool:
        return self.max_abs_difference <= self.tolerance


def compared(what: str, peer: str, ours: Iterable[Tensor], theirs: Iterable[Tensor], tolerance: float = 1e-4) -> Row:
    """The row of two walks, or of two batches. Raises ValueError as `largest_difference` does."""
    return Row(what, peer, largest_difference(ours, theirs), tolerance)


def largest_difference(ours: Iterable[Tensor], theirs: Iterable[Tensor]) -> float:
    """The largest difference in any one number of two walks or batches; NaN if there is one anywhere.

    Raises ValueError if one is longer than the other, and for tensors of different shapes.
    """
    pairs = list(zip(ours, theirs, strict=True))
    for a, b in pairs:
        if a.shape != b.shape:
            raise ValueError(f"{tuple(a.shape)} cannot equal {tuple(b.shape)}: compare tensors of one shape")
    return torch.stack([(a - b).abs().max() for a, b in pairs]).max().item()

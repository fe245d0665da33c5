"""What the chapters' exercise checks share: a comparison that says what is wrong, not what the answer is."""

import torch
from torch import Tensor


def expect_close(actual: Tensor, expected: Tensor, message: str, *, atol: float = 1e-5) -> None:
    """Passes if `actual` equals the tensor `expected` to within `atol` everywhere.

    Raises AssertionError otherwise. It names the plainest thing wrong: not a tensor, another shape, not finite,
    and only then `message` with the largest difference.
    """
    if not isinstance(actual, Tensor):
        raise AssertionError(f"expected a tensor back, got {type(actual).__name__}: does the function return?")
    if actual.shape != expected.shape:
        raise AssertionError(
            f"expected shape {tuple(expected.shape)}, got {tuple(actual.shape)}: look at what broadcasts"
        )
    if not torch.isfinite(actual).all():
        raise AssertionError("the result holds NaN or infinity: look for a division by zero or a negative square root")
    gap = (actual.double() - expected.double()).abs().max().item() if actual.numel() else 0.0
    if gap > atol:
        raise AssertionError(f"{message} (largest difference: {gap:.3g})")

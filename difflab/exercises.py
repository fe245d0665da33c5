"""What the chapters' checks share: they ask whether there is an answer, and say what is wrong, not what is right."""

import dis
import inspect
from typing import Any

import torch
from torch import Tensor

NOTHING_YET = "nothing here yet: write your answer in the cell above, run it, then run this one again"
NO_STEPS = {("RESUME", 0), ("NOP", None), ("LOAD_CONST", None), ("RETURN_VALUE", None), ("RETURN_CONST", None)}


def answered(*answers: Any) -> bool:
    """Whether each of these has been written; where one has not, prints a line that says so.

    answers: functions whose body is `...` before they are written, or values that are `...` before they are given.

    A check cell begins with it, so that a chapter runs through while its exercises are open.
    """
    written = not any(map(_empty, answers))
    if not written:
        print(NOTHING_YET)
    return written


def _empty(answer: Any) -> bool:
    """Whether this is `...`, or a function that was compiled to nothing but the return of None."""
    code = getattr(inspect.unwrap(answer), "__code__", None)
    if code is None:
        return answer is ...
    return {(step.opname, step.argval) for step in dis.get_instructions(code)} <= NO_STEPS


def expect_close(actual: Tensor, expected: Tensor, message: str, *, atol: float = 1e-5) -> None:
    """Passes if `actual` equals the tensor `expected` to within `atol` everywhere.

    Raises AssertionError otherwise. It names the plainest thing wrong: not a tensor, another shape, not real,
    not finite, and only then `message` with the largest difference.
    """
    if not isinstance(actual, Tensor):
        raise AssertionError(f"expected a tensor back, got {type(actual).__name__}: does the function return?")
    if actual.shape != expected.shape:
        raise AssertionError(
            f"expected shape {tuple(expected.shape)}, got {tuple(actual.shape)}: look at what broadcasts"
        )
    if actual.is_complex():
        raise AssertionError("the result is complex: look for a power of a negative number")
    if not torch.isfinite(actual).all():
        raise AssertionError("the result holds NaN or infinity: look for a division by zero or a negative square root")
    gap = (actual.double() - expected.double()).abs().max().item() if actual.numel() else 0.0
    if gap > atol:
        raise AssertionError(f"{message} (largest difference: {gap:.3g})")

"""One rule for what is given, everywhere. Numbers: bool is none, numpy's scalars are; NaN and infinity are refused.
Tensors: of floats, of the shape that is wanted, and finite throughout.

``check_`` only checks; ``as_`` converts what it has checked.
"""

import math
import sys
from collections.abc import Callable
from numbers import Integral, Real
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import Tensor  # not else: the command line checks its numbers without waiting for torch

LARGEST = sys.float_info.max  # the largest number that there is
ABOVE_0 = math.ulp(0.0)  # the smallest number above 0: a ``low`` for what must not be 0
LONGEST = 2**14  # pixels along one side of anything that is made: more is taken for a slip


def as_number(name: str, value, says: str = "a finite number", low: float = -LARGEST, high: float = LARGEST) -> float:
    """The value as Python's own float. Raises ValueError, "name=value must be ``says``", unless it is a number from
    ``low`` to ``high``, which NaN and infinity never are."""
    if isinstance(value, Real) and not isinstance(value, bool):
        plain = int(value) if isinstance(value, Integral) else float(value)
        if low <= plain <= high:
            return float(plain)
    raise ValueError(f"{name}={value!r} must be {says}")


def as_whole(name: str, value, says: str = "a whole number", low: float = -LARGEST, high: float = LARGEST) -> int:
    """The value as Python's own int. Raises ValueError, as `as_number` does, for anything but a whole number's type."""
    if not isinstance(value, Integral) or isinstance(value, bool) or not low <= int(value) <= high:
        raise ValueError(f"{name}={value!r} must be {says}")
    return int(value)


def as_seed(value, says: str = "a whole number from 0 up") -> int:
    """The value as a seed for torch's generators. Raises ValueError for anything else."""
    return as_whole("seed", value, says, 0, 2**63 - 1)


def as_size(value, name: str = "size") -> tuple[int, int]:
    """(height, width) in pixels, as ints. Raises ValueError for anything else."""
    says = f"(height, width), whole numbers from 1 to {LONGEST}"
    if not isinstance(value, tuple | list) or len(value) != 2:
        raise ValueError(f"{name}={value!r} must be {says}")
    height, width = (as_whole(name, side, says, 1, LONGEST) for side in value)
    return height, width


def check_text(name: str, value) -> None:
    """Raises ValueError unless the value is a str without lone surrogates, which no tokenizer can read."""
    if not isinstance(value, str):
        raise ValueError(f"{name}={value!r} must be a str")
    if any("\ud800" <= character <= "\udfff" for character in value):
        raise ValueError(f"{name}={value!r} holds half a character (a lone surrogate): leave it out")


def check_function(name: str, value, says: str) -> None:
    """Raises ValueError, "name=value must be a function ``says``", for what cannot be called."""
    if not isinstance(value, Callable):
        raise ValueError(f"{name}={value!r} must be a function {says}")


def check_tensor(name: str, value, *shape: int | str) -> None:
    """Raises ValueError unless the value is a tensor of finite floats of this shape, or of any shape if none is given.

    shape: a number stands for itself, a letter for any size: ``check_tensor("latents", latents, "B", 4, "h", "w")``.
    """
    from torch import Tensor

    fits = isinstance(value, Tensor) and value.is_floating_point() and value.numel() > 0
    if fits and shape:
        pairs = zip(value.shape, shape, strict=False)
        fits = value.ndim == len(shape) and all(isinstance(axis, str) or size == axis for size, axis in pairs)
    if not fits:
        got = f"{value.dtype} {tuple(value.shape)}" if isinstance(value, Tensor) else type(value).__name__
        raise ValueError(f"{name} is {got} and must be a tensor of floats ({', '.join(map(str, shape)) or '...'})")
    check_finite(name, value)


def check_finite(name: str, tensor: "Tensor") -> None:
    """Raises ValueError if a tensor holds NaN or infinity. Its ends are asked, which NaN takes over: a tenth of what a
    softmax costs. A tensor on torch's meta device has no numbers to ask for."""
    ends = tensor.detach().min(), tensor.detach().max()
    if not tensor.is_meta and not all(math.isfinite(end) for end in ends):
        raise ValueError(f"{name} holds NaN or infinity: look where it comes from")

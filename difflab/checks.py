"""One rule for numbers, everywhere: bool is no number, numpy's scalars are; NaN and infinity are refused."""

import math
from numbers import Integral, Real


def as_number(name: str, value, says: str = "a finite number", low: float = -math.inf, high: float = math.inf) -> float:
    """The value as Python's own int or float. Raises ValueError, "name=value must be ``says``", unless it is a finite
    number from ``low`` to ``high``."""
    fits = isinstance(value, Real) and not isinstance(value, bool) and low <= value <= high
    if not fits or not (isinstance(value, Integral) or math.isfinite(value)):
        raise ValueError(f"{name}={value!r} must be {says}")
    return int(value) if isinstance(value, Integral) else float(value)


def as_whole(name: str, value, says: str = "a whole number", low: float = -math.inf, high: float = math.inf) -> int:
    """The value as Python's own int. Raises ValueError, as `as_number` does, for anything but a whole number's type."""
    if not isinstance(value, Integral):
        raise ValueError(f"{name}={value!r} must be {says}")
    return int(as_number(name, value, says, low, high))

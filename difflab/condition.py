"""A condition: all that the network looks at besides x and t, as one value.

A tensor with the batch first, such as a text's (B, tokens, d); or a tuple or a dict of tensors, for a network that
looks at more: SDXL's tokens, pooled embedding and sizes. Guidance joins and repeats conditions, and knows nothing of
what is in them.
"""

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor

from difflab.checks import check_function, check_tensor

Condition = Any  #: a tensor with the batch first, or a tuple or a mapping of such


def join(*conditions: Condition) -> Condition:
    """Conditions of one kind, one after the other in one batch. Raises ValueError for conditions of different kinds."""
    first = conditions[0]
    if not all(type(each) is type(first) for each in conditions):
        kinds = ", ".join(type(each).__name__ for each in conditions)
        raise ValueError(f"conditions of different kinds cannot stand in one batch: {kinds}")
    if isinstance(first, Tensor):
        return torch.cat(conditions)
    if isinstance(first, Mapping):
        if not all(each.keys() == first.keys() for each in conditions):
            raise ValueError(f"conditions of one batch need the same parts: {[sorted(each) for each in conditions]}")
        return {name: join(*(each[name] for each in conditions)) for name in first}
    return tuple(join(*parts) for parts in zip(*conditions, strict=True))


def fill(condition: Condition, batch: int) -> Condition:
    """The condition over and over, until it has ``batch`` rows. Guidance asks of each picture more than once, in one
    call, and every time the same is to be seen. Raises ValueError when that does not come out even."""
    rows = size(condition)
    if batch % rows:
        raise ValueError(f"a condition for {rows} pictures cannot fill a batch of {batch}")
    return join(*[condition] * (batch // rows))


def size(condition: Condition) -> int:
    """For how many pictures the condition is."""
    if isinstance(condition, Tensor):
        return len(condition)
    return size(next(iter(condition.values() if isinstance(condition, Mapping) else condition)))


def see_beside(predict_noise: Callable, seen: Tensor) -> Callable:
    """Fills ``see``: predict_noise(x, t, condition) for a network that looks at more channels beside those of x.

    predict_noise: the same of a network with that many channels, such as ``model.predict_noise``.
    seen: (B, C, h, w), for each picture what is beside it, the same in every half of a guided batch.
    """

    check_function("predict_noise", predict_noise, "(x, t, condition) -> eps: model.predict_noise")
    check_tensor("seen", seen, "B", "C", "h", "w")

    def predict(x, t, condition, **more):
        return predict_noise(torch.cat([x, fill(seen, len(x)).to(x)], dim=1), t, condition, **more)

    return predict

"""The one loop. Every application in this package is this loop with something put into its openings.

start: the x it begins with.  see, combine: inside ``predict_noise``.  after: what happens to x after each step.
"""

from collections.abc import Callable, Iterator
from typing import NamedTuple

import torch
from torch import Tensor

from difflab.checks import check_function, check_tensor
from difflab.samplers import Sampler


class Step(NamedTuple):
    """What one step of the loop leaves behind."""

    t: int  # the timestep the network looked at
    t_next: int  # the timestep x is at now; -1 is the clean end
    x: torch.Tensor  # (B, C, H, W) after the step (and after ``after``)
    x0: torch.Tensor  # (B, C, H, W) the clean picture, as estimated at t
    eps: torch.Tensor  # (B, C, H, W) the noise that was predicted


def sample(
    predict_noise: Callable[[Tensor, int], Tensor],
    x: Tensor,
    sampler: Sampler,
    *,
    after: Callable[[Step], Tensor] | None = None,
) -> Iterator[Step]:
    """Walk x from noise to picture, yielding a `Step` each time: show it, stop early, or just take the last.

    predict_noise: (x, t) -> eps. Text, masks and controls are closed over; guidance is such a callable too.
    x: (B, C, H, W), variance preserving, at noise level ``sampler.timesteps[0]``; N(0, I) for a full run.
    sampler: from `difflab.samplers`. What a solver remembers begins anew with every walk.
    after: Step -> x, replaces x after each step (inpainting's paste-back, blending); None leaves it alone.

    Raises ValueError, before the first step, for an x that is not of finite floats and for what cannot be called.
    """
    check_function("predict_noise", predict_noise, "(x, t) -> eps")
    check_tensor("x", x)
    if not isinstance(sampler, Sampler):
        raise ValueError(f"sampler={sampler!r} must be one of difflab.samplers, made: ddim(model.schedule, 20)")
    if after is not None:
        check_function("after", after, "of one Step, that returns x, or None")
    advance = sampler.begin()
    for t, t_next in sampler.walk:
        eps = predict_noise(x, t)
        x, x0 = advance(x, t, eps)
        step = Step(t, t_next, x, x0, eps)
        if after is not None:
            x = after(step)
            step = step._replace(x=x)
        yield step

"""Averaged weights: beside the weights that learn, their exponential moving average, which validates and is shipped."""

import contextlib
from collections.abc import Iterator

import torch
from torch import Tensor, nn


@torch.no_grad()
def update_average(average: list[Tensor], parameters: list[Tensor], step: int, decay: float) -> None:
    """Move the exponential moving average toward the weights; young averages forget faster, as in diffusers' EMA."""
    decay = min(decay, (1 + step) / (10 + step))
    torch._foreach_lerp_(average, parameters, 1.0 - decay)


@contextlib.contextmanager
def averaged(modules: dict[str, nn.Module], parameters: list[Tensor], average: list[Tensor]) -> Iterator[None]:
    """Within this context the parameters hold their averages; the modules are in evaluation mode, without gradients."""
    modes = {name: module.training for name, module in modules.items()}
    live = [p.detach().clone() for p in parameters]
    for module in modules.values():
        module.eval()
    with torch.no_grad():
        torch._foreach_copy_(parameters, average)
        try:
            yield
        finally:
            torch._foreach_copy_(parameters, live)
            for name, module in modules.items():
                module.train(modes[name])

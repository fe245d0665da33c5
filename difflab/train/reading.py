"""Small networks that read pictures of the tiny world, trained on scenes whose truth is known. The pictures are blurred
and noised a little, so that what an autoencoder or a diffusion model made can be read, too."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from torch import Tensor, nn

from difflab.train import data
from difflab.train.loop import Result, fit, seeded
from difflab.train.machine import start
from difflab.train.options import Options
from difflab.train.runs import Optimization, Product, open_run


def weather(x: Tensor, generator: torch.Generator) -> Tensor:
    """Blur a third of the batches, and add noise to half of them: (B,3,H,W) stays (B,3,H,W)."""
    chance, amount = torch.rand(2, generator=generator).tolist()
    if chance < 1 / 3:
        x = F.interpolate(F.avg_pool2d(x, 2), scale_factor=2, mode="bilinear")
    if 1 / 6 < chance < 2 / 3:
        x = x + 0.15 * amount * torch.randn(x.shape, generator=generator).to(x.device)
    return x


def train(
    product: Product,
    options: Options,
    sizes: dict,
    build: Callable[[int], nn.Module],
    draw: Callable[[torch.Generator, int], dict[str, Tensor]],
    loss: Callable[[dict[str, Tensor], dict[str, Tensor]], Tensor],
    validate: Callable[[Any], dict[str, float]],
    source: str = "world",
) -> Result:
    """Train what `build` makes of `sizes["width"]` into `options.out`, where `product` names its folder and file.

    draw: a batch of `n` scenes: `picture`, uint8 (n,128,128,3), and the truth. loss: (answers, batch) -> a scalar; the
    answers are the network's, in float32. source: the scenes' name, which a run that goes on has to have in common.
    """
    options = options.filled(sizes)
    machine = start(options)
    with seeded(options.seed):
        network = build(sizes["width"])

    def loss_fn(batch: dict[str, Tensor], generator: torch.Generator, progress: float):
        x = weather(data.to_tensor(batch["picture"]), generator)
        return loss({name: answer.float() for name, answer in network(x).items()}, batch), {}

    def export(folder: Path) -> None:
        weights = {name: data.in_half(tensor).cpu().contiguous() for name, tensor in network.state_dict().items()}
        save_file(weights, folder / f"{product.name}.safetensors")

    optimization = Optimization(weight_decay=1e-2, warmup=50)
    with open_run(options, machine, {product.name: network}, product, {"data": source}, optimization) as run:
        return fit(run, draw, loss_fn, validate=lambda: validate(network), export=export)

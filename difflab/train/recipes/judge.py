"""The oracle of `difflab.judge`, trained on fresh scenes that are blurred and noised a little, so that it also reads
pictures that an autoencoder or a diffusion model made."""

from functools import partial
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from torch import Tensor

from difflab import judge as oracle, world
from difflab.train import data
from difflab.train.loop import Result, fit, seeded
from difflab.train.machine import start
from difflab.train.options import Options
from difflab.train.runs import Optimization, Product, open_run

FULL = {"steps": 3_500, "batch_size": 32, "learning_rate": 2e-3, "validate_minutes": 3.0}  # as the shipped weights
FULL |= {"width": 32, "validation": 600}
SMOKE = FULL | {"steps": 6, "batch_size": 8, "width": 8, "validation": 8}
JUDGE = Product(
    name="judge",
    kind="Judge",
    method="a classifier of the tiny world's scenes, trained on fresh ones with their truth as labels",
    folder="judge",
)
HELD_OUT = 0.2  # scenes with a noun that the diffusion model never sees


def draw_sample(seed: int, index: int) -> world.Sample:
    """A scene; every fifth one shows a noun that is held out of the diffusion model's training."""
    if index % round(1 / HELD_OUT):
        return world.sample(seed, index)
    return world.sample(
        seed, index, noun=world.HELD_OUT_NOUNS[index // 5 % len(world.HELD_OUT_NOUNS)], relation="alone"
    )


def weather(x: Tensor, generator: torch.Generator) -> Tensor:
    """Blur a third of the batches, and add noise to half of them: (B,3,H,W) stays (B,3,H,W)."""
    chance, amount = torch.rand(2, generator=generator).tolist()
    if chance < 1 / 3:
        x = F.interpolate(F.avg_pool2d(x, 2), scale_factor=2, mode="bilinear")
    if 1 / 6 < chance < 2 / 3:
        x = x + 0.15 * amount * torch.randn(x.shape, generator=generator).to(x.device)
    return x


def draw(seed: int, generator: torch.Generator, n: int) -> dict[str, Tensor]:
    """Pictures uint8 (n,128,128,3) and the truth of their scenes, of the series `seed`."""
    indices = torch.randint(0, data.WORLD_PICTURES, (n,), generator=generator).tolist()
    samples = [draw_sample(seed, index) for index in indices]
    pictures = torch.from_numpy(np.stack([sample.picture for sample in samples]))
    return {"picture": pictures, **oracle.labels([sample.scene for sample in samples])}


def train(options: Options) -> Result:
    """Train the oracle into `options.out`; `judge/judge.safetensors` there is its weight file."""
    sizes = SMOKE if options.smoke else FULL
    options = options.filled(sizes)
    machine = start(options)
    with seeded(options.seed):
        judge = oracle.Judge(sizes["width"])

    def loss_fn(batch: dict[str, Tensor], generator: torch.Generator, progress: float):
        x = weather(data.to_tensor(batch["picture"]), generator)
        answers = {name: logits.float() for name, logits in judge(x).items()}
        return oracle.loss(answers, batch), {}

    def validate() -> dict[str, float]:
        verdicts = oracle.look([sample.picture for sample in unseen], judge)
        counts = oracle.agreement(verdicts, [sample.scene for sample in unseen])
        return {question: hits / asked for question, (hits, asked) in counts.items()}

    def export(folder: Path) -> None:
        weights = {name: data.in_half(tensor).cpu().contiguous() for name, tensor in judge.state_dict().items()}
        save_file(weights, folder / "judge.safetensors")

    optimization = Optimization(weight_decay=1e-2, warmup=50)
    with open_run(options, machine, {"judge": judge}, JUDGE, {"data": "world"}, optimization) as run:
        unseen = [world.sample(data.UNSEEN_SEED + options.seed, index) for index in range(sizes["validation"])]
        return fit(run, partial(draw, options.seed), loss_fn, validate=validate, export=export)

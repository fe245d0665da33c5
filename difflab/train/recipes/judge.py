"""The oracle of `difflab.judge`, trained on fresh scenes."""

from functools import partial

import numpy as np
import torch
from torch import Tensor

from difflab import judge as oracle, world
from difflab.train import data, reading
from difflab.train.loop import Result
from difflab.train.options import Options
from difflab.train.runs import Product

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


def draw(seed: int, generator: torch.Generator, n: int) -> dict[str, Tensor]:
    """Pictures uint8 (n,128,128,3) and the truth of their scenes, of the series `seed`."""
    indices = torch.randint(0, data.WORLD_PICTURES, (n,), generator=generator).tolist()
    samples = [draw_sample(seed, index) for index in indices]
    pictures = torch.from_numpy(np.stack([sample.picture for sample in samples]))
    return {"picture": pictures, **oracle.labels([sample.scene for sample in samples])}


def validate(seed: int, count: int, judge: oracle.Judge) -> dict[str, float]:
    """How often its answers to unseen scenes are right, by question."""
    unseen = [world.sample(data.UNSEEN_SEED + seed, index) for index in range(count)]
    verdicts = oracle.look([sample.picture for sample in unseen], judge)
    counts = oracle.agreement(verdicts, [sample.scene for sample in unseen])
    return {question: hits / asked for question, (hits, asked) in counts.items()}


def train(options: Options) -> Result:
    """Train the oracle into `options.out`; `judge/judge.safetensors` there is its weight file."""
    sizes = SMOKE if options.smoke else FULL
    seed = options.seed
    examine = partial(validate, seed, sizes["validation"])
    return reading.train(JUDGE, options, sizes, oracle.Judge, partial(draw, seed), oracle.loss, examine)

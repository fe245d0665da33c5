"""The oracle of `difflab.judge`, trained on fresh scenes that are blurred and noised a little, so that it also reads
pictures that an autoencoder or a diffusion model made."""

from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from torch import Tensor

from difflab import judge as oracle
from difflab import world
from difflab.train import data, runner

STEPS = 3_500  # as the shipped weights
BATCH_SIZE = 32
LEARNING_RATE = 2e-3
VALIDATION_PICTURES = 600
SMOKE = {"steps": 6, "batch_size": 8, "width": 8}
HELD_OUT_SHARE = 0.2  # scenes with a noun that the diffusion model never sees


def draw_sample(seed: int, index: int) -> world.Sample:
    """A scene; every fifth one shows a noun that is held out of the diffusion model's training."""
    if index % round(1 / HELD_OUT_SHARE):
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


def train(
    *,
    out: str | Path = "runs/judge",
    steps: int | None = None,
    minutes: float | None = None,
    batch_size: int | None = None,
    learning_rate: float = LEARNING_RATE,
    resume: bool = False,
    seed: int = 0,
    device: str = "auto",
    precision: str = "auto",
    threads: int | None = None,
    workers: int = 0,
    save_minutes: float = 5.0,
    validate_minutes: float = 3.0,
    log_every: int = 50,
    smoke: bool = False,
) -> runner.Result:
    """Train the oracle into `out`; `out/judge/judge.safetensors` is its weight file. See `runner.fit`."""
    accelerator = runner.start(device=device, precision=precision, threads=threads)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        judge = oracle.Judge(SMOKE["width"]) if smoke else oracle.Judge()
    series = data.UNSEEN_SEED + seed
    unseen = [world.sample(series, index) for index in range(8 if smoke else VALIDATION_PICTURES)]

    def draw(generator: torch.Generator, n: int) -> dict[str, Tensor]:
        indices = torch.randint(0, data.WORLD_PICTURES, (n,), generator=generator).tolist()
        samples = [draw_sample(seed, index) for index in indices]
        target = oracle.labels([sample.scene for sample in samples])
        return {"picture": torch.from_numpy(np.stack([sample.picture for sample in samples])), **target}

    def loss_fn(batch: dict[str, Tensor], generator: torch.Generator, progress: float):
        x = weather(data.to_tensor(batch["picture"]), generator)
        answers = {name: logits.float() for name, logits in judge(x).items()}
        return oracle.loss(answers, batch), {}

    def validate() -> dict[str, float]:
        verdicts = oracle.look([sample.picture for sample in unseen], judge)
        counts = oracle.agreement(verdicts, [sample.scene for sample in unseen])
        return {question: hits / asked for question, (hits, asked) in counts.items()}

    def export(folder: Path) -> None:
        weights = {name: tensor.detach().cpu() for name, tensor in judge.state_dict().items()}
        halves = {name: t.half().contiguous() if t.is_floating_point() else t for name, t in weights.items()}
        save_file(halves, folder / "judge.safetensors")

    return runner.fit(
        accelerator,
        {"judge": judge},
        draw,
        loss_fn,
        out=out,
        steps=steps or (SMOKE["steps"] if smoke else STEPS),
        minutes=minutes,
        batch_size=batch_size or (SMOKE["batch_size"] if smoke else BATCH_SIZE),
        learning_rate=learning_rate,
        weight_decay=1e-2,
        warmup=50,
        seed=seed,
        resume=resume,
        workers=workers,
        validate=validate,
        export=export,
        export_to="judge",
        save_minutes=save_minutes,
        validate_minutes=validate_minutes,
        log_every=log_every,
        settings={"recipe": "judge", "data": "world", "learning_rate": learning_rate, "smoke": smoke},
    )

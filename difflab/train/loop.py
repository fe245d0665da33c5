"""The one training loop that every recipe of difflab runs in.

A recipe opens a run and brings a function that draws batch k and one that turns a batch into a loss. `training` is the
loop; `fit` walks it and does what a long run needs: log, validation, checkpoints, a stop that loses nothing.

Everything random in step k comes from generators seeded by (seed, k, process), so resuming after a kill is nothing more
than going on counting: the same batches, the same noise, the same result up to rounding.
"""

import collections
import contextlib
import math
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from difflab.files import new_file, new_folder
from difflab.train.average import update_average
from difflab.train.log import Log
from difflab.train.runs import Run

Draw = Callable[[torch.Generator, int], dict[str, Tensor]]
Loss = Callable[[dict[str, Tensor], torch.Generator, float], tuple[Tensor, dict[str, Tensor]]]


class Result(NamedTuple):
    """What `fit` hands back. `finished` is False when Ctrl-C or SIGTERM ended the run early (everything is saved)."""

    step: int
    seconds: float
    finished: bool
    metrics: dict[str, float]


class Step(NamedTuple):
    """What one step of training leaves behind."""

    number: int  # steps done, this one included
    progress: float  # the fraction of the run that was done before it
    rate: float  # the learning rate
    loss: Tensor  # scalar
    gradient: Tensor  # scalar: the gradient's norm, before it was clipped
    numbers: dict[str, Tensor]  # what the recipe logs


# ---------------------------------------------------------------------------------------------- batches and randomness


def generator(*key: int) -> torch.Generator:
    """A CPU generator that depends only on the whole numbers in `key`, e.g. (seed, step, process)."""
    state = int(np.random.SeedSequence([int(k) for k in key]).generate_state(1, np.uint64)[0] >> np.uint64(1))
    return torch.Generator().manual_seed(state)


@contextlib.contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Within this context fresh weights depend on the seed alone; the global generator comes back as it was."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        yield


class Batches(torch.utils.data.Dataset):
    """Item k is the batch of step k: `draw(generator, batch_size)` with a generator seeded by (seed, k, process)."""

    def __init__(self, draw: Draw, batch_size: int, seed: int, process: int):
        self.draw, self.batch_size, self.seed, self.process = draw, batch_size, seed, process

    def __getitem__(self, step: int) -> dict[str, Tensor]:
        return self.draw(generator(self.seed, step, self.process, 0), self.batch_size)


def leave_stopping_to_the_parent(worker: int) -> None:
    """A process that draws batches does not die of the terminal's Ctrl-C: the run ends when the training says so."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def batches(run: Run, draw: Draw) -> Iterator[dict[str, Tensor]]:
    """The batches of the steps to come, on the device; this process's part of each."""
    machine, options = run.machine, run.options
    loader = torch.utils.data.DataLoader(
        Batches(draw, options.batch_size // machine.processes, options.seed, machine.process),
        batch_size=None,
        sampler=range(run.step, 1 << 40),
        num_workers=options.workers,
        pin_memory=machine.device.type == "cuda",
        worker_init_fn=leave_stopping_to_the_parent,
    )
    for batch in loader:
        yield {name: tensor.to(machine.device, non_blocking=True) for name, tensor in batch.items()}


def parts(batch: dict[str, Tensor], size: int | None) -> Iterator[tuple[dict[str, Tensor], float]]:
    """The batch in parts of at most `size` rows, each with its fraction of all rows; the whole at once without."""
    rows = len(next(iter(batch.values())))
    size = size or rows
    for first in range(0, rows, size):
        part = {k: v[first : first + size] for k, v in batch.items()}
        yield part, len(next(iter(part.values()))) / rows


# ----------------------------------------------------------------------------------------------------------- the loop


def learning_rate_factor(step: int, progress: float, *, warmup: int, decay_from: float) -> float:
    """Linear warm-up over `warmup` steps, then 1, then from `decay_from` of the run a cosine down to 0.01.

    `progress` runs from 0 to 1 over the whole training.
    """
    warm = min(1.0, (step + 1) / max(1, warmup))
    along = min(1.0, max(0.0, progress - decay_from) / max(1e-9, 1.0 - decay_from))
    return warm * (0.01 + 0.99 * 0.5 * (1.0 + math.cos(math.pi * along)))


def training(
    run: Run, draw: Draw, loss_fn: Loss, stopping: Callable[[], bool], micro_batch: int | None = None
) -> Iterator[Step]:
    """Train the run's modules, yielding a `Step` each time, until it is finished or `stopping()` says so."""
    machine, options, scaler, optimizer = run.machine, run.options, run.scaler, run.optimizer
    values: list[Tensor] = [*run.parameters.values()]
    _, _, warmup, average_decay = run.optimization
    upcoming = batches(run, draw)
    while True:
        progress, stop = machine.agree(run.progress(), stopping())
        run.finished = progress >= 1.0
        if run.finished or stop:
            return
        rate = options.learning_rate * learning_rate_factor(
            run.step, progress, warmup=warmup, decay_from=options.decay_from
        )
        for group in optimizer.param_groups:
            group["lr"] = rate
        optimizer.zero_grad()
        random = generator(options.seed, run.step, machine.process, 1)
        loss, numbers = torch.zeros((), device=machine.device), {}
        for part, fraction in parts(next(upcoming), micro_batch):
            with machine.autocast():
                part_loss, part_numbers = loss_fn(part, random, progress)
            scaler.scale(part_loss * fraction).backward()
            loss = loss + part_loss.detach() * fraction
            numbers = {k: numbers.get(k, 0.0) + v * fraction for k, v in part_numbers.items()}
        machine.average_gradients(values)
        scaler.unscale_(optimizer)
        norm = torch.nn.utils.clip_grad_norm_(values, 1.0)
        scaler.step(optimizer)
        scaler.update()
        run.step += 1
        update_average(run.average, values, run.step, average_decay)
        yield Step(run.step, progress, rate, loss, norm, numbers)


def fit(
    run: Run,
    draw: Draw,
    loss_fn: Loss,
    *,
    validate: Callable[[], dict[str, float]] | None = None,
    pictures: Callable[[], Image.Image] | None = None,
    export: Callable[[Path], None] | None = None,
    micro_batch: int | None = None,
) -> Result:
    """Train an open run to its end and return a Result. Its folder then holds the following.

    - `checkpoint-STEP/`: weights, averages, optimizer, state, as safetensors and JSON; always one complete checkpoint.
    - `log.jsonl`: a line every `log_every` steps (step, progress, loss, lr, pictures/s, seconds, the recipe's metrics)
      and one at each validation; see `read_log`.
    - `samples/STEP.png`: what `pictures()` returned, a PIL image.
    - the folder that `run.product` names: what `export(folder)` wrote, from the averaged weights, at every save.

    The recipe's functions:

    - `draw(generator, n)` returns a dict of CPU tensors, n rows each, and must depend on the generator alone. With
      `workers` it is sent to other processes, so it is a function or an object of a module, not one made in a function.
    - `loss_fn(batch, generator, progress)` gets that batch on the device and returns (loss, dict of numbers to log);
      it runs under autocast, on one process's part of `batch_size`.
    - `validate()` returns a dict of numbers; like `pictures` and `export` it runs with the averaged weights, in
      evaluation mode, on the main process alone.

    `micro_batch` computes a batch in parts of so many rows and sums their gradients: the same step for a loss that is a
    mean over rows, in less memory, and on a CPU faster, since a part stays in its cache.

    With `minutes`, progress (learning rate, end of the run) is the fraction of that time that has passed: the run then
    depends on the machine's speed. Several processes share each batch; their gradients are averaged.

    Ctrl-C or SIGTERM ends the run after the step at hand, saved; pressed twice, at once. An exception of the recipe's
    ends it saved, too.

    Raises FloatingPointError when loss, gradient or weights stop being numbers: the last checkpoint is a good one.
    """
    run.began = time.monotonic()
    with stop_signals() as stopping:
        steps = training(run, draw, loss_fn, stopping, micro_batch)
        if run.machine.main:
            watch(run, steps, validate=validate, pictures=pictures, export=export)
        else:
            collections.deque(steps, maxlen=0)
    run.machine.wait()
    return Result(run.step, run.seconds(), run.finished, run.metrics)


def watch(
    run: Run,
    steps: Iterator[Step],
    *,
    validate: Callable[[], dict[str, float]] | None,
    pictures: Callable[[], Image.Image] | None,
    export: Callable[[Path], None] | None,
) -> None:
    """Walk the steps on the main process: log, validate and save whenever it is time, and once more at the end."""
    log = Log(run.out, run.step, run.progress())
    if run.step:
        log.say(f"resumed {run.out} at step {run.step} after {run.seconds_before:.0f} s")

    def check() -> None:
        """Validation and sample pictures."""
        with run.averaged():
            if validate:
                run.metrics = {name: float(value) for name, value in validate().items()}
                log.validation(run.step, run.seconds(), run.metrics)
            if pictures:
                with new_file(run.out / "samples" / f"{run.step:09d}.png") as file:
                    pictures().save(file, format="PNG")

    def save() -> None:
        """A checkpoint, and the model as it is now."""
        run.save()
        if export:
            with run.averaged(), new_folder(run.out / run.product.folder) as folder:
                export(folder)

    options, step, checked, saved = run.options, None, time.monotonic(), time.monotonic()
    try:
        for step in steps:
            now = time.monotonic()
            due_log = step.number % options.log_every == 0 or step.number == 1
            due_check = now - checked >= 60 * options.validate_minutes
            due_save = now - saved >= 60 * options.save_minutes
            if due_log or due_check or due_save:
                check_numbers(step, run)
            if due_log:
                log.step(entry(step, run), options.batch_size)
            log.move(step.number, step.progress)
            if due_check:
                check()
                checked = time.monotonic()
            if due_save:
                save()
                saved = time.monotonic()
            if due_check or due_save:
                log.pause(time.monotonic() - now)
        check_numbers(step, run)
        if run.finished:
            check()
        save()
        if not run.finished:
            log.say(f"stopped and saved at step {run.step}; go on with --resume")
    except (FloatingPointError, OSError):
        raise
    except Exception:  # the recipe's: what was trained until then is not lost
        check_numbers(step, run)
        run.save()
        raise
    finally:
        log.close()


def entry(step: Step, run: Run) -> dict:
    """A step's line of the log."""
    return {
        "step": step.number,
        "progress": round(step.progress, 6),
        "loss": float(step.loss),
        "lr": step.rate,
        "gradient": round(float(step.gradient), 4),
        "seconds": round(run.seconds(), 2),
        **{name: float(value) for name, value in step.numbers.items()},
    }


def check_numbers(step: Step | None, run: Run) -> None:
    """Raises FloatingPointError when the loss or the gradient of the last step is not a number.

    In fp16 a gradient may be infinite: the scaler then leaves the step out.
    """
    if step is None:
        return
    found = {"loss": step.loss} if run.scaler.is_enabled() else {"loss": step.loss, "gradient": step.gradient}
    for name, value in found.items():
        if not math.isfinite(float(value)):
            raise FloatingPointError(
                f"the {name} is {float(value)} at step {step.number}: train with a lower learning rate; "
                "what was saved before is still good"
            )


@contextlib.contextmanager
def stop_signals() -> Iterator[Callable[[], bool]]:
    """Within this context SIGINT and SIGTERM are noted instead of ending the process: a function says whether one came.

    A second one acts at once.
    """
    seen, before = [], {}

    def restore() -> None:
        for number, handler in before.items():
            signal.signal(number, handler)

    def note(number, frame) -> None:
        seen.append(number)
        restore()

    for number in (signal.SIGINT, signal.SIGTERM):
        before[number] = signal.signal(number, note)
    try:
        yield lambda: bool(seen)
    finally:
        restore()

"""The one training loop that every recipe of difflab runs in.

A recipe brings its modules, a function that draws batch k, and a function that turns a batch into a loss. `fit` does
the rest: device and precision (accelerate), AdamW, learning rate, averaged weights, checkpoints, resuming, progress.

Everything random in step k comes from generators seeded by (seed, k, process), so resuming after a kill is nothing more
than going on counting: the same batches, the same noise, the same result up to rounding.
"""

import contextlib
import json
import math
import os
import platform
import shutil
import signal
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from accelerate import Accelerator
from accelerate.state import AcceleratorState, is_initialized
from accelerate.utils import broadcast
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from tqdm import tqdm

from difflab.files import new_folder

PRECISIONS = ("auto", "no", "bf16", "fp16")
DEVICES = ("auto", "cpu", "cuda", "mps")


class Result(NamedTuple):
    """What `fit` hands back. `finished` is False when Ctrl-C or SIGTERM ended the run early (everything is saved)."""

    step: int
    seconds: float
    finished: bool
    metrics: dict[str, float]


# ---------------------------------------------------------------------------------------------------- where it runs


def start(*, device: str = "auto", precision: str = "auto", threads: int | None = None) -> Accelerator:
    """Return the accelerator that says where tensors live and in which precision the networks compute.

    `auto` takes a GPU when there is one. In `auto` precision a GPU computes in bf16 (fp16 where it has no bf16), a CPU
    in bf16 where it has instructions for it, everything else in float32. Weights and optimizer stay in float32.

    Raises ValueError for an unknown device or precision, and for a device this machine does not have.
    """
    if device not in DEVICES:
        raise ValueError(f"device={device!r} is unknown; choose one of {', '.join(DEVICES)}")
    if precision not in PRECISIONS:
        raise ValueError(f"precision={precision!r} is unknown; choose one of {', '.join(PRECISIONS)}")
    if threads is not None and threads < 1:
        raise ValueError(f"threads={threads} must be at least 1; leave it out to use every core")
    have = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    if device == "auto":
        device = next(name for name in ("cuda", "mps", "cpu") if have[name])
    if not have[device]:
        raise ValueError(f"device={device!r} is not available on this machine; use device='cpu' or 'auto'")
    if precision == "auto":
        if device == "cuda":
            precision = "bf16" if torch.cuda.is_bf16_supported(including_emulation=False) else "fp16"
        else:
            precision = "bf16" if device == "cpu" and cpu_has_bf16() else "no"
    if precision == "fp16" and device != "cuda":
        raise ValueError(f"precision='fp16' needs a CUDA GPU, but the device is {device!r}; use 'bf16' or 'no'")
    if threads is not None:
        torch.set_num_threads(threads)
    if is_initialized() and AcceleratorState().num_processes == 1:
        AcceleratorState._reset_state(reset_partial_state=True)  # an earlier run in this process may have had others
    return Accelerator(cpu=device == "cpu", mixed_precision=precision)


def cpu_has_bf16() -> bool:
    """Whether this CPU multiplies bf16 in hardware; without that, bf16 is slower than float32."""
    capabilities = getattr(torch.cpu, "get_capabilities", dict)()
    return bool(capabilities.get("avx512_bf16") or capabilities.get("amx_bf16") or capabilities.get("bf16"))


def machine(accelerator: Accelerator) -> dict:
    """What a card says of the machine: device, threads, precision, PyTorch."""
    if accelerator.device.type == "cuda":
        name = torch.cuda.get_device_name(accelerator.device)
    else:
        name = getattr(torch.cpu, "get_capabilities", dict)().get("cpu_name") or platform.machine()
    return {
        "device": accelerator.device.type,
        "name": name,
        "threads": torch.get_num_threads(),
        "precision": accelerator.mixed_precision,
        "torch": torch.__version__,
    }


# ------------------------------------------------------------------------------------------------------- randomness


def generator(*key: int) -> torch.Generator:
    """A CPU generator that depends only on the whole numbers in `key`, e.g. (seed, step, process)."""
    state = int(np.random.SeedSequence([int(k) for k in key]).generate_state(1, np.uint64)[0] >> np.uint64(1))
    return torch.Generator().manual_seed(state)


class Batches(torch.utils.data.Dataset):
    """Item k is the batch of step k: `draw(generator, batch_size)` with a generator seeded by (seed, k, process)."""

    def __init__(self, draw: Callable, batch_size: int, seed: int, process: int):
        self.draw, self.batch_size, self.seed, self.process = draw, batch_size, seed, process

    def __getitem__(self, step: int) -> dict[str, Tensor]:
        return self.draw(generator(self.seed, step, self.process, 0), self.batch_size)


# ---------------------------------------------------------------------------------------------------- learning rate


def learning_rate_factor(step: int, progress: float, *, warmup: int, decay_from: float) -> float:
    """Linear warm-up over `warmup` steps, then 1, then from `decay_from` of the run a cosine down to 0.01.

    `progress` runs from 0 to 1 over the whole training.
    """
    warm = min(1.0, (step + 1) / max(1, warmup))
    along = min(1.0, max(0.0, progress - decay_from) / max(1e-9, 1.0 - decay_from))
    return warm * (0.01 + 0.99 * 0.5 * (1.0 + math.cos(math.pi * along)))


# ------------------------------------------------------------------------------------------------- averaged weights


def trainable(modules: dict[str, nn.Module]) -> dict[str, nn.Parameter]:
    """The parameters that learn, by name (`module.parameter`), in a fixed order."""
    return {f"{m}.{n}": p for m in sorted(modules) for n, p in modules[m].named_parameters() if p.requires_grad}


def buffers(modules: dict[str, nn.Module]) -> dict[str, Tensor]:
    """What the modules keep besides parameters (running statistics), by name; a checkpoint holds these too."""
    states = {m: modules[m].state_dict(keep_vars=True) for m in sorted(modules)}
    return {f"{m}.{n}": t for m in states for n, t in states[m].items() if not isinstance(t, nn.Parameter)}


@torch.no_grad()
def update_average(average: list[Tensor], parameters: list[Tensor], step: int, decay: float) -> None:
    """Move the exponential moving average toward the weights; young averages forget faster, as in diffusers' EMA."""
    decay = min(decay, (1 + step) / (10 + step))
    torch._foreach_lerp_(average, parameters, 1.0 - decay)


@contextlib.contextmanager
def averaged(modules: dict[str, nn.Module], average: list[Tensor]) -> Iterator[None]:
    """Within this context the modules hold the averaged weights and are in evaluation mode."""
    parameters = list(trainable(modules).values())
    modes = {name: module.training for name, module in modules.items()}
    live = [p.detach().clone() for p in parameters]
    with torch.no_grad():
        torch._foreach_copy_(parameters, average)
    for module in modules.values():
        module.eval()
    try:
        yield
    finally:
        with torch.no_grad():
            torch._foreach_copy_(parameters, live)
        for name, module in modules.items():
            module.train(modes[name])


# ------------------------------------------------------------------------------------------------------ checkpoints


def newest_checkpoint(out: Path) -> Path | None:
    """The complete checkpoint with the most steps in the run folder, or None."""
    found = sorted(p for p in Path(out).glob("checkpoint-*") if (p / "state.json").is_file())
    return found[-1] if found else None


def save_checkpoint(out: Path, state: dict, weights: dict, average: dict, optimizer: torch.optim.Optimizer) -> Path:
    """Write `checkpoint-STEP`: safetensors and JSON only. Older ones go once the new one is complete."""
    target = Path(out) / f"checkpoint-{state['step']:09d}"
    with new_folder(target) as folder:
        moments = {
            f"{index}.{key}": value.detach().cpu().contiguous()
            for index, entry in optimizer.state_dict()["state"].items()
            for key, value in entry.items()
        }
        save_file({k: v.detach().cpu().contiguous() for k, v in weights.items()}, folder / "weights.safetensors")
        save_file({k: v.detach().cpu().contiguous() for k, v in average.items()}, folder / "average.safetensors")
        save_file(moments, folder / "optimizer.safetensors")
        (folder / "state.json").write_text(json.dumps(state, indent=1), encoding="utf-8")
        for path in folder.iterdir():  # on the disk before the rename makes it count
            with open(path, "rb") as file:
                os.fsync(file.fileno())
    for old in Path(out).glob("checkpoint-*"):
        if old != target:
            old.rename(old.with_name(f".{old.name}.old"))
    for gone in Path(out).glob(".checkpoint-*"):  # and what a kill left half written or half removed
        shutil.rmtree(gone, ignore_errors=True)
    return target


def load_checkpoint(folder: Path, weights: dict, average: dict, optimizer: torch.optim.Optimizer) -> dict:
    """Fill weights, averages and optimizer from a checkpoint; return its state.

    Raises ValueError when the checkpoint belongs to a model of another shape.
    """
    for file, target in (("weights.safetensors", weights), ("average.safetensors", average)):
        stored = load_file(folder / file)
        wrong = [k for k in target if k not in stored or stored[k].shape != target[k].shape]
        if wrong or len(stored) != len(target):
            raise ValueError(
                f"{folder} holds another model than this recipe builds (first difference: "
                f"{(wrong or sorted(set(stored) - set(target)))[0]}); train into another --out"
            )
        with torch.no_grad():
            for name, tensor in target.items():
                tensor.copy_(stored[name])
    moments: dict[int, dict[str, Tensor]] = {}
    for name, tensor in load_file(folder / "optimizer.safetensors").items():
        index, key = name.split(".", 1)
        moments.setdefault(int(index), {})[key] = tensor
    optimizer.load_state_dict({"state": moments, "param_groups": optimizer.state_dict()["param_groups"]})
    return json.loads((folder / "state.json").read_text(encoding="utf-8"))


def read_log(out: Path) -> list[dict]:
    """The lines of a run's log.jsonl, one per step: after a kill the repeated steps replace the first tries."""
    by_step: dict[int, dict] = {}
    for line in whole_lines(Path(out) / "log.jsonl"):
        entry = json.loads(line)
        by_step[entry["step"]] = by_step.get(entry["step"], {}) | entry
    return [by_step[step] for step in sorted(by_step)]


def whole_lines(path: Path) -> list[str]:
    """The lines of a file, without a last one that a kill cut off in the middle."""
    text = path.read_text(encoding="utf-8") if path.is_file() else ""
    return text[: text.rfind("\n") + 1].splitlines()


# --------------------------------------------------------------------------------------------------------- the loop


def fit(
    accelerator: Accelerator,
    modules: dict[str, nn.Module],
    draw: Callable[[torch.Generator, int], dict[str, Tensor]],
    loss_fn: Callable[[dict[str, Tensor], torch.Generator, float], tuple[Tensor, dict[str, Tensor]]],
    *,
    out: str | Path,
    steps: int,
    minutes: float | None = None,
    batch_size: int,
    micro_batch: int | None = None,
    learning_rate: float,
    betas: tuple[float, float] = (0.9, 0.99),
    weight_decay: float = 0.01,
    warmup: int = 100,
    decay_from: float = 0.4,
    average_decay: float = 0.999,
    seed: int = 0,
    resume: bool = False,
    workers: int = 0,
    validate: Callable[[], dict[str, float]] | None = None,
    pictures: Callable[[], object] | None = None,
    export: Callable[[Path], None] | None = None,
    export_to: str = "model",
    save_minutes: float = 5.0,
    validate_minutes: float = 15.0,
    log_every: int = 50,
    settings: dict | None = None,
) -> Result:
    """Train `modules` and return a Result. The run folder `out` then holds the following.

    - `checkpoint-STEP/`: weights, averages, optimizer, state, as safetensors and JSON; always one complete checkpoint.
    - `log.jsonl`: a line every `log_every` steps (step, progress, loss, lr, pictures/s, seconds, the recipe's metrics)
      and one at each validation; see `read_log`.
    - `samples/STEP.png`: what `pictures()` returned, a PIL image.
    - `export_to/`: what `export(folder)` wrote, from the averaged weights, rewritten at every save.

    The recipe's functions:

    - `draw(generator, n)` returns a dict of CPU tensors, n rows each, and must depend on the generator alone.
    - `loss_fn(batch, generator, progress)` gets that batch on the device and returns (loss, dict of numbers to log);
      it runs under autocast, on one process's share of `batch_size`.
    - `validate()` returns a dict of numbers; like `pictures` and `export` it runs with the averaged weights, in
      evaluation mode, on the main process alone.

    `steps` is the recipe. With `minutes`, progress (learning rate, end of the run) is the fraction of that time that
    has passed, over all resumes together, and `steps` is not used: the run then depends on the machine's speed.

    `micro_batch` computes a batch in parts of so many rows and sums their gradients: the same step for a loss that is a
    mean over rows, in less memory, and on a CPU faster, since a part stays in its cache.

    `resume` goes on from the checkpoint in `out`, or starts at the beginning where there is none yet. Several processes
    (`accelerate launch`) share each batch; their gradients are averaged.

    Ctrl-C or SIGTERM ends the run after the step at hand, saved; pressed twice, at once.

    Raises ValueError for settings that make no sense, before any work; FloatingPointError when the loss stops being a
    number (the last checkpoint is then still a good one).
    """
    out = Path(out)
    processes, main = accelerator.num_processes, accelerator.is_main_process
    for name, value in (("steps", steps), ("batch_size", batch_size), ("learning_rate", learning_rate)):
        if not value > 0:
            raise ValueError(f"{name}={value} must be above 0")
    if minutes is not None and not minutes > 0:
        raise ValueError(f"minutes={minutes} must be above 0; leave it out to train for steps={steps}")
    if batch_size % processes:
        raise ValueError(f"batch_size={batch_size} cannot be shared by {processes} processes; use a multiple")
    if seed < 0:
        raise ValueError(f"seed={seed} must not be negative")
    last = newest_checkpoint(out)
    if last and not resume:
        raise ValueError(f"{out} already holds {last.name}; add --resume to go on, or train into another --out")
    if main:
        out.mkdir(parents=True, exist_ok=True)
        if last:  # a kill may have cut the last line off
            lines = whole_lines(out / "log.jsonl")
            (out / "log.jsonl").write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")

    for module in modules.values():
        module.to(accelerator.device).train()
    parameters = trainable(modules)
    if not parameters:
        raise ValueError("no parameter of the modules requires a gradient: nothing would be trained")
    values = list(parameters.values())
    average = [p.detach().clone() for p in values]
    averages = dict(zip(parameters, average, strict=True))
    weights = {**parameters, **buffers(modules)}
    inner = torch.optim.AdamW(values, lr=learning_rate, betas=betas, weight_decay=weight_decay, fused=True)
    optimizer = accelerator.prepare_optimizer(inner)

    step, seconds_before, metrics = 0, 0.0, {}
    if last:
        state = load_checkpoint(last, weights, averages, inner)
        for name, value in (("seed", seed), ("batch_size", batch_size)):
            if state[name] != value:
                raise ValueError(f"{last} was trained with {name}={state[name]}, not {value}; resume with the same")
        step, seconds_before, metrics = state["step"], state["seconds"], state["metrics"]
        if accelerator.scaler is not None and state.get("scaler"):
            accelerator.scaler.load_state_dict(state["scaler"])
    accelerator.wait_for_everyone()

    loader = torch.utils.data.DataLoader(
        Batches(draw, batch_size // processes, seed, accelerator.process_index),
        batch_size=None,
        sampler=range(step, 1 << 40),
        num_workers=workers,
        pin_memory=accelerator.device.type == "cuda",
    )
    batches = None
    began = time.monotonic()
    start_progress = 0.0
    stop = {"signal": None}
    restore = listen(stop)

    def seconds() -> float:
        return seconds_before + time.monotonic() - began

    def progress_now() -> float:
        return seconds() / (60.0 * minutes) if minutes is not None else step / steps

    def log(entry: dict) -> None:
        with open(out / "log.jsonl", "a", encoding="utf-8") as file:
            file.write(json.dumps(entry) + "\n")

    def save() -> None:
        if not main:
            return
        state = {
            "step": step,
            "seconds": round(seconds(), 2),
            "seed": seed,
            "batch_size": batch_size,
            "processes": processes,
            "machine": machine(accelerator),
            "metrics": metrics,
            "scaler": accelerator.scaler.state_dict() if accelerator.scaler is not None else None,
            "settings": settings or {},
        }
        save_checkpoint(out, state, weights, averages, inner)
        if export:
            with averaged(modules, average), torch.no_grad(), new_folder(out / export_to) as folder:
                export(folder)

    def check() -> None:
        """Validation and sample pictures, on the main process."""
        if not main:
            return
        with averaged(modules, average), torch.no_grad():
            if validate:
                metrics.update({k: float(v) for k, v in validate().items()})
                found = {f"validation_{k}": v for k, v in metrics.items()}
                log({"step": step, "seconds": round(seconds(), 2), **found})
                say(f"step {step}: " + ", ".join(f"{k} {v:.4g}" for k, v in metrics.items()))
            if pictures:
                (out / "samples").mkdir(exist_ok=True)
                pictures().save(out / "samples" / f"{step:09d}.png")

    bar = None
    if main and sys.stderr.isatty():
        bar = tqdm(total=1.0, initial=min(1.0, progress_now()), bar_format=BAR, dynamic_ncols=True)

    def say(text: str) -> None:
        bar.write(text, file=sys.stderr) if bar is not None else print(text, file=sys.stderr, flush=True)

    if main and step:
        say(f"resumed {out} at step {step} after {seconds_before:.0f} s")
    saved = checked = time.monotonic()
    running, logged_step, logged_at, loss, speed = None, step, time.monotonic(), None, 0.0
    start_progress = progress_now()
    finished = False
    try:
        while True:
            progress, stopping = agree(accelerator, progress_now(), stop["signal"] is not None)
            if progress >= 1.0 or stopping:
                finished = progress >= 1.0
                break
            if batches is None:
                batches = iter(loader)
            batch = {k: v.to(accelerator.device, non_blocking=True) for k, v in next(batches).items()}
            rate = learning_rate * learning_rate_factor(step, progress, warmup=warmup, decay_from=decay_from)
            for group in inner.param_groups:
                group["lr"] = rate
            optimizer.zero_grad()
            loss, numbers = 0.0, {}
            random = generator(seed, step, accelerator.process_index, 1)
            for part, share in parts(batch, micro_batch):
                with accelerator.autocast():
                    part_loss, part_numbers = loss_fn(part, random, progress)
                accelerator.backward(part_loss * share)
                loss += part_loss.detach() * share
                numbers = {k: numbers.get(k, 0.0) + v * share for k, v in part_numbers.items()}
            average_gradients(accelerator, values)
            accelerator.unscale_gradients()
            norm = torch.nn.utils.clip_grad_norm_(values, 1.0)
            optimizer.step()
            step += 1
            update_average(average, values, step, average_decay)

            now = time.monotonic()
            due_log = step % log_every == 0 or step == 1
            due_save, due_check = now - saved >= 60 * save_minutes, now - checked >= 60 * validate_minutes
            if not (main and (due_log or due_save or bar is not None)):
                continue
            if due_log or due_save:
                value = float(loss)
                if not math.isfinite(value):
                    raise FloatingPointError(
                        f"the loss is {value} at step {step}; go on from the last checkpoint with a lower learning rate"
                    )
                running = value if running is None else 0.9 * running + 0.1 * value
            if due_log:
                speed = (step - logged_step) * batch_size / max(1e-9, now - logged_at)
                logged_step, logged_at = step, now
                log(
                    {
                        "step": step,
                        "progress": round(progress, 6),
                        "loss": value,
                        "lr": rate,
                        "gradient": round(float(norm), 4),
                        "pictures_per_second": round(speed, 2),
                        "seconds": round(seconds(), 2),
                        **{k: float(v) for k, v in numbers.items()},
                    }
                )
                if bar is None:
                    gone = seconds() - seconds_before
                    left = gone / max(1e-9, progress - start_progress) * (1 - progress) if progress > 0 else 0.0
                    say(
                        f"step {step} ({100 * progress:.1f} %) loss {running:.4f} {speed:.1f} pictures/s "
                        f"{clock(gone)} gone, {clock(left)} left"
                    )
            if bar is not None:
                bar.n = min(1.0, progress)
                if running is not None:
                    bar.set_postfix_str(f"step {step}, loss {running:.4f}, {speed:.1f} pictures/s", refresh=False)
                bar.refresh()
            if due_check:
                check()
                checked = time.monotonic()
            if due_save:
                save()
                saved = time.monotonic()
            if due_check or due_save:
                logged_at += time.monotonic() - now  # the speed is that of training alone
        if finished:
            if loss is not None and not math.isfinite(float(loss)):
                raise FloatingPointError(f"the loss is {float(loss)} at the last step; the run is not saved")
            check()
        save()
    finally:
        restore()
        if bar is not None:
            bar.n = min(1.0, progress_now())
            bar.close()
    accelerator.wait_for_everyone()
    if main and not finished:
        say(f"stopped and saved at step {step}; go on with --resume")
    return Result(step, seconds(), finished, metrics)


def parts(batch: dict[str, Tensor], size: int | None) -> Iterator[tuple[dict[str, Tensor], float]]:
    """The batch in parts of at most `size` rows, each with its share of all rows; the whole at once without a size."""
    rows = len(next(iter(batch.values())))
    size = size or rows
    for first in range(0, rows, size):
        part = {k: v[first : first + size] for k, v in batch.items()}
        yield part, len(next(iter(part.values()))) / rows


BAR = "{percentage:3.0f}%|{bar}| {elapsed} gone, {remaining} left{postfix}"


def clock(seconds: float) -> str:
    """1:02:03 for 3723 seconds."""
    minutes, seconds = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{seconds:02d}"


def listen(stop: dict) -> Callable[[], None]:
    """Note SIGINT and SIGTERM in `stop` instead of dying; the second one acts at once. Returns what undoes it."""
    before = {}

    def note(number, frame) -> None:
        stop["signal"] = number
        for each, handler in before.items():
            signal.signal(each, handler)

    for number in (signal.SIGINT, signal.SIGTERM):
        before[number] = signal.signal(number, note)

    def restore() -> None:
        for number, handler in before.items():
            signal.signal(number, handler)

    return restore


def agree(accelerator: Accelerator, progress: float, stopping: bool) -> tuple[float, bool]:
    """Let all processes go by the main one's clock, and stop together when any of them was told to."""
    if accelerator.num_processes == 1:
        return progress, stopping
    shared = torch.tensor([progress], dtype=torch.float64 if accelerator.device.type != "mps" else torch.float32)
    shared = broadcast(shared.to(accelerator.device))
    stops = accelerator.reduce(torch.tensor(float(stopping), device=accelerator.device), reduction="sum")
    return float(shared), bool(stops > 0)


def average_gradients(accelerator: Accelerator, parameters: list[nn.Parameter]) -> None:
    """Replace each gradient by its mean over the processes, in one exchange."""
    if accelerator.num_processes == 1:
        return
    for p in parameters:
        if p.grad is None:
            p.grad = torch.zeros_like(p)
    flat = torch.cat([p.grad.flatten() for p in parameters])
    flat = accelerator.reduce(flat, reduction="mean")
    for p, mean in zip(parameters, flat.split([p.numel() for p in parameters]), strict=True):
        p.grad.copy_(mean.view_as(p))

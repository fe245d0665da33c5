"""A training under way: opened and checked before any work, alone in its folder, begun or resumed exactly."""

import contextlib
import json
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import torch
from filelock import FileLock, Timeout
from torch import Tensor, nn

from difflab.train.average import averaged
from difflab.train.checkpoint import (
    fill,
    load_checkpoint,
    moments,
    newest_checkpoint,
    read_state,
    restore_moments,
    save_checkpoint,
)
from difflab.train.machine import Machine
from difflab.train.marks import mark_of
from difflab.train.options import Options

COMMON = {"decay_from": 0.4, "validate_minutes": 15.0, "log_every": 50}  # where neither person nor recipe chose
SAID = ("length", "device", "precision")  # may be another when a run is resumed, which is said


class Optimization(NamedTuple):
    """How weights follow their gradients: AdamW, a warm-up in steps, and how slowly the average moves."""

    betas: tuple[float, float] = (0.9, 0.99)
    weight_decay: float = 0.01
    warmup: int = 100
    average_decay: float = 0.999


USUAL = Optimization()


class Product(NamedTuple):
    """What a training makes, for its card and for `assemble`: the recipe's name, the class of the network, the method
    with its source, and the folder inside the run folder in which the model is."""

    name: str
    kind: str
    method: str
    folder: str


@dataclass
class Run:
    """What a checkpoint holds of a training, and what it needs to go on. Made by `open_run`.

    parameters: those that learn, by name (`module.parameter`), in a fixed order. average: their averages, likewise.
    step, seconds: how many steps were done, and how long that took, over all resumes together.
    settings: what else the result depends on, as a card says it. metrics: the last validation.
    """

    out: Path
    options: Options
    machine: Machine
    modules: dict[str, nn.Module]
    optimization: Optimization
    product: Product
    settings: dict
    identity: dict
    parameters: dict[str, nn.Parameter]
    average: list[Tensor]
    optimizer: torch.optim.Optimizer
    scaler: torch.amp.GradScaler
    step: int = 0
    seconds_before: float = 0.0
    metrics: dict[str, float] = field(default_factory=dict)
    began: float | None = None
    saved: int | None = None  # the step of the last checkpoint
    finished: bool = False

    def seconds(self) -> float:
        """How long the run has trained, over all resumes together."""
        return self.seconds_before + (0.0 if self.began is None else time.monotonic() - self.began)

    def progress(self) -> float:
        """The fraction of the run that is done: of its steps, or of its minutes where it has some."""
        options = self.options
        return self.step / options.steps if options.minutes is None else self.seconds() / (60.0 * options.minutes)

    def averaged(self):
        """The context in which the modules hold the averaged weights, to be looked at and written."""
        return averaged(self.modules, [*self.parameters.values()], self.average)

    def tensors(self) -> dict[str, dict[str, Tensor]]:
        """What a checkpoint holds: the weights that learn and the modules' running statistics, averages, optimizer."""
        return {
            "weights": {**self.parameters, **buffers(self.modules)},
            "average": dict(zip(self.parameters, self.average, strict=True)),
            "optimizer": moments(self.optimizer),
        }

    def state(self) -> dict:
        """What a checkpoint says of the run, as JSON."""
        return {
            "step": self.step,
            "seconds": round(self.seconds(), 2),
            **self.identity,
            "machine": self.machine.describe(),
            "metrics": self.metrics,
            "scaler": self.scaler.state_dict() if self.scaler.is_enabled() else None,
            "settings": self.settings,
            "product": self.product._asdict(),
        }

    def save(self) -> None:
        """Write a checkpoint, if there was a step since the last one. Raises FloatingPointError for a bad number."""
        if self.saved == self.step:
            return
        save_checkpoint(self.out, self.state(), self.tensors())
        self.saved = self.step

    def restore(self, folder: Path) -> None:
        """Go on from a checkpoint of this run."""
        state, stored = load_checkpoint(folder)
        fill({**self.parameters, **buffers(self.modules)}, stored["weights"], folder)
        fill(dict(zip(self.parameters, self.average, strict=True)), stored["average"], folder)
        restore_moments(self.optimizer, stored["optimizer"])
        if self.scaler.is_enabled() and state["scaler"]:
            self.scaler.load_state_dict(state["scaler"])
        self.step = self.saved = state["step"]
        self.seconds_before, self.metrics = state["seconds"], state["metrics"]
        for name in SAID:
            before, now = ({**told["machine"], **told["settings"]}[name] for told in (state, self.state()))
            if before != now:
                print(f"{name}: {before} until step {self.step}, {now} from here on", file=sys.stderr)


def trainable(modules: dict[str, nn.Module]) -> dict[str, nn.Parameter]:
    """The parameters that learn, by name (`module.parameter`), in a fixed order."""
    return {f"{m}.{n}": p for m in sorted(modules) for n, p in modules[m].named_parameters() if p.requires_grad}


def buffers(modules: dict[str, nn.Module]) -> dict[str, Tensor]:
    """What the modules keep besides parameters (running statistics), by name; a checkpoint holds these too."""
    states = {m: modules[m].state_dict(keep_vars=True) for m in sorted(modules)}
    return {f"{m}.{n}": t for m in states for n, t in states[m].items() if not isinstance(t, nn.Parameter)}


@contextlib.contextmanager
def open_run(
    options: Options,
    machine: Machine,
    modules: dict[str, nn.Module],
    product: Product,
    settings: dict,
    optimization: Optimization = USUAL,
) -> Iterator[Run]:
    """The run in the folder `options.out`, which is this process's alone until the context ends.

    settings: whatever else the result depends on (data, latents, size, ...), JSON; it stands on the card. `init`, a
        path, only says whether weights of another run were the start.
    The modules go to the machine's device. Where there is a checkpoint they get its weights, and the run goes on from
    it as if it had never stopped.

    Raises ValueError, before any work: when another process trains into the folder; when it holds a checkpoint and
    `resume` was not asked for; when that is damaged, or the run had other options, settings or weights to begin with;
    when it holds a model that no run wrote. A run may be made longer, and moved to another device: this is only said.
    """
    options = options.filled(COMMON | {"out": f"runs/{product.name}"})
    out, processes = options.out, machine.processes
    if options.batch_size % processes:
        raise ValueError(f"batch_size={options.batch_size} cannot be shared by {processes} processes; use a multiple")
    parameters = trainable(modules)
    if not parameters:
        raise ValueError("no parameter of the modules requires a gradient: nothing would be trained")
    settings = {
        "recipe": product.name,
        **settings,
        "smoke": options.smoke,
        "learning_rate": options.learning_rate,
        "decay_from": options.decay_from,
        "length": f"{options.steps} steps" if options.minutes is None else f"{options.minutes:g} minutes",
        **optimization._asdict(),
    }
    identity = {
        "seed": options.seed,
        "batch_size": options.batch_size,
        "processes": processes,
        "initial_weights": mark_of("", *(modules[name] for name in sorted(modules))),
    }
    with locked(out) if machine.main else contextlib.nullcontext():
        last = newest_checkpoint(out)
        if last is not None:
            check_same(last, settings, identity, options.resume)
        elif (out / product.folder).exists():
            raise ValueError(f"{out} holds {product.folder} and no checkpoint: it is no run folder; name another --out")
        for module in modules.values():
            module.to(machine.device).train()
        values = list(parameters.values())
        adamw = torch.optim.AdamW(
            values,
            lr=options.learning_rate,
            betas=optimization.betas,
            weight_decay=optimization.weight_decay,
            fused=True,
        )
        run = Run(
            out=out,
            options=options,
            machine=machine,
            modules=modules,
            optimization=optimization,
            product=product,
            settings=settings,
            identity=identity,
            parameters=parameters,
            average=[p.detach().clone() for p in values],
            optimizer=adamw,
            scaler=torch.amp.GradScaler(machine.device.type, enabled=machine.precision == "fp16"),
        )
        if last is not None:
            run.restore(last)
        machine.wait()
        yield run


def check_same(last: Path, settings: dict, identity: dict, resume: bool) -> None:
    """Raises ValueError when a run may not go on from the checkpoint `last`, naming all that differs."""
    if not resume:
        raise ValueError(f"{last.parent} already holds {last.name}; add --resume to go on, or train into another --out")
    state = read_state(last)
    before = {**{name: state.get(name) for name in identity}, **state.get("settings", {})}
    wanted = json.loads(json.dumps({**identity, **settings}))
    compared = [name for name in {**wanted, **before} if name not in ("init", *SAID)]
    differ = [name for name in compared if before.get(name) != wanted.get(name)]
    if differ:
        named = " and ".join(f"{name}={before.get(name)!r}, not {wanted.get(name)!r}" for name in differ)
        raise ValueError(f"{last} was trained with {named}; resume with the same, or train into another --out")


@contextlib.contextmanager
def locked(out: Path) -> Iterator[None]:
    """Keep every other run out of the folder. Raises ValueError when one is in it."""
    if out.exists() and not out.is_dir():
        raise ValueError(f"--out {out} is a file: name a folder")
    out.mkdir(parents=True, exist_ok=True)
    lock = FileLock(out / ".lock", timeout=0)
    try:
        lock.acquire()
    except Timeout as error:
        raise ValueError(f"another run is training into {out}: wait for it, or train into another --out") from error
    try:
        yield
    finally:
        lock.release()

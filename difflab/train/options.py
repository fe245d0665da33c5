"""What one chooses about a training run: one object for the command line, the recipes and the loop.

A field's annotation holds its type, the words of `--help` and, where there is a choice of values, what checks them.
None stands for "as the recipe says". Nothing heavy is imported here.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from numbers import Integral, Real
from pathlib import Path
from typing import Annotated, Any, Self, get_args

DEVICES = ("auto", "cpu", "cuda", "mps")
PRECISIONS = ("auto", "no", "bf16", "fp16")
Check = Callable[[str, Any], None]


def whole(least: int) -> Check:
    """Whole numbers from `least` up: the check raises ValueError for anything else, True and 2.0 among it."""

    def check(name: str, value: Any) -> None:
        if isinstance(value, bool) or not isinstance(value, Integral) or value < least:
            raise ValueError(f"{name}={value!r} must be a whole number from {least} up")

    return check


def finite(least: float = 0.0, most: float = math.inf, *, above: bool = False) -> Check:
    """Finite numbers from `least` (or only above it) to `most`: the check raises ValueError for anything else."""

    def check(name: str, value: Any) -> None:
        number = isinstance(value, Real) and not isinstance(value, bool) and math.isfinite(value)
        if not number or not least <= value <= most or (above and value == least):
            limits = f"from {least:g} to {most:g}" if most < math.inf else f"{'above' if above else 'from'} {least:g}"
            raise ValueError(f"{name}={value!r} must be a finite number {limits}")

    return check


def one_of(choices: tuple[str, ...]) -> Check:
    """One of these words: the check raises ValueError for anything else."""

    def check(name: str, value: Any) -> None:
        if value not in choices:
            raise ValueError(f"{name}={value!r} is unknown; choose one of {', '.join(choices)}")

    return check


FRACTION = finite(0.0, 1.0)

Out = Annotated[Path | None, "Run folder: checkpoints, log, samples, the model."]
Data = Annotated[Path | None, "Your own pictures: a folder with metadata.jsonl (file_name, text)."]
Init = Annotated[Path | None, "Start from the weights in this folder."]
Pictures = Annotated[int | None, "How many pictures to draw and keep once.", whole(1)]
Cache = Annotated[Path | None, "Where to keep them; left out, beside OUT."]
Seed = Annotated[int, "Seed of weights, data and noise.", whole(0)]
Smoke = Annotated[bool, "A tiny model and a handful of steps: does it run at all?"]


class Checked:
    """A dataclass of options. Raises ValueError, with the value and the fix, when one of them makes no sense."""

    def __post_init__(self):
        for field in fields(self):
            kind, _, *checks = get_args(field.type)
            value = getattr(self, field.name)
            if value is None:
                continue
            for check in checks:
                check(field.name, value)
            if Path in get_args(kind):
                object.__setattr__(self, field.name, Path(value))

    def filled(self, defaults: dict[str, Any]) -> Self:
        """The same options, with a recipe's `defaults` where nothing was chosen; other names in these are left out."""
        return replace(
            self,
            **{f.name: defaults[f.name] for f in fields(self) if f.name in defaults and getattr(self, f.name) is None},
        )


@dataclass(frozen=True, kw_only=True)
class Options(Checked):
    """What every training has."""

    out: Out = None
    steps: Annotated[int | None, "Length of the run.", whole(1)] = None
    minutes: Annotated[float | None, "Train this long instead of a number of steps.", finite(above=True)] = None
    batch_size: Annotated[int | None, "Pictures a step, over all processes.", whole(1)] = None
    learning_rate: Annotated[float | None, "Highest learning rate.", finite(above=True)] = None
    decay_from: Annotated[float | None, "Part of the run after which the rate falls (0 to 1).", FRACTION] = None
    resume: Annotated[bool, "Go on from OUT's checkpoint, if there is one."] = False
    seed: Seed = 0
    device: Annotated[str, "auto, cpu, cuda or mps.", one_of(DEVICES)] = "auto"
    precision: Annotated[str, "auto, no, bf16 or fp16.", one_of(PRECISIONS)] = "auto"
    threads: Annotated[int | None, "CPU threads; left out, one a core.", whole(1)] = None
    workers: Annotated[int, "Processes that draw batches ahead; worth it beside a GPU.", whole(0)] = 0
    save_minutes: Annotated[float, "Minutes between checkpoints.", finite()] = 5.0
    validate_minutes: Annotated[float | None, "Minutes between validations and samples.", finite()] = None
    log_every: Annotated[int | None, "Steps between lines of the log.", whole(1)] = None
    smoke: Smoke = False


@dataclass(frozen=True, kw_only=True)
class TokenizerOptions(Checked):
    """The tokenizer is counted, not trained."""

    out: Annotated[Path | None, "Folder of the tokenizer."] = None
    data: Data = None
    seed: Seed = 0
    smoke: Smoke = False


@dataclass(frozen=True, kw_only=True)
class AutoencoderOptions(Options):
    """`decoder_only` needs `init`."""

    data: Data = None
    init: Init = None
    crop_until: Annotated[float | None, "Train on 64x64 crops up to this part of the run (0 to 1).", FRACTION] = None
    decoder_only: Annotated[bool, "Keep the encoder of --init; latents stay the same."] = False

    def __post_init__(self):
        super().__post_init__()
        if self.decoder_only and self.init is None:
            raise ValueError("decoder_only=True keeps the encoder of a trained autoencoder: name its folder with init")


@dataclass(frozen=True, kw_only=True)
class ClipOptions(Options):
    """`text_only` needs `init`."""

    tokenizer: Annotated[Path | None, "Folder of the tokenizer."] = None
    data: Data = None
    init: Init = None
    text_only: Annotated[bool, "Keep the image tower of --init; far quicker."] = False
    pictures: Annotated[int | None, "How many pictures to draw and keep once.", whole(2)] = None  # to contrast with
    cache: Cache = None

    def __post_init__(self):
        super().__post_init__()
        if self.text_only and self.init is None:
            raise ValueError("text_only=True keeps the image tower of a trained CLIP: name its folder with init")


@dataclass(frozen=True, kw_only=True)
class DenoisingOptions(Options):
    """What every training on latents has."""

    data: Data = None
    init: Init = None
    vae: Annotated[Path | None, "Folder of the trained autoencoder."] = None
    clip: Annotated[Path | None, "Folder with tokenizer and text_encoder."] = None
    pictures: Pictures = None
    cache: Cache = None


@dataclass(frozen=True, kw_only=True)
class AdapterOptions(DenoisingOptions):
    """What every training of small weights on a U-Net that stays as it is has."""

    init: Annotated[Path | None, "The U-Net to build on; left out, the shipped one."] = None
    adapter: Annotated[Path | None, "Go on from the weights of this kind in this folder."] = None


@dataclass(frozen=True, kw_only=True)
class EditOptions(AdapterOptions):
    """The same, on pairs of pictures."""

    data: Annotated[Path | None, "Your own edits: a folder with metadata.jsonl (file_name, before, text)."] = None

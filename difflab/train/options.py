"""What one chooses about a training run: one object for the command line, the recipes and the loop.

A field's annotation holds its type, the words of `--help` and, where there is a choice of values, what checks them.
Nothing heavy is imported here.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Annotated, Any, Self, get_args

from difflab.checks import as_number, as_whole

DEVICES = ("auto", "cpu", "cuda", "mps")
PRECISIONS = ("auto", "no", "bf16", "fp16")
RECIPE: Any = None  # the default of what the recipe decides, and has filled in before anything looks at it
Check = Callable[[str, Any], Any]  # name and value -> the value; raises ValueError for one that makes no sense


def whole(low: int) -> Check:
    """Takes whole numbers from `low` up."""
    return lambda name, value: as_whole(name, value, f"a whole number from {low} up", low)


def above_zero(name: str, value: Any) -> float:
    return as_number(name, value, "a finite number above 0", math.ulp(0.0))


def from_zero(name: str, value: Any) -> float:
    return as_number(name, value, "a finite number, 0 or above", 0)


def fraction(name: str, value: Any) -> float:
    return as_number(name, value, "a number from 0 to 1", 0, 1)


def one_of(choices: tuple[str, ...]) -> Check:
    """Takes one of these words."""

    def check(name: str, value: Any) -> str:
        if value not in choices:
            raise ValueError(f"{name}={value!r} is unknown; choose one of {', '.join(choices)}")
        return value

    return check


def path(name: str, value: Any) -> Path:
    return Path(value)


Out = Annotated[Path, "Run folder: checkpoints, log, samples, the model.", path]
Data = Annotated[Path | None, "Your own pictures: a folder with metadata.jsonl (file_name, text).", path]
Init = Annotated[Path | None, "Start from the weights in this folder.", path]
Pictures = Annotated[int, "How many pictures to draw and keep once.", whole(1)]
Cache = Annotated[Path | None, "Where to keep them; left out, beside OUT.", path]
Seed = Annotated[int, "Seed of weights, data and noise.", whole(0)]
Smoke = Annotated[bool, "A tiny model and a handful of steps: does it run at all?"]


@dataclass(frozen=True)
class Checked:
    """A dataclass of options. Raises ValueError, with the value and the fix, when one of them makes no sense."""

    def __post_init__(self):
        for field in fields(self):
            _, _, *checks = get_args(field.type)
            for check in checks:
                if getattr(self, field.name) is not None:
                    object.__setattr__(self, field.name, check(field.name, getattr(self, field.name)))

    def filled(self, defaults: dict[str, Any]) -> Self:
        """The same options, with a recipe's `defaults` where nothing was chosen; other names in these are left out."""
        return replace(
            self,
            **{f.name: defaults[f.name] for f in fields(self) if f.name in defaults and getattr(self, f.name) is None},
        )


@dataclass(frozen=True, kw_only=True)
class Options(Checked):
    """What every training has."""

    out: Out = RECIPE
    steps: Annotated[int, "Length of the run.", whole(1)] = RECIPE
    minutes: Annotated[float | None, "Train this long instead of a number of steps.", above_zero] = None
    batch_size: Annotated[int, "Pictures a step, over all processes.", whole(1)] = RECIPE
    learning_rate: Annotated[float, "Highest learning rate.", above_zero] = RECIPE
    decay_from: Annotated[float, "Fraction of the run after which the rate falls (0 to 1).", fraction] = RECIPE
    resume: Annotated[bool, "Go on from OUT's checkpoint, if there is one."] = False
    seed: Seed = 0
    device: Annotated[str, "auto, cpu, cuda or mps.", one_of(DEVICES)] = "auto"
    precision: Annotated[str, "auto, no, bf16 or fp16.", one_of(PRECISIONS)] = "auto"
    threads: Annotated[int | None, "CPU threads; left out, one a core.", whole(1)] = None
    workers: Annotated[int, "Processes that draw batches ahead; worth it beside a GPU.", whole(0)] = 0
    save_minutes: Annotated[float, "Minutes between checkpoints.", from_zero] = 5.0
    validate_minutes: Annotated[float, "Minutes between validations and samples.", from_zero] = RECIPE
    log_every: Annotated[int, "Steps between lines of the log.", whole(1)] = RECIPE
    smoke: Smoke = False


@dataclass(frozen=True, kw_only=True)
class TokenizerOptions(Checked):
    """The tokenizer is counted, not trained."""

    out: Annotated[Path, "Folder of the tokenizer.", path] = Path("runs/tokenizer")
    data: Data = None
    seed: Seed = 0
    smoke: Smoke = False


@dataclass(frozen=True, kw_only=True)
class AutoencoderOptions(Options):
    """`decoder_only` needs `init`."""

    data: Data = None
    init: Init = None
    crop_until: Annotated[float, "Train on 64x64 crops up to this fraction of the run (0 to 1).", fraction] = RECIPE
    decoder_only: Annotated[bool, "Keep the encoder of --init; latents stay the same."] = False

    def __post_init__(self):
        super().__post_init__()
        if self.decoder_only and self.init is None:
            raise ValueError("decoder_only=True keeps the encoder of a trained autoencoder: name its folder with init")


@dataclass(frozen=True, kw_only=True)
class ClipOptions(Options):
    """`text_only` needs `init`."""

    tokenizer: Annotated[Path, "Folder of the tokenizer.", path] = Path("runs/tokenizer")
    data: Data = None
    init: Init = None
    text_only: Annotated[bool, "Keep the image tower of --init; far quicker."] = False
    pictures: Annotated[int, "How many pictures to draw and keep once.", whole(2)] = RECIPE  # to contrast with
    cache: Cache = None

    def __post_init__(self):
        super().__post_init__()
        if self.text_only and self.init is None:
            raise ValueError("text_only=True keeps the image tower of a trained CLIP: name its folder with init")


@dataclass(frozen=True, kw_only=True)
class ReadersOptions(Options):
    """The readers learn from the truth of scenes, so from no pictures of one's own."""

    data: Annotated[str | None, "free: scenes of the freer world.", one_of(("free",))] = None


@dataclass(frozen=True, kw_only=True)
class DenoisingOptions(Options):
    """What every training on latents has."""

    data: Data = None
    init: Init = None
    vae: Annotated[Path, "Folder of the trained autoencoder.", path] = RECIPE
    clip: Annotated[Path, "Folder with tokenizer and text_encoder.", path] = RECIPE
    pictures: Pictures = RECIPE
    cache: Cache = None


@dataclass(frozen=True, kw_only=True)
class AdapterOptions(DenoisingOptions):
    """What every training of small weights on a U-Net that stays as it is has."""

    init: Annotated[Path | None, "The U-Net to build on; left out, the shipped one.", path] = None
    adapter: Annotated[Path | None, "Go on from the weights of this kind in this folder.", path] = None


@dataclass(frozen=True, kw_only=True)
class EditOptions(AdapterOptions):
    """The same, on pairs of pictures."""

    data: Annotated[Path | None, "Your own edits: a folder with metadata.jsonl (file_name, before, text).", path] = None

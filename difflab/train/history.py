"""The story of the shipped weights: what their cards and sample sheets say of the training runs that made them."""

import json
import re
from pathlib import Path
from typing import NamedTuple

from PIL import Image

from difflab.loading import weights_folder

PARTS = ("vae", "text_encoder", "image_encoder", "unet")


class Curve(NamedTuple):
    """One number over a training: pictures seen (counted over all stages) and the value there, two equal lists."""

    pictures: list[int]
    values: list[float]


def read_card(part: str, folder: str | Path | None = None) -> dict:
    """The card of one of PARTS: a dict with parameters, samples, seconds, quality, and the stages of its training.

    folder: the pipeline folder; the shipped one when None. Raises ValueError for an unknown part or a missing card.
    """
    if part not in PARTS:
        raise ValueError(f"part={part!r} has no card; choose one of {', '.join(PARTS)}")
    path = Path(folder or weights_folder()) / "cards" / f"{part}.json"
    if not path.is_file():
        raise ValueError(f"{path} is missing: `difflab train assemble` writes a card beside every pipeline it makes")
    return json.loads(path.read_text(encoding="utf-8"))


def curve(card: dict, name: str = "loss") -> Curve:
    """The training loss on a card, or a validation by its name ("mse" of the U-Net, "psnr" of the autoencoder).

    Stages that went on from one another follow each other on the axis of pictures. Raises ValueError, naming what the
    card has, when it has no such number.
    """
    pictures, values, before = [], [], 0
    known = {"loss"}
    for stage in card["stages"]:
        points = [(step, {"loss": loss}) for step, loss in stage["loss_curve"]]
        points += [(entry["step"], entry) for entry in stage["validation_curve"]]
        for step, entry in points:
            known |= {key.removeprefix("validation_") for key in entry if key != "step"}
            value = entry.get(name, entry.get(f"validation_{name}"))
            if value is not None:
                pictures.append(before + step * stage["batch_size"])
                values.append(value)
        before += stage["samples"]
    if not values:
        raise ValueError(f"the card of {card['part']!r} has no {name!r}; it has {', '.join(sorted(known))}")
    return Curve(pictures, values)


def sample_sheets(folder: str | Path | None = None) -> dict[int, Image.Image]:
    """Sheets drawn at checkpoints of the U-Net's training, by step, in order: of the PROMPTS in `train.recipes.unet`.

    folder: the pipeline folder; the shipped one when None. Its `cards/samples` holds `step-2900.jpg` and the like.
    Raises ValueError where there are none, or where a name holds no step.
    """
    sheets = Path(folder or weights_folder()) / "cards" / "samples"
    paths = [path for path in sheets.glob("*") if path.suffix in (".jpg", ".png")] if sheets.is_dir() else []
    if not paths:
        raise ValueError(f"{sheets} holds no sample sheets; a training leaves its own in RUN/samples")
    steps = {}
    for path in paths:
        found = re.fullmatch(r"step-(\d+)", path.stem)
        if found is None:
            raise ValueError(f"{path} does not say its step: name it step-2900{path.suffix}, say")
        steps[int(found[1])] = path
    return {step: Image.open(steps[step]).convert("RGB") for step in sorted(steps)}


def cells(sheet: Image.Image, side: int = 128) -> list[Image.Image]:
    """The single pictures of a sheet, row by row. Raises ValueError when pictures of that side do not fill it."""
    if sheet.width % side or sheet.height % side:
        raise ValueError(f"a sheet of {sheet.width} x {sheet.height} does not divide into squares of {side}")
    corners = [(x, y) for y in range(0, sheet.height, side) for x in range(0, sheet.width, side)]
    return [sheet.crop((x, y, x + side, y + side)) for x, y in corners]

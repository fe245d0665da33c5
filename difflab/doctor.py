"""Is this machine ready? Versions, device, weights and their checksums, and what would run where."""

import hashlib
import importlib.metadata
import os
import pathlib
import platform
import sys
from typing import NamedTuple

PACKAGES = ("torch", "diffusers", "transformers", "accelerate", "safetensors", "numpy", "pillow", "matplotlib")
GIB = 1024**3
# Half-precision weights of each model in GiB, with room for activations: enough to say where it fits.
ROOM = {"tiny": 0.5, "sd15": 3.5, "sd21": 4.5}


class Finding(NamedTuple):
    """One line of the report: what was looked at, what was found, and whether that is fine."""

    what: str
    found: str
    ok: bool


def findings():
    """Look at everything; returns the list of `Finding`."""
    return [*_versions(), *_machine(), *_weights(), *_hub()]


def checksums(folder):
    """Compare the files below a folder with its SHA256SUMS; returns the names that are missing or differ.

    Raises FileNotFoundError where the folder has no SHA256SUMS.
    """
    folder = pathlib.Path(folder)
    wrong = []
    for line in (folder / "SHA256SUMS").read_text().splitlines():
        expected, name = line.split(maxsplit=1)
        path = folder / name.lstrip("*")
        if not path.is_file() or hashlib.sha256(path.read_bytes()).hexdigest() != expected:
            wrong.append(name.lstrip("*"))
    return wrong


def _versions():
    supported = (3, 11) <= sys.version_info[:2] < (3, 14)
    yield Finding("python", platform.python_version() + ("" if supported else " (3.11 to 3.13 wanted)"), supported)
    yield Finding("difflab", _version("difflab") or "not installed (run: pip install -e .)", True)
    for name in PACKAGES:
        version = _version(name)
        yield Finding(name, version or f"missing (run: pip install {name})", version is not None)


def _version(package):
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def _machine():
    import torch

    yield Finding("cpu", f"{os.cpu_count()} cores, PyTorch uses {torch.get_num_threads()} threads", True)
    room = 0.0
    if torch.cuda.is_available():
        card = torch.cuda.get_device_properties(0)
        room = card.total_memory / GIB
        yield Finding("gpu", f"{card.name}, {room:.0f} GiB (device 'cuda')", True)
    elif torch.backends.mps.is_available():
        yield Finding("gpu", "Apple GPU (device 'mps')", True)
    else:
        yield Finding("gpu", "none found: everything runs on the CPU", True)
    for name, needed in ROOM.items():
        if room >= needed:
            where = "on the GPU"
        elif name == "tiny":
            where = "on the CPU, about a second a picture"
        elif torch.backends.mps.is_available():
            where = "on the Apple GPU, if memory allows"
        else:
            where = "on the CPU, minutes a picture: a GPU (Colab's will do) is the better place"
        yield Finding(f"runs {name}", where, True)


def _weights():
    root = pathlib.Path(__file__).parent / "weights"
    folders = sorted(path.parent for path in root.rglob("SHA256SUMS"))
    if not folders:
        yield Finding("weights", "none in the package (run: make weights)", False)
    for folder in folders:
        wrong = checksums(folder)
        size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) / 1e6
        name = folder.relative_to(root).as_posix()
        found = (
            f"damaged or missing: {', '.join(wrong)} (install again)" if wrong else f"{size:.1f} MB, checksums agree"
        )
        yield Finding(f"weights {name}", found, not wrong)


def _hub():
    offline = any(os.environ.get(name, "").upper() in {"1", "TRUE", "YES", "ON"} for name in ("HF_HUB_OFFLINE",))
    how = "switched off by HF_HUB_OFFLINE" if offline else "asked only for models other than 'tiny'"
    yield Finding("model hub", how, True)

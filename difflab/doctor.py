"""Is this machine ready? Versions, device, weights and their checksums, and what would run where."""

import importlib.metadata
import os
import pathlib
import platform
import sys
from typing import NamedTuple

from difflab.loading import verify
from difflab.planning import plan

PACKAGES = ("torch", "diffusers", "transformers", "accelerate", "safetensors", "numpy", "pillow", "matplotlib")
GIB = 1024**3


class Finding(NamedTuple):
    """One line of the report: what was looked at, what was found, and whether that is fine."""

    what: str
    found: str
    ok: bool


def findings():
    """Look at everything; returns the list of `Finding`."""
    return [*_versions(), *_machine(), *_weights(), *_hub()]


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
    if torch.cuda.is_available():
        card = torch.cuda.get_device_properties(0)
        yield Finding("gpu", f"{card.name}, {card.total_memory / GIB:.0f} GiB (device 'cuda')", True)
    elif torch.backends.mps.is_available():
        yield Finding("gpu", "Apple GPU (device 'mps')", True)
    else:
        yield Finding("gpu", "none found: everything runs on the CPU", True)
    for name in ("tiny", "sd15", "sd21"):
        planned = plan(name)
        asked, best = planned.choices[0], planned.best
        instead = "" if asked == best else f" Next best: {best.name} in {best.dtype}."
        yield Finding(f"runs {name}", f"{asked}{instead}", True)


def _weights():
    root = pathlib.Path(__file__).parent / "weights"
    folders = sorted(path.parent for path in root.rglob("SHA256SUMS"))
    if not folders:
        yield Finding("weights", "none in the package (run: make weights)", False)
    for folder in folders:
        name = folder.relative_to(root).as_posix()
        size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) / 1e6
        try:
            verify(folder)
        except ValueError as error:
            yield Finding(f"weights {name}", str(error), False)
        else:
            yield Finding(f"weights {name}", f"{size:.1f} MB, checksums agree", True)


def _hub():
    offline = any(os.environ.get(name, "").upper() in {"1", "TRUE", "YES", "ON"} for name in ("HF_HUB_OFFLINE",))
    how = "switched off by HF_HUB_OFFLINE" if offline else "asked only for models other than 'tiny'"
    yield Finding("model hub", how, True)

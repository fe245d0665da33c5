# @title Install difflab
# Only where it is missing; torch and numpy stay.
import os
import subprocess
import sys
from importlib import import_module, invalidate_caches, metadata, util

home = "git+https://github.com/difflab/difflab"
if util.find_spec("difflab") is None:
    source = ".." if os.path.exists("../difflab/planning.py") else home
    pip = [sys.executable, "-m", "pip", "install", "-q"]
    kept = [p for p in ("torch", "torchvision", "numpy") if util.find_spec(p)]
    pip += [f"{p}=={metadata.version(p)}" for p in kept]
    pip += [os.environ.get("DIFFLAB_SOURCE", source)]
    done = subprocess.run(pip, capture_output=True, text=True)
    if done.returncode:
        raise RuntimeError(f"difflab cannot be installed:\n{done.stderr}")
    invalidate_caches()
if not hasattr(import_module("difflab"), "plan"):
    raise ImportError(f"Needs a newer difflab: pip install -U {home}, then restart.")

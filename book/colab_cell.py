# Installs difflab where it is missing (on Colab, say), and leaves the torch and numpy already there as they are.
import os
import subprocess
import sys
from importlib import import_module, invalidate_caches, metadata, util

home = "git+https://github.com/difflab/difflab"
if util.find_spec("difflab") is None:
    source = os.environ.get("DIFFLAB_SOURCE", ".." if os.path.exists("../difflab/planning.py") else home)
    kept = [f"{p}=={metadata.version(p)}" for p in ("torch", "torchvision", "numpy") if util.find_spec(p)]
    done = subprocess.run([sys.executable, "-m", "pip", "install", "-q", *kept, source], capture_output=True, text=True)
    assert done.returncode == 0, f"difflab cannot be installed here:\n{done.stderr}"
    invalidate_caches()
if not hasattr(import_module("difflab"), "plan"):
    raise ImportError(f"This chapter needs a newer difflab: pip install -U {home}, then restart the kernel.")

# Installs difflab where it is missing (on Colab, say) and leaves the torch and numpy already there as they are.
import importlib.metadata
import importlib.util
import os
import pathlib
import subprocess
import sys
import tempfile

if importlib.util.find_spec("difflab") is None:
    source = os.environ.get("DIFFLAB_SOURCE", "git+https://github.com/difflab/difflab")
    kept = [d for d in importlib.metadata.distributions() if d.name in ("torch", "torchvision", "numpy")]
    pins = pathlib.Path(tempfile.mkdtemp(), "constraints.txt")
    pins.write_text("".join(f"{d.name}=={d.version}\n" for d in kept))
    subprocess.run([sys.executable, "-m", "pip", "install", "-q", "-c", pins, source], check=True)

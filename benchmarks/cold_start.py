"""Seconds from a cold start: of `difflab --help`, and of what `difflab draw` does up to its first step.

    python benchmarks/cold_start.py

Each time is of a process of its own, which has imported nothing yet; the fastest of several, so that the files have
been read before. What a first run after a restart takes longer is the disk's.
"""

import argparse
import subprocess
import sys
import time

import torch

HELP = "from typer.testing import CliRunner; from difflab.cli import app; CliRunner().invoke(app, ['--help'])"
DRAW = {  # what `difflab draw` does, in this order
    "the command line": "from difflab import cli",
    "import torch": "import torch",
    "import the U-Net, and what diffusers and transformers import": "from diffusers import UNet2DConditionModel",
    "import the text encoder": "from transformers import CLIPTextModel, CLIPTokenizer",
    "load: compare the sums, build the parts, read them": "import difflab; model = difflab.load()",
    "encode the text, take the first step": "next(difflab.text_to_latents(model, 'a cat on a sofa at night'))",
}


def laps(statements, before=""):
    """Seconds from the start of a fresh process to its first statement, and for each of them."""
    script = f"import time; began = [time.time()]; {before}\n" + "".join(
        f"{statement}\nbegan.append(time.time())\n" for statement in statements
    )
    started = time.time()
    command = [sys.executable, "-c", f"{script}print(*began)"]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    times = [started, *map(float, done.stdout.split())]
    return [after - before for before, after in zip(times, times[1:], strict=False)]


def fastest(repeats, *given):
    return [min(column) for column in zip(*(laps(*given) for _ in range(repeats)), strict=True)]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=5)
    repeats = parser.parse_args().repeats
    print(f"difflab --help {sum(fastest(repeats, [HELP])):48.2f} s\n")
    times = fastest(repeats, [*DRAW.values()], "import gc; gc.disable()")
    for name, seconds in zip(["python itself", *DRAW], times, strict=True):
        print(f"{name:60}{seconds:6.2f} s")
    print(f"{'difflab draw, before its second step':60}{sum(times):6.2f} s")
    collected = sum(fastest(repeats, [*DRAW.values()]))
    print(f"{'  the same with garbage collected meanwhile':60}{collected:6.2f} s")
    print(f"torch {torch.__version__}, {torch.get_num_threads()} threads")


if __name__ == "__main__":
    main()

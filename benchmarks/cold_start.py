"""Seconds from a cold start: of `difflab --help`, and of what `difflab draw` does up to its first step.

    python benchmarks/cold_start.py

Each time is of a process of its own, which has imported nothing yet; the least of several, so that the files have been
read before. What a first run after a restart takes longer is the disk's. Beside the seconds that pass are those of the
processor, which other programs disturb less.
"""

import argparse
import platform
import subprocess
import sys
import time
from importlib import metadata

HELP = "from typer.testing import CliRunner; from difflab.cli import app; CliRunner().invoke(app, ['--help'])"
DRAW = {  # what `difflab draw` does, in this order
    "the command line": "from difflab import cli",
    "import torch": "import torch",
    "import the U-Net, and all that diffusers needs for it": "from diffusers import UNet2DConditionModel",
    "import the text encoder": "from transformers import CLIPTextModel, CLIPTokenizer",
    "load: compare the sums, build the parts, read them": "import difflab; model = difflab.load()",
    "encode the text, take the first step": "next(difflab.text_to_latents(model, 'a cat on a sofa at night'))",
}


def laps(statements, before):
    """(seconds, seconds of the processor) up to a fresh process's first statement, and of each of them."""
    script = ["import time", before, "laps = [time.time(), time.process_time()]"]
    for statement in statements:
        script += [statement, "laps += [time.time(), time.process_time()]"]
    command = [sys.executable, "-c", "\n".join([*script, "print(*laps)"])]
    started = time.time()
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    times = [started, 0.0, *map(float, done.stdout.split())]
    spent = [after - before for before, after in zip(times, times[2:], strict=False)]
    return list(zip(spent[::2], spent[1::2], strict=True))


def fastest(repeats, statements, before=""):
    """The least of several runs, of either kind of seconds."""
    runs = [laps(statements, before) for _ in range(repeats)]
    return [tuple(min(kind) for kind in zip(*lap, strict=True)) for lap in zip(*runs, strict=True)]


def line(name, *parts):
    seconds, busy = (sum(kind) for kind in zip(*parts, strict=True))
    print(f"{name:60}{seconds:8.2f} s{busy:8.2f} s")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--repeats", type=int, default=5)
    repeats = parser.parse_args().repeats
    print(f"torch {metadata.version('torch')}, {platform.machine()}\n{'':61}seconds  processor")
    line("difflab --help", *fastest(repeats, [HELP]))
    parts = fastest(repeats, [*DRAW.values()], "import gc; gc.disable()")
    line("difflab draw, up to its first step", *parts)
    for name, part in zip(["python itself", *DRAW], parts, strict=True):
        line(f"    {name}", part)
    line("the same, collecting garbage all the while", *fastest(repeats, [*DRAW.values()]))


if __name__ == "__main__":
    main()

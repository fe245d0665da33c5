"""The report: how good the shipped model is, by the oracle's count, beside the ceilings it cannot pass.

Each file measures one subject and tells it. What is asked of pictures is asked of the real scenes and of the scenes
after the autoencoder too.
"""

import json
import time
from collections.abc import Callable
from pathlib import Path

from difflab.files import new_file
from difflab.loading import load
from difflab.report import agreement, editing, filling, guidance, parts
from difflab.report.run import SCALES as SCALES, Run

#: The sections of the page, in order. Each is a file with ``drawn(run)``, how many pictures it draws; ``measure(run)``,
#: its numbers, ready for JSON; and ``lines(report)``, what the page says of them.
SECTIONS = (agreement, parts, guidance, editing, filling)


def total(captions: int, choosing: int) -> int:
    """How many pictures `write` draws."""
    run = Run(None, captions, choosing)
    return sum(section.drawn(run) for section in SECTIONS)


def make(run: Run) -> dict:
    """Measure everything and return it as one JSON-ready dict."""
    began = time.monotonic()
    report = {"captions": run.captions}
    for section in SECTIONS:
        report |= section.measure(run)
    return report | {"seconds": round(time.monotonic() - began)}


def markdown(report: dict) -> str:
    """The report as a page of the book."""
    opening = [
        "# Report: how good the shipped model is",
        "",
        f"Measured on {report['captions']} held-out captions, one picture each, DPM-Solver++ with 20 steps, "
        f"guidance scale {report['guidance_scale']:g} (chosen on other captions, below). The oracle of "
        "`difflab.judge` answers; its answers on real scenes, and on the same scenes after the autoencoder, are the "
        "ceilings. The margin is a 95 % interval. `make report` makes this page anew.",
    ]
    sections = [opening, *(section.lines(report) for section in SECTIONS)]
    return "\n\n".join("\n".join(lines) for lines in sections) + "\n"


def write(folder, captions: int, choosing: int, progress: Callable[[int], object]) -> dict:
    """Write report.json and report.md into ``folder``, both or neither. Returns the report. Arguments as in `Run`."""
    report = make(Run(load(), captions, choosing, progress=progress))
    folder = Path(folder)
    with new_file(folder / "report.json") as numbers, new_file(folder / "report.md") as page:
        numbers.write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")
        page.write_text(markdown(report), encoding="utf-8")
    return report

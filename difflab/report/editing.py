"""Edits: is what was asked for there, and is the rest as it was."""

import numpy as np

from difflab import world
from difflab.applications.instruct_pix2pix import instruct_pix2pix
from difflab.applications.sdedit import sdedit
from difflab.judge import obeyed
from difflab.loading import load
from difflab.metrics import psnr
from difflab.report.page import row, rule
from difflab.report.questions import with_margin
from difflab.report.run import HELD_OUT_SERIES, Run, reconstruct

AIMS = {"obeyed": 0.85, "kept": 24}  # kept: PSNR outside the change, dB
OURS = "InstructPix2Pix"
THINGS = {"one thing in the scene": False, "two, before or after": True}
SHOWS = 0.1  # of the picture at least has to lie outside an edit's change for its PSNR to be asked


def drawn(run: Run) -> int:
    """How many pictures are drawn for it."""
    return 2 * run.edits * len(world.EDITS)


def measure(run: Run) -> dict:
    """Single edits of held-out scenes: InstructPix2Pix, SDEdit with the caption of the scene after, and, as the
    ceiling, the true picture after the autoencoder.

    {"editing": {method: {"obeyed": {kind: [right, asked]}, "things": the same for scenes of one thing and of two,
    "kept": mean PSNR in dB outside the change}}}.
    """
    edits = [edit for kind in world.EDITS for edit in world.edits(run.edits, HELD_OUT_SERIES, kind=kind)]
    before = [world.render(edit.before) for edit in edits]
    outside = [~world.changed(edit) for edit in edits]

    def told(pictures):
        right = np.array(obeyed(pictures, edits))
        crowded = np.array([len(edit.before.things + edit.after.things) > 2 for edit in edits])
        kinds = np.array([edit.kind for edit in edits])
        return {
            "obeyed": {kind: counted(right[kinds == kind]) for kind in world.EDITS},
            "things": {name: counted(right[crowded == two]) for name, two in THINGS.items()},
            "kept": psnr(pictures, before, outside, least=SHOWS).nanmean().item(),
        }

    return {"editing": {method: told(pictures) for method, pictures in made(run, edits, before).items()}}


def made(run: Run, edits, before) -> dict[str, list]:
    """The edited pictures of each method."""
    pix2pix = load("tiny-pix2pix", device=run.model.device)
    return {
        OURS: run.in_batches(
            lambda i, pictures, words: instruct_pix2pix(pix2pix, pictures, words, seed=i),
            before,
            [edit.instruction for edit in edits],
        ),
        "SDEdit with the new caption": run.in_batches(
            lambda i, pictures, words: sdedit(run.model, pictures, words, seed=i),
            before,
            [edit.after.caption() for edit in edits],
        ),
        "the true picture, after the autoencoder": reconstruct(run.model, [world.render(edit.after) for edit in edits]),
    }


def counted(right) -> list[int]:
    """Answers, yes or no, as [right, asked]."""
    return [int(right.sum()), len(right)]


def lines(report: dict) -> list[str]:
    """What the page says of it, from the numbers of `make`."""
    editing = report["editing"]
    totals = {
        method: [sum(column) for column in zip(*found["obeyed"].values(), strict=True)]
        for method, found in editing.items()
    }
    right, asked = totals[OURS]
    reached = right / asked >= AIMS["obeyed"] and editing[OURS]["kept"] >= AIMS["kept"]
    by_kind = {kind: [found["obeyed"][kind] for found in editing.values()] for kind in editing[OURS]["obeyed"]}
    by_things = {name: [found["things"][name] for found in editing.values()] for name in THINGS}
    return [
        "## Edits",
        "",
        f"Single edits of held-out scenes, {asked} in all: the oracle says whether the picture shows what was asked "
        "for, and the peak signal-to-noise ratio how well everything else was kept. "
        "[Chapter 9](../notebooks/09-instruct-pix2pix.ipynb) explains the methods.",
        "",
        row("edit", "aim", *editing),
        rule(2 + len(editing)),
        *(f"| {name} | " + row(*map(with_margin, counts)) for name, counts in (by_kind | by_things).items()),
        row("**all, obeyed**", f"{AIMS['obeyed']:.0%}", *map(with_margin, totals.values())),
        row("**outside the change**", f"{AIMS['kept']} dB", *(f"{found['kept']:.1f} dB" for found in editing.values())),
        "",
        "Both aims are reached."
        if reached
        else "InstructPix2Pix is still short of an aim. Two rows of the table say where: with two things in the scene "
        "it often takes the one for the other.",
    ]

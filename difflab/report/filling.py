"""Holes filled: is the thing there again, or gone, and does the edge show."""

import numpy as np
from PIL import Image

from difflab import masks, world
from difflab.applications.inpaint import inpaint
from difflab.judge import look
from difflab.loading import load
from difflab.metrics import seam_ratio
from difflab.report.page import row, rule
from difflab.report.questions import scores, with_margin
from difflab.report.run import HELD_OUT_SERIES, Run, reconstruct

AIMS = {"recognized": 0.80, "seam": 1.2}
OURS = "nine channels"


def drawn(run: Run) -> int:
    """How many pictures are drawn for it."""
    return 4 * run.fills


def measure(run: Run) -> dict:
    """Held-out scenes with one thing: a box around it is filled with it anew, and, without it, with the place.

    By the nine-channel U-Net and by paste-back with the ordinary one; and, to compare with, the true pictures after the
    autoencoder, which is the ceiling, and a plain gray hole.
    {"filling": {method: {"recognized", "removed": [right, asked], "seam", "seam as decoded": ratio to the true
    picture's gradient, after compositing with a soft edge of 8 pixels and without}}}.
    """
    scenes = [world.sample(HELD_OUT_SERIES, i, relation="alone", style="plain").scene for i in range(run.fills)]
    empty = [world.Scene((), place=s.place, time=s.time, backdrop=s.backdrop) for s in scenes]
    holes = [box_around(world.truth(scene).masks[0] > 0.1, margin=8) for scene in scenes]
    soft = [masks.soft_edge(hole, 8) for hole in holes]
    real, bare = ([Image.fromarray(world.render(scene)) for scene in which] for which in (scenes, empty))

    def filled(painter, which):
        captions = [scene.caption() for scene in which]
        return run.in_batches(lambda i, *given: inpaint(painter, *given, seed=i), real, holes, captions)

    def told(decoded, without):
        composited, removed = masks.composite(real, decoded, soft), masks.composite(real, without, soft)
        return {
            "recognized": scores(composited, scenes)["noun"],
            "removed": [sum(max(verdict.nouns.values()) < 0.5 for verdict in look(removed)), len(scenes)],
            "seam": seam_ratio(composited, real, holes),
            "seam as decoded": seam_ratio(decoded, real, holes),
        }

    nine = load("tiny-inpaint", device=run.model.device)
    gray = masks.composite(real, [Image.new("RGB", picture.size, (128, 128, 128)) for picture in real], holes)
    made = {
        OURS: (filled(nine, scenes), filled(nine, empty)),
        "paste-back": (filled(run.model, scenes), filled(run.model, empty)),
        "the true pictures, after the autoencoder": (reconstruct(run.model, real), reconstruct(run.model, bare)),
        "gray": (gray, gray),
    }
    return {"filling": {method: told(*pictures) for method, pictures in made.items()}}


def box_around(shape, margin: int):
    """The smallest upright box around a shape (H, W) bool, and ``margin`` pixels more on every side: (H, W) bool."""
    y, x = np.nonzero(shape)
    box = np.zeros_like(shape)
    box[max(y.min() - margin, 0) : y.max() + margin + 1, max(x.min() - margin, 0) : x.max() + margin + 1] = True
    return box


def lines(report: dict) -> list[str]:
    """What the page says of it, from the numbers of `make`."""
    filling = report["filling"]
    (right, asked), seam = filling[OURS]["recognized"], filling[OURS]["seam"]
    reached = right / asked >= AIMS["recognized"] and seam <= AIMS["seam"]

    def each(question, tell):
        return [tell(found[question]) for found in filling.values()]

    return [
        "## Holes filled",
        "",
        f"The one thing in each of {asked} held-out scenes is covered by a box, which is filled twice: with the "
        "scene's caption, where the oracle has to recognize the thing again, and with that of the place alone, where "
        "it must find no thing at all. (Only the nine-channel U-Net has seen empty places in training.) The seam is "
        "how steep the picture is across the hole's edge, beside the true picture at the same pixels: composited "
        "with a soft edge of eight pixels, and as decoded, without. A gray hole shows what the soft edge alone does. "
        "[Chapter 11](../notebooks/11-inpainting.ipynb) explains the methods.",
        "",
        row("question", "aim", *filling),
        rule(2 + len(filling)),
        row("the thing is recognized", f"{AIMS['recognized']:.0%}", *each("recognized", with_margin)),
        "| the thing is gone | " + row(*each("removed", with_margin)),
        row("seam", f"{AIMS['seam']:g}", *each("seam", "{:.2f}".format)),
        "| seam as decoded | " + row(*each("seam as decoded", "{:.2f}".format)),
        "",
        "Both aims are reached." if reached else "The nine-channel U-Net is still short of an aim.",
    ]

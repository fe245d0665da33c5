"""Text and pictures: how often what a caption asks for is in the picture."""

from difflab.report import parts
from difflab.report.page import row, rule
from difflab.report.questions import AIMS, best_scale, scores, with_margin
from difflab.report.run import Run


def drawn(run: Run) -> int:
    """How many pictures are drawn for it."""
    return run.captions


def measure(run: Run) -> dict:
    """{"agreement": {kind of pictures: {question: [right, asked]}}}, of the same held-out captions."""
    kinds = {
        "real scenes": run.real,
        "after the autoencoder": run.rebuilt,
        "generated": run.draw(run.scenes, best_scale(run.sweep)),
    }
    return {"agreement": {kind: scores(pictures, run.scenes) for kind, pictures in kinds.items()}}


def lines(report: dict) -> list[str]:
    """What the page says of it, from the numbers of `make`."""
    columns = report["agreement"]
    generated = columns["generated"]
    missed = [q for q, aim in AIMS.items() if q in generated and generated[q][0] / generated[q][1] < aim]
    missed += parts.missed(report)
    return [
        row("question", "aim", *columns),
        rule(2 + len(columns)),
        *(
            row(
                question,
                f"{AIMS[question]:.0%}" if question in AIMS else "",
                *(with_margin(counts[question]) for counts in columns.values()),
            )
            for question in generated
        ),
        "",
        f"Still short of the aim: {', '.join(missed)}." if missed else "Every aim is reached.",
        "",
        "*noun*: a thing that is alone or wears a hat is recognized first. *both nouns*, *both sides*: of two "
        "neighbors, found anywhere, and each found first in its own half. *on*: rider and seat. *wearing*: the hat is "
        "seen. *color*: of the first thing.",
        "",
        "A coin would put both neighbors on their sides in half of the pictures. What the text tower makes of left and "
        "right is measured in [chapter 3](../notebooks/03-clip.ipynb).",
    ]

"""The guidance scale, chosen on captions of its own."""

from difflab.report.page import row, rule
from difflab.report.questions import AIMS, best_scale, mean_score
from difflab.report.run import SCALES, Run


def drawn(run: Run) -> int:
    """How many pictures are drawn for it."""
    return run.choosing * len(SCALES)


def measure(run: Run) -> dict:
    """{"guidance_scale": the one chosen, "sweep": {scale: {question: [right, asked]}}}."""
    return {
        "guidance_scale": best_scale(run.sweep),
        "sweep": {str(scale): counts for scale, counts in run.sweep.items()},
    }


def lines(report: dict) -> list[str]:
    """What the page says of it, from the numbers of `make`."""
    sweep = report["sweep"]
    asked = {"place": [0, 0], "both sides": [0, 0]} | next(iter(sweep.values()))
    return [
        "## Guidance",
        "",
        f"The scale was chosen on these {asked['place'][1]} other captions, only {asked['both sides'][1]} of them with "
        "two neighbors: differences of several points are chance, and neighboring scales are hardly told apart. So it "
        "is the smallest above 1 (which is no guidance) that is within a point of the best mean. The table above, with "
        "more captions, is the one to quote.",
        "",
        row("guidance scale", *AIMS, "mean"),
        rule(2 + len(AIMS)),
        *(
            row(f"{float(scale):g}", *(percent(counts.get(question)) for question in AIMS), f"{mean_score(counts):.0%}")
            for scale, counts in sweep.items()
        ),
    ]


def percent(counts) -> str:
    """[right, asked] as a percentage; None has not been asked."""
    return f"{counts[0] / counts[1]:.0%}" if counts else "not asked"

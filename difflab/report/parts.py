"""The parts by themselves: the autoencoder, and CLIP's two towers."""

from difflab import clip, world
from difflab.metrics import psnr
from difflab.report.page import row, rule
from difflab.report.run import HELD_OUT_SERIES, Run

PSNR_AIM = 29  # dB


def drawn(run: Run) -> int:
    """How many pictures are drawn for it."""
    return 0


def measure(run: Run) -> dict:
    """{"psnr": dB of the autoencoder, the mean over unseen scenes, "retrieval": CLIP's recall both ways}."""
    to_text, to_picture = retrieval()
    return {
        "psnr": psnr(run.rebuilt, run.real).mean().item(),
        "retrieval": {"picture to text": to_text, "text to picture": to_picture},
    }


def retrieval(n: int = 100) -> tuple[float, float]:
    """CLIP's recall at 1 among ``n`` held-out scenes with distinct captions: (picture to text, text to picture)."""
    distinct = {}
    index = 0
    while len(distinct) < n:
        sample = world.sample(HELD_OUT_SERIES, index)
        distinct.setdefault(sample.scene.caption(), sample)
        index += 1
    towers = clip.load(device="cpu")
    images = towers.embed_images([sample.picture for sample in distinct.values()])
    texts = towers.embed_text(list(distinct))
    return clip.recall(images, texts), clip.recall(texts, images)


def missed(report: dict) -> list[str]:
    """What of the parts is short of its aim, in words."""
    return ["the autoencoder's PSNR (below)"] * (report["psnr"] < PSNR_AIM)


def lines(report: dict) -> list[str]:
    """What the page says of it, from the numbers of `make`."""
    recall = report["retrieval"]
    return [
        row("part", "aim", "measured"),
        rule(3),
        row("autoencoder, PSNR on unseen scenes", f"{PSNR_AIM} dB", f"{report['psnr']:.1f} dB"),
        row("CLIP, picture to text, first of 100", "85%", f"{recall['picture to text']:.0%}"),
        row("CLIP, text to picture, first of 100", "85%", f"{recall['text to picture']:.0%}"),
    ]

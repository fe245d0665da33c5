"""The report is made from runs, shows them truly, and the one in the book is the one that was measured."""

import inspect
import json
from pathlib import Path

import pytest

import difflab
from difflab import report, world
from difflab.metrics import psnr

ROOT = Path(__file__).parents[1]


def test_share_shows_count_and_margin():
    assert report.share([50, 100]) == "50 ± 10 %"
    assert report.share([100, 100]).startswith("100 ±")


def test_small_report_end_to_end(monkeypatch):
    monkeypatch.setattr(report, "SCALES", (3.0,))
    made = report.make(difflab.load(), n=6, choosing=3, edits=1, fills=3)
    page = report.markdown(made)
    assert made["guidance_scale"] == 3.0 and made["captions"] == 6
    assert made["agreement"]["generated"]["place"][1] == 6
    assert f"{made['psnr']:.1f} dB" in page and "| place |" in page
    pix2pix, ceiling = made["editing"]["InstructPix2Pix"], made["editing"]["the true picture, after the autoencoder"]
    assert set(pix2pix["obeyed"]) == set(world.EDITS) and sum(right for right, _ in ceiling["obeyed"].values()) >= 6
    assert ceiling["kept"] > 20 and f"{pix2pix['kept']:.1f} dB" in page
    filling = made["filling"]
    assert filling["the true pictures, after the autoencoder"]["removed"] == [3, 3] and filling["gray"]["seam"] > 1.5
    assert f"{filling['nine channels']['seam']:.2f}" in page


def test_report_in_the_book_is_the_stored_measurement():
    stored = json.loads((ROOT / "book" / "report.json").read_text(encoding="utf-8"))
    assert (ROOT / "book" / "report.md").read_text(encoding="utf-8") == report.markdown(stored)


def test_stored_psnr_is_what_the_shipped_autoencoder_does():
    stored = json.loads((ROOT / "book" / "report.json").read_text(encoding="utf-8"))
    pictures = [sample.picture for sample in world.samples(100, seed=report.HELD_OUT_SERIES)]
    model = difflab.load()
    rebuilt = report.reconstruct(model, pictures)
    mean = psnr(model.as_pixels(rebuilt), model.as_pixels(pictures)).mean().item()
    assert mean == pytest.approx(stored["psnr"], abs=0.7)  # 100 of its 500 scenes


def test_the_smallest_guidance_scale_among_the_best_is_chosen():
    def answers(right):
        return {"noun": [right, 1000]}

    assert report.best_scale({1.0: answers(990), 2.0: answers(985), 3.0: answers(990), 4.0: answers(989)}) == 2.0
    assert report.best_scale({1.0: answers(990), 2.0: answers(900), 3.0: answers(950), 4.0: answers(999)}) == 4.0
    assert report.best_scale({3.0: answers(0)}) == 3.0


def test_the_default_guidance_scale_is_the_one_that_was_chosen():
    stored = json.loads((ROOT / "book" / "report.json").read_text(encoding="utf-8"))
    for function in (difflab.text_to_image, difflab.text_to_latents):
        assert inspect.signature(function).parameters["guidance_scale"].default == stored["guidance_scale"]

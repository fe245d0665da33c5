"""The report is made from runs, shows them truly, and the one in the book is the one that was measured."""

import inspect
import json
from pathlib import Path

import pytest

import difflab
from difflab import report, world
from difflab.metrics import psnr
from difflab.report import questions, run

ROOT = Path(__file__).parents[1]


@pytest.fixture(scope="module")
def stored():
    """The measurement in the book."""
    return json.loads((ROOT / "book" / "report.json").read_text(encoding="utf-8"))


def test_a_count_is_told_with_its_margin():
    assert questions.with_margin([50, 100]) == "50 ± 10 %"
    assert questions.with_margin([100, 100]).startswith("100 ±")


def test_small_report_end_to_end(monkeypatch, stored, few_steps):
    drawn = []
    monkeypatch.setattr(run, "SCALES", (3.0,))
    small = run.Run(difflab.load(), captions=6, choosing=3, edits=1, fills=3, progress=drawn.append)
    made = report.make(small)
    page = report.markdown(made)
    assert set(made) == set(stored) and json.loads(json.dumps(made)) == made
    assert sum(drawn) == 6 + 3 + 2 * len(world.EDITS) + 4 * 3
    assert made["guidance_scale"] == 3.0 and made["captions"] == 6
    assert made["agreement"]["generated"]["place"][1] == 6
    assert f"{made['psnr']:.1f} dB" in page and "| place |" in page
    pix2pix, ceiling = made["editing"]["InstructPix2Pix"], made["editing"]["the true picture, after the autoencoder"]
    assert set(pix2pix["obeyed"]) == set(world.EDITS) and sum(right for right, _ in ceiling["obeyed"].values()) >= 6
    assert ceiling["kept"] > 20 and f"{pix2pix['kept']:.1f} dB" in page
    filling = made["filling"]
    assert filling["the true pictures, after the autoencoder"]["removed"] == [3, 3] and filling["gray"]["seam"] > 1.5
    assert f"{filling['nine channels']['seam']:.2f}" in page


def test_every_picture_is_counted_beforehand():
    assert report.total(500, 60) == 500 + 60 * len(run.SCALES) + 2 * 20 * len(world.EDITS) + 4 * 100


def test_each_section_is_a_file_that_tells_what_it_measured(stored):
    folder = Path(report.__file__).parent
    sections = {Path(section.__file__).stem for section in report.SECTIONS}
    assert {path.stem for path in folder.glob("*.py")} == sections | {"__init__", "run", "questions", "page"}
    pages = ["\n".join(section.lines(stored)) for section in report.SECTIONS]
    assert all(page in report.markdown(stored) for page in pages)


def test_report_in_the_book_is_the_stored_measurement(stored):
    assert (ROOT / "book" / "report.md").read_text(encoding="utf-8") == report.markdown(stored)


def test_it_is_written_as_numbers_and_as_a_page(tmp_path, monkeypatch, stored):
    asked = []
    monkeypatch.setattr(report, "load", lambda: "a model")
    monkeypatch.setattr(report, "make", lambda run: asked.append(run) or stored)
    progress = [].append
    assert report.write(tmp_path / "new", 7, 5, progress) == stored
    assert [(r.model, r.captions, r.choosing, r.progress) for r in asked] == [("a model", 7, 5, progress)]
    assert json.loads((tmp_path / "new" / "report.json").read_text(encoding="utf-8")) == stored
    assert (tmp_path / "new" / "report.md").read_text(encoding="utf-8") == report.markdown(stored)


def test_stored_psnr_is_what_the_shipped_autoencoder_does(stored):
    pictures = [sample.picture for sample in world.samples(100, seed=run.HELD_OUT_SERIES)]
    mean = psnr(run.reconstruct(difflab.load(), pictures), pictures).mean().item()
    assert mean == pytest.approx(stored["psnr"], abs=0.7)  # 100 of its 500 scenes


def test_the_smallest_guidance_scale_among_the_best_is_chosen():
    def answers(right):
        return {"noun": [right, 1000]}

    assert questions.best_scale({1.0: answers(990), 2.0: answers(985), 3.0: answers(990), 4.0: answers(989)}) == 2.0
    assert questions.best_scale({1.0: answers(990), 2.0: answers(900), 3.0: answers(950), 4.0: answers(999)}) == 4.0
    assert questions.best_scale({3.0: answers(0)}) == 3.0


def test_the_default_guidance_scale_is_the_one_that_was_chosen(stored):
    for function in (difflab.text_to_image, difflab.text_to_latents):
        assert inspect.signature(function).parameters["guidance_scale"].default == stored["guidance_scale"]

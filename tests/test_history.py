"""What the weights' cards and sample sheets say, read back."""

import json

import pytest
from PIL import Image

from difflab.train import history
from difflab.train.recipes.unet import PROMPTS


@pytest.fixture
def folder(tmp_path):
    """A pipeline folder with a card of two stages, the second continuing the first, and two sheets."""
    first = {
        "batch_size": 10,
        "samples": 1000,
        "loss_curve": [[1, 1.0], [100, 0.5]],
        "validation_curve": [{"step": 100, "validation_mse": 0.4}],
    }
    second = {
        "batch_size": 20,
        "samples": 400,
        "loss_curve": [[20, 0.3]],
        "validation_curve": [{"step": 20, "validation_mse": 0.2}],
    }
    cards = tmp_path / "cards"
    (cards / "samples").mkdir(parents=True)
    (cards / "unet.json").write_text(json.dumps({"part": "unet", "stages": [first, second]}))
    Image.new("RGB", (768, 256), "red").save(cards / "samples" / "step-1000.jpg")
    Image.new("RGB", (768, 256), "blue").save(cards / "samples" / "step-200.jpg")
    return tmp_path


def test_curves_count_pictures_over_stages(folder):
    card = history.read_card("unet", folder)
    assert history.curve(card) == ([10, 1000, 1400], [1.0, 0.5, 0.3])
    assert history.curve(card, "mse") == ([1000, 1400], [0.4, 0.2])


def test_the_shipped_cards_can_be_read():
    for part in history.PARTS:
        card = history.read_card(part)
        pictures, losses = history.curve(card)
        assert pictures == sorted(pictures) and len(pictures) == len(losses) > 3
        assert losses[-1] < losses[0]
        assert pictures[-1] <= card["samples"]


def test_sheets_come_in_the_order_of_their_steps(folder):
    sheets = history.sample_sheets(folder)
    assert list(sheets) == [200, 1000]
    pictures = history.cells(sheets[200])
    assert len(pictures) == len(PROMPTS) and {picture.size for picture in pictures} == {(128, 128)}


def test_cells_go_row_by_row():
    sheet = Image.new("RGB", (4, 4))
    for number, corner in enumerate([(0, 0), (2, 0), (0, 2), (2, 2)]):
        sheet.paste((number, 0, 0), (*corner, corner[0] + 2, corner[1] + 2))
    assert [cell.getpixel((0, 0))[0] for cell in history.cells(sheet, side=2)] == [0, 1, 2, 3]


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda folder: history.read_card("u-net", folder), "part='u-net' has no card; choose one of vae,"),
        (lambda folder: history.read_card("vae", folder), "vae.json is missing"),
        (lambda folder: history.curve(history.read_card("unet", folder), "psnr"), "no 'psnr'; it has loss, mse"),
        (lambda folder: history.sample_sheets(folder / "cards"), "holds no sample sheets"),
        (lambda folder: history.cells(Image.new("RGB", (100, 128))), "100 x 128 does not divide"),
    ],
)
def test_senseless_questions(folder, call, message):
    with pytest.raises(ValueError, match=message):
        call(folder)


def test_a_sheet_without_a_step(folder):
    (folder / "cards/samples/last.jpg").write_bytes(b"")
    with pytest.raises(ValueError, match=r"last\.jpg does not say its step"):
        history.sample_sheets(folder)

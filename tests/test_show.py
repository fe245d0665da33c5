"""Pictures for people: alternative texts, captions, the slider, and bad input."""

import re

import numpy as np
import PIL.Image
import pytest
import torch

from difflab import show

PICTURES = [np.full((16, 16, 3), value, dtype=np.uint8) for value in (0, 100, 200)]


def test_grid_describes_itself():
    page = show.grid(PICTURES, ["a <cat>", "a dog", "a lion"], title="Animals")._repr_html_()
    assert 'alt="Animals: 3 pictures: a &lt;cat&gt;; a dog; a lion."' in page
    assert 'alt="Mine"' in show.grid(PICTURES, alt="Mine")._repr_html_()
    assert page.count("<img") == 1


def test_strip_is_one_row():
    def width(page):
        return int(re.search(r'width="(\d+)"', page._repr_html_()).group(1))

    assert width(show.strip(PICTURES * 4)) == pytest.approx(4 * width(show.strip(PICTURES)), rel=0.05)


def test_curves_take_tensors_and_name_their_lines():
    x = torch.linspace(1, 5, 9)
    page = show.curves(x, {"up": x, "down": -x}, xlabel="time", ylabel="height", logx=True)._repr_html_()
    assert 'alt="height against time: up, down."' in page


def test_slider_shows_one_frame_and_speaks_the_labels():
    page = show.slider(PICTURES, ["one", "two", "<three>"], alt="Frames")._repr_html_()
    frames = re.findall(r"<img [^>]*>", page)
    assert [" hidden" in frame for frame in frames] == [False, True, True]
    assert 'alt="Frames two"' in page and 'max="2"' in page and 'aria-label="Frames"' in page
    assert "<three>" not in page and "http" not in page.replace("data:", "")
    other = show.slider(PICTURES)._repr_html_()
    assert re.search(r'id="([^"]+)"', page).group(1) != re.search(r'id="([^"]+)"', other).group(1)


def test_sheet_and_grid_files_carry_their_description(tmp_path):
    show.save_sheet([("Row", PICTURES, ["a", "b", "c"]), ("Other", PICTURES[:1], None)], tmp_path / "sheet.png")
    assert PIL.Image.open(tmp_path / "sheet.png").info["Description"] == "Row: 3 pictures: a; b; c. Other: one picture."
    show.save_grid(PICTURES, None, tmp_path / "grid.png", columns=3)
    assert PIL.Image.open(tmp_path / "grid.png").info["Description"] == "3 pictures."


@pytest.mark.parametrize(
    "call, said",
    [
        (lambda: show.grid([]), "no pictures"),
        (lambda: show.grid(PICTURES, ["one"]), "3 pictures but 1 captions"),
        (lambda: show.grid(PICTURES, columns=0), "columns is 0"),
        (lambda: show.grid([np.zeros((4, 4, 3))]), "float64"),
        (lambda: show.slider([]), "no pictures"),
        (lambda: show.slider(PICTURES, ["one"]), "3 pictures but 1 captions"),
        (lambda: show.curves([1, 2], {"a": [1, 2, 3]}), "'a' has shape"),
        (lambda: show.curves([1, 2], {}), "got 0"),
        (lambda: show.shown(show.figure()[0], alt=" "), "alt is empty"),
        (lambda: show.save_sheet([], "x.png"), "at least one section"),
    ],
)
def test_bad_input(call, said):
    with pytest.raises(ValueError, match=said):
        call()


def test_no_other_file_imports_matplotlib():
    import pathlib

    package = pathlib.Path(show.__file__).parent
    importing = [p.name for p in package.rglob("*.py") if re.search(r"(from|import) matplotlib", p.read_text())]
    assert importing == ["show.py"]

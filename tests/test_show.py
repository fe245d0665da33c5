"""Pictures for people: alternative texts, captions, tables, the slider, and bad input."""

import html.parser
import re

import IPython.core.formatters
import numpy as np
import PIL.Image
import pytest
import torch

from difflab import show, widgets

PICTURES = [np.full((16, 16, 3), value, dtype=np.uint8) for value in (0, 100, 200)]


def test_grid_describes_itself():
    page = show.grid(PICTURES, ["a <cat>", "a dog", "a lion"], title="Animals")._repr_html_()
    assert 'alt="Animals: 3 pictures: a &lt;cat&gt;; a dog; a lion."' in page
    assert 'alt="Mine"' in show.grid(PICTURES, alt="Mine")._repr_html_()
    assert page.count("<img") == 1


def width(page):
    return int(re.search(r'width="(\d+)"', page._repr_html_()).group(1))


def test_strip_is_one_row():
    assert width(show.strip(PICTURES * 4)) == pytest.approx(4 * width(show.strip(PICTURES)), rel=0.05)


CAPTIONED = re.compile(r'<figure .*<img .*alt="(.*?)".*<figcaption .*?><span( aria-hidden="true")?>(.*?)</span>', re.S)


def test_what_is_told_to_the_blind_stands_beneath_and_is_read_aloud_once():
    captioned = {
        "grid": show.grid(PICTURES, alt="Of <cats>."),
        "strip": show.strip(PICTURES, alt="Of <cats>."),
        "heat": show.heat(PICTURES[0], [None], alt="Of <cats>."),
        "curves": show.curves([1, 2], {"a": [1, 2]}, alt="Of <cats>."),
        "matrix": show.matrix([[1]], ["a"], ["x"], alt="Of <cats>."),
        "shown": show.shown(show.figure()[0], alt="Of <cats>."),
    }
    for name, page in captioned.items():
        found = CAPTIONED.search(page._repr_html_())
        assert found and found.groups() == ("Of &lt;cats&gt;.", ' aria-hidden="true"', "Of &lt;cats&gt;."), name


def test_a_caption_of_its_own_is_shown_and_read_aloud():
    page = show.grid(PICTURES, alt="Three grays, from dark to light.", caption="Grays.")._repr_html_()
    assert CAPTIONED.search(page).groups() == ("Three grays, from dark to light.", None, "Grays.")
    assert "<figcaption" not in show.grid(PICTURES, ["a", "b", "c"])._repr_html_(), "nothing was said"


def test_rows_and_columns_have_heads():
    page = show.grid(PICTURES * 2, columns=["w = 1", "w = 4", "w = 8"], rows=["plain", "rescaled"])
    assert 'alt="6 pictures: rows plain, rescaled; columns w = 1, w = 4, w = 8."' in page._repr_html_()
    bare = show.grid(PICTURES * 2, columns=3)
    assert width(page) > width(bare), "the heads of the rows stand beside the pictures, and take nothing of them"
    lit = show.heat(PICTURES[0], [None] * 4, columns=["a", "b"], rows=["x", "y"])
    assert 'alt="4 pictures: rows x, y; columns a, b."' in lit._repr_html_()


def test_curves_take_tensors_and_name_their_lines():
    x = torch.linspace(1, 5, 9)
    page = show.curves(x, {"up": x, "down": -x}, xlabel="time", ylabel="height", logx=True)._repr_html_()
    assert 'alt="height against time: up, down."' in page


def test_matrix_takes_tensors_and_names_rows_and_columns():
    page = show.matrix(torch.eye(2) - 0.5, ["a <cat>", "a dog"], ["1", "2"], title="Alike")._repr_html_()
    assert 'alt="Alike: rows a &lt;cat&gt;, a dog; columns 1, 2."' in page
    assert 'alt="Mine"' in show.matrix([[0, 0]], ["a"], ["x", "y"], alt="Mine")._repr_html_()


def test_heat_lights_up_where_the_map_is_high():
    corner = torch.zeros(16, 16)
    corner[0, 0] = 0.01
    page = show.heat(PICTURES[0], [corner, corner.T], ["cat", "dog"], title="Words")._repr_html_()
    assert 'alt="Words: 2 pictures: cat; dog."' in page
    assert show.heat(PICTURES, [None, corner, np.ones((16, 16))])._repr_html_().count("<img") == 1
    for pictures, maps, says in (
        (PICTURES[:2], [corner], "2 pictures for 1 maps"),
        (PICTURES[0], [corner[:8]], r"\(8, 16\) does not lie over a picture 16 x 16"),
        (PICTURES[0], [], "1 pictures for 0 maps|no pictures"),
    ):
        with pytest.raises(ValueError, match=says):
            show.heat(pictures, maps)


def test_a_drawing_says_what_it_shows():
    page = show.drawing("07-guidance")._repr_html_()
    assert 'src="data:image/svg+xml;base64,' in page and 'width="600"' in page
    assert 'alt="Above, the opening combine' in page
    assert "<span>Guidance: two predictions, and further along their difference.</span></figcaption>" in page
    with pytest.raises(ValueError, match="no drawing '../logo': choose one of 01-forward-and-reverse, 02-"):
        show.drawing("../logo")


WAYS = {"way": "", "obeyed": ".0%", "kept": ".1f dB", "calls": ",d", "pixels": ""}
FILLS = [
    ("paste-back", (0.5, 0.04), 17.25, 10, "exact"),
    ("nine <channels>", (0.82, 0.12), torch.tensor(8.0), 1200, None),
]


class Reader(html.parser.HTMLParser):
    """What a screen reader goes by: (tag, scope, text) of the caption and of every cell, blank ones too."""

    def __init__(self, page):
        super().__init__()
        self.cells, self.open = [], []
        self.feed(page)
        assert not self.open, "every tag is closed"

    def handle_starttag(self, tag, attributes):
        self.open.append(tag)
        if tag in ("caption", "th", "td"):
            self.cells.append([tag, dict(attributes).get("scope"), ""])

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, text):
        if text.strip():
            self.cells[-1][2] += text.replace(show.FIGURE_SPACE, " ").strip()


def test_a_table_reads_aloud_well():
    cells = Reader(show.table(FILLS, WAYS, "Two ways to fill a <hole>.")._repr_html_()).cells
    assert cells[0] == ["caption", None, "Two ways to fill a <hole>."]
    heads = ["way", "obeyed, %", "kept, dB", "calls", "pixels"]
    assert cells[1:6] == [["th", "col", head] for head in heads]
    assert cells[6:11] == [["th", "row", "paste-back"]] + [
        ["td", None, text] for text in ("50 ± 4", "17.2", "10", "exact")
    ]
    assert cells[11:] == [["th", "row", "nine <channels>"]] + [
        ["td", None, text] for text in ("82 ± 12", "8.0", "1,200", "")
    ]


def test_a_table_is_text_where_no_page_is():
    table = show.table(FILLS, WAYS, "Two ways.")
    assert repr(table).splitlines() == [
        "Two ways.",
        "",
        "way              obeyed, %  kept, dB  calls  pixels",
        "paste-back         50 ± 4       17.2     10  exact",
        "nine <channels>    82 ± 12       8.0  1,200",
    ]
    formatter = IPython.core.formatters.DisplayFormatter()
    shown, _ = formatter.format(table, include={"text/plain", "text/html"})
    assert shown["text/plain"] == repr(table) and shown["text/html"] == table._repr_html_()


def test_numbers_stand_one_below_the_other():
    """With what is beside them as wide in every row, and digits as wide as each other, to the digit."""
    rows = [("a", (0.5, 0.04)), ("b", (0.25, 0.125)), ("c", 0.75), ("d", None), ("e", (0.1, 0.09, 0.999))]
    table = show.table(rows, {"": "", "fraction": ".2f"}, "Fractions.")
    cells = [row[1] for row in table.rows]
    assert [cell.replace(show.FIGURE_SPACE, "") for cell in cells] == [
        "0.50 ± 0.04", "0.25 ± 0.12", "0.75", "", "0.10 (0.09 to 1.00)"
    ]  # fmt: skip
    assert len({len(cell) - cell.find(".") for cell in cells if cell.strip(show.FIGURE_SPACE)}) == 1
    assert table._repr_html_().count(show.NUMBERS) == 6


def test_slider_shows_one_frame_and_speaks_the_labels():
    page = widgets.slider(PICTURES, ["one", "two", "<three>"], alt="Frames")._repr_html_()
    frames = re.findall(r"<img [^>]*>", page)
    assert [" hidden" in frame for frame in frames] == [False, True, True]
    assert 'alt="Frames two"' in page and 'max="2"' in page and 'aria-label="Frames"' in page
    assert "<three>" not in page and "http" not in page.replace("data:", "")
    other = widgets.slider(PICTURES, caption="Ever lighter.")._repr_html_()
    assert "<span>Ever lighter.</span></figcaption></figure>" in other and "<figcaption" not in page
    assert re.search(r'id="([^"]+)"', page).group(1) != re.search(r'id="([^"]+)"', other).group(1)


def test_explorer_draws_anew_when_a_control_moves(capsys):
    asked = []

    def draw(prompt="a cat", scale=4.0, steps=10):
        asked.append((prompt, scale, steps))
        if not prompt:
            raise ValueError("prompt is empty:\nsay what to draw")
        if prompt == "bug":
            raise ZeroDivisionError("a mistake in draw")
        return PICTURES[:2]

    panel = widgets.explorer(draw, scale=(0.0, 15.0, 0.5), steps=(2, 30))
    prompt, scale, steps = panel.kwargs_widgets
    assert asked == [("a cat", 4.0, 10)] and (scale.max, steps.max) == (15.0, 30)
    assert not prompt.continuous_update and not scale.continuous_update
    scale.value = 7.5
    assert asked[-1] == ("a cat", 7.5, 10)
    assert "Drawn with prompt &#x27;a cat&#x27;, scale 7.5, steps 10." in panel.result.data
    capsys.readouterr()
    prompt.value = ""
    assert "prompt is empty: say what to draw" in capsys.readouterr().out and panel.result is None
    with pytest.raises(ZeroDivisionError):
        raise_what_draw_raises(panel)


def raise_what_draw_raises(panel):
    """What the controls do when moved, outside of ipywidgets, which would only log it without IPython."""
    panel.f(prompt="bug", scale=1.0, steps=2)


def test_explorer_is_a_still_picture_where_no_kernel_listens():
    panel = widgets.explorer(lambda scale: PICTURES[:1], scale=(0, 5))
    bundle = panel._repr_mimebundle_()
    assert set(bundle) == {"text/plain", "text/html", "application/vnd.jupyter.widget-view+json"}
    page = bundle["text/html"]
    assert page.count("<img") == 1 and 'alt="Drawn with scale 2."' in page
    assert "Live in the notebook" in page and "<script" not in page and "http" not in page.replace("data:", "")


def test_painter_fills_what_is_drawn():
    asked = []

    def fill(picture, mask, prompt):
        asked.append((picture.size, int(mask.sum()), prompt))
        if not mask.any():
            raise ValueError("the mask is empty:\nnothing to fill in")
        return [picture]

    picture = PIL.Image.new("RGB", (40, 30), "teal")
    panel = widgets.painter(picture, fill, strokes="rectangle 2 2 12 22", prompt="a cat")
    canvas, strokes, prompt, button, answer = panel.children
    assert asked == [((40, 30), 200, "a cat")] and answer.value.count("<img") == 1
    strokes.value, prompt.value = "rectangle 0 0 4 4\nbrush 4 20 20 30 20", "a dog"
    assert len(asked) == 1  # only the button draws
    button.click()
    assert asked[1][0] == (40, 30) and asked[1][1] > 16 and asked[1][2] == "a dog"
    strokes.value = ""
    button.click()
    assert answer.value == "<p>the mask is empty: nothing to fill in</p>"
    strokes.value = "circle 4 4"
    button.click()
    assert "is no stroke" in answer.value and len(asked) == 3
    assert "<script" not in canvas.value and "http" not in canvas.value.replace("data:", "")
    assert "difflab-painter" in panel._dom_classes


def test_painter_is_a_still_picture_where_no_kernel_listens():
    panel = widgets.painter(PICTURES[0], lambda *_: PICTURES[:2], strokes="rectangle 0 0 2 2", prompt="a cat")
    page = panel._repr_mimebundle_()["text/html"]
    assert page.count("<img") == 1 and "a cat" in page and "Live in the notebook" in page and "<canvas" not in page


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
        (lambda: show.grid(PICTURES, columns=0), "columns=0"),
        (lambda: show.grid(PICTURES, columns=[]), "number of columns=0"),
        (lambda: show.grid(PICTURES, columns=2, rows=["one"]), "1 heads for 2 rows of 2 pictures"),
        (lambda: show.grid([np.zeros((4, 4, 3))]), "float64"),
        (lambda: widgets.slider([]), "no pictures"),
        (lambda: widgets.slider(PICTURES, ["one"]), "3 pictures but 1 captions"),
        (lambda: show.curves([1, 2], {"a": [1, 2, 3]}), "'a' has shape"),
        (lambda: show.curves([1, 2], {}), "got 0"),
        (lambda: show.matrix([[1, 2]], ["a"], ["x"]), r"shape \(1, 2\): give one for each of 1 rows"),
        (lambda: show.matrix([], [], []), "shape"),
        (lambda: show.table([], {"way": ""}, "Ways."), r"rows of \[\] cells: give 1"),
        (lambda: show.table([("a", 1), ("b",)], WAYS, "Ways."), r"rows of \[2, 1\] cells: give 5"),
        (lambda: show.table([("a",)], {"way": ""}, " "), "caption is empty"),
        (lambda: show.table([("a", 0.5)], {"way": "", "calls": "d"}, "Ways."), "0.5 does not fit 'd'"),
        (lambda: show.table([("a", (1, 2, 3, 4))], {"way": "", "calls": "d"}, "Ways."), r"\(1, 2, 3, 4\) does not fit"),
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

"""The drawn diagrams: one in every chapter, said in words, in one style, and no text cut off or upon another."""

import html
import itertools
import pathlib
import re
from xml.etree import ElementTree

import nbformat
import pytest

ROOT = pathlib.Path(__file__).resolve().parent.parent
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
BUILT = ROOT / "_build" / "html" / "notebooks"
DRAWINGS = {path.stem: path for path in sorted((ROOT / "difflab" / "drawings").glob("*"))}
CALL = re.compile(r'show\.drawing\("([\w-]+)"\)')

drawings = pytest.mark.parametrize("name", DRAWINGS)


def words(name):
    """A drawing's title and description."""
    root = ElementTree.parse(DRAWINGS[name]).getroot()
    return root.findtext("{*}title"), root.findtext("{*}desc")


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_every_chapter_has_its_drawings_each_below_words_that_say_what_to_look_at(path):
    cells = nbformat.read(path, as_version=4).cells
    shown = {match[1]: i for i, cell in enumerate(cells) if (match := CALL.fullmatch(cell.source))}
    assert path.stem in shown, "the chapter lacks the drawing of its name"
    assert list(shown) == [name for name in DRAWINGS if name[:2] == path.stem[:2]]
    for i in shown.values():
        assert cells[i - 1].cell_type == "markdown" and "remove-input" in cells[i].metadata.tags


def test_every_drawing_belongs_to_a_chapter():
    assert {name[:2] for name in DRAWINGS} == {path.stem[:2] for path in NOTEBOOKS}


@drawings
def test_a_drawing_is_small_has_words_and_needs_nothing_else(name):
    path = DRAWINGS[name]
    text = path.read_text(encoding="utf-8")
    title, description = words(name)
    assert path.suffix == ".svg" and len(text.encode()) < 12 * 1024
    assert len(title) > 8 and len(description) > 100
    assert 'role="img" aria-labelledby="title description"' in text and 'viewBox="0 0 600 ' in text
    assert set(re.findall(r"https?://[^\"]+", text)) == {"http://www.w3.org/2000/svg"}
    assert min(map(float, re.findall(r"font(?:-size)?(?:=\"|: (?:italic )?)([\d.]+)", text))) >= 14, "too small to read"
    used = set(re.findall(r"(?:href=\"|url\()#([\w-]+)", text))
    defined = set(re.findall(r"<\w+ id=\"([\w-]+)\"", text))
    assert used <= defined and defined - used <= {"title", "description"}


@drawings
def test_no_text_of_a_drawing_is_cut_off_or_lies_upon_another(name, chromium):
    page = chromium.new_page(viewport={"width": 600, "height": 900})
    page.set_content(f'<body style="margin:0">{DRAWINGS[name].read_text(encoding="utf-8")}</body>')
    card, *texts = page.evaluate(
        """() => [...document.querySelectorAll("svg > rect:first-of-type, text:not(defs *)")].map((part) => {
            const { left, top, right, bottom } = part.getBoundingClientRect();
            return { says: part.textContent, left, top, right, bottom };
        })"""
    )
    page.close()
    assert texts and not [
        text["says"]
        for text in texts
        if min(text["left"] - card["left"], card["right"] - text["right"], card["bottom"] - text["bottom"]) < 6
    ]
    assert not [
        (a["says"], b["says"])
        for a, b in itertools.combinations(texts, 2)
        if min(a["right"], b["right"]) > max(a["left"], b["left"])
        and min(a["bottom"], b["bottom"]) - max(a["top"], b["top"]) > 8
    ]


@drawings
def test_the_built_chapter_shows_the_drawing_with_its_words(name):
    pages = list(BUILT.glob(f"{name[:2]}-*.html"))
    if not pages:
        pytest.skip("the book is not built: make book")
    page = pages[0].read_text(encoding="utf-8")
    title, description = map(html.escape, words(name))
    assert f'alt="{description}"' in page and f"{title}.</span></figcaption>" in page and "show.drawing" not in page

"""The drawn diagrams: one in every chapter, said in words, in one style, and no text cut off or upon another."""

import html
import itertools
import math
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


# What they say in numbers is the shipped model's


def test_the_unet_is_drawn_as_it_is(tiny):
    unet, text = tiny.unet, DRAWINGS["02-u-net"].read_text(encoding="utf-8")
    blocks, *marks = (text.count(f'href="#{mark}"') for mark in ("block", "t", "c"))
    t, c = (count - 2 + blocks for count in marks)  # one stands in the block that is drawn again and again, one below
    layers = [type(module).__name__ for module in unet.modules()]
    assert (t, c) == (layers.count("ResnetBlock2D"), layers.count("BasicTransformerBlock"))
    fine, coarse = unet.config.block_out_channels
    assert set(re.findall(r">(\d+)(?: channels)?<", text)) == {str(fine), str(coarse)}
    side, width = unet.config.sample_size, unet.config.cross_attention_dim
    assert f"{unet.time_embedding.linear_2.out_features} numbers" in text
    assert f"{tiny.tokenizer.model_max_length} × {width}" in text
    assert f"{side} × {side}<" in text and f"{side // 2} × {side // 2}<" in text


def test_pictures_and_latents_are_drawn_as_large_as_they_are(tiny):
    channels, side, _ = tiny.latent_shape
    pixels, numbers = 3 * tiny.image_size**2, channels * side**2
    text = DRAWINGS["05-latent-diffusion"].read_text(encoding="utf-8")
    assert f"{pixels:,} numbers" in text and f"{numbers:,} numbers: {pixels // numbers} times fewer" in text
    assert f"{channels} × {side} × {side}" in text
    assert text.count(f"side {math.log2(tiny.vae_scale_factor):g} times") == 2  # halved, and doubled
    machine = DRAWINGS["02-text-to-image"].read_text(encoding="utf-8")
    assert f"{channels} × {side} × {side}" in machine
    assert f"{tiny.tokenizer.model_max_length} × {tiny.unet.config.cross_attention_dim}" in machine


def test_the_bars_of_prompt_to_prompt_are_its_defaults():
    from difflab.applications.prompt_to_prompt import BLEND_FROM, prompt_to_prompt_to_latents

    text = DRAWINGS["10-prompt-to-prompt"].read_text(encoding="utf-8")
    bars = [tuple(map(float, bar)) for bar in re.findall(r'<rect x="(\d+)" y="\d+" width="(\d+)" height="26"', text)]
    first, last = min(x for x, _ in bars), max(x + width for x, width in bars)
    cross, own, blend = [((x - first) / (last - first), width / (last - first)) for x, width in bars]
    defaults = prompt_to_prompt_to_latents.__kwdefaults__
    assert cross == pytest.approx((0, defaults["cross_replace_steps"]))
    assert own == pytest.approx((0, defaults["self_replace_steps"])) and blend[0] == pytest.approx(BLEND_FROM)


def test_what_the_other_networks_see_and_how_often_captions_are_dropped():
    from difflab.train.recipes import inpaint, pix2pix, unet

    for name, recipe in (("09-instruct-pix2pix", pix2pix), ("11-inpainting", inpaint)):
        assert f"{4 + recipe.attach.keywords['channels']} channels" in DRAWINGS[name].read_text(encoding="utf-8")
    assert sum(unet.TASK.drop) == 0.1 and "one time" in DRAWINGS["06-training"].read_text(encoding="utf-8")

"""Films on a page: they play, stop, are led by hand and by keyboard, keep still for who wants it. Films in files."""

import io
import pathlib
import re
import sys
import types

import numpy as np
import pytest
from PIL import Image

from difflab import widgets
from difflab.world import motion

GRAYS = [np.full((16, 24, 3), value, np.uint8) for value in (0, 80, 160, 240)]


def page_of(*films):
    return "<!doctype html><html><body>" + "".join(film._repr_html_() for film in films) + "</body></html>"


@pytest.fixture
def visit(chromium):
    """visit(films, **settings of the context) -> a page that shows them."""
    contexts = []

    def visit(*films, **settings):
        contexts.append(chromium.new_context(**settings))
        page = contexts[-1].new_page()
        page.failed = []
        page.on("pageerror", lambda error: page.failed.append(error))
        page.set_content(page_of(*films))
        return page

    yield visit
    for context in contexts:
        context.close()


def shown(page, number=0):
    """The color in the middle of the film, as the eye sees it."""
    held = page.locator(".held").nth(number).bounding_box()
    picture = page.screenshot(clip=held)
    return int(np.asarray(Image.open(io.BytesIO(picture)).convert("L"))[40, 40])


def frame(page, number=0):
    return page.locator("input[type=range]").nth(number).input_value()


def test_a_film_plays_and_stops(visit):
    page = visit(widgets.film(GRAYS, alt="It gets light", fps=20))
    button = page.get_by_role("button")
    page.wait_for_function("document.querySelector('input').value === '3'")
    page.wait_for_function("document.querySelector('input').value === '1'")  # over and over
    assert button.inner_text() == "Pause"
    button.click()
    assert button.inner_text() == "Play"
    stopped = frame(page)
    page.wait_for_timeout(250)
    assert frame(page) == stopped
    button.click()
    page.wait_for_function(f"document.querySelector('input').value !== '{stopped}'")
    page.locator("img").click()
    assert button.inner_text() == "Play" and not page.failed


def test_a_film_is_led_by_hand_and_by_keyboard(visit):
    page = visit(widgets.film(GRAYS, alt="It gets light"), reduced_motion="reduce")
    slider = page.get_by_role("slider", name="frame of the film")
    assert shown(page) == pytest.approx(0, abs=4)
    slider.fill("2")
    assert shown(page) == pytest.approx(160, abs=4) and slider.get_attribute("aria-valuetext") == "frame 3 of 4"
    assert page.locator(".frame").inner_text() == "3 of 4"
    slider.focus()
    page.keyboard.press("ArrowRight")
    assert shown(page) == pytest.approx(240, abs=4)
    page.keyboard.press("Home")
    assert shown(page) == pytest.approx(0, abs=4)
    page.keyboard.press("Space")
    page.wait_for_function("document.querySelector('input').value !== '0'")
    page.keyboard.press("Space")
    assert page.get_by_role("button").inner_text() == "Play"
    page.keyboard.press("Shift+Tab")
    page.keyboard.press("Enter")
    assert page.get_by_role("button").inner_text() == "Pause" and not page.failed


def test_a_film_keeps_still_for_who_wants_less_motion(visit):
    page = visit(widgets.film(GRAYS, alt="It gets light", fps=30), reduced_motion="reduce")
    page.get_by_role("button", name="Play").wait_for()
    page.wait_for_timeout(200)
    assert frame(page) == "0"


def test_two_films_do_not_disturb_each_other(visit):
    one, two = (widgets.film(GRAYS, alt=alt) for alt in ("One", "Two"))
    page = visit(one, two, reduced_motion="reduce")
    page.get_by_role("slider").nth(1).fill("3")
    assert shown(page, 0) == pytest.approx(0, abs=4) and shown(page, 1) == pytest.approx(240, abs=4)


def test_without_scripts_and_on_paper_there_is_something_to_see(visit):
    film = widgets.film(GRAYS, alt="It gets light")
    bare = visit(film, java_script_enabled=False)
    assert shown(bare) == pytest.approx(0, abs=4) and not bare.get_by_role("button").is_visible()
    page = visit(film, reduced_motion="reduce")
    page.get_by_role("slider").fill("2")
    page.emulate_media(media="print")
    sheet, held = page.locator("img").bounding_box(), page.locator(".held").bounding_box()
    assert sheet["width"] == pytest.approx(held["width"], abs=1) and sheet["x"] == pytest.approx(held["x"], abs=1)
    assert sheet["width"] / sheet["height"] == pytest.approx(4 * 24 / 16, rel=0.02), "all frames, side by side"
    assert not page.get_by_role("button").is_visible()


def test_what_a_film_says_to_who_cannot_see_it():
    page = widgets.film(GRAYS, alt="It <gets> light")._repr_html_()
    assert 'alt="It &lt;gets&gt; light"' in page and "It &lt;gets&gt; light</span></figcaption>" in page
    assert 'aria-hidden="true">It &lt;gets&gt; light' in page, "said once"
    more = widgets.film(GRAYS, alt="It gets light", caption="Morning")._repr_html_()
    assert "<span>Morning</span></figcaption>" in more
    assert re.search('id="([^"]*)"', page)[1] != re.search('id="([^"]*)"', more)[1]


def test_films_of_the_world_are_small_and_exact():
    frames, caption, _ = motion.sample(3, 1, frames=16)
    page = widgets.film(frames, alt=caption)._repr_html_()
    assert len(page) < 400_000
    noise = np.random.default_rng(0).integers(0, 256, (16, 128, 128, 3), dtype=np.uint8)
    assert len(widgets.film(noise, alt="Noise")._repr_html_()) < 400_000, "what is too large is compressed"


@pytest.mark.parametrize("ending", ["gif", "webp"])
def test_films_are_saved(tmp_path, ending):
    path = widgets.save_film(GRAYS, tmp_path / f"film.{ending}", fps=10)
    with Image.open(path) as film:
        assert film.n_frames == 4 and film.size == (24, 16) and film.info["loop"] == 0
        for number, frame in enumerate(GRAYS):
            film.seek(number)
            film.load()
            assert (
                film.info["duration"] == 100 and np.abs(np.asarray(film.convert("RGB")) - frame.astype(int)).max() <= 1
            )
    assert [each.name for each in tmp_path.iterdir()] == [f"film.{ending}"]


def test_mp4_is_written_by_imageio_ffmpeg(tmp_path, monkeypatch):
    sent = []

    def write_frames(path, size, **settings):
        assert size == (24, 16) and settings["fps"] == 12
        try:
            while True:
                sent.append((yield))
        finally:
            pathlib.Path(path).write_bytes(b"film")

    monkeypatch.setitem(sys.modules, "imageio_ffmpeg", types.SimpleNamespace(write_frames=write_frames))
    path = widgets.save_film([np.pad(gray, ((0, 1), (0, 1), (0, 0))) for gray in GRAYS], tmp_path / "film.mp4", fps=12)
    assert path.read_bytes() == b"film" and sent == [gray.tobytes() for gray in GRAYS]


def test_mp4_says_what_it_needs(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "imageio_ffmpeg", None)
    with pytest.raises(ValueError, match="mp4 needs imageio-ffmpeg: pip install"):
        widgets.save_film(GRAYS, tmp_path / "film.mp4")
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: widgets.film([], alt="x"), "no pictures"),
        (lambda: widgets.film(GRAYS[:1], alt="x"), "2 frames or more"),
        (lambda: widgets.film([GRAYS[0], GRAYS[1][:8]], alt="x"), "different sizes"),
        (lambda: widgets.film(GRAYS, alt=" "), "alt is empty"),
        (lambda: widgets.film(GRAYS, alt="x", fps=0), "fps=0 must be a number of frames a second"),
        (lambda: widgets.film([np.zeros((8, 8, 3))] * 2, alt="x"), "uint8 array"),
        (lambda: widgets.film([np.zeros((8, 9000, 3), np.uint8)] * 2, alt="x"), "2 frames of 9000 pixels are too many"),
        (lambda: widgets.save_film(GRAYS, "film.png"), "'film.png' is no name of a film: let it end in .gif, .webp"),
        (lambda: widgets.save_film(GRAYS[:1], "film.gif"), "2 frames or more"),
    ],
)
def test_what_is_no_film(call, says):
    with pytest.raises(ValueError, match=says):
        call()

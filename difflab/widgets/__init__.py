"""Pictures that move: frames under a slider, films, controls that draw anew, a picture to paint on."""

import base64
import functools
import hashlib
import html
import io
import itertools
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image

from difflab.checks import as_number
from difflab.files import new_file
from difflab.masks import drawn
from difflab.show import as_picture, as_pictures, figcaption, strip

LARGEST_FILM = 400_000  # bytes on a page
LONGEST_SHEET = 16383  # pixels: the widest WebP that there is
_number = itertools.count(1)  # of sliders and films, so that each has a name of its own on its page


def slider(images, labels=None, *, width=256, alt=None, caption=None):
    """Frames under a slider, in plain HTML: works in a notebook, in the built page and from a file, with no kernel.

    images: the frames, embedded as PNG (50 frames of 64x64 are about 0.3 MB).
    labels: as many strings, shown beside the slider and spoken by screen readers; 1, 2, 3 ... when None.
    width: the width on the page, in CSS pixels.
    alt: what every frame shows, before its label; for those who cannot see it.
    caption: what stands beneath.

    Raises ValueError for no frames, a label too many or too few.
    """
    from IPython.display import HTML

    images = as_pictures(images, labels)
    labels = [str(label) for label in labels] if labels is not None else [str(n + 1) for n in range(len(images))]
    alt = alt or f"{len(images)} frames under a slider, from {labels[0]} to {labels[-1]}."
    name = f"difflab-slider-{next(_number)}-{_digest(images)}"
    frames = "".join(
        f'<img src="{_data_url(image)}" alt="{html.escape(f"{alt} {label}")}" width="{width}"'
        f' style="image-rendering:{"pixelated" if image.width < width else "auto"};max-width:100%"'
        f"{'' if number == 0 else ' hidden'}>"
        for number, (image, label) in enumerate(zip(images, labels, strict=True))
    )
    return HTML(
        f'<figure id="{name}" class="difflab-slider" style="margin:0" '
        'data-lm-suppress-shortcuts="true" onkeydown="event.stopPropagation()" '  # else JupyterLab takes the arrow keys
        f'data-labels="{html.escape(json.dumps(labels))}">{frames}'
        '<div style="display:flex;flex-wrap:wrap;gap:0 .8em;align-items:center;max-width:100%;'
        f'width:{max(width, 220)}px">'
        f'<input type="range" min="0" max="{len(images) - 1}" value="0" style="flex:1 0 9em;min-width:0" '
        f'aria-label="{html.escape(alt)}" aria-valuetext="{html.escape(labels[0])}" '
        f'oninput="{html.escape(script("slider"))}">'
        f"<output>{html.escape(labels[0])}</output></div>{figcaption(caption)}</figure>"
    )


def film(frames, *, alt, caption=None, fps=8, width=256):
    """A film that plays in a page, in plain HTML: in a notebook, in the built page and from a file, with no kernel.

    It plays at once and over and over, unless its reader has asked for less motion; a button, a click on it or the
    space bar stops it, a slider and the arrow keys lead to each frame. On paper all frames stand side by side.

    frames: 2 or more pictures of one size, or an array of them, (F, H, W, 3) uint8.
    alt: what happens in it, for those who cannot see it.
    caption: what stands beneath; alt when None.
    fps: frames a second, above 0 to 60.
    width: of the film on the page, in CSS pixels.

    Raises ValueError for fewer than 2 frames, frames of different sizes, an empty alt, and a film that does not fit
    into 400 KB.
    """
    from IPython.display import HTML

    frames, fps = as_frames(frames), as_fps(fps)
    if not str(alt).strip():
        raise ValueError("alt is empty: say in a sentence what happens in the film")
    name, (wide, high) = f"difflab-film-{next(_number)}-{_digest(frames)}", frames[0].size
    held = "display:block;overflow:hidden;max-width:100%;line-height:0"
    sheet = f"display:block;width:{100 * len(frames)}%;max-width:none;height:auto;cursor:pointer"
    shown = f"{sheet};image-rendering:{'pixelated' if wide < width else 'auto'}"
    return HTML(
        f'<figure id="{name}" class="difflab-film" style="margin:0" data-delay="{1000 / fps:.0f}" '
        'data-lm-suppress-shortcuts="true" onkeydown="event.stopPropagation()">'  # else JupyterLab takes the arrow keys
        f"<style>@media print {{ #{name} .held {{ width: 100% !important }} #{name} .controls {{ display: none }} "
        f"#{name} img {{ width: 100% !important; transform: none !important }} }}</style>"
        f'<div class="held" style="{held};width:{width}px"><img src="{_sheet(frames)}" alt="{html.escape(str(alt))}" '
        f'style="{shown}" width="{wide * len(frames)}" height="{high}" onload="{html.escape(script("film"))}"></div>'
        f'<div class="controls" hidden><div style="display:flex;gap:.8em;align-items:center;max-width:100%;'
        f'width:{max(width, 220)}px"><button type="button" style="min-width:4.5em">Play</button>'
        f'<input type="range" min="0" max="{len(frames) - 1}" value="0" style="flex:1;min-width:0" '
        'aria-label="frame of the film"><span class="frame" aria-hidden="true"></span></div></div>'
        f"{figcaption(caption or str(alt), aloud=caption is not None)}</figure>"
    )


def save_film(frames, path, *, fps=8):
    """Write a film, by the ending of its name: GIF, with 256 colors a frame; WebP, with all of them; or MP4, where
    imageio-ffmpeg is installed (``pip install difflab[video]``). The first two play over and over. Returns the path.

    frames, fps: as in `film`. path: what ends in .gif, .webp or .mp4; a file there is replaced.
    Raises ValueError for another ending, and as `film` does.
    """
    frames, fps, path = as_frames(frames), as_fps(fps), Path(path)
    if path.suffix not in FILMS:
        raise ValueError(f"{str(path)!r} is no name of a film: let it end in {', '.join(FILMS)}")
    with new_file(path) as new:
        FILMS[path.suffix](frames, new, fps)
    return path


def _save_moving(frames, path, fps):
    frames[0].save(
        path,
        save_all=True,
        append_images=frames[1:],
        duration=round(1000 / fps),
        loop=0,
        lossless=path.suffix == ".webp",
    )


def _save_mp4(frames, path, fps):
    try:
        from imageio_ffmpeg import write_frames  # pyright: ignore[reportMissingImports]
    except ImportError:
        raise ValueError("mp4 needs imageio-ffmpeg: pip install 'difflab[video]', or save a .webp or .gif") from None
    even = [frame.crop((0, 0, frame.width // 2 * 2, frame.height // 2 * 2)) for frame in frames]  # as H.264 wants them
    writer = write_frames(str(path), even[0].size, fps=fps, macro_block_size=2)
    writer.send(None)
    for frame in even:
        writer.send(frame.tobytes())
    writer.close()


FILMS = {".gif": _save_moving, ".webp": _save_moving, ".mp4": _save_mp4}


def as_frames(frames):
    """The frames of a film as PIL pictures in RGB. Raises ValueError for fewer than 2, and for two sizes."""
    frames = [frame.convert("RGB") for frame in as_pictures(frames, None)]
    if len(frames) < 2:
        raise ValueError("a film has 2 frames or more, and one was given: show a picture by show.grid")
    if len({frame.size for frame in frames}) > 1:
        raise ValueError(f"the frames have different sizes, {sorted({frame.size for frame in frames})}: resize them")
    return frames


def as_fps(fps):
    return as_number("fps", fps, "a number of frames a second, from 0.1 to 60", 0.1, 60)


def _sheet(frames):
    """All frames side by side, as the URL of a WebP: without loss where it fits into a page, else as good as fits."""
    width, height = frames[0].size
    if width * len(frames) > LONGEST_SHEET:
        raise ValueError(f"{len(frames)} frames of {width} pixels are too many for a page: {LONGEST_SHEET} fit in all")
    sheet = PIL.Image.new("RGB", (width * len(frames), height))
    for number, frame in enumerate(frames):
        sheet.paste(frame, (number * width, 0))
    for settings in (dict(lossless=True), *(dict(quality=quality) for quality in (95, 85, 70, 50))):
        file = io.BytesIO()
        sheet.save(file, format="WEBP", **settings)
        url = "data:image/webp;base64," + base64.b64encode(file.getvalue()).decode()
        if len(url) < 0.98 * LARGEST_FILM:
            return url
    raise ValueError(
        f"{len(frames)} frames of {width} x {height} do not fit into {LARGEST_FILM // 1000} KB: show fewer"
    )


def explorer(draw, **controls):
    """Controls over pictures: whenever one is moved, `draw` is called with the values of all. Live where a kernel runs.

    draw: a function of the controls' values that returns a list of pictures. A ValueError shows as one line;
        anything else, and what is printed, shows as it comes.
    controls: by the names of draw's parameters, an ipywidget or what `ipywidgets.interact` makes one of: a text,
        (min, max, step), a list of choices, True. They begin at draw's own defaults, where it has them.

    Returns the panel, an ipywidgets.VBox, to be the last line of a cell. Where no kernel listens, as in the built book,
    the first pictures stand in its place, with a sentence that says so.
    """
    import ipywidgets

    @functools.wraps(draw)
    def show_pictures(**values):
        try:
            pictures = draw(**values)
        except ValueError as error:
            print(" ".join(str(error).split()))
            return None
        settings = [f"{name} {value!r}" for name, value in values.items()]
        return strip(pictures, size=1.8, alt="Drawn with " + ", ".join(settings) + ".")

    panel = ipywidgets.interactive(show_pictures, {"auto_display": True}, **controls)
    for control in panel.kwargs_widgets:
        control.style.description_width = "11em"  # names of parameters are long
        control.layout.width = "32em"
        if control.has_trait("continuous_update"):
            control.continuous_update = False  # a picture takes longer than a pixel of the slider
    first = panel.result.data if panel.result else ""
    names = ", ".join(control.description for control in panel.kwargs_widgets)
    still = f"<p>Live in the notebook: there, controls for {html.escape(names)} stand here and draw it anew.</p>"

    def with_pictures(**_):
        return (ipywidgets.VBox._repr_mimebundle_(panel) or {}) | {"text/html": first + still}

    if "google.colab" not in sys.modules:  # Colab is always live
        panel._repr_mimebundle_ = with_pictures
    return panel


def painter(image, fill, *, strokes="", prompt="", width=320):
    """Paint a mask over a picture with the mouse, say what should be there, and see it filled in.

    image: the picture.
    fill: (picture, mask, prompt) -> a list of pictures; the mask is (H, W) bool. A ValueError shows as one line.
    strokes: the drawing to begin with, as `difflab.masks.drawn` reads it. It stands in a text field, one stroke a
        line: the mouse writes there, and so can you where no mouse can.
    prompt: the words to begin with.
    width: of the picture on the page, in CSS pixels.

    Returns the panel, an ipywidgets.VBox, to be the last line of a cell. It needs no extension of Jupyter or Colab.
    Where no kernel listens, as in the built book, what it shows at first stands in its place, with a sentence.
    """
    import ipywidgets

    image = as_picture(image)
    size = (image.height, image.width)
    height = round(width * image.height / image.width)
    canvas = ipywidgets.HTML(
        f'<div style="position:relative;width:{width}px;height:{height}px">'
        f'<img src="{_data_url(image)}" alt="the picture to paint on" width="{width}" height="{height}" '
        f'onload="{html.escape(script("painter"))}">'
        f'<canvas width="{width}" height="{height}" tabindex="0" aria-label="paint what is to be filled in" '
        'style="position:absolute;left:0;top:0;opacity:.6;cursor:crosshair;touch-action:none"></canvas></div>'
        '<select aria-label="tool"><option>brush</option><option>rectangle</option></select> '
        '<label>width <input type="range" min="2" max="40" value="14"></label> '
        '<button class="undo" type="button">undo</button> <button class="clear" type="button">clear</button>'
    )
    wide = ipywidgets.Layout(width="32em")
    text = ipywidgets.Textarea(strokes, description="strokes", layout=wide, rows=4)
    words = ipywidgets.Text(prompt, description="prompt", layout=wide)
    button = ipywidgets.Button(description="fill in", button_style="primary")
    answer: Any = ipywidgets.HTML()

    def filled(*_):
        try:
            mask = drawn(text.value, size)
            pictures = fill(image, mask, words.value)
        except ValueError as error:
            answer.value = f"<p>{html.escape(' '.join(str(error).split()))}</p>"
        else:
            hole = PIL.Image.fromarray(
                np.where(mask[..., None], 128, np.asarray(image.convert("RGB"))).astype(np.uint8)
            )
            labels = ["the hole", *[""] * len(pictures)]
            alt = f"The picture with a hole, then filled in: {words.value}."
            answer.value = strip([hole, *pictures], labels, size=1.8, alt=alt).data

    button.on_click(filled)
    if strokes and prompt:
        filled()
    panel = ipywidgets.VBox([canvas, text, words, button, answer])
    panel.add_class("difflab-painter")
    still = "<p>Live in the notebook: there, a picture to paint on and a field for the prompt stand here.</p>"

    def with_pictures(**_):
        return (ipywidgets.VBox._repr_mimebundle_(panel) or {}) | {"text/html": answer.value + still}

    if "google.colab" not in sys.modules:  # Colab is always live
        panel._repr_mimebundle_ = with_pictures
    return panel


@functools.cache
def script(name):
    """What a control does, in JavaScript."""
    return (Path(__file__).parent / f"{name}.js").read_text(encoding="utf-8")


def _data_url(image):
    file = io.BytesIO()
    image.save(file, format="PNG", optimize=True)
    return "data:image/png;base64," + base64.b64encode(file.getvalue()).decode()


def _digest(images):
    return hashlib.sha256(b"".join(image.tobytes() for image in images)).hexdigest()[:8]

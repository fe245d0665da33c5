"""Pictures for people: contact sheets, strips, curves, and a slider that needs no kernel.

The only file that knows matplotlib. Every function that shows something returns an `IPython.display.HTML`, so it shows
as the last line of a cell (or through `display(...)`), carries its alternative text, and looks the same in Jupyter, on
Colab and in the built book. Pictures are PIL images or uint8 arrays of shape (H, W, 3) or (H, W).
"""

import base64
import functools
import hashlib
import html
import io
import itertools
import json
import math
import sys
import textwrap

import numpy as np
import PIL.Image
from matplotlib import colormaps
from matplotlib.figure import Figure

# Okabe and Ito's colors, which color-blind readers can tell apart, darkest first.
COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#000000")
INK = "#222222"
DPI = 144

_slider_number = itertools.count(1)


def grid(images, captions=None, columns=None, *, title=None, size=1.6, alt=None):
    """Show pictures in rows of `columns`, each with its caption below.

    Args:
        images: a list of pictures.
        captions: as many strings, or None.
        columns: pictures in a row; as square a grid as fits 6 columns when None.
        title: a line above the grid.
        size: the width of one picture, in inches.
        alt: what the figure says to someone who cannot see it; made from the title and the captions when None.

    Raises:
        ValueError: no pictures, a caption too many or too few, columns below 1, or something that is not a picture.
    """
    figure = _grid_figure(images, captions, columns, title, size)
    return _html(figure, alt or _describe(len(images), captions, title))


def strip(images, labels=None, *, title=None, size=1.3, alt=None):
    """Show pictures in one row: a trajectory, a sweep of one setting. Arguments as in `grid`."""
    return grid(images, labels, columns=max(len(images), 1), title=title, size=size, alt=alt)


def curves(x, lines, *, xlabel="", ylabel="", title=None, logx=False, logy=False, size=(6.0, 3.2), alt=None):
    """Draw curves over a common x.

    Args:
        x: a sequence of N numbers.
        lines: a dict from a curve's name to its N numbers.

    Raises:
        ValueError: no curves, more curves than colors, or a curve whose length is not N.
    """
    if not lines or len(lines) > len(COLORS):
        raise ValueError(f"curves draws 1 to {len(COLORS)} lines, got {len(lines)}: split them over two figures")
    x = np.asarray(x, dtype=float)
    figure = Figure(figsize=size, layout="constrained")
    axes = figure.add_subplot()
    for color, style, (name, values) in zip(
        COLORS, itertools.cycle(("-", "--", "-.", ":")), lines.items(), strict=False
    ):
        values = np.asarray(values, dtype=float)
        if values.shape != x.shape:
            raise ValueError(f"curve {name!r} has shape {values.shape}, x has {x.shape}: give one value for each x")
        axes.plot(x, values, style, color=color, linewidth=2, label=name)
    style_axes(axes, xlabel, ylabel, title)
    axes.set_yscale("log" if logy else "linear")
    if logx:
        axes.set_xscale("log")
        if len(x) <= 12:  # a sweep: name the values themselves
            axes.set_xticks(x, [f"{value:g}" for value in x])
            axes.minorticks_off()
    if len(lines) > 1:
        axes.legend(frameon=False)
    return _html(figure, alt or f"{title or ylabel or 'Curves'} against {xlabel or 'x'}: {', '.join(lines)}.")


def matrix(values, rows, columns, *, title=None, decimals=2, size=0.62, alt=None):
    """Show a table of numbers as colored cells with the numbers in them: similarities, shares, counts.

    Blue is high and white is low; where some numbers are negative, white is 0, blue above and red below it.

    Args:
        values: R x C numbers, as a tensor, an array or lists.
        rows, columns: R and C names.
        decimals: digits after the point. Beyond 12 columns the numbers are left out.
        size: the side of one cell, in inches.

    Raises:
        ValueError: values that are not R x C numbers.
    """
    values = np.asarray([[float(value) for value in row] for row in values])
    if values.shape != (len(rows), len(columns)) or not values.size:
        raise ValueError(
            f"values have shape {values.shape}: give one for each of {len(rows)} rows, {len(columns)} columns"
        )
    signed = values.min() < 0
    limit = np.abs(values).max() or 1.0
    sheet = Figure(
        figsize=(size * len(columns) + 0.08 * max(len(str(name)) for name in rows), size * len(rows) + 0.9),
        layout="constrained",
    )
    axes = sheet.subplots()
    axes.imshow(
        values, cmap="RdBu" if signed else "Blues", vmin=-limit if signed else min(0.0, values.min()), vmax=limit
    )
    narrow = max(len(str(name)) for name in columns) * 0.09 < size
    turned = {"rotation": 0} if narrow else {"rotation": 40, "ha": "left", "rotation_mode": "anchor"}
    axes.set_xticks(range(len(columns)), [str(name) for name in columns], fontsize=10, color=INK, **turned)
    axes.set_yticks(range(len(rows)), [str(name) for name in rows], fontsize=10, color=INK)
    axes.tick_params(length=0, top=False, bottom=False, labeltop=True, labelbottom=False)
    axes.spines[:].set_visible(False)
    if len(columns) <= 12:
        for (row, column), value in np.ndenumerate(values):
            ink = "white" if abs(value) > 0.55 * limit else INK
            axes.text(
                column,
                row,
                f"{round(value, decimals) + 0.0:.{decimals}f}",
                ha="center",
                va="center",
                fontsize=10,
                color=ink,
            )
    if title:
        axes.set_title(title, fontsize=12, color=INK, loc="left")
    named = f"{title or 'Numbers'}: rows {', '.join(map(str, rows))}; columns {', '.join(map(str, columns))}."
    return _html(sheet, alt or named)


def heat(pictures, maps, labels=None, columns=None, *, title=None, size=1.6, alt=None):
    """Show heat maps over pictures: the picture in gray, lit up where its map is high.

    Every map is stretched from its own lowest to its own highest value: compare places within a map, not two maps.

    Args:
        pictures: as many pictures as maps, or one for all.
        maps: (H, W) numbers of the picture's size each, as tensors or arrays; None shows the picture as it is.
        labels, columns, title, size, alt: as in `grid`; one row when columns is None.

    Raises:
        ValueError: a number of pictures that does not fit, or a map of another size than its picture.
    """
    pictures = _pictures(pictures if isinstance(pictures, list | tuple) else [pictures], None)
    pictures = pictures * len(maps) if len(pictures) == 1 else pictures
    if len(pictures) != len(maps):
        raise ValueError(f"{len(pictures)} pictures for {len(maps)} maps: give one for each, or one for all")
    lit = [picture if one is None else overlay(picture, one) for picture, one in zip(pictures, maps, strict=True)]
    return grid(lit, labels, columns or len(lit), title=title, size=size, alt=alt)


def overlay(picture, one):
    """One heat map (H, W) over one picture of that size, as a picture: see `heat`."""
    picture, one = _picture(picture), np.asarray(one, dtype=float)
    if one.shape != (picture.height, picture.width):
        raise ValueError(f"a map of {one.shape} does not lie over a picture {picture.height} x {picture.width}")
    level = (one - one.min()) / (np.ptp(one) or 1.0)
    gray = np.asarray(picture.convert("L"))[..., None] / 255
    color = colormaps["inferno"](level)[..., :3]
    return PIL.Image.fromarray(((0.4 * gray + 0.6 * color) * 255).round().astype(np.uint8))


def figure(width=6.0, height=3.2, *, rows=1, columns=1):
    """A blank figure in the book's style: (figure, axes). Show it with `shown(figure, alt=...)`."""
    blank = Figure(figsize=(width, height), layout="constrained")
    return blank, blank.subplots(rows, columns)


def shown(figure, alt):
    """Make a matplotlib figure show in the page, with its alternative text (which it has to have)."""
    if not alt or not alt.strip():
        raise ValueError("alt is empty: say in a sentence what the figure shows, for readers who cannot see it")
    return _html(figure, alt)


def style_axes(axes, xlabel="", ylabel="", title=None):
    """Give matplotlib axes the book's look: readable labels, a light grid, no box."""
    axes.set_xlabel(xlabel, fontsize=11, color=INK)
    axes.set_ylabel(ylabel, fontsize=11, color=INK)
    if title:
        axes.set_title(title, fontsize=12, color=INK, loc="left")
    axes.grid(True, color="#dddddd", linewidth=0.7)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(labelsize=10, colors=INK)


def slider(images, labels=None, *, width=256, alt=None):
    """Frames under a slider, in plain HTML: works in a notebook, in the built page and from a file, with no kernel.

    Args:
        images: the frames, embedded as PNG (50 frames of 64x64 are about 0.3 MB).
        labels: as many strings, shown beside the slider and spoken by screen readers; 1, 2, 3 ... when None.
        width: the width on the page, in CSS pixels.

    Raises:
        ValueError: no frames, a label too many or too few.
    """
    from IPython.display import HTML

    images = _pictures(images, labels)
    labels = [str(label) for label in labels] if labels is not None else [str(n + 1) for n in range(len(images))]
    alt = alt or f"{len(images)} frames under a slider, from {labels[0]} to {labels[-1]}."
    name = f"difflab-slider-{next(_slider_number)}-{_digest(images)}"
    frames = "".join(
        f'<img src="{_data_url(image)}" alt="{html.escape(f"{alt} {label}")}" width="{width}"'
        f' style="image-rendering:{"pixelated" if image.width < width else "auto"};max-width:100%"'
        f"{'' if number == 0 else ' hidden'}>"
        for number, (image, label) in enumerate(zip(images, labels, strict=True))
    )
    move = (
        "const box=this.closest('figure');const n=+this.value;"
        "box.querySelectorAll('img').forEach((frame,i)=>{frame.hidden=i!==n});"
        "const text=JSON.parse(box.dataset.labels)[n];"
        "box.querySelector('output').textContent=text;this.setAttribute('aria-valuetext',text)"
    )
    return HTML(
        f'<figure id="{name}" class="difflab-slider" style="margin:0" '
        'data-lm-suppress-shortcuts="true" onkeydown="event.stopPropagation()" '  # else JupyterLab takes the arrow keys
        f'data-labels="{html.escape(json.dumps(labels))}">{frames}'
        f'<div style="display:flex;gap:.8em;align-items:center;max-width:100%;width:{max(width, 220)}px">'
        f'<input type="range" min="0" max="{len(images) - 1}" value="0" style="flex:1;min-width:0" '
        f'aria-label="{html.escape(alt)}" aria-valuetext="{html.escape(labels[0])}" oninput="{html.escape(move)}">'
        f"<output>{html.escape(labels[0])}</output></div></figure>"
    )


def explorer(draw, **controls):
    """Controls over pictures: whenever one is moved, `draw` is called with the values of all. Live where a kernel runs.

    Args:
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
        return ipywidgets.VBox._repr_mimebundle_(panel) | {"text/html": first + still}

    if "google.colab" not in sys.modules:  # Colab is always live
        panel._repr_mimebundle_ = with_pictures
    return panel


PAINTER = """
const image = this, canvas = image.nextElementSibling, pen = canvas.getContext('2d');
const scale = canvas.width / image.naturalWidth;
const find = what => canvas.closest('.difflab-painter').querySelector(what);
const lines = () => find('textarea').value.split('\\n').filter(line => line.trim());
const draw = strokes => {
  pen.clearRect(0, 0, canvas.width, canvas.height);
  pen.fillStyle = pen.strokeStyle = '#D55E00'; pen.lineCap = pen.lineJoin = 'round';
  for (const line of strokes) {
    const [kind, ...words] = line.trim().split(/\\s+/), n = words.map(word => word * scale);
    if (kind === 'rectangle') { pen.fillRect(n[0], n[1], n[2] - n[0], n[3] - n[1]); continue; }
    pen.lineWidth = n[0]; pen.beginPath(); pen.moveTo(n[1], n[2]);
    for (let i = 1; i + 1 < n.length; i += 2) pen.lineTo(n[i], n[i + 1]);
    pen.stroke();
  }
};
const tell = strokes => {
  const text = find('textarea');
  text.value = strokes.join('\\n');
  for (const kind of ['input', 'change']) text.dispatchEvent(new Event(kind, {bubbles: true}));
  draw(strokes);
};
const place = event => {
  const box = canvas.getBoundingClientRect();
  return [(event.clientX - box.left) / box.width * image.naturalWidth,
          (event.clientY - box.top) / box.height * image.naturalHeight].map(Math.round);
};
let stroke = null;
canvas.onpointerdown = event => {
  canvas.setPointerCapture(event.pointerId);
  const brush = find('select').value === 'brush';
  stroke = [...(brush ? ['brush', find('input[type=range]').value] : ['rectangle']), ...place(event), ...place(event)];
};
canvas.onpointermove = event => {
  if (!stroke) { draw(lines()); return; }
  stroke[0] === 'brush' ? stroke.push(...place(event)) : stroke.splice(3, 2, ...place(event));
  draw([...lines(), stroke.join(' ')]);
};
canvas.onpointerup = () => { if (stroke) tell([...lines(), stroke.join(' ')]); stroke = null; };
find('.undo').onclick = () => tell(lines().slice(0, -1));
find('.clear').onclick = () => tell([]);
setTimeout(() => draw(lines()), 300);
"""


def painter(image, fill, *, strokes="", prompt="", width=320):
    """Paint a mask over a picture with the mouse, say what should be there, and see it filled in.

    Args:
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

    from difflab.masks import drawn

    image = _picture(image)
    size = (image.height, image.width)
    height = round(width * image.height / image.width)
    canvas = ipywidgets.HTML(
        f'<div style="position:relative;width:{width}px;height:{height}px">'
        f'<img src="{_data_url(image)}" alt="the picture to paint on" width="{width}" height="{height}" '
        f'onload="{html.escape(PAINTER)}">'
        f'<canvas width="{width}" height="{height}" tabindex="0" aria-label="paint what is to be filled in" '
        'style="position:absolute;left:0;top:0;opacity:.6;cursor:crosshair;touch-action:none"></canvas></div>'
        '<select aria-label="tool"><option>brush</option><option>rectangle</option></select> '
        '<label>width <input type="range" min="2" max="40" value="14"></label> '
        '<button class="undo" type="button">undo</button> <button class="clear" type="button">clear</button>'
    )
    wide = ipywidgets.Layout(width="32em")
    text = ipywidgets.Textarea(strokes, description="strokes", layout=wide, rows=4)
    words = ipywidgets.Text(prompt, description="prompt", layout=wide)
    button, answer = ipywidgets.Button(description="fill in", button_style="primary"), ipywidgets.HTML()

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
        return ipywidgets.VBox._repr_mimebundle_(panel) | {"text/html": answer.value + still}

    if "google.colab" not in sys.modules:  # Colab is always live
        panel._repr_mimebundle_ = with_pictures
    return panel


def save_sheet(sections, path):
    """Write one contact sheet to `path`: sections is a list of (title, images, captions or None), one row each.

    Returns the path. Titles and captions go into the PNG as its description too, for readers who cannot see it.
    """
    if not sections:
        raise ValueError("a contact sheet needs at least one section of (title, images, captions), got none")
    sections = [(title, _pictures(images, captions), captions) for title, images, captions in sections]
    columns = max(len(images) for _, images, _ in sections)
    sheet = Figure(figsize=(1.7 * columns + 0.2, 2.45 * len(sections)), layout="constrained")
    for part, (title, images, captions) in zip(
        np.atleast_1d(sheet.subfigures(len(sections), 1)), sections, strict=True
    ):
        part.suptitle(title, fontsize=12, fontweight="bold", color=INK, x=0.01, ha="left")
        _fill(part.subplots(1, columns, squeeze=False).ravel(), images, captions, 1.7)
    described = " ".join(_describe(len(images), captions, title) for title, images, captions in sections)
    sheet.savefig(
        path, format="png", dpi=DPI, facecolor="white", bbox_inches="tight", metadata={"Description": described}
    )
    return path


def save_grid(images, captions, path, columns=None, *, title=None, size=1.6):
    """Write what `grid` shows to `path`, with the same arguments; returns the path."""
    sheet = _grid_figure(images, captions, columns, title, size)
    described = _describe(len(images), captions, title)
    sheet.savefig(
        path, format="png", dpi=DPI, facecolor="white", bbox_inches="tight", metadata={"Description": described}
    )
    return path


def _grid_figure(images, captions, columns, title, size):
    images = _pictures(images, captions)
    if columns is None:
        columns = min(6, math.ceil(math.sqrt(len(images))) if len(images) > 4 else len(images))
    if columns < 1:
        raise ValueError(f"columns is {columns}: at least 1 picture has to be in a row")
    rows = math.ceil(len(images) / columns)
    wrapped = [_wrap(caption, size) for caption in captions] if captions is not None else [""]
    lines = max(text.count("\n") + 1 if text else 0 for text in wrapped)
    tallest = max(image.height / image.width for image in images)
    height = rows * (size * tallest + 0.19 * lines + 0.08) + (0.35 if title else 0.0)
    sheet = Figure(figsize=(columns * size, height), layout="constrained")
    sheet.get_layout_engine().set(w_pad=0.03, h_pad=0.03, wspace=0.0, hspace=0.0)
    if title:
        sheet.suptitle(title, fontsize=12, color=INK, x=0.01, ha="left")
    _fill(sheet.subplots(rows, columns, squeeze=False).ravel(), images, captions, size)
    return sheet


def _fill(axes, images, captions, size):
    for number, axis in enumerate(axes):
        axis.set_axis_off()
        if number < len(images):
            axis.imshow(np.asarray(images[number]), cmap="gray", interpolation="nearest")
            if captions is not None:
                axis.text(
                    0.5, -0.03, _wrap(captions[number], size), transform=axis.transAxes, ha="center", va="top",
                    fontsize=10, color=INK,
                )  # fmt: skip


def _wrap(caption, size):
    return textwrap.fill(str(caption), max(8, int(size * 11)))


def _pictures(images, captions):
    """Check pictures and captions; the pictures come back as PIL images."""
    images = list(images)
    if not images:
        raise ValueError("there are no pictures to show: images is empty")
    if captions is not None and len(captions) != len(images):
        raise ValueError(f"{len(images)} pictures but {len(captions)} captions: give one for each picture")
    return [_picture(image) for image in images]


def _picture(image):
    if isinstance(image, PIL.Image.Image):
        return image if image.mode in ("L", "RGB") else image.convert("RGB")
    array = np.asarray(image)
    if array.dtype != np.uint8 or not (array.ndim == 2 or (array.ndim == 3 and array.shape[2] == 3)):
        raise ValueError(
            f"a picture is a PIL image or a uint8 array of shape (H, W, 3) or (H, W), got {array.dtype} {array.shape}"
        )
    return PIL.Image.fromarray(array)


def _describe(count, captions, title):
    words = f"{title}: " if title else ""
    words += "one picture" if count == 1 else f"{count} pictures"
    return words + (": " + "; ".join(str(caption) for caption in captions) if captions else "") + "."


def _html(figure, alt):
    from IPython.display import HTML

    file = io.BytesIO()
    figure.savefig(file, format="png", dpi=DPI, facecolor="white", bbox_inches="tight", pad_inches=0.06)
    width = round(PIL.Image.open(file).width * 96 / DPI)
    data = base64.b64encode(file.getvalue()).decode()
    return HTML(
        f'<img class="difflab-figure" src="data:image/png;base64,{data}" alt="{html.escape(alt)}" '
        f'width="{width}" style="max-width:100%;height:auto">'
    )


def _data_url(image):
    file = io.BytesIO()
    image.save(file, format="PNG", optimize=True)
    return "data:image/png;base64," + base64.b64encode(file.getvalue()).decode()


def _digest(images):
    return hashlib.sha256(b"".join(image.tobytes() for image in images)).hexdigest()[:8]

"""Pictures for people: contact sheets, strips, curves, drawn diagrams; and tables.

The only file that knows matplotlib. Every function that shows something returns an `IPython.display.HTML`, or a
`Table`, so it shows as the last line of a cell (or through `display(...)`), and looks the same in Jupyter, on Colab and
in the built book. Pictures are PIL images or uint8 arrays of shape (H, W, 3) or (H, W).

What a figure shows is said once, in `alt`: to those who cannot see it, and in the caption that everybody sees beneath
it, which the book numbers. Give `caption` too where that is more than the eye needs.
"""

import base64
import html
import io
import itertools
import math
import textwrap
from pathlib import Path
from typing import Any, NamedTuple
from xml.etree import ElementTree

import numpy as np
import PIL.Image
from matplotlib import colormaps
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine

from difflab.checks import ABOVE_0, as_number, as_whole
from difflab.files import new_file

# Okabe and Ito's colors, which color-blind readers can tell apart, darkest first.
COLORS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#56B4E9", "#E69F00", "#000000")
INK = "#222222"
NUMBERS = "text-align:right;font-variant-numeric:tabular-nums"
CAPTION = "font-size:.9em;max-width:46em;margin:.3em 0 .8em;text-align:left"
FIGURE_SPACE = "\u2007"  # as wide as a digit, and not collapsed by HTML
DPI = 144
DRAWINGS = Path(__file__).parent / "drawings"


def grid(images, captions=None, columns=None, *, rows=None, title=None, size=1.6, alt=None, caption=None):
    """Show pictures in rows, each with its own words below it, or with heads for rows and columns.

    >>> show.grid(pictures, columns=["w = 1", "w = 4", "w = 8"], rows=["plain", "rescaled"], alt=...)

    images: a list of pictures, row after row.
    captions: as many strings, one below each picture, or None.
    columns: how many pictures stand in a row, or the columns' heads, a string each; as square a grid as fits 6 columns
        when None.
    rows: the rows' heads, a string each, or None.
    title: a line above the grid.
    size: the width of one picture, in inches.
    alt: what the figure says to someone who cannot see it; made from the title and all other words when None.
    caption: what stands beneath it; alt, where that is given, when None.

    Raises ValueError for no pictures, a caption or a head too many or too few, columns below 1, or something that is no
    picture.
    """
    figure = _grid_figure(images, captions, columns, rows, title, size)
    return _html(figure, alt or _describe(len(images), captions, title, columns, rows), caption or alt)


def strip(images, labels=None, *, title=None, size=1.3, alt=None, caption=None):
    """Show pictures in one row: a trajectory, a sweep of one setting. Arguments as in `grid`."""
    return grid(images, labels, columns=max(len(images), 1), title=title, size=size, alt=alt, caption=caption)


def curves(
    x, lines, *, xlabel="", ylabel="", title=None, logx=False, logy=False, size=(6.0, 3.2), alt=None, caption=None
):
    """Draw curves over a common x.

    x: a sequence of N numbers.
    lines: a dict from a curve's name to its N numbers.
    title, alt, caption: as in `grid`.

    Raises ValueError for no curves, more curves than colors, or a curve whose length is not N.
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
    named = f"{title or ylabel or 'Curves'} against {xlabel or 'x'}: {', '.join(lines)}."
    return _html(figure, alt or named, caption or alt)


def matrix(values, rows, columns, *, title=None, decimals=2, size=0.62, alt=None, caption=None):
    """Show a table of numbers as colored cells with the numbers in them: similarities, fractions, counts.

    Blue is high and white is low; where some numbers are negative, white is 0, blue above and red below it.

    values: R x C numbers, as a tensor, an array or lists.
    rows, columns: R and C names.
    decimals: digits after the point. Beyond 12 columns the numbers are left out.
    size: the side of one cell, in inches.
    title, alt, caption: as in `grid`.

    Raises ValueError for values that are not R x C numbers.
    """
    values = np.asarray([[float(value) for value in row] for row in values])
    if values.shape != (len(rows), len(columns)) or not values.size:
        raise ValueError(
            f"values have shape {values.shape}: give one for each of {len(rows)} rows, {len(columns)} columns"
        )
    decimals = as_whole("decimals", decimals, "a whole number from 0 to 12", 0, 12)
    size = as_number("size", size, "a number of inches above 0, to 100", ABOVE_0, 100)
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
    turned: dict[str, Any] = {"rotation": 0} if narrow else {"rotation": 40, "ha": "left", "rotation_mode": "anchor"}
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
    return _html(sheet, alt or named, caption or alt)


def table(rows, columns: dict[str, str], caption: str) -> "Table":
    """Show a table: units in the heads, numbers one below the other, and every cell read aloud with its row and column.

    >>> show.table([("paste-back", 0.5, 17.2), ("nine channels", 0.8, 18.0)],
    ...            {"way": "", "obeyed": ".0%", "kept": ".1f dB"}, "Two ways to fill a hole.")

    rows: lists of cells; the first names the row. A cell is text, a number, a number and its margin (0.82, 0.04), a
        number and its interval (0.82, 0.78, 0.86), or None, which stays blank.
    columns: from a column's name to the format of its numbers and, after a blank, their unit: ".1f dB" puts "dB"
        beside the name. The percent sign of ".0%" goes there too. An empty format is for text.
    caption: what the table shows, in words: it stands above.

    Raises ValueError for no rows, a row of more or fewer cells than there are columns, no caption, or a number that its
    format does not fit.
    """
    rows, formats = [list(row) for row in rows], [each.partition(" ")[0] for each in columns.values()]
    if not rows or any(len(row) != len(columns) for row in rows):
        raise ValueError(f"rows of {[len(row) for row in rows]} cells: give {len(columns)}, one for each column")
    if not caption.strip():
        raise ValueError("caption is empty: say in a sentence what the table shows")
    cells = [_as_column(values, each) for values, each in zip(zip(*rows, strict=True), formats, strict=True)]
    heads = [_head(name, each) for name, each in columns.items()]
    return Table(caption, heads, list(zip(*cells, strict=True)), [bool(each) for each in formats])


class Table(NamedTuple):
    """A table, set: HTML in a notebook, text in a terminal. ``numeric`` says which columns hold numbers."""

    caption: str
    heads: list[str]
    rows: list[tuple[str, ...]]
    numeric: list[bool]

    def _repr_html_(self) -> str:
        sides = [NUMBERS if number else "text-align:left" for number in self.numeric]
        scopes = ["row"] + [""] * (len(self.heads) - 1)
        head = _row_of_html(self.heads, sides, ["col"] * len(self.heads))
        unbroken = [side + ";white-space:nowrap" * number for side, number in zip(sides, self.numeric, strict=True)]
        body = "\n".join(_row_of_html(row, unbroken, scopes) for row in self.rows)
        return (
            f'<table class="table difflab-table">\n<caption style="caption-side:top;text-align:left">'
            f"{html.escape(self.caption)}</caption>\n<thead>\n{head}\n</thead>\n<tbody>\n{body}\n</tbody>\n</table>"
        )

    def __repr__(self) -> str:
        widths = [max(map(len, column)) for column in zip(self.heads, *self.rows, strict=True)]
        lines = [
            "  ".join(
                cell.rjust(width) if number else cell.ljust(width)
                for cell, width, number in zip(row, widths, self.numeric, strict=True)
            )
            for row in (self.heads, *self.rows)
        ]
        return "\n".join([self.caption, "", *(line.replace(FIGURE_SPACE, " ").rstrip() for line in lines)])


def heat(pictures, maps, labels=None, columns=None, *, rows=None, title=None, size=1.6, alt=None, caption=None):
    """Show heat maps over pictures: the picture in gray, lit up where its map is high.

    Every map is stretched from its own lowest to its own highest value: compare places within a map, not two maps.

    pictures: as many pictures as maps, or one for all.
    maps: (H, W) numbers of the picture's size each, as tensors or arrays; None shows the picture as it is.
    labels, columns, rows, title, size, alt, caption: as in `grid`; one row when columns is None.

    Raises ValueError for a number of pictures that does not fit, or a map of another size than its picture.
    """
    pictures = as_pictures(pictures if isinstance(pictures, list | tuple) else [pictures], None)
    pictures = pictures * len(maps) if len(pictures) == 1 else pictures
    if len(pictures) != len(maps):
        raise ValueError(f"{len(pictures)} pictures for {len(maps)} maps: give one for each, or one for all")
    lit = [picture if one is None else overlay(picture, one) for picture, one in zip(pictures, maps, strict=True)]
    return grid(lit, labels, columns or len(lit), rows=rows, title=title, size=size, alt=alt, caption=caption)


def overlay(picture, one):
    """One heat map (H, W) over one picture of that size, as a picture: see `heat`."""
    picture, one = as_picture(picture), np.asarray(one, dtype=float)
    if not np.isfinite(one).all():
        raise ValueError("the map holds NaN or infinity: look where it comes from")
    if one.shape != (picture.height, picture.width):
        raise ValueError(f"a map of {one.shape} does not lie over a picture {picture.height} x {picture.width}")
    level = (one - one.min()) / (np.ptp(one) or 1.0)
    gray = np.asarray(picture.convert("L"))[..., None] / 255
    color = colormaps["inferno"](level)[..., :3]
    return PIL.Image.fromarray(((0.4 * gray + 0.6 * color) * 255).round().astype(np.uint8))


def drawing(name):
    """Show a drawn diagram of the book: `name` is that of its file in `difflab/drawings`, such as "07-guidance".

    Its alternative text is its own description, and its title is the caption. Raises ValueError, naming all that there
    are, for any other name.
    """
    known = sorted(path.stem for path in DRAWINGS.glob("*.svg"))
    if name not in known:
        raise ValueError(f"there is no drawing {name!r}: choose one of {', '.join(known)}")
    svg = (DRAWINGS / f"{name}.svg").read_bytes()
    root = ElementTree.fromstring(svg)
    width = round(float(root.attrib["viewBox"].split()[2]))
    return _image(svg, "image/svg+xml", root.findtext("{*}desc"), width, f"{root.findtext('{*}title')}.")


def figure(width=6.0, height=3.2, *, rows=1, columns=1):
    """A blank figure in the book's style: (figure, axes). Show it with `shown(figure, alt=...)`."""
    blank = Figure(figsize=(width, height), layout="constrained")
    return blank, blank.subplots(rows, columns)


def shown(figure, alt, caption=None):
    """Make a matplotlib figure show in the page, with alt (which it has to have) and caption: as in `grid`."""
    if not alt or not alt.strip():
        raise ValueError("alt is empty: say in a sentence what the figure shows, for readers who cannot see it")
    return _html(figure, alt, caption or alt)


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


def save_sheet(sections, path):
    """Write one contact sheet to `path`: sections is a list of (title, images, captions or None), one row each.

    Returns the path. Titles and captions go into the PNG as its description too, for readers who cannot see it.
    """
    if not sections:
        raise ValueError("a contact sheet needs at least one section of (title, images, captions), got none")
    sections = [(title, as_pictures(images, captions), captions) for title, images, captions in sections]
    columns = max(len(images) for _, images, _ in sections)
    sheet = Figure(figsize=(1.7 * columns + 0.2, 2.45 * len(sections)), layout="constrained")
    parts: Any = sheet.subfigures(len(sections), 1, squeeze=False)
    for part, (title, images, captions) in zip(parts.ravel(), sections, strict=True):
        part.suptitle(title, fontsize=12, fontweight="bold", color=INK, x=0.01, ha="left")
        _fill(part.subplots(1, columns, squeeze=False).ravel(), images, captions, 1.7)
    return _save(sheet, path, " ".join(_describe(len(images), captions, title) for title, images, captions in sections))


def save_grid(images, captions, path, columns=None, *, rows=None, title=None, size=1.6):
    """Write what `grid` shows to `path`, with the same arguments; returns the path."""
    sheet = _grid_figure(images, captions, columns, rows, title, size)
    return _save(sheet, path, _describe(len(images), captions, title, columns, rows))


def _save(sheet, path, described):
    """Write a sheet as PNG, whole or not at all; returns the path."""
    settings = dict(dpi=DPI, facecolor="white", bbox_inches="tight", metadata={"Description": described})
    with new_file(path) as new:
        sheet.savefig(new, format="png", **settings)
    return path


def _head(name, format):
    """A column's name with the unit of its numbers."""
    spec, _, unit = format.partition(" ")
    return ", ".join(filter(None, [name, unit, "%" * spec.endswith("%")]))


def _as_column(values, format):
    """A column's cells as strings that end at the same digit: what stands beside the numbers is filled up."""
    pairs = [_as_cell(value, format) for value in values]
    width = max(len(beside) for _, beside in pairs)
    return [number + beside.ljust(width, FIGURE_SPACE) for number, beside in pairs]


def _as_cell(value, format):
    """A cell as (text or number, what stands beside the number)."""
    if value is None or isinstance(value, str):
        return value or "", ""
    numbers = value if isinstance(value, tuple) else (value,)
    beside = {1: "", 2: " ± {1}", 3: " ({1} to {2})"}
    try:
        told = [f"{number:{format}}".removesuffix("%") for number in numbers]
        return told[0], beside[len(told)].format(*told)
    except (KeyError, TypeError, ValueError):
        raise ValueError(
            f"{value!r} does not fit {format!r}: give a number, a number and its margin, or one and its interval's ends"
        ) from None


def _row_of_html(cells, sides, scopes):
    kinds = [f'th scope="{scope}"' if scope else "td" for scope in scopes]
    named = zip(kinds, sides, map(html.escape, cells), strict=True)
    return "<tr>" + "".join(f'<{kind} style="{side}">{cell}</{kind[:2]}>' for kind, side, cell in named) + "</tr>"


def _grid_figure(images, captions, columns, rows, title, size):
    images = as_pictures(images, captions)
    heads, columns = _heads(columns, len(images))
    size = as_number("size", size, "a number of inches above 0, to 100", ABOVE_0, 100)
    count = math.ceil(len(images) / columns)
    if rows is not None and len(rows) != count:
        raise ValueError(f"{len(rows)} heads for {count} rows of {columns} pictures: give one for each row")
    tallest = max(image.height / image.width for image in images)
    above = 0.19 * _lines(heads, size) + (0.35 if title else 0.0)
    height = above + count * (size * tallest + 0.19 * _lines(captions, size) + 0.08)
    beside = 0.0 if rows is None else 0.15 + 0.085 * max(map(len, "\n".join(map(_wrap_head, rows)).splitlines()))
    tight = ConstrainedLayoutEngine(w_pad=0.03, h_pad=0.03, wspace=0.0, hspace=0.0)
    sheet = Figure(figsize=(columns * size + beside, height), layout=tight)
    if title:
        sheet.suptitle(title, fontsize=12, color=INK, x=0.01, ha="left")
    axes = sheet.subplots(count, columns, squeeze=False)
    _fill(axes.ravel(), images, captions, size)
    for axis, head in zip(axes[0], heads or [], strict=False):
        axis.set_title(_wrap(head, size), fontsize=10, color=INK, pad=3)
    for axis, head in zip(axes[:, 0], rows or [], strict=False):
        axis.text(
            -0.06, 0.5, _wrap_head(head), transform=axis.transAxes, ha="right", va="center", fontsize=10, color=INK
        )
    return sheet


def _heads(columns, count):
    """What `columns` means for so many pictures: (the columns' heads or None, how many there are)."""
    if columns is None:
        return None, min(6, math.ceil(math.sqrt(count)) if count > 4 else count)
    if isinstance(columns, list | tuple):
        return columns, as_whole("the number of columns", len(columns), "1 or more", 1, 1000)
    return None, as_whole("columns", columns, "pictures in a row, 1 to 1000, or the columns' heads", 1, 1000)


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


def _lines(texts, size):
    """How many lines the longest of the texts takes over a width of size inches; 0 where there is none."""
    return max((_wrap(text, size).count("\n") + 1 for text in texts or [] if str(text)), default=0)


def _wrap_head(head):
    return textwrap.fill(str(head), 16)


def _wrap(caption, size):
    return textwrap.fill(str(caption), max(8, int(size * 11)))


def as_pictures(images, captions):
    """Check pictures and captions; the pictures come back as PIL images."""
    images = list(images)
    if not images:
        raise ValueError("there are no pictures to show: images is empty")
    if captions is not None and len(captions) != len(images):
        raise ValueError(f"{len(images)} pictures but {len(captions)} captions: give one for each picture")
    return [as_picture(image) for image in images]


def as_picture(image):
    if isinstance(image, PIL.Image.Image):
        return image if image.mode in ("L", "RGB") else image.convert("RGB")
    array = np.asarray(image)
    if array.dtype != np.uint8 or not (array.ndim == 2 or (array.ndim == 3 and array.shape[2] == 3)):
        raise ValueError(
            f"a picture is a PIL image or a uint8 array of shape (H, W, 3) or (H, W), got {array.dtype} {array.shape}"
        )
    return PIL.Image.fromarray(array)


def _describe(count, captions, title, columns=None, rows=None):
    words = f"{title}: " if title else ""
    words += "one picture" if count == 1 else f"{count} pictures"
    heads = {"rows": rows, "columns": columns if isinstance(columns, list | tuple) else None}
    told = [f"{name} {', '.join(map(str, given))}" for name, given in heads.items() if given]
    told += ["; ".join(map(str, captions))] if captions else []
    return words + (": " + "; ".join(told) if told else "") + "."


def _html(figure, alt, caption):
    file = io.BytesIO()
    figure.savefig(file, format="png", dpi=DPI, facecolor="white", bbox_inches="tight", pad_inches=0.06)
    width = round(PIL.Image.open(file).width * 96 / DPI)
    return _image(file.getvalue(), "image/png", alt, width, caption)


def _image(content, kind, alt, width, caption=None):
    """A picture within the page: the bytes of a file of this MIME type, `width` pixels wide where there is room; with a
    caption beneath it, which a screen reader is spared where it has just read alt."""
    from IPython.display import HTML

    data = base64.b64encode(content).decode()
    picture = (
        f'<img class="difflab-figure" src="data:{kind};base64,{data}" alt="{html.escape(alt)}" '
        f'width="{width}" style="max-width:100%;height:auto">'
    )
    if not caption:
        return HTML(picture)
    below = figcaption(caption, aloud=caption != alt)
    return HTML(f'<figure class="difflab-captioned" style="margin:0">{picture}{below}</figure>')


def figcaption(text, *, aloud=True):
    """A caption in HTML, or nothing for no text; aloud says whether a screen reader reads it. The book numbers it."""
    hidden = "" if aloud else ' aria-hidden="true"'
    return f'<figcaption style="{CAPTION}"><span{hidden}>{html.escape(text)}</span></figcaption>' if text else ""

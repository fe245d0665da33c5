"""Ten places at three times of day, each set up like a paper theater: sky, sun and clouds, what is far, the ground.

A number decides where everything stands, the time only how it is lit, so that a place at another time is the same
place. Shapes are broad and textures sparse on purpose: at 128 pixels and 48-fold compression, fine grain would cost the
autoencoder dearly and teach the reader nothing.
"""

from functools import cache

import numpy as np
from PIL import Image, ImageDraw

from .nouns import PLACES
from .sprites import paste, planar

SIZE = 128
SHAPES = 10  # different cut-outs of each kind
WIDE = 208  # of a cut-out that reaches from side to side, wherever it is moved
# where the ground begins, as a fraction of the picture's height, from the highest to the lowest
HORIZON = {
    "beach": (0.26, 0.56), "meadow": (0.22, 0.6), "desert": (0.22, 0.6), "snow": (0.26, 0.6), "city": (0.44, 0.68),
    "room": (0.5, 0.7), "forest": (0.36, 0.66), "sea": (0.2, 0.58), "space": (0.0, 0.0), "mountains": (0.34, 0.64),
}  # fmt: skip
SKY = {
    "day": (
        ((70, 155, 238), (140, 202, 250), (222, 242, 252)),
        ((48, 132, 222), (110, 184, 244), (196, 230, 250)),
        ((104, 184, 232), (170, 218, 240), (246, 244, 228)),
        ((138, 156, 184), (182, 194, 210), (222, 226, 230)),
        ((86, 140, 214), (172, 200, 224), (255, 230, 190)),
    ),
    "sunset": (
        ((78, 54, 130), (238, 104, 104), (255, 200, 112)),
        ((52, 62, 134), (206, 108, 150), (255, 182, 150)),
        ((122, 62, 112), (244, 124, 78), (255, 216, 110)),
        ((58, 30, 66), (186, 62, 60), (250, 146, 74)),
        ((140, 132, 192), (232, 172, 184), (255, 224, 190)),
    ),
    "night": (
        ((8, 12, 44), (22, 30, 82), (58, 70, 128)),
        ((12, 8, 38), (40, 26, 86), (92, 62, 128)),
        ((4, 16, 42), (12, 42, 82), (40, 90, 124)),
        ((4, 4, 18), (10, 12, 38), (26, 30, 68)),
        ((30, 48, 108), (50, 78, 146), (98, 126, 176)),
    ),
}
HAZE = {"day": (206, 230, 246), "sunset": (250, 168, 120), "night": (52, 62, 118)}  # what far things fade into
LIGHT = {"day": (1, 1, 1), "sunset": (1.0, 0.76, 0.68), "night": (0.35, 0.41, 0.67)}  # what the ground reflects
WEATHER = {"day": (0.84, 1.05), "sunset": (0.82, 1.08), "night": (0.78, 1.35)}  # how bright it is, at least and at most
INDOORS = {"day": (1, 1, 1), "sunset": (1, 0.86, 0.76), "night": (0.46, 0.45, 0.6)}
Y, X = np.mgrid[0:SIZE, 0:SIZE].astype(np.float32) + np.float32(0.5)


def horizon(place, number):
    """Where the ground of a place begins, as a fraction of the picture's height; 0 in space, which has none."""
    return np.random.default_rng([PLACES.index(place), number]).uniform(*HORIZON[place])


def backdrop(place, time, number):
    """The place with number ``number`` at a time of day: (128, 128, 3) float32 in [0, 1]."""
    rng = np.random.default_rng([PLACES.index(place), number])
    line = np.float32(rng.uniform(*HORIZON[place]) * SIZE)
    dim, bright = WEATHER[time]
    light = (dim + (bright - dim) * rng.random()) * rng.uniform(0.95, 1.05, 3)
    picture = planar(np.empty((SIZE, SIZE, 3), np.float32))
    DRAW[place](picture, rng, time, line)
    picture *= light.astype(np.float32)
    return np.clip(picture, 0, 1, out=picture)


# -- light and paint: all colors are 0-255 triples, all pictures float32 in [0, 1] -------------------------------------


def lit(color, time, far=0.0):
    """A daylight color as it looks at ``time``, faded into the haze by ``far``."""
    color = np.asarray(color, np.float32) * np.asarray(LIGHT[time], np.float32)
    return color + np.float32(far) * (np.asarray(HAZE[time], np.float32) - color)


def indoors(color, time):
    return np.clip(np.asarray(color, np.float32) * np.asarray(INDOORS[time], np.float32), 0, 255)


def column(top, bottom, first, last):
    """Colors for every row of the picture, from ``first`` at row ``top`` to ``last`` at row ``bottom``: (128, 1, 3)."""
    along = np.clip((Y[:, :1] - top) / max(bottom - top, 1), 0, 1)[..., None]
    first, last = np.asarray(first, np.float32), np.asarray(last, np.float32)
    return (first + along * (last - first)) * np.float32(1 / 255)


def blend(picture, mask, color):
    """Lay ``color`` (in [0, 1], anything that fits) over ``picture`` where ``mask`` (128, 128) says so."""
    picture += mask[..., None] * (color - picture)


def fill(picture, line, color):
    """Fill everything below ``line``, a row or one for every column, with ``color``: (3,) or (128, 1, 3) in [0, 1]."""
    top = max(int(np.min(line)) - 1, 0)
    full = min(max(int(np.max(line)) + 2, top), SIZE)  # from this row on there is nothing left of what was there
    if color.ndim == 1:
        color = np.broadcast_to(color, (SIZE, 1, 3))
    mask = np.clip(Y[top:full] - line + np.float32(0.5), 0, 1)
    picture[top:full] += mask[..., None] * (color[top:full] - picture[top:full])
    picture[full:] = color[full:]


def below(line):
    """A mask of what is below ``line``, which is a row or one for every column."""
    return np.clip(Y - line + np.float32(0.5), 0, 1)


def rolling(rng, height, waves=1.0):
    """A rolling line, ``height`` pixels up and down: an offset for every column."""
    wave, start = rng.uniform(0.7, 1.3, (3, 1)) * [[1], [2], [3]] * waves, rng.random((3, 1))
    line = (np.sin(2 * np.pi * (X[:1] / SIZE * wave + start)) / [[1], [2.8], [5.2]]).sum(0)
    return (height * line).astype(np.float32)


def pick(rng, options):
    return options[int(rng.integers(len(options)))]


# -- cut-outs: uint8 RGBA, premultiplied, drawn once at twice their size -----------------------------------------------


def cutout(image):
    """A picture of twice the size as a cut-out."""
    rgba = np.asarray(image.reduce(2)).astype(np.float32)
    rgba[..., :3] *= rgba[..., 3:] / 255
    return planar((rgba + 0.5).astype(np.uint8))


def paper(width, height):
    image = Image.new("RGBA", (2 * width, 2 * height))
    return image, ImageDraw.Draw(image)


def paint(color):
    return tuple(int(c) for c in np.clip(color, 0, 255))


def shape_rng(kind, shape):
    return np.random.default_rng([sum(kind.encode()), shape, 5])


def strip(picture, rng, kind, time, foot):
    """Paste a cut-out of ``kind`` that reaches from side to side, its foot at row ``foot``."""
    shape, shift, mirror = int(rng.integers(SHAPES)), int(rng.integers(WIDE - SIZE + 1)), rng.random() < 0.5
    rgba = STRIPS[kind](shape, time)
    paste(picture, rgba[:, ::-1] if mirror else rgba, -shift, round(float(foot)) - rgba.shape[0])


# -- the sky ----------------------------------------------------------------------------------------------------------


@cache
def sun(time, shape):
    """Sun or moon in its glow."""
    r = {"day": 7, "sunset": 11, "night": 8}[time] * (1, 1.2, 0.85)[shape % 3]
    half = int(r * {"day": 3.4, "sunset": 4.2, "night": 2.6}[time])
    y, x = np.mgrid[-half : half + 1, -half : half + 1].astype(np.float32)
    distance = np.hypot(x, y)
    disc, glow, strength = {
        "day": ((255, 246, 190), (255, 250, 220), 0.7),
        "sunset": ((255, 238, 176), (255, 196, 100), 0.7),
        "night": ((246, 242, 218), (130, 140, 200), 0.35),
    }[time]
    fade = np.clip(1 - distance / half, 0, 1)
    alpha = strength * fade * fade * (3 - 2 * fade)
    shown = np.clip(r - distance + 0.5, 0, 1)
    color = np.asarray(glow, np.float32) * alpha[..., None]
    if time == "night":
        if shape % 4:  # a crescent: the disc less a shifted disc
            shift = (0.45, 0.7, -0.5)[shape % 4 - 1] * r
            shown *= 1 - np.clip(0.9 * r - np.hypot(x - shift, y + 0.25 * r) + 0.5, 0, 1)
        else:  # a full moon with two seas
            for dx, dy, s in ((-0.3, -0.2, 0.28), (0.3, 0.35, 0.2)):
                spot = np.clip(s * r - np.hypot(x - dx * r, y - dy * r) + 0.5, 0, 1)[..., None]
                disc = np.asarray(disc, np.float32) * (1 - 0.12 * spot)
    color += shown[..., None] * (np.asarray(disc, np.float32) - color)
    alpha += shown * (1 - alpha)
    return planar((np.dstack([color, 255 * alpha]) + 0.5).astype(np.uint8))


@cache
def cloud(time, shape):
    """A heap of balls on a flat foot, lighter above than below."""
    rng = shape_rng("cloud", shape)
    width = int(rng.uniform(26, 58))
    height = int(width * rng.uniform(0.34, 0.5))
    y, x = np.mgrid[0:height, 0:width].astype(np.float32)
    mask = np.zeros((height, width), np.float32)
    for at in np.linspace(0.16, 0.84, int(rng.integers(3, 6))):
        r = min(height * (0.34 + 0.3 * (1 - abs(2 * at - 1))) * rng.uniform(0.85, 1.15), height / 1.76)
        r = min(r, at * width - 1, (1 - at) * width - 1)
        mask = np.maximum(mask, np.clip(r - np.hypot(x - at * width, y - height + 0.72 * r) + 0.5, 0, 1))
    mask *= np.clip(height - 1 - y, 0, 1)
    light, shade, alpha = {
        "day": ((255, 255, 255), (206, 224, 240), 0.92),
        "sunset": ((255, 204, 160), (232, 124, 130), 0.85),
        "night": ((86, 96, 152), (48, 56, 108), 0.75),
    }[time]
    along = (y / height)[..., None] ** 1.5
    color = np.asarray(light, np.float32) * (1 - along) + np.asarray(shade, np.float32) * along
    alpha = alpha * mask[..., None]
    return planar((np.concatenate([color * alpha, 255 * alpha], -1) + 0.5).astype(np.uint8))


@cache
def stars(shape, count=22):
    rng = shape_rng("stars", shape)
    y, x = np.mgrid[0:SIZE, 0:WIDE].astype(np.float32)
    light = np.zeros((SIZE, WIDE), np.float32)
    for _ in range(count):
        r = rng.uniform(1.0, 1.5)
        light += rng.uniform(0.5, 0.95) * np.exp(
            -((x - rng.uniform(0, WIDE)) ** 2 + (y - rng.uniform(0, SIZE)) ** 2) / (r * r)
        )
    alpha = np.clip(light, 0, 1)[..., None]
    return planar((np.concatenate([np.asarray((255, 250, 235)) * alpha, 255 * alpha], -1) + 0.5).astype(np.uint8))


def sky(picture, rng, time, line, clouds=4):
    """Sky down to row ``line``, with stars or clouds, and mostly a sun or a moon. Returns the sun's column."""
    top, middle, low = pick(rng, SKY[time])
    bend = 0.6 * line
    picture[:] = np.where(Y[:, :1, None] < bend, column(0, bend, top, middle), column(bend, line, middle, low))
    shape, shift = int(rng.integers(SHAPES)), int(rng.integers(WIDE - SIZE + 1))
    if time == "night":
        paste(picture, stars(shape), -shift, 0)
    x, up, shown = rng.uniform(0.04, 0.96) * SIZE, rng.random(), rng.random() < 0.85
    y = line - (0.02 + 0.2 * up) * SIZE if time == "sunset" else (0.06 + 0.5 * up * (line / SIZE)) * SIZE
    if shown:
        disc = sun(time, shape)
        paste(picture, disc, round(x) - disc.shape[1] // 2, round(float(y)) - disc.shape[0] // 2)
    for _ in range(int(rng.integers(clouds + 1))):
        fleece = cloud(time, int(rng.integers(SHAPES)))
        foot = rng.uniform(0.16, 0.86) * line
        paste(picture, fleece, int(rng.integers(-24, SIZE - 12)), round(float(foot)) - fleece.shape[0])
    return x


# -- what is far ------------------------------------------------------------------------------------------------------


def fir(pen, x, base, height, color):
    """A fir tree of three tiers, its right half in the shade."""
    pen.rectangle([x - 0.03 * height, base - 0.12 * height, x + 0.03 * height, base], fill=paint(color * 0.55))
    for tier in range(3):
        y, half = base - height * (0.08 + 0.24 * tier), height * (0.32 - 0.07 * tier)
        top = y - 0.46 * height
        pen.polygon([(x - half, y), (x + half, y), (x, top)], fill=paint(color))
        pen.polygon([(x + 0.1 * half, y), (x + half, y), (x, top)], fill=paint(color * 0.9))


def bush(pen, x, base, height, color):
    """A round tree, its light from the upper left."""
    pen.rectangle([x - 0.06 * height, base - 0.4 * height, x + 0.06 * height, base], fill=paint((color + 40) * 0.45))
    for dx, dy, r, tone in ((0.14, 0.5, 0.3, 0.84), (-0.16, 0.52, 0.28, 0.94), (0, 0.7, 0.3, 1.0), (-0.1, 0.72, 0.16, 1.1)):
        cx, cy = x + dx * height, base - dy * height
        pen.ellipse(
            [cx - r * height, cy - r * height, cx + r * height, cy + r * height], fill=paint(np.asarray(color) * tone)
        )


def cottage(pen, rng, x, base, size, time, far):
    wall = lit(pick(rng, ((250, 240, 220), (240, 214, 190), (226, 232, 240))), time, far)
    roof = lit(pick(rng, ((206, 92, 76), (150, 96, 84), (110, 120, 160))), time, far)
    pen.rectangle([x - 0.5 * size, base - 0.55 * size, x + 0.5 * size, base], fill=paint(wall))
    pen.polygon(
        [(x - 0.66 * size, base - 0.5 * size), (x + 0.66 * size, base - 0.5 * size), (x, base - 1.1 * size)],
        fill=paint(roof),
    )
    pane = (255, 222, 130) if time != "day" else paint(lit((120, 150, 190), time, far))
    pen.rectangle([x - 0.12 * size, base - 0.36 * size, x + 0.16 * size, base - 0.1 * size], fill=pane)


def peak(pen, rng, x, base, half, height, color, time, far):
    """One mountain with a shaded side and a snow cap."""
    top, lean = base - height, rng.uniform(-0.2, 0.2)
    x0 = x + lean * half
    pen.polygon([(x - half, base), (x + half, base), (x0, top)], fill=paint(lit(color, time, far)))
    pen.polygon(
        [(x0, top), (x + half, base), (x + 0.1 * half, base)], fill=paint(lit(np.multiply(color, 0.82), time, far))
    )
    s = rng.uniform(0.26, 0.42)
    left, right = -1 - lean, 1 - lean
    cap = [(0, 0), (left * s, s), (0.45 * left * s, 0.78 * s), (0, 1.15 * s), (0.5 * right * s, 0.8 * s), (right * s, s)]
    pen.polygon([(x0 + half * u, top + height * v) for u, v in cap], fill=paint(lit((250, 250, 255), time, 0.6 * far)))
    shaded = [(0, 0), (0.1 * s, 1.1 * s), (0.5 * right * s, 0.8 * s), (right * s, s)]
    pen.polygon(
        [(x0 + half * u, top + height * v) for u, v in shaded], fill=paint(lit((214, 222, 244), time, 0.6 * far))
    )


@cache
def firs(shape, time, color=(52, 112, 84), far=0.3):
    rng = shape_rng("firs", shape)
    image, pen = paper(WIDE, 52)
    step = rng.uniform(16, 60)
    for x in np.arange(rng.uniform(0, step), 2 * WIDE, step):
        fir(pen, x + rng.uniform(-8, 8), 104, rng.uniform(40, 96), lit(color, time, far))
    return cutout(image)


@cache
def snowy_firs(shape, time):
    return firs(shape, time, (196, 216, 226), 0.2)


@cache
def village(shape, time):
    """Round trees and a few houses, far off."""
    rng = shape_rng("village", shape)
    image, pen = paper(WIDE, 24)
    for x in rng.uniform(0, 2 * WIDE, int(rng.integers(5, 12))):
        bush(pen, x, 47, rng.uniform(16, 34), lit((92, 160, 96), time, 0.25))
    for x in rng.uniform(0, 2 * WIDE, int(rng.integers(0, 5))):
        cottage(pen, rng, x, 47, rng.uniform(14, 22), time, 0.15)
    return cutout(image)


@cache
def mesas(shape, time):
    rng = shape_rng("mesas", shape)
    image, pen = paper(WIDE, 36)
    for x in rng.uniform(0, 2 * WIDE, int(rng.integers(2, 5))):
        half, height = rng.uniform(20, 56), rng.uniform(20, 66)
        color = lit((206, 122, 86), time, 0.3)
        pen.polygon(
            [(x - half, 72), (x - 0.62 * half, 72 - height), (x + 0.62 * half, 72 - height), (x + half, 72)],
            fill=paint(color),
        )
        pen.polygon(
            [(x + 0.2 * half, 72), (x + 0.3 * half, 72 - height), (x + 0.62 * half, 72 - height), (x + half, 72)],
            fill=paint(color * 0.86),
        )
        pen.rectangle(
            [x - 0.62 * half, 72 - height, x + 0.62 * half, 72 - height + 5], fill=paint(lit((232, 158, 112), time, 0.3))
        )
    return cutout(image)


@cache
def peaks(shape, time):
    rng = shape_rng("peaks", shape)
    image, pen = paper(WIDE, 72)
    for count, color, size, far in ((4, (128, 140, 176), 1.0, 0.35), (6, (96, 112, 150), 0.66, 0.12)):
        for x in (np.arange(count) + 0.5) / count * 2 * WIDE + rng.uniform(-34, 34, count):
            half = rng.uniform(70, 120) * size
            peak(pen, rng, x, 144, half, min(rng.uniform(80, 142) * size, 142), color, time, far)
    return cutout(image)


@cache
def islands(shape, time):
    rng = shape_rng("islands", shape)
    image, pen = paper(WIDE, 14)
    for x in rng.uniform(0, 2 * WIDE, int(rng.integers(1, 4))):
        half, height = rng.uniform(24, 70), rng.uniform(8, 24)
        color = lit((96, 150, 130), time, 0.35)
        pen.ellipse([x - half, 28 - height, x + half, 28 + height], fill=paint(color))
        pen.ellipse([x - 0.2 * half, 28 - 0.7 * height, x + 1.3 * half, 28 + 0.7 * height], fill=paint(color * 0.92))
    return cutout(image)


@cache
def skyline(shape, time):
    """Far towers in the haze."""
    rng = shape_rng("skyline", shape)
    image, pen = paper(WIDE, 76)
    x = -10.0
    while x < 2 * WIDE:
        width, height = rng.uniform(20, 46), rng.uniform(40, 146)
        color = lit(pick(rng, ((150, 168, 206), (168, 172, 200), (140, 160, 190))), time, 0.45)
        pen.rectangle([x, 152 - height, x + width, 152], fill=paint(color))
        if rng.random() < 0.3:
            pen.rectangle([x + 0.45 * width, 152 - height - 10, x + 0.55 * width, 152 - height], fill=paint(color))
        x += width + rng.uniform(-4, 8)
    return cutout(image)


@cache
def houses(shape, time):
    """A street front with windows; some of them are lit when it is dark."""
    rng = shape_rng("houses", shape)
    image, pen = paper(WIDE, 60)
    x = rng.uniform(-30, 0)
    while x < 2 * WIDE:
        width, height = rng.uniform(38, 70), rng.uniform(46, 114)
        wall = pick(rng, ((214, 128, 110), (232, 196, 150), (150, 170, 196), (176, 196, 170), (226, 216, 206)))
        pen.rectangle([x, 120 - height, x + width, 120], fill=paint(lit(wall, time)))
        pen.rectangle([x - 2, 120 - height, x + width + 2, 126 - height], fill=paint(lit(np.multiply(wall, 0.8), time)))
        columns = int(width // 26)
        for wy in np.arange(120 - height + 14, 90, 32):
            for k in range(columns):
                wx, dark = x + (k + 0.5) * width / columns, rng.random() < 0.6
                glass = lit(np.multiply(wall, 0.4) + (100, 122, 140), time) if time == "day" or dark else (246, 206, 122)
                pen.rectangle([wx - 7, wy, wx + 7, wy + 17], fill=paint(glass))
        door = x + rng.uniform(0.3, 0.7) * width
        pen.rectangle([door - 6, 100, door + 6, 120], fill=paint(lit(np.multiply(wall, 0.45), time)))
        x += width + (0 if rng.random() < 0.7 else rng.uniform(10, 40))
    for x in rng.uniform(0, 2 * WIDE, int(rng.integers(0, 5))):
        bush(pen, x, 120, rng.uniform(26, 46), lit((84, 150, 88), time))
    return cutout(image)


@cache
def woods(shape, time):
    """Firs in two rows, the farther ones in the haze."""
    rng = shape_rng("woods", shape)
    image, pen = paper(WIDE, 88)
    for count, color, low, high, far in ((9, (104, 160, 130), 90, 150, 0.3), (8, (70, 132, 96), 80, 172, 0.1)):
        for x in (np.arange(count) + 0.5) / count * 2 * WIDE + rng.uniform(-20, 20, count):
            fir(pen, x, 176, rng.uniform(low, high), lit(color, time, far))
    return cutout(image)


@cache
def autumn(shape, time):
    return grove(shape, time, ((222, 150, 70), (206, 108, 56)))


@cache
def grove(shape, time, colors=((118, 176, 120), (84, 150, 84))):
    """Round trees in two rows."""
    rng = shape_rng("grove", shape)
    image, pen = paper(WIDE, 76)
    for count, color, low, high, far in ((10, colors[0], 80, 120, 0.3), (7, colors[1], 70, 146, 0.05)):
        for x in (np.arange(count) + 0.5) / count * 2 * WIDE + rng.uniform(-18, 18, count):
            bush(pen, x, 152, rng.uniform(low, high), lit(np.add(color, rng.uniform(-14, 14)), time, far))
    return cutout(image)


@cache
def trunks(shape, time):
    """A few trunks that are near, crowns out of sight."""
    rng = shape_rng("trunks", shape)
    image, pen = paper(WIDE, 96)
    for x in rng.uniform(0, 2 * WIDE, int(rng.integers(2, 5))):
        half, base, color = rng.uniform(6, 11), rng.uniform(176, 190), lit((112, 82, 62), time)
        pen.polygon([(x - half, 0), (x + half, 0), (x + 1.5 * half, base), (x - 1.5 * half, base)], fill=paint(color))
        pen.polygon(
            [(x + 0.3 * half, 0), (x + half, 0), (x + 1.5 * half, base), (x + 0.4 * half, base)], fill=paint(color * 0.8)
        )
    return cutout(image)


# -- what is scattered on the ground: small and dense far away, larger toward the viewer ------------------------------


def scattered(shape, kind, count, draw):
    rng = shape_rng(kind, shape)
    image, pen = paper(WIDE, 84)
    for y in 168 * np.sort(rng.random(count)) ** 0.8:
        draw(pen, rng, rng.uniform(0, 2 * WIDE), y, 0.4 + 0.6 * y / 168)
    return cutout(image)


@cache
def flowers(shape, time):
    petals = (((255, 255, 255), (255, 220, 90)), ((250, 130, 170), (255, 255, 255)), ((190, 130, 240), (255, 240, 150)), ((255, 96, 84), (255, 224, 120)))[shape % 4]

    def draw(pen, rng, x, y, size):
        if rng.random() < 0.3:
            for lean in (-4, 4):
                pen.line([(x, y), (x + lean * size, y - 9 * size)], fill=paint(lit((84, 158, 62), time)), width=4)
        else:
            r = 5 * size
            pen.ellipse([x - r, y - r, x + r, y + r], fill=paint(lit(pick(rng, petals), time)))
            pen.ellipse([x - 0.4 * r, y - 0.4 * r, x + 0.4 * r, y + 0.4 * r], fill=paint(lit((250, 190, 60), time)))

    return scattered(shape, "flowers", 14, draw)


@cache
def pebbles(shape, time, color=(206, 164, 112), count=7):
    def draw(pen, rng, x, y, size):
        r = 5 * size * rng.uniform(0.7, 1.3)
        tone = lit(np.add(color, rng.uniform(-18, 18)), time)
        pen.ellipse([x - r, y - 0.6 * r, x + r, y + 0.6 * r], fill=paint(tone * 0.86))
        pen.ellipse([x - r, y - 0.7 * r, x + 0.7 * r, y + 0.3 * r], fill=paint(tone))

    return scattered(shape, "pebbles", count, draw)


@cache
def shells(shape, time):
    return pebbles(shape, time, ((255, 232, 214), (240, 190, 160), (224, 196, 156))[shape % 3], 6)


@cache
def drifts(shape, time):
    def draw(pen, rng, x, y, size):
        half = 26 * size * rng.uniform(0.7, 1.3)
        pen.ellipse([x - half, y - 0.22 * half, x + half, y + 0.22 * half], fill=paint(lit((216, 228, 246), time)))
        pen.ellipse([x - half, y - 0.3 * half, x + half, y + 0.12 * half], fill=paint(lit((250, 252, 255), time)))

    return scattered(shape, "drifts", 6, draw)


@cache
def tufts(shape, time):
    def draw(pen, rng, x, y, size):
        for lean in (-6, 0, 6):
            color = lit(np.add((94, 152, 72), rng.uniform(-8, 12)), time)
            pen.line([(x + 0.4 * lean, y), (x + lean * size, y - 12 * size)], fill=paint(color), width=4)

    return scattered(shape, "tufts", 9, draw)


@cache
def mushrooms(shape, time):
    """Grass and small stones on the forest floor."""
    def draw(pen, rng, x, y, size):
        if rng.random() < 0.7:
            for lean in (-5, 0, 5):
                pen.line([(x, y), (x + lean * size, y - 10 * size)], fill=paint(lit((96, 142, 68), time)), width=4)
        else:
            r = 5 * size
            pen.ellipse([x - r, y - 0.6 * r, x + r, y + 0.6 * r], fill=paint(lit((150, 146, 136), time)))

    return scattered(shape, "floor", 9, draw)


@cache
def glints(shape, time):
    """Short streaks of light on water."""
    color = {"day": (214, 242, 250), "sunset": (255, 206, 150), "night": (96, 122, 176)}[time]

    def draw(pen, rng, x, y, size):
        half = 24 * size * rng.uniform(0.6, 1.4)
        pen.ellipse([x - half, y - 3 * size, x + half, y + 3 * size], fill=(*color, 90))

    return scattered(shape, "glints", 12, draw)


STRIPS = {
    f.__name__: f
    for f in (
        firs, snowy_firs, village, mesas, peaks, islands, skyline, houses, woods, grove, autumn, trunks,
        flowers, pebbles, shells, drifts, tufts, mushrooms, glints,
    )
}  # fmt: skip


# -- the places -------------------------------------------------------------------------------------------------------


def land(picture, rng, time, line, upper, lower, hills=2, height=5, far=0.3):
    """Ground from row ``line`` down, in ``hills`` rolling layers, the first of them in the haze."""
    tint = rng.uniform(0.96, 1.04, 3)
    upper, lower = np.multiply(upper, tint), np.multiply(lower, tint)
    for k in range(hills):
        edge = line + (SIZE - line) * 0.26 * k + rolling(rng, height * (1 - 0.2 * k), rng.uniform(0.6, 1.3))
        fade = far * (1 - k / max(1, hills - 0.5))
        shade = 1 - 0.07 * k
        colors = column(edge.mean(), SIZE, lit(upper * shade, time, fade), lit(lower * shade, time, 0.3 * fade))
        fill(picture, edge, colors)


def water(picture, rng, time, sun, top, bottom):
    """Water between two rows, with glints and the path of the sun."""
    far, near = pick(
        rng,
        {
            "day": (((60, 150, 210), (110, 205, 225)), ((26, 84, 160), (50, 130, 196)), ((72, 172, 200), (140, 220, 214)), ((92, 128, 140), (128, 164, 166))),
            "sunset": (((150, 80, 120), (240, 150, 110)), ((110, 74, 140), (226, 132, 130)), ((170, 88, 84), (248, 170, 96)), ((96, 44, 66), (190, 90, 70))),
            "night": (((16, 26, 70), (36, 56, 110)), ((22, 18, 66), (52, 44, 108)), ((10, 34, 66), (26, 76, 108)), ((44, 68, 120), (80, 112, 160))),
        }[time],
    )
    fill(picture, top, column(top, bottom, far, near))
    strip(picture, rng, "glints", time, top + 84)
    if time != "day":
        away = Y[int(top) :, :1] - np.float32(int(top))
        path = np.exp(-(((X[:1] - np.float32(sun)) / (5 + 0.16 * away)) ** 2))
        path *= (0.75 + 0.25 * np.sin(4.4 * np.sqrt(away))) * np.float32(0.6 if time == "sunset" else 0.3)
        blend(picture[int(top) :], path, np.asarray((255, 228, 160), np.float32) / 255)


def beach(picture, rng, time, line):
    sun = sky(picture, rng, time, line)
    if rng.random() < 0.5:
        strip(picture, rng, "islands", time, line + 1)
    shore = line + rng.uniform(0.1, 0.22) * SIZE
    water(picture, rng, time, sun, line, shore)
    edge = shore + rolling(rng, 4, rng.uniform(0.5, 1.2)) + rng.uniform(-0.12, 0.12) * (X[:1] - SIZE / 2)
    fill(picture, edge - np.float32(rng.uniform(2, 4)), lit((250, 250, 245), time) / 255)
    sand = np.multiply(pick(rng, ((248, 222, 166), (250, 230, 190), (240, 206, 150))), 1.0)
    fill(picture, edge, column(edge.mean(), SIZE, lit(sand * 0.92, time), lit(sand, time)))
    strip(picture, rng, "shells", time, SIZE + 20)


def sea(picture, rng, time, line):
    sun = sky(picture, rng, time, line)
    if rng.random() < 0.4:
        strip(picture, rng, "islands", time, line + 1)
    water(picture, rng, time, sun, line, SIZE)


def meadow(picture, rng, time, line):
    sky(picture, rng, time, line)
    if rng.random() < 0.3:
        strip(picture, rng, "peaks", time, line + 30)
    green = pick(rng, (((130, 196, 96), (64, 146, 52)), ((150, 204, 92), (88, 160, 56)), ((112, 184, 104), (52, 136, 66)), ((206, 188, 96), (164, 150, 62)), ((88, 150, 70), (38, 98, 46))))
    land(picture, rng, time, line, *green, hills=1, height=6)
    if rng.random() < 0.6:
        strip(picture, rng, "village", time, line + rng.uniform(4, 9))
    land(picture, rng, time, line + rng.uniform(0.05, 0.12) * SIZE, *green, hills=int(rng.integers(1, 3)), height=5, far=0.1)
    strip(picture, rng, "flowers", time, SIZE + 4)


def desert(picture, rng, time, line):
    sky(picture, rng, time, line, clouds=2)
    if rng.random() < 0.6:
        strip(picture, rng, "mesas", time, line + 4)
    sand = pick(rng, (((238, 186, 118), (232, 176, 104)), ((244, 200, 140), (224, 160, 92)), ((214, 132, 92), (184, 104, 72)), ((244, 228, 196), (222, 200, 160))))
    land(picture, rng, time, line, *sand, hills=3, height=7, far=0.2)
    strip(picture, rng, "pebbles", time, SIZE + 12)


def snow(picture, rng, time, line):
    sky(picture, rng, time, line)
    if rng.random() < 0.35:
        strip(picture, rng, "peaks", time, line + rng.uniform(16, 34))
    strip(picture, rng, "snowy_firs", time, line + 8)
    land(picture, rng, time, line, (240, 245, 255), (222, 234, 248), hills=2, height=6, far=0.15)
    strip(picture, rng, "drifts", time, SIZE + 6)
    if rng.random() < 0.5:
        fall = stars(int(rng.integers(SHAPES)), 16)
        paste(picture, fall, -int(rng.integers(WIDE - SIZE + 1)), 0)


def city(picture, rng, time, line):
    sky(picture, rng, time, line, clouds=2)
    strip(picture, rng, "skyline", time, line + 2)
    if rng.random() < 0.85:
        strip(picture, rng, "houses", time, line + 1)
    road = line + rng.uniform(0.05, 0.2) * SIZE
    walk = pick(rng, ((196, 190, 184), (186, 186, 196), (204, 188, 168)))
    fill(picture, line, column(line, road, lit(np.multiply(walk, 0.94), time), lit(walk, time)))
    fill(picture, road, lit((150, 146, 144), time) / 255)
    asphalt = pick(rng, ((104, 106, 116), (96, 104, 110), (118, 112, 112)))
    fill(picture, road + 2, column(road, SIZE, lit(asphalt, time), lit(np.multiply(asphalt, 0.9), time)))
    middle, shift = (road + SIZE) / 2 + rng.uniform(-4, 8), rng.uniform(0, 40)
    dashes = np.clip(1.6 - np.abs(Y - middle), 0, 1) * np.clip(9 - np.abs((X + shift) % 34 - 17), 0, 1)
    blend(picture, dashes, lit((250, 240, 200), time) / 255)


def forest(picture, rng, time, line):
    sky(picture, rng, time, line, clouds=1)
    fill(picture, line - 30, lit((70, 130, 96), time, 0.25) / 255)
    strip(picture, rng, pick(rng, ("woods", "grove", "autumn")), time, line + 4)
    moss = pick(rng, (((96, 140, 66), (62, 98, 48)), ((120, 128, 66), (84, 92, 50)), ((84, 136, 84), (48, 96, 60)), ((176, 124, 70), (134, 92, 56))))
    land(picture, rng, time, line, *moss, hills=2, height=3, far=0.05)
    if rng.random() < 0.4:
        strip(picture, rng, "trunks", time, line + 8)
    strip(picture, rng, "mushrooms", time, SIZE + 8)


def mountains(picture, rng, time, line):
    sky(picture, rng, time, line)
    strip(picture, rng, "peaks", time, line + 9)
    grass = pick(rng, (((120, 176, 92), (84, 142, 66)), ((140, 172, 104), (96, 138, 78)), ((104, 164, 104), (66, 128, 80))))
    land(picture, rng, time, line, *np.multiply(grass, 0.82), hills=1, height=4, far=0.15)
    if rng.random() < 0.6:
        strip(picture, rng, "firs", time, line + rng.uniform(6, 12))
    land(picture, rng, time, line + rng.uniform(0.06, 0.14) * SIZE, *grass, hills=2, height=5, far=0.05)
    strip(picture, rng, pick(rng, ("tufts", "pebbles")), time, SIZE + 6)


@cache
def window(shape, time):
    """A window with curtains, and the sky outside."""
    rng = shape_rng("window", shape)
    width, height = int(rng.uniform(34, 58)), int(rng.uniform(34, 50))
    view = np.empty((SIZE, SIZE, 3), np.float32)
    sky(view, rng, time, np.float32(SIZE), clouds=4)
    if rng.random() < 0.6:
        land(view, rng, time, 0.72 * SIZE, (120, 180, 100), (80, 150, 70), hills=2, height=8)
    view = Image.fromarray((np.clip(view, 0, 1) * 255).astype(np.uint8)).resize((2 * width, 2 * height))
    image, pen = paper(width + 24, height + 16)
    image.paste(view, (24, 10))
    frame = paint(indoors((250, 246, 238), time))
    pen.rectangle([19, 5, 28 + 2 * width, 14 + 2 * height], outline=frame, width=6)
    pen.line([(24 + width, 8), (24 + width, 10 + 2 * height)], fill=frame, width=4)
    if rng.random() < 0.5:
        pen.line([(24, 10 + 0.45 * height), (24 + 2 * width, 10 + 0.45 * height)], fill=frame, width=4)
    pen.rectangle([12, 13 + 2 * height, 36 + 2 * width, 18 + 2 * height], fill=frame)
    curtain = indoors(pick(rng, ((220, 90, 90), (90, 140, 200), (110, 170, 110), (230, 170, 80), (190, 140, 200))), time)
    if rng.random() < 0.75:
        for edge, inward in ((24, 1), (24 + 2 * width, -1)):
            for k, tone in enumerate((1.0, 0.88)):
                inner = 20 - 9 * k
                pen.polygon(
                    [(edge - 20 * inward, 2), (edge + inner * inward, 2), (edge + 0.25 * inner * inward, 1.4 * height), (edge - 20 * inward, 2 * height + 22)],
                    fill=paint(curtain * tone),
                )
    return cutout(image)


@cache
def painting(shape, time):
    """A framed picture for the wall."""
    rng = shape_rng("painting", shape)
    width, height = int(rng.uniform(18, 30)), int(rng.uniform(16, 28))
    image, pen = paper(width, height)
    pen.rectangle([0, 0, 2 * width, 2 * height], fill=paint(indoors(pick(rng, ((150, 104, 70), (240, 236, 226), (70, 64, 70))), time)))
    pen.rectangle([5, 5, 2 * width - 6, 2 * height - 6], fill=paint(indoors(pick(rng, ((190, 220, 236), (250, 226, 190), (230, 200, 214))), time)))
    x, y, r = rng.uniform(0.3, 0.7) * 2 * width, rng.uniform(0.35, 0.5) * 2 * height, 0.28 * min(width, height)
    pen.ellipse([x - r, y - r, x + r, y + r], fill=paint(indoors(pick(rng, ((250, 180, 90), (236, 110, 100))), time)))
    pen.rectangle([5, 1.35 * height, 2 * width - 6, 2 * height - 6], fill=paint(indoors(pick(rng, ((110, 160, 110), (100, 130, 190), (180, 140, 110))), time)))
    return cutout(image)


@cache
def boards(shape, time):
    """Floor boards that run away from the viewer, or tiles."""
    rng = shape_rng("boards", shape)
    floor = np.asarray(((196, 142, 92), (170, 118, 80), (214, 170, 120), (206, 196, 190), (150, 110, 96))[shape % 5], np.float32)
    y, x = np.mgrid[0:120, 0 : 2 * WIDE].astype(np.float32)
    nearness = (y + 60) / 120
    across = (x - WIDE) / nearness / rng.uniform(44, 60)
    tone = 1 - 0.08 * np.clip(1.5 - np.abs((across + 0.5) % 1 - 0.5) * 44 * nearness, 0, 1)
    if shape % 3 == 0:
        down = np.log(nearness) * 5
        tone *= 1 - 0.07 * (((across % 2) < 1) ^ ((down % 2) < 1))
    tone *= 0.88 + 0.18 * y / 120
    rgb = np.clip(indoors(floor, time) * tone[..., None], 0, 255)
    return cutout(Image.fromarray(np.dstack([rgb, np.full_like(y, 255)]).astype(np.uint8)))


def room(picture, rng, time, line):
    wall = pick(rng, ((250, 226, 196), (205, 226, 240), (214, 236, 208), (246, 208, 210), (226, 214, 240), (240, 236, 226), (104, 140, 150), (170, 96, 92), (96, 108, 156), (134, 152, 110), (92, 90, 106)))
    picture[:] = column(0, SIZE, indoors(wall, time), indoors(np.multiply(wall, 0.93), time))
    if rng.random() < 0.4:
        step = rng.uniform(10, 26)
        stripes = np.clip(0.22 * step - np.abs((X + rng.uniform(0, step)) % step - step / 2), 0, 1)
        blend(picture, 0.35 * stripes, indoors(np.multiply(wall, 0.9), time) / 255)
    shape, x = int(rng.integers(SHAPES)), rng.uniform(0.02, 0.98) * SIZE
    if rng.random() < 0.8:
        pane = window(shape, time)
        paste(picture, pane, round(x - pane.shape[1] / 2), round(float(rng.uniform(0.04, 0.3) * (line - pane.shape[0]))))
    for _ in range(int(rng.integers(3))):
        frame, at = painting(int(rng.integers(SHAPES)), time), (x + rng.uniform(46, 100)) % (SIZE + 20) - 10
        paste(picture, frame, round(at - frame.shape[1] / 2), round(float(rng.uniform(0.1, 0.35) * line)))
    fill(picture, line - 4, indoors(np.add(np.multiply(wall, 1.02), 4), time) / 255)
    floor = boards(int(rng.integers(SHAPES)), time)
    paste(picture, floor, -int(rng.integers(WIDE - SIZE + 1)), round(float(line)))
    rug, middle, half = pick(rng, ((200, 90, 100), (90, 120, 180), (120, 160, 120), (220, 190, 140))), rng.uniform(0.2, 0.8), rng.uniform(0.26, 0.46)
    if rng.random() < 0.7:
        row = (line + SIZE) / 2 + rng.uniform(-2, 6)
        distance = np.hypot((X - middle * SIZE) / (half * SIZE), (Y - row) / (0.36 * (SIZE - line)))
        edge = 16 * (1 - distance)
        blend(picture, np.clip(edge, 0, 1), indoors(rug, time) / 255)
        blend(picture, np.clip(1 - np.abs(edge - 3) / 1.3, 0, 1), indoors(np.add(rug, 40), time) / 255)


@cache
def planet(shape):
    """A planet, banded or with a ring."""
    rng = shape_rng("planet", shape)
    r = rng.uniform(8, 26)
    half = int(2.1 * r) + 2
    y, x = np.mgrid[-half : half + 1, -half : half + 1].astype(np.float32)
    color = np.asarray(
        ((240, 150, 80), (90, 190, 220), (220, 100, 130), (230, 210, 150), (140, 120, 230), (110, 190, 140))[shape % 6], np.float32
    )
    distance = np.hypot(x, y)
    shade = np.clip(0.25 + 0.9 * (1 - np.hypot(x + 0.4 * r, y + 0.4 * r) / (1.5 * r)), 0.2, 1.1)
    if shape % 2:
        shade *= 1 - 0.1 * (np.sin((y + 0.3 * x) / r * rng.uniform(5, 9)) > 0.2)
    alpha = np.clip(r - distance + 0.5, 0, 1)
    rgb = np.clip(color * shade[..., None], 0, 255) * alpha[..., None]
    if shape % 3 == 0:
        tilt = rng.uniform(-0.5, 0.5)
        ring = np.hypot(x / (1.8 * r), (y + tilt * x) / (0.42 * r))
        band = 0.8 * np.clip(1 - np.abs(ring - 0.85) * 8, 0, 1) * ~((distance < r) & (y < -tilt * x))
        rgb += band[..., None] * (color * 0.6 + 90 - rgb)
        alpha += band * (1 - alpha)
    return planar((np.dstack([rgb, 255 * alpha]) + 0.5).astype(np.uint8))


def space(picture, rng, time, line):
    picture[:] = np.asarray(pick(rng, ((14, 8, 36), (6, 12, 34), (22, 8, 30), (36, 30, 84), (8, 36, 60))), np.float32) / 255
    for _ in range(int(rng.integers(2, 5))):
        x, y, r = rng.uniform(0, SIZE), rng.uniform(0, SIZE), rng.uniform(0.25, 0.6) * SIZE
        nebula = pick(rng, ((120, 40, 160), (40, 70, 190), (180, 40, 120), (30, 120, 150), (190, 90, 60)))
        glow = np.exp(-(((X[:1] - np.float32(x)) / np.float32(r)) ** 2)) * np.exp(-(((Y[:, :1] - np.float32(y)) / np.float32(r)) ** 2))
        color = np.asarray(nebula, np.float32) * np.float32(rng.uniform(0.26, 0.48) / 255)
        picture += np.multiply.outer(color, glow).transpose(1, 2, 0)
    paste(picture, stars(int(rng.integers(SHAPES)), 18), -int(rng.integers(WIDE - SIZE + 1)), 0)
    for _ in range(int(rng.integers(3))):
        ball = planet(int(rng.integers(2 * SHAPES)))
        x, y = rng.uniform(0, SIZE), rng.uniform(0, 0.6 * SIZE)
        paste(picture, ball, round(x) - ball.shape[1] // 2, round(y) - ball.shape[0] // 2)


DRAW = {f.__name__: f for f in (beach, meadow, desert, snow, city, room, forest, sea, space, mountains)}

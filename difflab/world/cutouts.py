"""Cut-outs of the paper theater in which scenes are played: clouds, trees, houses, mountains, what lies on the ground.

Each is drawn once for every shape and time, at twice its size, and is uint8 RGBA, premultiplied, as sprites are. All
colors are 0-255 triples.
"""

from functools import cache

import numpy as np
from PIL import Image, ImageDraw

from .sprites import SIZE, planar

SHAPES = 10  # different cut-outs of each kind
WIDE = 208  # of a cut-out that reaches from side to side, wherever it is moved
HAZE = {"day": (206, 230, 246), "sunset": (250, 168, 120), "night": (52, 62, 118)}  # what far things fade into
LIGHT = {"day": (1, 1, 1), "sunset": (1.0, 0.76, 0.68), "night": (0.35, 0.41, 0.67)}  # what the ground reflects
INDOORS = {"day": (1, 1, 1), "sunset": (1, 0.86, 0.76), "night": (0.46, 0.45, 0.6)}


def lit(color, time, far=0.0):
    """A daylight color as it looks at ``time``, faded into the haze by ``far``."""
    color = np.asarray(color, np.float32) * np.asarray(LIGHT[time], np.float32)
    return color + np.float32(far) * (np.asarray(HAZE[time], np.float32) - color)


def indoors(color, time):
    return np.clip(np.asarray(color, np.float32) * np.asarray(INDOORS[time], np.float32), 0, 255)


def pick(rng, options):
    return options[int(rng.integers(len(options)))]


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
    for dx, dy, r, tone in (
        (0.14, 0.5, 0.3, 0.84),
        (-0.16, 0.52, 0.28, 0.94),
        (0, 0.7, 0.3, 1.0),
        (-0.1, 0.72, 0.16, 1.1),
    ):
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
    cap = [
        (0, 0),
        (left * s, s),
        (0.45 * left * s, 0.78 * s),
        (0, 1.15 * s),
        (0.5 * right * s, 0.8 * s),
        (right * s, s),
    ]
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
            [x - 0.62 * half, 72 - height, x + 0.62 * half, 72 - height + 5],
            fill=paint(lit((232, 158, 112), time, 0.3)),
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
                glass = (
                    lit(np.multiply(wall, 0.4) + (100, 122, 140), time) if time == "day" or dark else (246, 206, 122)
                )
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
            [(x + 0.3 * half, 0), (x + half, 0), (x + 1.5 * half, base), (x + 0.4 * half, base)],
            fill=paint(color * 0.8),
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
    petals = (
        ((255, 255, 255), (255, 220, 90)),
        ((250, 130, 170), (255, 255, 255)),
        ((190, 130, 240), (255, 240, 150)),
        ((255, 96, 84), (255, 224, 120)),
    )[shape % 4]

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
def undergrowth(shape, time):
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
        flowers, pebbles, shells, drifts, tufts, undergrowth, glints,
    )
}  # fmt: skip


@cache
def painting(shape, time):
    """A framed picture for the wall."""
    rng = shape_rng("painting", shape)
    width, height = int(rng.uniform(18, 30)), int(rng.uniform(16, 28))
    image, pen = paper(width, height)
    pen.rectangle(
        [0, 0, 2 * width, 2 * height],
        fill=paint(indoors(pick(rng, ((150, 104, 70), (240, 236, 226), (70, 64, 70))), time)),
    )
    pen.rectangle(
        [5, 5, 2 * width - 6, 2 * height - 6],
        fill=paint(indoors(pick(rng, ((190, 220, 236), (250, 226, 190), (230, 200, 214))), time)),
    )
    x, y, r = rng.uniform(0.3, 0.7) * 2 * width, rng.uniform(0.35, 0.5) * 2 * height, 0.28 * min(width, height)
    pen.ellipse([x - r, y - r, x + r, y + r], fill=paint(indoors(pick(rng, ((250, 180, 90), (236, 110, 100))), time)))
    pen.rectangle(
        [5, 1.35 * height, 2 * width - 6, 2 * height - 6],
        fill=paint(indoors(pick(rng, ((110, 160, 110), (100, 130, 190), (180, 140, 110))), time)),
    )
    return cutout(image)


@cache
def boards(shape, time):
    """Floor boards that run away from the viewer, or tiles."""
    rng = shape_rng("boards", shape)
    floor = np.asarray(
        ((196, 142, 92), (170, 118, 80), (214, 170, 120), (206, 196, 190), (150, 110, 96))[shape % 5], np.float32
    )
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


@cache
def planet(shape):
    """A planet, banded or with a ring."""
    rng = shape_rng("planet", shape)
    r = rng.uniform(8, 26)
    half = int(2.1 * r) + 2
    y, x = np.mgrid[-half : half + 1, -half : half + 1].astype(np.float32)
    color = np.asarray(
        ((240, 150, 80), (90, 190, 220), (220, 100, 130), (230, 210, 150), (140, 120, 230), (110, 190, 140))[shape % 6],
        np.float32,
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

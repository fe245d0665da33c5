"""Ten places at three times of day, each set up like a paper theater: sky, sun and clouds, what is far, the ground.

A number decides where everything stands, the time only how it is lit, so that a place at another time is the same
place. Shapes are broad and textures sparse on purpose: at 128 pixels and 48-fold compression, fine grain would cost the
autoencoder dearly and teach the reader nothing.
"""

from functools import cache

import numpy as np
from PIL import Image

from .cutouts import (
    SHAPES,
    STRIPS,
    WIDE,
    boards,
    cloud,
    cutout,
    indoors,
    lit,
    paint,
    painting,
    paper,
    pick,
    planet,
    shape_rng,
    stars,
    sun,
)
from .nouns import PLACES
from .sprites import SIZE, paste, planar

# where the ground begins, as a fraction of the picture's height, from the highest to the lowest
HORIZON = {
    "beach": (0.26, 0.56), "meadow": (0.22, 0.6), "desert": (0.22, 0.6), "snow": (0.26, 0.6), "city": (0.44, 0.68),
    "room": (0.5, 0.7), "forest": (0.36, 0.66), "sea": (0.2, 0.58), "space": (0.0, 0.0), "mountains": (0.34, 0.64),
}  # fmt: skip
# what each place may be painted in: for the sky three colors from top to horizon, for ground and water far and near
SKY = {
    "day": (
        ((70, 155, 238), (140, 202, 250), (222, 242, 252)), ((48, 132, 222), (110, 184, 244), (196, 230, 250)),
        ((104, 184, 232), (170, 218, 240), (246, 244, 228)), ((138, 156, 184), (182, 194, 210), (222, 226, 230)),
        ((86, 140, 214), (172, 200, 224), (255, 230, 190)),
    ),
    "sunset": (
        ((78, 54, 130), (238, 104, 104), (255, 200, 112)), ((52, 62, 134), (206, 108, 150), (255, 182, 150)),
        ((122, 62, 112), (244, 124, 78), (255, 216, 110)), ((58, 30, 66), (186, 62, 60), (250, 146, 74)),
        ((140, 132, 192), (232, 172, 184), (255, 224, 190)),
    ),
    "night": (
        ((8, 12, 44), (22, 30, 82), (58, 70, 128)), ((12, 8, 38), (40, 26, 86), (92, 62, 128)),
        ((4, 16, 42), (12, 42, 82), (40, 90, 124)), ((4, 4, 18), (10, 12, 38), (26, 30, 68)),
        ((30, 48, 108), (50, 78, 146), (98, 126, 176)),
    ),
}  # fmt: skip
WATER = {
    "day": (
        ((60, 150, 210), (110, 205, 225)), ((26, 84, 160), (50, 130, 196)),
        ((72, 172, 200), (140, 220, 214)), ((92, 128, 140), (128, 164, 166)),
    ),
    "sunset": (
        ((150, 80, 120), (240, 150, 110)), ((110, 74, 140), (226, 132, 130)),
        ((170, 88, 84), (248, 170, 96)), ((96, 44, 66), (190, 90, 70)),
    ),
    "night": (
        ((16, 26, 70), (36, 56, 110)), ((22, 18, 66), (52, 44, 108)),
        ((10, 34, 66), (26, 76, 108)), ((44, 68, 120), (80, 112, 160)),
    ),
}  # fmt: skip
GRASS = (
    ((130, 196, 96), (64, 146, 52)), ((150, 204, 92), (88, 160, 56)), ((112, 184, 104), (52, 136, 66)),
    ((206, 188, 96), (164, 150, 62)), ((88, 150, 70), (38, 98, 46)),
)  # fmt: skip
ALPS = ((120, 176, 92), (84, 142, 66)), ((140, 172, 104), (96, 138, 78)), ((104, 164, 104), (66, 128, 80))
MOSS = (
    ((96, 140, 66), (62, 98, 48)), ((120, 128, 66), (84, 92, 50)),
    ((84, 136, 84), (48, 96, 60)), ((176, 124, 70), (134, 92, 56)),
)  # fmt: skip
DUNES = (
    ((238, 186, 118), (232, 176, 104)), ((244, 200, 140), (224, 160, 92)),
    ((214, 132, 92), (184, 104, 72)), ((244, 228, 196), (222, 200, 160)),
)  # fmt: skip
SAND = (248, 222, 166), (250, 230, 190), (240, 206, 150)
WALLS = (
    (250, 226, 196), (205, 226, 240), (214, 236, 208), (246, 208, 210), (226, 214, 240), (240, 236, 226),
    (104, 140, 150), (170, 96, 92), (96, 108, 156), (134, 152, 110), (92, 90, 106),
)  # fmt: skip
CURTAINS = (220, 90, 90), (90, 140, 200), (110, 170, 110), (230, 170, 80), (190, 140, 200)
RUGS = (200, 90, 100), (90, 120, 180), (120, 160, 120), (220, 190, 140)
DARK = (14, 8, 36), (6, 12, 34), (22, 8, 30), (36, 30, 84), (8, 36, 60)
NEBULAE = (120, 40, 160), (40, 70, 190), (180, 40, 120), (30, 120, 150), (190, 90, 60)
WEATHER = {"day": (0.8, 1.07), "sunset": (0.78, 1.1), "night": (0.72, 1.4)}  # how bright, at least and at most
Y = np.arange(SIZE, dtype=np.float32)[:, None] + np.float32(0.5)  # the rows of a picture; its columns: `across`


def horizon(place, number):
    """Where the ground of a place begins, as a fraction of the picture's height; 0 in space, which has none."""
    return np.random.default_rng([PLACES.index(place), number]).uniform(*HORIZON[place])


def backdrop(place, time, number, width=SIZE):
    """The place with number ``number`` at a time of day: (128, width, 3) float32 in [0, 1]. More ``width`` shows what
    is to the right of the picture."""
    rng = np.random.default_rng([PLACES.index(place), number])
    line = np.float32(rng.uniform(*HORIZON[place]) * SIZE)
    dim, bright = WEATHER[time]
    light = (dim + (bright - dim) * rng.random()) * rng.uniform(0.91, 1.09, 3)
    picture = planar(np.empty((SIZE, width, 3), np.float32))
    DRAW[place](picture, rng, time, line)
    picture *= light.astype(np.float32)
    return np.clip(picture, 0, 1, out=picture)


# -- paint: all pictures are float32 in [0, 1] ------------------------------------------------------------------------


def across(picture):
    """The columns of a picture: (1, width)."""
    return np.arange(picture.shape[1], dtype=np.float32)[None] + np.float32(0.5)


def column(top, bottom, first, last):
    """Colors for every row of the picture, from ``first`` at row ``top`` to ``last`` at row ``bottom``: (128, 1, 3)."""
    along = np.clip((Y - top) / max(bottom - top, 1), 0, 1)[..., None]
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


def rolling(picture, rng, height, waves=1.0):
    """A rolling line, ``height`` pixels up and down: an offset for every column."""
    wave, start = rng.uniform(0.7, 1.3, (3, 1)) * [[1], [2], [3]] * waves, rng.random((3, 1))
    line = (np.sin(2 * np.pi * (across(picture) / SIZE * wave + start)) / [[1], [2.8], [5.2]]).sum(0)
    return (height * line).astype(np.float32)


def strip(picture, rng, kind, time, foot):
    """Paste a cut-out of ``kind`` that reaches from side to side, its foot at row ``foot``."""
    shape, shift, mirror = int(rng.integers(SHAPES)), int(rng.integers(WIDE - SIZE + 1)), rng.random() < 0.5
    rgba = STRIPS[kind](shape, time)
    unroll(picture, rgba[:, ::-1] if mirror else rgba, shift, round(float(foot)) - rgba.shape[0])


def unroll(picture, rgba, shift, y):
    """Paste a cut-out that reaches from side to side, its first ``shift`` columns outside, its top at row ``y``. Where
    a wide picture goes on beyond its end, so does its mirror image."""
    paste(picture, rgba, -shift, y)
    if (end := rgba.shape[1] - shift) < picture.shape[1]:
        paste(picture, rgba[:, ::-1], end, y)


def sky(picture, rng, time, line, clouds=4):
    """Sky down to row ``line``, with stars or clouds, and mostly a sun or a moon. Returns the sun's column."""
    top, middle, low = pick(rng, SKY[time])
    bend = 0.6 * line
    picture[:] = np.where(Y[..., None] < bend, column(0, bend, top, middle), column(bend, line, middle, low))
    shape, shift = int(rng.integers(SHAPES)), int(rng.integers(WIDE - SIZE + 1))
    if time == "night":
        unroll(picture, stars(shape), shift, 0)
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


def land(picture, rng, time, line, upper, lower, hills=2, height=5, far=0.3):
    """Ground from row ``line`` down, in ``hills`` rolling layers, the first of them in the haze."""
    tint = rng.uniform(0.96, 1.04, 3)
    upper, lower = np.multiply(upper, tint), np.multiply(lower, tint)
    for k in range(hills):
        edge = line + (SIZE - line) * 0.26 * k + rolling(picture, rng, height * (1 - 0.2 * k), rng.uniform(0.6, 1.3))
        fade = far * (1 - k / max(1, hills - 0.5))
        shade = 1 - 0.07 * k
        colors = column(edge.mean(), SIZE, lit(upper * shade, time, fade), lit(lower * shade, time, 0.3 * fade))
        fill(picture, edge, colors)


def water(picture, rng, time, sun, top, bottom):
    """Water between two rows, with glints and the path of the sun."""
    far, near = pick(rng, WATER[time])
    fill(picture, top, column(top, bottom, far, near))
    strip(picture, rng, "glints", time, top + 84)
    if time != "day":
        away = Y[int(top) :] - np.float32(int(top))
        path = np.exp(-(((across(picture) - np.float32(sun)) / (5 + 0.16 * away)) ** 2))
        path *= (0.75 + 0.25 * np.sin(4.4 * np.sqrt(away))) * np.float32(0.6 if time == "sunset" else 0.3)
        blend(picture[int(top) :], path, np.asarray((255, 228, 160), np.float32) / 255)


# -- the places -------------------------------------------------------------------------------------------------------


def beach(picture, rng, time, line):
    sun = sky(picture, rng, time, line)
    if rng.random() < 0.5:
        strip(picture, rng, "islands", time, line + 1)
    shore = line + rng.uniform(0.1, 0.22) * SIZE
    water(picture, rng, time, sun, line, shore)
    edge = shore + rolling(picture, rng, 4, rng.uniform(0.5, 1.2))
    edge = edge + rng.uniform(-0.12, 0.12) * (across(picture) - SIZE / 2)
    fill(picture, edge - np.float32(rng.uniform(2, 4)), lit((250, 250, 245), time) / 255)
    sand = pick(rng, SAND)
    fill(picture, edge, column(edge.mean(), SIZE, lit(np.multiply(sand, 0.92), time), lit(sand, time)))
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
    green = pick(rng, GRASS)
    land(picture, rng, time, line, *green, hills=1, height=6)
    if rng.random() < 0.6:
        strip(picture, rng, "village", time, line + rng.uniform(4, 9))
    line += rng.uniform(0.05, 0.12) * SIZE
    land(picture, rng, time, line, *green, hills=int(rng.integers(1, 3)), far=0.1)
    strip(picture, rng, "flowers", time, SIZE + 4)


def desert(picture, rng, time, line):
    sky(picture, rng, time, line, clouds=2)
    if rng.random() < 0.6:
        strip(picture, rng, "mesas", time, line + 4)
    sand = pick(rng, DUNES)
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
        unroll(picture, fall, int(rng.integers(WIDE - SIZE + 1)), 0)


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
    dashes = np.clip(1.6 - np.abs(Y - middle), 0, 1) * np.clip(9 - np.abs((across(picture) + shift) % 34 - 17), 0, 1)
    blend(picture, dashes, lit((250, 240, 200), time) / 255)


def forest(picture, rng, time, line):
    sky(picture, rng, time, line, clouds=1)
    fill(picture, line - 30, lit((70, 130, 96), time, 0.25) / 255)
    strip(picture, rng, pick(rng, ("woods", "grove", "autumn")), time, line + 4)
    moss = pick(rng, MOSS)
    land(picture, rng, time, line, *moss, hills=2, height=3, far=0.05)
    if rng.random() < 0.4:
        strip(picture, rng, "trunks", time, line + 8)
    strip(picture, rng, "undergrowth", time, SIZE + 8)


def mountains(picture, rng, time, line):
    sky(picture, rng, time, line)
    strip(picture, rng, "peaks", time, line + 9)
    grass = pick(rng, ALPS)
    land(picture, rng, time, line, *np.multiply(grass, 0.82), hills=1, height=4, far=0.15)
    if rng.random() < 0.6:
        strip(picture, rng, "firs", time, line + rng.uniform(6, 12))
    land(picture, rng, time, line + rng.uniform(0.06, 0.14) * SIZE, *grass, hills=2, far=0.05)
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
    curtain = indoors(pick(rng, CURTAINS), time)
    if rng.random() < 0.75:
        for edge, inward in ((24, 1), (24 + 2 * width, -1)):
            for k, tone in enumerate((1.0, 0.88)):
                inner = 20 - 9 * k
                pen.polygon(
                    [
                        (edge - 20 * inward, 2),
                        (edge + inner * inward, 2),
                        (edge + 0.25 * inner * inward, 1.4 * height),
                        (edge - 20 * inward, 2 * height + 22),
                    ],
                    fill=paint(curtain * tone),
                )
    return cutout(image)


def room(picture, rng, time, line):
    wall = pick(rng, WALLS)
    picture[:] = column(0, SIZE, indoors(wall, time), indoors(np.multiply(wall, 0.93), time))
    if rng.random() < 0.4:
        step = rng.uniform(10, 26)
        stripes = np.clip(0.22 * step - np.abs((across(picture) + rng.uniform(0, step)) % step - step / 2), 0, 1)
        blend(picture, 0.35 * stripes, indoors(np.multiply(wall, 0.9), time) / 255)
    shape, x = int(rng.integers(SHAPES)), rng.uniform(0.02, 0.98) * SIZE
    if rng.random() < 0.8:
        pane = window(shape, time)
        top = rng.uniform(0.04, 0.3) * (line - pane.shape[0])
        paste(picture, pane, round(x - pane.shape[1] / 2), round(float(top)))
    for _ in range(int(rng.integers(3))):
        frame, at = painting(int(rng.integers(SHAPES)), time), (x + rng.uniform(46, 100)) % (SIZE + 20) - 10
        paste(picture, frame, round(at - frame.shape[1] / 2), round(float(rng.uniform(0.1, 0.35) * line)))
    fill(picture, line - 4, indoors(np.add(np.multiply(wall, 1.02), 4), time) / 255)
    floor = boards(int(rng.integers(SHAPES)), time)
    unroll(picture, floor, int(rng.integers(WIDE - SIZE + 1)), round(float(line)))
    rug, middle, half = pick(rng, RUGS), rng.uniform(0.2, 0.8), rng.uniform(0.26, 0.46)
    if rng.random() < 0.7:
        row = (line + SIZE) / 2 + rng.uniform(-2, 6)
        distance = np.hypot((across(picture) - middle * SIZE) / (half * SIZE), (Y - row) / (0.36 * (SIZE - line)))
        edge = 16 * (1 - distance)
        blend(picture, np.clip(edge, 0, 1), indoors(rug, time) / 255)
        blend(picture, np.clip(1 - np.abs(edge - 3) / 1.3, 0, 1), indoors(np.add(rug, 40), time) / 255)


def space(picture, rng, time, line):
    picture[:] = np.asarray(pick(rng, DARK), np.float32) / 255
    for _ in range(int(rng.integers(2, 5))):
        x, y, r = rng.uniform(0, SIZE), rng.uniform(0, SIZE), rng.uniform(0.25, 0.6) * SIZE
        nebula = pick(rng, NEBULAE)
        x, y, r = np.float32(x), np.float32(y), np.float32(r)
        glow = np.exp(-(((across(picture) - x) / r) ** 2)) * np.exp(-(((Y - y) / r) ** 2))
        color = np.asarray(nebula, np.float32) * np.float32(rng.uniform(0.26, 0.48) / 255)
        picture += np.multiply.outer(color, glow).transpose(1, 2, 0)
    unroll(picture, stars(int(rng.integers(SHAPES)), 18), int(rng.integers(WIDE - SIZE + 1)), 0)
    for _ in range(int(rng.integers(3))):
        ball = planet(int(rng.integers(2 * SHAPES)))
        x, y = rng.uniform(0, SIZE), rng.uniform(0, 0.6 * SIZE)
        paste(picture, ball, round(x) - ball.shape[1] // 2, round(y) - ball.shape[0] // 2)


DRAW = {f.__name__: f for f in (beach, meadow, desert, snow, city, room, forest, sea, space, mountains)}

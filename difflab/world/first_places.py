"""Ten places at three times of day, drawn procedurally as panoramas that scenes are cut out of.

Shapes are broad and textures sparse on purpose: at 128 pixels and 48-fold compression, fine grain would cost the
autoencoder dearly and teach the reader nothing.
"""

from functools import cache

import numpy as np
from PIL import Image, ImageDraw

from .nouns import PLACES, TIMES

WIDTH, HEIGHT = 176, 140  # a panorama; scenes are 128 x 128 cut-outs of it
VARIANTS = 12  # different panoramas of each place at each time
W, H = 2 * WIDTH, 2 * HEIGHT  # drawn at twice the size, then reduced, for smooth edges

SKY = {
    "day": ((70, 155, 238), (140, 202, 250), (222, 242, 252)),
    "sunset": ((78, 54, 130), (238, 104, 104), (255, 200, 112)),
    "night": (((8, 12, 44)), (22, 30, 82), (58, 70, 128)),
}
LIGHT = {"day": (1, 1, 1), "sunset": (1.0, 0.72, 0.62), "night": (0.30, 0.36, 0.62)}  # what the ground reflects
YY, XX = np.mgrid[0:H, 0:W].astype(np.float32)


def lit(color, time):
    """A daylight color (0-255 triple) as it looks at ``time``."""
    return tuple(int(c) for c in np.clip(np.asarray(color) * LIGHT[time], 0, 255))


def blend(picture, mask, color):
    """Lay ``color`` over ``picture`` (H, W, 3) where ``mask`` (H, W) in [0, 1] says so."""
    picture += mask[..., None] * (np.asarray(color, np.float32) - picture)


def draw_on(picture):
    image = Image.fromarray(np.clip(picture, 0, 255).astype(np.uint8))
    return image, ImageDraw.Draw(image)


def sky(rng, time, horizon):
    """Sky, sun or moon, a few stars or clouds. Returns the picture (H, W, 3) and where the sun stands (pixels)."""
    top, middle, low = (np.asarray(c, np.float32) for c in SKY[time])
    y = np.clip(np.linspace(0, 1, H)[:, None] / horizon, 0, 1)
    column = np.where(y < 0.6, top + (middle - top) * y / 0.6, middle + (low - middle) * (y - 0.6) / 0.4)
    picture = np.repeat(column[:, None], W, 1).astype(np.float32)
    if time == "night":
        for _ in range(14):
            x, y0, r = rng.uniform(0, W), rng.uniform(0, horizon * H * 0.8), rng.uniform(1.6, 2.4)
            picture += np.exp(-((XX - x) ** 2 + (YY - y0) ** 2) / (r * r))[..., None] * 190
    x = rng.uniform(0.15, 0.85) * W
    if time == "sunset":
        y0, r, disc, glow, strength = (
            (horizon - rng.uniform(0.04, 0.14)) * H,
            0.09 * H,
            (255, 236, 170),
            (255, 190, 90),
            0.75,
        )
    elif time == "day":
        y0, r, disc, glow, strength = rng.uniform(0.1, 0.18) * H, 0.065 * H, (255, 246, 190), (255, 250, 220), 0.75
    else:
        y0, r, disc, glow, strength = rng.uniform(0.1, 0.2) * H, 0.07 * H, (244, 240, 214), (120, 130, 190), 0.35
    distance = np.hypot(XX - x, YY - y0)
    blend(picture, np.exp(-((distance / (2.6 * r)) ** 2)) * strength, glow)
    shown = np.clip(r - distance + 0.5, 0, 1)
    if time == "night":  # a crescent: the disc less a shifted disc
        shown *= 1 - np.clip(0.85 * r - np.hypot(XX - x - 0.45 * r, YY - y0 + 0.25 * r) + 0.5, 0, 1)
    else:
        for _ in range(2):
            cloud(picture, rng, horizon, (255, 255, 255) if time == "day" else (255, 170, 150))
    blend(picture, shown, disc)
    return picture, (x, y0)


def cloud(picture, rng, horizon, color):
    x, y, width = rng.uniform(0, W), rng.uniform(0.12, 0.55) * horizon * H, rng.uniform(0.08, 0.12) * W
    mask = np.zeros((H, W), np.float32)
    for offset in (-0.8, -0.3, 0.25, 0.8):
        r = width * rng.uniform(0.32, 0.5) * (1.1 - 0.4 * abs(offset))
        lobe = np.hypot(XX - x - offset * width, 1.4 * (YY - y + 0.15 * width * (1 - abs(offset))))
        mask = np.maximum(mask, np.clip((r - lobe) / 3, 0, 1))
    blend(picture, 0.85 * mask * np.clip((y + 0.16 * width - YY) / 4, 0, 1), color)


def ridge(rng, base, height, waves):
    """A rolling line: y (pixels) for every column."""
    x = np.arange(W) / W
    line = sum(np.sin(2 * np.pi * (x * waves * k * rng.uniform(0.7, 1.3) + rng.random())) / k**1.5 for k in (1, 2, 3))
    return base * H + height * line


def ground(picture, line, near_top, near_bottom):
    """Fill everything below ``line`` (y for every column) with a vertical shade."""
    shade = np.clip((YY - line.mean()) / max(8, H - line.mean()), 0, 1)[..., None]
    top, bottom = np.asarray(near_top, np.float32), np.asarray(near_bottom, np.float32)
    mask = np.clip(YY - line[None] + 0.5, 0, 1)[..., None]
    picture += mask * (top + (bottom - top) * shade - picture)


def water(picture, rng, time, sun, top, bottom):
    """Water between two heights (fractions), with broad swell and the sun's path on it."""
    far, near = {
        "day": ((60, 150, 210), (110, 205, 225)),
        "sunset": ((150, 80, 120), (240, 150, 110)),
        "night": ((16, 26, 70), (36, 56, 110)),
    }[time]
    depth = np.clip((YY - top * H) / ((bottom - top) * H), 0, 1)
    shade = np.asarray(far, np.float32) + (np.asarray(near, np.float32) - far) * depth[..., None]
    swell = np.sin(np.sqrt(np.maximum(YY - top * H, 0)) * 2.2 + 1.2 * np.sin(XX / 40 + rng.uniform(0, 6)))
    shade += np.clip(swell - 0.35, 0, 1)[..., None] * (22 if time != "night" else 12)
    if time != "day":
        path = np.exp(-(((XX - sun[0]) / (14 + 0.3 * (YY - top * H).clip(0))) ** 2)) * (
            0.75 if time == "sunset" else 0.35
        )
        shade += path[..., None] * (np.asarray((255, 225, 150)) - shade)
    picture += np.clip(YY - top * H + 0.5, 0, 1)[..., None] * (shade - picture)


def beach(rng, time):
    horizon = rng.uniform(0.42, 0.5)
    picture, sun = sky(rng, time, horizon)
    shore = rng.uniform(0.6, 0.66)
    water(picture, rng, time, sun, horizon, shore)
    line = ridge(rng, shore, 3.5, 1.2)
    ground(picture, line - 5, lit((250, 250, 245), time), lit((250, 250, 245), time))
    ground(picture, line, lit((226, 196, 140), time), lit((248, 222, 166), time))
    return picture, shore


def sea(rng, time):
    horizon = rng.uniform(0.42, 0.5)
    picture, sun = sky(rng, time, horizon)
    water(picture, rng, time, sun, horizon, 1.0)
    return picture, horizon


def hills(rng, time, layers):
    """Sky over rolling ground; ``layers`` gives (drop below the horizon, height, upper color, lower color)."""
    horizon = rng.uniform(0.42, 0.52)
    picture, _ = sky(rng, time, horizon)
    for drop, height, upper, lower in layers:
        ground(picture, ridge(rng, horizon + drop, height, 1.0), lit(upper, time), lit(lower, time))
    return picture, horizon


def meadow(rng, time):
    picture, horizon = hills(
        rng,
        time,
        [
            (0, 9, (130, 196, 120), (96, 170, 90)),
            (0.12, 8, (112, 190, 84), (80, 160, 60)),
            (0.26, 5, (104, 186, 70), (64, 146, 52)),
        ],
    )
    image, pen = draw_on(picture)
    for _ in range(14):
        x, y = rng.uniform(0, W), rng.uniform(horizon + 0.3, 1) * H
        r, petal = 2.5 + 4 * (y / H - 0.7), ((255, 255, 255), (255, 220, 90), (250, 130, 170))[rng.integers(3)]
        pen.ellipse([x - r, y - r, x + r, y + r], fill=lit(petal, time))
    return image, horizon


def desert(rng, time):
    return hills(
        rng,
        time,
        [
            (0, 10, (232, 170, 110), (220, 150, 90)),
            (0.1, 9, (238, 186, 118), (226, 160, 92)),
            (0.24, 6, (246, 204, 136), (232, 176, 104)),
        ],
    )


def snow(rng, time):
    horizon = rng.uniform(0.42, 0.52)
    picture, _ = sky(rng, time, horizon)
    image, pen = draw_on(picture)
    for x in np.arange(0.5, 5.5) / 5 * W + rng.uniform(-25, 25, 5):
        firs(pen, x, horizon * H + 14, rng.uniform(44, 64), [lit((214, 230, 238), time), lit((172, 200, 212), time)])
    picture = np.asarray(image).astype(np.float32)
    ground(picture, ridge(rng, horizon, 6, 0.9), lit((226, 236, 248), time), lit((206, 222, 240), time))
    ground(picture, ridge(rng, horizon + 0.16, 7, 0.8), lit((244, 248, 255), time), lit((222, 234, 248), time))
    image, pen = draw_on(picture)
    for _ in range(16):
        x, y, r = rng.uniform(0, W), rng.uniform(0, H), rng.uniform(2.4, 3.6)
        pen.ellipse([x - r, y - r, x + r, y + r], fill=(255, 255, 255) if time != "night" else (190, 200, 230))
    return image, horizon


def firs(pen, x, base, height, colors):
    """One fir tree of three tiers."""
    for tier in range(3):
        y, half = base - 0.26 * height * tier, height * (0.36 - 0.09 * tier)
        pen.polygon([(x - half, y), (x + half, y), (x, y - 0.5 * height)], fill=colors[tier % len(colors)])


def forest(rng, time):
    picture, _ = sky(rng, time, 0.6)
    image, pen = draw_on(picture)
    for count, color, height, base in (
        (7, (104, 160, 130), 150, 0.57),
        (6, (70, 132, 96), 160, 0.62),
        (5, (44, 104, 66), 180, 0.68),
    ):
        for x in (np.arange(count) + 0.5) / count * W + rng.uniform(-12, 12, count):
            pen.rectangle([x - 4, base * H - 20, x + 4, base * H + 8], fill=lit((92, 64, 46), time))
            firs(
                pen,
                x,
                base * H - 8,
                height * rng.uniform(0.85, 1.1),
                [lit(color, time), lit(np.multiply(color, 0.94), time)],
            )
    picture = np.asarray(image).astype(np.float32)
    ground(picture, ridge(rng, 0.66, 4, 1.3), lit((86, 128, 62), time), lit((62, 98, 48), time))
    return picture, 0.66


def mountains(rng, time):
    horizon = rng.uniform(0.44, 0.52)
    picture, _ = sky(rng, time, horizon)
    image, pen = draw_on(picture)
    for count, color, size in ((4, (128, 140, 176), 1.0), (5, (96, 112, 150), 0.72)):
        for x in (np.arange(count) + 0.5) / count * W + rng.uniform(-18, 18, count):
            peak(pen, x, horizon * H + 14, rng.uniform(80, 105) * size, rng.uniform(95, 130) * size, color, time)
    picture = np.asarray(image).astype(np.float32)
    ground(picture, ridge(rng, horizon + 0.03, 4, 1.2), lit((88, 140, 96), time), lit((70, 120, 80), time))
    ground(picture, ridge(rng, horizon + 0.18, 6, 1), lit((120, 176, 92), time), lit((84, 142, 66), time))
    return picture, horizon


def peak(pen, x, base, half, height, color, time):
    """One mountain with a shaded side and a snow cap."""
    top = base - height
    pen.polygon([(x - half, base), (x + half, base), (x, top)], fill=lit(color, time))
    pen.polygon([(x, top), (x + half, base), (x + 0.1 * half, base)], fill=lit(np.multiply(color, 0.85), time))
    s = 0.36
    cap = [(0, 0), (-s, s), (-0.45 * s, 0.8 * s), (0, 1.15 * s), (0.5 * s, 0.8 * s), (s, s)]
    pen.polygon([(x + half * u, top + height * v) for u, v in cap], fill=lit((250, 250, 255), time))


def city(rng, time):
    picture, _ = sky(rng, time, 0.66)
    image, pen = draw_on(picture)
    for row, (step, low, high) in enumerate(((46, 0.34, 0.54), (58, 0.2, 0.38))):
        for x in np.arange(-20, W, step):
            width, height = step - rng.uniform(2, 8), rng.uniform(low, high) * H
            wall = np.multiply(
                ((150, 160, 186), (176, 150, 150), (190, 176, 156), (120, 140, 176))[rng.integers(4)], 1.05 - 0.16 * row
            )
            pen.rectangle((float(x), 0.68 * H - height, float(x + width), 0.68 * H), fill=lit(wall, time))
            for wy in np.arange(0.68 * H - height + 10, 0.68 * H - 18, 22):
                for wx in np.arange(x + 7, x + width - 10, 17):
                    on = time != "day" and rng.random() < 0.5
                    pane = (
                        (255, 224, 130)
                        if on
                        else lit((206, 226, 240), time)
                        if time == "day"
                        else lit((90, 100, 130), time)
                    )
                    pen.rectangle([wx, wy, wx + 8, wy + 11], fill=pane)
    for top, bottom, color in (
        (0.68, 0.755, (196, 190, 184)),
        (0.755, 0.77, (150, 146, 144)),
        (0.77, 1, (104, 106, 116)),
    ):
        pen.rectangle([0, top * H, W, bottom * H], fill=lit(color, time))
    for x in np.arange(-60 + rng.uniform(0, 60), W, 60):
        pen.rectangle([x, 0.88 * H, x + 32, 0.9 * H], fill=lit((250, 240, 200), time))
    return image, 0.7


def room(rng, time):
    light = {"day": (1, 1, 1), "sunset": (1, 0.86, 0.76), "night": (0.42, 0.42, 0.58)}[time]
    tone = lambda color: tuple(int(c) for c in np.clip(np.multiply(color, light), 0, 255))  # noqa: E731
    wall = ((250, 226, 196), (205, 226, 240), (214, 236, 208), (246, 208, 210), (226, 214, 240))[rng.integers(5)]
    floor = ((196, 142, 92), (170, 118, 80), (214, 170, 120))[rng.integers(3)]
    skirting = int(rng.uniform(0.66, 0.72) * H)
    picture = np.empty((H, W, 3), np.float32)
    picture[:skirting], picture[skirting:] = tone(wall), tone(floor)
    picture[skirting:] *= np.linspace(0.86, 1.08, H - skirting)[:, None, None]
    width, height = int(rng.uniform(0.28, 0.34) * W), int(rng.uniform(0.34, 0.4) * H)
    x, y = int(rng.uniform(0.10, 0.56) * W), int(rng.uniform(0.08, 0.14) * H)
    outside, _ = sky(rng, time, 0.9)
    view = Image.fromarray(np.clip(outside, 0, 255).astype(np.uint8)).resize((width, height))
    image, pen = draw_on(picture)
    for k in range(-4, 13):
        pen.line(
            [(W / 2 + (k / 8 - 0.5) * W * 0.8, skirting), (W / 2 + (k / 8 - 0.5) * W * 1.6, H)],
            fill=tone(np.multiply(floor, 0.88)),
            width=3,
        )
    pen.rectangle([0, skirting - 8, W, skirting], fill=tone(np.add(np.multiply(wall, 1.03), 5)))
    image.paste(view, (x, y))
    frame = tone((250, 246, 238))
    pen.rectangle([x - 6, y - 6, x + width + 6, y + height + 6], outline=frame, width=8)
    pen.line([(x + width // 2, y), (x + width // 2, y + height)], fill=frame, width=6)
    curtain = tone(((220, 90, 90), (90, 140, 200), (110, 170, 110), (230, 170, 80))[rng.integers(4)])
    for edge, inward in ((x, 1), (x + width, -1)):
        pen.polygon(
            [
                (edge - 16 * inward, y - 10),
                (edge + 16 * inward, y - 10),
                (edge + 5 * inward, y + height * 0.6),
                (edge - 16 * inward, y + height + 8),
            ],
            fill=curtain,
        )
    rug = ((200, 90, 100), (90, 120, 180), (120, 160, 120), (220, 190, 140))[rng.integers(4)]
    cx, cy, half = rng.uniform(0.35, 0.65) * W, (skirting + H) / 2 + 6, rng.uniform(0.3, 0.4) * W
    pen.ellipse([cx - half, cy - 24, cx + half, cy + 24], fill=tone(rug))
    pen.ellipse([cx - half * 0.85, cy - 17, cx + half * 0.85, cy + 17], outline=tone(np.multiply(rug, 1.2)), width=4)
    return image, skirting / H


def space(rng, time):
    picture = np.zeros((H, W, 3), np.float32) + (14, 8, 36)
    for _ in range(3):
        x, y, r = rng.uniform(0, W), rng.uniform(0, H), rng.uniform(0.25, 0.5) * W
        nebula = ((120, 40, 160), (40, 70, 190), (180, 40, 120), (30, 120, 150))[rng.integers(4)]
        picture += np.exp(-((XX - x) ** 2 + (YY - y) ** 2) / (r * r))[..., None] * np.multiply(
            nebula, rng.uniform(0.35, 0.6)
        )
    for _ in range(26):
        x, y, r = rng.uniform(0, W), rng.uniform(0, H), rng.uniform(1.6, 2.6)
        picture += np.exp(-((XX - x) ** 2 + (YY - y) ** 2) / (r * r))[..., None] * rng.uniform(150, 240)
    x, y, r = rng.uniform(0.15, 0.85) * W, rng.uniform(0.1, 0.3) * H, rng.uniform(0.09, 0.14) * W
    planet = np.asarray(
        ((240, 150, 80), (90, 190, 220), (220, 100, 130), (230, 210, 150), (140, 120, 230))[rng.integers(5)], np.float32
    )
    distance = np.hypot(XX - x, YY - y)
    shade = np.clip(0.25 + 0.9 * (1 - np.hypot(XX - x + 0.4 * r, YY - y + 0.4 * r) / (1.5 * r)), 0.2, 1.1)
    mask = np.clip(r - distance + 0.5, 0, 1)[..., None]
    picture += mask * (planet * shade[..., None] - picture)
    ring = np.hypot((XX - x) / (1.8 * r), (YY - y + 0.25 * (XX - x)) / (0.42 * r))
    behind = (distance < r) & (YY < y - 0.25 * (XX - x))
    blend(picture, 0.8 * np.clip(1 - np.abs(ring - 0.85) * 8, 0, 1) * ~behind, planet * 0.6 + 90)
    return picture, 0.0


DRAW = {f.__name__: f for f in (beach, meadow, desert, snow, city, room, forest, sea, space, mountains)}


@cache
def panorama(place, time, variant):
    """A place at a time: picture (HEIGHT, WIDTH, 3) uint8, and its horizon as a fraction of the height."""
    rng = np.random.default_rng([PLACES.index(place), TIMES.index(time), variant])
    picture, horizon = DRAW[place](rng, time)
    if not isinstance(picture, Image.Image):
        picture, _ = draw_on(picture)
    return np.asarray(picture.resize((WIDTH, HEIGHT), Image.Resampling.BOX)), horizon

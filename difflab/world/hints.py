"""Hints: what a control sees of a scene, in the look that the field gives it, so that Stable Diffusion's take it, too.

>>> world.hint(scene, "depth")          # near is bright, as MiDaS paints it
>>> world.hint(scene, "sketch", seed=3) # as the fourth of many hands draws it

`canny` and the functions that paint (`paint_depth`, `paint_lines`, `paint_pose`, `paint_classes`, `sketch`) are for
pictures that come from elsewhere, too. All of it depends on its arguments alone.
"""

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageDraw

from .edits import grow
from .figure import BONES
from .nouns import HATS, NOUNS
from .render import ground_line, layers, render
from .sprites import SIZE

HINTS = ("depth", "canny", "sketch", "pose", "segmentation")


class Class(NamedTuple):
    """A class of a segmentation: its color, the nouns that it has, and the color of the class of ADE20K that is next to
    it, which Stable Diffusion's control knows."""

    color: tuple[int, int, int]
    nouns: tuple[str, ...]
    ade20k: tuple[int, int, int]


# Colors stay apart for people who lack any one of the three cones: 29 or more apart in CIELAB, simulated by Machado,
# Oliveira and Fernandes (2009).
CLASSES = {
    "backdrop": Class((136, 221, 255), (), (6, 230, 230)),  # the sky, a wall, and all that is far
    "ground": Class((153, 136, 85), (), (120, 120, 70)),  # what things stand on, and the sea
    "animal": Class((221, 136, 34), tuple(noun for noun in NOUNS if NOUNS[noun].animal), (0, 255, 235)),
    "person": Class((102, 0, 68), ("superhero", "robot", "snowman", "ghost", "alien"), (150, 5, 61)),
    "vehicle": Class((0, 0, 255), ("car", "bus", "tractor", "bicycle", "sailboat", "rocket"), (0, 102, 200)),
    "building": Class((119, 153, 153), ("house", "castle"), (180, 120, 120)),
    "furniture": Class((85, 0, 136), ("sofa",), (11, 102, 255)),
    "plant": Class((0, 68, 0), ("tree", "palm tree", "cactus", "sunflower", "mushroom"), (4, 200, 3)),
    "food": Class((255, 221, 0), ("apple", "cake", "burger", "pumpkin", "donut"), (163, 0, 255)),
    "object": Class((255, 17, 255), ("ball", "balloon", "gift", "teapot"), (255, 0, 143)),
    "hat": Class((238, 255, 238), tuple(HATS), (0, 112, 255)),
}
PALETTE, ADE20K = (np.array([getattr(c, name) for c in CLASSES.values()], np.uint8) for name in ("color", "ade20k"))
BACKDROP, GROUND = 0, 1
CLASS_OF = {noun: number for number, each in enumerate(CLASSES.values()) for noun in each.nouns}
# OpenPose's colors, of joints in the order of `figure.JOINTS`, and of limbs in that of `figure.BONES`
OPENPOSE = (
    (255, 0, 0), (255, 85, 0), (255, 170, 0), (255, 255, 0), (170, 255, 0), (85, 255, 0), (0, 255, 0),
    (0, 255, 85), (0, 255, 170), (0, 255, 255), (0, 170, 255), (0, 85, 255), (0, 0, 255), (85, 0, 255),
)  # fmt: skip
DOTS = 2  # pixels from one dot of a drawn line to the next
FINE = 4  # lines are drawn this many times as large, and shrunk


def hint(scene, kind: str, seed: int = 0) -> np.ndarray:
    """What a control of one of the HINTS sees of a scene: (128, 128, 3) uint8.

    kind: "depth", nearness, near is bright; "canny", white edges on black; "sketch", the lines that a hand draws, white
        on black; "pose", the superhero's skeleton in OpenPose's colors on black, all black without one; "segmentation",
        each pixel in its class's color, see CLASSES.
    seed: which hand sketches. The others do not depend on it.

    Raises ValueError for another kind.
    """
    check_kind(kind)
    if kind == "canny":
        return paint_lines(canny(render(scene)))
    masks, depth, skeletons = layers(scene)
    if kind == "depth":
        return paint_depth(depth)
    if kind == "pose":
        return paint_pose([joints for joints in skeletons if joints is not None])
    labels = classes(scene, masks)
    return paint_classes(labels) if kind == "segmentation" else sketch(masks > 0.5, labels == GROUND, seed)


def check_kind(kind: str) -> None:
    """Raises ValueError for what is none of the HINTS."""
    if kind not in HINTS:
        raise ValueError(f"no hint of kind {kind!r}; there are {', '.join(HINTS)}")


# -- depth and classes ------------------------------------------------------------------------------------------------


def paint_depth(nearness: np.ndarray) -> np.ndarray:
    """Nearness (H, W) in [0, 1], 1 in front, as a gray picture (H, W, 3) uint8."""
    return np.repeat((np.clip(nearness, 0, 1) * 255 + 0.5).astype(np.uint8)[..., None], 3, -1)


def classes(scene, masks: np.ndarray) -> np.ndarray:
    """The class that each pixel of a scene shows most of, a number into CLASSES: (128, 128) uint8.

    masks: (n, 128, 128), as in `world.truth`.
    """
    rows = np.arange(SIZE) + 0.5
    is_ground = (rows > SIZE * ground_line(scene)) & (scene.place != "space")
    behind = np.repeat(np.where(is_ground, GROUND, BACKDROP)[:, None], SIZE, 1)
    most = np.concatenate([1 - masks.sum(0, keepdims=True), masks]).argmax(0)
    numbers = np.array([BACKDROP, *(CLASS_OF[thing.noun] for thing in scene.things)])
    return np.where(most > 0, numbers[most], behind).astype(np.uint8)


def paint_classes(labels: np.ndarray, palette: np.ndarray = PALETTE) -> np.ndarray:
    """Numbers of classes (H, W) in their colors: (H, W, 3) uint8. With ADE20K as the palette, for Stable Diffusion."""
    return palette[labels]


def read_classes(picture: np.ndarray, palette: np.ndarray = PALETTE) -> np.ndarray:
    """The way back from a painted picture (H, W, 3): the class of the nearest color, (H, W) uint8."""
    away = np.asarray(picture)[..., None, :].astype(np.int32) - palette
    return (away**2).sum(-1).argmin(-1).astype(np.uint8)


# -- edges ------------------------------------------------------------------------------------------------------------


def canny(picture: np.ndarray, low: int = 50, high: int = 110) -> np.ndarray:
    """Canny's edges of a picture (H, W, 3) uint8: (H, W) bool, lines one pixel wide (Canny 1986).

    The picture is smoothed; of the channel that is steepest, what is steeper than its two neighbors across the edge is
    kept where it is above ``high``, or above ``low`` and connected to such an edge. Steepness is Sobel's, 0 to 1442.

    Raises ValueError for what is no such picture, and for a ``low`` above ``high`` or below 0.
    """
    picture = np.asarray(picture)
    if picture.dtype != np.uint8 or picture.ndim != 3 or not picture.size:
        raise ValueError(f"a picture is a uint8 array (H, W, 3), not {picture.dtype} {picture.shape}")
    if not 0 <= low <= high:
        raise ValueError(f"low={low} and high={high} must be 0 or above, and low not above high")
    smooth = picture.astype(np.int32)
    for axis in (0, 1):
        a, b, c, d, e = shifted(smooth, 2, axis)
        smooth = a + 4 * b + 6 * c + 4 * d + e
    (up, _, down), (left, _, right) = shifted(smooth, 1, 0), shifted(smooth, 1, 1)
    y, x = (a + 2 * b + c for a, b, c in (shifted(down - up, 1, 1), shifted(right - left, 1, 0)))
    steep = x.astype(np.int64) ** 2 + y.astype(np.int64) ** 2
    channel = steep.argmax(-1)[..., None]
    x, y, steep = (np.take_along_axis(each, channel, -1)[..., 0] for each in (x, y, steep))
    padded = np.pad(steep, 1)
    inside = [slice(1, -1), slice(None, -2), slice(2, None)]  # indices 0, -1, 1 pick the neighbors

    def crest(dy, dx):
        return (steep > padded[inside[-dy], inside[-dx]]) & (steep >= padded[inside[dy], inside[dx]])

    flat, upright = 1000 * abs(y) < 414 * abs(x), 1000 * abs(x) < 414 * abs(y)  # within 22.5 degrees
    slanted = np.where(x * y > 0, crest(1, 1), crest(1, -1))
    thin = np.where(flat, crest(0, 1), np.where(upright, crest(1, 0), slanted))
    weak, edges = thin & (steep > (256 * low) ** 2), thin & (steep > (256 * high) ** 2)
    while True:
        grown = np.logical_or.reduce(shifted(np.logical_or.reduce(shifted(edges, 1, 0)), 1, 1)) & weak
        if (grown == edges).all():
            return edges
        edges = grown


def shifted(array: np.ndarray, reach: int, axis: int) -> list[np.ndarray]:
    """The array moved by -reach to reach along an axis, its border repeated."""
    width = [(reach, reach) if each == axis else (0, 0) for each in range(array.ndim)]
    padded = np.moveaxis(np.pad(array, width, mode="edge"), axis, 0)
    n = array.shape[axis]
    return [np.moveaxis(padded[k : k + n], 0, axis) for k in range(2 * reach + 1)]


def paint_lines(lines: np.ndarray) -> np.ndarray:
    """Lines (H, W) bool, white on black: (H, W, 3) uint8."""
    return np.repeat(lines[..., None], 3, -1).astype(np.uint8) * np.uint8(255)


# -- pose -------------------------------------------------------------------------------------------------------------


def paint_pose(skeletons: Sequence[np.ndarray], size: int = 128) -> np.ndarray:
    """Skeletons as OpenPose paints them, as thick as on 512 pixels: (size, size, 3) uint8.

    skeletons: each (14, 2), x and y in pixels, in the order of `figure.JOINTS`; NaN where a joint was not found.
    """
    image = Image.new("RGB", (FINE * size, FINE * size))
    pen, radius = ImageDraw.Draw(image), FINE * size / 128
    around = np.linspace(0, 2 * np.pi, 24, endpoint=False)
    for joints in np.asarray(skeletons, np.float64).reshape(-1, 14, 2) * FINE:
        for (a, b), color in zip(BONES, OPENPOSE, strict=False):
            half = (joints[b] - joints[a]) / 2
            length = np.linalg.norm(half)
            if length > 0:  # an ellipse from joint to joint; NaN is not
                across = np.array([-half[1], half[0]]) * radius / length
                ellipse = joints[a] + half + np.outer(np.cos(around), half) + np.outer(np.sin(around), across)
                pen.polygon([tuple(point) for point in ellipse], fill=tuple(int(0.6 * c) for c in color))
        for (x, y), color in zip(joints, OPENPOSE, strict=True):
            if x == x:
                pen.ellipse([x - radius, y - radius, x + radius, y + radius], fill=color)
    return np.array(image.reduce(FINE))


# -- sketch -----------------------------------------------------------------------------------------------------------


class Hand(NamedTuple):
    """How somebody draws: how far lines stray, in pixels, and how many dots one wave has; how round corners become, in
    pixels; how wide the pen is, and how many dots a line has before it is lifted; whether there is a horizon."""

    stray: float
    wave: float
    round: float
    pen: float
    stroke: float
    horizon: bool


def sketch(regions: Sequence[np.ndarray] | np.ndarray, ground: np.ndarray, seed: int = 0) -> np.ndarray:
    """What a hand draws of a scene, white on black: (H, W, 3) uint8.

    The outlines of things and the horizon: few lines, rounded, wobbly and broken, of a pen that is pressed more and
    less. They are near the edges of the picture, and not on them.

    regions: (n, H, W) bool, where each thing is seen. ground: (H, W) bool, where the ground is. seed: whose hand.
    """
    rng = np.random.default_rng([seed, 16])
    hand = Hand(*rng.uniform((0.6, 5, 1.2, 1.0, 16), (2.4, 12, 3.2, 2.2, 70)), horizon=rng.random() < 0.85)
    height, width = ground.shape
    image = Image.new("L", (FINE * width, FINE * height))
    pen, drawn = ImageDraw.Draw(image), np.zeros((height, width), bool)
    for region in regions:
        for outline in outlines(np.asarray(region)):
            begun = np.roll(outline, rng.integers(len(outline)), axis=0)
            draw(pen, rng, hand, rounded(begun, hand.round)[::DOTS], drawn)
        drawn = drawn | grow(np.asarray(region), 2)
    if hand.horizon:
        for line in horizons(ground):
            draw(pen, rng, hand, line[::DOTS], drawn)
    return np.repeat(np.array(image.reduce(FINE))[..., None], 3, -1)


def outlines(region, least=12):
    """The closed outlines of a region (H, W) bool, along the borders of its pixels: arrays (n, 2) of x, y. Shorter ones
    than ``least`` are left out."""
    padded = np.pad(region, 1).astype(np.int8)
    follows: dict[tuple, list[tuple]] = {}
    for axis, (back, ahead) in enumerate((((-1, 0), (0, 0)), ((0, 0), (0, -1)))):  # the region on the right hand
        steps = np.diff(padded, axis=axis)
        rows, columns = np.nonzero(steps)
        here = np.stack([columns, rows], 1)
        starts, ends = here + back, here + ahead
        leaves = steps[rows, columns, None] < 0
        turned = np.where(leaves, ends, starts), np.where(leaves, starts, ends)
        for start, end in zip(*(map(tuple, each.tolist()) for each in turned), strict=True):
            follows.setdefault(start, []).append(end)
    loops = []
    while follows:
        loop = [next(iter(follows))]
        while loop[-1] in follows:
            ends = follows[loop[-1]]
            loop.append(ends.pop())
            if not ends:
                del follows[loop[-2]]
        if len(loop) > least:  # its first point is also its last
            loops.append(np.array(loop[:-1], np.float64))
    return loops


def horizons(ground):
    """Where the ground (H, W) bool ends above, in the columns in which it does: lines (n, 2) of x, y."""
    first = ground.argmax(0)
    seen = np.flatnonzero(ground.any(0) & (first > 0))
    runs = np.split(seen, np.flatnonzero(np.diff(seen) > 1) + 1)
    return [np.stack([run, first[run]], 1) + [0.5, 0] for run in runs if len(run) > 8]


def rounded(loop, reach):
    """A closed line (n, 2), each point the mean of its neighbors, nearer ones counting more."""
    n = int(3 * reach)
    weights = n + 1.0 - np.abs(np.arange(-n, n + 1))
    wrapped = np.take(loop, np.arange(-n, len(loop) + n), axis=0, mode="wrap")
    return np.stack([np.convolve(each, weights / weights.sum(), "valid") for each in wrapped.T], 1)


def draw(pen, rng, hand, line, drawn):
    """Draw a line (n, 2) as a hand does, lifting the pen now and then; inside, and where nothing is ``drawn`` yet."""
    n = len(line)
    astray = line + rng.uniform(-hand.stray, hand.stray, 2) + hand.stray * waves(rng, n, hand.wave, 2)
    pressed = hand.pen * (1 + 0.35 * waves(rng, n, 2 * hand.wave, 1)[:, 0])
    size = np.array(drawn.shape[::-1])
    x, y = line.astype(int).clip(0, size - 1).T
    free = ~drawn[y, x] & ((line > 1) & (line < size - 1)).all(1)
    start = 0
    while start < n:
        stop = start + int(hand.stroke * rng.uniform(0.5, 1.5))
        for k in range(start, min(stop, n) - 1):
            if free[k] and free[k + 1]:
                (x0, y0), (x1, y1), w = astray[k] * FINE, astray[k + 1] * FINE, pressed[k] * FINE
                pen.line([x0, y0, x1, y1], fill=255, width=round(w))
                pen.ellipse([x1 - w / 2, y1 - w / 2, x1 + w / 2, y1 + w / 2], fill=255)
        start = stop + int(rng.uniform(1, 4))


def waves(rng, n, length, columns):
    """Numbers (n, columns) in [-1, 1] that wander, a new direction every ``length``."""
    knots = np.arange(0, n + 2 * length, length)
    return np.stack([np.interp(np.arange(n), knots, rng.uniform(-1, 1, len(knots))) for _ in range(columns)], 1)

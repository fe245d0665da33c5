"""A posable superhero drawn from a skeleton of fourteen joints."""

from functools import cache
from typing import NamedTuple

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from .nouns import ANY_POSE

# The first fourteen of OpenPose's eighteen keypoints (Cao et al. 2019), in their order; the head's middle stands for
# the nose. Right and left are the figure's own: it faces us, so that its right arm is on the left of the picture.
JOINTS = (
    "head", "neck", "right shoulder", "right elbow", "right hand", "left shoulder", "left elbow", "left hand",
    "right hip", "right knee", "right foot", "left hip", "left knee", "left foot",
)  # fmt: skip
# in OpenPose's order, too, which is the order of their colors
BONES = tuple(
    (JOINTS.index(a), JOINTS.index(b))
    for a, b in (
        ("neck", "right shoulder"), ("neck", "left shoulder"), ("right shoulder", "right elbow"),
        ("right elbow", "right hand"), ("left shoulder", "left elbow"), ("left elbow", "left hand"),
        ("neck", "right hip"), ("right hip", "right knee"), ("right knee", "right foot"),
        ("neck", "left hip"), ("left hip", "left knee"), ("left knee", "left foot"), ("neck", "head"),
    )
)  # fmt: skip
MIRRORED = [0, 1, 5, 6, 7, 2, 3, 4, 11, 12, 13, 8, 9, 10]  # who is who in a mirror
VARIANTS = 8  # slightly different ways of holding a posture
SIZE = 512
HEAD = np.array([(-0.14, -0.16), (0.14, 0.14)])  # how far the head reaches from its middle, hair and all


class Posture(NamedTuple):
    """Angles of (upper arm, forearm) or (thigh, shin), the figure's right, then its left, in degrees: 0 points down,
    positive turns to the left of the picture. ``lean`` tilts it all to the right, ``head`` the head alone. ``wind``
    blows the cape to the right."""

    arms: tuple[tuple[float, float], tuple[float, float]]
    legs: tuple[tuple[float, float], tuple[float, float]]
    lean: float = 0
    head: float = 0
    wind: float = 0


# every pose that a caption may name, and one or more postures that it means; their order is part of the drawings' seed
POSTURES = {
    "standing": (Posture(((28, 12), (-28, -12)), ((9, 4), (-9, -4))),),
    "waving": (Posture(((28, 12), (-125, -165)), ((9, 4), (-9, -4))),),
    "flying": (
        Posture(((20, 6), (-172, -176)), ((14, 30), (-4, -8)), lean=-32),
        Posture(((168, 174), (-24, -8)), ((6, 16), (-4, -8)), lean=-80, head=30, wind=0.2),
        Posture(((156, 172), (-154, -170)), ((8, 4), (2, 10)), lean=-70, head=12, wind=0.16),
    ),
    "running": (Posture(((52, -40), (-52, -120)), ((38, 2), (-30, 62)), lean=-8),),
    "jumping": (Posture(((118, 152), (-118, -152)), ((62, -30), (-62, 30))),),
    "dancing": (Posture(((104, 172), (-74, -12)), ((10, -2), (-58, 34)), lean=10, head=-8, wind=-0.1),),
    "cheering": (Posture(((142, 168), (-142, -168)), ((20, 10), (-20, -10))),),
    "kneeling": (Posture(((30, -38), (-26, -10)), ((84, 2), (-2, -86))),),
    "meditating": (Posture(((26, -24), (-26, 24)), ((72, -66), (-72, 66))),),
    # never seen in base training
    "pointing": (Posture(((42, -52), (-92, -92)), ((10, 4), (-12, -6))),),
    "kicking": (Posture(((70, 110), (-40, -100)), ((14, 8), (-92, -88)), lean=-14, wind=-0.1),),
    "diving": (Posture(((152, 168), (-152, -168)), ((6, 2), (-6, -2)), lean=-142, head=6, wind=0.12),),
}


def variants(name):
    """How many variants of a pose the world draws, counted from 0. Raises ValueError for a pose that there is not."""
    if name == ANY_POSE:
        return 1_000_000
    if name not in POSTURES:
        raise ValueError(f"no pose {name!r} in the tiny world; it has {', '.join(POSTURES)}, and {ANY_POSE}")
    return VARIANTS * len(POSTURES[name])


def _any(rng):
    """A posture that a body can take."""
    arms, legs = (
        [(angle, angle + bend) for angle, bend in zip(rng.uniform(*angles, 2), rng.uniform(*bends, 2), strict=True)]
        for angles, bends in (((-10, 185), (-100, 60)), ((-10, 95), (-95, 10)))
    )
    (right, left), (forward, back) = arms, legs
    mirrored = tuple(-angle for angle in left), tuple(-angle for angle in back)
    lean = rng.uniform(-90, 90) if rng.random() < 0.4 else rng.uniform(-15, 15)
    return Posture((right, mirrored[0]), (forward, mirrored[1]), lean, -0.3 * lean, rng.uniform(-0.15, 0.2))


def _joints(pose):
    """Joints (14, 2) of ``pose``, and the corners (4, 2) of its cape; the neck is the origin, a figure is 1 tall."""
    name, variant = pose
    named = POSTURES.get(name, ())
    rng = np.random.default_rng([list(POSTURES).index(name) if named else 1000, variant])
    posture = named[variant // VARIANTS % len(named)] if named else _any(rng)
    swing = lambda angle: np.deg2rad(angle + rng.uniform(-7, 7))  # noqa: E731
    step = lambda start, angle, length: start + length * np.array([-np.sin(angle), np.cos(angle)])  # noqa: E731
    neck = np.array([0.0, 0.0])
    joints = [step(neck, np.deg2rad(posture.head + 180), 0.17), neck]
    for side, arm in zip((-1, 1), posture.arms, strict=True):
        shoulder = neck + (side * 0.13, 0.04)
        elbow = step(shoulder, swing(arm[0]), 0.17)
        joints += [shoulder, elbow, step(elbow, swing(arm[1]), 0.16)]
    for side, leg in zip((-1, 1), posture.legs, strict=True):
        hip = neck + (side * 0.07, 0.34)
        knee = step(hip, swing(leg[0]), 0.18)
        joints += [hip, knee, step(knee, swing(leg[1]), 0.18)]
    cape = [(-0.15, 0), (0.15, 0), (0.24 + posture.wind, 0.62), (-0.24 + posture.wind, 0.56)]
    lean = np.deg2rad(posture.lean)
    turn = np.array([[np.cos(lean), np.sin(lean)], [-np.sin(lean), np.cos(lean)]])
    return np.array(joints) @ turn, np.array(cape) @ turn


@cache
def _framed(pose):
    """Joints and cape in pixels of a canvas that they fill, its width and height, and how many pixels a figure has."""
    joints, cape = _joints(pose)
    parts = np.concatenate([joints - 0.07, joints + 0.07, joints[:1] + HEAD, cape])
    low, high = parts.min(0), parts.max(0)
    unit = SIZE / (high - low).max()
    canvas = np.ceil((high - low) * unit / 4 - 1e-9).astype(int) * 4
    return (joints - low) * unit, (cape - low) * unit, canvas, unit


def skeleton(pose):
    """Joints of ``pose`` = (name, variant) as fractions of its sprite's width and height: (14, 2) x, y in [0, 1]."""
    joints, _, canvas, _ = _framed(pose)
    return joints / canvas


@cache
def draw(pose):
    """The superhero as a sprite: (h, w, 4) float32 RGBA in [0, 1], color not premultiplied; its longest side is 128."""
    joints, cape, canvas, unit = _framed(pose)
    at = dict(zip(JOINTS, joints, strict=True))
    image = Image.new("RGBA", tuple(canvas.tolist()))
    pen = ImageDraw.Draw(image)

    def limb(names, width, color):
        for tone, thickness in ((0.82, 1.0), (1.0, 0.8)):  # a darker rim gives the limb a round look
            fill = tuple(int(c * tone) for c in color)
            points, w = [tuple(at[name]) for name in names], int(width * unit * thickness)
            pen.line(points, fill=fill, width=w, joint="curve")
            for x, y in points:
                pen.ellipse([x - w / 2, y - w / 2, x + w / 2, y + w / 2], fill=fill)

    blue, red, skin, hair = (58, 120, 232), (226, 52, 70), (255, 196, 60), (236, 140, 30)
    down = (at["left hip"] + at["right hip"]) / 2 - at["neck"]
    down /= np.linalg.norm(down)
    side = np.array([-down[1], down[0]])
    pen.polygon([tuple(p) for p in cape], fill=(190, 36, 58))
    limb(["head", "neck"], 0.085, skin)
    for which in ("right", "left"):
        limb([f"{which} hip", f"{which} knee", f"{which} foot"], 0.115, blue)
        limb([f"{which} knee", f"{which} foot"], 0.12, red)
    limb(["right shoulder", "right elbow", "right hand"], 0.095, blue)
    limb(["left shoulder", "left elbow", "left hand"], 0.095, blue)
    torso = [
        at["right shoulder"] - side * 0.03 * unit,
        at["left shoulder"] + side * 0.03 * unit,
        at["left hip"] + side * 0.05 * unit,
        at["right hip"] - side * 0.05 * unit,
    ]
    pen.polygon([tuple(p) for p in torso], fill=blue)
    limb(["left hip", "right hip"], 0.1, red)
    emblem = at["neck"] + 0.14 * down * unit
    pen.polygon(
        [tuple(emblem + np.array(o) * unit) for o in ((0, -0.06), (0.065, 0), (0, 0.075), (-0.065, 0))],
        fill=(255, 214, 64),
    )
    for hand in ("right hand", "left hand"):
        x, y = at[hand]
        r = 0.06 * unit
        pen.ellipse([x - r, y - r, x + r, y + r], fill=skin)
    (x, y), r = at["head"], 0.125 * unit
    pen.ellipse([x - r * 1.05, y - r * 1.2, x + r * 1.05, y + r * 0.6], fill=hair)
    pen.ellipse([x - r, y - r * 0.95, x + r, y + r * 1.05], fill=skin)
    pen.pieslice([x - r * 1.05, y - r * 1.2, x + r * 1.05, y + r * 0.7], 190, 350, fill=hair)
    pen.rounded_rectangle([x - r * 0.92, y - r * 0.28, x + r * 0.92, y + r * 0.3], float(r * 0.28), fill=red)
    for eye in (-0.42, 0.42):
        pen.ellipse([x + (eye - 0.17) * r, y - 0.17 * r, x + (eye + 0.17) * r, y + 0.19 * r], fill=(40, 26, 30))
    pen.arc(
        [x - r * 0.45, y + r * 0.2, x + r * 0.45, y + r * 0.8], 20, 160, fill=(150, 70, 30), width=max(2, int(r * 0.1))
    )
    image = image.filter(ImageFilter.GaussianBlur(1.2)).resize(tuple((canvas // 4).tolist()), Image.Resampling.LANCZOS)
    return np.asarray(image).astype(np.float32) / 255

"""A posable superhero drawn from a skeleton of fourteen joints."""

from functools import cache

import numpy as np
from PIL import Image, ImageDraw, ImageFilter

from .nouns import POSES

JOINTS = (
    "head", "neck", "left shoulder", "left elbow", "left hand", "right shoulder", "right elbow", "right hand",
    "left hip", "left knee", "left foot", "right hip", "right knee", "right foot",
)  # fmt: skip
BONES = tuple(
    (JOINTS.index(a), JOINTS.index(b))
    for a, b in (
        ("head", "neck"), ("neck", "left shoulder"), ("left shoulder", "left elbow"), ("left elbow", "left hand"),
        ("neck", "right shoulder"), ("right shoulder", "right elbow"), ("right elbow", "right hand"),
        ("neck", "left hip"), ("left hip", "left knee"), ("left knee", "left foot"),
        ("neck", "right hip"), ("right hip", "right knee"), ("right knee", "right foot"),
    )
)  # fmt: skip
VARIANTS = 8  # slightly different ways of holding each pose
# angles of (upper arm, forearm, thigh, shin), left then right, in degrees: 0 points down, positive turns to the left
ANGLES = {
    "standing": ((28, 12), (-28, -12), (9, 4), (-9, -4)),
    "waving": ((28, 12), (-125, -165), (9, 4), (-9, -4)),
    "flying": ((20, 6), (-172, -176), (14, 30), (-4, -8)),
    "running": ((52, -40), (-52, -120), (38, 2), (-30, 62)),
}
LEAN = {"standing": 0, "waving": 0, "flying": -32, "running": -8}
SIZE = 512


def skeleton(pose):
    """Joints of ``pose`` = (name, variant) in sprite coordinates: (14, 2) array of x, y in [0, 1]."""
    name, variant = pose
    rng = np.random.default_rng([POSES.index(name), variant])
    swing = lambda angle: np.deg2rad(angle + rng.uniform(-7, 7))  # noqa: E731
    step = lambda start, angle, length: start + length * np.array([-np.sin(angle), np.cos(angle)])  # noqa: E731
    neck = np.array([0.0, 0.0])
    joints = [np.array([0.0, -0.17]), neck]
    for side, arm in zip((-1, 1), ANGLES[name][:2], strict=True):
        shoulder = neck + (side * 0.13, 0.04)
        elbow = step(shoulder, swing(arm[0]), 0.17)
        joints += [shoulder, elbow, step(elbow, swing(arm[1]), 0.16)]
    for side, leg in zip((-1, 1), ANGLES[name][2:], strict=True):
        hip = neck + (side * 0.07, 0.34)
        knee = step(hip, swing(leg[0]), 0.18)
        joints += [hip, knee, step(knee, swing(leg[1]), 0.18)]
    lean = np.deg2rad(LEAN[name])
    turn = np.array([[np.cos(lean), np.sin(lean)], [-np.sin(lean), np.cos(lean)]])
    points = np.array(joints) @ turn
    low, high = points.min(0) - 0.13, points.max(0) + 0.07
    return (points - (low + high) / 2) / (high - low).max() + 0.5


@cache
def draw(pose):
    """The superhero as a sprite: (h, w, 4) float32 RGBA in [0, 1], color not premultiplied."""
    joints = skeleton(pose) * SIZE
    at = dict(zip(JOINTS, joints, strict=True))
    unit = np.linalg.norm(at["neck"] - at["head"]) / 0.17  # one skeleton unit in pixels
    image = Image.new("RGBA", (SIZE, SIZE))
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
    cape = [
        at["neck"] - side * 0.15 * unit,
        at["neck"] + side * 0.15 * unit,
        at["neck"] + (0.56 * down + 0.24 * side) * unit,
        at["neck"] + (0.62 * down - 0.24 * side) * unit,
    ]
    pen.polygon([tuple(p) for p in cape], fill=(190, 36, 58))
    for which in ("left", "right"):
        limb([f"{which} hip", f"{which} knee", f"{which} foot"], 0.115, blue)
        limb([f"{which} knee", f"{which} foot"], 0.12, red)
    limb(["left shoulder", "left elbow", "left hand"], 0.095, blue)
    limb(["right shoulder", "right elbow", "right hand"], 0.095, blue)
    torso = [
        at["left shoulder"] - side * 0.03 * unit,
        at["right shoulder"] + side * 0.03 * unit,
        at["right hip"] + side * 0.05 * unit,
        at["left hip"] - side * 0.05 * unit,
    ]
    pen.polygon([tuple(p) for p in torso], fill=blue)
    limb(["left hip", "right hip"], 0.1, red)
    emblem = at["neck"] + 0.14 * down * unit
    pen.polygon(
        [tuple(emblem + np.array(o) * unit) for o in ((0, -0.06), (0.065, 0), (0, 0.075), (-0.065, 0))],
        fill=(255, 214, 64),
    )
    for hand in ("left hand", "right hand"):
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
    image = image.filter(ImageFilter.GaussianBlur(1.2)).resize((128, 128), Image.Resampling.LANCZOS)
    return np.asarray(image).astype(np.float32) / 255

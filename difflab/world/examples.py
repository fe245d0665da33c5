"""What everybody begins from who shows what a model does: six prompts, and a painting."""

from PIL import Image, ImageDraw

from .scene import SIZE

PROMPTS = (
    "a cat on a sofa at night",
    "a turtle wearing a crown on the beach",
    "a red car in the snow",
    "a dog in the city at sunset",
    "a lion in a meadow",
    "a bicycle on the beach at sunset",
)
STROKES = (  # left, top, right and bottom in pixels, and a color
    ((0, 0, 127, 63), "#7ec8f0"),  # the sky
    ((0, 64, 127, 80), "#2f8fc4"),  # the sea
    ((0, 81, 127, 127), "#e8cf9a"),  # the sand
    ((36, 66, 96, 92), "#d0202a"),  # a car's body
    ((48, 52, 82, 66), "#a01018"),  # and its roof
)


def painting() -> Image.Image:
    """Five rectangles, 128 x 128 pixels, that stand for a red car on a beach: chapter 8's."""
    picture = Image.new("RGB", (SIZE, SIZE))
    for box, color in STROKES:
        ImageDraw.Draw(picture).rectangle(box, fill=color)
    return picture

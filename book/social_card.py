"""Draw the picture that other sites show beside a link to the book: two prompts on their way from noise to picture.

`make card` writes it to book/_static/social-card.jpg. Do so after a new U-Net.
"""

import pathlib

import matplotlib
from PIL import Image, ImageDraw, ImageFont

import difflab

PROMPTS = ["a castle in the mountains at night", "a panda on the beach at sunset"]
SEED = 4
SIZE, MARGIN, GAP = (1200, 630), 40, 12
COLUMNS, SIDE = 6, 176
INK, PALE = "#f4f6f8", "#aab4c0"


def font(size, name="DejaVuSans"):
    return ImageFont.truetype(pathlib.Path(matplotlib.get_data_path(), "fonts", "ttf", f"{name}.ttf"), size)


def on_the_way(model, prompt, count):
    """`count` pictures of what x itself shows, from noise to the end: closer together where there is more to see."""
    turns = difflab.text_to_latents(model, prompt, num_inference_steps=20, sampler="ddim", seed=SEED)
    steps = [turn.x for turn in turns]
    latents = [difflab.noise(steps[0].shape, seed=SEED).to(steps[0]), *steps]
    parts = [1 - (1 - i / (count - 1)) ** 2 for i in range(count)]
    return [model.decode(latents[round(part * len(steps))])[0] for part in parts]


def card(model):
    sheet = Image.new("RGB", SIZE, "#14181d")
    draw = ImageDraw.Draw(sheet)
    draw.text((MARGIN, 34), "Applied diffusion, one loop", INK, font(62, "DejaVuSans-Bold"))
    draw.text((MARGIN, 122), "A book that draws its own pictures, on any laptop, offline", PALE, font(32))
    for row, prompt in enumerate(PROMPTS):
        for column, picture in enumerate(on_the_way(model, prompt, COLUMNS)):
            place = (MARGIN + column * (SIDE + GAP), 196 + row * (SIDE + GAP))
            sheet.paste(picture.resize((SIDE, SIDE), Image.Resampling.BICUBIC), place)
    draw.text((MARGIN, 574), " · ".join(f"“{prompt}”" for prompt in PROMPTS), PALE, font(24))
    return sheet


if __name__ == "__main__":
    path = pathlib.Path(__file__).parent / "_static" / "social-card.jpg"
    card(difflab.load(device="cpu")).save(path, quality=80, optimize=True)
    print(f"{path.name}: {path.stat().st_size / 1000:.0f} kB")

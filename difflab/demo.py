"""One contact sheet of what the shipped model can do, a row for every subject of the book, for `difflab demo`."""

from dataclasses import replace

import numpy as np
from PIL import Image
from tqdm import tqdm

from difflab import attention, clip, masks, world
from difflab.applications.inpaint import inpaint, outpaint
from difflab.applications.instruct_pix2pix import instruct_pix2pix
from difflab.applications.prompt_to_prompt import prompt_to_prompt, refine
from difflab.applications.sdedit import sdedit
from difflab.applications.text_to_image import text_to_image
from difflab.latent import channels_as_pictures
from difflab.loading import load
from difflab.samplers import SAMPLERS
from difflab.show import overlay, save_sheet
from difflab.train.history import cells, sample_sheets
from difflab.train.recipes.unet import PROMPTS as TRAINING_PROMPTS
from difflab.world.examples import PROMPTS, painting

GUIDANCE_SCALES = (0.0, 1.0, 2.0, 4.0, 7.0, 12.0)
NEGATIVE_PROMPTS = (
    "",
    "a castle by day",
    "a castle at night",
    "a castle at sunset",
    "a castle in the snow",
    "a castle on the beach",
)
INSTRUCTIONS = (
    "make it sunset",
    "put it in the snow",
    "turn the cat into a dog",
    "give it a crown",
    "make it a pencil sketch",
)
SAMPLER_STEPS = 10
SEARCHED = 500  # scenes that the search looks through
UNSEEN = 900_000_003  # a series of scenes that no training draws from


def text(model, seed):
    """One noise, six prompts."""
    return "Text: one noise, six prompts", text_to_image(model, list(PROMPTS), seed=[seed] * len(PROMPTS)), PROMPTS


def guidance(model, seed):
    """One noise and prompt, six guidance scales."""
    pictures = [text_to_image(model, PROMPTS[0], guidance_scale=scale, seed=seed)[0] for scale in GUIDANCE_SCALES]
    named = {0.0: "0: the text is ignored", 1.0: "1: the text as trained"}
    return f"Guidance: “{PROMPTS[0]}”", pictures, [named.get(scale, f"{scale:g}") for scale in GUIDANCE_SCALES]


def negative(model, seed):
    """One noise and prompt, six negative prompts."""
    prompt, count = "a castle", len(NEGATIVE_PROMPTS)
    pictures = text_to_image(
        model, [prompt] * count, negative_prompt=list(NEGATIVE_PROMPTS), guidance_scale=3.0, seed=[seed] * count
    )
    captions = [f"not “{words}”" if words else "no negative prompt" for words in NEGATIVE_PROMPTS]
    return f"Negative prompts: “{prompt}”", pictures, captions


def samplers(model, seed):
    """One noise and prompt, every sampler with few steps, where they differ."""
    few = {"num_inference_steps": SAMPLER_STEPS, "seed": seed}
    pictures = [text_to_image(model, PROMPTS[1], sampler=name, **few)[0] for name in SAMPLERS]
    return f"Samplers, {SAMPLER_STEPS} steps: “{PROMPTS[1]}”", pictures, list(SAMPLERS)


def listening(model, seed):
    """A picture, and where five of its words were looked at."""
    prompt, words = PROMPTS[0], ("cat", "on", "sofa", "at", "night")
    with attention.record(model.unet) as maps:
        picture = text_to_image(model, prompt, seed=seed)[0]
    places = [attention.token_positions(model.tokenizer, prompt, word) for word in words]
    lit = [overlay(picture, attention.heat_map(maps, place, picture.size[::-1])) for place in places]
    return f"Cross-attention: “{prompt}”", [picture, *lit], ["the picture", *(f"“{word}”" for word in words)]


def search(model, seed):
    """The scenes that CLIP finds nearest to a prompt. (The tiny CLIP, whatever the model.)"""
    towers = clip.load(device=model.device)
    scenes = world.samples(SEARCHED, UNSEEN)
    scores, found = clip.search(
        towers.embed_text(PROMPTS[3]), towers.embed_images([scene.picture for scene in scenes]), k=6
    )
    pictures = [scenes[i].picture for i in found[0].tolist()]
    title = f"CLIP: the nearest of {SEARCHED} unseen scenes to “{PROMPTS[3]}”"
    return title, pictures, [f"cosine {score:.2f}" for score in scores[0].tolist()]


def latents(model, seed):
    """A scene, the four channels of its latent, and what comes back."""
    given = world.sample(UNSEEN, seed, style="plain").picture
    z = model.encode_image(given)
    pictures = [given, *channels_as_pictures(z), model.decode(z)[0]]
    return "Latent: a scene, its four channels, decoded", pictures, ["scene", "1", "2", "3", "4", "decoded"]


def training(model, seed):
    """The same prompt while the shipped model was trained."""
    sheets = sample_sheets()
    steps = list(sheets)[:: -(-len(sheets) // 6)]  # at most six
    title = f"Training, by steps: “{TRAINING_PROMPTS[3]}”"
    return title, [cells(sheets[step])[3] for step in steps], [f"{step:,}" for step in steps]


def strokes(model, seed):
    """Five painted rectangles, and what SDEdit makes of them at five strengths."""
    prompt, strengths = "a red car on the beach", (0.2, 0.4, 0.6, 0.8, 1)
    painted = painting().resize((model.image_size, model.image_size), Image.Resampling.NEAREST)
    drawn = [sdedit(model, painted, prompt, strength=strength, seed=seed)[0] for strength in strengths]
    return f"SDEdit, by strength: “{prompt}”", [painted, *drawn], ["five rectangles", *(f"{s:g}" for s in strengths)]


def word_swap(model, seed):
    """A picture, and the same one with another word in it, for five words."""
    source, words = "a cat on a sofa", ("dog", "lion", "monkey", "rabbit", "robot")
    targets = [source.replace("cat", word) for word in words]
    seeds = [seed] * len(words)
    drawn = prompt_to_prompt(model, [source] * len(words), targets, change=refine, self_replace_steps=0.6, seed=seeds)
    return f"Prompt-to-prompt: “{source}”", [drawn[0], *drawn[len(words) :]], ["the source", *words]


def inpainting(model, seed):
    """A picture, its hole, three fills and a wider one. (The tiny inpainting model, whatever the model.)"""
    filler, scene = load("tiny-inpaint", device=model.device), world.sample(UNSEEN, 1, relation="alone").scene
    empty = replace(scene, things=())
    given, where = world.render(scene), empty.caption()
    hole = world.changed(world.Edit("remove", "", scene, empty), margin=6)  # the thing and its shadow
    wishes = [where, f"a panda {where}", f"a rocket {where}"]
    filled = masks.composite(given, inpaint(filler, given, hole, wishes, seed=seed), masks.soft_edge(hole, 6))
    wider = outpaint(filler, given, where, left=32, right=32, seed=seed)
    hidden = np.where(hole[..., None], 128, given).astype(np.uint8)
    captions = ["picture", "its hole", *(f"“{wish}”" for wish in wishes), "wider"]
    return "Inpainting: one hole, three prompts; outpainting", [given, hidden, *filled, *wider], captions


def instructions(model, seed):
    """One picture, five instructions. (By the tiny model that was taught to edit, whatever the model.)"""
    editor = load("tiny-pix2pix", device=model.device)
    given = world.render(world.Scene((world.Thing("cat", size=0.5),), place="meadow"))
    pictures = instruct_pix2pix(editor, given, list(INSTRUCTIONS), seed=[seed] * len(INSTRUCTIONS))
    captions = ["the picture", *(f"“{words}”" for words in INSTRUCTIONS)]
    return "InstructPix2Pix: one picture, five instructions", [given, *pictures], captions


ROWS = (
    text,
    guidance,
    negative,
    samplers,
    listening,
    search,
    latents,
    training,
    strokes,
    word_swap,
    inpainting,
    instructions,
)


def sections(model, seed=0, *, progress=True):
    """Draw the demo's rows: a list of (title, pictures, captions). Later chapters add theirs to `ROWS`."""
    return [row(model, seed) for row in tqdm(ROWS, desc="demo", unit="row", disable=not progress)]


def demo(model, path, seed=0, *, progress=True):
    """Draw the contact sheet and write it to `path` as PNG; returns the path."""
    return save_sheet(sections(model, seed, progress=progress), path)

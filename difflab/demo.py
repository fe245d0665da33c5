"""One contact sheet of what the embedded model can do: `difflab demo` writes it, the book's preface shows it."""

from tqdm import tqdm

from difflab.samplers import SAMPLERS
from difflab.show import save_sheet
from difflab.text_to_image import text_to_image

PROMPTS = (
    "a cat on a sofa at night",
    "a turtle wearing a crown on the beach",
    "a red car in the snow",
    "a dog in the city at sunset",
    "a lion in a meadow",
    "a bicycle on the beach at sunset",
)
GUIDANCE_SCALES = (0.0, 1.0, 2.0, 4.0, 7.0, 12.0)
SAMPLER_STEPS = 10


def sections(model, seed=0, *, progress=True):
    """Draw the demo's pictures: a list of (title, pictures, captions), one row of the sheet each.

    Text conditioning: one noise, six prompts. Guidance: one noise and prompt, six guidance scales. Samplers: one noise
    and prompt, every sampler with few steps, where they differ. Later chapters add a row each.
    """
    jobs = [("Text: one noise, six prompts", prompt, prompt, {}) for prompt in PROMPTS]
    jobs += [
        (f"Guidance: “{PROMPTS[0]}”", _guidance_caption(scale), PROMPTS[0], {"guidance_scale": scale})
        for scale in GUIDANCE_SCALES
    ]
    jobs += [
        (f"Samplers, {SAMPLER_STEPS} steps: “{PROMPTS[1]}”", name, PROMPTS[1], {"sampler": name, **_few})
        for name in SAMPLERS
    ]
    rows = {}
    for title, caption, prompt, settings in tqdm(jobs, desc="demo", unit="picture", disable=not progress):
        pictures, captions = rows.setdefault(title, ([], []))
        pictures += text_to_image(model, prompt, seed=seed, **settings)
        captions.append(caption)
    return [(title, pictures, captions) for title, (pictures, captions) in rows.items()]


def demo(model, path, seed=0, *, progress=True):
    """Draw the contact sheet and write it to `path` as PNG; returns the path."""
    return save_sheet(sections(model, seed, progress=progress), path)


_few = {"num_inference_steps": SAMPLER_STEPS}


def _guidance_caption(scale):
    return {0.0: "0: the text is ignored", 1.0: "1: the text as trained"}.get(scale, f"{scale:g}")

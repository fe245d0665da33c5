"""What the page is tested with: noise, tokens, timesteps and whole drawings, as the package computes them."""

import numpy as np
import torch

from difflab import world
from difflab.applications.sdedit import sdedit_to_latents
from difflab.applications.text_to_image import text_to_latents
from difflab.export.fidelity import final
from difflab.export.folder import originals
from difflab.samplers import SAMPLERS

DRAWN = {
    "prompt": "a red car on the beach",
    "negative_prompt": "at night",
    "guidance_scale": 3.0,
    "seed": 42,
    "steps": 8,
}
AWKWARD = (
    "",
    " ",
    "A CAT on a Sofa!",
    "it's the cat's, isn't it? we've they'll I'd",
    "a   red\tcar\nin  the snow",
    "a cat,a dog;a lion...and (maybe) a #1 tiger -- 50% off",
    "1234 cats and 3.14 pies",
    "café naïve Ünïcödé ÇA",
    "ＦＵＬＬ ｗｉｄｔｈ",
    "ein Bär auf dem Weiß",
    "İstanbul ẞ ΣΑΣ",
    "кошка на диване",
    "猫がソファに座っている",
    "قطة على الأريكة",
    "🦁 lion 👩‍🚀 astronaut 🏳️‍🌈",
    "e\u0301 decomposed, \u00e9 composed",
    "zero\u200bwidth and non\u00a0breaking",
    "<|endoftext|> in the middle <|startoftext|>",
    "supercalifragilisticexpialidocious antidisestablishmentarianism",
    "a cat " * 40,
)


def reference(shipped):
    """Results that the page has to find as well. shipped: the exported model, computed by onnxruntime."""
    rng = np.random.default_rng(1)
    texts = [*AWKWARD, *(world.random_scene(rng).caption(rng) for _ in range(50 - len(AWKWARD)))]
    ids = shipped.tokenizer(texts, padding="max_length", truncation=True).input_ids
    counts = (1, 2, 3, 5, 7, 10, 16, 20, 25, 30, 48, 50)
    schedule = shipped.schedule
    return {
        "randn": [draws(seed, shipped.latent_shape) for seed in (0, 1, 42, 2**31, 2**32 + 5)],
        "tokens": [{"text": text, "ids": own} for text, own in zip(texts, ids, strict=True)],
        "timesteps": {
            n: {"drop_last": schedule.timesteps(n, drop_last=True).tolist(), "all": schedule.timesteps(n).tolist()}
            for n in counts
        },
        "drawings": [{**drawing, "final": rounded(end(shipped, drawing))} for drawing in drawings()],
    }


def draws(seed, shape):
    """Three draws of normal noise, one after the other: the numbers at both ends of each, and the sum of all."""
    generator = torch.Generator().manual_seed(seed)
    numbers = [torch.randn(shape, generator=generator).flatten() for _ in range(3)]
    ends = [{"first": rounded(n[:64]), "last": rounded(n[-8:]), "sum": n.double().sum().item()} for n in numbers]
    return {"seed": seed, "shape": list(shape), "draws": ends}


def drawings():
    """One picture by every sampler, and the painting changed by two of them."""
    for sampler in SAMPLERS:
        yield {"kind": "text_to_image", **DRAWN, "sampler": sampler}
    for sampler in ("ddpm", "dpm++"):
        yield {"kind": "sdedit", **DRAWN, "picture": "car", "strength": 0.7, "sampler": sampler}


@torch.inference_mode()
def end(model, drawing):
    """The latents at the end of a drawing."""
    given = {name: drawing[name] for name in ("negative_prompt", "guidance_scale", "sampler", "seed")}
    given["num_inference_steps"] = drawing["steps"]
    if drawing["kind"] == "text_to_image":
        return final(text_to_latents(model, drawing["prompt"], **given))
    picture = originals()[drawing["picture"]][0].resize((model.image_size, model.image_size))
    return final(sdedit_to_latents(model, picture, drawing["prompt"], strength=drawing["strength"], **given))


def rounded(x):
    """A tensor as a flat list, to six digits after the point."""
    return [round(value, 6) for value in x.flatten().tolist()]

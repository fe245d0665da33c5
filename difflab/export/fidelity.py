"""How far an exported model is from the one it was made from, and how fast it is."""

import numpy as np
import torch

from difflab.applications.text_to_image import text_to_latents
from difflab.cost import seconds
from difflab.inputs import noise
from difflab.model import LatentDiffusion
from difflab.world.examples import PROMPTS

STEPS = 10  # of the trajectories that are compared
DIGITS = 2  # of a measured error


def errors(model: LatentDiffusion, here: LatentDiffusion) -> dict[str, float]:
    """How far an exported model is from the one it was made from: {what: a number}, rounded.

    text_encoder, unet, decoder: the error of each graph, given what it really gets, relative to its results.
    latents: the same at the end of STEPS guided steps. pictures: the mean difference of a color, as a fraction of its
    range; pictures_p99: the same of the one in a hundred that differs most.
    """
    prompts: list[str] = list(PROMPTS[::2])
    ends = [final(text_to_latents(each, prompts, num_inference_steps=STEPS)) for each in (model, here)]
    decoded = [each.decode(end) for each, end in zip((model, here), ends, strict=True)]
    pictures = [np.stack([np.asarray(picture) for picture in each]) / 255 for each in decoded]
    differences = np.abs(pictures[0] - pictures[1])
    text, t = model.encode_text(prompts), len(model.schedule) // 2
    x = model.schedule.add_noise(ends[0], noise(ends[0].shape, 0), t)
    found = {
        "text_encoder": relative(here.encode_text(prompts), text),
        "unet": relative(here.predict_noise(x, t, text), model.predict_noise(x, t, text)),
        "decoder": relative(here.decode_pixels(ends[0]), model.decode_pixels(ends[0]).clamp(-1, 1)),
        "latents": relative(*ends[::-1]),
        "pictures": differences.mean(),
        "pictures_p99": np.quantile(differences, 0.99),
    }
    return {name: float(f"{value:.{DIGITS}g}") for name, value in found.items()}


def table(manifest: dict) -> list[str]:
    """Sizes and errors of an export in words: a list of lines."""
    entries, wrong = manifest["files"], manifest["errors"]
    lines = [f"{'file':38}{'unpacked':>12}{'gzipped':>12}{'error':>10}"]
    for name, entry in entries.items():
        error = f"{wrong[name]:.2%}" if name in wrong else ""
        lines.append(f"{entry['file']:38}{entry['unpacked']:>12,}{entry['bytes']:>12,}{error:>10}".rstrip())
    together = [sum(entry[what] for entry in entries.values()) for what in ("unpacked", "bytes")]
    return [
        *lines,
        f"{'together, in bytes':38}{together[0]:>12,}{together[1]:>12,}",
        f"the latent after {STEPS} guided steps differs from torch's by {wrong['latents']:.2%} of its size,",
        f"the picture by {wrong['pictures']:.2%} of the range of colors, one color in a hundred by "
        f"{wrong['pictures_p99']:.2%} or more",
    ]


def seconds_a_step(here: LatentDiffusion) -> float:
    """How long the U-Net of an exported model takes for one guided step, two pictures at once, on one thread."""
    x, text = noise((2, *here.latent_shape), 0), here.encode_text(["", PROMPTS[0]])
    return seconds(lambda: here.predict_noise(x, len(here.schedule) // 2, text), repeats=20)


def relative(got: torch.Tensor, wanted: torch.Tensor) -> float:
    """The norm of the difference over the norm of what was wanted."""
    return ((got - wanted).norm() / wanted.norm()).item()


def final(steps) -> torch.Tensor:
    """Where an application's steps end: (B, 4, h, w)."""
    *_, last = steps
    return last.x

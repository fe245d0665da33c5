"""One measurement: the model, how many of everything, and what several sections look at."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from PIL import Image

from difflab import world
from difflab.applications.text_to_image import text_to_image
from difflab.report.questions import scores

HELD_OUT_SERIES, CHOOSING_SERIES = 900_000_001, 900_000_002  # seeds of scenes that no training ever draws
SCALES = (1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 8.0)


@dataclass(eq=False)
class Run:
    """What the sections measure with. Scenes and pictures that more than one needs are made when first asked for.

    captions, choosing: captions to draw, and others to choose the guidance scale by. edits: of each kind. fills: holes.
    progress: called with a number of pictures whenever so many are drawn.
    """

    model: Any
    captions: int = 500
    choosing: int = 60
    edits: int = 20
    fills: int = 100
    progress: Callable[[int], object] = lambda pictures: None

    @cached_property
    def samples(self) -> list[world.Sample]:
        """Held-out scenes with their pictures."""
        return [world.sample(HELD_OUT_SERIES, i) for i in range(self.captions)]

    @cached_property
    def scenes(self) -> list[world.Scene]:
        """The held-out scenes."""
        return [sample.scene for sample in self.samples]

    @cached_property
    def real(self) -> list[Image.Image]:
        """Their true pictures."""
        return [Image.fromarray(sample.picture) for sample in self.samples]

    @cached_property
    def rebuilt(self) -> list[Image.Image]:
        """The real pictures after the autoencoder."""
        return reconstruct(self.model, self.real)

    @cached_property
    def sweep(self) -> dict[float, dict[str, list[int]]]:
        """The answers of the oracle for each guidance scale, on captions that serve for nothing else."""
        scenes = [world.sample(CHOOSING_SERIES, i).scene for i in range(self.choosing)]
        return {scale: scores(self.draw(scenes, scale), scenes) for scale in SCALES}

    def draw(self, scenes, guidance_scale: float) -> list[Image.Image]:
        """One picture for each scene's plain caption: DPM-Solver++, 20 steps, picture i from seed i."""
        return self.in_batches(
            lambda i, captions: text_to_image(self.model, captions, guidance_scale=guidance_scale, seed=i),
            [scene.caption() for scene in scenes],
        )

    def in_batches(self, make: Callable[..., list], *lists, batch_size: int = 10) -> list:
        """What ``make(first, *parts)`` returns for every batch of the lists, in one list; ``first`` counts from 0."""
        made = []
        for first in range(0, len(lists[0]), batch_size):
            parts = [each[first : first + batch_size] for each in lists]
            made += make(first, *parts)
            self.progress(len(parts[0]))
        return made


@torch.inference_mode()
def reconstruct(model, pictures, batch_size: int = 8) -> list[Image.Image]:
    """Pictures after the autoencoder: encoded to the mean latent and decoded, a list of PIL images."""
    parts = [pictures[i : i + batch_size] for i in range(0, len(pictures), batch_size)]
    return [image for part in parts for image in model.decode(model.encode_image(part))]

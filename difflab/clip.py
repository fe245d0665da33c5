"""CLIP: pictures and words in one space. Radford et al. 2021 (2103.00020).

``load()`` joins the two towers of the model that ships with the package; ``load("sd15")`` is OpenAI's CLIP ViT-L/14,
whose text tower is the one inside Stable Diffusion 1.x. Every embedding is a unit vector: a dot product is a cosine.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
import torch.nn.functional as F
from PIL import Image

from difflab.checks import ABOVE_0, LONGEST, as_number, as_whole, check_tensor, check_text
from difflab.inputs import as_arrays, as_prompts, warn_of_cut
from difflab.loading import find_folder, load_part, no_progress_bars, pick_device, read_json, read_weights, verify

#: Short names for CLIP models on the Hugging Face hub.
HUB = {"sd15": "openai/clip-vit-large-patch14"}
FILES = ["*.json", "*.txt", "model.safetensors"]
BATCH = 64  # pictures that go through the tower at once


@dataclass(frozen=True, eq=False)
class Clip:
    """Two towers that answer on the same unit sphere.

    tokenizer, model: transformers' CLIPTokenizer and CLIPModel, in float32, frozen and in eval mode.
    mean, std: what is taken off the colors (0 to 1), and what they are then divided by, before the image tower.
    """

    tokenizer: Any
    model: Any
    mean: tuple[float, ...] = (0.5, 0.5, 0.5)
    std: tuple[float, ...] = (0.5, 0.5, 0.5)

    def __post_init__(self):
        for mean, std in zip(self.mean, self.std, strict=True):
            as_number("mean", mean)
            as_number("std", std, "a number above 0", ABOVE_0)
        self.model.eval().requires_grad_(False)

    @property
    def device(self):
        return self.model.logit_scale.device

    @property
    def temperature(self):
        """What cosines are divided by before a softmax: learned with the towers, and never below 1/100."""
        return 1 / self.model.logit_scale.exp().clamp(max=100).item()

    def embed_text(self, prompts):
        """Prompts (str or list of str) -> unit vectors (B, d).

        Warns, naming the words, when a prompt is longer than the tower's window (77 tokens, start and end included).
        """
        prompts = as_prompts(prompts)
        warn_of_cut(self.tokenizer, prompts, self.tokenizer.model_max_length)
        # Padding to the longest is enough: the tower looks only backward, so nothing before the end token would change.
        ids = self.tokenizer(prompts, padding=True, truncation=True, return_tensors="pt").input_ids  # B, L
        ends = self.model.text_model(input_ids=ids.to(self.device)).pooler_output  # B, width: what the end token says
        return F.normalize(self.model.text_projection(ends), dim=-1)  # B, d

    def embed_images(self, pictures):
        """Pictures (PIL in mode RGB, or uint8 arrays (H, W, 3); one or a list) -> unit vectors (B, d).

        A picture of another size than the tower's is scaled and cut to its middle square, as OpenAI does it.
        """
        x = self.pixels(pictures)
        pooled = torch.cat([self.model.vision_model(pixel_values=part).pooler_output for part in x.split(BATCH)])
        return F.normalize(self.model.visual_projection(pooled), dim=-1)  # B, d

    def pixels(self, pictures):
        """Pictures as the image tower wants them: float (B, 3, side, side), colors less `mean`, divided by `std`."""
        side = self.model.config.vision_config.image_size
        squares = np.stack([np.asarray(middle_square(Image.fromarray(array), side)) for array in as_arrays(pictures)])
        x = torch.from_numpy(squares).to(self.device).permute(0, 3, 1, 2) / 255
        mean, std = torch.tensor((self.mean, self.std), device=self.device)[:, :, None, None]
        return (x - mean) / std


# -- what one does with it ------------------------------------------------------------------------------------------


class Tokens(NamedTuple):
    """What a model reads of a prompt, piece by piece with a start and an end, and the words that are cut off."""

    read: list[str]
    cut: str


def tokens(tokenizer, prompt):
    """The pieces of a prompt that fit into the window, and what does not: ``cut`` is empty when everything fits."""
    check_text("prompt", prompt)
    ids = tokenizer(prompt, add_special_tokens=False, verbose=False).input_ids
    room = tokenizer.model_max_length - 2  # a start and an end frame the words
    read = [tokenizer.bos_token_id, *ids[:room], tokenizer.eos_token_id]
    return Tokens(tokenizer.convert_ids_to_tokens(read), tokenizer.decode(ids[room:]))


def similarity(a, b):
    """Cosines between two lists of vectors: (A, d) and (B, d) -> (A, B). Raises ValueError for anything else."""
    check_tensor("a", a, "A", "d")
    check_tensor("b", b, "B", a.shape[1])
    return F.normalize(a, dim=-1) @ F.normalize(b, dim=-1).T


def search(queries, candidates, k=5):
    """The k candidates nearest to each query, nearest first: (scores, indices), both (Q, k).

    queries: (Q, d), candidates: (N, d), of texts or pictures alike. Raises ValueError unless k is 1 to N.
    """
    scores = similarity(queries, candidates)
    k = as_whole("k", k, f"a whole number from 1 to {len(candidates)}, the number of candidates", 1, len(candidates))
    return tuple(scores.topk(k, dim=-1))


def recall(queries, candidates, k=1):
    """How often the i-th query finds the i-th candidate among its k nearest, 0 to 1; (N, d) each."""
    _, found = search(queries, candidates, k)
    if len(queries) != len(candidates):
        raise ValueError(f"{len(queries)} queries and {len(candidates)} candidates: they must come in pairs")
    own = torch.arange(len(queries), device=found.device)
    return (found == own[:, None]).any(dim=1).float().mean().item()


def clip_score(clip, pictures, prompts):
    """100 max(cosine, 0) for each picture and its prompt: (B,). Hessel et al. 2021 (2104.08718).

    Their weight w is 2.5; 100 is what torchmetrics and most reports take. Compare scores of one CLIP model only.
    """
    prompts, pictures = as_prompts(prompts), pictures if isinstance(pictures, list | tuple) else [pictures]
    if len(pictures) != len(prompts):
        raise ValueError(f"{len(pictures)} pictures and {len(prompts)} prompts: give one prompt for each picture")
    cosines = (clip.embed_images(pictures) * clip.embed_text(prompts)).sum(dim=-1)
    return 100 * cosines.clamp(min=0)


# -- loading --------------------------------------------------------------------------------------------------------


def load(name_or_folder="tiny", *, device=None):
    """Load a CLIP.

    name_or_folder: "tiny" (ships with the package), "sd15" (OpenAI's ViT-L/14, 1.7 GB), the folder of a CLIPModel or
        of a pipeline of ours, or a CLIP on the hub ("owner/name").
    device: "cpu", "cuda", "mps", or None for the best there is.

    Raises ValueError, with what to do, for an unknown name, a folder without a CLIP, and damaged weights;
    ConnectionError if the model has to be downloaded and the hub cannot be reached.
    """
    device = pick_device(device)
    folder = find_folder(name_or_folder, HUB, FILES)
    if name_or_folder == "tiny" or (folder / "SHA256SUMS").exists():
        verify(folder)
    with no_progress_bars():
        if (folder / "clip_head.safetensors").exists():
            model, words = join_towers(folder), folder / "tokenizer"
        elif (folder / "config.json").exists():
            model, words = load_part(folder.parent, folder.name, "transformers", "CLIPModel", None).float(), folder
        else:
            raise ValueError(f"{str(folder)!r} holds no CLIP: it has neither clip_head.safetensors nor config.json")
        tokenizer = load_part(words.parent, words.name, "transformers", "CLIPTokenizer", None)
    colors, path = {}, folder / "preprocessor_config.json"
    if path.exists():
        config = read_json(path)
        colors = {name: config.get(f"image_{name}") for name in ("mean", "std")}
        if not all(isinstance(three, list) and len(three) == 3 for three in colors.values()):
            raise ValueError(f"{str(path)!r} must say image_mean and image_std, three numbers each")
        colors = {name: tuple(three) for name, three in colors.items()}
    return Clip(tokenizer, torch.nn.Module.to(model, device), **colors)


def join_towers(folder):
    """The CLIPModel, in float32, of a folder with `text_encoder`, `image_encoder` and `clip_head.safetensors`."""
    from transformers import CLIPConfig, CLIPModel

    text = load_part(folder, "text_encoder", "transformers", "CLIPTextModel", None)
    vision = load_part(folder, "image_encoder", "transformers", "CLIPVisionModelWithProjection", None)
    configs = dict(text_config=text.config.to_dict(), vision_config=vision.config.to_dict())
    model = CLIPModel(CLIPConfig(**configs, projection_dim=text.config.projection_dim))
    known = read_weights(Path(folder) / "clip_head.safetensors")
    for part, prefix in ((text, "text_model."), (vision, "vision_model.")):
        known |= {n if n in model.state_dict() else prefix + n: v for n, v in part.state_dict().items()}
    try:
        model.load_state_dict(known)
    except RuntimeError as error:
        raise ValueError(f"the towers of {str(folder)!r} do not fit together ({error}): fetch it anew") from error
    return model.float()


# -- pictures -------------------------------------------------------------------------------------------------------


def middle_square(image, side):
    """The picture scaled until its shorter side is `side`, and cut to the square in its middle."""
    side = as_whole("side", side, "a whole number of pixels from 1 up", 1, LONGEST)
    width, height = image.size
    if min(width, height) != side:
        scaled = [int(side * n / min(width, height)) for n in (width, height)]
        image = image.resize(scaled, Image.Resampling.BICUBIC)
    left, top = (image.width - side) // 2, (image.height - side) // 2
    return image.crop((left, top, left + side, top + side))

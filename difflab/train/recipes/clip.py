"""CLIP: a text tower and an image tower whose embeddings of a caption and its picture point the same way.

The contrastive training of Radford et al. 2021 (arXiv 2103.00020), made small, with transformers' CLIPModel. The U-Net
later listens to the text tower; search and image variations use both. A batch hardly ever asks which of two things
stands left, so a linear layer, thrown away afterwards, asks the text tower for it.
"""

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from safetensors.torch import save_file
from torch import Tensor, nn
from transformers import (
    CLIPConfig,
    CLIPModel,
    CLIPTextConfig,
    CLIPTextModel,
    CLIPVisionConfig,
    CLIPVisionModelWithProjection,
)

from difflab.clip import join_towers, recall
from difflab.train import data
from difflab.train.loop import Result, fit, seeded
from difflab.train.machine import Machine, start
from difflab.train.marks import mark_of
from difflab.train.options import ClipOptions
from difflab.train.recipes import tokenizer as tokens
from difflab.train.runs import Optimization, Product, open_run
from difflab.world import NOUNS

WIDTH = 192
TEXT = {"num_hidden_layers": 4, "num_attention_heads": 4, "intermediate_size": 768}
VISION = {"num_hidden_layers": 4, "num_attention_heads": 4, "intermediate_size": 512, "patch_size": 16}
CAPTIONS = 4
SIDED = 0.5  # of the captions say what is left and what is right
FULL = {"steps": 800, "batch_size": 128, "learning_rate": 1e-3, "decay_from": 0.1, "validate_minutes": 5.0}
FULL |= {"pictures": 24_000, "retrieval": 100, "width": WIDTH, "layers": None}  # the text tower had 1,200 more alone
SMOKE = FULL | {"steps": 4, "batch_size": 8, "pictures": 16, "retrieval": 8, "width": 32, "layers": 1}
CLIP = Product(
    name="clip",
    kind="CLIPModel",
    method="contrastive training of a text and an image tower (Radford et al. 2021, arXiv 2103.00020); a stage with "
    "text_only keeps the image tower (Zhai et al. 2022, arXiv 2111.07991), and a linear layer, thrown away, asks the "
    "text tower what stands left and right",
    folder="clip",
)


def build(vocabulary: int, *, start: int, end: int, width: int = WIDTH, layers: int | None = None) -> CLIPModel:
    """A fresh CLIPModel for 128x128 pictures and 77 positions; `start`, `end`: ids of the first and last token."""
    text: dict[str, Any] = dict(TEXT)
    vision: dict[str, Any] = dict(VISION)
    if layers is not None:
        text["num_hidden_layers"] = vision["num_hidden_layers"] = layers
    text_config = CLIPTextConfig(
        vocab_size=vocabulary,
        hidden_size=width,
        projection_dim=width,
        max_position_embeddings=tokens.MAX_LENGTH,
        hidden_act="quick_gelu",
        bos_token_id=start,
        eos_token_id=end,
        pad_token_id=end,
        **text,
    )
    vision_config = CLIPVisionConfig(
        hidden_size=width, projection_dim=width, image_size=data.SIZE, hidden_act="quick_gelu", **vision
    )
    config = CLIPConfig(text_config=text_config.to_dict(), vision_config=vision_config.to_dict(), projection_dim=width)
    return CLIPModel(config)


def contrastive_loss(image: Tensor, text: Tensor, logit_scale: Tensor) -> Tensor:
    """CLIP's loss (Radford et al. 2021, figure 3): embeddings (B,d) of pictures and of their captions -> a scalar.

    Each picture must choose its caption among all captions of the batch, and each caption its picture.
    """
    image, text = F.normalize(image, dim=-1), F.normalize(text, dim=-1)
    logits = logit_scale.exp().clamp(max=100.0) * image @ text.T  # B,B
    own = torch.arange(len(logits), device=logits.device)
    return 0.5 * (F.cross_entropy(logits, own) + F.cross_entropy(logits.T, own))


def trim(ids: Tensor, end: int) -> Tensor:
    """Cut off the positions in which every caption is padding: (B,77) -> (B,L).

    The tower looks only backward (causal mask), so what the end token says does not change.
    """
    length = int((ids == end).int().argmax(dim=1).max()) + 1
    return ids[:, :length]


def embed(model: CLIPModel, pixels: Tensor, ids: Tensor) -> tuple[Tensor, Tensor]:
    """Projected embeddings, not normalized, of pictures (B,3,128,128) and captions (B,L): two of (B,d) in float32."""
    text = model.text_projection(model.text_model(input_ids=ids).pooler_output)
    return embed_images(model, pixels), text.float()


def embed_images(model: CLIPModel, pixels: Tensor) -> Tensor:
    """The same of pictures alone."""
    return model.visual_projection(model.vision_model(pixel_values=pixels).pooler_output).float()


def sides_table(tokenizer, captions: list[list[str]]) -> Tensor:
    """The last token of the left thing and of the right one for every caption: (N, captions, 2), -1 where unsaid."""
    token = {noun: tokenizer(noun, add_special_tokens=False).input_ids[-1] for noun in NOUNS} | {None: -1}
    return torch.tensor(
        [[[token[noun] for noun in data.sides(text) or (None, None)] for text in texts] for texts in captions]
    )


def sides_loss(head: nn.Module, states: Tensor, ids: Tensor, sides: Tensor) -> Tensor:
    """How well the linear layer `head` reads off the tower's states (B,L,d) what stands left and what right.

    ids: (B,L), sides: (B,2), tokens of the two, -1 for captions that do not say. Every position is asked from which on
    both have been read: the tower looks only backward.
    """
    read = (ids[:, :, None] == sides[:, None]).cumsum(dim=1).bool().all(dim=2)  # B,L
    truth = sides[:, None].expand(*ids.shape, 2)[read]  # M,2
    named = head(states[read]).float().unflatten(1, (2, -1))  # M,2,vocabulary
    return F.cross_entropy(named.flatten(0, 1), truth.flatten(), reduction="sum") / max(1, truth.numel())


def retrieval(image: Tensor, text: Tensor) -> dict[str, float]:
    """R@1: how often the nearest caption to a picture is its own, and the other way round; (N,d) each, N pairs."""
    return {"image_to_text": recall(image, text), "text_to_image": recall(text, image)}


def distinct(source, count: int) -> tuple[Tensor, list[str]]:
    """The first pictures of a source whose captions all differ: (N,3,128,128) and N captions, N <= count."""
    pictures, captions = [], {}
    for index in range(len(source)):
        picture, caption = source[index]
        if caption not in captions:
            captions[caption] = index
            pictures.append(torch.as_tensor(picture))
        if len(captions) == count:
            break
    return data.to_tensor(torch.stack(pictures)), list(captions)


def save_towers(model: CLIPModel, tokenizer: str | Path, folder: Path) -> None:
    """Write the parts of a pipeline: tokenizer (copied), text_encoder, image_encoder, and clip_head.safetensors."""
    config: Any = model.config
    tokens.copy(tokenizer, folder / "tokenizer")
    weights = model.state_dict()
    text = CLIPTextModel(config.text_config)
    parts = {"text_encoder": text, "image_encoder": CLIPVisionModelWithProjection(config.vision_config)}
    for name, part in parts.items():
        part.load_state_dict(pick(weights, part.state_dict()))
        part.save_pretrained(folder / name)
    head = {"text_projection.weight": model.text_projection.weight, "logit_scale": model.logit_scale}
    save_file({k: v.detach().float().cpu().contiguous() for k, v in head.items()}, folder / "clip_head.safetensors")


def pick(weights: dict[str, Tensor], wanted: dict[str, Tensor]) -> dict[str, Tensor]:
    """The entries of a CLIPModel that one of its towers, saved alone, asks for under the same or a shorter name."""
    found = {}
    for name in wanted:
        source = next((n for n in (name, f"text_model.{name}", f"vision_model.{name}") if n in weights), None)
        if source is None:
            raise KeyError(f"no weight for {name!r} in the CLIPModel")
        found[name] = weights[source].detach().cpu().clone()
    return found


@dataclass
class Pairs:
    """What CLIP learns from: `draw` gives pictures, or their `known` embeddings, and one caption of each.

    file: uint8 (N,128,128,3) on the disk. known: (N,d) or None. ids: (N,captions,77). neighbors: (N,captions,2), from
    `sides_table`. sided: from `data.sided`. end: the id of the last token.
    """

    file: Path
    known: Tensor | None
    ids: Tensor
    neighbors: Tensor
    sided: Tensor
    end: int

    def draw(self, generator: torch.Generator, n: int) -> dict[str, Tensor]:
        index, wording = data.draw_captions(generator, n, self.ids.shape[:2], self.sided, SIDED)
        if self.known is None:
            picture = torch.from_numpy(np.load(self.file, mmap_mode="r")[index.numpy()])
        else:
            picture = self.known[index]
        ids = trim(self.ids[index, wording].long(), self.end)
        return {"picture": picture, "ids": ids, "sides": self.neighbors[index, wording]}


@torch.no_grad()
def embed_all(model: CLIPModel, pictures: np.ndarray, machine: Machine) -> Tensor:
    """The embeddings of pictures uint8 (N,128,128,3), on the CPU: (N,d)."""
    embedded = []
    for first in range(0, len(pictures), 40):
        x = data.to_tensor(pictures[first : first + 40].copy()).to(machine.device)
        with machine.autocast():
            embedded.append(embed_images(model, x).cpu())
    return torch.cat(embedded)


def train(options: ClipOptions) -> Result:
    """Train CLIP into `options.out`; `clip` there holds tokenizer, text_encoder, image_encoder, clip_head.safetensors.

    `pictures` scenes are drawn once into the folder `cache` (49 KB each; by default `pictures` beside `out`), with four
    captions each. `init` starts from such a `clip`; `text_only` keeps its image tower (Zhai et al. 2022, arXiv
    2111.07991), which is far quicker. With several processes each contrasts its own part of the batch.
    """
    sizes = SMOKE if options.smoke else FULL
    options = options.filled(sizes)
    machine = start(options)
    tokenizer: Any = tokens.load(options.tokenizer)
    training, unseen = data.open_data(options.data, seed=options.seed)
    count = min(options.pictures, len(training))
    with seeded(options.seed):
        model = build(
            len(tokenizer),
            start=tokenizer.bos_token_id,
            end=tokenizer.eos_token_id,
            width=sizes["width"],
            layers=sizes["layers"],
        )
        head = nn.Linear(sizes["width"], 2 * len(tokenizer))
    if options.init is not None:
        model = join_towers(options.init)
    if options.text_only:
        model.vision_model.requires_grad_(False)
        model.visual_projection.requires_grad_(False)

    def loss_fn(batch: dict[str, Tensor], generator: torch.Generator, progress: float):
        image = batch["picture"] if options.text_only else embed_images(model, data.to_tensor(batch["picture"]))
        states = model.text_model(input_ids=batch["ids"])
        text = model.text_projection(states.pooler_output).float()
        with torch.autocast(image.device.type, enabled=False):
            contrast = contrastive_loss(image, text, model.logit_scale)
            order = sides_loss(head, states.last_hidden_state.float(), batch["ids"], batch["sides"])
        numbers = {"logit_scale": model.logit_scale.exp(), "contrast": contrast, "sides": order}
        return contrast + order, {name: number.detach() for name, number in numbers.items()}

    def validate() -> dict[str, float]:
        images, texts = [], []
        for x, i in zip(x_unseen.split(25), ids_unseen.split(25), strict=True):
            with machine.autocast():
                image, text = embed(model, x.to(machine.device), i.to(machine.device))
            images.append(image)
            texts.append(text)
        found = retrieval(torch.cat(images), torch.cat(texts)) | {"among": float(len(captions))}
        if asked:  # how often the end token names what is left and what is right
            ids = torch.from_numpy(tokens.token_ids(tokenizer, asked))
            states = model.text_model(input_ids=ids.to(machine.device)).pooler_output
            named = head(states.float()).view(len(asked), 2, -1).argmax(dim=2).cpu()
            found["sides"] = (named == sides_table(tokenizer, [asked])[0]).all(dim=1).float().mean().item()
        return found

    settings = {
        "data": training.name,
        "pictures": count,
        "captions_per_picture": CAPTIONS,
        "tokens": mark_of(tokens.vocabulary(tokenizer)),
        "text_only": options.text_only,
        "sided": SIDED,
        "init": str(options.init) if options.init else None,
    }
    optimization = Optimization(betas=(0.9, 0.98), weight_decay=0.05)
    with open_run(options, machine, {"clip": model, "sides": head}, CLIP, settings, optimization) as run:
        cache = options.cache or run.out.parent / "pictures"
        if machine.main:
            data.cache_pictures(training, count, cache, captions=CAPTIONS)
        machine.wait()
        cached = data.cache_pictures(training, count, cache, captions=CAPTIONS)
        pairs = Pairs(
            file=cached.file,
            known=embed_all(model, cached.pictures, machine) if options.text_only else None,
            ids=data.token_table(tokenizer, cached.captions),
            neighbors=sides_table(tokenizer, cached.captions),
            sided=data.sided(cached.captions),
            end=tokenizer.eos_token_id,
        )
        x_unseen, captions = distinct(unseen, sizes["retrieval"])
        ids_unseen = torch.from_numpy(tokens.token_ids(tokenizer, captions))
        asked = [caption for caption in captions if data.sides(caption)]
        return fit(run, pairs.draw, loss_fn, validate=validate, export=partial(save_towers, model, options.tokenizer))

"""What all trainings on latents share: the frozen parts, the cache of latents, noise and loss, validation, the sheet.

Denoising training of Ho, Jain and Abbeel 2020 (arXiv 2006.11239) on the latents of Rombach et al. 2022 (2112.10752),
with the debiased weighting of Yu et al. 2023 (2310.08442) and captions dropped for classifier-free guidance (Ho and
Salimans 2022, 2207.12598). Pictures are encoded once; the autoencoder and the text tower stay as they are.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from diffusers import AutoencoderKL
from diffusers.models.attention_processor import AttnProcessor, AttnProcessor2_0
from PIL import Image
from torch import Tensor, nn
from transformers import CLIPTextModel, CLIPTokenizer

from difflab.condition import fill
from difflab.guidance import classifier_free_guidance
from difflab.inputs import noise
from difflab.loop import sample
from difflab.samplers import dpmpp
from difflab.schedule import NoiseSchedule
from difflab.train import data, loop
from difflab.train.machine import Machine
from difflab.train.marks import fingerprint, mark_of
from difflab.train.options import DenoisingOptions
from difflab.train.recipes import tokenizer as tokens
from difflab.train.runs import Optimization, Product, open_run

CAPTIONS = 4
LEAST_SNR = 0.04
GUIDANCE = 3.0  # of the sample sheet
SCHEDULE = NoiseSchedule.scaled_linear(beta_start=0.00085, beta_end=0.012)
OPTIMIZATION = Optimization(warmup=200, average_decay=0.998)
FULL = {"steps": 15_200, "batch_size": 64, "learning_rate": 1e-3, "decay_from": 0.5, "log_every": 100}
FULL |= {"pictures": 20_000, "validation": 512, "shown": 12, "sampling_steps": 20}
SMOKE = {"steps": 4, "batch_size": 4, "pictures": 12, "validation": 4, "shown": 2, "sampling_steps": 2}


def debiased_weight(snr: Tensor, least: float = LEAST_SNR) -> Tensor:
    """1 / sqrt(SNR), the weight of the noise error (Yu et al. 2023, section 3), the SNR taken as at least `least`.

    The squared error of the noise is SNR times that of the clean picture. Left alone it is all about nearly clean
    inputs, and layout, which the text decides while there is little but noise, hardly counts.
    """
    return snr.clamp(min=least).rsqrt()


def spread_timesteps(count: int, generator: torch.Generator, total: int = 1000) -> Tensor:
    """`count` timesteps, each uniform over 0 .. total-1 but evenly spread together, so that the loss varies less from
    batch to batch (Kingma et al. 2021, arXiv 2107.00630, appendix I.1): int64 (count,)."""
    u = (torch.rand(1, generator=generator) + torch.arange(count) / count) % 1.0
    return (u * total).long().clamp(max=total - 1)


# ------------------------------------------------------------------------------------------- what differs between them


class Batch(NamedTuple):
    """Rows to learn from, on the device."""

    latent: Tensor  # (B,4,16,16), clean
    noise: Tensor  # (B,4,16,16), N(0, I)
    timestep: Tensor  # (B,)
    noisy: Tensor  # (B,4,16,16), the latent at this timestep
    text: Tensor  # (B,77,d)
    seen: dict[str, Tensor]  # what else the network sees, by name, (B, ...) each


def cannot_go_on(folder: Path) -> None:
    """For a network that says not how it is read back: raises ValueError."""
    raise ValueError(f"this training cannot go on from the weights in {folder}: leave adapter out")


class Network(NamedTuple):
    """What learns, and how it is asked.

    modules: by name; of their parameters those that require a gradient learn.
    predict: (x, t, text, **seen) -> eps, with what the task's `encode` calls by these names.
    save: writes into a folder what learned, in diffusers' own format. load: reads it back, or raises ValueError.
    """

    modules: dict[str, nn.Module]
    predict: Callable[..., Tensor]
    save: Callable[[Path], None]
    load: Callable[[Path], None] = cannot_go_on


def encode_pictures(source, indices, encode: "Encoder") -> dict[str, Tensor]:
    """Nothing to see: the pictures' latents alone."""
    mean, std = encode(data.stack(source, indices))
    return {"mean": mean, "std": std}


def noise_error(predict: Callable[..., Tensor], batch: Batch) -> Tensor:
    """Mean squared error of the predicted noise for each row: (B,)."""
    predicted = predict(batch.noisy, batch.timestep, batch.text, **batch.seen)
    return ((predicted.float() - batch.noise) ** 2).flatten(1).mean(dim=1)


def draw_guided(predict: Callable[..., Tensor], text: Tensor, no_text: Tensor, x: Tensor, steps: int) -> Tensor:
    """Latents out of the noise x, by guided DPM-Solver++."""
    *_, last = sample(classifier_free_guidance(predict, text, no_text, GUIDANCE), x, dpmpp(SCHEDULE, steps))
    return last.x


@dataclass(frozen=True)
class Task:
    """What tells one training from the next: what it learns from, what the network sees, and its loss.

    product: what comes out, for its card.
    open_data: (folder or None, seed=) -> training and unseen source, as `data.open_data`.
    encode: (source, indices, encode) -> the tensors of `data.Latents`. What is called neither mean nor std is what the
        network sees, under that name.
    loss: (predict, batch) -> a number for each row. weight: SNR (B,) -> how much each row counts.
    drop: how often in training it has to do without its text, without what it sees, and without both.
    sided: the fraction of each batch whose captions say what is left and what is right.
    prompts: texts of the sample sheet; without them, those of unseen examples.
    show: (source, indices) -> pictures for the sample sheet, to stand above what the network makes of them.
    draw: (predict, text, no_text, x, steps) -> latents for the sample sheet.
    defaults: options of this recipe's, where they are not those of FULL: {"batch_size": 32}.
    """

    product: Product
    open_data: Callable = data.open_data
    encode: Callable[..., dict[str, Tensor]] = encode_pictures
    loss: Callable[..., Tensor] = noise_error
    weight: Callable[[Tensor], Tensor] = debiased_weight
    drop: tuple[float, float, float] = (0.1, 0.0, 0.0)
    sided: float = 0.0
    prompts: tuple[str, ...] = ()
    show: Callable[..., np.ndarray] | None = None
    draw: Callable[..., Tensor] = draw_guided
    defaults: dict = field(default_factory=dict)

    def sizes(self, smoke: bool) -> dict:
        """The recipe's options, and how much is validated and drawn."""
        return FULL | self.defaults | (SMOKE if smoke else {})


# ------------------------------------------------------------------------------------------------- what stays as it is


class Parts(NamedTuple):
    """The frozen parts: captions to embeddings, pictures to latents."""

    tokenizer: CLIPTokenizer
    text_encoder: Any  # CLIPTextModel
    vae: Any  # AutoencoderKL

    @torch.no_grad()
    def encode_text(self, ids: Tensor) -> Tensor:
        """(B,77) -> (B,77,d). On a CPU in parts of 16, which stay in its cache."""
        size = 16 if ids.device.type == "cpu" else len(ids)
        return torch.cat([self.text_encoder(input_ids=part).last_hidden_state for part in ids.split(size)])

    def token_ids(self, texts: list[str]) -> Tensor:
        return torch.from_numpy(tokens.token_ids(self.tokenizer, texts))  # N,77


def load_parts(vae: Path, clip: Path, machine: Machine) -> Parts:
    """The autoencoder in `vae`, tokenizer and text encoder in `clip`, frozen. Raises ValueError when one is missing."""
    tokenizer = tokens.load(clip / "tokenizer")
    text_encoder = data.load_weights(CLIPTextModel, clip / "text_encoder")
    autoencoder = data.load_weights(AutoencoderKL, vae)
    for part in (text_encoder, autoencoder):
        part.requires_grad_(False).eval().to(machine.device)
    return Parts(tokenizer, text_encoder, autoencoder)


class Encoder:
    """Called with uint8 pictures (N,128,128,3): mean and std of their scaled latents, (N,4,16,16) each, on the CPU."""

    def __init__(self, vae: Any, machine: Machine):
        self.vae, self.machine = vae, machine  # AutoencoderKL
        self.scaling_factor = vae.config.scaling_factor

    @torch.no_grad()
    def __call__(self, pictures: np.ndarray) -> tuple[Tensor, Tensor]:
        means, stds = [], []
        for part in data.to_tensor(pictures).split(4 if self.machine.on_cpu else 64):  # 4 stay in a CPU's cache
            with self.machine.autocast():
                posterior = self.vae.encode(part.to(self.machine.device)).latent_dist
            means.append(posterior.mean.float().cpu() * self.scaling_factor)
            stds.append(posterior.std.float().cpu() * self.scaling_factor)
        return torch.cat(means), torch.cat(stds)


def use_fast_attention(module: Any, machine: Machine) -> None:
    """On a CPU, backward through PyTorch's fused attention takes 15 % longer than the plain products (measured with
    one thread on a server CPU). A GPU wants the opposite."""
    if hasattr(module, "set_attn_processor"):
        module.set_attn_processor(AttnProcessor() if machine.on_cpu else AttnProcessor2_0())


# -------------------------------------------------------------------------------------------------------- the training


@dataclass
class Lessons:
    """What a network learns from: latents with all that it sees of each, and the token ids of their captions.

    mean, std: (N,4,16,16). seen: (N, ...) each. ids: (N,captions,77). empty: (1,77), the text that says nothing.
    sided: from `data.sided`.
    """

    mean: Tensor
    std: Tensor
    seen: dict[str, Tensor]
    ids: Tensor
    empty: Tensor
    sided: Tensor
    sided_fraction: float
    drop: tuple[float, float, float]

    def draw(self, random: torch.Generator, n: int) -> dict[str, Tensor]:
        index, wording = data.draw_captions(random, n, self.ids.shape[:2], self.sided, self.sided_fraction)
        mean, std = self.mean[index].float(), self.std[index].float()
        z = mean + std * torch.randn(mean.shape, generator=random)
        no_text, no_seen, neither = self.drop
        u = torch.rand(n, generator=random)
        without_text = u < no_text + neither
        without_seen = (u >= no_text) & (u < no_text + neither + no_seen)
        ids = torch.where(without_text[:, None], self.empty, self.ids[index, wording].long())
        seen = {name: tensor[index].float() for name, tensor in self.seen.items()}
        for tensor in seen.values():
            tensor[without_seen] = 0.0
        return noised(z, torch.randn(z.shape, generator=random), spread_timesteps(n, random, len(SCHEDULE)), ids, seen)


def prepare(task: Task, kept: data.Latents, parts: Parts) -> Lessons:
    """The lessons of a task, from what was computed once."""
    seen = dict(kept.tensors)
    return Lessons(
        mean=seen.pop("mean"),
        std=seen.pop("std"),
        seen=seen,
        ids=data.token_table(parts.tokenizer, kept.captions),
        empty=parts.token_ids([""]),
        sided=data.sided(kept.captions) if task.sided else torch.empty(0, 2),
        sided_fraction=task.sided,
        drop=task.drop,
    )


def noised(z: Tensor, eps: Tensor, t: Tensor, ids: Tensor, seen: dict[str, Tensor]) -> dict[str, Tensor]:
    """The rows of a batch: latents, their noise, timesteps (B,), token ids (B,77) and what else is seen."""
    return {"latent": z, "noise": eps, "timestep": t, "noisy": SCHEDULE.add_noise(z, eps, t), "ids": ids, **seen}


def train(
    task: Task, options: DenoisingOptions, machine: Machine, parts: Parts, network: Network, settings: dict
) -> loop.Result:
    """Train a network on a task. The options are complete (`options.filled(task.sizes(options.smoke))`).

    What it learns from (4 KB a picture) is computed once for `options.pictures` pictures into `options.cache`, by
    default `latents` beside `options.out`; a larger number later adds to them.
    settings: what the result depends on beside that.
    """
    sizes, encode = task.sizes(options.smoke), partial(task.encode, encode=Encoder(parts.vae, machine))
    training, unseen = task.open_data(options.data, seed=options.seed)
    latents = fingerprint(parts.vae)
    settings = {
        "data": training.name,
        "latents": latents,
        "text": mark_of(tokens.vocabulary(parts.tokenizer), parts.text_encoder),
        "pictures": min(options.pictures, len(training)),
        "captions_per_picture": CAPTIONS,
        "drop": task.drop,
        "sided": task.sided,
        "least_snr": LEAST_SNR,
        **settings,
    }
    for module in network.modules.values():
        use_fast_attention(module, machine)
    weight = task.weight(SCHEDULE.snr(torch.arange(len(SCHEDULE)))).to(machine.device)  # T

    with open_run(options, machine, network.modules, task.product, settings, OPTIMIZATION) as run:
        cache = options.cache or run.out.parent / "latents"
        mark = latents if task.encode is encode_pictures else f"{latents}-{task.product.name}"
        kept = data.cache_latents(training, options.pictures, cache, encode, mark, machine, captions=CAPTIONS)
        lessons = prepare(task, kept, parts)
        exam, captions = held_out(unseen, sizes["validation"], encode, parts)

        def errors(rows: dict[str, Tensor]) -> Tensor:
            """The task's loss of each row: (B,)."""
            seen = {name: rows[name] for name in lessons.seen}
            text = parts.encode_text(rows["ids"])
            batch = Batch(rows["latent"], rows["noise"], rows["timestep"], rows["noisy"], text, seen)
            return task.loss(network.predict, batch)

        def loss_fn(rows: dict[str, Tensor], random: torch.Generator, progress: float):
            error = errors(rows)
            return (error * weight[rows["timestep"]]).mean(), {"mse": error.detach().mean()}

        def validate() -> dict[str, float]:
            found = []
            for rows, _ in loop.parts(exam, 64):
                with machine.autocast():
                    found.append(errors({name: tensor.to(machine.device) for name, tensor in rows.items()}))
            return {"mse": float(torch.cat(found).mean())}

        def sheet() -> Image.Image:
            """What the network makes of the task's prompts, or of the first unseen examples."""
            texts = list(task.prompts or captions)[: sizes["shown"]]
            count = len(texts)
            text, no_text = (parts.encode_text(parts.token_ids(t).to(machine.device)) for t in (texts, [""] * count))
            seen = {name: exam[name][:count].to(machine.device) for name in lessons.seen}

            def predict(x: Tensor, t: int, text: Tensor) -> Tensor:  # guidance asks for several predictions at once
                beside = {name: fill(tensor, len(x)) for name, tensor in seen.items()}
                return network.predict(x, t, text, **beside)

            x = noise((count, *exam["latent"].shape[1:]), seed=0).to(machine.device)
            z = task.draw(predict, text, no_text, x, sizes["sampling_steps"])  # B,4,16,16, or of films B,F,4,16,16
            drawn = parts.vae.decode(z.flatten(0, -4) / parts.vae.config.scaling_factor).sample
            above = [data.to_tensor(task.show(unseen, range(count)))] if task.show else []
            return data.rows([*above, drawn], columns=6 if z.ndim == 4 else z.shape[1])

        return loop.fit(
            run,
            lessons.draw,
            loss_fn,
            validate=validate,
            pictures=sheet,
            export=network.save,
            micro_batch=32 if machine.on_cpu else None,  # parts that stay in a CPU's cache
        )


def held_out(unseen, count: int, encode: Callable, parts: Parts) -> tuple[dict[str, Tensor], list[str]]:
    """What is validated on: the first `count` unseen examples, always with the same noise and timesteps, as the rows of
    a batch; and their captions."""
    indices = range(min(len(unseen), count))
    captions = [unseen[i][1] for i in indices]
    seen = encode(unseen, indices)
    z, _ = seen.pop("mean"), seen.pop("std")
    seen = {name: tensor.float() for name, tensor in seen.items()}
    fixed = loop.generator(9)
    eps, t = torch.randn(z.shape, generator=fixed), spread_timesteps(len(z), fixed, len(SCHEDULE))
    return noised(z, eps, t, parts.token_ids(captions), seen), captions

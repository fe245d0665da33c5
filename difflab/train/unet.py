"""The U-Net: from a noisy latent, a timestep and a text embedding to the noise (diffusers' UNet2DConditionModel).

Denoising training of Ho, Jain and Abbeel 2020 (arXiv 2006.11239) on the latents of Rombach et al. 2022 (2112.10752),
with the debiased weighting of Yu et al. 2023 (2310.08442) and captions dropped for classifier-free guidance (Ho and
Salimans 2022, 2207.12598). Pictures are encoded once; the autoencoder and the text tower stay as they are.
"""

import hashlib
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import NamedTuple

import torch
from diffusers import AutoencoderKL, UNet2DConditionModel
from diffusers.models.attention_processor import AttnProcessor, AttnProcessor2_0
from PIL import Image
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from transformers import CLIPTextModel

from difflab.guidance import classifier_free_guidance
from difflab.inputs import noise
from difflab.loading import CONV_IN, LORA, weights_folder, widen
from difflab.loop import sample
from difflab.samplers import dpmpp
from difflab.schedule import NoiseSchedule
from difflab.train import data, runner
from difflab.train import tokenizer as tokens

CHANNELS = (96, 160)
DOWN_BLOCKS = ("DownBlock2D", "CrossAttnDownBlock2D")  # at 16x16, at 8x8
UP_BLOCKS = ("CrossAttnUpBlock2D", "CrossAttnUpBlock2D")  # at 8x8, at 16x16
LAYERS_PER_BLOCK = 1
HEADS = 4
NORM_GROUPS = 32
STEPS = 15_200  # as the shipped weights, whose runs were four; more is better
BATCH_SIZE = 64
LEARNING_RATE = 1e-3
CAPTIONS = 4
RANK = 20  # of the LoRA
LEAST_SNR = 0.04
VALIDATION = 512
SMOKE = {"steps": 4, "batch_size": 4, "pictures": 12, "channels": (32, 64), "validation": 4}

PROMPTS = (
    "a cat on a sofa at night",
    "a dog on the beach",
    "a red car in the snow",
    "a lion in the city at sunset",
    "a turtle wearing a crown on the beach",
    "a blue bicycle on the grass",
    "a cat to the left of a dog",
    "a panda to the right of a red ball in the snow",
    "a penguin in the snow at night",
    "a green car in the city",
    "a frog wearing a top hat",
    "a superhero in the city at night",
)


def build(text_width: int, channels: tuple[int, ...] = CHANNELS) -> UNet2DConditionModel:
    """A fresh U-Net for latents 4x16x16, with cross-attention at 8x8 and, on the way up, at 16x16."""
    return UNet2DConditionModel(
        sample_size=16,
        in_channels=4,
        out_channels=4,
        layers_per_block=LAYERS_PER_BLOCK,
        block_out_channels=channels,
        down_block_types=DOWN_BLOCKS,
        up_block_types=UP_BLOCKS,
        cross_attention_dim=text_width,
        attention_head_dim=HEADS,  # diffusers' name; for these blocks it is the number of heads
        norm_num_groups=NORM_GROUPS,
    )


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


def fingerprint(vae: AutoencoderKL) -> str:
    """Twelve hex digits that change with the encoder's weights and the scaling factor, not with the decoder's."""
    return mark_of(repr(vae.config.scaling_factor), vae.encoder, vae.quant_conv)


def mark_of(text: str, *modules: nn.Module) -> str:
    """Twelve hex digits that change with the text and with the modules' weights, as they are shipped."""
    digest = hashlib.sha256(text.encode())
    for module in modules:
        for value in module.state_dict().values():
            digest.update(value.detach().half().cpu().numpy().tobytes())
    return digest.hexdigest()[:12]


def with_adapter(unet: UNet2DConditionModel, channels: int) -> UNet2DConditionModel:
    """The U-Net, frozen, with an input layer for `channels` more, and LoRA (Hu et al. 2021, arXiv 2106.09685) on every
    other linear and convolutional layer but the last: only these learn."""
    from peft import LoraConfig

    unet = widen(unet.requires_grad_(False), 4 + channels)
    layers = [
        name
        for name, layer in unet.named_modules()
        if isinstance(layer, nn.Linear | nn.Conv2d) and name not in ("conv_in", "conv_out")
    ]
    unet.add_adapter(LoraConfig(r=RANK, lora_alpha=RANK, init_lora_weights="gaussian", target_modules=layers))
    unet.conv_in.requires_grad_(True)
    return unet


def load_adapter(unet: UNet2DConditionModel, folder: Path) -> None:
    """Read what `save_adapter` wrote. Raises ValueError when a file is missing or is for a U-Net of another shape."""
    from peft import get_peft_model_state_dict, set_peft_model_state_dict

    if not all((folder / file).is_file() for file in (CONV_IN, LORA)):
        raise ValueError(f"{folder} has no {CONV_IN} and {LORA}: name the folder of an input layer and a LoRA")
    conv_in = load_file(folder / CONV_IN)
    lora = {name.removeprefix("unet."): weight for name, weight in load_file(folder / LORA).items()}
    for read, own in ((conv_in, unet.conv_in.state_dict()), (lora, get_peft_model_state_dict(unet))):
        if {name: w.shape for name, w in read.items()} != {name: w.shape for name, w in own.items()}:
            raise ValueError(f"the input layer and LoRA in {folder} are for another U-Net or task")
    unet.conv_in.load_state_dict(conv_in)
    set_peft_model_state_dict(unet, lora)


def save_adapter(unet: UNet2DConditionModel, folder: Path) -> None:
    """Write the input layer and the LoRA, the latter as diffusers' pipelines read it: its names begin with `unet.`."""
    from peft import get_peft_model_state_dict

    lora = {f"unet.{name}": weight for name, weight in get_peft_model_state_dict(unet).items()}
    for file, weights in ((CONV_IN, unet.conv_in.state_dict()), (LORA, lora)):
        save_file({name: tensor.contiguous() for name, tensor in weights.items()}, folder / file)


def encoder(vae: AutoencoderKL, accelerator):
    """A function from uint8 pictures (N,128,128,3) to mean and std of their scaled latents, (N,4,16,16) each."""
    size = 4 if accelerator.device.type == "cpu" else 64  # small batches stay in a CPU's cache

    @torch.no_grad()
    def encode(pictures) -> tuple[Tensor, Tensor]:
        means, stds = [], []
        for part in data.to_tensor(pictures).split(size):
            with accelerator.autocast():
                posterior = vae.encode(part.to(accelerator.device)).latent_dist
            means.append(posterior.mean.float().cpu() * vae.config.scaling_factor)
            stds.append(posterior.std.float().cpu() * vae.config.scaling_factor)
        return torch.cat(means), torch.cat(stds)

    return encode


class Task(NamedTuple):
    """What tells one U-Net of ours from the next: what it sees beside the noisy latent, and what it learns from.

    open_data: (folder or None, seed=) -> training and unseen source, as `data.open_data`.
    encode: (source, indices, encode, scaling_factor) -> the tensors of `data.cache_latents`.
    channels: how many channels it sees beside the latent's four.
    drop: how often in training it has to do without its text, without what it sees, and without both.
    show: (source, indices) -> pictures for the sample sheet, to stand above what the network makes of them.
    sided: the part of each batch whose captions say what is left and what is right.
    """

    name: str
    open_data: Callable
    encode: Callable
    channels: int
    drop: tuple[float, float, float]
    pictures: int
    show: Callable | None = None
    sided: float = 0.0


def encode_pictures(source, indices, encode, scaling_factor) -> dict[str, Tensor]:
    """Nothing to see: the pictures' latents alone."""
    mean, std = encode(data.stack(source, indices))
    return {"mean": mean, "std": std}


TEXT = Task("unet", data.open_data, encode_pictures, channels=0, drop=(0.1, 0.0, 0.0), pictures=20_000, sided=0.5)


def train(
    *,
    task: Task = TEXT,
    out: str | Path | None = None,
    data_folder: str | Path | None = None,
    vae: str | Path | None = None,
    clip: str | Path | None = None,
    cache: str | Path | None = None,
    pictures: int | None = None,
    steps: int | None = None,
    minutes: float | None = None,
    batch_size: int | None = None,
    learning_rate: float = LEARNING_RATE,
    decay_from: float = 0.5,
    init: str | Path | None = None,
    adapter: str | Path | None = None,
    resume: bool = False,
    seed: int = 0,
    device: str = "auto",
    precision: str = "auto",
    threads: int | None = None,
    workers: int = 0,
    save_minutes: float = 5.0,
    validate_minutes: float = 15.0,
    log_every: int = 100,
    smoke: bool = False,
) -> runner.Result:
    """Train the U-Net of a task into `out`, by default runs/NAME; `out/unet` is the result.

    For text alone that is a diffusers folder; `init` starts from the weights of another. A task that sees more starts
    from `init`, by default the shipped U-Net, and learns an input layer and LoRA: the result holds these two. `adapter`
    is a folder of such a result to go on from, which may have been for an earlier state of `init`.
    `vae` is the folder of the autoencoder, `clip` the folder with `tokenizer` and `text_encoder`: by default those of
    runs/, for a task that sees more the shipped ones. What the network learns from (4 KB a picture) is computed once
    for `pictures` pictures into `cache`, by default `latents` beside `out`; a larger number later adds to them.
    """
    if adapter is not None and not task.channels:
        raise ValueError("adapter= is for a task that sees more than the noisy latent; go on from a U-Net with init=")
    accelerator = runner.start(device=device, precision=precision, threads=threads)
    out = Path(out or f"runs/{task.name}")
    started_from = adapter if task.channels else init
    home = {"vae": "runs/autoencoder/vae", "clip": "runs/clip/clip"}
    if task.channels:
        home, init = {"vae": weights_folder() / "vae", "clip": weights_folder()}, init or weights_folder() / "unet"
    vae, clip = Path(vae or home["vae"]), Path(clip or home["clip"])
    count = pictures or (SMOKE["pictures"] if smoke else task.pictures)
    steps = steps or (SMOKE["steps"] if smoke else STEPS)
    batch_size = batch_size or (SMOKE["batch_size"] if smoke else BATCH_SIZE)
    tokenizer = tokens.load(clip / "tokenizer")
    text_encoder = data.load_weights(CLIPTextModel, clip / "text_encoder")
    autoencoder = data.load_weights(AutoencoderKL, vae)
    for part in (text_encoder, autoencoder):
        part.requires_grad_(False).eval().to(accelerator.device)

    training, unseen = task.open_data(data_folder, seed=seed)
    scaling_factor = autoencoder.config.scaling_factor
    pictures_to_latents = encoder(autoencoder, accelerator)

    def encode(source, indices) -> dict[str, Tensor]:
        return task.encode(source, indices, pictures_to_latents, scaling_factor)

    mark = fingerprint(autoencoder)
    latents = data.cache_latents(
        training, count, cache or out.parent / "latents", encode, mark, accelerator, captions=CAPTIONS
    )
    mean, std, seen = latents.mean, latents.std, latents.seen  # N,4,16,16 and N,C,16,16, float16
    ids = data.token_table(tokenizer, latents.captions)  # N,4,77
    sided = data.sided(latents.captions) if task.sided else ()
    empty = torch.from_numpy(tokens.token_ids(tokenizer, [""]))  # 1,77

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        unet = build(text_encoder.config.hidden_size, SMOKE["channels"] if smoke else CHANNELS)
        if init is not None:
            unet = data.load_weights(UNet2DConditionModel, init)
        base = mark_of("", unet)
        if task.channels:
            unet = with_adapter(unet, task.channels)
            if adapter is not None:
                load_adapter(unet, Path(adapter))
    # On a CPU, backward through PyTorch's fused attention takes 15 % longer than the plain products, and parts that
    # stay in the cache save as much again (measured with one thread on a server CPU). A GPU wants the opposite.
    on_cpu = accelerator.device.type == "cpu"
    unet.set_attn_processor(AttnProcessor() if on_cpu else AttnProcessor2_0())
    text_part, micro_batch = (16, 32) if on_cpu else (batch_size, None)

    schedule = NoiseSchedule.scaled_linear(beta_start=0.00085, beta_end=0.012)
    alpha_bar = schedule.alphas_cumprod.float().to(accelerator.device)  # T
    weight = debiased_weight(alpha_bar / (1.0 - alpha_bar))  # T

    def squared_error(z: Tensor, t: Tensor, eps: Tensor, seen: Tensor, ids: Tensor) -> Tensor:
        """Mean squared error of the predicted noise for each latent: (B,4,16,16), (B,), (B,4,16,16), (B,C,16,16),
        (B,77) -> (B,)."""
        abar = alpha_bar[t].view(-1, 1, 1, 1)
        x = abar.sqrt() * z + (1.0 - abar).sqrt() * eps
        with torch.no_grad():
            text = torch.cat([text_encoder(input_ids=i).last_hidden_state for i in ids.split(text_part)])  # B,77,d
        predicted = unet(torch.cat([x, seen], 1), t, text, return_dict=False)[0].float()
        return ((predicted - eps) ** 2).mean(dim=(1, 2, 3))

    def draw(generator: torch.Generator, n: int) -> dict[str, Tensor]:
        index, wording = data.draw_captions(generator, n, ids.shape[:2], sided, task.sided)
        z = mean[index].float() + std[index].float() * torch.randn((n, *mean.shape[1:]), generator=generator)
        no_text, no_seen, neither = task.drop
        u = torch.rand(n, 1, generator=generator)
        without_text = u < no_text + neither
        without_seen = (u >= no_text) & (u < no_text + neither + no_seen)
        return {
            "latent": z,
            "ids": torch.where(without_text, empty, ids[index, wording].long()),
            "seen": torch.where(without_seen.view(-1, 1, 1, 1), 0.0, seen[index].float()),
            "noise": torch.randn(z.shape, generator=generator),
            "timestep": spread_timesteps(n, generator, len(alpha_bar)),
        }

    def loss_fn(batch: dict[str, Tensor], generator: torch.Generator, progress: float):
        error = squared_error(*(batch[key] for key in ("latent", "timestep", "noise", "seen", "ids")))
        return (error * weight[batch["timestep"]]).mean(), {"mse": error.detach().mean()}

    n = min(len(unseen), SMOKE["validation"] if smoke else VALIDATION)
    with torch.no_grad():
        held_out = encode(unseen, range(n))
    z_unseen = held_out["mean"]
    seen_unseen = held_out.get("seen", z_unseen[:, :0])
    ids_unseen = torch.from_numpy(tokens.token_ids(tokenizer, [unseen[i][1] for i in range(n)]))
    fixed = runner.generator(9)
    eps_unseen, t_unseen = torch.randn(z_unseen.shape, generator=fixed), spread_timesteps(n, fixed, len(alpha_bar))

    def validate() -> dict[str, float]:
        errors = []
        parts = (v.split(64) for v in (z_unseen, t_unseen, eps_unseen, seen_unseen, ids_unseen))
        for part in zip(*parts, strict=True):
            with accelerator.autocast():
                errors.append(squared_error(*(v.to(accelerator.device) for v in part)))
        return {"mse": float(torch.cat(errors).mean())}

    def sheet() -> Image.Image:
        """What the network makes of the first unseen examples, or, for text alone, of PROMPTS."""
        shown = range(min(len(unseen), 2 if smoke else len(PROMPTS)))
        texts = [unseen[i][1] for i in shown] if task.channels else list(PROMPTS[: len(shown)])
        text, no_text = (
            text_encoder(input_ids=torch.from_numpy(tokens.token_ids(tokenizer, t)).to(accelerator.device))[0]
            for t in (texts, [""] * len(texts))
        )
        sight = seen_unseen[: len(shown)].to(accelerator.device)

        def predict_noise(x, t, text):
            return unet(torch.cat([x, torch.cat([sight] * (len(x) // len(sight)))], 1), t, text, return_dict=False)[0]

        x = noise((len(shown), *z_unseen.shape[1:]), seed=0).to(accelerator.device)
        *_, last = sample(
            classifier_free_guidance(predict_noise, text, no_text, 3.0), x, dpmpp(schedule, 2 if smoke else 20)
        )
        drawn = autoencoder.decode(last.x / scaling_factor).sample
        stacks = [data.to_tensor(task.show(unseen, shown)), drawn] if task.show else [drawn]
        return data.rows(stacks, columns=6)

    if accelerator.is_main_process:
        size = sum(p.numel() for p in unet.parameters() if p.requires_grad) / 1e6
        print(
            f"{task.name}: {size:.2f} million weights to learn, {len(mean)} latents, {accelerator.device}",
            file=sys.stderr,
        )
    return runner.fit(
        accelerator,
        {"unet": unet},
        draw,
        loss_fn,
        out=out,
        steps=steps,
        minutes=minutes,
        batch_size=batch_size,
        micro_batch=micro_batch,
        learning_rate=learning_rate,
        betas=(0.9, 0.99),
        weight_decay=0.01,
        warmup=200,
        decay_from=decay_from,
        average_decay=0.998,
        seed=seed,
        resume=resume,
        workers=workers,
        validate=validate,
        pictures=sheet,
        export=partial(save_adapter, unet) if task.channels else unet.save_pretrained,
        export_to="unet",
        save_minutes=save_minutes,
        validate_minutes=validate_minutes,
        log_every=log_every,
        settings={
            "recipe": task.name,
            "data": str(data_folder or "world"),
            "latents": mark,
            "pictures": len(mean),
            "captions_per_picture": ids.shape[1],
            "learning_rate": learning_rate,
            "drop": list(task.drop),
            "sided": task.sided,
            "least_snr": LEAST_SNR,
            "base": base if task.channels else None,
            "init": str(started_from) if started_from else None,
            "smoke": smoke,
        },
    )

"""The U-Net: from a noisy latent, a timestep and a text embedding to the noise (diffusers' UNet2DConditionModel).

Denoising training of Ho, Jain and Abbeel 2020 (arXiv 2006.11239) on the latents of Rombach et al. 2022 (2112.10752),
with the debiased weighting of Yu et al. 2023 (2310.08442) and captions dropped for classifier-free guidance (Ho and
Salimans 2022, 2207.12598). Pictures are encoded once; the autoencoder and the text tower stay as they are.
"""

import copy
import hashlib
import sys
from pathlib import Path

import torch
from diffusers import AutoencoderKL, UNet2DConditionModel
from diffusers.models.attention_processor import AttnProcessor, AttnProcessor2_0
from PIL import Image
from torch import Tensor
from transformers import CLIPTextModel

from difflab.schedule import NoiseSchedule
from difflab.train import data, runner
from difflab.train import tokenizer as tokens

CHANNELS = (96, 160)
DOWN_BLOCKS = ("DownBlock2D", "CrossAttnDownBlock2D")  # at 16x16, at 8x8
UP_BLOCKS = ("CrossAttnUpBlock2D", "CrossAttnUpBlock2D")  # at 8x8, at 16x16
LAYERS_PER_BLOCK = 1
HEADS = 4
NORM_GROUPS = 32
STEPS = 8_400  # as the shipped weights, whose runs were two; more is better
BATCH_SIZE = 64
LEARNING_RATE = 1e-3
PICTURES = 20_000
CAPTIONS = 4
DROP_CAPTION = 0.1
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
    digest = hashlib.sha256(repr(vae.config.scaling_factor).encode())
    for part in (vae.encoder, vae.quant_conv):
        for value in part.state_dict().values():
            digest.update(value.detach().half().cpu().numpy().tobytes())  # as it is shipped
    return digest.hexdigest()[:12]


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


def train(
    *,
    out: str | Path = "runs/unet",
    data_folder: str | Path | None = None,
    vae: str | Path = "runs/autoencoder/vae",
    clip: str | Path = "runs/clip/clip",
    cache: str | Path | None = None,
    pictures: int | None = None,
    steps: int | None = None,
    minutes: float | None = None,
    batch_size: int | None = None,
    learning_rate: float = LEARNING_RATE,
    decay_from: float = 0.5,
    init: str | Path | None = None,
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
    """Train the U-Net into `out`; `out/unet` is the diffusers folder.

    `vae` is the folder of the autoencoder, `clip` the folder with `tokenizer` and `text_encoder`. The latents of
    `pictures` scenes (4 KB each, four captions each) are computed once into `cache`, by default `latents` beside `out`;
    a larger number later adds to those that are there. `init` starts from the weights of a U-Net folder.
    """
    accelerator = runner.start(device=device, precision=precision, threads=threads)
    count = pictures or (SMOKE["pictures"] if smoke else PICTURES)
    steps = steps or (SMOKE["steps"] if smoke else STEPS)
    batch_size = batch_size or (SMOKE["batch_size"] if smoke else BATCH_SIZE)
    tokenizer = tokens.load(Path(clip) / "tokenizer")
    text_encoder = data.load_weights(CLIPTextModel, Path(clip) / "text_encoder")
    autoencoder = data.load_weights(AutoencoderKL, vae)
    for part in (text_encoder, autoencoder):
        part.requires_grad_(False).eval().to(accelerator.device)

    training, unseen = data.open_data(data_folder, seed=seed)
    cache = Path(cache) if cache else Path(out).parent / "latents"
    encode, mark = encoder(autoencoder, accelerator), fingerprint(autoencoder)
    latents = data.cache_latents(training, count, cache, encode, mark, accelerator, captions=CAPTIONS)
    mean, std = latents.mean, latents.std  # N,4,16,16 float16
    ids = data.token_table(tokenizer, latents.captions)  # N,4,77
    empty = torch.from_numpy(tokens.token_ids(tokenizer, [""]))  # 1,77

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        channels = SMOKE["channels"] if smoke else CHANNELS
        unet = build(text_encoder.config.hidden_size, channels)
    if init is not None:
        unet = data.load_weights(UNet2DConditionModel, init)
    # On a CPU, backward through PyTorch's fused attention takes 15 % longer than the plain products, and parts that
    # stay in the cache save as much again (measured with one thread on a server CPU). A GPU wants the opposite.
    on_cpu = accelerator.device.type == "cpu"
    unet.set_attn_processor(AttnProcessor() if on_cpu else AttnProcessor2_0())
    text_encoder.set_attn_implementation("eager" if on_cpu else "sdpa")
    text_part, micro_batch = (16, 32) if on_cpu else (batch_size, None)

    schedule = NoiseSchedule.scaled_linear(beta_start=0.00085, beta_end=0.012)
    alpha_bar = schedule.alphas_cumprod.float().to(accelerator.device)  # T
    weight = debiased_weight(alpha_bar / (1.0 - alpha_bar))  # T

    def squared_error(z: Tensor, t: Tensor, eps: Tensor, ids: Tensor) -> Tensor:
        """Mean squared error of the predicted noise for each latent: (B,4,16,16), (B,), (B,4,16,16), (B,77) -> (B,)."""
        abar = alpha_bar[t].view(-1, 1, 1, 1)
        x = abar.sqrt() * z + (1.0 - abar).sqrt() * eps
        with torch.no_grad():
            text = torch.cat([text_encoder(input_ids=i).last_hidden_state for i in ids.split(text_part)])  # B,77,d
        predicted = unet(x, t, text, return_dict=False)[0].float()
        return ((predicted - eps) ** 2).mean(dim=(1, 2, 3))

    def draw(generator: torch.Generator, n: int) -> dict[str, Tensor]:
        index = torch.randint(0, len(mean), (n,), generator=generator)
        z = mean[index].float() + std[index].float() * torch.randn((n, *mean.shape[1:]), generator=generator)
        wording = torch.randint(0, ids.shape[1], (n,), generator=generator)
        dropped = torch.rand(n, 1, generator=generator) < DROP_CAPTION
        return {
            "latent": z,
            "ids": torch.where(dropped, empty, ids[index, wording].long()),
            "noise": torch.randn(z.shape, generator=generator),
            "timestep": spread_timesteps(n, generator, len(alpha_bar)),
        }

    def loss_fn(batch: dict[str, Tensor], generator: torch.Generator, progress: float):
        error = squared_error(batch["latent"], batch["timestep"], batch["noise"], batch["ids"])
        return (error * weight[batch["timestep"]]).mean(), {"mse": error.detach().mean()}

    n = min(len(unseen), SMOKE["validation"] if smoke else VALIDATION)
    with torch.no_grad():
        z_unseen = encode(data.stack(unseen, range(n)))[0]
    ids_unseen = torch.from_numpy(tokens.token_ids(tokenizer, [unseen[i][1] for i in range(n)]))
    fixed = runner.generator(9)
    eps_unseen, t_unseen = torch.randn(z_unseen.shape, generator=fixed), spread_timesteps(n, fixed, len(alpha_bar))

    def validate() -> dict[str, float]:
        errors = []
        for part in zip(*(v.split(64) for v in (z_unseen, t_unseen, eps_unseen, ids_unseen)), strict=True):
            with accelerator.autocast():
                errors.append(squared_error(*(v.to(accelerator.device) for v in part)))
        return {"mse": float(torch.cat(errors).mean())}

    def sheet() -> Image.Image:
        from difflab.model import LatentDiffusion
        from difflab.text_to_image import text_to_image

        model = LatentDiffusion(
            tokenizer=tokenizer,
            text_encoder=text_encoder,
            vae=autoencoder,
            unet=copy.deepcopy(unet),
            schedule=schedule,
            device=accelerator.device,
        )
        prompts = list(PROMPTS)[: 2 if smoke else None]
        images = text_to_image(model, prompts, num_inference_steps=2 if smoke else 20, guidance_scale=4.0)
        width, height = images[0].size
        columns = min(6, len(images))
        out = Image.new("RGB", (columns * width, -(-len(images) // columns) * height))
        for i, image in enumerate(images):
            out.paste(image, (i % columns * width, i // columns * height))
        return out

    if accelerator.is_main_process:
        size = sum(p.numel() for p in unet.parameters()) / 1e6
        print(f"U-Net of {size:.2f} million weights, {len(mean)} latents, {accelerator.device}", file=sys.stderr)
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
        export=unet.save_pretrained,
        export_to="unet",
        save_minutes=save_minutes,
        validate_minutes=validate_minutes,
        log_every=log_every,
        settings={
            "recipe": "unet",
            "data": str(data_folder or "world"),
            "latents": mark,
            "pictures": len(mean),
            "captions_per_picture": ids.shape[1],
            "learning_rate": learning_rate,
            "drop_caption": DROP_CAPTION,
            "least_snr": LEAST_SNR,
            "init": str(init) if init else None,
            "smoke": smoke,
        },
    )

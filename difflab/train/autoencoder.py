"""The autoencoder: pictures 3x128x128 to latents 4x16x16 and back (diffusers' AutoencoderKL, f8, 4 latent channels).

The variational autoencoder of Rombach et al. 2022 (arXiv 2112.10752), made small. It first learns on 64x64 crops, where
a step costs a quarter, then on whole pictures.
"""

import copy
import math
from pathlib import Path

import torch
import torch.nn.functional as F
from diffusers import AutoencoderKL
from PIL import Image
from torch import Tensor

from difflab.files import new_folder
from difflab.metrics import psnr
from difflab.train import data, runner

CHANNELS = (16, 48, 96, 128)
LAYERS_PER_BLOCK = 1
NORM_GROUPS = 8
STEPS = 30_800  # as many pictures as the shipped weights saw, in three runs; more is better
BATCH_SIZE = 8
LEARNING_RATE = 1.2e-3
KL_WEIGHT = 1e-4
CROP = 64
CROP_UNTIL = 0.88  # of the run
DECAY_FROM = 0.3
VALIDATION_PICTURES = 64
SCALING_PICTURES = 1000
SCALING_FACTOR = 0.18215  # Stable Diffusion's, which much code has written into it
SMOKE = {"steps": 6, "batch_size": 2, "channels": (8, 8, 16, 16), "groups": 8}


def build(channels: tuple[int, ...] = CHANNELS, groups: int = NORM_GROUPS) -> AutoencoderKL:
    """A fresh autoencoder; each block but the last halves the side, so four blocks make f8."""
    return AutoencoderKL(
        in_channels=3,
        out_channels=3,
        latent_channels=4,
        sample_size=128,
        block_out_channels=channels,
        layers_per_block=LAYERS_PER_BLOCK,
        norm_num_groups=groups,
        down_block_types=("DownEncoderBlock2D",) * len(channels),
        up_block_types=("UpDecoderBlock2D",) * len(channels),
        act_fn="silu",
    )


def reconstruction_loss(y: Tensor, x: Tensor) -> Tensor:
    """How far y is from x, both (B,3,H,W) in [-1, 1]: a scalar.

    Absolute and squared error, the absolute error at a half and a quarter of the size, and at each of these sizes the
    error of the horizontal and vertical differences, which is what keeps edges sharp (the gradient difference loss of
    Mathieu, Couprie and LeCun 2016, arXiv 1511.05440).
    """
    loss = (y - x).abs().mean() + 0.5 * F.mse_loss(y, x)
    for scale in (1, 2, 4):
        if scale > 1:
            y, x = F.avg_pool2d(y, 2), F.avg_pool2d(x, 2)
            loss = loss + 0.5 * (y - x).abs().mean()
        error = y - x  # the difference of differences is the difference of the error
        loss = loss + 0.7 * (error.diff(dim=-1).abs().mean() + error.diff(dim=-2).abs().mean())
    return loss


def kl_divergence(mean: Tensor, logvar: Tensor) -> Tensor:
    """KL(N(mean, exp(logvar)) || N(0, 1)), averaged over latents (Kingma and Welling 2014, appendix B): a scalar."""
    return 0.5 * (mean**2 + logvar.exp() - 1.0 - logvar).mean()


def random_crops(x: Tensor, size: int, generator: torch.Generator) -> Tensor:
    """One `size` x `size` window out of each picture: (B,3,H,W) -> (B,3,size,size)."""
    height, width = x.shape[-2:]
    tops = torch.randint(0, height - size + 1, (len(x),), generator=generator).tolist()
    lefts = torch.randint(0, width - size + 1, (len(x),), generator=generator).tolist()
    corners = zip(x, tops, lefts, strict=True)
    return torch.stack([p[:, top : top + size, left : left + size] for p, top, left in corners])


@torch.no_grad()
def reconstruct(vae: AutoencoderKL, x: Tensor, autocast, batch_size: int = 8) -> tuple[Tensor, Tensor]:
    """Encode and decode (B,3,H,W) without noise; returns pictures and unscaled latents, both float32 on the CPU."""
    pictures, latents = [], []
    for part in x.split(batch_size):
        with autocast():
            z = vae.encode(part.to(vae.device)).latent_dist.mean
            y = vae.decode(z).sample
        pictures.append(y.float().cpu())
        latents.append(z.float().cpu())
    return torch.cat(pictures), torch.cat(latents)


@torch.no_grad()
def scaling_factor(vae: AutoencoderKL, x: Tensor, autocast, batch_size: int = 8) -> float:
    """One over the standard deviation of the sampled latents of the pictures x, so that scaled latents have unit
    variance (Rombach et al. 2022, appendix G)."""
    generator, latents = runner.generator(0), []
    for part in x.split(batch_size):
        with autocast():
            posterior = vae.encode(part.to(vae.device)).latent_dist
        mean, std = posterior.mean.float().cpu(), posterior.std.float().cpu()
        latents.append(mean + std * torch.randn(mean.shape, generator=generator))
    return float(1.0 / torch.cat(latents).std())


@torch.no_grad()
def rescale(vae: AutoencoderKL, factor: float) -> None:
    """Give an autoencoder whose scaling factor would be `factor` that of Stable Diffusion: the layers beside the latent
    take up the rest. Scaled latents and pictures stay what they are."""
    k = factor / SCALING_FACTOR
    for moments in (vae.quant_conv.weight, vae.quant_conv.bias):
        moments.chunk(2)[0].mul_(k)  # the means
    vae.quant_conv.bias.chunk(2)[1].add_(2 * math.log(k))  # log variances
    vae.post_quant_conv.weight.div_(k)
    vae.register_to_config(scaling_factor=SCALING_FACTOR)


def train(
    *,
    out: str | Path = "runs/autoencoder",
    data_folder: str | Path | None = None,
    steps: int | None = None,
    minutes: float | None = None,
    batch_size: int | None = None,
    learning_rate: float = LEARNING_RATE,
    crop_until: float = CROP_UNTIL,
    decoder_only: bool = False,
    init: str | Path | None = None,
    resume: bool = False,
    seed: int = 0,
    device: str = "auto",
    precision: str = "auto",
    threads: int | None = None,
    workers: int = 0,
    save_minutes: float = 5.0,
    validate_minutes: float = 15.0,
    log_every: int = 50,
    smoke: bool = False,
) -> runner.Result:
    """Train the autoencoder into `out`; `out/vae` is the diffusers folder. See `runner.fit` for the rest of `out`.

    `init` starts from the weights of an AutoencoderKL folder. `decoder_only` (needs `init`) keeps encoder, latents and
    scaling factor as they are and trains the decoder alone: a U-Net trained on those latents stays valid.
    """
    if decoder_only and init is None:
        raise ValueError("decoder_only=True keeps the encoder of a trained autoencoder: name its folder with init")
    accelerator = runner.start(device=device, precision=precision, threads=threads)
    channels, groups = (SMOKE["channels"], SMOKE["groups"]) if smoke else (CHANNELS, NORM_GROUPS)
    steps = steps or (SMOKE["steps"] if smoke else STEPS)
    batch_size = batch_size or (SMOKE["batch_size"] if smoke else BATCH_SIZE)
    training, unseen = data.open_data(data_folder, seed=seed)

    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        vae = build(channels, groups)
    if init is not None:
        vae = data.load_weights(AutoencoderKL, init)
    if decoder_only:
        vae.encoder.requires_grad_(False)
        vae.quant_conv.requires_grad_(False)
    x_unseen = data.to_tensor(data.stack(unseen, range(min(len(unseen), 4 if smoke else VALIDATION_PICTURES))))
    scaling_count = min(len(training), 8 if smoke else SCALING_PICTURES)

    def draw(generator: torch.Generator, n: int) -> dict[str, Tensor]:
        indices = torch.randint(0, len(training), (n,), generator=generator).tolist()
        return {"picture": torch.from_numpy(data.stack(training, indices))}

    def loss_fn(batch: dict[str, Tensor], generator: torch.Generator, progress: float):
        x = data.to_tensor(batch["picture"])  # B,3,128,128
        if progress < crop_until:
            x = random_crops(x, CROP, generator)  # B,3,64,64
        with torch.set_grad_enabled(not decoder_only):
            posterior = vae.encode(x).latent_dist
        mean, logvar = posterior.mean.float(), posterior.logvar.float()
        noise = torch.randn(mean.shape, generator=generator).to(mean.device)
        y = vae.decode(mean + (0.5 * logvar).exp() * noise).sample.float()
        reconstruction, kl = reconstruction_loss(y, x), kl_divergence(mean, logvar)
        numbers = {"reconstruction": reconstruction.detach(), "kl": kl.detach(), "psnr": psnr(y.detach(), x).mean()}
        return reconstruction + (0.0 if decoder_only else KL_WEIGHT) * kl, numbers

    def validate() -> dict[str, float]:
        y, z = reconstruct(vae, x_unseen, accelerator.autocast)
        return {"psnr": float(psnr(y, x_unseen).mean()), "latent_std": float(z.std())}

    def pictures() -> Image.Image:
        x = x_unseen[:24]
        return data.rows([x, reconstruct(vae, x, accelerator.autocast)[0]], columns=8)

    def export(folder: Path, count: int = min(scaling_count, 128)) -> None:
        made = copy.deepcopy(vae)
        if not decoder_only:
            x = data.to_tensor(data.stack(training, range(count)))
            rescale(made, scaling_factor(made, x, accelerator.autocast))
        made.save_pretrained(folder)

    result = runner.fit(
        accelerator,
        {"vae": vae},
        draw,
        loss_fn,
        out=out,
        steps=steps,
        minutes=minutes,
        batch_size=batch_size,
        learning_rate=learning_rate,
        betas=(0.9, 0.99),
        weight_decay=1e-4,
        warmup=100,
        decay_from=DECAY_FROM,
        seed=seed,
        resume=resume,
        workers=workers,
        validate=validate,
        pictures=pictures,
        export=export,
        export_to="vae",
        save_minutes=save_minutes,
        validate_minutes=validate_minutes,
        log_every=log_every,
        settings={
            "recipe": "autoencoder",
            "data": str(data_folder or "world"),
            "learning_rate": learning_rate,
            "kl_weight": KL_WEIGHT,
            "crop_until": crop_until,
            "decoder_only": decoder_only,
            "init": str(init) if init else None,
            "smoke": smoke,
        },
    )
    if result.finished and accelerator.is_main_process:
        vae = AutoencoderKL.from_pretrained(Path(out) / "vae").to(accelerator.device).eval()  # the averaged weights
        with new_folder(Path(out) / "vae") as folder:
            export(folder, scaling_count)
    return result

"""The autoencoder: pictures 3x128x128 to latents 4x16x16 and back (diffusers' AutoencoderKL, f8, 4 latent channels).

The variational autoencoder of Rombach et al. 2022 (arXiv 2112.10752), made small. It first learns on 64x64 crops, where
a step costs a quarter, then on whole pictures.
"""

import copy
import math
from functools import partial
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from diffusers import AutoencoderKL
from PIL import Image
from torch import Tensor

from difflab.metrics import psnr
from difflab.train import data
from difflab.train.loop import Result, fit, generator, seeded
from difflab.train.machine import start
from difflab.train.options import AutoencoderOptions
from difflab.train.runs import Optimization, Product, open_run

CHANNELS = (16, 48, 96, 128)
LAYERS_PER_BLOCK = 1
NORM_GROUPS = 8
KL_WEIGHT = 1e-4
CROP = 64
SHEET = 24  # pictures on the sample sheet
SCALING_FACTOR = 0.18215  # Stable Diffusion's, which much code has written into it
FULL = {"steps": 30_800, "batch_size": 8, "learning_rate": 1.2e-3}  # as many pictures as the shipped weights saw
FULL |= {"crop_until": 0.88, "decay_from": 0.3, "channels": CHANNELS, "validation": 64}
FULL |= {"scaling": 1000, "scaling_on_the_way": 128}  # pictures that the scaling factor is measured on
SMOKE = FULL | {"steps": 6, "batch_size": 2, "channels": (8, 8, 16, 16), "validation": 4}
SMOKE |= {"scaling": 8, "scaling_on_the_way": 8}
AUTOENCODER = Product(
    name="autoencoder",
    kind="AutoencoderKL",
    method="the variational autoencoder of latent diffusion (Rombach et al. 2022, arXiv 2112.10752)",
    folder="vae",
)


def build(channels: tuple[int, ...] = CHANNELS) -> Any:
    """A fresh AutoencoderKL; each block but the last halves the side, so four blocks make f8."""
    blocks: dict[str, Any] = {
        "block_out_channels": channels,
        "down_block_types": ("DownEncoderBlock2D",) * len(channels),
        "up_block_types": ("UpDecoderBlock2D",) * len(channels),
    }
    return AutoencoderKL(
        in_channels=3,
        out_channels=3,
        latent_channels=4,
        sample_size=128,
        layers_per_block=LAYERS_PER_BLOCK,
        norm_num_groups=NORM_GROUPS,
        act_fn="silu",
        **blocks,
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
def reconstruct(vae: Any, x: Tensor, autocast, batch_size: int = 8) -> tuple[Tensor, Tensor]:
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
def scaling_factor(vae: Any, x: Tensor, autocast, batch_size: int = 8) -> float:
    """One over the standard deviation of the sampled latents of the pictures x, so that scaled latents have unit
    variance (Rombach et al. 2022, appendix G)."""
    random, latents = generator(0), []
    for part in x.split(batch_size):
        with autocast():
            posterior = vae.encode(part.to(vae.device)).latent_dist
        mean, std = posterior.mean.float().cpu(), posterior.std.float().cpu()
        latents.append(mean + std * torch.randn(mean.shape, generator=random))
    return float(1.0 / torch.cat(latents).std())


@torch.no_grad()
def rescale(vae: Any, factor: float) -> None:
    """Give an autoencoder whose scaling factor would be `factor` that of Stable Diffusion: the layers beside the latent
    take up the rest. Scaled latents and pictures stay what they are."""
    k = factor / SCALING_FACTOR
    for moments in (vae.quant_conv.weight, vae.quant_conv.bias):
        moments.chunk(2)[0].mul_(k)  # the means
    vae.quant_conv.bias.chunk(2)[1].add_(2 * math.log(k))  # log variances
    vae.post_quant_conv.weight.div_(k)
    vae.register_to_config(scaling_factor=SCALING_FACTOR)


def draw(source, generator: torch.Generator, n: int) -> dict[str, Tensor]:
    """Pictures of a source: uint8 (n,128,128,3)."""
    indices = torch.randint(0, len(source), (n,), generator=generator).tolist()
    return {"picture": torch.from_numpy(data.stack(source, indices))}


def train(options: AutoencoderOptions) -> Result:
    """Train the autoencoder into `options.out`; `vae` there is the diffusers folder.

    `init` starts from the weights of an AutoencoderKL folder. `decoder_only` keeps encoder, latents and scaling factor
    as they are and trains the decoder alone: a U-Net trained on those latents stays valid.
    """
    sizes = SMOKE if options.smoke else FULL
    options = options.filled(sizes)
    machine = start(options)
    training, unseen = data.open_data(options.data, seed=options.seed)
    with seeded(options.seed):
        vae = build(sizes["channels"])
    if options.init is not None:
        vae = data.load_weights(AutoencoderKL, options.init)
    if options.decoder_only:
        vae.encoder.requires_grad_(False)
        vae.quant_conv.requires_grad_(False)

    def loss_fn(batch: dict[str, Tensor], generator: torch.Generator, progress: float):
        x = data.to_tensor(batch["picture"])  # B,3,128,128
        if progress < options.crop_until:
            x = random_crops(x, CROP, generator)  # B,3,64,64
        with torch.set_grad_enabled(not options.decoder_only):
            posterior = vae.encode(x).latent_dist
        mean, logvar = posterior.mean.float(), posterior.logvar.float()
        noise = torch.randn(mean.shape, generator=generator).to(mean.device)
        y = vae.decode(mean + (0.5 * logvar).exp() * noise).sample.float()
        reconstruction, kl = reconstruction_loss(y, x), kl_divergence(mean, logvar)
        numbers = {"reconstruction": reconstruction.detach(), "kl": kl.detach(), "psnr": psnr(y.detach(), x).mean()}
        return reconstruction + (0.0 if options.decoder_only else KL_WEIGHT) * kl, numbers

    def validate() -> dict[str, float]:
        y, z = reconstruct(vae, x_unseen, machine.autocast)
        return {"psnr": float(psnr(y, x_unseen).mean()), "latent_std": float(z.std())}

    def pictures() -> Image.Image:
        x = x_unseen[:SHEET]
        return data.rows([x, reconstruct(vae, x, machine.autocast)[0]], columns=8)

    def export(folder: Path) -> None:
        made = copy.deepcopy(vae)
        if not options.decoder_only:
            count = min(len(training), sizes["scaling" if run.finished else "scaling_on_the_way"])
            x = data.to_tensor(data.stack(training, range(count)))
            rescale(made, scaling_factor(made, x, machine.autocast))
        made.save_pretrained(folder)

    settings = {
        "data": training.name,
        "kl_weight": KL_WEIGHT,
        "crop_until": options.crop_until,
        "decoder_only": options.decoder_only,
        "init": str(options.init) if options.init else None,
    }
    with open_run(options, machine, {"vae": vae}, AUTOENCODER, settings, Optimization(weight_decay=1e-4)) as run:
        x_unseen = data.to_tensor(data.stack(unseen, range(min(len(unseen), sizes["validation"]))))
        return fit(run, partial(draw, training), loss_fn, validate=validate, pictures=pictures, export=export)

"""Small weights on a U-Net that stays as it is: LoRA, an input layer that sees more, a control branch and the like.

A recipe brings a task (its data, what the network sees, its loss) and a function that puts on the U-Net what learns.
"""

from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import torch
from diffusers import UNet2DConditionModel
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from difflab.loading import CONV_IN, LORA, weights_folder, widen
from difflab.train import data, denoising
from difflab.train.loop import Result, seeded
from difflab.train.machine import start
from difflab.train.marks import mark_of
from difflab.train.options import AdapterOptions

RANK = 20  # of the LoRA


def train(
    task: denoising.Task, attach: Callable[[UNet2DConditionModel], denoising.Network], options: AdapterOptions
) -> Result:
    """Train what `attach` puts on the frozen U-Net into `options.out`, in the folder that the task's product names.

    The U-Net is `options.init`, by default the shipped one, as are autoencoder, tokenizer and text encoder.
    `options.adapter` is a folder of such a result to go on from, which may have been for an earlier state of the U-Net.
    """
    shipped = weights_folder()
    options = options.filled(task.sizes(options.smoke) | {"vae": shipped / "vae", "clip": shipped})
    machine = start(options)
    parts = denoising.load_parts(options.vae, options.clip, machine)
    unet = data.load_weights(UNet2DConditionModel, options.init or shipped / "unet")
    unet.requires_grad_(False).eval().to(machine.device)
    settings = {"base": mark_of("", unet), "init": str(options.adapter) if options.adapter else None}
    denoising.use_fast_attention(unet, machine)
    with seeded(options.seed):
        network = attach(unet)
    if options.adapter is not None:
        network.load(options.adapter)
    return denoising.train(task, options, machine, parts, network, settings)


def inputs_and_lora(unet: UNet2DConditionModel, channels: int = 0, rank: int = RANK) -> denoising.Network:
    """An input layer that sees `channels` more, `seen` (B,channels,16,16), and LoRA on all other layers."""
    unet = with_adapter(unet, channels, rank)

    def predict(x: Tensor, t: Tensor, text: Tensor, seen: Tensor | None = None) -> Tensor:
        return unet(x if seen is None else torch.cat([x, seen], 1), t, text, return_dict=False)[0]

    return denoising.Network({"unet": unet}, predict, partial(save_adapter, unet), partial(load_adapter, unet))


def with_adapter(unet: Any, channels: int = 0, rank: int = RANK) -> Any:
    """The U-Net, frozen, with an input layer for `channels` more, and LoRA (Hu et al. 2021, arXiv 2106.09685) on every
    other linear and convolutional layer but the last: only these learn."""
    from peft import LoraConfig

    unet.requires_grad_(False)
    if channels:
        unet = widen(unet, unet.config.in_channels + channels)
    layers = [
        name
        for name, layer in unet.named_modules()
        if isinstance(layer, nn.Linear | nn.Conv2d) and name not in ("conv_in", "conv_out")
    ]
    unet.add_adapter(LoraConfig(r=rank, lora_alpha=rank, init_lora_weights="gaussian", target_modules=layers))
    unet.conv_in.requires_grad_(bool(channels))
    return unet


def adapter_files(unet: UNet2DConditionModel) -> dict[str, dict[str, Tensor]]:
    """What learned, by file: the LoRA as diffusers' pipelines read it, whose names begin with `unet.`, and the input
    layer where it is a wider one."""
    from peft import get_peft_model_state_dict

    files = {LORA: {f"unet.{name}": weight for name, weight in get_peft_model_state_dict(unet).items()}}
    return files | ({CONV_IN: unet.conv_in.state_dict()} if unet.conv_in.weight.requires_grad else {})


def save_adapter(unet: UNet2DConditionModel, folder: Path) -> None:
    """Write the LoRA and the input layer."""
    for file, weights in adapter_files(unet).items():
        save_file({name: tensor.contiguous() for name, tensor in weights.items()}, folder / file)


def load_adapter(unet: UNet2DConditionModel, folder: Path) -> None:
    """Read what `save_adapter` wrote. Raises ValueError when a file is missing or is for a U-Net of another shape."""
    from peft import set_peft_model_state_dict

    own = adapter_files(unet)
    missing = [file for file in own if not (Path(folder) / file).is_file()]
    if missing:
        raise ValueError(f"{folder} has no {' and '.join(sorted(missing))}: name the folder of such an adapter")
    read = {file: load_file(Path(folder) / file) for file in own}
    for file, weights in read.items():
        if {name: w.shape for name, w in weights.items()} != {name: w.shape for name, w in own[file].items()}:
            raise ValueError(f"{file} in {folder} is for another U-Net or task")
    if CONV_IN in read:
        unet.conv_in.load_state_dict(read[CONV_IN])
    set_peft_model_state_dict(unet, {name.removeprefix("unet."): weight for name, weight in read[LORA].items()})

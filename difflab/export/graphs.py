"""A model's text encoder, U-Net and decoder as ONNX graphs, in single precision."""

import io
import warnings
from typing import Any

import torch

from difflab.attention import edit

OPSET = 17
INPUTS = {"text_encoder": ["ids"], "unet": ["x", "t", "text"], "decoder": ["latents"]}
OUTPUTS = {"text_encoder": ["text"], "unet": ["eps", "attention"], "decoder": ["pixels"]}


class TextEncoder(torch.nn.Module):
    """ids (B, 77) int32 -> text (B, 77, d)."""

    def __init__(self, model):
        super().__init__()
        self.encoder = model.text_encoder

    def forward(self, ids):
        return self.encoder(ids)[0]


class UNet(torch.nn.Module):
    """x (B, 4, h, w), t (1,), text (B, 77, d) -> eps (B, 4, h, w) and where each token is looked at (B, 77, h, w)."""

    def __init__(self, model):
        super().__init__()
        self.unet, self.size = model.unet, model.latent_shape[1:]

    def forward(self, x, t, text):
        noted = []

        def note(probs, site):
            noted.append(probs)
            return probs

        with edit(self.unet, note, pictures=None):
            eps = self.unet(x, t, text, return_dict=False)[0]
        return eps, in_one_grid(noted, *self.size)


class Decoder(torch.nn.Module):
    """latents (B, 4, h, w), scaled -> pixels (B, 3, H, W) in [-1, 1]."""

    def __init__(self, model):
        super().__init__()
        self.vae, self.decode_pixels = model.vae, model.decode_pixels

    def forward(self, latents):
        return self.decode_pixels(latents).clamp(-1, 1)


def in_one_grid(probs, height, width):
    """The heat maps of `attention.heat_map` for all tokens at once: mean over heads and layers, (B, 77, h, w)."""
    by_grid = {}
    for each in probs:
        by_grid.setdefault(int(each.shape[2]), []).append(each.mean(1))  # B, positions, 77
    stretched = []
    for positions, maps in by_grid.items():
        coarser = round((height * width / positions) ** 0.5)
        looked: Any = sum(maps)
        grid = looked.transpose(1, 2).unflatten(-1, (height // coarser, width // coarser))  # B, 77, h, w
        stretched.append(torch.nn.functional.interpolate(grid, (height, width), mode="bilinear", align_corners=False))
    return sum(stretched) / len(probs)


def graphs_of(model) -> dict:
    """The three graphs of a model in single precision: {name: onnx.ModelProto}."""
    config = model.text_encoder.config
    x = torch.zeros(2, *model.latent_shape)
    ids = torch.zeros(2, config.max_position_embeddings, dtype=torch.int32)
    text = torch.zeros(*ids.shape, config.hidden_size)
    return {
        "text_encoder": to_onnx("text_encoder", TextEncoder(model), ids),
        "unet": to_onnx("unet", UNet(model), x, torch.tensor([500.0]), text),
        "decoder": to_onnx("decoder", Decoder(model), x),
    }


def to_onnx(name, module, *example):
    """One module as an onnx.ModelProto that takes any number of pictures; all other sizes are the example's."""
    import onnx

    file: Any = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that shapes become constants (they are), and that there is a newer exporter
        torch.onnx.export(
            module.eval(),
            example,
            file,
            dynamo=False,
            opset_version=OPSET,
            input_names=INPUTS[name],
            output_names=OUTPUTS[name],
            dynamic_axes={each: {0: "pictures"} for each in INPUTS[name] + OUTPUTS[name] if each != "t"},
        )
    return onnx.load_from_string(file.getvalue())

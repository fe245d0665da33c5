"""An exported model, computed here by onnxruntime: what a reader's browser will say, without the browser."""

import gzip
import hashlib
import json
import os
from dataclasses import dataclass, field, fields
from pathlib import Path

import torch
from torch import Tensor

from difflab.condition import Condition
from difflab.export.graphs import INPUTS, OUTPUTS
from difflab.inputs import as_prompts
from difflab.loading import load
from difflab.model import LatentDiffusion


@dataclass(eq=False)
class Exported(LatentDiffusion):
    """A model whose text encoder, U-Net and decoder are graphs, computed by onnxruntime on one thread.

    sessions: {name: an onnxruntime.InferenceSession}. All else is the model's that they were made from, its encoder of
    pictures among it.
    """

    sessions: dict = field(default_factory=dict)

    def encode_text(self, prompts: str | list[str]) -> Condition:
        """Prompts -> the text embedding (B, 77, d), as `LatentDiffusion.encode_text`."""
        return self.run("text_encoder", self.tokens(self.tokenizer, self.text_encoder, as_prompts(prompts)).int())[0]

    def predict_noise(self, x: Tensor, t: int | Tensor, condition: Condition) -> Tensor:
        """eps (B, 4, h, w) at the timestep t, the same for all pictures."""
        return self.run("unet", x, torch.tensor([float(t)]), condition)[0]

    def decode_pixels(self, latents: Tensor) -> Tensor:
        """Latents (B, 4, h, w) -> pixels (B, 3, H, W) in [-1, 1]."""
        return self.run("decoder", latents)[0]

    def run(self, name: str, *inputs: Tensor) -> list[Tensor]:
        """What a graph says, in the order of OUTPUTS."""
        named = {key: value.numpy() for key, value in zip(INPUTS[name], inputs, strict=True)}
        return [torch.from_numpy(result) for result in self.sessions[name].run(OUTPUTS[name], named)]


def computed(model: LatentDiffusion, contents: dict[str, bytes]) -> Exported:
    """The model with graphs in the place of its parts. contents: {name: what is in the ONNX file}."""
    onnxruntime = runtime()
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    sessions = {
        name: onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
        for name, graph in contents.items()
    }
    return Exported(**{each.name: getattr(model, each.name) for each in fields(LatentDiffusion)}, sessions=sessions)


def runtime():
    """onnxruntime. It numbers this machine and looks up a host for its telemetry, unless told not to when imported."""
    os.environ["ORT_DISABLE_TELEMETRY"] = "1"
    import onnxruntime

    return onnxruntime


def read(folder: str | Path, model: str | Path = "tiny") -> Exported:
    """The model of an exported folder, computed by onnxruntime: what `text_to_latents` and its like take.

    folder: from `web`. model: the one it was exported from, for its tokenizer and its schedule.
    Raises ValueError for a file that is not as the manifest says.
    """
    folder = Path(folder)
    entries = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))["files"]
    contents = {name: unpacked(folder, entries[name]) for name in INPUTS}
    return computed(load(str(model), device="cpu", dtype="float32"), contents)


def unpacked(folder: Path, entry: dict) -> bytes:
    """The contents of a file of the manifest. Raises ValueError when it is damaged."""
    packed = (folder / entry["file"]).read_bytes()
    if hashlib.sha256(packed).hexdigest() != entry["sha256"]:
        raise ValueError(f"{str(folder / entry['file'])!r} is damaged, its SHA-256 differs: export the model again")
    return gzip.decompress(packed)

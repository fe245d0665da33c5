"""A model as a folder that a web page loads and runs: what can be exported, and what is written."""

import importlib.util
from pathlib import Path

import torch

from difflab.export.exported import computed
from difflab.export.fidelity import errors
from difflab.export.folder import FORMAT, MANIFEST, fallback, files, settings, stored, strangers, words, write_json
from difflab.export.graphs import graphs_of
from difflab.export.weights import WEIGHTS, shrunk
from difflab.files import new_folder
from difflab.loading import load
from difflab.model import LatentDiffusion

LARGEST = 200_000_000  # parameters that a page can still be asked to load


@torch.inference_mode()
def web(folder: str | Path, model: str | Path = "tiny", *, weights: str = "int8") -> dict:
    """Write a model into a folder, as files that a web page can load and run. Returns the manifest.

    folder: is made; an earlier export in it is replaced.
    model: as for `load`: one that sees the latent's channels alone, predicts the noise, and is small.
    weights: "int8" rounds the large ones, one scale for each output channel; "float16"; or "float32", as computed with.

    The folder holds the gzipped graphs and tokenizer, with a sum in their names, and ``manifest.json``, which says what
    goes in and out of them, how the noise is scheduled, and under "errors" how far they are from torch's results: of
    each graph relative to the size of its results, of whole pictures as a fraction of the range of colors.
    Besides: pictures and their latents for SDEdit, and a strip for readers whose browser cannot draw. Nothing is
    written unless all of it is.
    Raises ValueError, before any work, for a folder that is none or holds something else, for a model that does not fit
    a page, and where onnx or onnxruntime is missing.
    """
    folder = Path(folder)
    check(folder, weights)
    pipeline = load(str(model), device="cpu", dtype="float32")
    check_model(pipeline)
    made = {name: shrunk(graph, weights).SerializeToString() for name, graph in graphs_of(pipeline).items()}
    with new_folder(folder) as new:
        manifest = {
            "format": FORMAT,
            "model": f"difflab {Path(model).name}",
            "weights": weights,
            "files": files(new, pipeline.tokenizer, made),
            **settings(pipeline),
            "words": words(),
            "stored": stored(new, pipeline),
            "fallback": fallback(new, pipeline),
            "errors": errors(pipeline, computed(pipeline, made)),
        }
        write_json(new / MANIFEST, manifest)
    return manifest


def check(folder: Path, weights: str):
    """Raises ValueError unless an export can be written there, in this form, on this machine."""
    if weights not in WEIGHTS:
        raise ValueError(f"weights={weights!r} is unknown: choose one of {', '.join(WEIGHTS)}")
    missing = [name for name in ("onnx", "onnxruntime") if importlib.util.find_spec(name) is None]
    if missing:
        raise ValueError(f"an export needs {' and '.join(missing)}: pip install {' '.join(missing)}")
    if folder.exists() and not folder.is_dir():
        raise ValueError(f"{str(folder)!r} is a file: name a folder to export to")
    others = strangers(folder)
    if others:
        more = f" and {len(others) - 1} more" if len(others) > 1 else ""
        raise ValueError(
            f"{str(folder)!r} holds {others[0]!r}{more}, which no export of this version wrote: name a new or an "
            "empty folder, so that nothing of yours is lost"
        )


def check_model(model: LatentDiffusion):
    """Raises ValueError for a model that the page's few lines cannot run."""
    seen, channels = model.unet.config.in_channels, model.latent_shape[0]
    if seen != channels:
        raise ValueError(
            f"this model's U-Net sees {seen} channels, and the page gives it the {channels} of the latent: "
            "export one that draws from text alone, such as tiny"
        )
    if model.prediction_type != "epsilon":
        raise ValueError(f"this model's prediction_type is {model.prediction_type!r}; the page reads 'epsilon' only")
    size = sum(p.numel() for part in (model.text_encoder, model.unet, model.vae) for p in part.parameters())
    if size > LARGEST:
        numbers = f"{size / 1e6:.0f} million parameters and a page can load {LARGEST / 1e6:.0f} million"
        raise ValueError(f"this model has {numbers}: export a smaller one, such as tiny")
    if not hasattr(model.tokenizer, "backend_tokenizer"):  # transformers 4: its table of merges is elsewhere
        raise ValueError("an export reads the tokenizer as transformers 5 has it: pip install 'transformers>=5'")

"""Put the trained parts into one ordinary Stable Diffusion folder, adapters and the oracle beside it, with cards."""

import hashlib
import json
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from diffusers import AutoencoderKL, DPMSolverMultistepScheduler, StableDiffusionPipeline, UNet2DConditionModel
from PIL import Image
from safetensors.torch import load_file, save_file
from transformers import CLIPImageProcessor, CLIPTextModel, CLIPVisionModelWithProjection

from difflab.files import new_folder
from difflab.train import data
from difflab.train.checkpoint import newest_checkpoint, read_state
from difflab.train.log import read_log
from difflab.train.marks import fingerprint, mark_of
from difflab.train.recipes import tokenizer as tokens
from difflab.train.runs import Product

SHARD = "14.5MB"
CURVE_POINTS = 100
SHEETS = 5  # sample sheets kept of a run


def scheduler() -> DPMSolverMultistepScheduler:
    """The noise schedule of training, with the sampler that pipelines use unless told otherwise.

    It has no clip_sample, but says it for those that are made from its configuration: DDIM and DDPM would otherwise
    clip what they think of the clean latent to [-1, 1], which is for pixels.
    """
    made = DPMSolverMultistepScheduler(
        num_train_timesteps=1000,
        beta_start=0.00085,
        beta_end=0.012,
        beta_schedule="scaled_linear",
        prediction_type="epsilon",
        timestep_spacing="trailing",
        final_sigmas_type="zero",
        steps_offset=1,  # unused with trailing timesteps, but StableDiffusionPipeline warns about 0
    )
    made.register_to_config(clip_sample=False)
    return made


def feature_extractor(side: int) -> CLIPImageProcessor:
    """How a picture is made ready for the image tower: its middle square, side x side pixels, colors from -1 to 1."""
    half = [0.5, 0.5, 0.5]
    size, crop = {"shortest_edge": side}, {"height": side, "width": side}
    return CLIPImageProcessor(size=size, crop_size=crop, image_mean=half, image_std=half)


def thin(values: list, points: int) -> list:
    """At most `points` of the values, evenly spread, the first and the last among them."""
    if len(values) <= points:
        return values
    return [values[round(i * (len(values) - 1) / (points - 1))] for i in range(points)]


def state_of(run: str | Path) -> dict:
    """What the last checkpoint of a run says of it. Raises ValueError when there is none."""
    checkpoint = newest_checkpoint(run)
    if checkpoint is None:
        raise ValueError(f"{run} has no checkpoint: it is not the run folder of a training")
    return read_state(checkpoint)


def product_of(run: str | Path) -> Product:
    """What a run made. Raises ValueError when it does not say."""
    state = state_of(run)
    if "product" not in state:
        raise ValueError(f"{run} is the run of an older difflab, which does not say what it made: train again")
    return Product(**state["product"])


def stage(run: str | Path) -> dict:
    """What a card says of one training run: settings, seed, steps, device, time, loss curve, last validation.

    The points of the loss curve are means over what lies between them.
    """
    state = state_of(run)
    settings = state["settings"]
    entries = [e for e in read_log(run) if e["step"] <= state["step"]]
    losses = [(e["step"], e["loss"]) for e in entries if "loss" in e]
    validations = [{k: v for k, v in e.items() if k == "step" or k.startswith("validation_")} for e in entries]
    size = max(1, -(-len(losses) // CURVE_POINTS))
    groups = [losses[i : i + size] for i in range(0, len(losses), size)]
    return {
        "settings": {k: v for k, v in settings.items() if k not in ("init", "data")},
        "data": "imagefolder" if "folder-" in settings["data"] else "difflab.world",
        "continues_another_run": settings.get("init") is not None,
        "seed": state["seed"],
        "steps": state["step"],
        "batch_size": state["batch_size"],
        "samples": state["step"] * state["batch_size"],
        "machine": state["machine"],
        "processes": state["processes"],
        "seconds": round(state["seconds"]),
        "loss_curve": [[g[-1][0], round(sum(loss for _, loss in g) / len(g), 5)] for g in groups],
        "validation_curve": thin([v for v in validations if len(v) > 1], CURVE_POINTS // 4),
        "quality": {k: round(v, 5) for k, v in state["metrics"].items()},
    }


def card(name: str, runs: Sequence[str | Path], kind: str, parameters: int, before: Path) -> dict:
    """The card of one part: what it is, how large, and every training run that made it, in order.

    `before` is the card of the part that is replaced. It stays whole where no run made a new part, and its runs come
    first where the new ones went on from its weights.
    """
    if not runs:
        return json.loads(before.read_text(encoding="utf-8"))
    product, stages = product_of(runs[-1]), [stage(run) for run in runs]
    if stages[0]["continues_another_run"] and before.is_file():
        stages = json.loads(before.read_text(encoding="utf-8"))["stages"] + stages
    return {
        "part": name,
        "class": kind,
        "parameters": parameters,
        "stored_as": "float16 safetensors",
        "license": "Apache-2.0",
        "recipe": product.name,
        "method": product.method,
        "samples": sum(s["samples"] for s in stages),
        "seconds": sum(s["seconds"] for s in stages),
        "quality": stages[-1]["quality"],
        "stages": stages,
    }


def write_card(content: dict, path: Path) -> None:
    """Write a card as JSON."""
    path.write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


def size_of(module: torch.nn.Module) -> tuple[str, int]:
    """A network's class and how many weights it has."""
    return type(module).__name__, sum(p.numel() for p in module.parameters())


def copy_samples(runs: Sequence[str | Path], stages: list[dict], out: Path, folder: Path) -> None:
    """Put the sheets that the U-Net's runs drew on the way into `folder`, as step-N.jpg; N counts over all `stages`.

    Those of stages that were there before the runs come from `out`, the folder that is replaced.
    """
    folder.mkdir()
    before = stages[: len(stages) - len(runs)]
    if before or not runs:
        for path in sorted((out / "cards" / "samples").glob("step-*.jpg")):
            shutil.copyfile(path, folder / path.name)
    steps = sum(stage["steps"] for stage in before)
    for run, made in zip(runs, stages[len(before) :], strict=True):
        for path in thin(sorted((Path(run) / "samples").glob("*.png")), SHEETS):
            Image.open(path).convert("RGB").save(folder / f"step-{steps + int(path.stem):06d}.jpg", quality=90)
        steps += made["steps"]


def check_ours(out: Path) -> None:
    """Raises ValueError when the folder that is to be replaced holds a file that is not in its SHA256SUMS."""
    sums = out / "SHA256SUMS"
    listed = {line.split(maxsplit=1)[1] for line in sums.read_text().splitlines()} if sums.is_file() else set()
    found = {path.relative_to(out).as_posix() for path in out.rglob("*") if path.is_file()} - {sums.name}
    if found - listed:
        raise ValueError(f"{out} holds {min(found - listed)}, which was not assembled: name another folder")


def write_sums(folder: str | Path) -> None:
    """Write SHA256SUMS over every file in the folder, in the form that `sha256sum -c` reads."""
    folder = Path(folder)
    files = sorted(p for p in folder.rglob("*") if p.is_file() and p.name != "SHA256SUMS")
    lines = [f"{hashlib.sha256(p.read_bytes()).hexdigest()}  {p.relative_to(folder).as_posix()}\n" for p in files]
    (folder / "SHA256SUMS").write_text("".join(lines), encoding="utf-8")


def name_as_published(text_encoder: Path) -> None:
    """Give the text encoder's weights the names that every published Stable Diffusion has: text_model.encoder...

    The newest transformers write them without the first word, and read both; older ones, and other programs, read
    only the published names, and would go on with random weights.
    """
    path = text_encoder / "model.safetensors"
    named = {f"text_model.{name.removeprefix('text_model.')}": weight for name, weight in load_file(path).items()}
    save_file(named, path, metadata={"format": "pt"})


def answer_to_fp16(folder: Path) -> None:
    """Let `from_pretrained(folder, variant="fp16")` load the pipeline, whose weights are float16 under the plain names.

    diffusers refuses a variant unless a file of some part has it in its name, and reads the plain file of every part
    that has none. The scheduler has no weights, so a note beside it is enough.
    """
    note = "The weights of this pipeline are float16. This file lets diffusers find what variant='fp16' asks for.\n"
    (folder / "scheduler" / "weights.fp16.txt").write_text(note, encoding="utf-8")


def name_the_processor(folder: Path) -> None:
    """Give the feature extractor the class that every transformers has: without torchvision it saves another's name."""
    index = folder / "model_index.json"
    index.write_text(index.read_text(encoding="utf-8").replace("ProcessorPil", "Processor"), encoding="utf-8")


def clean(folder: Path) -> None:
    """Take the paths of the machine that trained the parts out of their configs, and make every file readable.

    The configs of the CLIP towers say float32, which is how transformers then loads them, as diffusers does its parts;
    otherwise a pipeline loaded without naming a precision would be half float16, half float32, and fail.
    """
    for path in folder.rglob("config.json"):
        content = json.loads(path.read_text(encoding="utf-8"))
        content.pop("_name_or_path", None)
        if "dtype" in content:
            content["dtype"] = "float32"
        path.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
    for path in folder.rglob("*"):
        path.chmod(0o755 if path.is_dir() else 0o644)


def check_marks(settings: dict, **parts: tuple[str, str]) -> None:
    """Raises ValueError when the U-Net's `settings` name another mark than one of `parts`, name=(what it is, its mark),
    has. Older cards lack some."""
    for name, (what, mark) in parts.items():
        trained_with = settings.get(name, mark)
        if trained_with != mark:
            raise ValueError(
                f"the U-Net was trained with {what} {trained_with}, but this one is {mark}: take the one it was "
                "trained with (a decoder may have been trained on alone), or train the U-Net on"
            )


def assemble_pipeline(
    out: str | Path,
    *,
    autoencoder: Sequence[str | Path] = (),
    clip: Sequence[str | Path] = (),
    unet: Sequence[str | Path] = (),
) -> Path:
    """Write the pipeline folder `out` from run folders; returns its path.

    Each part is given as the runs that made it, in order; the last one holds the model (a decoder trained further:
    `autoencoder=["runs/autoencoder", "runs/decoder"]`). A part without runs stays as `out` has it, so that one part can
    be trained further from the shipped weights. `out` is replaced whole, once everything is written.

    Raises ValueError when a run or a part is missing, the parts do not fit each other, or `out` holds something else.
    """
    out = Path(out)
    check_ours(out)
    towers = Path(clip[-1]) / "clip" if clip else out
    parts = {
        "vae": data.load_weights(AutoencoderKL, (Path(autoencoder[-1]) if autoencoder else out) / "vae"),
        "text_encoder": data.load_weights(CLIPTextModel, towers / "text_encoder"),
        "unet": data.load_weights(UNet2DConditionModel, (Path(unet[-1]) if unet else out) / "unet"),
        "image_encoder": data.load_weights(CLIPVisionModelWithProjection, towers / "image_encoder"),
    }
    tokenizer = tokens.load(towers / "tokenizer")
    widths = parts["text_encoder"].config.hidden_size, parts["unet"].config.cross_attention_dim
    if widths[0] != widths[1]:
        raise ValueError(
            f"the text encoder is {widths[0]} wide, but the U-Net expects {widths[1]}: not trained together"
        )
    if len(tokenizer) != parts["text_encoder"].config.vocab_size:
        raise ValueError(f"the tokenizer has {len(tokenizer)} tokens, the text encoder another number")
    made_by = {"vae": autoencoder, "text_encoder": clip, "image_encoder": clip, "unet": unet}
    cards = {
        name: card(name, runs, *size_of(parts[name]), out / "cards" / f"{name}.json") for name, runs in made_by.items()
    }
    check_marks(
        cards["unet"]["stages"][-1]["settings"],
        latents=("autoencoder", fingerprint(parts["vae"])),
        text=("text encoder", mark_of(tokens.vocabulary(tokenizer), parts["text_encoder"])),
    )

    with new_folder(out) as folder:
        halves: dict[str, Any] = {name: part.half() for name, part in parts.items()}
        halves |= {"tokenizer": tokenizer, "scheduler": scheduler(), "safety_checker": None}
        halves["feature_extractor"] = feature_extractor(parts["image_encoder"].config.image_size)
        pipeline = StableDiffusionPipeline(**halves, requires_safety_checker=False)
        pipeline.set_progress_bar_config(disable=True)
        pipeline.save_pretrained(folder, safe_serialization=True, max_shard_size=SHARD)
        name_as_published(folder / "text_encoder")
        answer_to_fp16(folder)
        name_the_processor(folder)
        shutil.rmtree(folder / "tokenizer")
        tokens.copy(towers / "tokenizer", folder / "tokenizer")  # with vocab.json and merges.txt for older transformers
        head = load_file(towers / "clip_head.safetensors")
        save_file({k: v.half().contiguous() for k, v in head.items()}, folder / "clip_head.safetensors")
        (folder / "cards").mkdir()
        for name, content in cards.items():
            write_card(content, folder / "cards" / f"{name}.json")
        copy_samples(unet, cards["unet"]["stages"], out, folder / "cards" / "samples")
        clean(folder)
        write_sums(folder)
    return out


def assemble(out: str | Path, runs: Sequence[str | Path], *, base: str | Path | None = None) -> Path:
    """Write the folder `out` of what stands beside the pipeline, an adapter or the judge, from its runs, the last of
    which holds it: its files in half precision, card, sample sheet and sums; returns its path.

    base: the folder of the U-Net that an adapter is for. Raises ValueError when a run is missing, or was trained on
    another U-Net, or `out` holds something else.
    """
    out, run, product = Path(out), Path(runs[-1]), product_of(runs[-1])
    check_ours(out)
    source = run / product.folder
    weights = {path.name: load_file(path) for path in sorted(source.glob("*.safetensors"))}
    if not weights:
        raise ValueError(f"{source} has no weights: train the {product.name} first")
    check_base(run, base)
    count = sum(tensor.numel() for tensors in weights.values() for tensor in tensors.values())

    with new_folder(out) as folder:
        shutil.copytree(source, folder, ignore=shutil.ignore_patterns("*.safetensors"), dirs_exist_ok=True)
        for name, tensors in weights.items():
            halves = {key: data.in_half(tensor).contiguous() for key, tensor in tensors.items()}
            save_file(halves, folder / name, metadata={"format": "pt"})
        write_card(card(product.name, runs, product.kind, count, out / "card.json"), folder / "card.json")
        sheets = sorted((run / "samples").glob("*.png"))
        if sheets:
            Image.open(sheets[-1]).convert("RGB").save(folder / "samples.jpg", quality=90)
        clean(folder)
        write_sums(folder)
    return out


def check_base(run: Path, base: str | Path | None) -> None:
    """Raises ValueError when a run trained an adapter, and not for the U-Net in the folder `base`."""
    trained_on = state_of(run)["settings"].get("base")
    if trained_on is None:
        return
    if base is None:
        raise ValueError(f"{run} was trained on U-Net {trained_on}: name its folder with base")
    mark = mark_of("", data.load_weights(UNet2DConditionModel, base))
    if mark != trained_on:
        raise ValueError(f"{run} was trained on U-Net {trained_on}, but {base} is {mark}: train it on this one")

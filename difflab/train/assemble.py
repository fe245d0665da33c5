"""Put the trained parts into one ordinary Stable Diffusion folder, with cards and sums; the oracle beside it."""

import hashlib
import json
import shutil
from collections.abc import Sequence
from pathlib import Path

import torch
from diffusers import AutoencoderKL, DPMSolverMultistepScheduler, StableDiffusionPipeline, UNet2DConditionModel
from PIL import Image
from safetensors.torch import load_file, save_file
from transformers import CLIPImageProcessor, CLIPTextModel, CLIPVisionModelWithProjection

from difflab.files import new_folder
from difflab.judge import Judge
from difflab.loading import CONV_IN, LORA
from difflab.train import data, runner
from difflab.train import tokenizer as tokens

SHARD = "14.5MB"
CURVE_POINTS = 100
SHEETS = 5  # sample sheets kept of a run
SOURCES = {
    "autoencoder": "the variational autoencoder of latent diffusion (Rombach et al. 2022, arXiv 2112.10752)",
    "clip": "contrastive training of a text and an image tower (Radford et al. 2021, arXiv 2103.00020); a stage with "
    "text_only keeps the image tower (Zhai et al. 2022, arXiv 2111.07991), and a linear layer, thrown away, asks the "
    "text tower what stands left and right",
    "unet": "denoising diffusion (Ho et al. 2020, arXiv 2006.11239); a stage with snr_gamma has min-SNR weights "
    "(Hang et al. 2023, arXiv 2303.09556), one with least_snr debiased weights (Yu et al. 2023, arXiv 2310.08442)",
    "pix2pix": "a U-Net that sees a picture and reads an instruction (Brooks et al. 2023, arXiv 2211.09800): a new "
    "input layer, and LoRA (Hu et al. 2021, arXiv 2106.09685) on the shipped U-Net",
    "inpaint": "a U-Net that sees a mask and the picture around it (Rombach et al. 2022, arXiv 2112.10752): a new "
    "input layer, and LoRA (Hu et al. 2021, arXiv 2106.09685) on the shipped U-Net",
    "judge": "a classifier of the tiny world's scenes, trained on fresh ones with their truth as labels",
}


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


def stage(run: str | Path) -> dict:
    """What a card says of one training run: settings, seed, steps, device, time, loss curve, last validation.

    The points of the loss curve are means over what lies between them.
    """
    checkpoint = runner.newest_checkpoint(Path(run))
    if checkpoint is None:
        raise ValueError(f"{run} has no checkpoint: it is not the run folder of a training")
    state = json.loads((checkpoint / "state.json").read_text(encoding="utf-8"))
    entries = [e for e in runner.read_log(Path(run)) if e["step"] <= state["step"]]
    losses = [(e["step"], e["loss"]) for e in entries if "loss" in e]
    validations = [{k: v for k, v in e.items() if k == "step" or k.startswith("validation_")} for e in entries]
    size = max(1, -(-len(losses) // CURVE_POINTS))
    groups = [losses[i : i + size] for i in range(0, len(losses), size)]
    return {
        "settings": {k: v for k, v in state["settings"].items() if k not in ("init", "data")},
        "data": "difflab.world" if state["settings"].get("data") == "world" else "imagefolder",
        "continues_another_run": state["settings"].get("init") is not None,
        "seed": state["seed"],
        "steps": state["step"],
        "batch_size": state["batch_size"],
        "samples": state["step"] * state["batch_size"],
        "machine": state.get("machine", {}),
        "processes": state["processes"],
        "seconds": round(state["seconds"]),
        "loss_curve": [[g[-1][0], round(sum(loss for _, loss in g) / len(g), 5)] for g in groups],
        "validation_curve": thin([v for v in validations if len(v) > 1], CURVE_POINTS // 4),
        "quality": {k: round(v, 5) for k, v in state["metrics"].items()},
    }


def card(name: str, recipe: str, runs: Sequence[str | Path], kind: str, parameters: int, before: Path) -> dict:
    """The card of one part: what it is, how large, and every training run that made it, in order.

    `before` is the card of the part that is replaced. It stays whole where no run made a new part, and its runs come
    first where the new ones went on from its weights.
    """
    if not runs:
        return json.loads(before.read_text(encoding="utf-8"))
    stages = [stage(run) for run in runs]
    if stages[0]["continues_another_run"] and before.is_file():
        stages = json.loads(before.read_text(encoding="utf-8"))["stages"] + stages
    return {
        "part": name,
        "class": kind,
        "parameters": parameters,
        "stored_as": "float16 safetensors",
        "license": "Apache-2.0",
        "recipe": recipe,
        "method": SOURCES[recipe],
        "samples": sum(s["samples"] for s in stages),
        "seconds": sum(s["seconds"] for s in stages),
        "quality": stages[-1]["quality"],
        "stages": stages,
    }


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


def clean_configs(folder: Path) -> None:
    """Take the paths of the machine that trained the parts out of their configs, and make every file readable.

    The configs of the CLIP towers say float32, which is how transformers then loads them, as diffusers does its parts;
    otherwise a pipeline loaded without naming a precision would be half float16, half float32, and fail.
    """
    for path in folder.glob("*/config.json"):
        content = json.loads(path.read_text(encoding="utf-8"))
        content.pop("_name_or_path", None)
        if "dtype" in content:
            content["dtype"] = "float32"
        path.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
    index = folder / "model_index.json"  # without torchvision transformers names a class that it alone has
    index.write_text(index.read_text(encoding="utf-8").replace("ProcessorPil", "Processor"), encoding="utf-8")
    for path in folder.rglob("*"):
        path.chmod(0o755 if path.is_dir() else 0o644)


def assemble(
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

    Raises ValueError when a run or a part is missing or the parts do not fit each other.
    """
    out = Path(out)
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
    made_by = {
        "vae": ("autoencoder", autoencoder),
        "text_encoder": ("clip", clip),
        "image_encoder": ("clip", clip),
        "unet": ("unet", unet),
    }
    cards = {
        name: card(name, recipe, runs, *size_of(parts[name]), out / "cards" / f"{name}.json")
        for name, (recipe, runs) in made_by.items()
    }
    trained_on = cards["unet"]["stages"][-1]["settings"].get("latents")
    if trained_on is not None:
        from difflab.train.unet import fingerprint

        mark = fingerprint(parts["vae"])
        if mark != trained_on:
            raise ValueError(
                f"the U-Net learned the latents of encoder {trained_on}, but the autoencoder has encoder {mark}: "
                "take the autoencoder it was trained with, or one continued from it with decoder_only"
            )

    with new_folder(out) as folder:
        pipeline = StableDiffusionPipeline(
            **{name: part.half() for name, part in parts.items()},
            tokenizer=tokenizer,
            scheduler=scheduler(),
            safety_checker=None,
            feature_extractor=feature_extractor(parts["image_encoder"].config.image_size),
            requires_safety_checker=False,
        )
        pipeline.set_progress_bar_config(disable=True)
        pipeline.save_pretrained(folder, safe_serialization=True, max_shard_size=SHARD)
        name_as_published(folder / "text_encoder")
        answer_to_fp16(folder)
        shutil.rmtree(folder / "tokenizer")
        tokens.copy(towers / "tokenizer", folder / "tokenizer")  # with vocab.json and merges.txt for older transformers
        head = load_file(towers / "clip_head.safetensors")
        save_file({k: v.half().contiguous() for k, v in head.items()}, folder / "clip_head.safetensors")
        (folder / "cards").mkdir()
        for name, content in cards.items():
            (folder / "cards" / f"{name}.json").write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")
        copy_samples(unet, cards["unet"]["stages"], out, folder / "cards" / "samples")
        clean_configs(folder)
        write_sums(folder)
    return out


def assemble_judge(out: str | Path, *, judge: Sequence[str | Path]) -> Path:
    """Write the oracle's folder `out` from its run folder, weights, card and sums; returns its path.

    Raises ValueError when the run is missing.
    """
    weights = Path(judge[-1]) / "judge" / "judge.safetensors"
    if not weights.is_file():
        raise ValueError(f"{weights} is missing: train the judge first")
    module = Judge()
    module.load_state_dict({name: tensor.float() for name, tensor in load_file(weights).items()})

    with new_folder(out) as folder:
        shutil.copyfile(weights, folder / weights.name)
        (folder / "card.json").write_text(
            json.dumps(card("judge", "judge", judge, *size_of(module), Path(out) / "card.json"), indent=1) + "\n",
            encoding="utf-8",
        )
        write_sums(folder)
    return Path(out)


def assemble_added(out: str | Path, *, runs: Sequence[str | Path], unet: str | Path) -> Path:
    """Write the folder `out` of an input layer and a LoRA from their runs, the last of which holds them; with card and
    sums; returns its path.

    `unet` is the U-Net's folder that they are for. Raises ValueError when a run is missing, or was trained on another.
    """
    from difflab.train.unet import mark_of

    run = Path(runs[-1])
    files = (CONV_IN, LORA)
    if not all((run / "unet" / file).is_file() for file in files):
        raise ValueError(f"{run} has no {' and '.join(files)}: it is not the run folder of such a training")
    settings = stage(run)["settings"]
    base = mark_of("", data.load_weights(UNet2DConditionModel, unet))
    if settings["base"] != base:
        raise ValueError(f"{run} was trained on U-Net {settings['base']}, but {unet} is {base}: train it on this one")
    recipe = settings["recipe"]
    weights = {file: load_file(run / "unet" / file) for file in files}
    count = sum(tensor.numel() for tensors in weights.values() for tensor in tensors.values())

    with new_folder(out) as folder:
        for file, tensors in weights.items():
            save_file({name: tensor.half().contiguous() for name, tensor in tensors.items()}, folder / file)
        made = card(recipe, recipe, runs, "UNet2DConditionModel, input layer and LoRA", count, Path(out) / "card.json")
        (folder / "card.json").write_text(json.dumps(made, indent=1) + "\n", encoding="utf-8")
        Image.open(max((run / "samples").glob("*.png"))).convert("RGB").save(folder / "samples.jpg", quality=90)
        for path in folder.iterdir():
            path.chmod(0o644)
        write_sums(folder)
    return Path(out)

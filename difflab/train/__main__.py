"""The training commands: `python -m difflab.train NAME`; the main command line includes `app` as `difflab train`."""

import sys
from pathlib import Path
from typing import Annotated

import typer

from difflab.train import recipe

app = typer.Typer(no_args_is_help=True, add_completion=False)

Out = Annotated[Path | None, typer.Option(help="Run folder: checkpoints, log, samples, the model.")]
Data = Annotated[Path | None, typer.Option(help="Your own pictures: a folder with metadata.jsonl (file_name, text).")]
Steps = Annotated[int | None, typer.Option(help="Length of the recipe; left out, the recipe's own.")]
Minutes = Annotated[float | None, typer.Option(help="Train this long instead of a number of steps.")]
BatchSize = Annotated[int | None, typer.Option(help="Pictures a step, over all processes.")]
Rate = Annotated[float | None, typer.Option(help="Highest learning rate; left out, the recipe's own.")]
Resume = Annotated[bool, typer.Option("--resume", help="Go on from the checkpoint in the run folder, if there is one.")]
Init = Annotated[Path | None, typer.Option(help="Start from the weights in this folder.")]
Seed = Annotated[int, typer.Option(help="Seed of weights, data and noise.")]
Device = Annotated[str, typer.Option(help="auto, cpu, cuda or mps.")]
Precision = Annotated[str, typer.Option(help="auto, no, bf16 or fp16.")]
Threads = Annotated[int | None, typer.Option(help="CPU threads; left out, one a core.")]
Workers = Annotated[int, typer.Option(help="Processes that draw batches ahead; worth it beside a GPU.")]
SaveMinutes = Annotated[float, typer.Option(help="Minutes between checkpoints.")]
ValidateMinutes = Annotated[float, typer.Option(help="Minutes between validations and sample sheets.")]
LogEvery = Annotated[int, typer.Option(help="Steps between lines of the log.")]
Smoke = Annotated[bool, typer.Option("--smoke", help="A tiny model and a handful of steps: does it run at all?")]


def run(name: str, **options) -> None:
    """Run a recipe with the options that were given; errors of the user's become one line, Ctrl-C exit status 130."""
    given = {key: value for key, value in options.items() if value is not None}
    train = recipe(name)
    from transformers.utils import logging

    logging.disable_progress_bar()  # a bar for each file saved would tear up the bar of the training
    try:
        result = train(**given)
    except (ValueError, FloatingPointError) as error:
        typer.echo(f"error: {error}", err=True)
        raise typer.Exit(1) from error
    if not result.finished:
        raise typer.Exit(130)


@app.callback()
def training() -> None:
    """Train the parts of the embedded model, one by one."""


@app.command()
def autoencoder(
    out: Out = Path("runs/autoencoder"),
    data: Data = None,
    steps: Steps = None,
    minutes: Minutes = None,
    batch_size: BatchSize = None,
    learning_rate: Rate = None,
    crop_until: Annotated[
        float | None, typer.Option(help="Train on 64x64 crops up to this part of the run (0 to 1).")
    ] = None,
    decoder_only: Annotated[
        bool, typer.Option("--decoder-only", help="Keep the encoder of --init; latents stay the same.")
    ] = False,
    init: Init = None,
    resume: Resume = False,
    seed: Seed = 0,
    device: Device = "auto",
    precision: Precision = "auto",
    threads: Threads = None,
    workers: Workers = 0,
    save_minutes: SaveMinutes = 5.0,
    validate_minutes: ValidateMinutes = 15.0,
    log_every: LogEvery = 50,
    smoke: Smoke = False,
) -> None:
    """Pictures to latents and back (AutoencoderKL); the model is OUT/vae."""
    options = {key: value for key, value in locals().items() if key != "data"}
    run("autoencoder", data_folder=data, **options)


@app.command()
def tokenizer(
    out: Out = Path("runs/tokenizer"),
    data: Data = None,
    seed: Seed = 0,
    smoke: Smoke = False,
) -> None:
    """The words of the captions as a CLIPTokenizer; OUT is its folder."""
    run("tokenizer", data_folder=data, out=out, seed=seed, smoke=smoke)


Pictures = Annotated[int | None, typer.Option(help="How many pictures to draw once and keep, 49 KB each.")]
CacheFolder = Annotated[Path | None, typer.Option(help="Where to keep them; left out, `pictures` beside OUT.")]


@app.command()
def clip(
    out: Out = Path("runs/clip"),
    tokenizer: Annotated[Path, typer.Option(help="Folder of the tokenizer.")] = Path("runs/tokenizer"),
    data: Data = None,
    pictures: Pictures = None,
    cache: CacheFolder = None,
    steps: Steps = None,
    minutes: Minutes = None,
    batch_size: BatchSize = None,
    learning_rate: Rate = None,
    init: Init = None,
    resume: Resume = False,
    seed: Seed = 0,
    device: Device = "auto",
    precision: Precision = "auto",
    threads: Threads = None,
    workers: Workers = 0,
    save_minutes: SaveMinutes = 5.0,
    validate_minutes: ValidateMinutes = 5.0,
    log_every: LogEvery = 50,
    smoke: Smoke = False,
) -> None:
    """Text tower and image tower, trained to agree (CLIPModel); the parts are in OUT/clip."""
    options = {key: value for key, value in locals().items() if key != "data"}
    run("clip", data_folder=data, **options)


@app.command()
def unet(
    out: Out = Path("runs/unet"),
    vae: Annotated[Path, typer.Option(help="Folder of the trained autoencoder.")] = Path("runs/autoencoder/vae"),
    clip: Annotated[Path, typer.Option(help="Folder with tokenizer and text_encoder.")] = Path("runs/clip/clip"),
    data: Data = None,
    pictures: Annotated[int | None, typer.Option(help="How many pictures to encode once and keep, 4 KB each.")] = None,
    cache: Annotated[Path | None, typer.Option(help="Where to keep them; left out, `latents` beside OUT.")] = None,
    steps: Steps = None,
    minutes: Minutes = None,
    batch_size: BatchSize = None,
    learning_rate: Rate = None,
    decay_from: Annotated[float | None, typer.Option(help="Part of the run after which the rate falls.")] = None,
    init: Init = None,
    resume: Resume = False,
    seed: Seed = 0,
    device: Device = "auto",
    precision: Precision = "auto",
    threads: Threads = None,
    workers: Workers = 0,
    save_minutes: SaveMinutes = 5.0,
    validate_minutes: ValidateMinutes = 15.0,
    log_every: LogEvery = 100,
    smoke: Smoke = False,
) -> None:
    """Noisy latents and text to the noise in them (UNet2DConditionModel); the model is OUT/unet."""
    options = {key: value for key, value in locals().items() if key != "data"}
    run("unet", data_folder=data, **options)


@app.command()
def judge(
    out: Out = Path("runs/judge"),
    steps: Steps = None,
    minutes: Minutes = None,
    batch_size: BatchSize = None,
    learning_rate: Rate = None,
    resume: Resume = False,
    seed: Seed = 0,
    device: Device = "auto",
    precision: Precision = "auto",
    threads: Threads = None,
    workers: Workers = 0,
    save_minutes: SaveMinutes = 5.0,
    validate_minutes: ValidateMinutes = 3.0,
    log_every: LogEvery = 50,
    smoke: Smoke = False,
) -> None:
    """What is in a picture (the oracle that measures all the others); the weights are in OUT/judge."""
    run("judge", **locals())


@app.command()
def assemble(
    out: Annotated[Path | None, typer.Option(help="Pipeline folder to write; left out, the package's own.")] = None,
    autoencoder: Annotated[list[Path] | None, typer.Option(help="Run folder; repeat it for later stages.")] = None,
    clip: Annotated[list[Path] | None, typer.Option(help="Run folder; repeat it for later stages.")] = None,
    unet: Annotated[list[Path] | None, typer.Option(help="Run folder; repeat it for later stages.")] = None,
    judge: Annotated[list[Path] | None, typer.Option(help="Run folder; repeat it for later stages.")] = None,
) -> None:
    """The trained parts as one Stable Diffusion folder, the oracle beside it: half precision, cards, sums.

    A part for which no run is named stays as it is.
    """
    from difflab.model import weights_folder
    from difflab.train.assemble import assemble, assemble_judge

    try:
        folder = assemble(
            out or weights_folder(),
            autoencoder=autoencoder or [],
            clip=clip or [],
            unet=unet or [],
        )
        if judge:
            assemble_judge(folder.parent / "judge", judge=judge)
    except ValueError as error:
        typer.echo(f"error: {error}", err=True)
        raise typer.Exit(1) from error
    size = sum(p.stat().st_size for p in folder.rglob("*") if p.is_file()) / 1e6
    typer.echo(f"{folder}: {size:.1f} MB")


if __name__ == "__main__":
    sys.exit(app())

"""The training commands: `python -m difflab.train NAME`; the main command line includes `app` as `difflab train`."""

import inspect
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from difflab.train import recipe

app = typer.Typer(no_args_is_help=True, add_completion=False)

Out = Annotated[Path | None, typer.Option(help="Run folder: checkpoints, log, samples, the model.")]
Data = Annotated[Path | None, typer.Option(help="Your own pictures: a folder with metadata.jsonl (file_name, text).")]
Pairs = Annotated[
    Path | None, typer.Option(help="Your own edits: a folder with metadata.jsonl (file_name, before, text).")
]
Init = Annotated[Path | None, typer.Option(help="Start from the weights in this folder.")]
Base = Annotated[Path | None, typer.Option(help="The U-Net to build on; left out, the shipped one.")]
Adapter = Annotated[Path | None, typer.Option(help="Go on from the input layer and LoRA in this folder.")]
Pictures = Annotated[int | None, typer.Option(help="How many pictures to draw and keep once.")]
CacheFolder = Annotated[Path | None, typer.Option(help="Where to keep them; left out, beside OUT.")]
Seed = Annotated[int, typer.Option(help="Seed of weights, data and noise.")]
Smoke = Annotated[bool, typer.Option("--smoke", help="A tiny model and a handful of steps: does it run at all?")]


def every_training(
    steps: Annotated[int | None, typer.Option(help="Length of the run.")] = None,
    minutes: Annotated[float | None, typer.Option(help="Train this long instead of a number of steps.")] = None,
    batch_size: Annotated[int | None, typer.Option(help="Pictures a step, over all processes.")] = None,
    learning_rate: Annotated[float | None, typer.Option(help="Highest learning rate.")] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on from OUT's checkpoint, if there is one.")] = False,
    seed: Seed = 0,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or mps.")] = "auto",
    precision: Annotated[str, typer.Option(help="auto, no, bf16 or fp16.")] = "auto",
    threads: Annotated[int | None, typer.Option(help="CPU threads; left out, one a core.")] = None,
    workers: Annotated[int, typer.Option(help="Processes that draw batches ahead; worth it beside a GPU.")] = 0,
    save_minutes: Annotated[float | None, typer.Option(help="Minutes between checkpoints.")] = None,
    validate_minutes: Annotated[float | None, typer.Option(help="Minutes between validations and samples.")] = None,
    log_every: Annotated[int | None, typer.Option(help="Steps between lines of the log.")] = None,
    smoke: Smoke = False,
) -> None:
    """The options that every training has; what is left out is as the recipe says."""


def every_unet(
    vae: Annotated[Path | None, typer.Option(help="Folder of the trained autoencoder.")] = None,
    clip: Annotated[Path | None, typer.Option(help="Folder with tokenizer and text_encoder.")] = None,
    pictures: Pictures = None,
    cache: CacheFolder = None,
    decay_from: Annotated[float | None, typer.Option(help="Part of the run after which the rate falls.")] = None,
) -> None:
    """The options that every training of a U-Net has."""


def recipe_command(own: Callable[..., None], *shared: Callable[..., None]) -> None:
    """Add the command `own`: its name, its description, its options, those of `shared` and of `every_training`."""

    def command(**options) -> None:
        run(own.__name__, **options)

    options = [each for part in (own, *shared, every_training) for each in inspect.signature(part).parameters.values()]
    command.__signature__ = inspect.Signature(options)
    app.command(own.__name__, help=own.__doc__)(command)


def unet_command(own: Callable[..., None]) -> None:
    """The same for a U-Net."""
    recipe_command(own, every_unet)


def run(name: str, **options) -> None:
    """Run a recipe with the options that were given; errors of the user's become one line, Ctrl-C exit status 130."""
    given = {key: value for key, value in options.items() if value is not None}
    if "data" in given:
        given["data_folder"] = given.pop("data")
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
    """Train the parts of the shipped model, one by one."""


@app.command()
def tokenizer(out: Out = None, data: Data = None, seed: Seed = 0, smoke: Smoke = False) -> None:
    """The words of the captions as a CLIPTokenizer; OUT is its folder, by default runs/tokenizer."""
    run("tokenizer", out=out, data=data, seed=seed, smoke=smoke)


@recipe_command
def autoencoder(
    out: Out = None,
    data: Data = None,
    init: Init = None,
    crop_until: Annotated[
        float | None, typer.Option(help="Train on 64x64 crops up to this part of the run (0 to 1).")
    ] = None,
    decoder_only: Annotated[
        bool, typer.Option("--decoder-only", help="Keep the encoder of --init; latents stay the same.")
    ] = False,
) -> None:
    """Pictures to latents and back (AutoencoderKL); the model is OUT/vae, OUT by default runs/autoencoder."""


@recipe_command
def clip(
    out: Out = None,
    tokenizer: Annotated[Path | None, typer.Option(help="Folder of the tokenizer.")] = None,
    data: Data = None,
    init: Init = None,
    text_only: Annotated[
        bool, typer.Option("--text-only", help="Keep the image tower of --init; far quicker.")
    ] = False,
    pictures: Pictures = None,
    cache: CacheFolder = None,
) -> None:
    """Text tower and image tower, trained to agree (CLIPModel); in OUT/clip, OUT by default runs/clip."""


@unet_command
def unet(out: Out = None, data: Data = None, init: Init = None) -> None:
    """Noisy latents and text to their noise (UNet2DConditionModel); the model is OUT/unet, OUT by default runs/unet."""


@unet_command
def pix2pix(out: Out = None, data: Pairs = None, init: Base = None, adapter: Adapter = None) -> None:
    """A U-Net that sees a picture and reads what to do with it; in OUT/unet, OUT by default runs/pix2pix."""


@unet_command
def inpaint(out: Out = None, data: Data = None, init: Base = None, adapter: Adapter = None) -> None:
    """A U-Net that sees a mask and the picture around it; in OUT/unet, OUT by default runs/inpaint."""


@recipe_command
def judge(out: Out = None) -> None:
    """What is in a picture (the oracle that measures the others); in OUT/judge, OUT by default runs/judge."""


Runs = Annotated[list[Path] | None, typer.Option(help="Run folder; repeat it for later stages.")]


@app.command()
def assemble(
    out: Annotated[Path | None, typer.Option(help="Pipeline folder to write; left out, the package's own.")] = None,
    autoencoder: Runs = None,
    clip: Runs = None,
    unet: Runs = None,
    judge: Runs = None,
    pix2pix: Runs = None,
    inpaint: Runs = None,
) -> None:
    """The trained parts as one Stable Diffusion folder, the others beside it: half precision, cards, sums.

    A part for which no run is named stays as it is.
    """
    from difflab.loading import weights_folder
    from difflab.train.assemble import assemble, assemble_added, assemble_judge

    folder = out or weights_folder()
    try:
        if autoencoder or clip or unet:
            assemble(folder, autoencoder=autoencoder or [], clip=clip or [], unet=unet or [])
        if judge:
            assemble_judge(folder.parent / "judge", judge=judge)
        for name, runs in (("pix2pix", pix2pix), ("inpaint", inpaint)):
            if runs:
                assemble_added(folder.parent / name, runs=runs, unet=folder / "unet")
    except ValueError as error:
        typer.echo(f"error: {error}", err=True)
        raise typer.Exit(1) from error
    size = sum(p.stat().st_size for p in folder.rglob("*") if p.is_file()) / 1e6
    typer.echo(f"{folder}: {size:.1f} MB")


if __name__ == "__main__":
    sys.exit(app())

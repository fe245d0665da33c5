"""The training commands: `python -m difflab.train NAME`; the main command line includes `app` as `difflab train`.

Each recipe's command is made from its dataclass of options.
"""

import contextlib
import inspect
import sys
from collections.abc import Iterator
from dataclasses import Field, fields
from pathlib import Path
from typing import Annotated, get_args

import typer

from difflab.train import RECIPES, run
from difflab.train.options import Options

app = typer.Typer(no_args_is_help=True, add_completion=False)


@app.callback()
def training() -> None:
    """Train the parts of the shipped model, one by one."""


@contextlib.contextmanager
def one_line_errors() -> Iterator[None]:
    """What is the user's to put right, or the machine's, becomes one line and exit status 1."""
    try:
        yield
    except (ValueError, FloatingPointError, OSError) as error:
        typer.echo(f"error: {error}", err=True)
        raise typer.Exit(1) from error


def parameter(field: Field) -> inspect.Parameter:
    """A field of a dataclass of options as a parameter that typer reads."""
    kind, words, *_ = get_args(field.type)
    names = [f"--{field.name.replace('_', '-')}"] if kind is bool else []  # no --no-resume
    return inspect.Parameter(
        field.name,
        inspect.Parameter.KEYWORD_ONLY,
        default=field.default,
        annotation=Annotated[kind, typer.Option(*names, help=words)],
    )


def add_recipe(name: str) -> None:
    """Add the command of a recipe: first the options that are its own, then those of every training."""

    def command(**options) -> None:
        from transformers.utils import logging

        logging.disable_progress_bar()  # a bar for each file saved would tear up the bar of the training
        with one_line_errors():
            result = run(name, **options)
        if not result.finished:
            raise typer.Exit(130)  # as after Ctrl-C

    shared = {field.name for field in fields(Options)} - {"out"}
    own = sorted(fields(RECIPES[name].options), key=lambda field: field.name in shared)
    command.__signature__ = inspect.Signature([parameter(field) for field in own])
    app.command(name, help=RECIPES[name].what)(command)


for each in RECIPES:
    add_recipe(each)

PIPELINE = ("autoencoder", "clip", "unet")  # the others stand beside it
ASSEMBLED = [name for name in RECIPES if name != "tokenizer"]  # which comes with clip


def assemble(out: Path | None, **runs: list[Path] | None) -> None:
    """The trained parts as one Stable Diffusion folder, the others beside it: half precision, cards, sums.

    A part for which no run is named stays as it is.
    """
    from difflab.loading import weights_folder
    from difflab.train.assemble import assemble, assemble_pipeline

    folder = out or weights_folder()
    pipeline = {name: runs.pop(name) or [] for name in PIPELINE}
    with one_line_errors():
        if any(pipeline.values()):
            assemble_pipeline(folder, **pipeline)
        for name, made in runs.items():
            if made:
                assemble(folder.parent / name, made, base=folder / "unet")
    size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) / 1e6
    typer.echo(f"{folder}: {size:.1f} MB")


def add_assemble() -> None:
    """Add the command that assembles: `out`, and the runs of each part."""
    out = typer.Option(help="Pipeline folder to write; left out, the package's own.")
    runs = typer.Option(help="Run folder; repeat it for later stages.")
    annotations = {"out": Annotated[Path | None, out]} | dict.fromkeys(ASSEMBLED, Annotated[list[Path] | None, runs])
    keyword = inspect.Parameter.KEYWORD_ONLY
    parameters = [inspect.Parameter(name, keyword, default=None, annotation=kind) for name, kind in annotations.items()]
    assemble.__signature__ = inspect.Signature(parameters)
    app.command("assemble")(assemble)


add_assemble()

if __name__ == "__main__":
    sys.exit(app())

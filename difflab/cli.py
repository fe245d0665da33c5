"""The command line: draw, demo, world, train, export and more. Each command imports what it needs when it runs."""

import gc
import pathlib
import re
import traceback
from contextlib import contextmanager
from typing import Annotated

import typer
from typer.core import TyperGroup

from difflab.classroom.__main__ import app as classroom
from difflab.files import check_file, check_folder, new_file
from difflab.train.__main__ import app as train


class _OneLineErrors(TyperGroup):
    """Turn an expected error (a bad value, a file that is not there) into one line and exit status 1.

    What this package has not raised itself is no mistake of the user's: it is shown whole, as everything is by --debug.
    """

    def invoke(self, ctx):
        try:
            return super().invoke(ctx)
        except (ValueError, OSError) as error:
            if ctx.params["debug"] or not _expected(error):
                raise
            typer.echo("error: " + " ".join(str(error).split()), err=True)
            raise typer.Exit(1) from error


def _expected(error):
    """Whether the error is the system's word on a file or the network, or was raised by a check in this package."""
    *_, (frame, _) = traceback.walk_tb(error.__traceback__)
    return isinstance(error, OSError) or pathlib.Path(__file__).parent in pathlib.Path(frame.f_code.co_filename).parents


app = typer.Typer(
    cls=_OneLineErrors,
    help="Draw pictures from text on any laptop, and see how it is done.\n\n"
    "Start with: difflab draw 'a cat on a sofa at night'",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    add_completion=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
)

Model = Annotated[
    str, typer.Option("--model", "-m", help="tiny (ships with difflab), sd15, sd21, or a pipeline folder.")
]
Device = Annotated[str | None, typer.Option(help="cpu, cuda, cuda:1, mps ...; the best one found when left out.")]
Seed = Annotated[int, typer.Option(min=0, help="The same seed gives the same picture, on every device.")]


def _version(asked: bool):
    if asked:
        from difflab import __version__

        typer.echo(f"difflab {__version__}")
        raise typer.Exit


export = typer.Typer(no_args_is_help=True, add_completion=False)

app.add_typer(train, name="train")
app.add_typer(export, name="export")
app.add_typer(classroom, name="classroom")


@app.callback()
def main(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and stop.")
    ] = False,
    debug: Annotated[
        bool, typer.Option("--debug", help="Show where an error comes from, not its one line alone.")
    ] = False,
):
    pass


@app.command()
def draw(
    prompt: Annotated[str, typer.Argument(help="What to draw: 'a red car in the snow'.", show_default=False)],
    negative: Annotated[str, typer.Option(help="What to steer away from.")] = "",
    steps: Annotated[
        int, typer.Option(min=1, max=1000, help="Denoising steps: more is slower, and after some point no better.")
    ] = 20,
    guidance: Annotated[
        float | None,
        typer.Option(help="How strongly to follow the text: 0 ignores it, 1 as trained, above 1 stronger."),
    ] = None,
    sampler: Annotated[str, typer.Option(help="ddpm, ddim, dpm++ or euler.")] = "dpm++",
    seed: Seed = 0,
    model: Model = "tiny",
    device: Device = None,
    count: Annotated[
        int, typer.Option(min=1, max=1000, help="How many pictures, with the seeds SEED, SEED + 1, ...")
    ] = 1,
    out: Annotated[
        pathlib.Path | None,
        typer.Option(help="The PNG file to write; a folder, or with several pictures the name that numbers follow."),
    ] = None,
):
    """Draw PROMPT and write it as PNG.

    Examples:

      difflab draw "a cat on a sofa at night"

      difflab draw "a lion on the beach" --count 4 --out lions.png

      difflab draw "a photo of a lighthouse" --model sd15 --steps 30 --guidance 7.5
    """
    paths = _paths(prompt, seed, count, out)
    for path in paths:
        check_file(path)
    from tqdm import tqdm

    import difflab
    from difflab.guidance import as_scale
    from difflab.inputs import as_prompts, as_seeds, check_said
    from difflab.samplers import by_name

    settings = {} if guidance is None else {"guidance_scale": as_scale(guidance)}
    check_said(as_prompts(prompt), guidance)  # all this before a model is loaded, and perhaps downloaded
    seeds = as_seeds(seed, count)
    by_name(sampler)
    with _all_kept():
        pipeline = difflab.load(model, device=device)
    with tqdm(total=count * steps, desc="drawing", unit="step") as bar:
        for own, path in zip(seeds, paths, strict=True):
            (picture,) = difflab.text_to_image(
                pipeline,
                prompt,
                negative_prompt=negative,
                num_inference_steps=steps,
                sampler=sampler,
                seed=own,
                progress=lambda step: bar.update(),
                **settings,
            )
            with new_file(path) as new:
                picture.save(new)
    for path in paths:
        typer.echo(path)


@app.command()
def demo(
    out: Annotated[pathlib.Path, typer.Option(help="The PNG file to write.")] = pathlib.Path("out/demo.png"),
    seed: Seed = 0,
    model: Model = "tiny",
    device: Device = None,
):
    """Draw one contact sheet of what the model does.

    A row for every subject of the book: text, guidance, negative prompts, samplers, cross-attention, CLIP search, the
    latent, training.
    """
    check_file(out)
    import difflab
    from difflab.demo import demo as draw_demo

    with _all_kept():
        pipeline = difflab.load(model, device=device)
    typer.echo(draw_demo(pipeline, out, seed))


@app.command()
def doctor():
    """Check this machine: versions, device, weights and their checksums, and what would run where.

    Exits with status 1 when something that difflab needs is missing or damaged.
    """
    from difflab.doctor import findings

    found = findings()
    for finding in found:
        typer.echo(f"{'ok' if finding.ok else 'BAD':<4}{finding.what:<16}{finding.found}")
    bad = sum(not finding.ok for finding in found)
    if bad:
        typer.echo(f"error: {bad} thing{'s' * (bad > 1)} to put right, marked BAD above", err=True)
        raise typer.Exit(1)


@app.command()
def world(
    out: Annotated[pathlib.Path, typer.Option(help="The PNG file to write.")] = pathlib.Path("out/world.png"),
    count: Annotated[int, typer.Option(min=1, max=1000, help="How many scenes.")] = 30,
    seed: Annotated[int, typer.Option(min=0, help="Which series of scenes: the same seed gives the same scenes.")] = 0,
):
    """Draw a contact sheet of the tiny world: scenes as the model was shown them, each with its caption."""
    check_file(out)
    from difflab.show import save_grid
    from difflab.world import samples

    scenes = samples(count, seed)
    pictures, captions = [scene.picture for scene in scenes], [scene.caption for scene in scenes]
    typer.echo(save_grid(pictures, captions, out, columns=min(6, count)))


@app.command()
def report(
    out: Annotated[pathlib.Path, typer.Option(help="The folder for report.md and report.json.")] = pathlib.Path("book"),
    captions: Annotated[
        int, typer.Option(min=1, max=100_000, help="How many held-out captions to draw, one picture each.")
    ] = 500,
    choosing: Annotated[
        int, typer.Option(min=1, max=100_000, help="How many other captions to choose the guidance scale on.")
    ] = 60,
):
    """Measure the shipped model: draw held-out captions and let the oracle say what is in the pictures.

    With the default numbers this takes some minutes on two cores.
    """
    check_folder(out)
    from tqdm import tqdm

    from difflab.report import total, write

    with tqdm(total=total(captions, choosing), desc="report", unit="picture") as bar:
        write(out, captions, choosing, bar.update)
    typer.echo(out / "report.md")


@export.callback()
def exporting():
    """Write the model as files for other programs."""


@export.command()
def web(
    out: Annotated[
        pathlib.Path, typer.Option(help="The folder to write; an earlier export in it is replaced.")
    ] = pathlib.Path("out/web"),
    model: Annotated[str, typer.Option("--model", "-m", help="tiny, or the folder of a pipeline as small.")] = "tiny",
    weights: Annotated[str, typer.Option(help="int8 (smallest), float16, or float32 (as computed with).")] = "int8",
):
    """Write the model as files for a web page, and say how large and how exact they are.

    The book's live page runs them in the reader's browser.
    """
    check_folder(out)
    from difflab.export import read, seconds_a_step, table, web as write

    manifest = write(out, model, weights=weights)
    step = seconds_a_step(read(out, model))
    for line in table(manifest):
        typer.echo(line)
    typer.echo(f"a guided step of the U-Net takes {1000 * step:.0f} ms here, by onnxruntime on one thread")
    typer.echo(out)


@export.command()
def pipeline(
    model: Annotated[str, typer.Argument(help="tiny, tiny-pix2pix or tiny-inpaint.", show_default=False)],
    folder: Annotated[pathlib.Path, typer.Argument(help="A new or an empty folder.", show_default=False)],
):
    """Write MODEL as a whole diffusers pipeline into FOLDER, for programs that know nothing of difflab.

    Example: difflab export pipeline tiny-inpaint out/tiny-inpaint
    """
    from difflab.export import pipeline as write

    typer.echo(write(folder, model))


@export.command()
def clip(folder: Annotated[pathlib.Path, typer.Argument(help="A new or an empty folder.", show_default=False)]):
    """Write the tiny CLIP as one CLIPModel into FOLDER, for programs that know nothing of difflab."""
    from difflab.export import clip as write

    typer.echo(write(folder))


@contextmanager
def _all_kept():
    """Look for no garbage meanwhile: what a model's imports make stays, and searching it took a third of the time."""
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()


def _paths(prompt, seed, count, out):
    """The files that `draw` writes: `out` itself for one picture, numbered by seed for several."""
    words = re.sub(r"[^a-z0-9]+", "-", prompt.lower()).strip("-")[:60] or "picture"
    if out is None or out.is_dir() or not out.suffix:
        out = (out or pathlib.Path("out")) / f"{words}.png"
    elif out.suffix.lower() not in {".png", ".jpg", ".jpeg", ".webp"}:
        raise ValueError(f"--out is {str(out)!r}: end the name in .png, .jpg or .webp, or name a folder")
    if count == 1:
        return [out]
    return [out.with_name(f"{out.stem}-{seed + number}{out.suffix}") for number in range(count)]


if __name__ == "__main__":
    app()

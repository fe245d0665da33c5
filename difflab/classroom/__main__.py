"""The commands for a class: `difflab classroom release`, `verify`, `grade`, `private`."""

import importlib.util
from pathlib import Path
from typing import Annotated

import typer

from difflab.files import check_folder, new_file

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    help="Hand out, collect and grade chapters: book/teach.md says how, step by step.",
)

Handed = Annotated[
    Path, typer.Argument(help="What was handed in: a folder or a notebook for each student.", show_default=False)
]
Notebooks = Annotated[
    list[Path] | None,
    typer.Option(
        "--notebook", help="A chapter, its answers beside it, repeatable; left out, every one in the folder notebooks."
    ),
]
Checks = Annotated[
    Path | None, typer.Option(help="A folder of private checks, to run in place of the book's hidden ones.")
]


@app.callback()
def needs_nbgrader():
    if importlib.util.find_spec("nbgrader") is None:
        raise ValueError('the classroom needs nbgrader: pip install "difflab[teach]"')


def _chapters(notebooks: list[Path] | None) -> list[Path]:
    found = notebooks or sorted(Path("notebooks").glob("*.ipynb"))
    if not found:
        raise ValueError("there is no folder notebooks here: run this in a clone of the project, or name the chapters")
    return found


@app.command()
def release(
    notebooks: Annotated[
        list[Path] | None, typer.Argument(help="Chapters; left out, every one in the folder notebooks.")
    ] = None,
    out: Annotated[Path, typer.Option(help="The folder to write.")] = Path("_build/assignments"),
):
    """Write the sheets of the chapters, their checks locked, and a zip of them."""
    from difflab.classroom import release as make

    for path in make(_chapters(notebooks), out):
        typer.echo(path)


@app.command()
def verify(
    folder: Handed,
    notebook: Notebooks = None,
):
    """Say what is wrong with the files handed in, before anything is run.

    Exits with status 1 if something needs looking after, marked BAD: grading alone cannot repair it.
    """
    from difflab.classroom import look, read_chapter

    found = look(folder, [read_chapter(path) for path in _chapters(notebook)])
    for submission in found:
        what = submission.chapter.name if submission.chapter else "not gradable"
        typer.echo(f"{'BAD' if submission.broken else 'ok':<4}{submission.student}: {submission.path.name}: {what}")
        for line in submission.broken:
            typer.echo(f"      {line}")
        for line in submission.mended:
            typer.echo(f"      {line} (repaired in grading)")
    bad = sum(bool(submission.broken) for submission in found)
    typer.echo(f"{len(found)} files, {bad} to look after")
    if bad:
        raise typer.Exit(1)


@app.command()
def grade(
    folder: Handed,
    out: Annotated[Path, typer.Option(help="The folder for grades.csv, the forms to import, and feedback.")] = Path(
        "_build/grades"
    ),
    notebook: Notebooks = None,
    checks: Checks = None,
    roster: Annotated[
        Path | None, typer.Option(help="The class list or gradebook that Moodle or Canvas exported, CSV.")
    ] = None,
    seconds: Annotated[float, typer.Option(help="Time for one cell.")] = 20,
    total_seconds: Annotated[float, typer.Option(help="Time for all exercises of a submission.")] = 120,
    memory: Annotated[int, typer.Option(help="MB that an answer may use, beyond Python and torch themselves.")] = 2000,
    jobs: Annotated[int | None, typer.Option(help="Submissions at a time; left out, one a core.")] = None,
):
    """Run and score every submission, each in a fenced process of its own.

    Stopped with Ctrl-C it goes on where it was when started again; what has changed since is graded again.
    """
    from difflab.checks import ABOVE_0, as_number
    from difflab.classroom import grade as run
    from difflab.classroom.sandbox import Limits

    for name, value in {
        "--seconds": seconds,
        "--total-seconds": total_seconds,
        "--memory": memory,
        "--jobs": jobs,
    }.items():
        if value is not None:
            as_number(name, value, "a number above 0", ABOVE_0)
    check_folder(out)
    limits = Limits(seconds, total_seconds, memory * 1_000_000)
    run(folder, _chapters(notebook), out, checks=checks, roster=roster, limits=limits, jobs=jobs, tell=typer.echo)
    typer.echo(out / "grades.csv")


@app.command()
def private(
    notebook: Annotated[Path, typer.Argument(help="A chapter, its answers beside it.", show_default=False)],
    out: Annotated[Path, typer.Option(help="The folder of private checks.")] = Path("private"),
):
    """Write a file of private checks for a chapter, to fill in: it begins with the book's hidden checks."""
    from difflab.classroom import private_template, read_chapter

    chapter = read_chapter(notebook)
    path = out / f"{chapter.name}.py"
    if path.exists():
        raise ValueError(f"{path} is there already: it is not overwritten")
    with new_file(path) as new:
        new.write_text(private_template(chapter), encoding="utf-8")
    typer.echo(path)


if __name__ == "__main__":
    app()

"""What a chapter asks: its exercises, from its notebook and the answers beside it, and a teacher's private checks."""

import re
import runpy
from dataclasses import dataclass, replace
from pathlib import Path

SECTION = re.compile(r"^# %% *(\S+)(?: +points=([\d.]+))? *$", re.MULTILINE)
SECRET = re.compile(r"### BEGIN (?:SOLUTION|HIDDEN TESTS|MARK SCHEME)")  # nbgrader's marks


@dataclass(frozen=True)
class Exercise:
    """One exercise: an answer to write, a check that students see, and one that they do not."""

    name: str  # the grade id of the answer; those of its checks are NAME-check and NAME-hidden
    defines: tuple[str, ...]  # the names of the functions or classes that an answer has to define
    stub: str  # the answer cell as students get it
    solution: str  # an answer that has all points
    checks: dict[str, str]  # by grade id: the source of the visible and of the hidden check
    points: dict[str, float]  # by grade id of a check
    wrong: tuple[str, ...] = ()  # answers that the checks are known to reject

    @property
    def total(self) -> float:
        return sum(self.points.values())


@dataclass(frozen=True)
class Chapter:
    """One chapter's assignment."""

    name: str  # the notebook's file name without its ending
    setup: str  # the source of the cell that every exercise needs
    exercises: tuple[Exercise, ...]
    notebook: object  # the sheet, a NotebookNode
    cells: frozenset[str]  # the sources of its cells


def answers_of(notebook: Path) -> Path:
    """Where the answers to a notebook's exercises lie, and its hidden checks: in the folder answers beside it."""
    return notebook.parent / "answers" / f"{notebook.stem}.py"


def sections(path: Path) -> dict[str, tuple[str, float | None]]:
    """The sections of a file of answers or checks, by grade id: each one's source, and its points where they are given.

    A line `# %% GRADE-ID` (or `# %% GRADE-ID points=3`) begins a section; what stands before the first is a comment.
    """
    pieces = SECTION.split(path.read_text(encoding="utf-8"))[1:]
    return {
        name: (source.strip("\n"), float(points) if points else None)
        for name, points, source in zip(*[iter(pieces)] * 3, strict=True)
    }


def read_chapter(path: Path, checks: Path | None = None) -> Chapter:
    """The chapter of a notebook, with the answers that lie beside it.

    path: the notebook. checks: a folder of private checks, see `with_private_checks`. Planted wrong answers are taken
    from `../tests/wrong_answers`, if the notebook lies in a clone of the project.

    Raises ValueError if the notebook has no exercises in nbgrader's form, if it holds a solution or a hidden check
    itself, and if the file of answers is not there or does not belong to it.
    """
    import nbformat

    from difflab.classroom.release import sheet

    path = Path(path)
    if not path.is_file():
        raise ValueError(f"there is no chapter {str(path)!r}: name a notebook with exercises")
    notebook = nbformat.read(path, as_version=4)
    for cell in notebook.cells:
        if SECRET.search(cell.source):
            raise ValueError(
                f"{path.name} holds what students are not to see, in the cell that begins "
                f"{cell.source.splitlines()[0]!r}: move it to {answers_of(path)}"
            )
    notebook = sheet(notebook)
    setup = [cell.source for cell in notebook.cells if "exercise-setup" in cell.metadata.get("tags", [])]
    cells = {cell.metadata.nbgrader.grade_id: cell for cell in notebook.cells if "nbgrader" in cell.metadata}
    names = [name for name, cell in cells.items() if cell.metadata.nbgrader.solution]
    if not names or len(setup) != 1:
        raise ValueError(f"{path.name} has no exercises: cells with grade ids, and one cell tagged exercise-setup")
    beside = _answers(path, names)
    planted = _planted(path.parent.parent / "tests" / "wrong_answers" / f"{path.stem}.py")

    def exercise(name):
        check, hidden = f"{name}-check", f"{name}-hidden"
        hidden_source, hidden_points = beside[hidden]
        return Exercise(
            name=name,
            defines=tuple(re.findall(r"^(?:def|class) (\w+)", cells[name].source, re.MULTILINE)),
            stub=cells[name].source,
            solution=beside[name][0],
            checks={check: cells[check].source, hidden: hidden_source},
            points={check: float(cells[check].metadata.nbgrader.points), hidden: hidden_points or 1.0},
            wrong=tuple(answer for exercise, _, answer in planted if exercise == name),
        )

    chapter = Chapter(
        path.stem, setup[0], tuple(map(exercise, names)), notebook, frozenset(cell.source for cell in notebook.cells)
    )
    return with_private_checks(chapter, checks) if checks else chapter


def _answers(path: Path, names: list[str]) -> dict[str, tuple[str, float | None]]:
    """The sections that lie beside a notebook: for each of its exercises an answer and a hidden check."""
    file = answers_of(path)
    if not file.is_file():
        raise ValueError(f"{path.name} has no answers: {file} should hold them, and the hidden checks")
    found = sections(file)
    wanted = [part for name in names for part in (name, f"{name}-hidden")]
    if set(found) != set(wanted):
        raise ValueError(f"{file} has sections for {', '.join(found)}; {path.name} asks for {', '.join(wanted)}")
    return found


def _planted(path: Path) -> list[tuple[str, str, str]]:
    return runpy.run_path(str(path))["WRONG"] if path.is_file() else []


def with_private_checks(chapter: Chapter, folder: Path) -> Chapter:
    """The chapter with the checks of a teacher's private folder in place of the book's own.

    folder: holds, for each chapter that has private checks, CHAPTER.py or CHAPTER.ipynb. In the first a line
    `# %% GRADE-ID` (or `# %% GRADE-ID points=3`) begins the source of the check of that grade id; the second is the
    chapter itself with other sources, and points, in its check cells. What is not mentioned stays.

    Raises ValueError for a folder that is not there or has nothing for the chapter, and for grade ids that it does not
    have.
    """
    folder = Path(folder)
    script, notebook = folder / f"{chapter.name}.py", folder / f"{chapter.name}.ipynb"
    if script.is_file():
        found = sections(script)
    elif notebook.is_file():
        import nbformat

        cells = [
            cell
            for cell in nbformat.read(notebook, as_version=4).cells
            if cell.metadata.get("nbgrader", {}).get("grade")
        ]
        found = {cell.metadata.nbgrader.grade_id: (cell.source, cell.metadata.nbgrader.points) for cell in cells}
    else:
        raise ValueError(
            f"{str(folder)!r} holds neither {script.name} nor {notebook.name}: "
            "difflab classroom private writes one to fill in"
        )
    known = {name for exercise in chapter.exercises for name in exercise.checks}
    if not found or set(found) - known:
        strange = ", ".join(sorted(set(found) - known)) or "no grade id at all"
        raise ValueError(
            f"the private checks of {chapter.name} name {strange}: its checks are {', '.join(sorted(known))}"
        )

    def private(exercise):
        mine = {name: found[name] for name in exercise.checks if name in found}
        return replace(
            exercise,
            checks=exercise.checks | {name: source for name, (source, _) in mine.items()},
            points=exercise.points | {name: float(points) for name, (_, points) in mine.items() if points is not None},
        )

    return replace(chapter, exercises=tuple(map(private, chapter.exercises)))


def private_template(chapter: Chapter) -> str:
    """The text of a file of private checks for the chapter: its hidden checks, to be replaced or added to."""
    lines = [
        f"# Private checks of {chapter.name}. A line '# %% GRADE-ID' begins the check of that id;",
        "# 'points=3' at its end changes what it is worth. Each runs after its exercise's visible check, in the same",
        "# namespace. A failed assertion's message is shown to the student: name what is wrong, not what is right.",
    ]
    for exercise in chapter.exercises:
        name = f"{exercise.name}-hidden"
        lines += ["", f"# %% {name} points={exercise.points[name]:g}", exercise.checks[name]]
    return "\n".join(lines) + "\n"

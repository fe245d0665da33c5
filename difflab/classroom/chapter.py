"""What a chapter asks: its exercises, read from the teacher's notebook, and a teacher's private checks for them."""

import re
import runpy
from dataclasses import dataclass, replace
from pathlib import Path

SECTION = re.compile(r"^# %% *(\S+)(?: +points=([\d.]+))? *$", re.MULTILINE)


@dataclass(frozen=True)
class Exercise:
    """One exercise: an answer to write, a check that students see, and one that they do not."""

    name: str  # the grade id of the answer; those of its checks are NAME-check and NAME-hidden
    defines: tuple[str, ...]  # the names of the functions or classes that an answer has to define
    stub: str  # the answer cell as students get it
    solution: str
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
    notebook: object  # the student version, a NotebookNode
    cells: frozenset[str]  # the sources of the student version's cells


def read_chapter(path: Path, checks: Path | None = None) -> Chapter:
    """The chapter of a teacher's notebook.

    path: the notebook with its solutions. checks: a folder of private checks, see `with_private_checks`. Planted wrong
    answers are taken from `../tests/wrong_answers`, if the notebook lies in a clone of the project.

    Raises ValueError if the notebook has no exercises in nbgrader's form.
    """
    import nbformat

    from difflab.classroom.release import student_version

    path = Path(path)
    if not path.is_file():
        raise ValueError(f"there is no chapter {str(path)!r}: name the notebooks that hold the solutions")
    teacher = nbformat.read(path, as_version=4)
    student = student_version(teacher)
    setup = [cell.source for cell in teacher.cells if "exercise-setup" in cell.metadata.get("tags", [])]
    graded = {cell.metadata.nbgrader.grade_id: cell for cell in teacher.cells if "nbgrader" in cell.metadata}
    stubs = {cell.metadata.nbgrader.grade_id: cell.source for cell in student.cells if "nbgrader" in cell.metadata}
    names = [name for name, cell in graded.items() if cell.metadata.nbgrader.solution]
    if not names or len(setup) != 1:
        raise ValueError(f"{path.name} has no exercises: cells with grade ids, and one cell tagged exercise-setup")
    planted = _planted(path.parent.parent / "tests" / "wrong_answers" / f"{path.stem}.py")

    def exercise(name):
        parts = [f"{name}-check", f"{name}-hidden"]
        return Exercise(
            name=name,
            defines=tuple(re.findall(r"^(?:def|class) (\w+)", graded[name].source, re.MULTILINE)),
            stub=stubs[name],
            solution=graded[name].source,
            checks={part: graded[part].source for part in parts},
            points={part: float(graded[part].metadata.nbgrader.points) for part in parts},
            wrong=tuple(answer for exercise, _, answer in planted if exercise == name),
        )

    chapter = Chapter(
        path.stem, setup[0], tuple(map(exercise, names)), student, frozenset(cell.source for cell in student.cells)
    )
    return with_private_checks(chapter, checks) if checks else chapter


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
        pieces = SECTION.split(script.read_text(encoding="utf-8"))
        found = {
            name: (source.strip("\n"), points) for name, points, source in zip(*[iter(pieces[1:])] * 3, strict=True)
        }
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
    """The text of a file of private checks for the chapter: its hidden tests, to be replaced or added to."""
    lines = [
        f"# Private checks of {chapter.name}. A line '# %% GRADE-ID' begins the check of that id;",
        "# 'points=3' at its end changes what it is worth. Each runs after its exercise's visible check, in the same",
        "# namespace. A failed assertion's message is shown to the student: name what is wrong, not what is right.",
    ]
    for exercise in chapter.exercises:
        name = f"{exercise.name}-hidden"
        lines += ["", f"# %% {name} points={exercise.points[name]:g}", exercise.checks[name]]
    return "\n".join(lines) + "\n"

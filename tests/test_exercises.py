"""The chapters' exercises: the solution passes, the student's empty sheet fails, and known wrong answers are told so.

Only the exercise cells of a notebook are run: the `exercise-setup` cell, the answer, the visible and the hidden check.
"""

import contextlib
import io
import re
import runpy
from pathlib import Path

import nbformat
import pytest

NOTEBOOKS = Path(__file__).parent.parent / "notebooks"
WRONG_ANSWERS = Path(__file__).parent / "wrong_answers"  # one file a chapter
SOLUTION = re.compile(r"[ ]*### BEGIN SOLUTION\n(.*?)[ ]*### END SOLUTION", re.S)
STUB = "    # YOUR CODE HERE\n    raise NotImplementedError()"


def exercise_cells(notebook):
    """The setup cell's source, and for each exercise its solution, check and hidden cells, by grade id."""
    cells = nbformat.read(NOTEBOOKS / notebook, as_version=4).cells
    setup = [cell.source for cell in cells if "exercise-setup" in cell.metadata.get("tags", [])]
    graded = {cell.metadata.nbgrader.grade_id: cell for cell in cells if "nbgrader" in cell.metadata}
    assert len(setup) == 1 and graded
    return setup[0], graded


def run_exercise(notebook, name, answer=None):
    """Runs one exercise, with `answer` in place of the notebook's own solution. Raises what its checks raise."""
    setup, cells = exercise_cells(notebook)
    namespace = {"__name__": "exercise"}
    exec(setup, namespace)
    exec(cells[name].source if answer is None else answer, namespace)
    with contextlib.redirect_stdout(io.StringIO()):
        exec(cells[f"{name}-check"].source, namespace)
        exec(cells[f"{name}-hidden"].source, namespace)


CHAPTERS = sorted(path.name for path in NOTEBOOKS.glob("*.ipynb"))
EXERCISES = [
    (notebook, name)
    for notebook in CHAPTERS
    for name, cell in exercise_cells(notebook)[1].items()
    if cell.metadata.nbgrader.solution
]


@pytest.mark.parametrize("notebook, name", EXERCISES)
def test_the_solution_passes(notebook, name):
    run_exercise(notebook, name)


@pytest.mark.parametrize("notebook, name", EXERCISES)
def test_the_empty_sheet_fails(notebook, name):
    source = exercise_cells(notebook)[1][name].source
    stub, count = SOLUTION.subn(STUB + "\n", source)
    assert count == 1
    with pytest.raises(NotImplementedError):
        run_exercise(notebook, name, stub)


@pytest.mark.parametrize("notebook", CHAPTERS)
def test_every_exercise_is_in_nbgraders_form(notebook):
    _, cells = exercise_cells(notebook)
    solutions = [name for name, cell in cells.items() if cell.metadata.nbgrader.solution]
    assert len(solutions) >= 2
    for name in solutions:
        answer, check, hidden = cells[name], cells[f"{name}-check"], cells[f"{name}-hidden"]
        assert SOLUTION.search(answer.source) and "hide-input" in answer.metadata.tags
        assert not answer.metadata.nbgrader.grade and not answer.metadata.nbgrader.locked
        for graded in (check, hidden):
            assert graded.metadata.nbgrader.grade and graded.metadata.nbgrader.points > 0
            assert graded.metadata.nbgrader.locked and graded.metadata.nbgrader.schema_version == 3
        assert "### BEGIN HIDDEN TESTS" in hidden.source and "### END HIDDEN TESTS" in hidden.source
        assert "remove-cell" in hidden.metadata.tags and "HIDDEN" not in check.source
    assert len(cells) == 3 * len(solutions)


WRONG = [
    (notebook, *wrong)
    for notebook in CHAPTERS
    for wrong in runpy.run_path(WRONG_ANSWERS / notebook.replace(".ipynb", ".py"))["WRONG"]
]


@pytest.mark.parametrize("notebook, name, says, answer", WRONG)
def test_a_wrong_answer_is_rejected_and_told_why(notebook, name, says, answer):
    with pytest.raises(AssertionError, match=says):
        run_exercise(notebook, name, answer)


def test_every_exercise_has_planted_wrong_answers():
    for notebook, name in EXERCISES:
        assert sum((book, exercise) == (notebook, name) for book, exercise, _, _ in WRONG) >= 2


@pytest.mark.parametrize("notebook, name", EXERCISES)
def test_the_visible_check_does_not_tell_the_answer(notebook, name):
    _, cells = exercise_cells(notebook)
    solution = SOLUTION.search(cells[name].source).group(1)
    lines = [line.strip().removeprefix("return ") for line in solution.splitlines() if len(line.strip()) > 25]
    assert not [line for line in lines if line in cells[f"{name}-check"].source]

"""The chapters' exercises: the answers pass, an empty cell is told so, and known wrong answers are told what is wrong.

Only the exercise cells of a notebook are run: the `exercise-setup` cell, the answer and the check, and then the hidden
check that lies beside the notebook.
"""

import ast
import re
import runpy
from contextlib import contextmanager
from pathlib import Path

import nbformat
import pytest
import torch

from difflab.classroom.chapter import answers_of, sections
from difflab.exercises import NOTHING_YET, answered, expect_close

NOTEBOOKS = Path(__file__).parent.parent / "notebooks"
WRONG_ANSWERS = Path(__file__).parent / "wrong_answers"  # one file a chapter
CHAPTERS = sorted(NOTEBOOKS.glob("*.ipynb"))


def cells(chapter):
    return nbformat.read(chapter, as_version=4).cells


def graded(chapter):
    """The cells of a chapter's exercises, by grade id."""
    return {cell.metadata.nbgrader.grade_id: cell for cell in cells(chapter) if "nbgrader" in cell.metadata}


def beside(chapter):
    """The answers and the hidden checks of a chapter, by grade id."""
    return {name: source for name, (source, _) in sections(answers_of(chapter)).items()}


def setup(chapter):
    (cell,) = [cell for cell in cells(chapter) if "exercise-setup" in cell.metadata.get("tags", [])]
    return cell.source


def run_exercise(chapter, name, answer, hidden=True):
    """Runs an answer and its checks, and raises what they raise."""
    namespace = {"__name__": "exercise"}
    checks = [graded(chapter)[f"{name}-check"].source] + [beside(chapter)[f"{name}-hidden"]] * hidden
    for source in (setup(chapter), answer, *checks):
        exec(source, namespace)


every_chapter = pytest.mark.parametrize("chapter", CHAPTERS, ids=lambda path: path.stem)
EXERCISES = [
    pytest.param(chapter, name, id=f"{chapter.stem}-{name}")
    for chapter in CHAPTERS
    for name, cell in graded(chapter).items()
    if cell.metadata.nbgrader.solution
]
every_exercise = pytest.mark.parametrize("chapter, name", EXERCISES)


@every_exercise
def test_the_answer_passes(chapter, name, capsys):
    run_exercise(chapter, name, beside(chapter)[name])
    assert capsys.readouterr().out.endswith("right\n")


@every_exercise
def test_an_empty_cell_is_told_so_and_lets_the_notebook_run_on(chapter, name, capsys):
    run_exercise(chapter, name, graded(chapter)[name].source, hidden=False)
    assert capsys.readouterr().out == NOTHING_YET + "\n"


@every_exercise
def test_what_a_learner_opens_holds_a_signature_and_no_answer(chapter, name):
    (empty,), (full,) = (
        [node for node in ast.parse(source).body if isinstance(node, ast.FunctionDef)]
        for source in (graded(chapter)[name].source, beside(chapter)[name])
    )
    assert ast.get_docstring(empty) and ast.unparse(empty.body[1:]) == "..."
    signatures = [(f.name, ast.unparse(f.args), list(map(ast.unparse, f.decorator_list))) for f in (empty, full)]
    assert signatures[0] == signatures[1]


def statements(source, kinds=ast.stmt):
    """The statements of a piece of code that say something, each in one spelling."""
    found = {ast.unparse(node) for node in ast.walk(ast.parse(source)) if isinstance(node, kinds)}
    return {statement for statement in found if len(statement) > 25}


@every_chapter
def test_no_notebook_gives_away_an_answer_or_what_a_hidden_check_asks(chapter):
    """The text above may hold what an answer says, for it teaches that: the exercises may not."""
    code = "\n".join(cell.source for cell in cells(chapter) if cell.cell_type == "code")
    exercises = "\n".join(cell.source for cell in graded(chapter).values())
    for name, source in beside(chapter).items():
        if name.endswith("-hidden"):
            assert not statements(source, (ast.Assert, ast.Expr)) & statements(code), name
        else:
            assert not statements(source) & statements(exercises), name
    assert not re.search("(BEGIN|END) (SOLUTION|HIDDEN TESTS)", code)


@every_chapter
def test_every_exercise_is_in_nbgraders_form(chapter):
    found = graded(chapter)
    names = [name for name, cell in found.items() if cell.metadata.nbgrader.solution]
    assert len(names) >= 2 and list(found) == [part for name in names for part in (name, f"{name}-check")]
    assert list(beside(chapter)) == [part for name in names for part in (name, f"{name}-hidden")]
    for name in names:
        answer, check = found[name], found[f"{name}-check"]
        assert not answer.metadata.nbgrader.grade and not answer.metadata.nbgrader.locked
        assert check.metadata.nbgrader.grade and check.metadata.nbgrader.points > 0
        assert check.metadata.nbgrader.locked and check.metadata.nbgrader.schema_version == 3
        assert check.source.startswith("if answered(") and check.source.endswith('\n    print("right")')


WRONG = [
    pytest.param(chapter, name, says, answer, id=f"{chapter.stem}-{name}-{number}")
    for chapter in CHAPTERS
    for number, (name, says, answer) in enumerate(runpy.run_path(WRONG_ANSWERS / f"{chapter.stem}.py")["WRONG"])
]


@pytest.mark.parametrize("chapter, name, says, answer", WRONG)
def test_the_visible_check_rejects_a_wrong_answer_and_says_why(chapter, name, says, answer):
    with pytest.raises(AssertionError, match=says):
        run_exercise(chapter, name, answer, hidden=False)


@every_exercise
def test_the_hidden_check_rejects_an_answer_known_by_heart(chapter, name):
    """It gives what the visible check wants to see, and has nothing for other numbers."""
    namespace = {"__name__": "exercise"}
    exec(setup(chapter), namespace)
    exec(beside(chapter)[name], namespace)
    (defined,) = re.findall(r"^def (\w+)", beside(chapter)[name], re.MULTILINE)
    right, made = namespace[defined], []

    def by_heart(*given, **named):
        made.append(right(*given, **named))
        return made[-1]

    namespace[defined] = by_heart
    exec(graded(chapter)[f"{name}-check"].source, namespace)
    namespace[defined] = lambda *given, **named: made[-1]
    with pytest.raises(Exception):  # noqa: B017 (whatever comes of the last result for other numbers)
        exec(beside(chapter)[f"{name}-hidden"], namespace)


@every_exercise
def test_every_exercise_has_planted_wrong_answers(chapter, name):
    assert sum(wrong.values[:2] == (chapter, name) for wrong in WRONG) >= 2


def test_what_counts_as_an_answer(capsys):
    def empty(x, y=2):
        """What it is to do."""
        ...  # your answer here

    def without_return(x):
        x + 1

    @contextmanager
    def empty_context(x):
        """What it is to do."""
        ...

    @contextmanager
    def context():
        yield

    for nothing in (empty, empty_context, ..., lambda: None):
        assert not answered(nothing) and not answered(torch.ones(2), nothing)
        assert capsys.readouterr().out == f"{NOTHING_YET}\n" * 2
    for something in (without_return, context, lambda x: x, lambda: 0, len, torch.nn.Linear, torch.ones(2), 0, None):
        assert answered(something)
    assert answered(without_return, context) and not capsys.readouterr().out


@pytest.mark.parametrize(
    "actual, says",
    [
        (None, "got NoneType: does the function return"),
        (torch.ones(3), r"expected shape \(2,\), got \(3,\)"),
        (torch.ones(2) + 0j, "complex"),
        (torch.tensor([1.0, float("nan")]), "NaN or infinity"),
        (torch.tensor([1.0, 1.5]), r"too large \(largest difference: 0.5\)"),
    ],
)
def test_the_plainest_thing_that_is_wrong_is_named(actual, says):
    with pytest.raises(AssertionError, match=says):
        expect_close(actual, torch.ones(2), "too large")
    expect_close(torch.ones(2) + 1e-6, torch.ones(2), "too large")

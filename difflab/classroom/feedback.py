"""What a student gets back: nbgrader's page of feedback, with the answers and what was wrong, without the checks."""

from functools import cache
from pathlib import Path

from difflab.classroom.submissions import Submission


def write_feedback(path: Path, submission: Submission, result: dict) -> None:
    """Write the page for one graded submission. Of a check it shows the points and the message, never the source."""
    import nbformat.v4
    from nbconvert.exporters.exporter import ResourcesDict

    chapter, notebook = submission.chapter, nbformat.v4.new_notebook()
    if result["status"] == "tampered":
        words = (
            "Signs were found that the checks were interfered with. Nothing counts until your teacher has looked at it."
        )
        notebook.cells.append(nbformat.v4.new_markdown_cell(words))
    names = {exercise.name: exercise for exercise in chapter.exercises}
    before = None
    for cell in chapter.notebook.cells:
        exercise = names.get(cell.metadata.get("nbgrader", {}).get("grade_id"))
        if exercise:
            answer = submission.answers.get(exercise.name, "# no answer was found in the notebook")
            if before is not None and before.cell_type == "markdown":
                notebook.cells.append(nbformat.v4.new_markdown_cell(before.source))
            notebook.cells.append(_cell(exercise.name, answer, solution=True))
            notebook.cells += [_check(name, result["checks"][name]) for name in exercise.checks]
        before = cell
    resources = ResourcesDict(
        nbgrader={"notebook": chapter.name, "score": result["score"], "max_score": result["points"], "late_penalty": 0},
        metadata=ResourcesDict(name=chapter.name),
    )
    text, _ = _exporter().from_notebook_node(notebook, resources)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def _cell(name: str, source: str, **mark):
    import nbformat.v4

    cell = nbformat.v4.new_code_cell(source)
    cell.metadata["nbgrader"] = {"grade_id": name, "solution": False, "grade": False, **mark}
    return cell


def _check(name: str, check: dict):
    """A check cell without its source; the message stands where an output would."""
    import nbformat.v4

    cell = _cell(name, "# not shown", grade=True, score=check["score"], points=check["points"])
    words = check["why"] or "right"
    cell.outputs = [nbformat.v4.new_output("stream", name="stderr" if check["why"] else "stdout", text=words)]
    return cell


@cache
def _exporter():
    """nbconvert's exporter with nbgrader's template for feedback."""
    import nbgrader
    from nbconvert.exporters import HTMLExporter

    room = Path(nbgrader.__file__).parent / "server_extensions" / "formgrader"
    css = room / "static" / "node_modules" / "bootstrap" / "dist" / "css"
    return HTMLExporter(
        template_name="feedback", extra_template_basedirs=[str(room / "templates")], extra_template_paths=[str(css)]
    )

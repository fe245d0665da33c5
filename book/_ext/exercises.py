"""Fold each exercise's check away on its page, and show a solution below it, behind a click.

The solutions come from the answers beside the notebook; of the hidden checks there nothing is shown.
"""

from pathlib import Path

from docutils import nodes

from difflab.classroom.chapter import answers_of, sections


def fold(cell, what):
    """Let myst-nb fold a cell with all that it puts out, as it does for the tag hide-cell."""
    cell["hide_mode"], cell["prompt_show"], cell["prompt_hide"] = "all", f"Show {what}", f"Hide {what}"


def solution(source):
    cell = nodes.container(nb_element="cell_code", classes=["cell", "solution"])
    code = nodes.container(nb_element="cell_code_source", classes=["cell_input"])
    code += nodes.literal_block(source, source, language="python")
    cell += code
    fold(cell, "a solution")
    return cell


def place(doctree, answers):
    """Put each answer below its check, whose grade id is the answer's with `-check` behind it."""
    code = [node for node in doctree.findall(nodes.container) if node.get("nb_element") == "cell_code"]
    cells = {cell["cell_metadata"].get("nbgrader", {}).get("grade_id"): cell for cell in code}
    for name, source in answers.items():
        if check := cells.get(f"{name}-check"):
            fold(check, "the check")
            check.parent.insert(check.parent.index(check) + 1, solution(source))


def read(app, doctree):
    file = answers_of(Path(app.env.doc2path(app.env.docname)))
    if file.is_file():
        app.env.note_dependency(str(file))
        place(doctree, {name: source for name, (source, _) in sections(file).items()})


def setup(app):
    app.connect("doctree-read", read)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}

"""Show a solution to each exercise behind a click, below its check; they come from the answers beside the notebook."""

from pathlib import Path

from docutils import nodes

from difflab.classroom.chapter import answers_of, sections


def folded(source):
    """A code cell that myst-nb folds away, as it does with cells of a notebook."""
    cell = nodes.container(nb_element="cell_code", classes=["cell", "solution"], hide_mode="input")
    cell["prompt_show"], cell["prompt_hide"] = "Show a solution", "Hide the solution"
    code = nodes.container(nb_element="cell_code_source", classes=["cell_input"])
    code += nodes.literal_block(source, source, language="python")
    cell += code
    return cell


def add(doctree, answers):
    """Put each answer below its check, whose grade id is the answer's with `-check` behind it."""
    code = [node for node in doctree.findall(nodes.container) if node.get("nb_element") == "cell_code"]
    cells = {cell["cell_metadata"].get("nbgrader", {}).get("grade_id"): cell for cell in code}
    for name, source in answers.items():
        if check := cells.get(f"{name}-check"):
            check.parent.insert(check.parent.index(check) + 1, folded(source))


def place(app, doctree):
    file = answers_of(Path(app.env.doc2path(app.env.docname)))
    if file.is_file():
        app.env.note_dependency(str(file))
        add(doctree, {name: source for name, (source, _) in sections(file).items()})


def setup(app):
    app.connect("doctree-read", place)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}

"""Say under a chapter's title how long it takes and what it needs; every number comes from the page or from its run."""

import re

from docutils import nodes

WORDS_A_MINUTE = 200
GPU_SECTION = "On Stable Diffusion"
BEFORE = {  # what a chapter takes for granted
    "notebooks/01-forward-and-reverse": ["book/one-loop"],
    "notebooks/02-text-to-image": ["book/one-loop"],
    "notebooks/03-clip": ["notebooks/02-text-to-image"],
    "notebooks/04-cross-attention": ["notebooks/02-text-to-image"],
    "notebooks/05-latent-diffusion": ["notebooks/01-forward-and-reverse", "notebooks/02-text-to-image"],
    "notebooks/06-training": ["notebooks/01-forward-and-reverse", "notebooks/05-latent-diffusion"],
    "notebooks/07-guidance": ["notebooks/01-forward-and-reverse", "notebooks/02-text-to-image"],
    "notebooks/08-sdedit": ["notebooks/02-text-to-image", "notebooks/07-guidance"],
    "notebooks/09-instruct-pix2pix": ["notebooks/07-guidance", "notebooks/08-sdedit"],
    "notebooks/10-prompt-to-prompt": ["notebooks/04-cross-attention", "notebooks/07-guidance"],
    "notebooks/11-inpainting": ["notebooks/05-latent-diffusion", "notebooks/08-sdedit"],
}


def words(doctree):
    """How many words there are to read: the text and the code, not what the code prints."""
    outputs = {id(node) for node in doctree.findall(nodes.container) if "cell_output" in node["classes"]}
    return sum(len(node.astext().split()) for node in read(doctree, outputs))


def read(node, left_out):
    """The pieces of text below a node, without the subtrees that are left out."""
    for child in node.children:
        if isinstance(child, nodes.Text):
            yield child
        elif id(child) not in left_out and not isinstance(child, nodes.Invisible):
            yield from read(child, left_out)


def facts(doctree, seconds):
    """What the page tells about itself, as short phrases; `seconds` is None where it was not run."""
    titles = [title.astext() for title in doctree.findall(nodes.title)]
    exercises = sum(bool(re.match(r"Exercise \d", title)) for title in titles)
    said = [f"about {max(1, round(words(doctree) / WORDS_A_MINUTE))} minutes to read"]
    if seconds is not None:
        said.append(f"{seconds:.0f} seconds to run (when this book was built, on one core)")
    if exercises:
        said.append(f"{exercises} exercise{'s' * (exercises != 1)} to do")
    return said


def line(name, *pieces):
    """One line of the box: its name, then texts and links."""
    texts = [nodes.Text(piece) if isinstance(piece, str) else piece for piece in pieces]
    return nodes.paragraph("", "", nodes.strong("", name), nodes.Text(" "), *texts, nodes.Text("."))


def needs(doctree):
    yield "any laptop, and nothing to download"
    for section in doctree.findall(nodes.section):
        if section.next_node(nodes.title).astext() == GPU_SECTION:
            yield "; a GPU only for "
            yield nodes.reference("", GPU_SECTION, internal=True, refid=section["ids"][0])
            yield ", if you like"


def before(app, docname):
    for number, name in enumerate(BEFORE[docname]):
        if number:
            yield " and "
        address = app.builder.get_relative_uri(docname, name)
        yield nodes.reference("", app.env.titles[name].astext(), internal=True, refuri=address)


def head(app, doctree, docname):
    """The box: time and exercises, what is needed, what comes before."""
    run = app.env.nb_metadata.get(docname, {}).get("exec_data") or {}
    box = nodes.container(classes=["chapter-head"])
    box += line("Time", ", ".join(facts(doctree, run.get("runtime"))))
    box += line("Needs", *needs(doctree))
    if docname in BEFORE and app.env.titles.keys() >= set(BEFORE[docname]):  # a book of a few pages lacks some
        box += line("Before", *before(app, docname))
    return box


def place(app, doctree, docname):
    if app.builder.format == "html" and app.env.doc2path(docname).endswith(".ipynb"):
        title = next(doctree.findall(nodes.title))
        title.parent.insert(title.parent.index(title) + 1, head(app, doctree, docname))


def setup(app):
    app.connect("doctree-resolved", place)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}

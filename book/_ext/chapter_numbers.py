"""Number the chapters, by the names of their files, and every page's figures.

A chapter's number stands before its title, and so in the sidebar and wherever the book names it. What difflab.show
draws has its caption in the cell's output; a page's own figure has it in its text.
"""

import itertools
import re

from docutils import nodes

CAPTION = re.compile(r"<figcaption[^>]*>")


def number(docname):
    """The chapter's number, or None for another page."""
    found = re.match(r"notebooks/(\d+)-", docname)
    return int(found[1]) if found else None


def entitle(app, doctree):
    chapter = number(app.env.docname)
    if chapter is not None:
        next(doctree.findall(nodes.title)).insert(0, nodes.Text(f"{chapter}. "))


def number_figures(doctree, prefix):
    """Say "Figure 7.3." before every caption, in the order of the page. prefix: what comes before the number."""
    count = itertools.count(1)
    for node in list(doctree.findall(lambda node: isinstance(node, nodes.caption | nodes.raw))):
        if isinstance(node, nodes.raw) and "<figcaption" in node.astext():
            numbered = CAPTION.sub(lambda tag: f"{tag[0]}<b>Figure {prefix}{next(count)}.</b> ", node.astext())
            node.replace_self(nodes.raw("", numbered, **node.attributes))
        elif isinstance(node.parent, nodes.figure):
            node[:0] = [nodes.strong("", f"Figure {prefix}{next(count)}."), nodes.Text(" ")]


def number_page(app, doctree, docname):
    if app.builder.format == "html":
        number_figures(doctree, f"{number(docname)}." if number(docname) is not None else "")


def setup(app):
    app.connect("doctree-read", entitle, priority=400)  # before the titles are collected
    app.connect("doctree-resolved", number_page)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}

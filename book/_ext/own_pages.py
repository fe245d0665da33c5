"""Chapters link by the address of the project, which works on Colab; the book links to its own page instead."""

import posixpath
import re


def to_own_pages(app, docname, source):
    blob = re.escape(f"{app.config.html_theme_options['repository_url']}/blob/main/")
    folder = posixpath.dirname(docname)
    source[0] = re.sub(
        rf"\]\({blob}((?:notebooks|book)/[\w.-]+\.(?:ipynb|md))",
        lambda match: f"]({posixpath.relpath(match[1], folder)}",
        source[0],
    )


def setup(app):
    app.connect("source-read", to_own_pages)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}

"""Put a copy of MathJax beside the pages, so that equations show without a network.

The copy comes from the npm registry when the book is first built (npm has to be installed) and stays in _build. Where
it cannot be had, the build says so and the pages load MathJax from its usual address instead, as Sphinx's pages do.
"""

import pathlib
import shutil
import subprocess

import npm
from sphinx.util import logging

VERSION = "3.2.2"
ENTRY = "tex-mml-chtml.js"
FONTS = "output/chtml/fonts/woff"
logger = logging.getLogger(__name__)


def wanted(path):
    """What the pages need of MathJax: the entry script, its fonts and its license."""
    name = path.removeprefix("es5/")
    return name if path == "LICENSE" or name == ENTRY or name.startswith(FONTS) else None


def use_copy(app, config):
    """Point the pages at the copy, fetching it first where it is missing."""
    folder = pathlib.Path(app.srcdir, "_build", f"mathjax-{VERSION}")
    if not folder.is_dir():
        try:
            npm.fetch(f"mathjax@{VERSION}", wanted, folder)
        except (OSError, subprocess.SubprocessError) as error:
            logger.info("MathJax: no local copy (%s); equations in these pages need a network", error)
            return
    config.mathjax_path = f"mathjax/{ENTRY}"
    app.connect("build-finished", lambda app, error: error is None and place_copy(app, folder))
    logger.info("MathJax: a copy of version %s goes beside the pages", VERSION)


def place_copy(app, folder):
    if app.builder.format == "html":
        shutil.copytree(folder, pathlib.Path(app.outdir, "_static", "mathjax"), dirs_exist_ok=True)


def setup(app):
    app.connect("config-inited", use_copy)
    return {"version": VERSION, "parallel_read_safe": True, "parallel_write_safe": True}

"""Put a copy of MathJax beside the pages, so that equations show without a network.

The copy comes from the npm registry when the book is first built (npm has to be installed) and stays in _build. Where
it cannot be had, the build says so and the pages load MathJax from its usual address instead, as Sphinx's pages do.
"""

import pathlib
import shutil
import subprocess
import tarfile
import tempfile

from sphinx.util import logging

VERSION = "3.2.2"
ENTRY = "tex-mml-chtml.js"
logger = logging.getLogger(__name__)


def fetch(folder):
    """Fetch what the pages need of MathJax into `folder`: the entry script, its fonts and its license."""
    npm = shutil.which("npm")
    if npm is None:
        raise FileNotFoundError("npm is not installed")
    with tempfile.TemporaryDirectory() as scratch:
        subprocess.run(
            [npm, "pack", "--silent", f"mathjax@{VERSION}"], cwd=scratch, check=True, capture_output=True, timeout=120
        )
        with tarfile.open(next(pathlib.Path(scratch).glob("*.tgz"))) as archive:
            wanted = {"package/LICENSE": "LICENSE", f"package/es5/{ENTRY}": ENTRY}
            for member in archive.getmembers():
                name = wanted.get(member.name)
                if name is None and member.isfile() and member.name.startswith("package/es5/output/chtml/fonts/woff"):
                    name = member.name.removeprefix("package/es5/")
                if name is not None:
                    path = pathlib.Path(scratch, "kept", name)
                    path.parent.mkdir(parents=True, exist_ok=True)
                    path.write_bytes(archive.extractfile(member).read())
        shutil.copytree(pathlib.Path(scratch, "kept"), folder)


def use_copy(app, config):
    """Point the pages at the copy, fetching it first where it is missing."""
    folder = pathlib.Path(app.srcdir, "_build", f"mathjax-{VERSION}")
    if not folder.is_dir():
        try:
            fetch(folder)
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

"""Writing whole or not at all: beside the final place, under another name, and renamed in the end.

Whoever reads meanwhile finds what was there before; a failure or an interruption changes nothing.
"""

import tempfile
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def new_file(path):
    """A path to write to. What is written there takes the place of ``path`` when the block ends without an error."""
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=f".{path.name}-") as scratch:
        new, old = Path(scratch, "new"), Path(scratch, "old")
        yield new
        try:
            if path.is_dir():  # the system renames over files only
                path.rename(old)
            new.replace(path)
        except BaseException:
            if old.exists() and not path.exists():
                old.rename(path)
            raise


@contextmanager
def new_folder(path):
    """An empty folder to fill, which takes the place of the folder ``path`` when the block ends without an error."""
    with new_file(path) as new:
        new.mkdir()
        yield new

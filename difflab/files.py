"""Writing whole or not at all: beside the final place, under another name, and renamed in the end.

Whoever reads meanwhile finds what was there before; a failure, a full disk or an interruption changes nothing. A file
is replaced in one step everywhere. A folder is where the system can let two folders trade places: on Linux, with most
file systems. Elsewhere it takes two renames, and a kill between them leaves the old folder as ``.NAME-*/old`` beside.
"""

import ctypes
import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def new_file(path: str | Path) -> Iterator[Path]:
    """A path to write to, with the same ending. What is written there takes the place of ``path`` when the block ends
    without an error. Raises ValueError at once where no file can be written."""
    path = Path(path)
    check_file(path)
    with beside(path) as new:
        yield new
        new.replace(path)


@contextmanager
def new_folder(path: str | Path) -> Iterator[Path]:
    """An empty folder to fill, which takes the place of the folder ``path`` when the block ends without an error.
    Raises ValueError at once where no folder can be written."""
    path = Path(path)
    check_folder(path)
    with beside(path) as new:
        new.mkdir()
        yield new
        old = new.with_name("old")
        if path.exists() and traded(new, path):
            return
        try:
            if path.exists():  # the system renames over files only
                path.rename(old)
            new.rename(path)
        except BaseException:
            if old.exists() and not path.exists():
                old.rename(path)
            raise


@contextmanager
def beside(path: Path) -> Iterator[Path]:
    """A free name in a folder of its own beside ``path``. The folder is removed in the end, with what is in it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=path.parent, prefix=f".{path.name[:100]}-") as scratch:
        yield Path(scratch, f"new{path.suffix}")


def traded(one: Path, other: Path) -> bool:
    """Whether the system let two paths trade places, in a single step."""
    rename = getattr(ctypes.CDLL(None), "renameat2", None) if sys.platform == "linux" else None
    here, exchange = -100, 2  # AT_FDCWD and RENAME_EXCHANGE
    return rename is not None and rename(here, os.fsencode(one), here, os.fsencode(other), exchange) == 0


def check_file(path: Path) -> None:
    """Raises ValueError, before any work, unless a file can be written there, in place of one or where none is."""
    if path.exists() and not path.is_file():
        raise ValueError(f"{str(path)!r} is there and is no file: give the name of a file to write")
    check_folder(path.parent)


def check_folder(path: Path) -> None:
    """Raises ValueError, before any work, unless there is a folder to write into, or one can be made."""
    here = next(each for each in (path, *path.parents) if each.exists())
    if not here.is_dir():
        raise ValueError(f"{str(here)!r} is there and is no folder: nothing can be written in it")
    if not os.access(here, os.W_OK | os.X_OK):
        raise ValueError(f"nothing may be written in {str(here)!r}: name another folder")

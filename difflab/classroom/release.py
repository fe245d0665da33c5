"""The sheets to hand out: the chapters with their checks locked, a folder of them, and a zip."""

import copy
import zipfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from difflab.files import check_folder, new_file


def sheet(notebook):
    """A chapter's notebook as it is handed out: its checks locked and with checksums, its outputs cleared.

    The steps are those of `nbgrader generate_assignment`, without its database. There is nothing to take out: solutions
    and hidden checks are not in the notebook.
    """
    from nbconvert.exporters.exporter import ResourcesDict
    from nbgrader import preprocessors as nbgrader

    notebook = copy.deepcopy(notebook)
    resources: Any = ResourcesDict()
    for step in (nbgrader.LockCells, nbgrader.ClearOutput, nbgrader.ComputeChecksums, nbgrader.CheckCellMetadata):
        notebook, resources = step().preprocess(notebook, resources)
    return notebook


def release(notebooks: Iterable[Path], out: Path) -> list[Path]:
    """Write every notebook's sheet to OUT/release/CHAPTER/CHAPTER.ipynb, and all of them to OUT/release.zip.

    Equal notebooks give equal bytes. Returns the written paths, the zip last. Each is written whole or not at all.

    Raises ValueError for a notebook that `read_chapter` refuses, and where nothing can be written, before anything is.
    """
    import nbformat

    check_folder(Path(out))
    from difflab.classroom.chapter import read_chapter

    chapters = [read_chapter(path) for path in notebooks]
    if not chapters:
        raise ValueError("no notebooks to release: name at least one")
    texts = {f"{chapter.name}/{chapter.name}.ipynb": nbformat.writes(chapter.notebook) + "\n" for chapter in chapters}
    written = []
    for name, text in sorted(texts.items()):
        path = Path(out) / "release" / name
        with new_file(path) as new:
            new.write_text(text, encoding="utf-8")
        written.append(path)
    archive = Path(out) / "release.zip"
    with new_file(archive) as new, zipfile.ZipFile(new, "w", zipfile.ZIP_DEFLATED) as file:
        for name, text in sorted(texts.items()):
            entry = zipfile.ZipInfo(name)  # its date is 1980's first day, so that the same notebooks give the same zip
            entry.compress_type, entry.external_attr = zipfile.ZIP_DEFLATED, 0o644 << 16
            file.writestr(entry, text)
    return [*written, archive]

"""What was handed in: whose it is, which chapter, the answers in it, and what is wrong with the file."""

import hashlib
import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from difflab.classroom.chapter import Chapter, Exercise

LARGEST = 20_000_000  # bytes of a notebook; a chapter with all its pictures has a fraction of that
MOODLE = re.compile(r"(?P<name>.+)_(?P<id>\d+)_assignsubmission_\w+")
CANVAS = re.compile(r"(?P<name>[^_]+)_(?:LATE_)?(?P<id>\d+)_\d+_.+")


@dataclass
class Submission:
    """One file that a student handed in."""

    path: Path
    folder: str  # the student's own: what feedback for this student is filed under
    student: str
    id: str  # the learning platform's number for the student, if the name of the file or folder tells it
    chapter: Any = None  # a Chapter; None: not readable, or no chapter of these
    answers: dict[str, str] = field(default_factory=dict)  # by exercise; one that is not there was not found
    mended: list[str] = field(default_factory=list)  # what is wrong and does no harm
    broken: list[str] = field(default_factory=list)  # what is wrong and costs points, if nobody looks after it
    remarks: list[str] = field(default_factory=list)  # nothing wrong with the file, and worth a teacher's look
    digest: str = ""  # of the file


def look(folder: Path, chapters: Iterable[Chapter]) -> list[Submission]:
    """Every file handed in under `folder`, read and judged; nothing of it is run.

    folder: a folder for each student with notebooks somewhere inside (so do nbgrader and Moodle), or one notebook for
    each student, named after the student or as Canvas names them. chapters: those that were handed out.

    Raises ValueError if there is no such folder or nothing in it.
    """
    folder, chapters = Path(folder), list(chapters)
    if not folder.is_dir():
        raise ValueError(f"{str(folder)!r} is not a folder: name the one that holds what the students handed in")
    paths = [path for path in sorted(folder.rglob("*")) if _counts(path.relative_to(folder)) and not path.is_dir()]
    found = [_read(path, folder, chapters) for path in paths]
    found += [
        Submission(path, *_whose(path.relative_to(folder) / "nothing"), broken=["the folder is empty"])
        for path in sorted(folder.iterdir())
        if path.is_dir() and _counts(path.relative_to(folder)) and not any(path in other.parents for other in paths)
    ]
    if not found:
        raise ValueError(
            f"there is nothing in {str(folder)!r}: it should hold a folder or a notebook for every student"
        )
    _compare(found)
    return found


def _counts(relative: Path) -> bool:
    """Whether a file is the student's, and not the checkpoint or the cache of an editor or a file manager."""
    return not any(part.startswith((".", "__")) for part in relative.parts)


def _whose(relative: Path) -> tuple[str, str, str]:
    """The student's folder, name and number on the platform, from a path inside the folder of submissions."""
    first = unicodedata.normalize("NFC", relative.parts[0])
    if len(relative.parts) > 1:
        moodle = MOODLE.fullmatch(first)
        return (relative.parts[0], moodle["name"], moodle["id"]) if moodle else (relative.parts[0], first, "")
    canvas = CANVAS.fullmatch(first)
    if canvas:
        return f"{canvas['name']}_{canvas['id']}", canvas["name"], canvas["id"]
    return relative.stem, unicodedata.normalize("NFC", relative.stem), ""


def _read(path: Path, folder: Path, chapters: list[Chapter]) -> Submission:
    submission = Submission(path, *_whose(path.relative_to(folder)))
    notebook = _open(submission)
    if notebook is None:
        return submission
    chapter = _recognize(notebook, path, chapters)
    if chapter is None:
        submission.broken.append(
            f"no exercise of {', '.join(c.name for c in chapters)} is in it: another chapter's, or another file"
        )
        return submission
    submission.chapter = chapter
    if path.stem != chapter.name and not CANVAS.fullmatch(path.name) and path.parent != folder:
        submission.mended.append(f"renamed: it is {chapter.name}, by its exercises")
    for exercise in chapter.exercises:
        _collect(submission, notebook, exercise)
    _compare_checks(submission, notebook)
    return submission


def _open(submission: Submission):
    """The notebook, in today's format; None, and the reason in `broken`, if the file is none."""
    import nbformat
    from nbformat.reader import NotJSONError

    path = submission.path
    if path.is_symlink():
        submission.broken.append("a link to another file, which is not followed")
        return None
    if path.suffix.lower() != ".ipynb":
        submission.broken.append(f"not a notebook, but a file that ends in {path.suffix or 'nothing'}")
        return None
    size = path.stat().st_size
    if size > LARGEST:
        submission.broken.append(f"too large: {size / 1e6:.0f} MB, where {LARGEST / 1e6:.0f} are read")
        return None
    content = path.read_bytes()
    submission.digest = hashlib.sha256(content).hexdigest()
    try:
        raw = nbformat.reader.reads(content.decode("utf-8-sig"))
        form = (raw.get("nbformat", 4), raw.get("nbformat_minor", 0))
        notebook = nbformat.convert(raw, 4)
        cells = [cell for cell in notebook.cells if isinstance(cell.source, str) and "cell_type" in cell]
    except (NotJSONError, UnicodeDecodeError):
        submission.broken.append(
            "not a notebook inside: cut short, or saved as something else" if content else "an empty file"
        )
        return None
    except Exception as error:  # a notebook in name only: what is missing can be anything
        submission.broken.append(f"damaged: not in a notebook's form ({type(error).__name__})")
        return None
    if form < (4, 0):
        submission.mended.append(f"saved in the old format {form[0]}.{form[1]}, and converted")
    notebook.cells = cells
    return notebook


def _grade_id(cell) -> Any:
    mark = cell.metadata.get("nbgrader") if isinstance(cell.get("metadata"), dict) else None
    return mark.get("grade_id") if isinstance(mark, dict) else None


def _defining(exercise: Exercise) -> re.Pattern:
    return re.compile(rf"^(?:async +)?(?:def|class) +(?:{'|'.join(exercise.defines)})\b", re.MULTILINE)


def _recognize(notebook, path: Path, chapters: list[Chapter]) -> Chapter | None:
    """The chapter that most of the notebook's grade ids, else most of its functions, belong to."""
    ids = {_grade_id(cell) for cell in notebook.cells}
    code = "\n".join(cell.source for cell in notebook.cells if cell.cell_type == "code")

    def likeness(chapter):
        marks = sum(name in ids for exercise in chapter.exercises for name in (exercise.name, *exercise.checks))
        functions = sum(bool(_defining(exercise).search(code)) for exercise in chapter.exercises)
        cells = sum(cell.source in chapter.cells for cell in notebook.cells)
        return marks, functions, cells, chapter.name in path.stem

    best = max(chapters, key=likeness)
    return best if any(likeness(best)[:2]) else None


def _collect(submission: Submission, notebook, exercise: Exercise) -> None:
    """Find the answer to one exercise: by its grade id, by its cell's id, by the name of the function it defines."""
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    marked = [cell.source for cell in code if _grade_id(cell) == exercise.name]
    named = [cell.source for cell in code if not _grade_id(cell) and cell.get("id") == exercise.name]
    foreign = submission.chapter.cells - {exercise.stub}
    defining = [
        cell.source
        for cell in code
        if _grade_id(cell) in (None, exercise.name)
        and cell.source not in foreign
        and _defining(exercise).search(cell.source)
    ]
    written = [source for source in defining if source.strip() != exercise.stub.strip()]
    say = submission.mended.append
    if len(marked) > 1:
        say(f"{exercise.name}: {len(marked)} cells have its mark; the last one that was written in counts")
    how = "the id of its cell" if named else "the name of its function"
    if not marked and (named or defining):
        say(f"{exercise.name}: its mark is gone; found by {how}")
    if marked and written and not any(source in written for source in marked):
        say(f"{exercise.name}: the answer stands in a cell of its own")
    choice = written or [*marked, *named] or defining
    if choice:
        submission.answers[exercise.name] = choice[-1]
    else:
        submission.broken.append(f"{exercise.name}: its answer is not in the notebook")


def _compare_checks(submission: Submission, notebook) -> None:
    """Say which check cells are not as they were handed out: they do no harm, for the teacher's own are run."""
    from nbgrader.utils import compute_checksum, is_grade

    handed_out = {_grade_id(cell): cell for cell in submission.chapter.notebook.cells if is_grade(cell)}
    theirs = {_grade_id(cell): cell for cell in notebook.cells if _grade_id(cell) in handed_out}
    missing = [name for name in handed_out if name not in theirs]
    changed = [name for name, cell in theirs.items() if cell.source != handed_out[name].source]
    older = [
        name
        for name, cell in theirs.items()
        if name not in changed and cell.metadata.nbgrader.get("checksum") != compute_checksum(handed_out[name])
    ]
    order = [_grade_id(cell) for cell in notebook.cells if _grade_id(cell) in handed_out]
    if missing:
        submission.mended.append(
            f"check cells without their mark, or deleted: {', '.join(missing)}; the teacher's own are run"
        )
    if changed:
        submission.mended.append(f"check cells changed: {', '.join(changed)}; the teacher's own are run")
    if older:
        submission.mended.append(
            f"checksums differ: {', '.join(older)}; another version was handed out, or marks were edited"
        )
    if len(set(order)) == len(order) and order != [name for name in handed_out if name in theirs]:
        submission.mended.append("cells in another order")


def _compare(submissions: list[Submission]) -> None:
    """Note what shows only when all are seen: the same file twice, and two files of one student for one chapter."""
    first, latest = {}, {}
    for submission in submissions:
        if submission.digest:
            other = first.setdefault(submission.digest, submission)
            stubs = {exercise.stub for exercise in submission.chapter.exercises} if submission.chapter else set()
            if other.folder != submission.folder and set(submission.answers.values()) - stubs:
                submission.remarks.append(f"byte for byte the file of {other.student}")
                other.remarks.append(f"byte for byte the file of {submission.student}")
        if submission.chapter:
            latest.setdefault((submission.folder, submission.chapter.name), []).append(submission)
    for several in latest.values():
        *older, newest = sorted(several, key=lambda submission: (submission.path.stat().st_mtime, submission.path.name))
        for submission in older:
            submission.chapter = None
            submission.broken.append(f"not graded: {newest.path.name} is a later notebook of the same chapter")

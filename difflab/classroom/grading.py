"""A batch of submissions: run, scored, kept, and written down for teacher, student and learning platform."""

import hashlib
import json
import os
import re
import time
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, replace
from pathlib import Path

from difflab.classroom import sandbox, tables
from difflab.classroom.chapter import Chapter, read_chapter
from difflab.classroom.feedback import write_feedback
from difflab.classroom.sandbox import Limits, Outcome
from difflab.classroom.submissions import Submission, look
from difflab.files import new_file, new_folder

GRADED, REPAIRED, TAMPERED, UNREADABLE = "graded", "repaired", "tampered", "not graded"
ODD = re.compile(  # what an answer has no reason to hold: shown to the teacher, and judged by no one else
    r"\b(?:import|from) +(?:os|sys|gc|inspect|ctypes|socket|subprocess|builtins|importlib|threading|multiprocessing)\b"
    r"|\b(?:eval|exec|open|setattr|globals)\(|__\w+__|\bf_back\b|\bexpect_close\b"
    r"|\b(?:torch|F|difflab|exercises)\.[\w.]+ *=(?!=)"
)


def grade(
    folder: Path,
    notebooks: Iterable[Path],
    out: Path,
    *,
    checks: Path | None = None,
    roster: Path | None = None,
    limits: Limits | None = None,
    jobs: int | None = None,
    tell: Callable[[str], None] = lambda line: None,
) -> list[dict]:
    """Grade everything in `folder`, and write OUT/grades.csv, forms of it to import, and OUT/feedback.

    folder: what was handed in, see `look`. notebooks: the chapters, their answers beside them. out: the folder to
    write; what is in it from an earlier run is kept for every file that has not changed since, so that an interrupted
    run goes on. checks: a folder of private checks. roster: the platform's own list of the class, a CSV file exported
    from it. limits: for each submission. jobs: how many run at a time; left out, one a core. tell: called with a line
    for every submission.

    Returns one result for each submission: student, chapter, status, score, points, and the reason for each.

    Raises ValueError before anything is run if the book's own solution does not get full points behind these limits and
    with these checks, and for folders and files that are not there.
    """
    limits = limits or Limits()
    chapters = [read_chapter(path, checks) for path in notebooks]
    if not chapters:
        raise ValueError("no chapters to grade by: name their notebooks")
    rows = tables.read_roster(roster) if roster else []
    submissions = look(folder, chapters)
    used = [chapter for chapter in chapters if any(s.chapter is chapter for s in submissions)]
    out = Path(out)
    kept = out / "results"
    kept.mkdir(parents=True, exist_ok=True)

    def one(submission):
        file = kept / f"{_slug(submission.path.relative_to(folder))}.json"
        seal = _seal(submission, limits)
        result = json.loads(file.read_text(encoding="utf-8")) if file.exists() else {}
        if result.get("seal") != seal:
            try:
                result = _judge(server, submission, limits) | {"seal": seal}
            except Exception as error:  # whatever one submission does to the grader, the batch goes on
                return _unread(submission, f"the grader failed ({type(error).__name__}: {error}): grade again")
            with new_file(file) as new:
                new.write_text(json.dumps(result, indent=1, ensure_ascii=False), encoding="utf-8")
        tell(f"{result['student']}: {result['status']}, {result['score']:g} of {result['points']:g}")
        return result

    with sandbox.ForkServer(used) as server:
        for chapter in used:
            tell(_rehearse(server, chapter, limits))
        with ThreadPoolExecutor(jobs or os.cpu_count()) as pool:
            results = list(pool.map(one, submissions))
    with new_folder(out / "feedback") as feedback:
        for submission, result in zip(submissions, results, strict=True):
            if result["checks"]:
                write_feedback(feedback / submission.folder / f"{submission.chapter.name}.html", submission, result)
    for name in tables.FORMS:
        (out / name).unlink(missing_ok=True)  # an earlier run's, with another class list
    for name, text in tables.write(results, rows, [chapter.name for chapter in used]).items():
        with new_file(out / name) as new:
            new.write_text(text, encoding="utf-8")
    return results


def _slug(relative: Path) -> str:
    """A file name for the result of a submission: readable, and different for different submissions."""
    plain = re.sub(r"[^\w.-]+", "-", relative.with_suffix("").as_posix())[-80:]
    return f"{plain}-{hashlib.sha256(relative.as_posix().encode()).hexdigest()[:8]}"


def _seal(submission: Submission, limits: Limits) -> str:
    """A number for everything that a result depends on: the file, the chapter's checks, the limits, this package."""
    chapter = submission.chapter and (submission.chapter.setup, submission.chapter.exercises)
    package = [path.read_bytes() for path in sorted(Path(__file__).parent.glob("*.py"))]
    parts = [submission.digest, submission.mended, submission.broken, submission.remarks, chapter, asdict(limits)]
    return hashlib.sha256(repr(parts).encode() + b"".join(package)).hexdigest()


def _rehearse(server, chapter: Chapter, limits: Limits) -> str:
    """Run the teacher's own solutions: a sentence on what the fence holds; ValueError if they do not get all points."""
    for exercise in chapter.exercises:
        outcome = sandbox.run_exercise(server, chapter.setup, exercise, exercise.solution, limits)
        for name, why in outcome.failed.items():
            raise ValueError(
                f"{chapter.name}: the book's own solution fails {name}, so the check or the limits are wrong: {why}"
            )
        if outcome.tampered or outcome.tried:
            signs = ", ".join(outcome.tampered + outcome.tried)
            raise ValueError(f"{chapter.name}: {exercise.name}: with the book's own solution: {signs}")
    missing = [what for what, held in outcome.fence.items() if not held]
    if not missing:
        return f"{chapter.name}: the solutions pass; the system fences off memory, files, network and other processes"
    return (
        f"{chapter.name}: the solutions pass; this system does not fence off: {', '.join(missing)}. "
        "Grade on Linux, or in a container without network, what you would not run yourself"
    )


def _unread(submission: Submission, *notes: str) -> dict:
    """The result of a submission of which nothing has been run."""
    chapter = submission.chapter
    return {
        "student": submission.student,
        "folder": submission.folder,
        "id": submission.id,
        "file": submission.path.name,
        "chapter": chapter.name if chapter else "",
        "status": UNREADABLE,
        "score": 0.0,
        "points": sum(exercise.total for exercise in chapter.exercises) if chapter else 0.0,
        "notes": [*notes, *submission.broken, *submission.mended, *submission.remarks],
        "checks": {},
    }


def _judge(server, submission: Submission, limits: Limits) -> dict:
    """The result of one submission, run exercise by exercise."""
    chapter, result = submission.chapter, _unread(submission)
    if not chapter:
        return result
    spent, tampered = 0.0, []
    for exercise in chapter.exercises:
        answer = submission.answers.get(exercise.name)
        outcome, seconds = _attempt(server, chapter.setup, exercise, answer, limits, spent)
        spent += seconds
        tampered += [f"{exercise.name}: {sign}" for sign in outcome.tampered]
        result["notes"] += [f"{exercise.name}: tried, and was refused: {what}" for what in outcome.tried]
        if answer and (odd := sorted({match.group().strip() for match in ODD.finditer(answer)})):
            result["notes"].append(f"{exercise.name}: look at this: {', '.join(odd)}")
        for name, points in exercise.points.items():
            why = outcome.failed.get(name, "")
            result["checks"][name] = {"score": _score(name, points, why), "points": points, "why": why}
    result["score"] = sum(check["score"] for check in result["checks"].values())
    result["status"] = REPAIRED if submission.mended or submission.broken else GRADED
    if tampered:
        result |= {
            "status": TAMPERED,
            "score": 0.0,
            "notes": ["the checks were tampered with: " + "; ".join(tampered), *result["notes"]],
        }
        for check in result["checks"].values():
            check["score"] = 0.0
    return result


def _attempt(server, setup, exercise, answer, limits, spent):
    """The outcome of one answer, and the seconds it took of the submission's time."""
    if answer is None or answer.strip() == exercise.stub.strip():
        why = "no answer was found in the notebook" if answer is None else sandbox.NOT_ANSWERED
        return Outcome(failed=dict.fromkeys(exercise.checks, why)), 0.0
    left = limits.total_seconds - spent
    if left <= 0:
        why = f"not run: the exercises before it took all of the {limits.total_seconds:g} seconds"
        return Outcome(failed=dict.fromkeys(exercise.checks, why)), 0.0
    began = time.monotonic()
    outcome = sandbox.run_exercise(server, setup, exercise, answer, replace(limits, total_seconds=left))
    return outcome, time.monotonic() - began


def _score(name: str, points: float, why: str) -> float:
    """The points of a check cell by nbgrader's own rule: none with an error among its outputs."""
    import nbformat.v4
    from nbgrader.utils import determine_grade

    outputs = [nbformat.v4.new_output("error", ename="AssertionError", evalue=why, traceback=[why])] if why else []
    cell = nbformat.v4.new_code_cell(outputs=outputs)
    cell.metadata["nbgrader"] = {"grade_id": name, "grade": True, "solution": False, "points": points}
    return determine_grade(cell)[0] or 0.0

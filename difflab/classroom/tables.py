"""The grades as CSV: one table for the teacher, and from it the forms that Moodle and Canvas import.

One file cannot serve both platforms: Moodle gives up at a row that is no student of the course, such as Canvas's
"Points Possible", and Canvas takes every column that it does not know for a new assignment.
"""

import csv
import io
import re
import unicodedata
from pathlib import Path
from typing import Any

CANVAS = ["Student", "ID", "SIS User ID", "SIS Login ID", "Section"]
MOODLE = ["Full name", "First name", "Last name", "Username", "ID number", "Email address"]
FORMS = ("grades-moodle.csv", "grades-canvas.csv")


def read_roster(path: Path) -> list[dict[str, str]]:
    """The rows of a class list, or gradebook, that Moodle or Canvas exported as CSV; with it a grade finds its student.

    Raises ValueError if the file has none of the columns by which either knows a student.
    """
    path = Path(path)
    if not path.is_file():
        raise ValueError(f"there is no class list {str(path)!r}")
    rows = list(csv.DictReader(io.StringIO(path.read_text(encoding="utf-8-sig"))))
    known = {"Identifier", *CANVAS, *MOODLE}
    if not rows or not known & set(rows[0]):
        raise ValueError(
            f"{path.name} is no class list: its first line should name columns such as {', '.join(MOODLE)}"
        )
    return [row for row in rows if "Points Possible" not in (row.get("Student") or "")]


def write(results: list[dict], roster: list[dict[str, str]], chapters: list[str]) -> dict[str, str]:
    """The files' texts by name: grades.csv, and of FORMS those of a platform that would know a student by them.

    results: from `grade`. chapters: a column for each. What was not graded has no grade in the forms to import.
    """
    people, unknown = _people(results, roster)
    points = {result["chapter"]: result["points"] for result in results if result["chapter"]}
    absent = {"chapter": "", "status": "nothing handed in", "notes": [], "checks": {}}

    def line(person, r):
        who = [person.get(column, "") for column in (*CANVAS, *MOODLE)]
        numbers = [f"{r['score']:g}", f"{r['points']:g}"] if r["chapter"] else ["", ""]
        failed = [f"{name}: {check['why']}" for name, check in r["checks"].items() if check["why"]]
        return [*who, r["chapter"], *numbers, r["status"], r.get("file", ""), "; ".join([*r["notes"], *failed])]

    everything = [line(person, r) for person, own in people for r in own or [absent]]
    header = [*CANVAS, *MOODLE, "Chapter", "Score", "Points", "Status", "File", "Why"]

    def scores(own):
        given = {r["chapter"]: f"{r['score']:g}" for r in own if r["checks"]}
        return [given.get(chapter, "") for chapter in chapters]

    def columns(names):
        """The chapters' columns: as the platform's own export calls them, where it has them."""
        return [next((name for name in names if chapter in name), chapter) for chapter in chapters]

    theirs = list(roster[0]) if roster else []
    known = [(person, own) for person, own in people if not (roster and person in unknown)]
    named = [
        column
        for column in (["Identifier"] if "Identifier" in theirs else []) + MOODLE
        if any(p.get(column) for p, _ in known)
    ]
    comments = [f"{chapter} feedback" for chapter in chapters]
    moodle = [[*(person.get(c, "") for c in named), *scores(own), *_comments(own, chapters)] for person, own in known]
    canvas = [["    Points Possible", "", "", "", "", *(f"{points.get(chapter, 0):g}" for chapter in chapters)]]
    canvas += [[*(person.get(c, "") for c in CANVAS), *scores(own)] for person, own in known]
    texts = {"grades.csv": _csv([header, *everything])}
    if named:
        texts["grades-moodle.csv"] = _csv([[*named, *columns(theirs), *comments], *moodle])
    if any(person.get(column) for person, _ in known for column in CANVAS):
        texts["grades-canvas.csv"] = _csv([[*CANVAS, *columns(theirs)], *canvas])
    return texts


def _comments(own: list[dict], chapters: list[str]) -> list[str]:
    """A sentence for each chapter: how many checks passed, and where to read on."""
    said = {
        r["chapter"]: f"{sum(not c['why'] for c in r['checks'].values())} of {len(r['checks'])} checks passed"
        for r in own
    }
    return [said.get(chapter, "") for chapter in chapters]


def _people(results, roster):
    """Pairs of a person, as columns, and that person's results; and the persons who are not on the roster."""
    own = {}
    for result in results:
        own.setdefault(result["folder"], []).append(result)
    places = {}
    for number, row in enumerate(roster):
        for key in _keys(row):
            places.setdefault(key, set()).add(number)
    found: dict[Any, list] = {}
    strangers = []
    for mine in own.values():
        student = mine[0]
        matches = next(
            (places[key] for key in (_plain(student["id"]), _plain(student["student"])) if key in places), set()
        )
        if len(matches) == 1:
            (row,) = matches
            found.setdefault(row, []).extend(mine)
        else:
            strangers.append((_stranger(student), mine))
    return [*((row, found.get(number, [])) for number, row in enumerate(roster)), *strangers], [p for p, _ in strangers]


def _keys(row: dict[str, str]) -> set[str]:
    """Everything that a folder or file of this student may be called."""
    values = [
        value
        for column, value in row.items()
        if value and column in {"Identifier", *CANVAS, *MOODLE} and column != "Section"
    ]
    names = [value for column in ("Full name", "Student") if (value := row.get(column))]
    first, last = row.get("First name") or "", row.get("Last name") or row.get("Surname") or ""
    names += [f"{first} {last}", f"{last} {first}"]
    names += [" ".join(reversed(name.split(","))) for name in names if "," in name]
    values += [value.split("@")[0] for value in values if "@" in value]
    values += [value.removeprefix("Participant ") for value in values]
    return {plain for value in [*values, *names] if (plain := _plain(value))}


def _plain(text: str) -> str:
    return re.sub(r"[\W_]+", "", unicodedata.normalize("NFKC", text).casefold())


def _stranger(result: dict) -> dict[str, str]:
    """What a name of a folder tells about a student who is on no list."""
    name = result["student"]
    login = {"Email address": name} if "@" in name else {"Username": name, "SIS Login ID": name}
    return {"Student": name, "ID": result["id"], "Full name": name, **login}


def _csv(rows: list[list[str]]) -> str:
    file = io.StringIO()
    csv.writer(file, lineterminator="\n").writerows(rows)
    return file.getvalue()

"""A class of forty, made up: what they hand in for chapter 2, and a few for other chapters.

`python tests/synthetic_class.py` grades it and writes book/classroom.md, which a test holds against a fresh run.
"""

import contextlib
import io
import json
import re
import runpy
import shutil
import tempfile
from pathlib import Path

import nbformat

from difflab.classroom import grade, read_chapter
from difflab.classroom.sandbox import Limits

ROOT = Path(__file__).resolve().parent.parent
NOTEBOOKS = ROOT / "notebooks"
CHAPTER, OTHERS = "02-text-to-image", ("03-clip", "11-inpainting")
LIMITS = Limits(seconds=6, total_seconds=40, memory=600_000_000)


def planted(chapter: str, name: str, number: int) -> str:
    """The wrong answer of that number to an exercise, from tests/wrong_answers."""
    answers = runpy.run_path(ROOT / "tests" / "wrong_answers" / f"{chapter}.py")["WRONG"]
    return [answer for exercise, _, answer in answers if exercise == name][number]


# Answers that are not merely wrong. Each stands before the right one or in its place

GUIDED = "def guided(eps_nothing, eps_text, guidance_scale):\n"
RIGHT = GUIDED + "    return eps_nothing + guidance_scale * (eps_text - eps_nothing)\n"
WRONG = GUIDED + "    return eps_text\n"

OTHER_WORDS = GUIDED + "    return torch.lerp(eps_nothing, eps_text, guidance_scale)\n"
HELPER = "def away(a, b):\n    return b - a\n\n\n" + GUIDED + (
    "    return eps_nothing + guidance_scale * away(eps_nothing, eps_text)\n"
)  # fmt: skip
ENDLESS = GUIDED + "    while True:\n        pass\n"
ENDLESS_AT_ONCE = "while True:\n    pass\n"
HOG = GUIDED + "    return torch.ones(10**10) * guidance_scale\n"
SLOW_HOG = GUIDED + "    kept = []\n    while True:\n        kept.append(bytearray(10**8))\n"
CHATTY = RIGHT.replace("    return", "    for _ in range(20_000):\n        print('so far so good ' * 50)\n    return")
FILLS_THE_DISK = (
    "with open('big', 'wb') as file:\n    for _ in range(10**6):\n        file.write(bytes(10**6))\n" + RIGHT
)
SYNTAX = GUIDED + "    return eps_nothing + guidance_scale * (eps_text - eps_nothing\n"
EXITS = "import os\n" + GUIDED + "    os._exit(0)\n"
LEAVES = "import sys\n" + GUIDED + "    sys.exit(0)\n"
DELETES = "import shutil\nshutil.rmtree({folder!r})\n" + RIGHT
DIALS_OUT = "import urllib.request\nurllib.request.urlopen('http://203.0.113.1/', timeout=1)\n" + RIGHT
STARTS_OTHERS = "import os\nwhile True:\n    os.fork()\n"
BOASTS = "print('guidance-check: 1/1, guidance-hidden: 1/1')\nprint('{\"failed\": null, \"score\": 100}')\n" + WRONG
READS_THE_KEY = f"key = open({str(NOTEBOOKS / 'answers' / (CHAPTER + '.py'))!r}).read()\n" + WRONG
READS_A_NEIGHBOR = "theirs = open({folder!r} + '/ada/02-text-to-image.ipynb').read()\n" + RIGHT
READS_THE_STACK = "import sys\n\n\n" + GUIDED + (
    "    asked = sys._getframe(1).f_locals\n    return asked.get('text') if guidance_scale else asked.get('nothing')\n"
)  # fmt: skip
READS_A_TRACEBACK = GUIDED + (
    "    try:\n        1 / 0\n    except ZeroDivisionError as error:\n"
    "        return error.__traceback__.tb_frame.f_back.f_locals['text']\n"
)  # fmt: skip
PATCHES_THE_HELPER = (
    "import difflab.exercises\n\n\ndef yes(*_, **__):\n    pass\n\n\n"
    "difflab.exercises.expect_close.__code__ = yes.__code__\n" + WRONG
)
PATCHES_TORCH = (
    "torch.isfinite = lambda x: torch.ones(1, dtype=bool)\ntorch.Tensor.__gt__ = lambda a, b: True\n" + WRONG
)
PATCHES_ERRORS = (
    "import builtins\n\n\nclass Nothing(Exception):\n    def __new__(cls, *_):\n        return Exception()\n\n\n"
    "builtins.AssertionError = Nothing\n" + WRONG
)
SHADOWS = "def expect_close(*_, **__):\n    pass\n\n\n" + WRONG
FORGES = (
    "import json, os, struct\n\nwords = json.dumps({'failed': None, 'token': ''}).encode()\n"
    "for number in range(3, 64):\n    try:\n        os.write(number, struct.pack('!i', len(words)) + words)\n"
    "    except OSError:\n        pass\n" + WRONG
)


def write(folder: Path) -> dict[str, str]:
    """Write what the class hands in under `folder`: what each did, by student."""
    chapters = {name: read_chapter(NOTEBOOKS / f"{name}.ipynb") for name in (CHAPTER, *OTHERS)}
    did = {}

    def solutions(name):
        return {exercise.name: exercise.solution for exercise in chapters[name].exercises}

    def sheet(answers, chapter=CHAPTER):
        """The notebook of a student who gave these answers: text by exercise."""
        notebook = nbformat.from_dict(chapters[chapter].notebook)
        for cell in notebook.cells:
            name = cell.metadata.get("nbgrader", {}).get("grade_id")
            if name in answers:
                cell.source = answers[name].strip("\n")
        return notebook

    def hands_in(student, what, notebook, file=f"{CHAPTER}.ipynb"):
        did[student] = what
        path = folder / student / file
        path.parent.mkdir(parents=True)
        text = notebook if isinstance(notebook, str) else json.dumps(notebook, ensure_ascii=False)
        path.write_text(text, encoding="utf-8")

    right = solutions(CHAPTER)

    def guidance(student, what, answer):
        hands_in(student, what, sheet(right | {"guidance": answer.replace("{folder!r}", repr(str(folder)))}))

    hands_in("ada", "everything right", sheet(right))
    guidance("ben", "right, in other words", OTHER_WORDS)
    guidance("Zoë Müller", "right, and a name with umlauts", RIGHT + "\n# fertig\n")
    hands_in("李雷", "right, and a name in Chinese", sheet(right | {"guidance": HELPER}))
    for number, student in enumerate(("carl", "dora", "emil")):
        guidance(student, f"guidance: planted wrong answer {number + 1}", planted(CHAPTER, "guidance", number))
    for number, student in enumerate(("fay", "gus")):
        what = f"walk: planted wrong answer {number + 1}"
        hands_in(student, what, sheet(right | {"walk": planted(CHAPTER, "walk", number)}))
    what = "to-pixels: planted wrong answer 3, walk left out"
    hands_in("hal", what, sheet({"guidance": RIGHT, "to-pixels": planted(CHAPTER, "to-pixels", 2)}))
    hands_in("ida", "only the first exercise", sheet({"guidance": RIGHT}))
    hands_in("jon", "the sheet as it was handed out", sheet({}))
    guidance("joy", "a comment, and no answer", GUIDED + "    # I do not know\n    ...\n")
    hands_in("kim", "a file with nothing in it", "")
    guidance("leo", "a bracket is missing", SYNTAX)
    guidance("mia", "an endless loop in the function", ENDLESS)
    guidance("ned", "an endless loop outside of any function", ENDLESS_AT_ONCE)
    guidance("oda", "asks for 40 GB at once", HOG)
    guidance("pat", "takes ever more memory", SLOW_HOG)
    guidance("quin", "right, and prints a million words", CHATTY)
    guidance("ron", "fills the disk", FILLS_THE_DISK)

    stripped = sheet(right)
    for cell in stripped.cells:
        cell.metadata = nbformat.NotebookNode()
    hands_in("sue", "right; an editor dropped all metadata", stripped)
    colab = sheet(right)
    for number, cell in enumerate(colab.cells):
        cell.metadata = nbformat.from_dict({"id": f"x{number:011d}"})
        cell["id"] = f"x{number:07d}"
    hands_in("tim", "right; Colab gave every cell a new id", colab)
    final = sheet(right | {"guidance": RIGHT + "\n# final\n"})
    hands_in("uma", "right; the file renamed", final, "homework (final) 2.ipynb")
    old = nbformat.from_dict(sheet(right))
    hands_in("vic", "right; saved in a format of 2012", nbformat.writes(nbformat.convert(old, 3), version=3))
    edited = sheet({"guidance": WRONG})
    for cell in edited.cells:
        if str(cell.metadata.get("nbgrader", {}).get("grade_id")).endswith("-check"):
            cell.source = "print('right')"
    hands_in("wes", "wrong, and the checks edited to say right", edited)
    shuffled = sheet(right)
    cells = shuffled.cells
    cells[:] = [cell for cell in cells if cell.metadata.get("nbgrader", {}).get("grade_id") != "walk-check"]
    cells.append(nbformat.from_dict(next(cell for cell in cells if cell.id == "to-pixels")))
    hands_in("xia", "right; a check deleted, an answer copied", shuffled)

    guidance("yan", "reads the key from the teacher's disk", READS_THE_KEY)
    guidance("zac", "reads a classmate's file", READS_A_NEIGHBOR)
    guidance("abe", "looks for the expected value on the stack", READS_THE_STACK)
    guidance("bea", "the same by way of a traceback", READS_A_TRACEBACK)
    guidance("cal", "gives expect_close another body", PATCHES_THE_HELPER)
    guidance("dan", "puts other functions into torch", PATCHES_TORCH)
    guidance("eva", "replaces AssertionError", PATCHES_ERRORS)
    guidance("flo", "defines an expect_close of their own", SHADOWS)
    guidance("gil", "writes a result to the grader's pipe", FORGES)
    guidance("hue", "ends the process with os._exit", EXITS)
    guidance("ivy", "deletes the folder of submissions", DELETES)
    guidance("jay", "opens a network connection", DIALS_OUT)
    guidance("kai", "forks without end", STARTS_OTHERS)
    guidance("lou", "prints a score", BOASTS)
    shutil.copytree(folder / "ben", folder / "max")
    did["max"] = "the very file of ben"

    assert len(did) == 41 + 1, len(did)  # max comes with ben
    clip = {"pair-loss": planted("03-clip", "pair-loss", 0)}
    sheet_3 = sheet(solutions("03-clip") | clip, "03-clip")
    hands_in("nia", "chapter 3, one planted wrong answer", sheet_3, "03-clip.ipynb")
    name = "11-inpainting"
    hands_in("oto", "chapter 11 under the name of chapter 2", sheet(solutions(name), name))
    other = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("x = 1")])
    hands_in("pia", "a notebook of another course", other)
    hands_in("rex", "a picture of the screen", "PNG", "screen.png")
    return did


def chapters() -> list[Path]:
    """The notebooks that this class was given."""
    return [NOTEBOOKS / f"{name}.ipynb" for name in (CHAPTER, *OTHERS)]


# The two pages of the teacher's guide that are made by a run

CLASS_PAGE, MISTAKES_PAGE = ROOT / "book" / "classroom.md", ROOT / "book" / "mistakes.md"

CLASS_HEAD = """# A class of forty, graded

What forty made-up students and a few stragglers hand in, honest and otherwise, and what each of them scored. The table
is written by a run of the grader (`python tests/synthetic_class.py`), and a test holds it against a fresh one. A full
score in chapter 2 is {points} points; the students who cheat or crash do so in its first exercise, which is worth
{first}, and have the others right, so that one can see that nothing else is lost with it.

*Repaired* means that something was wrong with the file and nothing is lost by it; *tampered*, that nothing counts until
the teacher has looked; *not graded*, that there is nothing to grade, and the student should be asked. What the words of
the last column mean is told in the [teacher's guide](teach.md).

| student | hands in | score | status | why |
|---|---|---|---|---|
"""

MISTAKES_HEAD = """# Wrong answers, and what the checks say

The mistakes that the checks of every exercise are known to reject, collected from published tutorials, from other
people's code, and from what one writes at night. In the middle stands what an answer has and the right one has not; on
the right, the first thing that the checks say to it. The table is written by a run of the checks (`python
tests/synthetic_class.py`), and a test holds it against a fresh one. What such a mistake reveals, and what to say to a
student who makes it, is in the [teacher's guide](teach.md).
"""


def class_page(results: list[dict], did: dict[str, str], folder: Path) -> str:
    """The text of book/classroom.md."""
    rows = []
    for r in sorted(results, key=lambda r: list(did).index(r["folder"])):
        said = {}
        for name, check in r["checks"].items():
            if check["why"]:
                said.setdefault(re.sub("-(?:check|hidden)$", "", name), check["why"])
        why = "; ".join([*r["notes"], *(f"{name}: {words}" for name, words in said.items())])
        why = why.replace(f"{folder}/", "").replace(f"'{folder}'", "the folder").replace(f"{ROOT}/", "")
        score = f"{r['score']:g} of {r['points']:g}" if r["checks"] else "none"
        rows.append([r["student"], did[r["folder"]], score, r["status"], why])
    points = next(r["points"] for r in results if r["chapter"] == CHAPTER)
    first = sum(read_chapter(chapters()[0]).exercises[0].points.values())
    return CLASS_HEAD.format(points=f"{points:g}", first=f"{first:g}") + _table(rows)


def mistakes_page() -> str:
    """The text of book/mistakes.md."""
    parts = [MISTAKES_HEAD]
    for path in sorted(NOTEBOOKS.glob("*.ipynb")):
        chapter = read_chapter(path)
        title = next(cell.source for cell in chapter.notebook.cells if cell.cell_type == "markdown").splitlines()[0]
        parts += [f"\n## {title.lstrip('# ')}\n\n| exercise | the mistake | what the check says |\n|---|---|---|\n"]
        rows = []
        for exercise in chapter.exercises:
            right = {line.strip() for line in exercise.solution.splitlines()}
            for answer in exercise.wrong:
                odd = [line.strip() for line in answer.strip().splitlines() if line.strip() not in right] or [
                    "(a line is missing)"
                ]
                code = " ".join(f"`{line}`" for line in odd[:3])
                rows.append([exercise.name, code, rejection(chapter.setup, exercise, answer)])
        parts += [_table(rows)]
    return "".join(parts)


def rejection(setup: str, exercise, answer: str) -> str:
    """What an exercise's checks say to a wrong answer."""
    space = {"__name__": "exercise"}
    exec(setup, space)
    exec(answer, space)
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            for check in exercise.checks.values():
                exec(check, space)
    except AssertionError as error:
        return str(error)
    raise ValueError(f"{exercise.name}: a planted wrong answer passes")


def _table(rows: list[list[str]]) -> str:
    def cell(text):
        text = re.sub(r" \(largest difference: .*?\)", "", text)
        outside = re.split(r"(`[^`]*`)", text.replace("|", "\\|").replace("\n", " "))
        return "".join(p if p.startswith("`") else re.sub(r"([*_<>$])", r"\\\1", p) for p in outside)

    return "".join("| " + " | ".join(map(cell, row)) + " |\n" for row in rows)


def run(place: Path) -> tuple[list[dict], dict[str, str]]:
    """Let the class hand in under PLACE/handed-in, and grade it into PLACE/out."""
    did = write(place / "handed-in")
    return grade(place / "handed-in", chapters(), place / "out", limits=LIMITS), did


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as place:
        CLASS_PAGE.write_text(class_page(*run(Path(place)), Path(place) / "handed-in"), encoding="utf-8")
    MISTAKES_PAGE.write_text(mistakes_page(), encoding="utf-8")

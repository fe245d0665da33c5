"""The classroom: sheets that give nothing away, and a grader that a class cannot break, cheat or stop."""

import csv
import io
import json
import re
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import nbformat
import pytest
import synthetic_class
from typer.testing import CliRunner

from difflab import cli
from difflab.classroom import fence, grade, grading, look, private_template, read_chapter, release, sandbox
from difflab.classroom.chapter import answers_of
from difflab.classroom.sandbox import Limits

ROOT = Path(__file__).resolve().parent.parent
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
SECOND = ROOT / "notebooks" / "02-text-to-image.ipynb"


@pytest.fixture(scope="module")
def chapters():
    return {path.stem: read_chapter(path) for path in NOTEBOOKS}


def lines_of(source):
    return {line.strip() for line in source.splitlines() if len(line.strip()) > 20}


# The sheets


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_a_sheet_is_the_notebook_with_its_checks_locked(path, chapters):
    sheet = chapters[path.stem].notebook
    assert [cell.source for cell in sheet.cells] == [cell.source for cell in nbformat.read(path, as_version=4).cells]
    marks = [cell.metadata.nbgrader for cell in sheet.cells if "nbgrader" in cell.metadata]
    assert not [mark.grade_id for mark in marks if mark.grade_id.endswith("-hidden")]
    code = [cell for cell in sheet.cells if cell.cell_type == "code"]
    assert all(cell.outputs == [] and cell.execution_count is None for cell in code)
    nbformat.validate(sheet)
    assert code[0].source.strip() == (ROOT / "book" / "colab_cell.py").read_text(encoding="utf-8").strip()
    allowed = {"tags", "nbgrader", "deletable", "editable"}
    assert not {key for cell in sheet.cells for key in cell.metadata} - allowed


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_an_unmodified_sheet_fails_every_check(path, chapters):
    chapter = chapters[path.stem]
    for exercise in chapter.exercises:
        space = sandbox._space(chapter.setup)
        assert sandbox._run(exercise.stub, space, fence.ANSWER) is None
        for name, check in exercise.checks.items():
            wrong = sandbox._run(check, space, sandbox.CHECK)
            assert wrong, f"{name} lets the empty sheet pass"
        assert (
            sandbox._run(exercise.checks[f"{exercise.name}-check"], space, sandbox.CHECK)["says"] == "not answered yet"
        )


@pytest.mark.slow
def test_every_solution_passes_behind_the_fence(chapters):
    """With all points, with no sign of tampering, and with nothing refused that it needs."""
    with sandbox.ForkServer(chapters.values()) as server:
        for chapter in chapters.values():
            assert grading._rehearse(server, chapter, Limits()).startswith(f"{chapter.name}: the solutions pass")


def test_the_release_is_the_same_every_time(tmp_path):
    first, second = (release([SECOND], tmp_path / name) for name in ("a", "b"))
    assert [path.name for path in first] == ["02-text-to-image.ipynb", "release.zip"]
    assert [path.read_bytes() for path in first] == [path.read_bytes() for path in second]
    (name,) = zipfile.ZipFile(first[-1]).namelist()
    assert name == "02-text-to-image/02-text-to-image.ipynb"
    marks = [c.metadata.nbgrader for c in nbformat.read(first[0], as_version=4).cells if "nbgrader" in c.metadata]
    assert len(marks) == 6 and all(mark.checksum for mark in marks)


def test_a_notebook_without_exercises_is_refused(tmp_path):
    nbformat.write(nbformat.v4.new_notebook(), tmp_path / "empty.ipynb")
    with pytest.raises(ValueError, match="has no exercises"):
        release([tmp_path / "empty.ipynb"], tmp_path / "out")


def test_what_does_not_fit_its_answers_is_refused(tmp_path):
    quiz, answers = tmp_path / "quiz.ipynb", tmp_path / "answers" / "quiz.py"
    shutil.copy(SECOND, quiz)
    with pytest.raises(ValueError, match="quiz.ipynb has no answers: .*answers.quiz.py should hold them"):
        read_chapter(quiz)
    answers.parent.mkdir()
    text = answers_of(SECOND).read_text(encoding="utf-8")
    answers.write_text(text)
    assert read_chapter(quiz).exercises[0].points == {"guidance-check": 1, "guidance-hidden": 1}
    answers.write_text(text.replace("# %% guidance-hidden", "# %% guidance-hidden points=4"))
    assert read_chapter(quiz).exercises[0].points == {"guidance-check": 1, "guidance-hidden": 4}
    answers.write_text(text.replace("# %% walk-hidden", "# %% talk-hidden"))
    with pytest.raises(ValueError, match="has sections for .*, talk-hidden, .*; quiz.ipynb asks for .*, walk-hidden"):
        read_chapter(quiz)


@pytest.mark.parametrize("mark", ["SOLUTION", "HIDDEN TESTS", "MARK SCHEME"])
def test_a_notebook_that_holds_a_secret_is_not_handed_out(tmp_path, mark):
    notebook = nbformat.read(SECOND, as_version=4)
    notebook.cells.append(nbformat.v4.new_code_cell(f"x = 1\n### BEGIN {mark}"))
    nbformat.write(notebook, tmp_path / "quiz.ipynb")
    with pytest.raises(ValueError, match=r"in the cell that begins 'x = 1': move it to .*answers.quiz.py"):
        release([tmp_path / "quiz.ipynb"], tmp_path / "out")
    assert not (tmp_path / "out").exists()


def test_a_disk_that_is_full_leaves_the_old_sheets(tmp_path, full_disk):
    first = release([SECOND], tmp_path)
    before = [path.read_bytes() for path in first]
    with full_disk(1000), pytest.raises(OSError):
        release([SECOND], tmp_path)
    assert [path.read_bytes() for path in first] == before
    assert not list(tmp_path.rglob(".*"))
    (tmp_path / "file").touch()
    with pytest.raises(ValueError, match="is there and is no folder"):
        release([SECOND], tmp_path / "file")
    assert not (tmp_path / "out").exists()


# The class of forty


@pytest.fixture(scope="module")
def graded(tmp_path_factory):
    """The synthetic class, graded once: where, the results by student, and what each had done."""
    place = tmp_path_factory.mktemp("class")
    (place / "scratch").mkdir()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("tempfile.tempdir", str(place / "scratch"))
        results, did = synthetic_class.run(place)
    return place, {result["folder"]: result for result in results}, did


@pytest.mark.slow
def test_the_table_of_the_guide_is_what_a_run_gives(graded):
    place, results, did = graded
    page = synthetic_class.class_page(list(results.values()), did, place / "handed-in")
    stored = synthetic_class.CLASS_PAGE.read_text(encoding="utf-8")
    assert page == stored, "the grader says something else now: python tests/synthetic_class.py writes the page again"


@pytest.mark.slow
def test_what_the_class_scores(graded):
    _, results, did = graded
    assert len(did) >= 44 and set(results) == set(did)
    full = {"ada", "ben", "Zoë Müller", "李雷", "quin", "sue", "tim", "uma", "vic", "xia", "max", "oto"}
    assert {name for name, r in results.items() if r["checks"] and r["score"] == r["points"]} == full
    tampered = {name for name, r in results.items() if r["status"] == grading.TAMPERED}
    assert tampered == {"cal", "dan", "eva", "gil"} and not any(results[name]["score"] for name in tampered)
    assert {name for name, r in results.items() if r["status"] == grading.UNREADABLE} == {"kim", "pia", "rex"}
    for name in (
        "joy",
        "leo",
        "mia",
        "ned",
        "oda",
        "pat",
        "hue",
        "ivy",
        "jay",
        "kai",
        "lou",
        "yan",
        "zac",
        "abe",
        "bea",
        "flo",
    ):
        assert results[name]["score"] == 6, f"{name}: the exercise is lost, and nothing else"
    for name in ("yan", "zac", "abe", "bea", "ivy", "jay", "kai"):
        assert any("was refused" in note for note in results[name]["notes"]), f"{name}: the teacher is not told"


@pytest.mark.slow
def test_nothing_is_harmed_by_the_class(graded):
    place, _, did = graded
    assert {path.name for path in (place / "handed-in").iterdir()} == set(did)
    assert look(place / "handed-in", [read_chapter(SECOND)])
    assert not list((place / "scratch").iterdir()), "an exercise's scratch folder was left behind"


@pytest.mark.slow
def test_feedback_shows_what_is_wrong_and_no_check(graded, chapters):
    place, results, _ = graded
    pages = {
        path.parent.name: path.read_text(encoding="utf-8") for path in (place / "out" / "feedback").rglob("*.html")
    }
    assert set(pages) == {name for name, result in results.items() if result["checks"]}
    strip = re.compile(r"<[^>]+>")
    for name, page in pages.items():
        text = strip.sub("", page)
        exercises = chapters[results[name]["chapter"]].exercises
        asked = "\n".join(exercise.solution + exercise.stub for exercise in exercises)
        asked += "\n".join(
            c.source for c in chapters[results[name]["chapter"]].notebook.cells if c.cell_type == "markdown"
        )
        for source in (source for exercise in exercises for source in exercise.checks.values()):
            for line in lines_of(source) - lines_of(asked):
                assert line not in text and line.replace('"', "&quot;") not in text, f"{name}: {line}"
    assert "a small scale moves away from the text" in pages["carl"]
    assert "not answered yet" in pages["jon"] and "(Score: 0.0 / 8.0)" in pages["jon"]
    assert pages["joy"].count("not answered yet") == 2, "an answer that is still empty fails both checks"
    assert "interfered with" in pages["cal"] and "byte for byte" not in pages["max"]


@pytest.mark.slow
def test_the_forms_to_import(graded):
    place, results, did = graded
    tables = {path.name: list(csv.reader(io.StringIO(path.read_text()))) for path in (place / "out").glob("*.csv")}
    header, points, *rows = tables["grades-canvas.csv"]
    assert header[:5] == ["Student", "ID", "SIS User ID", "SIS Login ID", "Section"]
    assert header[5:] == ["02-text-to-image", "03-clip", "11-inpainting"]
    assert points[0].strip() == "Points Possible" and points[5:] == ["8", "8", "11"]
    by_name = {row[0]: row[5:] for row in rows}
    assert by_name["ada"] == ["8", "", ""] and by_name["oto"] == ["", "", "11"] and by_name["kim"] == ["", "", ""]
    header, *rows = tables["grades-moodle.csv"]
    assert "Username" in header and "02-text-to-image" in header and len(rows) == len(did)
    header, *rows = tables["grades.csv"]
    assert header[-6:] == ["Chapter", "Score", "Points", "Status", "File", "Why"] and len(rows) == len(results)


@pytest.mark.slow
def test_a_second_run_keeps_what_has_not_changed(graded, tmp_path, monkeypatch):
    place, results, _ = graded
    shutil.copytree(place / "handed-in", tmp_path / "handed-in")
    shutil.copytree(place / "out", tmp_path / "out")
    shutil.rmtree(tmp_path / "handed-in" / "jon")
    hand_in(tmp_path / "handed-in" / "jon", read_chapter(SECOND), {"guidance": synthetic_class.OTHER_WORDS})
    judged = []
    real = grading._judge
    monkeypatch.setattr(
        grading, "_judge", lambda server, s, limits: judged.append(s.student) or real(server, s, limits)
    )
    again = grade(tmp_path / "handed-in", synthetic_class.chapters(), tmp_path / "out", limits=synthetic_class.LIMITS)
    assert judged == ["jon"]
    assert {r["folder"]: r["score"] for r in again} == {n: r["score"] for n, r in results.items()} | {"jon": 2}


def test_an_interrupted_run_goes_on(tmp_path, monkeypatch):
    synthetic = tmp_path / "handed-in"
    chapter = read_chapter(SECOND)
    for name in ("ann", "bob", "cem"):
        hand_in(synthetic / name, chapter, {"guidance": synthetic_class.RIGHT + f"# {name}\n"})
    seen = []

    def stop(line):
        seen.append(line)
        if line.startswith("bob"):
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        grade(synthetic, [SECOND], tmp_path / "out", jobs=1, tell=stop)
    assert not (tmp_path / "out" / "grades.csv").exists()
    judged = []
    real = grading._judge
    monkeypatch.setattr(
        grading, "_judge", lambda server, s, limits: judged.append(s.student) or real(server, s, limits)
    )
    assert [r["score"] for r in grade(synthetic, [SECOND], tmp_path / "out", jobs=1)] == [2, 2, 2]
    assert "ann" not in judged and (tmp_path / "out" / "grades.csv").exists()


def hand_in(folder, chapter, answers, file="sheet.ipynb"):
    """Write a student's notebook with these answers."""
    notebook = nbformat.from_dict(chapter.notebook)
    for cell in notebook.cells:
        name = cell.metadata.get("nbgrader", {}).get("grade_id")
        cell.source = answers.get(name, cell.source)
    folder.mkdir(parents=True)
    nbformat.write(notebook, folder / file)


# The fence, without the hook that would refuse most of it earlier

ATTEMPTS = """
import json, os, pathlib, signal, socket, sys, tempfile
from difflab.classroom.fence import raise_fence
secret, teacher = sys.argv[1], int(sys.argv[2])
scratch = pathlib.Path(tempfile.mkdtemp())
number = os.fork()  # so that it can lead a group of its own
if number:
    os.waitpid(number, 0)
    scratch.rmdir()
    sys.exit()
granted = raise_fence(scratch, 300_000_000, 60)
def works(attempt):
    try:
        attempt()
    except BaseException as error:
        return False
    return True
def dial():
    with socket.socket() as s:
        s.settimeout(2)
        s.connect(("127.0.0.1", int(sys.argv[3])))
def send():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as s:
        s.sendto(b"x", ("192.0.2.1", 9))
done = {
    "reads": works(lambda: open(secret).read()),
    "writes": works(lambda: open(secret, "a")),
    "lists": works(lambda: os.listdir(os.path.dirname(secret))),
    "scratch": works(lambda: (scratch / "x").write_text("x")) and works(lambda: (scratch / "x").unlink()),
    "kills": works(lambda: os.kill(teacher, 0)),
    "dials": works(dial),
    "sends": works(send),
    "hoards": works(lambda: bytearray(10**9)),
    "imports": works(lambda: __import__("torch")),
}
print(json.dumps([granted, done]), flush=True)
os._exit(0)
"""


def test_the_system_itself_holds_the_fence(tmp_path):
    """What the kernel does without Python's help; what it does not grant, it says, and is not asked for here."""
    import socket

    secret = tmp_path / "hidden.py"
    secret.write_text("the answer")
    with socket.create_server(("127.0.0.1", 0)) as server, subprocess.Popen(["sleep", "100"]) as teacher:
        arguments = [str(secret), str(teacher.pid), str(server.getsockname()[1])]
        command = [sys.executable, "-c", ATTEMPTS, *arguments]
        output = subprocess.run(command, capture_output=True, text=True, timeout=100)
        teacher.kill()
    assert output.returncode == 0, output.stderr
    granted, done = json.loads(output.stdout)
    assert set(granted) == {"processes", "network", "memory", "files"}
    assert done["scratch"]
    if sys.platform == "linux":
        assert granted["memory"]
    if granted["memory"]:
        assert not done["hoards"]
    if granted["files"]:
        assert not done["reads"] and not done["writes"] and not done["lists"] and secret.read_text() == "the answer"
    if granted["network"]:
        assert not done["dials"] and not done["sends"]
    if granted["processes"]:
        assert not done["kills"]
    missing = [name for name, held in granted.items() if not held]
    if missing:
        pytest.skip(f"this system does not fence off {', '.join(missing)}, so that is not tested here")


# Files that are damaged, and names that platforms give


def test_verify_says_what_is_wrong_and_whether_it_matters(tmp_path, monkeypatch):
    monkeypatch.chdir(ROOT)
    chapter = read_chapter(SECOND)
    hand_in(tmp_path / "ann", chapter, {"guidance": synthetic_class.RIGHT})
    (tmp_path / "ann" / "sheet.ipynb").rename(tmp_path / "ann" / SECOND.name)
    hand_in(tmp_path / "bob", chapter, {"guidance-check": "print('right')"})
    (tmp_path / "cem").mkdir()
    (tmp_path / "cem" / SECOND.name).write_text('{"cells": [')
    (tmp_path / "dot").mkdir()
    result = CliRunner().invoke(cli.app, ["classroom", "verify", str(tmp_path), "--notebook", str(SECOND)])
    assert result.exit_code == 1
    said = re.sub(r"\s+", " ", result.output)
    assert "ok ann: 02-text-to-image.ipynb: 02-text-to-image ok bob:" in said
    assert "check cells changed: guidance-check; the teacher's own are run (repaired in grading)" in said
    assert "BAD cem" in said and "cut short" in said and "BAD dot" in said and "4 files, 2 to look after" in said


def test_a_deleted_answer_costs_only_itself(tmp_path):
    chapter = read_chapter(SECOND)
    notebook = nbformat.from_dict(chapter.notebook)
    notebook.cells = [c for c in notebook.cells if c.metadata.get("nbgrader", {}).get("grade_id") != "walk"]
    (tmp_path / "ann").mkdir()
    nbformat.write(notebook, tmp_path / "ann" / "x.ipynb")
    (submission,) = look(tmp_path, [chapter])
    assert submission.broken == ["walk: its answer is not in the notebook"]
    assert set(submission.answers) == {"guidance", "to-pixels"}


@pytest.mark.parametrize(
    "content",
    ["[]", "{}", '{"cells": 3}', '{"nbformat": 4, "cells": [{"cell_type": "code", "source": 7}]}', "\0", "{" * 9999],
)
def test_whatever_a_file_holds_it_is_only_reported(tmp_path, content):
    (tmp_path / "ann").mkdir()
    (tmp_path / "ann" / SECOND.name).write_text(content)
    (submission,) = look(tmp_path, [read_chapter(SECOND)])
    assert submission.chapter is None and submission.broken


def test_too_large_and_links_are_not_read(tmp_path, monkeypatch):
    monkeypatch.setattr("difflab.classroom.submissions.LARGEST", 10)
    (tmp_path / "ann").mkdir()
    (tmp_path / "ann" / "big.ipynb").write_text("x" * 11)
    (tmp_path / "ann" / "link.ipynb").symlink_to(SECOND)
    big, link = look(tmp_path, [read_chapter(SECOND)])
    assert "too large" in big.broken[0] and "a link" in link.broken[0]


@pytest.mark.parametrize(
    "name, student, number",
    [
        ("Ann Lee_1234567_assignsubmission_file_/02-text-to-image.ipynb", "Ann Lee", "1234567"),
        ("leeann_4711_99887_02-text-to-image.ipynb", "leeann", "4711"),
        ("leeann_LATE_4711_99887_02-text-to-image-1.ipynb", "leeann", "4711"),
        ("ann@example.org/02-text-to-image.ipynb", "ann@example.org", ""),
        ("ann/02-text-to-image/02-text-to-image.ipynb", "ann", ""),
        ("ann.ipynb", "ann", ""),
    ],
)
def test_whose_a_file_is(tmp_path, name, student, number):
    path = tmp_path / name
    path.parent.mkdir(parents=True, exist_ok=True)
    nbformat.write(read_chapter(SECOND).notebook, path)
    (path.parent / ".ipynb_checkpoints").mkdir()
    shutil.copy(path, path.parent / ".ipynb_checkpoints")
    (submission,) = look(tmp_path, [read_chapter(SECOND)])
    assert (submission.student, submission.id) == (student, number)
    assert submission.chapter.name == "02-text-to-image" and not submission.mended


def test_the_class_list_of_a_platform(tmp_path):
    from difflab.classroom import tables

    result = {"folder": "f", "id": "", "chapter": "02-x", "score": 3.0, "points": 8.0, "status": "graded", "notes": []}
    result |= {"checks": {"a": {"why": "", "score": 3, "points": 3}}, "file": "x.ipynb"}
    results = [
        result | {"student": "Ann Lee", "folder": "Ann Lee_12_assignsubmission_file_", "id": "12"},
        result | {"student": "kimjo", "folder": "kimjo_13", "score": 5.0},
        result | {"student": "nobody", "folder": "nobody"},
    ]
    roster = tmp_path / "class.csv"
    roster.write_text(
        "\ufeffStudent,ID,SIS User ID,SIS Login ID,Section,02-x (777)\n    Points Possible,,,,,8\n"
        '"Lee, Ann",12,u1,alee,A,\n"Jo, Kim",14,u2,kimjo,A,\n"Ray, Max",15,u3,mray,A,\n'
    )
    texts = tables.write(results, tables.read_roster(roster), ["02-x"])
    canvas = list(csv.reader(io.StringIO(texts["grades-canvas.csv"])))
    assert canvas[0] == ["Student", "ID", "SIS User ID", "SIS Login ID", "Section", "02-x (777)"]
    assert [row[1:4] + row[5:] for row in canvas[2:]] == [["12", "u1", "alee", "3"], ["14", "u2", "kimjo", "5"],
                                                          ["15", "u3", "mray", ""]]  # fmt: skip
    assert "nothing handed in" in texts["grades.csv"] and "nobody" in texts["grades.csv"]
    assert "grades-moodle.csv" not in texts, "Moodle would find nobody in it"
    roster.write_text(
        "Identifier,Full name,Email address,Status,Grade\nParticipant 12,Ann Lee,ann@x.org,Submitted,\n"
        "Participant 99,Kim Jo,kimjo@x.org,Submitted,\n"
    )
    texts = tables.write(results, tables.read_roster(roster), ["02-x"])
    moodle = list(csv.DictReader(io.StringIO(texts["grades-moodle.csv"])))
    assert [(row["Email address"], row["02-x"]) for row in moodle] == [("ann@x.org", "3"), ("kimjo@x.org", "5")]
    assert "grades-canvas.csv" not in texts, "Canvas would find nobody in it"
    roster.write_text("a,b\n1,2\n")
    with pytest.raises(ValueError, match="is no class list"):
        tables.read_roster(roster)


# Private checks


def test_private_checks_take_the_place_of_the_books(tmp_path):
    chapter = read_chapter(SECOND)
    hand_in(tmp_path / "handed-in" / "ann", chapter, {"guidance": synthetic_class.RIGHT})
    mine = tmp_path / "private"
    mine.mkdir()
    file = mine / "02-text-to-image.py"
    file.write_text(private_template(chapter))
    assert read_chapter(SECOND, mine).exercises == chapter.exercises  # the template asks what the book asks

    def run():
        (result,) = grade(
            tmp_path / "handed-in", [SECOND], tmp_path / "out", checks=mine, limits=Limits(total_seconds=60)
        )
        return result

    assert run()["score"] == 2
    file.write_text("# %% guidance-hidden points=5\nassert guided(1.0, 2.0, 4.0) == 5.0, 'a scale of four'\n")
    assert run()["checks"]["guidance-hidden"] == {"score": 5, "points": 5, "why": ""}  # graded again, by itself
    file.write_text("# %% guidance-hidden\nassert guided(1.0, 2.0, 4.0) == 6.0, 'a scale of four'\n")
    with pytest.raises(ValueError, match="own solution fails guidance-hidden.*a scale of four"):
        run()
    file.write_text("# %% guidence-hidden\n")
    with pytest.raises(ValueError, match="name guidence-hidden"):
        run()
    file.unlink()
    with pytest.raises(ValueError, match="difflab classroom private"):
        run()


def test_the_command_writes_a_template_once(tmp_path):
    command = ["classroom", "private", str(SECOND), "--out", str(tmp_path)]
    assert CliRunner().invoke(cli.app, command).exit_code == 0
    assert "# %% walk-hidden points=1" in (tmp_path / "02-text-to-image.py").read_text()
    again = CliRunner().invoke(cli.app, command)
    assert again.exit_code == 1 and "not overwritten" in again.output


# The commands, the guide


def test_bad_input_is_one_line(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    for arguments, words in {
        ("verify", "nowhere", "--notebook", str(SECOND)): "is not a folder",
        ("verify", "empty", "--notebook", str(SECOND)): "there is nothing in",
        ("verify", "empty"): "no folder notebooks here",
        ("grade", "empty", "--seconds", "nan"): "--seconds=nan must be a number above 0",
        ("release", "nothing.ipynb"): "there is no chapter",
    }.items():
        result = CliRunner().invoke(cli.app, ["classroom", *arguments])
        assert result.exit_code == 1 and words in result.output and len(result.output.splitlines()) == 1
    assert list(tmp_path.iterdir()) == [tmp_path / "empty"]


def test_without_nbgrader_it_says_what_to_install(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    result = CliRunner().invoke(cli.app, ["classroom", "verify", "x"])
    assert result.exit_code == 1 and 'pip install "difflab[teach]"' in result.output


def test_the_package_does_not_import_nbgrader():
    code = "import sys, difflab, difflab.cli, difflab.classroom; print({'nbgrader', 'nbconvert'} & set(sys.modules))"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout.strip() == "set()"


def test_the_page_of_mistakes_is_what_the_checks_say():
    def words(text):  # a figure in a message may be another on another machine
        return re.sub(r"[\d.,]+", "#", text)

    stored = synthetic_class.MISTAKES_PAGE.read_text(encoding="utf-8")
    assert words(synthetic_class.mistakes_page()) == words(stored), "python tests/synthetic_class.py writes it again"


def test_the_guide_names_what_there_is(chapters):
    guide = (ROOT / "book" / "teach.md").read_text(encoding="utf-8")
    for name in chapters:
        assert f"../notebooks/{name}.ipynb" in guide, f"the guide does not know {name}"
    exercises = {exercise.name for chapter in chapters.values() for exercise in chapter.exercises}
    section = guide.split("## Common wrong answers")[1].split("\n## ")[0]
    named = set(re.findall(r"\*([a-z0-9-]+)\*", section))
    assert named and not named - exercises
    commands = set(re.findall(r"difflab classroom (\w+)", guide))
    assert commands == {"release", "verify", "grade", "private"}

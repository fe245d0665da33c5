"""The command line: what it writes, what it says, and how it fails."""

import gc
import os
import pathlib
import re
import subprocess
import sys

import PIL.Image
import pytest
from typer.testing import CliRunner

from difflab import cli, demo, doctor

COMMANDS = ("draw", "demo", "doctor", "world", "report", "train", "export", "classroom")


@pytest.fixture
def run(tmp_path, monkeypatch):
    """Run a command in an empty folder: returns the result, with `.lines` of what it printed as its result."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments):
        result = CliRunner().invoke(cli.app, [str(argument) for argument in arguments])
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        return result

    return run


def test_help_names_every_command(run):
    result = run("--help")
    assert result.exit_code == 0
    assert all(re.search(rf"^\s+{name}\s", result.output, re.MULTILINE) for name in COMMANDS)


@pytest.mark.parametrize("command", COMMANDS)
def test_help_of_a_command_explains_its_options(run, command):
    output = run(command, "--help").output
    lines = output.splitlines()
    options = [number for number, line in enumerate(lines) if re.match(r"\s+(-\w, )?--[a-z]", line)]
    assert options
    for number in options:
        alone = re.fullmatch(r"\s+(-\w, )?--\S+( <\S+>)?\s*", lines[number])
        assert not alone or lines[number + 1].startswith(" " * 15), f"no help for {lines[number].strip()}"


def test_version(run):
    import difflab

    assert run("--version").output == f"difflab {difflab.__version__}\n"


def test_draw_writes_a_picture(run, random_folder, tmp_path):
    result = run("draw", "a Cat, on a sofa!", "--model", random_folder, "--steps", 2, "--device", "cpu")
    assert result.exit_code == 0
    assert pathlib.Path(result.stdout.strip()) == pathlib.Path("out/a-cat-on-a-sofa.png")
    assert PIL.Image.open(tmp_path / "out/a-cat-on-a-sofa.png").mode == "RGB"


def test_draw_several_is_several_seeds(run, random_folder, tmp_path):
    same = ("--model", random_folder, "--steps", 2, "--guidance", 1, "--sampler", "euler", "--device", "cpu")
    assert run("draw", "cats", "--count", 2, "--seed", 4, "--out", "new/cats.png", *same).exit_code == 0
    assert sorted(path.name for path in (tmp_path / "new").iterdir()) == ["cats-4.png", "cats-5.png"]
    run("draw", "cats", "--seed", 5, "--out", "one.png", *same)
    one, five, four = (PIL.Image.open(tmp_path / n).tobytes() for n in ("one.png", "new/cats-5.png", "new/cats-4.png"))
    assert one == five != four


def test_no_garbage_is_collected_while_a_model_is_imported_and_again_afterward(run, monkeypatch):
    def load(*_, **__):
        assert not gc.isenabled()
        raise ValueError("no model today")

    monkeypatch.setattr("difflab.load", load, raising=False)
    with pytest.raises(ValueError, match="no model today"):
        run("draw", "x")
    assert gc.isenabled()


@pytest.mark.parametrize(
    "arguments, said",
    [
        (("draw", "x", "--model", "nope"), "nope"),
        (("draw", "x", "--model", ""), "no model and no folder"),
        (("draw", "x", "--out", "picture.xyz"), "picture.xyz"),
        (("draw", "x", "--device", "abacus"), "abacus"),
        (("draw", "x", "--device", "cpu:5"), "cpu:5"),
        (("draw", "x", "--seed", 10**20), "seed=1"),
        (("draw", "x", "--guidance", "nan"), "guidance_scale=nan"),
        (("draw", "x", "--guidance", "1e300"), "guidance_scale=1e+300"),
        (("draw", "x", "--sampler", "dice"), "dice"),
        (("draw", " "), "empty"),
        (("draw", b"\xff"), "half a character"),
        (("draw", "x", "--out", "mine/x.png"), "'mine' is there and is no folder"),
        (("draw", "x", "--out", "folder.png/x.png", "--count", 2), "folder.png/x-0.png' is there and is no file"),
        (("demo", "--out", "."), "'.' is there and is no file"),
        (("demo", "--out", "mine/x.png"), "'mine' is there and is no folder"),
        (("world", "--out", "folder.png"), "'folder.png' is there and is no file"),
        (("report", "--out", "mine"), "'mine' is there and is no folder"),
        (("export", "web", "--out", "mine"), "'mine' is there and is no folder"),
        (("classroom", "release", "--out", "mine", "x.ipynb"), "'mine' is there and is no folder"),
    ],
)
def test_an_error_is_one_line_and_a_status_before_any_work(run, monkeypatch, tmp_path, arguments, said):
    (tmp_path / "mine").write_text("mine")
    (tmp_path / "folder.png" / "x-0.png").mkdir(parents=True)
    monkeypatch.setattr("difflab.model.LatentDiffusion.__post_init__", lambda *_: pytest.fail("a model was loaded"))
    arguments = [os.fsdecode(argument) if isinstance(argument, bytes) else argument for argument in arguments]
    result = run(*arguments)
    assert result.exit_code == 1
    errors = [line for line in result.stderr.splitlines() if line.startswith("error: ")]
    assert len(errors) == 1 and said in errors[0]
    assert "Traceback" not in result.output
    assert {path.name for path in tmp_path.rglob("*")} == {"mine", "folder.png", "x-0.png"}
    assert (tmp_path / "mine").read_text() == "mine"


@pytest.mark.parametrize(
    "arguments",
    [
        ("draw", "x", "--colour", "red"),
        ("draw", "x", "--count", 0),
        ("draw", "x", "--count", 10**12),
        ("draw", "x", "--count", 1.5),
        ("draw", "x", "--steps", 0),
        ("draw", "x", "--steps", 1001),
        ("draw", "x", "--seed", -1),
        ("draw", "x", "--guidance", "much"),
        ("demo", "--seed", -1),
        ("world", "--count", 0),
        ("world", "--count", 10**9),
        ("world", "--seed", -1),
        ("report", "--captions", 0),
        ("report", "--choosing", 10**9),
    ],
)
def test_an_option_that_is_none_is_refused(run, tmp_path, arguments):
    result = run(*arguments)
    assert result.exit_code == 2 and "Error: " in result.stderr and not list(tmp_path.iterdir())


def test_debug_shows_where_an_error_comes_from(run):
    with pytest.raises(ValueError, match="picture.xyz"):
        run("--debug", "draw", "x", "--out", "picture.xyz")


def test_a_fault_of_the_program_is_shown_whole(run, monkeypatch):
    """A ValueError that no check of this package raised is not turned into one line, as if the user had erred."""
    monkeypatch.setattr("difflab.world.samples", lambda count, seed: [int("x")])
    with pytest.raises(ValueError, match="invalid literal"):
        run("world", "--count", 1)


@pytest.mark.parametrize(
    "command",
    [("draw", "cats", "--steps", 1, "--device", "cpu", "--model"), ("world", "--count", 1)],
    ids=lambda c: c[0],
)
def test_a_disk_that_is_full_leaves_the_old_picture(run, random_folder, tmp_path, full_disk, command):
    (tmp_path / "old.png").write_bytes(b"old")
    with full_disk(1000):
        result = run(*command, *([random_folder] if command[0] == "draw" else []), "--out", "old.png")
    assert result.exit_code == 1 and result.stderr.splitlines()[-1].startswith("error: ")
    assert (tmp_path / "old.png").read_bytes() == b"old" and len(list(tmp_path.iterdir())) == 1


def test_world_writes_a_sheet(run, tmp_path):
    assert run("world", "--count", 7, "--seed", 3, "--out", "deep/sheet.png").exit_code == 0
    sheet = PIL.Image.open(tmp_path / "deep/sheet.png")
    assert sheet.width > sheet.height
    assert sheet.info["Description"].startswith("7 pictures: ")


@pytest.mark.slow
def test_demo_writes_a_sheet(run, random_folder, tmp_path, few_steps, monkeypatch):
    monkeypatch.setattr(demo, "SEARCHED", 20)
    assert run("demo", "--model", random_folder, "--device", "cpu", "--out", "demo.png").exit_code == 0
    described = PIL.Image.open(tmp_path / "demo.png").info["Description"]
    assert all(words in described for words in ("a cat on a sofa at night", "ddpm", "euler", "not “a castle at night”"))
    assert all(
        subject in described for subject in ("Guidance", "Samplers", "Cross-attention", "CLIP", "Latent", "Training")
    )


def test_doctor_finds_this_machine_well(run):
    result = run("doctor")
    assert result.exit_code == 0, result.output
    assert "checksums agree" in result.output and "torch" in result.output


def test_doctor_fails_when_something_is_wrong(run, monkeypatch):
    monkeypatch.setattr(doctor, "PACKAGES", ("torch", "no-such-package"))
    result = run("doctor")
    assert result.exit_code == 1
    assert "no-such-package" in result.output and "1 thing to put right" in result.stderr


def test_the_command_in_a_process_of_its_own(tmp_path):
    """As a shell sees it: the status, and nothing but the error on standard error."""
    environment = os.environ | {"PYTHONPATH": str(pathlib.Path(cli.__file__).parent.parent)}
    command = [sys.executable, "-m", "difflab.cli", "draw", "x", "--out", "x.xyz"]
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stderr.startswith("error: --out is 'x.xyz'") and done.stderr.count("\n") == 1
    assert done.stdout == ""
    command.insert(3, "--debug")
    done = subprocess.run(command, cwd=tmp_path, env=environment, capture_output=True, text=True)
    assert done.returncode == 1 and done.stderr.startswith("Traceback") and "in _paths" in done.stderr

"""Files and folders that are written whole or not at all."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from difflab import files
from difflab.files import check_file, check_folder, new_file, new_folder


def texts(folder):
    return {path.name: path.read_text() for path in folder.iterdir()}


@pytest.mark.parametrize("trades", [True, False], ids=["", "two renames"])
def test_a_folder_is_replaced_whole_or_not_at_all(tmp_path, monkeypatch, trades):
    if not trades:
        monkeypatch.setattr(files, "traded", lambda one, other: False)
    with new_folder(tmp_path / "deep" / "x") as new:
        (new / "a").write_text("old")
        (new / "b").write_text("old")
    with pytest.raises(RuntimeError, match="out of paper"), new_folder(tmp_path / "deep" / "x") as new:
        (new / "a").write_text("half")
        raise RuntimeError("out of paper")
    assert texts(tmp_path / "deep" / "x") == {"a": "old", "b": "old"}
    with new_folder(tmp_path / "deep" / "x") as new:
        (new / "a").write_text("new")
    assert texts(tmp_path / "deep" / "x") == {"a": "new"}
    with pytest.raises(FileNotFoundError), new_folder(tmp_path / "deep" / "x") as new:
        new.rmdir()  # nothing is written, and nothing is lost
    assert texts(tmp_path / "deep" / "x") == {"a": "new"}
    assert [p.name for p in (tmp_path / "deep").iterdir()] == ["x"]  # nothing is left behind


def test_a_file_is_replaced_whole_or_not_at_all(tmp_path):
    path = tmp_path / "x.txt"
    with new_file(path) as new:
        new.write_text("old")
        assert not path.exists() and new.suffix == ".txt"
    with pytest.raises(KeyboardInterrupt), new_file(path) as new:
        new.write_text("half")
        raise KeyboardInterrupt
    assert path.read_text() == "old"
    with pytest.raises(FileNotFoundError), new_file(path):
        pass  # nothing is written, and nothing is lost
    with new_file(path) as new:
        new.write_text("new")
        assert path.read_text() == "old"
    assert path.read_text() == "new" and list(tmp_path.iterdir()) == [path]


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux lets folders trade places")
def test_while_a_folder_is_replaced_it_is_always_there(tmp_path, monkeypatch):
    """What a kill could come between is not done at all: no rename takes the old folder away."""
    with new_folder(tmp_path / "x") as new:
        (new / "a").write_text("old")

    def forbidden(*_):
        raise AssertionError("a kill here would leave no folder")

    monkeypatch.setattr(Path, "rename", forbidden)
    with new_folder(tmp_path / "x") as new:
        (new / "a").write_text("new")
    assert texts(tmp_path / "x") == {"a": "new"}


def test_where_a_kill_can_come_between_the_old_folder_is_found_beside(tmp_path):
    """Killed after the first of the two renames, as on a system that cannot do it in one step."""
    (tmp_path / "x").mkdir()
    (tmp_path / "x" / "a").write_text("old")
    script = """if True:
        import os, pathlib, sys
        from difflab import files
        files.traded = lambda one, other: False
        rename = pathlib.Path.rename
        def once(path, target):
            pathlib.Path.rename = lambda *_: os._exit(9)
            return rename(path, target)
        pathlib.Path.rename = once
        with files.new_folder(sys.argv[1]) as new:
            (new / "a").write_text("new")
    """
    environment = os.environ | {"PYTHONPATH": str(Path(files.__file__).parent.parent)}
    done = subprocess.run([sys.executable, "-c", script, str(tmp_path / "x")], env=environment)
    assert done.returncode == 9 and not (tmp_path / "x").exists()
    (old,) = tmp_path.glob(".x-*/old")
    assert texts(old) == {"a": "old"}


def test_a_disk_that_is_full_leaves_the_old_file(tmp_path, full_disk):
    path = tmp_path / "x.txt"
    path.write_text("old")
    with full_disk(100), pytest.raises(OSError), new_file(path) as new:
        new.write_text("new " * 1000)
    assert path.read_text() == "old" and list(tmp_path.iterdir()) == [path]


def test_what_cannot_be_written_is_said_before_any_work(tmp_path):
    (tmp_path / "file").write_text("mine")
    (tmp_path / "folder").mkdir()
    for check, name in (
        (check_file, "folder"),
        (check_file, "file/x"),
        (check_file, "file/deep/x"),
        (check_folder, "file"),
        (check_folder, "file/x"),
    ):
        with pytest.raises(ValueError, match="is there and is no"):
            check(tmp_path / name)
    with pytest.raises(ValueError, match="is no file"), new_file(tmp_path / "folder"):
        raise AssertionError("work was done")
    with pytest.raises(ValueError, match="is no folder"), new_folder(tmp_path / "file"):
        raise AssertionError("work was done")
    if Path("/dev/null").exists():
        with pytest.raises(ValueError, match="is no file"), new_file("/dev/null"):
            raise AssertionError("a device would have become a file")
    assert (tmp_path / "file").read_text() == "mine"
    check_file(tmp_path / "folder" / "new" / "x")
    check_folder(tmp_path / "folder" / "new")
    assert not list((tmp_path / "folder").iterdir())


def test_a_folder_that_is_not_ours(tmp_path, monkeypatch):
    monkeypatch.setattr(os, "access", lambda path, mode: Path(path) != tmp_path)  # root may write everywhere
    for check in (check_file, check_folder):
        with pytest.raises(ValueError, match="nothing may be written"):
            check(tmp_path / "deep" / "x")

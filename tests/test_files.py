"""Files and folders that are written whole or not at all."""

import pytest

from difflab.files import new_file, new_folder


def test_a_folder_is_replaced_whole_or_not_at_all(tmp_path):
    with new_folder(tmp_path / "deep" / "x") as new:
        (new / "a").write_text("old")
        (new / "b").write_text("old")
    with pytest.raises(RuntimeError, match="out of paper"), new_folder(tmp_path / "deep" / "x") as new:
        (new / "a").write_text("half")
        raise RuntimeError("out of paper")
    assert {p.name: p.read_text() for p in (tmp_path / "deep" / "x").iterdir()} == {"a": "old", "b": "old"}
    with new_folder(tmp_path / "deep" / "x") as new:
        (new / "a").write_text("new")
    assert {p.name: p.read_text() for p in (tmp_path / "deep" / "x").iterdir()} == {"a": "new"}
    with pytest.raises(FileNotFoundError), new_file(tmp_path / "deep" / "x"):
        pass  # nothing is written, and nothing is lost
    assert (tmp_path / "deep" / "x" / "a").read_text() == "new"
    assert [p.name for p in (tmp_path / "deep").iterdir()] == ["x"]  # nothing is left behind


def test_a_file_is_replaced_whole_or_not_at_all(tmp_path):
    path = tmp_path / "x.txt"
    with new_file(path) as new:
        new.write_text("old")
        assert not path.exists()
    with pytest.raises(KeyboardInterrupt), new_file(path) as new:
        new.write_text("half")
        raise KeyboardInterrupt
    assert path.read_text() == "old"
    with new_file(path) as new:
        new.write_text("new")
        assert path.read_text() == "old"
    assert path.read_text() == "new" and list(tmp_path.iterdir()) == [path]

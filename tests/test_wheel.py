"""The wheel holds the whole package, weights included, and says who it is."""

import tomllib
import zipfile

import pytest
from as_on_colab import ROOT, build_wheel


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    return build_wheel(tmp_path_factory.mktemp("wheel"))


def test_wheel_holds_every_file_of_the_package(wheel):
    names = {
        info.filename: info.file_size
        for info in zipfile.ZipFile(wheel).infolist()
        if info.filename.startswith("difflab/")
    }
    package = [p for p in (ROOT / "difflab").rglob("*") if p.is_file() and "__pycache__" not in p.parts]
    assert names == {path.relative_to(ROOT).as_posix(): path.stat().st_size for path in package}
    assert any(name.startswith("difflab/weights/tiny/unet/") and name.endswith(".safetensors") for name in names)


def test_wheel_says_who_it_is(wheel):
    archive = zipfile.ZipFile(wheel)
    names = archive.namelist()
    assert all(any(name.endswith(f"licenses/{file}") for name in names) for file in ("LICENSE", "NOTICE"))
    (entry_points,) = (archive.read(name).decode() for name in names if name.endswith("entry_points.txt"))
    assert "difflab = difflab.cli:app" in entry_points
    (metadata,) = (archive.read(name).decode() for name in names if name.endswith("METADATA"))
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert f"Version: {project['version']}" in metadata and project["urls"]["Repository"] in metadata

"""The wheel: it holds its weights, and with it one notebook runs alone in an empty folder, as on Colab."""

import json
import os
import pathlib
import subprocess
import sys
import sysconfig
import tomllib
import venv
import zipfile

import nbformat
import pytest

ROOT = pathlib.Path(__file__).resolve().parent.parent
WEIGHTS = ROOT / "difflab" / "weights"


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """The built wheel, made with the hatchling that is installed."""
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    (built,) = folder.glob("*.whl")
    return built


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


@pytest.mark.slow
def test_one_notebook_alone_in_an_empty_folder(wheel, tmp_path):
    """A fresh environment without difflab; the notebook's first cell installs the wheel and changes nothing else."""
    python = fresh_environment(tmp_path / "environment")
    before = installed(python)
    assert "difflab" not in before

    folder = tmp_path / "empty"
    folder.mkdir()
    notebook = nbformat.read(ROOT / "notebooks" / "01-forward-and-reverse.ipynb", as_version=4)
    nbformat.write(notebook, folder / "chapter.ipynb")
    run = (
        "import nbclient, nbformat, pathlib\n"
        "chapter = nbformat.read('chapter.ipynb', as_version=4)\n"
        "nbclient.NotebookClient(chapter, timeout=300, kernel_name='alone').execute()\n"
    )
    kernel = tmp_path / "jupyter" / "kernels" / "alone"
    kernel.mkdir(parents=True)
    argv = [str(python), "-m", "ipykernel_launcher", "-f", "{connection_file}"]
    (kernel / "kernel.json").write_text(json.dumps({"argv": argv, "display_name": "alone", "language": "python"}))
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    environment |= {
        "DIFFLAB_SOURCE": str(wheel),
        "JUPYTER_PATH": str(tmp_path / "jupyter"),
        "PIP_NO_INDEX": "1",  # nothing but the wheel may be wanted
        "HF_HUB_OFFLINE": "1",
        "MPLBACKEND": "Agg",
    }
    done = subprocess.run([python, "-c", run], cwd=folder, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-3000:]

    where = "import difflab; print(difflab.__file__, difflab.weights_folder())"
    found = subprocess.run(
        [python, "-c", where], cwd=folder, env=environment, capture_output=True, text=True, check=True
    )
    assert found.stdout.count(str(tmp_path / "environment")) == 2
    after = installed(python)
    assert {name: after[name] for name in before} == before
    assert set(after) - set(before) == {"difflab"}


def fresh_environment(folder):
    """A virtual environment that sees what is installed here, difflab excepted; returns its python."""
    venv.create(folder, with_pip=True, symlinks=True)
    python = folder / "bin" / "python"
    paths = sysconfig.get_paths(vars={"base": str(folder), "platbase": str(folder)})
    here = pathlib.Path(sysconfig.get_paths()["purelib"])
    site = pathlib.Path(paths["purelib"])
    for entry in here.iterdir():
        name = entry.name.lower()
        if "difflab" not in name and not (site / entry.name).exists():
            (site / entry.name).symlink_to(entry)
    return python


def installed(python):
    """Name and version of everything that a python has."""
    command = [python, "-m", "pip", "list", "--format", "json", "--disable-pip-version-check"]
    listed = json.loads(subprocess.run(command, capture_output=True, text=True, check=True).stdout)
    return {package["name"]: package["version"] for package in listed}

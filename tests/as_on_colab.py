"""The chapters as Colab has them: each alone in an empty folder, in an environment that has everything but difflab.

`python tests/as_on_colab.py FOLDER` builds the wheel and prepares FOLDER for pytest's nbval, which runs what lies in
FOLDER/notebooks: see `make test`. Every chapter has an environment of its own, and its own first cell installs the
wheel there. The chapters are copies to the letter, but for the name of their kernel and one cell at the end, which
asserts that the first one has installed difflab and changed nothing else.
"""

import json
import pathlib
import shutil
import subprocess
import sys
import sysconfig
import tomllib
import venv
from importlib import metadata

import nbformat
from packaging.requirements import Requirement

ROOT = pathlib.Path(__file__).resolve().parent.parent
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
LAST = """
import importlib.metadata

import difflab

before, environment = {before!r}, {environment!r}
after = {{d.name: d.version for d in importlib.metadata.distributions()}}
assert after.pop("difflab") == difflab.__version__
assert after == before, f"the first cell has changed {{set(after.items()) ^ set(before.items())}}"
assert difflab.__file__.startswith(environment)
"""


def prepare(folder, notebooks=NOTEBOOKS):
    """Make what the notebooks need in `folder`, which is emptied first."""
    shutil.rmtree(folder, ignore_errors=True)
    wheel = build_wheel(folder)
    for path in notebooks:
        environment = folder / "environments" / path.stem
        python = fresh_environment(environment)
        before = {found.name: found.version for found in metadata.distributions(path=[site_packages(environment)])}
        kernel = {
            "argv": [str(python), "-m", "ipykernel_launcher", "-f", "{connection_file}"],
            "display_name": path.stem,
            "language": "python",
            # nothing but the wheel may be wanted
            "env": {"DIFFLAB_SOURCE": str(wheel), "PIP_NO_INDEX": "1", "PYTHONPATH": "", "HF_HUB_OFFLINE": "1"},
        }
        (folder / "kernels" / path.stem).mkdir(parents=True)
        (folder / "kernels" / path.stem / "kernel.json").write_text(json.dumps(kernel))

        notebook = nbformat.read(path, as_version=4)
        notebook.metadata.kernelspec.name = path.stem
        last = LAST.strip().format(before=before, environment=str(environment))
        notebook.cells.append(nbformat.v4.new_code_cell(last, id="as-on-colab"))
        (folder / "notebooks" / path.stem).mkdir(parents=True)
        nbformat.write(notebook, folder / "notebooks" / path.stem / path.name)


def build_wheel(folder):
    """The path of the wheel, built with the hatchling that is installed."""
    command = [sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder)]
    subprocess.run(command, cwd=ROOT, check=True, capture_output=True)
    (built,) = folder.glob("*.whl")
    return built


def site_packages(environment):
    return sysconfig.get_path("purelib", vars={"base": str(environment), "platbase": str(environment)})


def fresh_environment(folder):
    """A virtual environment that has pip, a kernel and what difflab requires, linked from here; returns its python."""
    venv.create(folder, symlinks=True)
    here, there = (pathlib.Path(path) for path in (sysconfig.get_path("purelib"), site_packages(folder)))
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    for distribution in required(["pip", "ipykernel", *project["dependencies"]]):
        for name in {file.parts[0] for file in distribution.files} - {"..", "__pycache__"}:
            if not (there / name).exists():
                (there / name).symlink_to(here / name)
    return folder / "bin" / "python"


def required(wanted):
    """The installed distributions that these requirements name, those that they require, and so on."""
    found, wanted = {}, [Requirement(text) for text in wanted]
    while wanted:
        requirement = wanted.pop()
        key = requirement.name.lower(), frozenset(requirement.extras)
        if key not in found:
            found[key] = metadata.distribution(requirement.name)
            extras = [*requirement.extras, ""]
            further = map(Requirement, found[key].requires or [])
            wanted += [r for r in further if not r.marker or any(r.marker.evaluate({"extra": e}) for e in extras)]
    return found.values()


if __name__ == "__main__":
    prepare(pathlib.Path(sys.argv[1]).resolve(), [pathlib.Path(name) for name in sys.argv[2:]] or NOTEBOOKS)

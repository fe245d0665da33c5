"""The chapters as Colab has them: each alone in an empty folder, in an environment that has everything but difflab.

`python tests/as_on_colab.py` runs every chapter once, with pytest's nbval, two at a time and each on one thread, and
keeps what they put out in the book's cache: the book shows these runs. A chapter that is there already, and that has
not changed since, is not run again; the Makefile empties the cache when the package changes.

Every chapter has an environment of its own, and its own first cell installs the wheel there. The chapters are copies to
the letter, but for the name of their kernel and one cell at the end, which asserts that the first one has installed
difflab and changed nothing else.
"""

import json
import os
import pathlib
import shutil
import subprocess
import sys
import sysconfig
import tomllib
import venv
from importlib import metadata

import nbformat
from jupyter_cache import get_cache
from packaging.requirements import Requirement

ROOT = pathlib.Path(__file__).resolve().parent.parent
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
FOLDER = ROOT / "_build" / "colab"
CACHE = ROOT / "_build" / ".jupyter_cache"  # Jupyter Book's
# Nothing but the wheel may be wanted, and a neighbor needs the other core.
ALONE = {"PIP_NO_INDEX": "1", "HF_HUB_OFFLINE": "1", "PYTHONPATH": "", "OMP_NUM_THREADS": "1"}
LAST = """
import importlib.metadata

import difflab

before, environment = {before!r}, {environment!r}
after = {{d.name: d.version for d in importlib.metadata.distributions()}}
assert after.pop("difflab") == difflab.__version__
assert after == before, f"the first cell has changed {{set(after.items()) ^ set(before.items())}}"
assert difflab.__file__.startswith(environment)
"""


def due(notebooks, cache):
    """The notebooks that the cache does not have from a run of nbval."""
    cache = get_cache(cache)

    def kept(path):
        try:
            return cache.match_cache_notebook(nbformat.read(path, as_version=4)).data.get("nbval", False)
        except KeyError:
            return False

    return [path for path in notebooks if not kept(path)]


def prepare(folder, notebooks):
    """Make what the notebooks need in `folder`, which is emptied first: see `run`."""
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
            "env": {"DIFFLAB_SOURCE": str(wheel)} | ALONE,
        }
        (folder / "kernels" / path.stem).mkdir(parents=True)
        (folder / "kernels" / path.stem / "kernel.json").write_text(json.dumps(kernel))

        notebook = nbformat.read(path, as_version=4)
        notebook.metadata.kernelspec.name = path.stem
        notebook.metadata.original = str(path)
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


def run(folder, cache, *options, **settings):
    """Run what `prepare` made in `folder`, and keep what passes in the cache: a subprocess.CompletedProcess."""
    keep = ["-p", "keep_outputs", f"--keep-outputs={cache}"]
    command = [sys.executable, "-m", "pytest", *keep, "--nbval-lax", "--nbval-cell-timeout=300", *options]
    found = {"JUPYTER_PATH": str(folder), "PYTHONPATH": str(pathlib.Path(__file__).parent)}
    return subprocess.run([*command, folder / "notebooks"], env=os.environ | found, **settings)


def main():
    """The exit status: 0 when every chapter has passed, now or before."""
    changed = due(NOTEBOOKS, CACHE)
    if not changed:
        print("every chapter has been run as on Colab, and nothing has changed since")
        return 0
    prepare(FOLDER, changed)
    return run(FOLDER, CACHE, "-n", "2", "--dist", "loadfile").returncode


if __name__ == "__main__":
    sys.exit(main())

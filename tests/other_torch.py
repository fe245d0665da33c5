"""The package with another torch: `python tests/other_torch.py 2.4.1` (or `make test-torch TORCH=2.4.1`).

Makes an environment in _build with that torch, the wheel and what it requires: the oldest versions that pyproject.toml
allows with a torch older than the tested one, the newest with a newer one. Then runs the package's quick tests and
four chapters there. PyTorch's ordinary wheels bring CUDA: several gigabytes, once for each version.
"""

import subprocess
import sys
import tomllib
import venv

from as_on_colab import ROOT, build_wheel
from packaging.requirements import Requirement
from packaging.version import Version

CHAPTERS = ("01-forward-and-reverse", "02-text-to-image", "07-guidance", "09-instruct-pix2pix")
#: Tests of the repository, the book and the classroom, which need tools that the package does not.
NOT_OF_THE_PACKAGE = ("repository", "wheel", "colab", "book", "classroom", "export", "live")


def oldest():
    """A constraint for each of the package's dependencies but torch: the first minor version that is allowed."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    ranges = [Requirement(text) for text in project["dependencies"]]
    lowest = {r.name: min(Version(s.version) for s in r.specifier if s.operator == ">=") for r in ranges}
    return [f"{name}=={version.major}.{version.minor}.*" for name, version in lowest.items() if name != "torch"]


def pinned():
    """The torch that requirements.txt pins."""
    lines = (ROOT / "requirements.txt").read_text().splitlines()
    return next(Version(line.removeprefix("torch==")) for line in lines if line.startswith("torch=="))


def main(torch):
    folder = ROOT / "_build" / f"torch-{torch}"
    wheel = build_wheel(folder / "wheel")
    venv.create(folder / "environment", with_pip=True, clear=True, symlinks=True)
    bin = folder / "environment" / "bin"
    constraints = folder / "constraints.txt"
    constraints.write_text("\n".join(oldest() if Version(torch) < pinned() else []) + "\n")
    wanted = [f"torch=={torch}", f"difflab[test] @ {wheel.as_uri()}"]
    subprocess.run([bin / "python", "-m", "pip", "install", "--quiet", "-c", constraints, *wanted], check=True)
    subprocess.run([bin / "python", "-m", "pip", "list", "--format", "freeze"], check=True)
    tests = [path for path in sorted((ROOT / "tests").glob("test_*.py")) if path.stem[5:] not in NOT_OF_THE_PACKAGE]
    chapters = [ROOT / "notebooks" / f"{name}.ipynb" for name in CHAPTERS]
    quick = ["-m", "not slow", "-p", "no:cacheprovider", "--nbval-lax", "--nbval-current-env"]
    return subprocess.run([bin / "pytest", *quick, *tests, *chapters], cwd=ROOT).returncode


if __name__ == "__main__":
    if len(sys.argv) != 2 or not sys.argv[1]:
        sys.exit("error: say which torch: make test-torch TORCH=2.4.1")
    sys.exit(main(sys.argv[1]))

"""What a chapter needs to open on Colab: its badge, its first cell, its MODEL. And `make test` sees a failure."""

import re
import runpy
import sys
from importlib import metadata, util
from importlib.machinery import ModuleSpec
from types import ModuleType, SimpleNamespace

import nbformat
import pytest
from as_on_colab import NOTEBOOKS, ROOT, due, prepare, required, run
from jupyter_cache import get_cache
from other_torch import oldest

import difflab
from difflab.planning import PUBLISHED, SHIPPED

FIRST_CELL = ROOT / "book" / "colab_cell.py"


def cells(path):
    return {cell.id: cell.source for cell in nbformat.read(path, as_version=4).cells}


chapters = pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)


@chapters
def test_the_badge_leads_to_this_chapter(path):
    title, badge, *_ = cells(path)["goal"].split("\n\n")
    home = difflab_home().removeprefix("https://github.com/")
    assert title.startswith("# ")
    assert badge == (
        f"[Open this chapter in Colab](https://colab.research.google.com/github/{home}/blob/main/notebooks/{path.name})"
    )


def difflab_home():
    return runpy.run_path(str(ROOT / "book" / "address.py"))["address"]()


@chapters
def test_the_model_is_chosen_in_a_form_and_nothing_is_fetched_unasked(path):
    found = cells(path)
    models = re.findall(r'^MODEL = "([\w-]+)"  # @param \[(.+)\]$', found["stable-diffusion-code"], re.MULTILINE)
    assert len(models) == 1
    first, choices = models[0][0], re.findall(r'"([\w-]+)"', models[0][1])
    prefix = "clip-" if "clip-{MODEL}" in found["stable-diffusion-code"] else ""
    assert choices[0] == first and prefix + first in SHIPPED
    assert len(choices) > 1 and all(prefix + name in PUBLISHED for name in choices[1:])
    loaded = re.findall(r"\bload\(([^)]*)\)", "\n".join(found.values()))
    assert not [name for name in loaded if "sd" in name], "a model of the hub is loaded without a plan"


# The first cell


@pytest.fixture
def first_cell(monkeypatch):
    """Runs the cell where difflab is missing; returns the commands it gave, which are not carried out but answered."""
    given = []
    there = util.find_spec

    def run(answer=0, missing=("difflab",), words=""):
        def find(name, *rest):
            return None if name in missing else there(name, *rest)

        def pip(command, **_):
            given.append(command)
            return SimpleNamespace(returncode=answer, stderr=words)

        monkeypatch.setattr("importlib.util.find_spec", find)
        monkeypatch.setattr("subprocess.run", pip)
        runpy.run_path(str(FIRST_CELL))
        return given

    return run


def test_where_difflab_is_there_nothing_happens(first_cell):
    assert first_cell(missing=()) == []


def test_it_keeps_the_torch_that_is_there(first_cell, monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("DIFFLAB_SOURCE", raising=False)
    (command,) = first_cell()
    kept = {f"{name}=={metadata.version(name)}" for name in ("torch", "numpy")}
    assert kept <= set(command) and command[:4] == [sys.executable, "-m", "pip", "install"]
    assert command[-1] == f"git+{difflab_home()}"
    assert not any("torchvision" in word for word in first_cell(missing=("difflab", "torchvision"))[-1])


def test_a_notebook_in_a_clone_installs_the_clone(first_cell, monkeypatch):
    monkeypatch.chdir(ROOT / "notebooks")
    monkeypatch.delenv("DIFFLAB_SOURCE", raising=False)
    assert first_cell()[0][-1] == ".."
    monkeypatch.setenv("DIFFLAB_SOURCE", "difflab.whl")
    assert first_cell()[-1][-1] == "difflab.whl"


def test_when_pip_fails_its_reason_is_shown(first_cell):
    with pytest.raises(RuntimeError, match="conflicting dependencies"):
        first_cell(answer=1, words="ERROR: torch and difflab have conflicting dependencies")


def test_an_older_difflab_is_not_replaced_but_named(first_cell, monkeypatch):
    older = ModuleType("difflab")
    older.__spec__ = ModuleSpec("difflab", None)
    monkeypatch.setitem(sys.modules, "difflab", older)
    with pytest.raises(ImportError, match="newer difflab: pip install -U git.*restart"):
        first_cell(missing=())


# The environments


def test_requirements_are_followed_to_the_end():
    names = {found.name.lower() for found in required(["pip", "ipykernel", "diffusers"])}
    assert {"pip", "ipykernel", "diffusers", "huggingface_hub", "traitlets"} <= names
    assert not {"difflab", "pytest", "jupyter-book"} & names


def test_the_oldest_versions_are_those_of_the_ranges():
    assert "diffusers==0.32.*" in oldest() and not any(line.startswith("torch") for line in oldest())


SURPRISE = """
import pathlib, sysconfig
folder = pathlib.Path(sysconfig.get_path("purelib"), "surprise-1.0.dist-info")
folder.mkdir()
(folder / "METADATA").write_text("Name: surprise\\nVersion: 1.0")
""".strip()


TOLD = """
from IPython.display import HTML, display, update_display
display(HTML("<b>first</b>"), display_id="told")
print("one")
update_display(HTML("<b>second</b>"), display_id="told")
print("two")
import ipywidgets
aside = ipywidgets.Output()
with aside:
    print("aside")
6 * 7
""".strip()


@pytest.mark.slow
def test_a_run_is_kept_for_the_book_only_when_all_of_it_passes(tmp_path):
    """A bad cell, and one that changes what is installed: pytest fails, and shows both. The good chapter is kept."""
    sources = {"good": [TOLD], "broken": [TOLD, "1 / 0", SURPRISE]}
    for name, cells in sources.items():
        notebook = nbformat.v4.new_notebook()
        notebook.metadata.kernelspec = {"name": "python3", "display_name": "Python 3"}
        notebook.cells = [nbformat.v4.new_code_cell(source) for source in (FIRST_CELL.read_text(), *cells)]
        nbformat.write(notebook, tmp_path / f"{name}.ipynb")
    good, broken = tmp_path / "good.ipynb", tmp_path / "broken.ipynb"
    cache = tmp_path / "cache"
    assert due([good, broken], cache) == [good, broken]

    prepare(tmp_path / "colab", [good, broken])
    done = run(tmp_path / "colab", cache, "-p", "no:cacheprovider", capture_output=True, text=True)
    assert done.returncode == 1 and "2 failed, 6 passed" in done.stdout, done.stdout
    assert "ZeroDivisionError" in done.stdout and "the first cell has changed" in done.stdout
    assert due([good, broken], cache) == [broken]

    _, kept = get_cache(cache).merge_match_into_notebook(nbformat.read(good, as_version=4))
    shown, one, two, answer = kept.cells[1].outputs
    assert [shown.data["text/html"], one.text, two.text] == ["<b>second</b>", "one\n", "two\n"]
    assert answer.data["text/plain"] == "42"  # and what went aside, into a widget, is not here
    assert kept.metadata.language_info.name == "python"
    again = nbformat.read(good, as_version=4)
    again.cells[1].source += " + 1"
    nbformat.write(again, good)
    assert due([good], cache) == [good]


def test_the_package_is_what_the_chapters_ask_for():
    assert hasattr(difflab, "plan")  # what the first cell looks for

"""The repository as a whole: one address, clean notebooks, size, links, alternative texts."""

import html.parser
import importlib.util
import json
import pathlib
import re
import shutil
import subprocess
import tomllib
import urllib.parse
from types import SimpleNamespace

import nbformat
import pytest

import difflab

ROOT = pathlib.Path(__file__).resolve().parent.parent
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
PAGES = sorted((ROOT / "book").glob("*.md"))
BUILT = ROOT / "_build" / "html"
MB = 1_000_000


def load(path):
    """A module of the book's, which is no package."""
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


address = load(ROOT / "book" / "address.py")


def tracked():
    """The files of the repository: what git tracks, and what is new and not ignored."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        capture_output=True,
        check=True,
    )
    paths = [ROOT / name for name in set(listed.stdout.decode().split("\0")) if name]
    return [path for path in paths if path.is_file()]


# Address and version


def test_every_mention_of_the_address_agrees():
    owner, name = address.address().removeprefix("https://github.com/").split("/")
    mentioned = {path: address.mentions(path.read_text(encoding="utf-8"), name) for path in address.files()}
    wrong = {path.name: set(found) - {f"{owner}/{name}"} for path, found in mentioned.items()}
    wrong.pop("test_repository.py")  # moves the project, below
    assert not any(wrong.values()), {name: found for name, found in wrong.items() if found}
    named = {path.name for path, found in mentioned.items() if found}
    assert {"pyproject.toml", "_config.yml", "CITATION.cff", "colab_cell.py", "README.md"} <= named


def test_the_project_can_move(tmp_path, monkeypatch):
    for path in address.files():
        copy = tmp_path / path.relative_to(ROOT)
        copy.parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(path, copy)
    subprocess.run(["git", "init", "--quiet", tmp_path], check=True)
    monkeypatch.setattr(address, "ROOT", tmp_path)
    old = address.address()
    changed = {path.name for path in address.move("https://github.com/someone/else-where")}
    assert {"pyproject.toml", "_config.yml", "CITATION.cff", "colab_cell.py", "README.md"} <= changed
    assert address.address() == "https://github.com/someone/else-where"
    assert not [path for path in address.files() if old in path.read_text() and path.name != "test_repository.py"]
    with pytest.raises(ValueError, match="form https"):
        address.move("ftp://example.org")


def test_the_published_book_moves_with_the_project(tmp_path, monkeypatch):
    project, moved = "https://github.com/One/lab", "https://github.com/two/other"
    assert address.site(project) == "https://one.github.io/lab"
    text = "at https://one.github.io/lab/book/x.html, from github.com/One/lab"
    assert address.mentions(text, "lab") == ["one/lab", "One/lab"]
    (tmp_path / "pyproject.toml").write_text(f'[project.urls]\nRepository = "{project}"\n')
    (tmp_path / "page.md").write_text(text)
    subprocess.run(["git", "init", "--quiet", tmp_path], check=True)
    monkeypatch.setattr(address, "ROOT", tmp_path)
    address.move(moved)
    assert (tmp_path / "page.md").read_text() == "at https://two.github.io/other/book/x.html, from github.com/two/other"


def test_one_version():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    cited = re.search(r"^version: (\S+)$", (ROOT / "CITATION.cff").read_text(), re.MULTILINE).group(1)
    assert project["version"] == cited == difflab.__version__


def test_the_pins_are_inside_the_ranges():
    from packaging.requirements import Requirement

    lines = (ROOT / "requirements.txt").read_text().splitlines()
    pins = {r.name.lower(): str(r.specifier) for r in map(Requirement, filter(re.compile(r"^\w").match, lines))}
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    extras = project["optional-dependencies"]
    ranges = [Requirement(text) for text in project["dependencies"] + extras["book"] + extras["test"]]
    for wanted in ranges:
        version = pins[wanted.name.lower()].removeprefix("==")
        assert version in wanted.specifier, f"{wanted} does not allow the tested {version}"


# Notebooks


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_notebook_is_clean(path):
    raw = json.loads(path.read_text(encoding="utf-8"))
    notebook = nbformat.read(path, as_version=nbformat.NO_CONVERT)
    nbformat.validate(notebook)
    assert notebook.metadata.kernelspec.name == "python3"
    assert "widgets" not in notebook.metadata
    ids = [cell["id"] for cell in raw["cells"]]
    assert len(ids) == len(set(ids))
    for cell in notebook.cells:
        if cell.cell_type == "code":
            assert cell.outputs == [], f"cell {cell.id} has outputs: run make format"
            assert cell.execution_count is None, f"cell {cell.id} has a count: run make format"


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_first_code_cell_is_the_one_for_colab(path):
    first = next(cell for cell in nbformat.read(path, as_version=4).cells if cell.cell_type == "code")
    wanted = (ROOT / "book" / "colab_cell.py").read_text(encoding="utf-8").strip()
    assert wanted.startswith("# @title ") and len(wanted) <= 914  # folded on Colab, and no longer than it ever was
    assert first.source.strip() == wanted


def test_notebook_ids_are_stable():
    """Ids are names or numbers that somebody chose: none changes because a notebook was saved again."""
    for path in NOTEBOOKS:
        assert nbformat.read(path, as_version=4).nbformat_minor >= 5, f"{path.name} is older than cell ids"


# Size and contents


def test_tree_and_weights_are_small():
    sizes = {path: path.stat().st_size for path in tracked()}
    weights = [size for path, size in sizes.items() if path.is_relative_to(ROOT / "difflab" / "weights")]
    assert sum(sizes.values()) < 58 * MB
    assert 0 < sum(weights) < 44 * MB
    large = [path.name for path, size in sizes.items() if size > 15 * MB]
    assert not large, f"files above 15 MB: {large}"


def test_no_machine_paths():
    pattern = re.compile(r"(?<![\w.])/(?:home|root|Users|work|tmp|opt)/[\w.-]+")
    found = {
        path.relative_to(ROOT).as_posix(): pattern.findall(path.read_text(encoding="utf-8")) for path in address.files()
    }
    assert not {name: paths for name, paths in found.items() if paths}


def test_gitignore_hides_no_weights():
    listed = subprocess.run(
        ["git", "ls-files", "--others", "--ignored", "--exclude-standard", "difflab"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.splitlines()
    assert not [name for name in listed if "__pycache__" not in name]


# Links and alternative texts, in the sources


def markdown_of(path):
    if path.suffix == ".ipynb":
        return "\n".join(c.source for c in nbformat.read(path, as_version=4).cells if c.cell_type == "markdown")
    return path.read_text(encoding="utf-8")


@pytest.mark.parametrize(
    "path", [*PAGES, *NOTEBOOKS, ROOT / "README.md", ROOT / "CONTRIBUTING.md"], ids=lambda p: p.name
)
def test_links_and_pictures_of_a_source(path):
    text = re.sub(r"```\w*\n.*?```", "", markdown_of(path), flags=re.DOTALL)
    for bang, words, target in re.findall(r"(!?)\[([^\]]*)\]\(([^)\s]+)\)", text):
        if bang:
            assert words.strip(), f"the picture {target} has no alternative text"
        if not re.match(r"[a-z]+:|#", target):
            assert (path.parent / target.split("#")[0]).exists(), f"{path.name} links to {target}, which is not there"
    for target in re.findall(re.escape(f"{address.address()}/blob/main/") + r"([^)\s#]+)", text):
        assert (ROOT / target).exists(), f"{path.name} links to {target} of the project, which is not there"
    for block in re.findall(r"```\{(?:image|figure)\} (.*?)```", markdown_of(path), flags=re.DOTALL):
        assert re.search(r"^:alt: \S", block, re.MULTILINE), f"a picture has no alternative text: {block[:60]}"
        assert (path.parent / block.split()[0]).exists()


def test_links_to_the_projects_files_become_pages_of_the_book():
    to_own_pages = load(ROOT / "book" / "_ext" / "own_pages.py").to_own_pages
    app = SimpleNamespace(config=SimpleNamespace(html_theme_options={"repository_url": address.address()}))
    blob = f"{address.address()}/blob/main"
    source = [f"[3]({blob}/notebooks/03-clip.ipynb) [r]({blob}/book/report.md) [elsewhere](https://example.org/x.md)"]
    to_own_pages(app, "notebooks/04-cross-attention", source)
    assert source == ["[3](03-clip.ipynb) [r](../book/report.md) [elsewhere](https://example.org/x.md)"]


def test_every_page_of_the_contents_exists():
    listed = re.findall(r"^\s*(?:- file|root): (\S+)$", (ROOT / "_toc.yml").read_text(), re.MULTILINE)
    missing = [name for name in listed if not any((ROOT / f"{name}{suffix}").exists() for suffix in (".md", ".ipynb"))]
    assert listed and not missing


# The built book (after make book)


class Page(html.parser.HTMLParser):
    """What a built page links to, loads and shows."""

    def __init__(self, text):
        super().__init__()
        self.links, self.loads, self.silent, self.ids = [], [], [], set()
        self.feed(text)

    def handle_starttag(self, tag, attributes):
        attributes = dict(attributes)
        self.ids.add(attributes.get("id"))
        if tag == "a" and attributes.get("href"):
            self.links.append(attributes["href"])
        if tag in {"script", "img"} and attributes.get("src"):
            self.loads.append(attributes["src"])
        if tag == "link" and attributes.get("rel") in {"stylesheet", "preload"}:
            self.loads.append(attributes["href"])
        if tag == "img" and not (attributes.get("alt") or "").strip():
            self.silent.append(attributes.get("src", "")[:60])


@pytest.fixture(scope="module")
def built():
    """The pages of the built book by path; skips where `make book` has not run."""
    pages = {
        path: Page(path.read_text(encoding="utf-8"))
        for path in sorted(BUILT.rglob("*.html"))
        if "_static" not in path.parts and path.name not in {"genindex.html", "search.html"}
    }
    if not pages:
        pytest.skip("the book is not built: make book")
    return pages


def test_links_inside_the_built_book(built):
    broken = []
    for path, page in built.items():
        for link in [*page.links, *page.loads]:
            url = urllib.parse.urlsplit(link)
            if url.scheme or url.netloc:
                continue
            target = (path.parent / urllib.parse.unquote(url.path)).resolve() if url.path else path
            if not target.exists():
                broken.append((path.name, link))
            elif url.fragment and target in built and urllib.parse.unquote(url.fragment) not in built[target].ids:
                broken.append((path.name, link))
    assert not broken


def test_pictures_of_the_built_book_have_words(built):
    assert not {path.name: page.silent for path, page in built.items() if page.silent}


def test_the_built_book_needs_no_network(built):
    if not (BUILT / "_static" / "mathjax").exists():
        pytest.skip("built without npm, so its equations need a network")
    loaded = {load for page in built.values() for load in page.loads if re.match(r"(https?:)?//", load)}
    assert not loaded

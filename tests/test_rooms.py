"""The package's rooms: who may import whom, what stands in the standard library's place, and names that stay."""

import ast
import importlib
import importlib.util
import inspect
import json
import pathlib
import re
import subprocess
import sys
import tomllib

import pytest

import difflab

ROOT = pathlib.Path(__file__).resolve().parent.parent
PACKAGE = ROOT / "difflab"
FILES = sorted(PACKAGE.rglob("*.py"))

#: From the lowest to the highest: a room imports from its own floor and from those below.
FLOORS = (
    "checks files world",
    "schedule condition loop samplers guidance toy2d exercises",  # the spine, and what stands beside it
    "inputs attention latent cost",
    "model masks",
    "loading",
    "clip applications metrics judge readers claims",
    "planning",
    "show widgets",
    "train",
    "parity report export demo doctor classroom",
    "cli __init__",
)
FLOOR = {room: number for number, rooms in enumerate(FLOORS) for room in rooms.split()}
SPINE = "checks schedule condition loop samplers guidance".split()
OPENED_BY = {  # what is for people, and who in the package opens it; besides, the book and the notebooks do
    "show": {"widgets", "demo", "cli"},
    "widgets": set(),
    "parity": set(),
    "report": {"cli"},
    "export": {"cli"},
    "demo": {"cli"},
    "doctor": {"cli"},
    "classroom": {"cli"},
}
PUBLISHED_AS = {"PIL": "pillow", "IPython": "ipython"}  # where a package's name is not its distribution's


def room(path):
    """The room that a file of the package is in: the name of its folder or file under difflab/."""
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


def imports(path):
    """What a file imports, with what it imports inside of functions: full dotted names."""
    package = ["difflab", *path.relative_to(PACKAGE).parts[:-1]]
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else []
            whole = ".".join([*base, *([node.module] if node.module else [])])
            yield from (f"{whole}.{alias.name}" for alias in node.names)


def rooms_seen(path):
    """The rooms of the package that a file imports from, its own aside."""
    found = {name.split(".")[1] for name in imports(path) if name.startswith("difflab.")}
    return {name for name in found if name in FLOOR} - {room(path)}


def test_every_file_is_in_a_room():
    assert {room(path) for path in FILES} == set(FLOOR), "draw the new room into FLOORS, or take the old one out"


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.relative_to(PACKAGE).as_posix())
def test_no_room_imports_a_higher_one(path):
    higher = {other for other in rooms_seen(path) if FLOOR[other] > FLOOR[room(path)]}
    assert not higher, f"{room(path)} is below {', '.join(sorted(higher))}"


def test_the_world_stands_alone():
    assert not [path.name for path in FILES if room(path) == "world" and rooms_seen(path)]


def test_the_spine_needs_torch_only():
    for name in SPINE:
        third = {each.split(".")[0] for each in imports(PACKAGE / f"{name}.py")} - set(sys.stdlib_module_names)
        assert third <= {"torch", "difflab"}, name
        assert rooms_seen(PACKAGE / f"{name}.py") <= set(SPINE), name


def test_what_is_for_people_is_opened_by_people():
    for path in FILES:
        opened = {other for other in rooms_seen(path) if room(path) not in OPENED_BY.get(other, FLOOR)}
        assert not opened, f"{room(path)} opens {opened}"


def test_plots_and_controls_are_drawn_in_two_rooms():
    for path in FILES:
        drawn = {name.split(".")[0] for name in imports(path)} & {"matplotlib", "ipywidgets", "IPython"}
        assert not drawn or room(path) in ("show", "widgets"), f"{path.name} draws with {drawn}"


def test_what_is_imported_is_declared():
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = [text for extra in project["optional-dependencies"].values() for text in extra]
    declared = {re.match(r"[\w-]+", text)[0].lower() for text in project["dependencies"] + extras}
    found = {name.split(".")[0] for path in FILES for name in imports(path)} - set(sys.stdlib_module_names)
    found = {PUBLISHED_AS.get(name, name.replace("_", "-")).lower() for name in found - {"difflab"}}
    assert found <= declared, f"undeclared: {found - declared}"


def test_no_module_hides_a_function():
    functions = {name: value for name in difflab.__all__ if not inspect.ismodule(value := getattr(difflab, name))}
    for path in FILES:
        if path.name != "__main__.py":
            parts = path.relative_to(ROOT).with_suffix("").parts
            importlib.import_module(".".join(part for part in parts if part != "__init__"))
    assert all(getattr(difflab, name) is value for name, value in functions.items())
    with pytest.raises(AttributeError, match="nonsense"):
        difflab.nonsense  # noqa: B018


HELP = "import typer.testing; import difflab.cli; typer.testing.CliRunner().invoke(difflab.cli.app, ['--help'])"


@pytest.mark.parametrize("command", ["import difflab", "import difflab.cli", HELP, "from difflab import world"])
def test_the_door_is_light(command):
    """What the command line and a first import open must not wait for torch."""
    script = f"import sys; {command}; print(sorted({{'torch', 'diffusers', 'matplotlib'}} & set(sys.modules)))"
    answer = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, cwd=ROOT)
    assert answer.stdout.strip() == "[]"


@pytest.mark.parametrize("path", sorted((ROOT / "notebooks").glob("*.ipynb")), ids=lambda path: path.stem)
def test_what_a_chapter_takes_from_the_package_is_there(path):
    """Told in a second, where running the chapter takes a minute: names that moved."""
    cells = json.loads(path.read_text(encoding="utf-8"))["cells"]
    rooms, asked = {"difflab": "difflab"}, []
    for source in ("".join(cell["source"]) for cell in cells if cell["cell_type"] == "code"):
        for node in ast.walk(ast.parse(re.sub(r"^[%!].*$", "", source, flags=re.MULTILINE))):
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("difflab"):
                asked += [(node.module, alias.name) for alias in node.names]
                if node.module == "difflab":
                    rooms |= {alias.asname or alias.name: f"difflab.{alias.name}" for alias in node.names}
            elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id in rooms:
                asked.append((rooms[node.value.id], node.attr))
    assert not [f"{module}.{name}" for module, name in asked if not is_there(module, name)]


def is_there(module, name):
    """Whether the package has that name in that module, or in what bears the module's name (a function, a class)."""
    owner, _, last = module.rpartition(".")
    found = getattr(importlib.import_module(owner), last, None) if owner else None
    found = found or importlib.import_module(module)
    if hasattr(found, name):
        return True
    return hasattr(found, "__path__") and importlib.util.find_spec(f"{module}.{name}") is not None


def test_a_name_that_moved_is_noticed():
    assert is_there("difflab", "text_to_image") and is_there("difflab.train", "recipes")
    assert not is_there("difflab.masks", "seam") and not is_there("difflab.report", "Scales")

"""The project's address: pyproject.toml says it, every other file that names it has to agree.

`python book/address.py` prints it; `python book/address.py https://github.com/YOU/NAME` moves the project there.
"""

import pathlib
import re
import subprocess
import sys
import tomllib

ROOT = pathlib.Path(__file__).resolve().parent.parent


def address():
    """The address that pyproject.toml gives."""
    return tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["urls"]["Repository"]


def files():
    """The project's own text files: what git tracks, and what is new and not ignored."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=ROOT,
        check=True,
        capture_output=True,
    ).stdout.decode()
    suffixes = {"", ".bib", ".cff", ".cfg", ".css", ".html", ".ipynb", ".json", ".md", ".mjs", ".py", ".svg", ".toml"}
    suffixes |= {".txt", ".yml", ".yaml"}
    paths = sorted(ROOT / name for name in set(listed.split("\0")) if name)
    return [path for path in paths if path.is_file() and path.suffix in suffixes]


def site(project):
    """Where GitHub Pages puts the book of the project at this address."""
    owner, name = project.removeprefix("https://github.com/").split("/")
    return f"https://{owner.lower()}.github.io/{name}"


def mentions(text, name):
    """The addresses of a project of this name in a text, as owner/name: github.com/..., Colab's form, and its pages."""
    name = re.escape(name)
    found = re.findall(rf"github(?:\.com)?/([\w.-]+)/({name})\b|([\w-]+)\.github\.io/({name})\b", text)
    return ["/".join(filter(None, parts)) for parts in found]


def move(new):
    """Rewrite every mention of the address to `new`; returns the files changed.

    Raises ValueError where `new` is not of the form https://github.com/OWNER/NAME.
    """
    if not re.fullmatch(r"https://github\.com/[\w.-]+/[\w.-]+", new):
        raise ValueError(f"the address is {new!r}: give one of the form https://github.com/OWNER/NAME")
    old = address()
    old_slug, new_slug = (text.removeprefix("https://github.com/") for text in (old, new))
    pattern = re.compile(rf"(github(?:\.com)?/){re.escape(old_slug)}(?![\w-])")
    changed = []
    for path in files():
        text = path.read_text(encoding="utf-8")
        moved = pattern.sub(rf"\g<1>{new_slug}", text).replace(site(old), site(new))
        if moved != text:
            path.write_text(moved, encoding="utf-8")
            changed.append(path)
    return changed


if __name__ == "__main__":
    if len(sys.argv) == 1:
        print(address())
    else:
        try:
            for path in move(sys.argv[1].rstrip("/")):
                print(path.relative_to(ROOT))
        except ValueError as error:
            sys.exit(f"error: {error}")

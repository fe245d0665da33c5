"""The book as a book: its heads and glossary, licenses and citation, workflows; and the built pages in a browser."""

import fnmatch
import html
import importlib.util
import json
import pathlib
import re
import struct
import tomllib
from types import SimpleNamespace

import nbformat
import pytest
import yaml
from docutils import nodes
from docutils.core import publish_doctree

from difflab.classroom.chapter import sections

ROOT = pathlib.Path(__file__).resolve().parent.parent
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
BUILT = ROOT / "_build" / "html"
WORKFLOWS = sorted((ROOT / ".github" / "workflows").glob("*.yml"))


def extension(name):
    """A module of the book's own Sphinx extensions."""
    spec = importlib.util.spec_from_file_location(name, ROOT / "book" / "_ext" / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def contents():
    """The pages of the table of contents, in order."""
    return re.findall(r"(?:file|root): (\S+)", (ROOT / "_toc.yml").read_text())


# The head of a chapter


def test_every_chapter_says_what_comes_before_it():
    heads, order = extension("chapter_heads"), contents()
    assert set(heads.BEFORE) == {f"notebooks/{path.stem}" for path in NOTEBOOKS}
    for chapter, before in heads.BEFORE.items():
        assert all(order.index(name) < order.index(chapter) for name in before), chapter


def test_a_head_counts_words_and_exercises_and_not_what_code_prints():
    heads = extension("chapter_heads")
    page = publish_doctree("Title\n=====\n\n" + "word " * 398 + "\n\nExercise 1: this\n----------------\n\nText.")
    printed = nodes.container("", nodes.literal_block("", "number " * 5000), classes=["cell_output"])
    page += printed
    assert heads.words(page) == 1 + 398 + 3 + 1
    assert heads.facts(page, None) == ["about 2 minutes to read", "1 exercise to do"]
    assert "31 seconds to run (when this book was built, on one core)" == heads.facts(page, 31.4)[1]


# Numbers of chapters and figures; docstrings


def test_a_chapter_has_its_number_before_its_title():
    numbers = extension("chapter_numbers")
    order = [numbers.number(name) for name in contents() if name.startswith("notebooks/")]
    assert order == list(range(1, len(NOTEBOOKS) + 1)) and numbers.number("book/report") is None
    page = publish_doctree("Guidance\n========\n\nText.")
    numbers.entitle(SimpleNamespace(env=SimpleNamespace(docname="notebooks/07-guidance")), page)
    assert page.next_node(nodes.title).astext() == "7. Guidance"


def test_figures_are_numbered_in_the_order_of_the_page():
    """Those that code draws, with a caption in the output, and those of the text."""
    numbers = extension("chapter_numbers")
    page = publish_doctree("A\n=\n\n.. figure:: a.svg\n\n   What it is.\n\n.. image:: b.svg\n")
    drawn = '<figure><img><figcaption style="x"><span>Curves.</span></figcaption></figure>'
    page += nodes.raw("", drawn, format="html")
    page += nodes.raw("", "<table></table>", format="html")
    numbers.number_figures(page, "7.")
    assert [caption.astext() for caption in page.findall(nodes.caption)] == ["Figure 7.1. What it is."]
    drawn, table = page.findall(nodes.raw)
    assert '<figcaption style="x"><b>Figure 7.2.</b> <span>Curves.' in drawn.astext() and drawn["format"] == "html"
    assert table.astext() == "<table></table>"


def test_docstrings_become_lists():
    as_list = extension("plain_docstrings").as_list
    said = [
        "Outside: no list, but a sentence.",
        "",
        "x: (B, 4, h, w), which goes on",
        "    here, and here where it is",
        "not indented. t: a timestep, None: none",
        "a, b: more. Such as these.",
        "Raises ValueError for others.",
        "",
        "    y = x + 1",
    ]
    assert as_list(said) == [
        "Outside: no list, but a sentence.",
        "",
        "- ``x``: (B, 4, h, w), which goes on here, and here where it is not indented.",
        "- ``t``: a timestep, None: none",
        "- ``a, b``: more. Such as these.",
        "",
        "Raises ValueError for others.",
        "",
        ".. code-block:: text",
        "",
        "    y = x + 1",
    ]


# The glossary


def glossary():
    """Every entry of the glossary: its names, and its text."""
    body = re.search(r"```\{glossary\}\n:sorted:\n(.*?)\n```", (ROOT / "book" / "glossary.md").read_text(), re.DOTALL)
    entries = re.findall(r"^((?:\S.*\n)+)((?: {2}.*\n|\n)+)", body[1] + "\n", re.MULTILINE)
    return [(names.splitlines(), text) for names, text in entries]


def source(page):
    """What a page says, in words: hyphens, underscores and line ends count as spaces."""
    path = (ROOT / "book" / page).resolve()
    text = path.read_text(encoding="utf-8")
    if path.suffix == ".ipynb":
        text = "\n".join(cell.source for cell in nbformat.reads(text, as_version=4).cells)
    return " ".join(re.split(r"[\s_*-]+", text)).lower()


def test_every_term_is_said_on_the_page_that_it_links_to():
    cited = re.findall(r"^@\w+\{(\w+),", (ROOT / "book" / "references.bib").read_text(), re.MULTILINE)
    entries = glossary()
    assert len(entries) > 30
    for names, text in entries:
        (page, *_) = re.findall(r"\]\(([^)#]+)\)", text)
        said = source(page)
        assert any(" ".join(re.split(r"[\s-]", name)).lower() in said for name in names), f"{names}: not in {page}"
        assert set(re.findall(r"`(\w+\d{4}\w+)`", text)) <= set(cited), names
        assert 1 <= len(re.findall(r"[.?!](?=\s|$)", text.split("\n\n")[0])) <= 4, f"{names}: not a few sentences"


def test_a_term_is_linked_once_and_only_in_running_text():
    links = extension("glossary_links")
    page = publish_doctree(
        "The latent\n==========\n\nIn ``latent`` code, Latents first; then\na noise\nschedule, then a latent again."
    )
    terms = [("latent", "term-latent", "A small array."), ("noise schedule", "term-noise", "How much noise.")]
    links.mark(page, terms, "glossary.html")
    found = [(link.astext(), link["refuri"], link["reftitle"]) for link in page.findall(nodes.reference)]
    assert found == [
        ("Latents", "glossary.html#term-latent", "A small array."),
        ("noise\nschedule", "glossary.html#term-noise", "How much noise."),
    ]
    assert "again" in page.astext() and "first; then" in page.astext()


# Exercises


def test_a_solution_is_folded_below_its_check_and_no_hidden_check_is_shown():
    page = publish_doctree("Exercise 1\n==========\n\nText.")
    for grade_id in ("sum", "sum-check", None):
        mark = {"nbgrader": {"grade_id": grade_id}} if grade_id else {}
        page += nodes.container(nb_element="cell_code", cell_metadata=mark, classes=["cell"])
    page += nodes.paragraph("", "After.")
    answers = {"sum": "def add(a, b):\n    return a + b", "sum-hidden": "assert add(2, 3) == 5"}
    extension("exercises").place(page, answers)
    ids = [node.get("cell_metadata", {}).get("nbgrader", {}).get("grade_id") for node in page[-5:]]
    assert ids[:2] == ["sum", "sum-check"] and page[-1].astext() == "After."
    answer, check, shown = page[-5:-2]
    assert "hide_mode" not in answer and check["hide_mode"] == shown["hide_mode"] == "all"
    assert shown.astext() == answers["sum"]
    assert "assert" not in page.astext()


def test_a_built_chapter_shows_its_solutions_and_no_hidden_check():
    pages = sorted((BUILT / "notebooks").glob("*.html"))
    if not pages:
        pytest.skip("the book is not built: make book")
    for page in pages:
        text = html.unescape(re.sub(r"<[^>]+>", "", page.read_text(encoding="utf-8")))
        found = sections(ROOT / "notebooks" / "answers" / f"{page.stem}.py")
        assert text.count("Show a solution") == len(found) / 2, page
        for name, (source, _) in found.items():
            assert (source in text) == (not name.endswith("-hidden")), f"{page}: {name}"


# Licenses, citation, card


def test_the_licenses_agree():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert citation["license"] == [project["license"], "CC-BY-4.0"] == ["Apache-2.0", "CC-BY-4.0"]
    text = (ROOT / "LICENSE-text").read_text(encoding="utf-8")
    assert text.startswith("Attribution 4.0 International") and len(text.split()) > 2500
    for name in ("README.md", "NOTICE", "book/about.md"):
        said = " ".join((ROOT / name).read_text().split())
        assert "LICENSE-text" in said and "Apache" in said, name
        assert "CC BY 4.0" in said or "Attribution 4.0" in said, name


def test_the_citation_is_the_same_everywhere():
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    bibtex = dict(re.findall(r"^  (\w+) = \{(.*)\},?$", (ROOT / "book" / "about.md").read_text(), re.MULTILINE))
    assert bibtex == {
        "title": citation["title"],
        "author": "{" + citation["authors"][0]["name"] + "}",
        "version": str(citation["version"]),
        "year": str(citation["date-released"].year),
        "url": citation["repository-code"],
    }


def test_the_social_card_is_small_and_of_the_usual_shape():
    card = (ROOT / "book" / "_static" / "social-card.jpg").read_bytes()
    frame = re.search(rb"\xff[\xc0-\xc2]..(.)(....)", card, re.DOTALL)
    height, width = struct.unpack(">HH", frame[2])
    assert (width, height) == (1200, 630) and len(card) < 150_000


@pytest.fixture(scope="module")
def noticed():
    """The files beside the built pages that NOTICE names, as patterns of paths."""
    if not (BUILT / "index.html").exists():
        pytest.skip("the book is not built: make book")
    named = re.findall(r"^Files:(.*?)^[FL]", (ROOT / "NOTICE").read_text(encoding="utf-8"), re.DOTALL | re.MULTILINE)
    return re.findall(r"_static/[^\s,]+", "".join(named))


def test_everything_by_others_beside_the_pages_is_noticed(noticed):
    live = json.loads((BUILT / "_static" / "live" / "manifest.json").read_text(encoding="utf-8"))
    own = {path.relative_to(ROOT / "book").as_posix() for path in (ROOT / "book" / "_static").rglob("*")}
    own |= {f"_static/live/{entry['file']}" for entry in live["files"].values()}
    own |= {"_static/live/manifest.json", "_static/live/fallback.png"}
    own |= {f"_static/live/{entry[kind]}" for entry in live["stored"] for kind in ("png", "latent")}
    beside = {path.relative_to(BUILT).as_posix() for path in (BUILT / "_static").rglob("*") if path.is_file()}
    unknown = {path for path in beside - own if not any(fnmatch.fnmatch(path, pattern) for pattern in noticed)}
    assert not unknown, f"whose are these? NOTICE does not say: {sorted(unknown)}"


def test_what_is_noticed_is_there(noticed, offline_math):
    beside = [path.relative_to(BUILT).as_posix() for path in (BUILT / "_static").rglob("*")]
    assert not [pattern for pattern in noticed if not fnmatch.filter(beside, pattern)]


# Workflows


@pytest.mark.parametrize("path", WORKFLOWS, ids=lambda path: path.stem)
def test_a_workflow_only_calls_make(path):
    workflow = yaml.safe_load(path.read_text())
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    assert workflow["permissions"] == {"contents": "read"}
    steps = [step for job in workflow["jobs"].values() for step in job["steps"]]
    for step in steps:
        if "run" in step:
            make, target = step["run"].split()
            assert make == "make" and target in targets, step
        else:
            assert re.fullmatch(r"actions/[\w-]+@v\d+", step["uses"]), step


def test_the_workflows_do_what_is_wanted():
    run = {path.stem: re.findall(r"run: (.*)", path.read_text()) for path in WORKFLOWS}
    assert run == {
        "test": ["make lint", "make chapters", "make book", "make test"],
        "pages": ["make book"],
        "weekly": ["make test-newest"],
    }
    assert yaml.safe_load((ROOT / ".github/workflows/test.yml").read_text())["jobs"]["test"]["strategy"]["matrix"] == {
        "python": ["3.11", "3.13"]
    }


# The built pages, in a browser


PAGES = [name for name in contents() if (BUILT / f"{name}.html").exists()]


class Watched:
    """A page of the browser that remembers what went wrong: requests to other hosts, errors, answers that failed."""

    def __init__(self, browser, host, **settings):
        self.context = browser.new_context(**settings)
        self.page, self.wrong = self.context.new_page(), []
        self.page.on("request", lambda request: self.local(request.url, host))
        self.page.on("console", lambda said: said.type == "error" and self.wrong.append(said.text))
        self.page.on("pageerror", lambda error: self.wrong.append(str(error)))
        self.page.on("response", lambda answer: answer.status >= 400 and self.wrong.append(answer.url))

    def local(self, url, host):
        if not url.startswith((host, "data:", "blob:")):
            self.wrong.append(f"a request to another host: {url}")

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.context.close()


EQUATIONS_SET = """async () => {
  if (!document.querySelector(".math")) return true;
  await MathJax.startup.promise;
  return document.querySelectorAll("mjx-container").length >= document.querySelectorAll(".math").length;
}"""
WIDER = "document.documentElement.scrollWidth - document.documentElement.clientWidth"


@pytest.fixture(scope="module")
def offline_math():
    if not (BUILT / "_static" / "mathjax").exists():
        pytest.skip("built without npm, so its equations need a network")


@pytest.mark.slow
def test_every_page_shows_itself_alone(site, chromium, offline_math):
    faults = {}
    with Watched(chromium, site) as watched:
        for name in PAGES:
            watched.wrong.clear()
            watched.page.set_viewport_size({"width": 1280, "height": 900})
            watched.page.goto(f"{site}/{name}.html", wait_until="load")
            if not watched.page.evaluate(EQUATIONS_SET):
                watched.wrong.append("equations are not set")
            for width in (1280, 390):
                watched.page.set_viewport_size({"width": width, "height": 900})
                if watched.page.evaluate(WIDER) > 0:
                    watched.wrong.append(f"wider than a screen of {width} pixels")
            if watched.wrong:
                faults[name] = list(watched.wrong)
    assert PAGES and not faults


CUT = """() => {
  document.querySelectorAll("details").forEach(fold => fold.open = true)
  const code = [...document.querySelectorAll(".bd-article .highlight pre")]
  return code.filter(pre => pre.scrollWidth > pre.clientWidth).map(pre => pre.innerText.split("\\n")[0])
}"""


@pytest.mark.slow
def test_no_code_is_cut(site, chromium):
    """At 1280 pixels no code, or what it prints, leaves its frame: the 88 columns that ruff asks for fit."""
    page, cut = chromium.new_page(viewport={"width": 1280, "height": 900}), {}
    for name in PAGES:
        page.goto(f"{site}/{name}.html", wait_until="load")
        cut[name] = page.evaluate(CUT)
    page.close()
    assert PAGES and not {name: lines for name, lines in cut.items() if lines}


def test_search_finds_a_word(site, chromium, offline_math):
    with Watched(chromium, site) as watched:
        watched.page.goto(f"{site}/search.html?q=guidance")
        watched.page.wait_for_selector("ul.search li a", timeout=10_000)
        found = watched.page.eval_on_selector_all("ul.search li a", "links => links.map(link => link.href)")
        assert any("07-guidance" in link for link in found)
        assert not watched.wrong


def test_the_theme_switches_to_dark_and_pictures_stay_as_they_are(site, chromium):
    with Watched(chromium, site, color_scheme="light", viewport={"width": 1280, "height": 900}) as watched:
        page = watched.page
        page.goto(f"{site}/book/one-loop.html")
        for _ in range(3):  # the button goes around: light, dark, as the system has it
            if page.evaluate("document.documentElement.dataset.theme") == "dark":
                break
            page.locator(".theme-switch-button:visible").first.click()
        style = "getComputedStyle(document.querySelector('{}')).{}"
        assert page.evaluate("document.documentElement.dataset.theme") == "dark"
        assert max(map(int, re.findall(r"\d+", page.evaluate(style.format("body", "backgroundColor")))[:3])) < 60
        assert page.evaluate(style.format("img.four-openings", "filter")) == "none"


def test_a_page_opens_from_a_file(site, chromium, offline_math):
    with Watched(chromium, "file://") as watched:
        watched.page.goto((BUILT / "notebooks" / "01-forward-and-reverse.html").as_uri())
        assert watched.page.evaluate(EQUATIONS_SET)
        assert watched.page.locator(".chapter-head").inner_text().count("minutes to read") == 1
        watched.page.goto((BUILT / "search.html").as_uri() + "?q=guidance")
        watched.page.wait_for_selector("ul.search li a", timeout=10_000)
        assert not [fault for fault in watched.wrong if "another host" in fault]


def test_on_paper_a_page_has_no_sidebars(site, chromium):
    with Watched(chromium, site, viewport={"width": 1280, "height": 900}) as watched:
        watched.page.goto(f"{site}/book/one-loop.html")
        watched.page.emulate_media(media="print")
        for part in (".bd-sidebar-primary", ".bd-header-article"):
            assert not watched.page.locator(part).first.is_visible(), part
        assert watched.page.locator("img.four-openings").is_visible()
        assert watched.page.locator("h1:visible").count() == 1


@pytest.mark.parametrize("name", ["book/preface", "notebooks/02-text-to-image"])
def test_a_page_describes_itself_to_other_sites(site, name):
    text = (BUILT / f"{name}.html").read_text(encoding="utf-8")
    told = dict(re.findall(r'<meta property="og:(\S+)" content="(.*?)"', text))
    repository = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["urls"]["Repository"]
    owner, project = repository.split("/")[-2:]
    home = f"https://{owner.lower()}.github.io/{project}/"
    assert told["url"] == f"{home}{name}.html" and told["image"] == f"{home}_static/social-card.jpg"
    assert told["image:alt"] and (BUILT / "_static" / "social-card.jpg").exists()
    assert '<html lang="en"' in text and "skip" in text.lower()

"""The ledger: the survey's list, and what the executed chapters claim of it."""

import json
import pathlib
import sys

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_notebook, new_output

from difflab import claims

ROOT = pathlib.Path(__file__).resolve().parent.parent
BUILT = ROOT / "_build" / "jupyter_execute"

# The chapters whose claims are due, by number: every id of the survey that these alone have to measure has to be in the
# ledger. A chapter is entered here by the change that makes its claims. In the end all eleven are, and stay.
CLAIMS_DUE: set[int] = set()


@pytest.fixture(scope="module")
def ledger():
    sys.path.insert(0, str(ROOT / "book" / "_ext"))
    import ledger

    yield ledger
    sys.path.remove(str(ROOT / "book" / "_ext"))


def claim(id, verdict=claims.HOLDS):
    decided = claims.exact(0.5, 1 if verdict != claims.FAILS else 0)
    condition = "in <the> plane" if verdict == claims.CONDITIONAL else None
    return claims.claim(id, "It is {value} & more.", decided, condition=condition, holds=verdict != claims.FAILS)


def executed(folder, name, *made):
    """A notebook as a build leaves it: each claim in the output of a cell, among other outputs."""
    cells = [new_code_cell("print(1)", outputs=[new_output("stream", text="1")])]
    for each in made:
        bundle = each._repr_mimebundle_()
        cells.append(new_code_cell("claim(...)", outputs=[new_output("execute_result", data=bundle)]))
    (folder / "notebooks").mkdir(parents=True, exist_ok=True)
    notebook = new_notebook(cells=cells, metadata={"language_info": {"name": "python", "pygments_lexer": "ipython3"}})
    nbformat.write(notebook, folder / "notebooks" / f"{name}.ipynb")


@pytest.fixture
def run(tmp_path):
    """Two chapters that were run: one is never mentioned by the other."""
    executed(tmp_path, "07-guidance", claim("G1", claims.CONDITIONAL), claim("G5", claims.FAILS), claim("own.one"))
    executed(tmp_path, "08-sdedit", claim("E1"))
    executed(tmp_path, "01-forward")
    return tmp_path


def test_the_survey_is_whole(ledger):
    entries = ledger.survey()
    ids = [entry["id"] for entry in entries]
    assert len(ids) == len(set(ids)) == 59
    assert {chapter for entry in entries for chapter in entry["chapters"]} == set(range(1, 24))
    assert all(entry["says"].strip() and entry["measured"].strip() for entry in entries)


def test_claims_are_read_from_the_outputs(ledger, run):
    made = ledger.claims_in(run)
    assert {page: [each["id"] for each in found] for page, found in made.items()} == {
        "notebooks/01-forward": [],
        "notebooks/07-guidance": ["G1", "G5", "own.one"],
        "notebooks/08-sdedit": ["E1"],
    }
    assert made["notebooks/08-sdedit"][0] == json.loads(json.dumps(claim("E1").data()))


def test_every_claim_of_the_survey_has_a_verdict_and_all_are_counted(ledger, run):
    made = ledger.claims_in(run)
    said = {entry["id"]: ledger.verdicts(entry, made) for entry in ledger.survey()}
    assert said["G1"] == [claims.CONDITIONAL] and said["G5"] == [claims.FAILS] and said["E1"] == [claims.HOLDS]
    assert said["F1"] == said["F3"] == said["E2"] == [ledger.UNDECIDED], "these chapters are there"
    assert said["C4"] == said["T1"] == [ledger.OPEN], "and these are not"
    found = ledger.counts(ledger.survey(), made)
    assert sum(found.values()) == 59 and [found[v] for v in claims.SIGNS] == [1, 1, 1]


def test_of_two_chapters_the_worse_verdict_counts(ledger, run):
    executed(run, "02-text", claim("E1", claims.FAILS))
    found = ledger.counts(ledger.survey(), ledger.claims_in(run))
    assert found[claims.HOLDS] == 0 and found[claims.FAILS] == 2


def test_the_page_says_what_was_found_and_links_to_it(ledger, run):
    made = ledger.claims_in(run)
    part = ledger.survey_part(made, lambda page: f"../{page}.html")
    (row,) = [line for line in part.splitlines() if line.startswith('<tr id="G1">')]
    assert "◐ holds with a condition</b> (in &lt;the&gt; plane): It is 0.5 &amp; more." in row
    assert '<a href="../notebooks/07-guidance.html#claim-G1">chapter 7</a>' in row
    assert part.count("<tr id=") == 59 and "chapters 12 and 13" in part
    own = ledger.own_part(made, str)
    assert "own.one" in own and "G1" not in own and own.count("<tr>") == 2
    assert "none yet" in ledger.own_part({}, str)


@pytest.mark.slow
def test_a_book_of_one_chapter_has_its_ledger(tmp_path):
    """From executed notebook to page, by Sphinx itself: nothing warns, and the link leads to the claim."""
    from sphinx.application import Sphinx

    executed(tmp_path / "source", "07-guidance", claim("G1", claims.CONDITIONAL))
    notebook = nbformat.read(tmp_path / "source/notebooks/07-guidance.ipynb", as_version=4)
    notebook.cells.insert(0, nbformat.v4.new_markdown_cell("# Guidance"))
    nbformat.write(notebook, tmp_path / "source/notebooks/07-guidance.ipynb")
    (tmp_path / "source/book").mkdir()
    (tmp_path / "source/book/ledger.md").write_text("# Ledger\n\n```{ledger} counts\n```\n\n```{ledger} survey\n```\n")
    (tmp_path / "source/index.md").write_text("# B\n\n```{toctree}\nbook/ledger\nnotebooks/07-guidance\n```\n")
    settings = {
        "extensions": ["myst_nb", "chapter_numbers", "ledger"],
        "nb_execution_mode": "off",
        "suppress_warnings": ["mystnb.unknown_mime_type"],
    }
    sys.path.insert(0, str(ROOT / "book" / "_ext"))
    try:
        folders = [tmp_path / name for name in ("source", "build/html", "build/trees")]
        app = Sphinx(folders[0], None, *folders[1:], "html", settings, status=None, warningiserror=True)
        app.build()
    finally:
        sys.path.remove(str(ROOT / "book" / "_ext"))
    chapter = (tmp_path / "build/html/notebooks/07-guidance.html").read_text()
    page = (tmp_path / "build/html/book/ledger.html").read_text()
    assert "<h1>7. Guidance" in chapter and 'id="claim-G1"' in chapter and claims.MIME not in chapter
    assert 'href="../notebooks/07-guidance.html#claim-G1"' in page and "holds with a condition</b>: 1<" in page


# What the book itself claims


def made_in_this_build(ledger):
    if not BUILT.exists():
        pytest.skip("the book is not built: make book")
    return ledger.claims_in(BUILT)


def test_no_due_claim_is_missing(ledger):
    made = made_in_this_build(ledger)
    due = [entry for entry in ledger.survey() if set(entry["chapters"]) <= CLAIMS_DUE]
    missing = [entry["id"] for entry in due if ledger.verdicts(entry, made) == [ledger.UNDECIDED]]
    assert not missing, f"claims of the survey that their chapters do not make: {missing}"


def test_a_chapter_makes_a_claim_once(ledger):
    """Two lines of one name could not be told apart by a link."""
    names = {page: [claim["id"] for claim in found] for page, found in made_in_this_build(ledger).items()}
    assert not {page: found for page, found in names.items() if len(found) != len(set(found))}

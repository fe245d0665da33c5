"""The ledger: what the field says, beside what this very build has measured.

Claims carry themselves as data in the outputs of the cells that make them (difflab.claims). MyST-NB writes every page
that it has run, with these outputs, as a notebook beside the pages; the ledger is read from there. In the page,
`{ledger} counts`, `{ledger} survey` and `{ledger} own` say where its three parts go.
"""

import html
import json
import pathlib
from collections import Counter

import nbformat
from chapter_numbers import number
from docutils import nodes
from docutils.parsers.rst import Directive

from difflab import claims

PAGE = "book/ledger"
SURVEY = pathlib.Path(__file__).parent.parent / "claims.json"
UNDECIDED, OPEN = "not decided yet", "open"
SIGNS = claims.SIGNS | {UNDECIDED: "…", OPEN: "○"}


def survey():
    """The field's claims, in order: id, what is said, the chapters where it is measured, and how it can be."""
    return json.loads(SURVEY.read_text(encoding="utf-8"))


def claims_of(path):
    """The claims that a notebook's outputs carry, in the order of the page."""
    cells = nbformat.read(path, as_version=4).cells
    outputs = [output for cell in cells for output in cell.get("outputs", [])]
    return [output["data"][claims.MIME] for output in outputs if claims.MIME in output.get("data", {})]


def claims_in(folder):
    """Of every chapter that was run into this folder, from its page's name to its claims."""
    found = sorted(pathlib.Path(folder).glob("notebooks/[0-9]*.ipynb"))
    return {f"notebooks/{path.stem}": claims_of(path) for path in found}


def verdicts(entry, made):
    """What became of one of the survey's claims: the verdicts of the chapters that make it, or why there is none."""
    found = [claim["verdict"] for each in made.values() for claim in each if claim["id"] == entry["id"]]
    there = {number(page) for page in made}
    return found or [UNDECIDED if there & set(entry["chapters"]) else OPEN]


def counts(entries, made):
    """How many of the survey's claims came to which verdict; one that has several counts as the worst of them."""
    order = list(SIGNS)
    worst = Counter(max(verdicts(entry, made), key=order.index) for entry in entries)
    return {verdict: worst[verdict] for verdict in order}


# -- as HTML ----------------------------------------------------------------------------------------------------------


def badge(verdict):
    return f'<b class="verdict" data-verdict="{verdict}">{SIGNS[verdict]} {verdict}</b>'


def finding(claim, page, address):
    """A claim as this build made it, with a link to the place where it did."""
    condition = f" ({html.escape(claim['condition'])})" if claim["condition"] else ""
    where = f'<a href="{address(page)}#claim-{html.escape(claim["id"])}">chapter {number(page)}</a>'
    sentence, how = html.escape(claim["sentence"]), html.escape(claim["evidence"]["how"])
    return f"<p>{badge(claim['verdict'])}{condition}: {sentence} <small>{how}; {where}</small></p>"


def waiting(entry, verdict):
    """What is said of a claim that no chapter has made yet."""
    chapters = " and ".join(map(str, entry["chapters"]))
    word = "chapter" if len(entry["chapters"]) == 1 else "chapters"
    measure = html.escape(entry["measured"])
    return f"<p>{badge(verdict)} <small>{word} {chapters}; the measure: {measure}</small></p>"


def table(heads, rows):
    head = "".join(f'<th scope="col">{each}</th>' for each in heads)
    body = "\n".join(rows)
    return f'<table class="table difflab-ledger">\n<thead><tr>{head}</tr></thead>\n<tbody>\n{body}\n</tbody>\n</table>'


def counts_part(made, address):
    found = counts(survey(), made)
    told = "".join(f"<li>{badge(verdict)}: {count}</li>" for verdict, count in found.items())
    return f'<p>Of the {sum(found.values())} claims, in this build:</p>\n<ul class="difflab-counts">{told}</ul>'


def survey_part(made, address):
    def row(entry):
        found = [
            finding(claim, page, address)
            for page, each in made.items()
            for claim in each
            if claim["id"] == entry["id"]
        ]
        cells = "".join(found) or waiting(entry, *verdicts(entry, made))
        name, says = html.escape(entry["id"]), html.escape(entry["says"])
        return f'<tr id="{name}"><th scope="row">{name}</th><td>{says}</td><td>{cells}</td></tr>'

    return table(["id", "what is said", "what this build has found"], map(row, survey()))


def own_part(made, address):
    known = {entry["id"] for entry in survey()}
    rows = [
        f'<tr><th scope="row">{html.escape(claim["id"])}</th><td>{finding(claim, page, address)}</td></tr>'
        for page, each in made.items()
        for claim in each
        if claim["id"] not in known
    ]
    return table(["id", "what this build has found"], rows) if rows else "<p>There are none yet.</p>"


# -- in the book ------------------------------------------------------------------------------------------------------


class part(nodes.General, nodes.Element):
    """Where a part of the ledger goes: filled in when every chapter has been read."""


class Ledger(Directive):
    required_arguments = 1
    parts = {"counts": counts_part, "survey": survey_part, "own": own_part}

    def run(self):
        name = self.arguments[0]
        if name not in self.parts:
            raise self.error(f"the ledger has no part {name!r}: choose one of {', '.join(self.parts)}")
        return [part(name=name)]


def place(app, doctree, docname):
    parts = list(doctree.findall(part))
    made = claims_in(app.env.mystnb_config.output_folder) if parts else {}
    for node in parts:
        text = Ledger.parts[node["name"]](made, lambda page: app.builder.get_relative_uri(docname, page))
        node.replace_self(nodes.raw("", text, format="html"))


def setup(app):
    app.add_node(part)
    app.add_directive("ledger", Ledger)
    app.connect("env-get-outdated", lambda app, *_: [PAGE] if PAGE in app.env.found_docs else [])  # the chapters change
    app.connect("doctree-resolved", place)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}

"""Link the first mention of a glossary term in each chapter to the glossary, with its first sentences as a tool tip.

Only running text counts: no headings, links, code or equations. The chapters are plain notebooks, so that Colab shows
them too, and cannot do it themselves.
"""

import re

from docutils import nodes

GLOSSARY = "book/glossary"
ELSEWHERE = (nodes.title, nodes.reference, nodes.literal, nodes.literal_block, nodes.math, nodes.math_block)


def definitions(env):
    """Name, anchor and first paragraph of every term."""
    for item in env.get_doctree(GLOSSARY).findall(nodes.definition_list_item):
        text = " ".join(item.next_node(nodes.definition).next_node(nodes.paragraph).astext().split())
        for term in item.findall(nodes.term):
            yield term.astext(), term["ids"][0], text


def pattern(term):
    """A term as a word of its own: also in the plural, over the end of a line, and with a capital at its head."""
    words = r"\s+".join(map(re.escape, term.split()))
    return re.compile(rf"(?<![\w-])(?i:{words[0]}){words[1:]}s?(?![\w-])")


def mark(doctree, terms, address):
    """Link the first mention of each term, the longest terms first; a definition is linked once, whatever it is called.

    terms: (name, anchor, text) triples. address: what comes before the anchor.
    """
    linked = set()
    for name, anchor, text in sorted(terms, key=lambda term: -len(term[0])):
        if text in linked:
            continue
        for node in doctree.findall(nodes.Text):
            found = pattern(name).search(node)
            if found and not inside(node, ELSEWHERE):
                link = nodes.reference("", found[0], internal=True, refuri=f"{address}#{anchor}", reftitle=text)
                link["classes"] = ["glossary-term"]
                before, after = node[: found.start()], node[found.end() :]
                pieces = [nodes.Text(before)] * bool(before) + [link] + [nodes.Text(after)] * bool(after)
                node.parent.replace(node, pieces)
                linked.add(text)
                break


def inside(node, kinds):
    while node is not None:
        if isinstance(node, kinds) or "cell" in getattr(node, "attributes", {}).get("classes", []):
            return True
        node = node.parent
    return False


def place(app, doctree, docname):
    if app.builder.format == "html" and app.env.doc2path(docname).endswith(".ipynb") and GLOSSARY in app.env.found_docs:
        mark(doctree, definitions(app.env), app.builder.get_relative_uri(docname, GLOSSARY))


def setup(app):
    app.connect("doctree-resolved", place, priority=400)  # before chapters get their heads
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}

"""The docstrings are plain text for readers of code: "name: what it is", a line each. Here they become lists.

An equation or an example that is indented there is set as code.
"""

import itertools
import re

NAMES = r"\**[a-z_]\w*(?:, \**\w+)*: +(?=\S)"
NEXT = re.compile(rf"(?<=[.)]) +(?={NAMES})")  # several stand in one line, where they are short


def as_list(lines):
    """Turn each paragraph of "name: text" lines into a bullet list; other lines go on with the text above them."""
    made = []
    for blank, group in itertools.groupby(lines, key=lambda line: not line.strip()):
        paragraph = list(group)
        if not blank and all(line.startswith("    ") for line in paragraph):
            made += [".. code-block:: text", ""]
        made += bulleted(paragraph) if re.match(NAMES, paragraph[0]) else paragraph
    return made


def bulleted(paragraph):
    """The bullets of a paragraph, and after a blank line what comes after them in it."""
    items, rest = [], []
    for number, line in enumerate(paragraph):
        if re.match(NAMES, line):
            items.append(line)
        elif line.startswith("    ") or not items[-1].endswith((".", ")", ":")):
            items[-1] += f" {line.strip()}"
        else:
            rest = ["", *paragraph[number:]]
            break
    return [bullet(item) for text in items for item in NEXT.split(text)] + rest


def bullet(item):
    names, text = item.split(": ", 1)
    return f"- ``{names}``: {text.strip()}"


def process(app, what, name, obj, options, lines):
    lines[:] = as_list(lines)


def skip(app, what, name, obj, would_skip, options):
    """The fields of a named tuple are in its signature; "Alias for field number 0" says nothing more."""
    return True if str(getattr(obj, "__doc__", "")).startswith("Alias for field number") else None


def setup(app):
    app.connect("autodoc-process-docstring", process, priority=400)
    app.connect("autodoc-skip-member", skip)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}

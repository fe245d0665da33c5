"""The docstrings are plain text for readers of code: "name: what it is", a line each. Here they become lists."""

import re

NAMES = re.compile(r"(\**\w+(?:, \**\w+)*): +(\S.*)")


def as_list(lines):
    """Turn each run of "name: text" lines (further lines of the text are indented) into a bullet list."""
    made, inside = [], False
    for line in lines:
        found = NAMES.fullmatch(line) if inside or not made or not made[-1].strip() else None
        if found:
            made.append(f"- ``{found[1]}``: {found[2]}")
            inside = True
        elif inside and line.startswith("    "):
            made.append("  " + line.strip())
        else:
            if inside and line.strip():
                made.append("")
            inside = False
            made.append(line)
    return made


def process(app, what, name, obj, options, lines):
    lines[:] = as_list(lines)


def skip(app, what, name, obj, would_skip, options):
    """The fields of a named tuple are in its signature; "Alias for field number 0" says nothing more."""
    return True if str(getattr(obj, "__doc__", "")).startswith("Alias for field number") else None


def setup(app):
    app.connect("autodoc-process-docstring", process, priority=400)
    app.connect("autodoc-skip-member", skip)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}

"""The launch button belongs to chapters: Colab opens notebooks, not the book's executed Markdown pages.

And it opens nothing else: the scripts of Thebe, another way to run a page, from a host elsewhere, are left out.
"""


def only_on_notebooks(app, pagename, templatename, context, doctree):
    if doctree is not None and not app.env.doc2path(pagename).endswith(".ipynb"):
        buttons = context.get("header_buttons", [])
        context["header_buttons"] = [button for button in buttons if button.get("label") != "launch-buttons"]


def without_thebe(app, pagename, templatename, context, doctree):
    scripts = context.get("script_files", [])
    context["script_files"] = [script for script in scripts if "thebe" not in told(script)]


def told(script):
    """What a page is told of a script: its address, and its text where it has no address."""
    return f"{script.filename} {script.attributes.get('body', '')}".lower()


def setup(app):
    app.connect("html-page-context", only_on_notebooks, priority=600)  # after the theme has placed its buttons
    app.connect("html-page-context", without_thebe, priority=900)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}

"""The launch button belongs to chapters: Colab opens notebooks, not the book's executed Markdown pages."""


def only_on_notebooks(app, pagename, templatename, context, doctree):
    if doctree is not None and not app.env.doc2path(pagename).endswith(".ipynb"):
        buttons = context.get("header_buttons", [])
        context["header_buttons"] = [button for button in buttons if button.get("label") != "launch-buttons"]


def setup(app):
    app.connect("html-page-context", only_on_notebooks, priority=600)  # after the theme has placed its buttons
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}

"""Where the published book will be, for the pages' canonical links and for the cards that other sites show of them.

The address follows from the project's (book/address.py). Nothing is loaded from it: it is text in the pages' heads.
"""

import pathlib
import runpy


def tell(app, config):
    site = runpy.run_path(str(pathlib.Path(app.srcdir, "book", "address.py")))["site"]
    address = site(config.html_theme_options["repository_url"])
    config.html_baseurl = config.ogp_site_url = address + "/"


def setup(app):
    app.connect("config-inited", tell, priority=100)  # before those that read it
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}

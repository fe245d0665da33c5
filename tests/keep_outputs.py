"""A plugin for pytest: what the cells of notebooks put out is kept in a Jupyter cache, where the book finds it.

nbval runs the cells and drops their outputs. The messages that it had from the kernel are handed on to nbclient here,
which makes of them what it makes when Jupyter Book runs a notebook. A notebook is kept when all of its cells passed.
"""

import time
from contextlib import suppress

import nbformat
import pytest
from jupyter_cache import get_cache
from jupyter_cache.base import CacheBundleIn
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionComplete
from nbval.plugin import IPyNbCell

RUNS = pytest.StashKey()  # of a notebook's cells that passed: how long each took, and the kernel's messages


def pytest_addoption(parser):
    parser.addoption("--keep-outputs", metavar="CACHE", help="keep what notebooks put out in this Jupyter cache")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call(item):
    """Run a cell and note what the kernel says meanwhile; after the last one, keep the notebook."""
    cache = item.config.option.keep_outputs
    if cache is None or not isinstance(item, IPyNbCell):
        return (yield)
    file, messages = item.parent, []
    get_message = file.get_kernel_message
    file.get_kernel_message = lambda *given, **named: messages.append(get_message(*given, **named)) or messages[-1]
    began = time.perf_counter()
    result = yield
    file.get_kernel_message = get_message
    runs = file.stash.setdefault(RUNS, [])
    runs.append((time.perf_counter() - began, messages))
    if len(runs) == sum(cell.cell_type == "code" for cell in file.nb.cells):
        keep(cache, file, runs)
    return result


def keep(cache, file, runs):
    """Put a notebook into the cache: the one that the file's metadata calls its original, with the outputs of the runs.

    The copy may have had more cells at its end. The record says that it was nbval's run.
    """
    path = file.nb.metadata.original
    notebook = nbformat.read(path, as_version=4)
    client = NotebookClient(notebook, record_timing=False)
    client.kc = file.kernel.kc
    client.reset_execution_trackers()
    code = [index for index, cell in enumerate(notebook.cells) if cell.cell_type == "code"]
    for number, (index, (_, messages)) in enumerate(zip(code, runs, strict=False), 1):
        client.clear_before_next_output = False
        own = messages[-1]["parent_header"]["msg_id"]  # nbval stops at the message that says that the cell is done
        for message in messages:
            if message["parent_header"].get("msg_id") == own:
                with suppress(CellExecutionComplete):
                    client.process_message(message, notebook.cells[index], index)
        notebook.cells[index].execution_count = number
    client.set_widgets_metadata()
    notebook.metadata.language_info = client.kc.kernel_info(reply=True, timeout=60)["content"]["language_info"]
    record = {"execution_seconds": sum(seconds for seconds, _ in runs), "nbval": True}
    get_cache(cache).cache_notebook_bundle(CacheBundleIn(notebook, path, data=record), False, overwrite=True)

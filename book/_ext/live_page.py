"""Put beside the pages what they draw with: the model as files for a browser, and the runtime that computes them.

The model is exported when the book is first built, and again when the package or its weights change. The runtime,
onnxruntime-web, comes from the npm registry (npm has to be installed). Both stay in _build. Where the runtime cannot be
had the build says so, and the pages show stored pictures and say it too.
"""

import hashlib
import html
import importlib.util
import json
import pathlib
import re
import shutil
import subprocess
from importlib import metadata

import npm
import PIL.Image
from sphinx.errors import ExtensionError
from sphinx.util import logging

import difflab
from difflab.export import web
from difflab.export.folder import packed, write_json

VERSION = "1.30.0"
SCRIPT = "ort.wasm.bundle.min.mjs"  # the build for one thread and no GPU, which needs nothing of a host
WASM = "ort-wasm-simd-threaded.wasm"
LIMIT = 25_000_000  # bytes of a first visit
PLACE = re.compile(r'<div class="difflab-live"[^>]*>')
logger = logging.getLogger(__name__)


def fingerprint():
    """Of the weights and of the code that turns them into pages."""
    package = pathlib.Path(difflab.__file__).parent
    files = sorted([*package.rglob("*.py"), *package.rglob("SHA256SUMS")])
    tools = " ".join(metadata.version(name) for name in ("torch", "onnx", "onnxruntime"))
    return hashlib.sha256(b"".join([tools.encode(), *(file.read_bytes() for file in files)])).hexdigest()[:12]


def exported(build):
    """The folder of the exported model, written where it is missing; older ones are removed."""
    folder = build / f"live-{fingerprint()}"
    if not folder.is_dir():
        logger.info("live page: exporting the model ...")
        web(folder)
        for old in build.glob("live-*"):
            if old != folder:
                shutil.rmtree(old)
    return folder


def runtime(build):
    """The folder of the runtime, and what the manifest says of it; fetched where it is missing. Raises as npm.fetch."""
    folder = build / f"onnxruntime-web-{VERSION}"
    described = folder / "runtime.json"
    if not described.exists():
        wanted = {f"dist/{SCRIPT}": f"onnxruntime-web-{VERSION}.mjs", f"dist/{WASM}": WASM}
        npm.fetch(f"onnxruntime-web@{VERSION}", wanted.get, folder)
        (script,) = folder.glob("*.mjs")
        wasm = packed(folder, WASM, (folder / WASM).read_bytes())
        (folder / WASM).unlink()
        for notice in ("LICENSE", "ThirdPartyNotices.txt"):  # which the npm package lacks
            here = pathlib.Path(importlib.util.find_spec("onnxruntime").origin).parent
            shutil.copy(here / notice, folder / f"onnxruntime-{notice}")
        size = script.stat().st_size
        parts = {"script": {"file": script.name, "bytes": size}, "wasm": wasm, "bytes": size + wasm["bytes"]}
        write_json(described, {"name": "onnxruntime-web", "version": VERSION, **parts})
    return folder, json.loads(described.read_text(encoding="utf-8"))


def prepare(app):
    """Export, fetch, and arrange for what follows; for pages only."""
    if app.builder.format != "html":
        return
    build = pathlib.Path(app.srcdir, "_build")
    folders = [exported(build)]
    manifest = json.loads((folders[0] / "manifest.json").read_text(encoding="utf-8")) | {"runtime": None}
    model = sum(entry["bytes"] for entry in manifest["files"].values())
    try:
        folder, manifest["runtime"] = runtime(build)
    except (OSError, subprocess.SubprocessError) as error:
        logger.info("live page: no runtime (%s); its pages show stored pictures only", error)
    else:
        folders.append(folder)
        both = [model / 1e6, manifest["runtime"]["bytes"] / 1e6]
        logger.info("live page: a first visit loads %.1f MB, the model %.1f and the runtime %.1f", sum(both), *both)
        if 1e6 * sum(both) > LIMIT:
            logger.warning("live page: a first visit should not load more than %.0f MB", LIMIT / 1e6)
    app.connect("html-page-context", lambda app, *page: add_stills(page[2], folders[0], manifest))
    app.connect("build-finished", lambda app, error: error is None and place(app, folders, manifest))


def add_stills(context, folder, manifest):
    """Begin every place to draw with a stored picture: for readers without JavaScript, and from a file."""
    named = {entry["name"]: entry for entry in manifest["stored"]}

    def with_still(opening):
        chosen = re.search(r'data-picture="([^"]*)"', opening[0])
        if chosen and chosen[1] not in named:
            raise ExtensionError(f"no picture is stored as {chosen[0]}: choose one of {', '.join(named)}")
        entry = named[chosen[1]] if chosen else manifest["fallback"]
        width, height = PIL.Image.open(folder / entry["png"]).size
        source = context["pathto"](f"_static/live/{entry['png']}", 1)
        alt = html.escape(entry["caption"])
        return (
            f'{opening[0]}<img class="difflab-live-still" src="{source}" alt="{alt}" width="{width}" height="{height}" '
            'style="max-width:100%;height:auto" loading="lazy">'  # as narrow as the page, without scripts
        )

    if "body" in context:
        context["body"] = PLACE.sub(with_still, context["body"])


def place(app, folders, manifest):
    """Copy everything beside the pages' own scripts, and drop what an earlier build left there."""
    target = pathlib.Path(app.outdir, "_static", "live")
    for old in [*target.glob("*.gz"), *target.glob("onnxruntime-web-*")]:
        old.unlink()
    for folder in folders:
        shutil.copytree(folder, target, ignore=shutil.ignore_patterns("runtime.json"), dirs_exist_ok=True)
    write_json(target / "manifest.json", manifest)


def setup(app):
    app.connect("builder-inited", prepare)
    return {"version": VERSION, "parallel_read_safe": True, "parallel_write_safe": True}

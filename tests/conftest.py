"""Models the tests share. Loaded once; no test may change them without putting back what was there."""

import contextlib
import functools
import http.server
import json
import pathlib
import shutil
import socket
import threading

import numpy as np
import pytest
import torch
from hypothesis import settings
from PIL import Image

import difflab
from difflab.parity import random_pipeline

settings.register_profile("difflab", deadline=None, max_examples=25, derandomize=True)
settings.load_profile("difflab")


@pytest.fixture(scope="session", autouse=True)
def looked_up():
    """The hosts that were looked up: none, as no test needs another machine."""
    hosts, look_up = [], socket.getaddrinfo

    def noting(host, *rest, **named):
        if host not in (None, "localhost", "127.0.0.1"):
            hosts.append(host)
        return look_up(host, *rest, **named)

    socket.getaddrinfo = noting
    yield
    socket.getaddrinfo = look_up
    assert not hosts, f"the tests looked up {hosts}"


@pytest.fixture(scope="session")
def tiny_folder():
    """The pipeline folder that ships with the package."""
    return difflab.weights_folder()


@pytest.fixture(scope="session")
def tiny():
    """The shipped model, on the CPU in float32."""
    return difflab.load("tiny", device="cpu")


@pytest.fixture(scope="session")
def random_folder(tmp_path_factory):
    """A whole Stable Diffusion 1.5 in miniature with random weights: a pipeline folder."""
    return random_pipeline(tmp_path_factory.mktemp("pipelines") / "epsilon")


@pytest.fixture(scope="session")
def v_folder(tmp_path_factory):
    """The same, trained (or rather not) to predict v, like Stable Diffusion 2.1."""
    return random_pipeline(tmp_path_factory.mktemp("pipelines") / "v", prediction_type="v_prediction")


@pytest.fixture(scope="session")
def random_model(random_folder):
    """The random miniature, loaded: fast, and its pictures mean nothing."""
    return difflab.load(random_folder, device="cpu")


@pytest.fixture
def full_disk():
    """Within `full_disk(n)` the system refuses every byte of a file beyond the first n, as a full disk does."""
    resource = pytest.importorskip("resource")  # Windows has no such limits

    @contextlib.contextmanager
    def full(size):
        before = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
        try:
            yield
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, before)

    return full


@pytest.fixture
def few_steps(monkeypatch):
    """Whoever draws takes three steps, unless told how many: for tests of what becomes of pictures, however good."""
    for name in ("text", "sdedit", "inpaint", "instruct_pix2pix", "prompt_to_prompt"):
        monkeypatch.setitem(getattr(difflab, f"{name}_to_latents").__kwdefaults__, "num_inference_steps", 3)


@pytest.fixture
def threads():
    """Restores torch's number of threads after a test that changes it."""
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


# What training needs


@pytest.fixture
def cpu():
    """The CPU, in float32, as the machine of a training."""
    from difflab.train.machine import Machine

    return Machine(torch.device("cpu"))


@pytest.fixture(scope="session")
def runs(tmp_path_factory):
    """A folder in which every part was trained for a few steps."""
    from difflab.train import run

    folder = tmp_path_factory.mktemp("runs")
    common = {"smoke": True, "device": "cpu"}
    results = {
        "autoencoder": run("autoencoder", out=folder / "autoencoder", **common),
        "tokenizer": run("tokenizer", out=folder / "tokenizer", smoke=True),
        "judge": run("judge", out=folder / "judge", **common),
        "readers": run("readers", out=folder / "readers", **common),
    }
    results["clip"] = run("clip", out=folder / "clip", tokenizer=folder / "tokenizer", **common)
    parts = {"vae": folder / "autoencoder/vae", "clip": folder / "clip/clip"}
    results["unet"] = run("unet", out=folder / "unet", **parts, **common)
    for name in ("pix2pix", "inpaint", "web"):
        results[name] = run(name, out=folder / name, init=folder / "unet/unet", **parts, **common)
    assert all(result.finished for result in results.values())
    return folder


@pytest.fixture(scope="session")
def pipeline_folder(runs):
    """These parts assembled."""
    from difflab.train.assemble import assemble_pipeline

    parts = {"autoencoder": [runs / "autoencoder"], "clip": [runs / "clip"], "unet": [runs / "unet"]}
    return assemble_pipeline(runs / "pipeline", **parts)


@pytest.fixture
def imagefolder(tmp_path):
    """Six pictures of 160x128 with captions."""
    folder = tmp_path / "mine"
    folder.mkdir()
    rng = np.random.default_rng(0)
    lines = []
    for i in range(6):
        pixels = np.full((128, 160, 3), 20 * i, np.uint8)
        pixels[:, :16], pixels[:, -16:] = 255, 255  # what the middle square leaves out
        pixels[40:80, 60:100] = rng.integers(0, 255, 3)
        Image.fromarray(pixels).save(folder / f"{i}.png")
        lines.append(json.dumps({"file_name": f"{i}.png", "text": [f"a picture {i}", f"number {i}"] if i else "zero"}))
    (folder / "metadata.jsonl").write_text("\n".join(lines) + "\n")
    return folder


# A browser on the built book


@pytest.fixture(scope="module")
def site():
    """The address of the built book, served from this machine as any static host would; skips where it is not built."""
    built = pathlib.Path(__file__).resolve().parent.parent / "_build" / "html"
    if not (built / "index.html").exists():
        pytest.skip("the book is not built: make book")

    class Quiet(http.server.SimpleHTTPRequestHandler):
        extensions_map = http.server.SimpleHTTPRequestHandler.extensions_map | {".mjs": "text/javascript"}

        def log_message(self, *_):
            pass

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=built))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()


@pytest.fixture(scope="module")
def chromium():
    """A headless Chromium, driven by playwright: `chromium.new_page()`; skips where none is installed."""
    names = ("chromium", "chromium-browser", "google-chrome")
    path = next(filter(None, map(shutil.which, names)), None)
    if path is None:
        pytest.skip(f"no browser here to try the pages in: install one of {', '.join(names)}")
    from playwright.sync_api import sync_playwright

    quiet = ["--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"]
    quiet += ["--disable-background-networking", "--disable-component-update", "--disable-sync"]
    with sync_playwright() as playwright:  # a module's, not the session's: while it lasts its event loop runs
        browser = playwright.chromium.launch(executable_path=path, args=quiet)
        yield browser
        browser.close()

"""The model as files for a web page: what onnxruntime makes of them, their sizes, their place beside the book."""

import gzip
import hashlib
import importlib
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tarfile
from dataclasses import replace

import numpy as np
import onnx
import pytest
import torch
from live.reference import AWKWARD
from PIL import Image
from typer.testing import CliRunner

import difflab
from difflab import attention, cli, export, judge
from difflab.export import page
from difflab.export.exported import computed, runtime, unpacked
from difflab.export.fidelity import final, relative
from difflab.export.folder import files
from difflab.export.graphs import UNet, graphs_of
from difflab.export.weights import shrunk, to_int8
from difflab.samplers import SAMPLERS
from difflab.world.examples import PROMPTS

ROOT = pathlib.Path(__file__).resolve().parent.parent
RUNTIME = 4_000_000  # bytes that onnxruntime-web has at most, gzipped; the book's extension measures it
PACKAGE = {"dist/ort.wasm.bundle.min.mjs": b"export {};", "dist/ort-wasm-simd-threaded.wasm": b"\0asm", "other": b""}
GUIDED = {"num_inference_steps": 10, "guidance_scale": 3.0, "negative_prompt": "at night", "seed": 5}


@pytest.fixture(scope="module")
def live_page():
    """The book's extension, as Sphinx imports it."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(ROOT / "book" / "_ext")
        yield importlib.import_module("live_page")


@pytest.fixture(scope="module")
def folder(live_page):
    """The shipped model, exported for the book: now, unless the very same package and weights already were."""
    return live_page.exported(ROOT / "_build")


@pytest.fixture(scope="module")
def manifest(folder):
    return json.loads((folder / "manifest.json").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def shipped(folder):
    """The model of the folder, computed by onnxruntime."""
    return export.read(folder)


@pytest.fixture(scope="module")
def graphs(tiny):
    """The graphs of the same model in single precision, exported another time."""
    return graphs_of(tiny)


@pytest.fixture(scope="module")
def full(tiny, graphs):
    """The model that they make."""
    return computed(tiny, {name: graph.SerializeToString() for name, graph in graphs.items()})


def drawn(model, prompts, **settings):
    """The latents at the end, without a gradient."""
    with torch.no_grad():
        return final(difflab.text_to_latents(model, prompts, **settings))


# The graphs in single precision against torch


def test_the_text_encoder_says_what_torch_says(tiny, full):
    texts = [text for text in AWKWARD if len(text) < 100] + ["a cat " * 40]
    with pytest.warns(UserWarning, match="cut off"), torch.no_grad():
        wanted = tiny.encode_text(texts)
    torch.testing.assert_close(full.encode_text(texts), wanted, atol=1e-4, rtol=0)
    torch.testing.assert_close(full.encode_text(texts[2]), wanted[2:3], atol=1e-4, rtol=0)


@pytest.mark.parametrize("count", [1, 3])
def test_unet_and_decoder_say_what_torch_says_of_any_number_of_pictures(tiny, full, count):
    x = difflab.noise((count, *tiny.latent_shape), seed=3)
    with torch.no_grad():
        text = tiny.encode_text(list(PROMPTS[:count]))
        for t in (0, 421, 999):
            wanted = tiny.predict_noise(x, t, text)
            torch.testing.assert_close(full.predict_noise(x, t, text), wanted, atol=1e-4, rtol=0)
        wanted = tiny.vae.decode(x / tiny.vae.config.scaling_factor).sample.clamp(-1, 1)
        torch.testing.assert_close(full.decode_pixels(x), wanted, atol=1e-4, rtol=0)
        for ours, theirs in zip(full.decode(x), tiny.decode(x), strict=True):
            assert np.abs(np.asarray(ours, int) - np.asarray(theirs, int)).max() <= 1


def test_what_an_exported_model_says_comes_from_its_graphs(tiny, full, monkeypatch):
    """And not from the parts of torch's model that it keeps."""
    for part in (full.text_encoder, full.unet, full.vae):
        monkeypatch.setattr(part, "forward", lambda *_, **__: pytest.fail("torch was asked"))
    monkeypatch.setattr(full.vae, "decode", full.vae.forward)
    x = difflab.noise((1, *tiny.latent_shape), seed=3)
    full.predict_noise(x, 500, full.encode_text("a cat"))
    (picture,), pixels = full.decode(x), full.decode_pixels(x)
    assert np.array_equal(np.asarray(picture), np.asarray(difflab.inputs.to_images(pixels)[0]))


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_a_whole_guided_trajectory(tiny, full, sampler):
    settings = GUIDED | {"sampler": sampler}
    wanted = drawn(tiny, "a red car on the beach", **settings)
    torch.testing.assert_close(drawn(full, "a red car on the beach", **settings), wanted, atol=1e-3, rtol=0)


def test_the_attention_is_that_of_chapter_4(tiny, full):
    prompt = "a cat to the left of a car on the beach"
    x, t = difflab.noise((1, *tiny.latent_shape), seed=1), 400
    both = torch.cat([tiny.encode_text(""), tiny.encode_text(prompt)])
    with attention.record(tiny.unet) as maps, torch.no_grad():
        tiny.predict_noise(torch.cat([x, x]), t, both)
    _, looked = full.run("unet", torch.cat([x, x]), torch.tensor([float(t)]), both)
    assert looked.shape == (2, 77, *tiny.latent_shape[1:])
    torch.testing.assert_close(looked.sum(1), torch.ones_like(looked[:, 0]), atol=1e-4, rtol=0)
    for position in (0, 2, 8, 11, 76):
        wanted = attention.heat_map(maps, [position], size=tiny.latent_shape[1:])
        torch.testing.assert_close(looked[1, position], wanted, atol=1e-5, rtol=0)


def test_exporting_leaves_the_model_as_it_was(tiny):
    before = tiny.unet.attn_processors
    with torch.no_grad():
        UNet(tiny)(torch.zeros(1, *tiny.latent_shape), torch.tensor([1.0]), tiny.encode_text("a cat"))
    assert tiny.unet.attn_processors == before


# Small weights


def test_eight_bits_are_off_by_half_a_step_at_most():
    values = np.random.default_rng(0).normal(size=(5, 7, 3, 3)).astype(np.float32) * np.arange(5)[:, None, None, None]
    whole, scale = to_int8(values, 0)
    assert whole.dtype == np.int8 and scale.shape == (5, 1, 1, 1)
    assert (np.abs(whole * scale - values) <= scale / 2 + 1e-7).all()
    assert (np.abs(whole[1:]).max((1, 2, 3)) == 127).all() and not whole[0].any()  # a channel of zeros stays one
    assert to_int8(values[..., 0, 0], -1)[1].shape == (1, 7)


def test_a_runtime_restores_the_weights_when_it_loads(folder, manifest, tmp_path):
    """So that small weights cost no time: what is left in the graph that runs is that of the full precision."""
    graph = unpacked(folder, manifest["files"]["text_encoder"])
    stored = {tensor.data_type for tensor in onnx.load_from_string(graph).graph.initializer}
    assert {onnx.TensorProto.INT8, onnx.TensorProto.FLOAT16} <= stored
    onnxruntime = runtime()
    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_BASIC
    options.optimized_model_filepath = str(tmp_path / "runs.onnx")
    onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
    runs = onnx.load(tmp_path / "runs.onnx").graph
    assert not {tensor.data_type for tensor in runs.initializer} & {onnx.TensorProto.INT8, onnx.TensorProto.FLOAT16}
    assert not [node for node in runs.node if node.op_type == "Cast" and node.input[0].endswith((".int8", ".float16"))]


def test_the_shipped_pictures_are_those_of_torch_to_the_eye(tiny, shipped):
    prompts = list(PROMPTS)
    ends = [drawn(model, prompts, num_inference_steps=10, seed=20) for model in (tiny, shipped)]
    assert 0 < relative(*ends) < 0.05
    theirs, ours = (model.decode(end) for model, end in zip((tiny, shipped), ends, strict=True))
    differences = np.abs(np.stack(theirs).astype(float) - np.stack(ours)).mean((1, 2, 3)) / 255
    assert differences.max() <= 0.02
    seen = [[(v.place, v.time, next(iter(v.nouns))) for v in judge.look(pictures)] for pictures in (theirs, ours)]
    assert seen[0] == seen[1]  # by the oracle


def test_half_precision_is_closer_still(tiny, graphs, full):
    graph = shrunk(graphs["text_encoder"], "float16")
    half = computed(tiny, {"text_encoder": graph.SerializeToString()})
    assert relative(half.encode_text(list(PROMPTS)), full.encode_text(list(PROMPTS))) < 1e-3


# The folder


def test_files_are_as_the_manifest_says(folder, manifest):
    entries = manifest["files"]
    assert set(entries) == {"text_encoder", "unet", "decoder", "tokenizer"}
    for entry in entries.values():
        packed = (folder / entry["file"]).read_bytes()
        assert len(packed) == entry["bytes"] and len(gzip.decompress(packed)) == entry["unpacked"]
        assert hashlib.sha256(packed).hexdigest() == entry["sha256"] and entry["sha256"][:12] in entry["file"]
        assert packed[4:8] == bytes(4)  # no time in it: the same content is the same file
    for entry in manifest["stored"]:
        assert Image.open(folder / entry["png"]).size == (manifest["image_size"],) * 2 and entry["caption"]
    assert Image.open(folder / manifest["fallback"]["png"]).height == manifest["image_size"]


def test_a_first_visit_is_small(manifest):
    assert sum(entry["bytes"] for entry in manifest["files"].values()) + RUNTIME <= 25_000_000


def test_the_same_model_gives_the_same_bytes(tiny, graphs, manifest, tmp_path):
    made = {name: shrunk(graph, "int8").SerializeToString() for name, graph in graphs.items()}
    assert files(tmp_path, tiny.tokenizer, made) == manifest["files"]


def test_the_manifest_says_how_to_run_them(tiny, manifest, full):
    assert (manifest["format"], manifest["model"], manifest["attention"]) == (1, "difflab tiny", True)
    assert torch.equal(torch.tensor(manifest["alphas_cumprod"]), tiny.schedule.alphas_cumprod)
    assert len(manifest["alphas_cumprod"]) == manifest["train_steps"]
    for name, session in full.sessions.items():
        assert [each.name for each in session.get_inputs()] == manifest["inputs"][name]
        assert [each.name for each in session.get_outputs()] == manifest["outputs"][name]
    ids = tiny.tokenizer("", padding="max_length").input_ids
    assert [manifest["start_id"], manifest["end_id"], manifest["pad_id"]] == ids[:3] and len(ids) == manifest["window"]
    assert manifest["defaults"]["sampler"] in SAMPLERS
    assert "cat" in manifest["words"]["things"] and "mouse" not in manifest["words"]["captions"]


def test_stored_latents_are_those_of_the_pictures(tiny, folder, manifest):
    for entry in manifest["stored"]:
        latent = np.fromfile(folder / entry["latent"], "<f4").reshape(1, *manifest["latent"])
        with torch.no_grad():
            wanted = tiny.encode_image(Image.open(folder / entry["png"]))
        torch.testing.assert_close(torch.from_numpy(latent), wanted, atol=1e-4, rtol=0)


# Bad input, and failures


def test_bad_input_is_refused_before_any_work(tmp_path, monkeypatch):
    monkeypatch.setattr(page, "load", lambda *_, **__: pytest.fail("work was begun"))
    file = tmp_path / "file"
    file.write_text("mine")
    with pytest.raises(ValueError, match="is a file: name a folder"):
        export.web(file)
    with pytest.raises(ValueError, match="holds 'file', which no export"):
        export.web(tmp_path)
    with pytest.raises(ValueError, match="weights='int4' is unknown: choose one of int8"):
        export.web(tmp_path / "new", weights="int4")
    monkeypatch.setattr(page.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ValueError, match="pip install onnx onnxruntime"):
        export.web(tmp_path / "new")
    assert [path.name for path in tmp_path.iterdir()] == ["file"] and file.read_text() == "mine"


def contents(folder):
    return {path.relative_to(folder): path.is_file() and path.read_bytes() for path in folder.rglob("*")}


SOMEBODY_ELSES = {
    "a web app's manifest": lambda folder: (folder / "manifest.json").write_text('{"name": "My pages", "icons": []}'),
    "a list": lambda folder: (folder / "manifest.json").write_text('["format", 1]'),
    "no JSON": lambda folder: (folder / "manifest.json").write_bytes(b"\xff{"),
    "no manifest": lambda folder: (folder / "manifest.json").unlink(),
    "another format": lambda folder: (folder / "manifest.json").write_text(
        (folder / "manifest.json").read_text().replace('"format":1', '"format":0')
    ),
    "a page beside an export": lambda folder: (folder / "index.html").write_text("mine"),
    "a file among its pictures": lambda folder: (folder / "stored" / "mine.png").write_text("mine"),
    "an empty folder": lambda folder: (folder / "mine").mkdir(),
    "a link": lambda folder: (folder / "mine").symlink_to(folder.parent),
}


@pytest.mark.parametrize("case", SOMEBODY_ELSES)
def test_a_folder_with_anything_of_somebody_elses_is_left_alone(folder, tmp_path, monkeypatch, case):
    monkeypatch.setattr(page, "load", lambda *_, **__: pytest.fail("work was begun"))
    site = shutil.copytree(folder, tmp_path / "site")
    SOMEBODY_ELSES[case](site)
    before = contents(site)
    with pytest.raises(ValueError, match="which no export of this version wrote: name a new"):
        export.web(site)
    assert contents(site) == before


def test_a_model_that_does_not_fit_is_refused(tmp_path, v_folder, random_folder, monkeypatch):
    with pytest.raises(ValueError, match="sees 9 channels, and the page gives it the 4"):
        export.web(tmp_path / "new", "tiny-inpaint")
    with pytest.raises(ValueError, match="prediction_type is 'v_prediction'"):
        export.web(tmp_path / "new", v_folder)
    monkeypatch.setattr(page, "LARGEST", 1000)
    with pytest.raises(ValueError, match="million parameters"):
        export.web(tmp_path / "new", random_folder)
    monkeypatch.undo()
    monkeypatch.setattr(page, "load", lambda *_, **__: replace(difflab.load(random_folder), tokenizer=object()))
    with pytest.raises(ValueError, match="transformers>=5"):
        export.web(tmp_path / "new")
    assert not (tmp_path / "new").exists()


def test_a_failure_leaves_everything_as_it_was(folder, random_folder, tmp_path, monkeypatch):
    monkeypatch.setattr(page, "stored", lambda *_: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        export.web(tmp_path / "deep" / "new", random_folder)
    assert not list((tmp_path / "deep").iterdir())
    earlier = shutil.copytree(folder, tmp_path / "earlier")
    with pytest.raises(ZeroDivisionError):
        export.web(earlier, random_folder)
    assert contents(earlier) == contents(folder)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["deep", "earlier"]


def test_a_damaged_file_is_noticed(folder, manifest, tmp_path):
    damaged = shutil.copytree(folder, tmp_path / "web")
    file = damaged / manifest["files"]["unet"]["file"]
    file.write_bytes(file.read_bytes()[:-1] + b"!")
    with pytest.raises(ValueError, match="unet.* is damaged"):
        export.read(damaged)


@pytest.mark.slow
def test_the_command_prints_sizes_and_errors_and_tells_nobody(folder, random_folder, tmp_path):
    """Of another model than the shipped one, in place of an earlier export, in a process of its own.

    The runtime numbers a machine in the user's cache, at once, and looks up a host, later: where strace is installed,
    no connection is seen but those to this machine's own services.
    """
    out, cache, log = shutil.copytree(folder, tmp_path / "web"), tmp_path / "cache", tmp_path / "log"
    environment = os.environ | {"PYTHONPATH": str(ROOT), "XDG_CACHE_HOME": str(cache)}
    environment.pop("ORT_DISABLE_TELEMETRY", None)
    watch = ["strace", "-f", "--seccomp-bpf", "-e", "trace=connect,sendto", "-o", log] if shutil.which("strace") else []
    command = [sys.executable, "-m", "difflab.cli", "export", "web", "--out", out, "--model", random_folder]
    done = subprocess.run([*watch, *command], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert not list(cache.rglob("*onnxruntime*"))
    assert not watch or "AF_INET" not in log.read_text()

    manifest = json.loads((out / "manifest.json").read_text())
    for name, entry in manifest["files"].items():
        (line,) = [line for line in done.stdout.splitlines() if line.startswith(entry["file"])]
        assert f"{entry['bytes']:,}" in line and f"{entry['unpacked']:,}" in line
        assert name == "tokenizer" or f"{manifest['errors'][name]:.2%}" in line
    assert f"{manifest['errors']['pictures']:.2%}" in done.stdout and " ms here" in done.stdout
    assert {path.name for path in out.glob("*.gz")} == {entry["file"] for entry in manifest["files"].values()}


def test_the_command_refuses_in_one_line(tmp_path):
    (tmp_path / "mine").write_text("mine")
    result = CliRunner().invoke(cli.app, ["export", "web", "--out", str(tmp_path)])
    assert result.exit_code == 1 and result.output.startswith("error: ") and result.output.count("\n") == 1


# In the book


@pytest.fixture
def build(live_page, folder, tmp_path, monkeypatch):
    """Builds a small book of two pages; returns its output and the log. `exports` counts how often the model was."""
    from sphinx.application import Sphinx
    from sphinx.util.docutils import docutils_namespace, patch_docutils

    (tmp_path / "conf.py").write_text("extensions = ['live_page']\nhtml_theme = 'basic'\n")
    page = ':orphan:\n\nPage\n====\n\n.. raw:: html\n\n   <div class="difflab-live"{}>A sentence.</div>\n'
    (tmp_path / "index.rst").write_text(page.format(""))
    (tmp_path / "other.rst").write_text(page.format(' data-picture="car"'))

    def web(target):
        shutil.copytree(folder, target)
        build.exports += 1

    def build():
        where = [tmp_path, tmp_path, tmp_path / "html", tmp_path / "doctrees", "html"]
        with (tmp_path / "log").open("w+") as log, patch_docutils(), docutils_namespace():
            Sphinx(*where, status=log, warning=log, warningiserror=True).build()
            log.seek(0)
            return tmp_path / "html", log.read()

    monkeypatch.setattr(live_page, "web", web)
    build.exports = 0
    return build


def test_a_book_without_npm_shows_stored_pictures_and_says_so(build, manifest, monkeypatch):
    monkeypatch.setenv("PATH", "")
    out, log = build()
    assert "no runtime (npm is not installed)" in log and "WARNING" not in log
    beside = out / "_static" / "live"
    assert json.loads((beside / "manifest.json").read_text(encoding="utf-8")) == manifest | {"runtime": None}
    page = (out / "index.html").read_text(encoding="utf-8")
    assert '<div class="difflab-live"><img class="difflab-live-still" src="_static/live/fallback.png"' in page
    assert f'alt="{manifest["fallback"]["caption"]}"' in page
    assert 'src="_static/live/stored/car.png"' in (out / "other.html").read_text(encoding="utf-8")
    assert (beside / "fallback.png").exists() and (beside / "stored" / "car.png").exists()


def test_a_book_with_npm_has_all_that_the_page_loads(build, manifest, fake_npm):
    fake_npm(PACKAGE)
    out, log = build()
    beside = out / "_static" / "live"
    runtime = json.loads((beside / "manifest.json").read_text(encoding="utf-8"))["runtime"]
    assert (beside / runtime["script"]["file"]).read_bytes() == b"export {};"
    assert gzip.decompress((beside / runtime["wasm"]["file"]).read_bytes()) == b"\0asm"
    assert runtime["bytes"] == len(b"export {};") + runtime["wasm"]["bytes"]
    for entry in manifest["files"].values():
        assert (beside / entry["file"]).stat().st_size == entry["bytes"]
    model = sum(entry["bytes"] for entry in manifest["files"].values())
    assert f"a first visit loads {(model + runtime['bytes']) / 1e6:.1f} MB" in log

    (beside / "unet.of-another-day.onnx.gz").write_bytes(b"old")
    fake_npm({})  # a second build asks neither npm nor the model again, and clears what an earlier one left
    build()
    assert build.exports == 1 and not (beside / "unet.of-another-day.onnx.gz").exists()


def test_a_page_that_asks_for_a_picture_that_is_not_there(build, fake_npm, tmp_path):
    from sphinx.errors import ExtensionError

    fake_npm(PACKAGE)
    other = tmp_path / "other.rst"
    other.write_text(other.read_text().replace('"car"', '"cart"'))
    with pytest.raises(ExtensionError, match='data-picture="cart": choose one of car, tree'):
        build()


def test_a_book_that_became_too_large_says_so(build, fake_npm, live_page, monkeypatch):
    from sphinx.errors import SphinxWarning

    monkeypatch.setattr(live_page, "LIMIT", 5_000_000)
    fake_npm(PACKAGE)
    with pytest.raises(SphinxWarning, match="should not load more than 5 MB"):
        build()


@pytest.fixture
def fake_npm(tmp_path, monkeypatch):
    """An npm whose `pack` gives a package of these files: {path in the package: content}."""
    folder = tmp_path / "bin"
    folder.mkdir()
    command = folder / "npm"
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")

    def publish(files):
        with tarfile.open(folder / "package-1.0.0.tgz", "w:gz") as archive:
            for name, content in files.items():
                path = folder / "content"
                path.write_bytes(content)
                archive.add(path, f"package/{name}")
        command.write_text(f'#!/bin/sh\ncp "{folder}/package-1.0.0.tgz" .\n' if files else "#!/bin/sh\nexit 1\n")
        command.chmod(0o755)

    return publish


def test_npm_fetches_all_that_is_wanted_or_nothing(live_page, fake_npm, tmp_path):
    target = tmp_path / "build" / "thing"
    fake_npm({"a/one.txt": b"1", "two.txt": b"2"})
    live_page.npm.fetch("thing@1.0.0", {"a/one.txt": "uno.txt"}.get, target)
    assert {path.name: path.read_bytes() for path in target.iterdir()} == {"uno.txt": b"1"}
    fake_npm({})
    with pytest.raises(subprocess.SubprocessError):
        live_page.npm.fetch("thing@1.0.0", {}.get, tmp_path / "build" / "other")
    assert [path.name for path in target.parent.iterdir()] == ["thing"]

"""The training recipes: each in its smoke setting, killed and resumed, on two processes, on a folder of one's own."""

import hashlib
import importlib
import json
import logging
import os
import shutil
import signal
import subprocess
import sys
import time
import warnings
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file

import difflab.train as train_package
from difflab.train import RECIPES, data, recipe, runner

ROOT = str(Path(train_package.__file__).parents[2])
ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1", "PYTHONPATH": ROOT}


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    """A folder in which every part was trained for a few steps."""
    folder = tmp_path_factory.mktemp("runs")
    common = {"smoke": True, "device": "cpu"}
    results = {
        "autoencoder": recipe("autoencoder")(out=folder / "autoencoder", **common),
        "tokenizer": recipe("tokenizer")(out=folder / "tokenizer", smoke=True),
    }
    results["clip"] = recipe("clip")(out=folder / "clip", tokenizer=folder / "tokenizer", **common)
    parts = {"vae": folder / "autoencoder/vae", "clip": folder / "clip/clip"}
    results["unet"] = recipe("unet")(out=folder / "unet", **parts, **common)
    for name in ("pix2pix", "inpaint"):
        results[name] = recipe(name)(out=folder / name, init=folder / "unet/unet", **parts, **common)
    assert all(result.finished for result in results.values())
    return folder


@pytest.fixture(scope="module")
def pipeline_folder(runs):
    """These parts assembled."""
    from difflab.train.assemble import assemble

    return assemble(runs / "pipeline", autoencoder=[runs / "autoencoder"], clip=[runs / "clip"], unet=[runs / "unet"])


def toy(accelerator, out, *, stop_at=None, factor=1.0, **options):
    """A linear regression in the runner: 3 numbers in, their sum out. Returns (module, result).

    In step `stop_at` the process sends itself SIGTERM. `factor` multiplies the loss.
    """
    module = torch.nn.Linear(3, 1)
    torch.nn.init.zeros_(module.weight)
    torch.nn.init.zeros_(module.bias)
    steps_done = []

    def draw(generator, n):
        return {"x": torch.randn(n, 3, generator=generator)}

    def loss_fn(batch, generator, progress):
        steps_done.append(progress)
        if len(steps_done) == stop_at:
            os.kill(os.getpid(), signal.SIGTERM)
        x = batch["x"]
        return factor * ((module(x) - x.sum(dim=1, keepdim=True)) ** 2).mean(), {}

    options = {"steps": 20, "batch_size": 8, "learning_rate": 0.1, "warmup": 1, **options}
    return module, runner.fit(accelerator, {"toy": module}, draw, loss_fn, out=out, **options)


@pytest.fixture
def cpu():
    return runner.start(device="cpu", precision="no")


# ------------------------------------------------------------------------------------------------------ every recipe


@pytest.mark.parametrize(
    ("name", "weights", "metrics"),
    [
        ("autoencoder", "vae/diffusion_pytorch_model.safetensors", {"psnr", "latent_std"}),
        ("clip", "clip/text_encoder/model.safetensors", {"image_to_text", "text_to_image", "among"}),
        ("unet", "unet/diffusion_pytorch_model.safetensors", {"mse"}),
        ("pix2pix", "unet/pytorch_lora_weights.safetensors", {"mse"}),
        ("inpaint", "unet/pytorch_lora_weights.safetensors", {"mse"}),
    ],
)
def test_smoke(runs, name, weights, metrics):
    assert (runs / name / weights).stat().st_size > 10_000
    checkpoints = list((runs / name).glob("checkpoint-*"))
    assert len(checkpoints) == 1
    names = {p.name for p in checkpoints[0].iterdir()}
    assert names == {"weights.safetensors", "average.safetensors", "optimizer.safetensors", "state.json"}  # no pickle
    log = runner.read_log(runs / name)
    assert log[0]["step"] == 1 and np.isfinite(log[0]["loss"]) and log[0]["pictures_per_second"] > 0
    assert {f"validation_{m}" for m in metrics} <= set(log[-1])
    if name != "clip":
        sheet = Image.open(next((runs / name / "samples").glob("*.png")))
        assert sheet.width >= 128 and np.asarray(sheet).std() > 0


def test_recipes_by_name():
    assert {"autoencoder", "tokenizer", "clip", "unet"} <= set(RECIPES)
    with pytest.raises(ValueError, match="recipe='vae' is unknown; choose one of autoencoder"):
        recipe("vae")


# --------------------------------------------------------------------------------------------------- the runner alone


def test_the_runner_learns(cpu, tmp_path):
    module, result = toy(cpu, tmp_path / "run", steps=300)
    assert result == (300, result.seconds, True, {})
    assert torch.allclose(module.weight, torch.ones(1, 3), atol=0.02)


def test_learning_rate():
    factor = [
        runner.learning_rate_factor(step, step / 1000, warmup=10, decay_from=0.4) for step in (0, 4, 9, 399, 700, 1000)
    ]
    assert factor == pytest.approx([0.1, 0.5, 1.0, 1.0, 0.505, 0.01])


def test_batches_depend_on_seed_step_and_process_alone():
    first = torch.rand(4, generator=runner.generator(0, 7, 1))
    assert torch.equal(first, torch.rand(4, generator=runner.generator(0, 7, 1)))
    for other in ((1, 7, 1), (0, 8, 1), (0, 7, 0)):
        assert not torch.equal(first, torch.rand(4, generator=runner.generator(*other)))


def test_averaged_weights_come_and_go():
    module = torch.nn.Linear(2, 2)
    live = module.weight.detach().clone()
    average = [torch.zeros_like(p) for p in module.parameters()]
    with runner.averaged({"m": module}, average):
        assert not module.training and module.weight.abs().sum() == 0
    assert module.training and torch.equal(module.weight, live)
    runner.update_average(average, list(module.parameters()), step=10**9, decay=0.9)
    assert torch.allclose(average[0], 0.1 * live)


def test_running_statistics_are_in_the_checkpoint(tmp_path):
    module = torch.nn.BatchNorm1d(3)
    module(torch.randn(5, 3) + 4)
    state = runner.buffers({"m": module})
    assert set(state) == {"m.running_mean", "m.running_var", "m.num_batches_tracked"}
    weights = {**runner.trainable({"m": module}), **state}
    optimizer = torch.optim.AdamW(module.parameters())
    runner.save_checkpoint(tmp_path, {"step": 3}, weights, {}, optimizer)
    other = torch.nn.BatchNorm1d(3)
    target = {**runner.trainable({"m": other}), **runner.buffers({"m": other})}
    runner.load_checkpoint(runner.newest_checkpoint(tmp_path), target, {}, optimizer)
    assert torch.equal(other.running_mean, module.running_mean) and int(other.num_batches_tracked) == 1


@pytest.mark.parametrize("micro_batch", [1, 3, 8, 100])
def test_a_batch_in_parts_is_the_same_step(cpu, tmp_path, micro_batch):
    whole, _ = toy(cpu, tmp_path / "whole")
    parts, _ = toy(cpu, tmp_path / "parts", micro_batch=micro_batch)
    assert torch.allclose(whole.weight, parts.weight, atol=1e-5)
    losses = [[e["loss"] for e in runner.read_log(tmp_path / run) if "loss" in e] for run in ("whole", "parts")]
    assert losses[0] == pytest.approx(losses[1], rel=1e-5)


def test_minutes_are_kept_and_counted_over_resumes(cpu, tmp_path):
    _, result = toy(cpu, tmp_path / "run", minutes=0.02)
    assert result.finished and 1.2 <= result.seconds < 3.0
    _, again = toy(cpu, tmp_path / "run", minutes=0.02, resume=True)
    assert again.step == result.step and again.finished


def test_stopped_and_resumed_is_the_same_run(cpu, tmp_path):
    whole, _ = toy(cpu, tmp_path / "whole", steps=40)
    handler = signal.getsignal(signal.SIGTERM)
    _, first = toy(cpu, tmp_path / "halves", steps=40, stop_at=17)
    assert first.step == 17 and not first.finished
    assert signal.getsignal(signal.SIGTERM) is handler
    resumed, second = toy(cpu, tmp_path / "halves", steps=40, resume=True)
    assert second.step == 40 and second.finished
    assert torch.equal(resumed.weight, whole.weight) and torch.equal(resumed.bias, whole.bias)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"steps": 0}, "steps=0 must be above 0"),
        ({"batch_size": -1}, "batch_size=-1 must be above 0"),
        ({"learning_rate": float("nan")}, "learning_rate=nan must be above 0"),
        ({"minutes": 0}, "minutes=0 must be above 0"),
        ({"seed": -1}, "seed=-1 must not be negative"),
    ],
)
def test_senseless_settings(cpu, tmp_path, options, message):
    with pytest.raises(ValueError, match=message):
        toy(cpu, tmp_path / "run", **options)
    assert not (tmp_path / "run").exists()


def test_a_run_is_not_overwritten_by_accident(cpu, tmp_path):
    toy(cpu, tmp_path)
    with pytest.raises(ValueError, match="already holds checkpoint-000000020; add --resume"):
        toy(cpu, tmp_path)
    with pytest.raises(ValueError, match="trained with seed=0, not 5"):
        toy(cpu, tmp_path, resume=True, seed=5)
    with pytest.raises(ValueError, match="trained with batch_size=8, not 16"):
        toy(cpu, tmp_path, resume=True, batch_size=16)


def test_a_checkpoint_of_another_model(tmp_path):
    small, large = torch.nn.Linear(2, 2), torch.nn.Linear(3, 3)
    optimizer = torch.optim.AdamW(small.parameters())
    folder = runner.save_checkpoint(tmp_path, {"step": 1}, runner.trainable({"m": small}), {}, optimizer)
    with pytest.raises(ValueError, match="holds another model than this recipe builds .first difference: m.weight"):
        runner.load_checkpoint(folder, runner.trainable({"m": large}), {}, optimizer)


def test_a_loss_that_is_no_number_ends_the_run(cpu, tmp_path):
    with pytest.raises(FloatingPointError, match="the loss is nan at step 1"):
        toy(cpu, tmp_path, factor=float("nan"))
    assert runner.newest_checkpoint(tmp_path) is None


def test_devices_and_precisions():
    with pytest.raises(ValueError, match="device='tpu' is unknown; choose one of auto, cpu, cuda, mps"):
        runner.start(device="tpu")
    with pytest.raises(ValueError, match="precision='int4' is unknown"):
        runner.start(precision="int4")
    with pytest.raises(ValueError, match="precision='fp16' needs a CUDA GPU"):
        runner.start(device="cpu", precision="fp16")
    with pytest.raises(ValueError, match="threads=0 must be at least 1"):
        runner.start(threads=0)
    if not torch.cuda.is_available():
        with pytest.raises(ValueError, match="device='cuda' is not available on this machine; use device='cpu'"):
            runner.start(device="cuda")


def test_the_log_survives_a_kill(tmp_path):
    lines = [
        '{"step": 1, "loss": 3}',
        '{"step": 2, "loss": 2}',
        '{"step": 2, "loss": 2.5}',
        '{"step": 2, "validation_x": 1}',
    ]
    (tmp_path / "log.jsonl").write_text("\n".join(lines) + '\n{"step": 3, "lo')
    assert runner.read_log(tmp_path) == [{"step": 1, "loss": 3}, {"step": 2, "loss": 2.5, "validation_x": 1}]


# ------------------------------------------------------------------------------------ killed, interrupted, two at once


def command(*arguments):
    return [sys.executable, "-m", "difflab.train", *map(str, arguments)]


AUTOENCODER = ("autoencoder", "--smoke", "--device", "cpu", "--precision", "no", "--threads", 1, "--steps", 60)


def start_and_signal(folder, number):
    """Train the autoencoder, wait for a checkpoint on the way, send the signal; returns the exit status."""
    process = subprocess.Popen(
        command(*AUTOENCODER, "--out", folder, "--save-minutes", 0.002), env=ENVIRONMENT, stderr=subprocess.DEVNULL
    )
    deadline = time.monotonic() + 300  # far more than it takes, on a machine with other work too
    while runner.newest_checkpoint(folder) is None and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.01)
    process.send_signal(number)
    status = process.wait(timeout=30)
    assert 0 < int(runner.newest_checkpoint(folder).name.removeprefix("checkpoint-")) < 60
    return status


@pytest.mark.slow
def test_killed_and_resumed_is_the_same_run(tmp_path):
    """SIGKILL leaves no time to save; the run goes on from its last checkpoint and ends where it would have."""
    subprocess.run(command(*AUTOENCODER, "--out", tmp_path / "whole"), env=ENVIRONMENT, check=True)
    assert start_and_signal(tmp_path / "killed", signal.SIGKILL) == -signal.SIGKILL
    resume = command(*AUTOENCODER, "--out", tmp_path / "killed", "--resume")
    subprocess.run(resume, env=ENVIRONMENT, check=True)
    for file in ("weights", "average", "optimizer"):
        whole = load_file(tmp_path / f"whole/checkpoint-000000060/{file}.safetensors")
        killed = load_file(tmp_path / f"killed/checkpoint-000000060/{file}.safetensors")
        assert whole.keys() == killed.keys()
        for name in whole:
            assert torch.allclose(whole[name], killed[name], atol=1e-6), name


@pytest.mark.slow
def test_interrupted_saves_and_says_so(tmp_path):
    assert start_and_signal(tmp_path / "run", signal.SIGINT) == 130
    state = json.loads((runner.newest_checkpoint(tmp_path / "run") / "state.json").read_text())
    assert state["step"] == int(runner.newest_checkpoint(tmp_path / "run").name.removeprefix("checkpoint-"))
    assert (tmp_path / "run/vae/config.json").is_file()


TWO = """
import sys
import torch
from pathlib import Path
from safetensors.torch import save_file
from difflab.train import runner

torch.set_num_threads(1)
accelerator = runner.start(device="cpu", precision="no")
module = torch.nn.Linear(2, 1, bias=False)
torch.nn.init.zeros_(module.weight)
rank = accelerator.process_index

def draw(generator, n):
    return {"x": torch.ones(n, 1)}

def loss_fn(batch, generator, progress):  # the gradient is (1, 0) on the first process and (0, 3) on the second
    return (batch["x"] * module.weight[0, rank] * (1 + 2 * rank)).mean(), {}

out = Path(sys.argv[1])
options = {"steps": 5, "batch_size": 4, "learning_rate": 0.1}
runner.fit(accelerator, {"m": module}, draw, loss_fn, out=out / "run", **options)
save_file({"weight": module.weight.detach(), "last": module.weight.grad}, out / f"{rank}.safetensors")
"""


def launch(*arguments):
    """`accelerate launch` with two processes, which `--device cpu` puts on the CPU.

    (Its own option `--cpu` starts a single process where there is no MPI, whatever number one asks for.)
    """
    options = ["--multi_gpu", "--num_processes", "2", "--num_machines", "1", "--mixed_precision", "no"]
    options += ["--dynamo_backend", "no", "--num_cpu_threads_per_process", "1", "--main_process_port", "0"]
    return [sys.executable, "-m", "accelerate.commands.launch", *options, *map(str, arguments)]


@pytest.mark.slow
def test_two_processes_average_their_gradients(tmp_path):
    (tmp_path / "two.py").write_text(TWO)
    subprocess.run(launch(tmp_path / "two.py", tmp_path), env=ENVIRONMENT, check=True, timeout=120)
    first, second = load_file(tmp_path / "0.safetensors"), load_file(tmp_path / "1.safetensors")
    assert torch.equal(first["weight"], second["weight"]) and (first["weight"] < 0).all()
    mean = torch.tensor([[0.5, 1.5]])
    assert torch.allclose(first["last"], mean / mean.norm())  # clipped to length 1


@pytest.mark.slow
def test_accelerate_launch(tmp_path):
    arguments = ("-m", "difflab.train", "autoencoder", "--smoke", "--device", "cpu", "--out", tmp_path / "run")
    subprocess.run(launch(*arguments), env=ENVIRONMENT, check=True, timeout=120)
    state = json.loads((runner.newest_checkpoint(tmp_path / "run") / "state.json").read_text())
    assert state["processes"] == 2 and state["step"] == 6


@pytest.mark.slow
def test_command_line_errors_are_one_line(tmp_path):
    done = subprocess.run(
        command("autoencoder", "--smoke", "--data", tmp_path / "nowhere"),
        env=ENVIRONMENT,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1
    assert done.stderr.strip().splitlines()[-1] == f"error: data folder {tmp_path / 'nowhere'} does not exist"


# ----------------------------------------------------------------------------------------------- pictures of one's own


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


def test_imagefolder(imagefolder, tmp_path, capsys):
    training, unseen = data.open_data(imagefolder)
    assert len(training) == 5 and len(unseen) == 1
    assert {caption for _, caption in (*map(training.__getitem__, range(5)), unseen[0])} == {
        "zero",
        *(f"a picture {i}" for i in range(1, 6)),
    }
    picture, _ = training[0]
    assert picture.shape == (128, 128, 3) and picture.dtype == np.uint8 and (picture[:, 0] != 255).any()
    assert capsys.readouterr().err.count("is 160x128") == 1  # said once
    result = recipe("autoencoder")(out=tmp_path / "run", data_folder=imagefolder, smoke=True, device="cpu")
    assert result.finished and (tmp_path / "run/vae/config.json").is_file()
    tokens = recipe("tokenizer")(out=tmp_path / "tokenizer", data_folder=imagefolder)
    assert tokens.metrics["tokens"] > 512
    clip = recipe("clip")(
        out=tmp_path / "clip", data_folder=imagefolder, tokenizer=tmp_path / "tokenizer", smoke=True, device="cpu"
    )
    assert clip.finished


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (None, "has no metadata.jsonl .6 pictures found."),
        ([], "names 0 pictures; 2 are the least"),
        (['{"file_name": "0.png"}'], "line 1 has no text for '0.png': give it a caption"),
        (['{"file_name": "0.png", "text": " "}'], "line 1 has no text for '0.png'"),
        (['{"text": "a cat"}'], "line 1 has no file_name"),
        (["0.png, a cat"], "line 1 is not JSON: '0.png, a cat'"),
        (['{"file_name": "9.png", "text": "a cat"}'], "line 1 names '9.png', which is not in"),
    ],
)
def test_imagefolder_mistakes(imagefolder, lines, message):
    (imagefolder / "metadata.jsonl").unlink()
    if lines is not None:
        (imagefolder / "metadata.jsonl").write_text("\n".join(lines))
    with pytest.raises(ValueError, match=message):
        data.open_data(imagefolder)


def test_a_broken_picture(imagefolder):
    (imagefolder / "3.png").write_bytes(b"not a picture")
    training, unseen = data.open_data(imagefolder)
    with pytest.raises(ValueError, match=r"3\.png is not a readable picture"):
        data.stack(training, range(5)), data.stack(unseen, range(1))


def test_pictures_are_kept_and_shared(tmp_path):
    training, unseen = data.open_data(seed=3)
    first = data.cache_pictures(training, 5, tmp_path, captions=4)
    written = {p: p.stat().st_mtime_ns for p in tmp_path.rglob("*.npy")}
    again = data.cache_pictures(training, 5, tmp_path, captions=4)
    assert {p: p.stat().st_mtime_ns for p in tmp_path.rglob("*.npy")} == written
    assert np.array_equal(first.pictures, data.stack(training, range(5))) and first.captions == again.captions
    assert [len(texts) for texts in first.captions] == [4] * 5 and first.captions[2][0] == training[2][1]
    assert not np.array_equal(unseen[0][0], training[0][0])
    with pytest.raises(ValueError, match="count=0"):
        data.cache_pictures(training, 0, tmp_path)


def test_latents_are_kept_and_grow(cpu, tmp_path, monkeypatch):
    monkeypatch.setattr(data, "SHARD", 4)
    training, _ = data.open_data(seed=3)
    encoded = []

    def encode(source, indices):
        encoded.append(len(indices))
        z = data.to_tensor(data.stack(source, indices))[:, :, ::8, ::8]
        return {"mean": z, "std": z.abs()}

    first = data.cache_latents(training, 8, tmp_path, encode, "mark", cpu)
    more = data.cache_latents(training, 10, tmp_path, encode, "mark", cpu)
    assert encoded == [4, 4, 2]
    assert (
        first.mean.shape == (8, 3, 16, 16)
        and first.seen.shape == (8, 0, 16, 16)
        and torch.equal(more.mean[:8], first.mean)
        and len(more.captions) == 10
    )
    data.cache_latents(training, 4, tmp_path, encode, "another", cpu)
    assert encoded == [4, 4, 2, 4]


# ------------------------------------------------------------------------------------------------- what recipes compute


def test_autoencoder_pieces():
    from diffusers.models.autoencoders.vae import DiagonalGaussianDistribution

    from difflab.train import autoencoder

    g = torch.Generator().manual_seed(0)
    x = torch.rand(2, 3, 32, 32, generator=g) * 2 - 1
    y = (x + 0.1).clamp(-1, 1)
    assert autoencoder.reconstruction_loss(x, x) == 0
    blurred = torch.nn.functional.avg_pool2d(x, 3, stride=1, padding=1)
    assert autoencoder.reconstruction_loss(blurred, x) > autoencoder.reconstruction_loss(y, x) > 0
    moments = torch.randn(3, 8, 4, 4, generator=g)
    mean, logvar = moments.chunk(2, dim=1)
    theirs = DiagonalGaussianDistribution(moments).kl().mean() / mean[0].numel()
    assert torch.allclose(autoencoder.kl_divergence(mean, logvar), theirs)
    crops = autoencoder.random_crops(x, 8, g)
    windows = x.unfold(2, 8, 1).unfold(3, 8, 1)  # 2,3,25,25,8,8
    for i in range(2):
        assert (windows[i] == crops[i][:, None, None]).all(dim=(0, 3, 4)).any()


def test_scaling_factor_gives_unit_variance(runs):
    from diffusers import AutoencoderKL

    from difflab.train import autoencoder

    vae = AutoencoderKL.from_pretrained(runs / "autoencoder/vae")
    training, _ = data.open_data(seed=0)
    x = data.to_tensor(data.stack(training, range(8)))
    accelerator = runner.start(device="cpu")
    assert vae.config.scaling_factor == 0.18215 == pytest.approx(
        autoencoder.scaling_factor(vae, x, accelerator.autocast), rel=1e-2  # bf16
    )


def test_rescaling_changes_no_picture_and_no_scaled_latent():
    from diffusers import AutoencoderKL

    from difflab.train import autoencoder

    vae = autoencoder.build(channels=(8, 8, 16, 16)).eval().requires_grad_(False)
    torch.nn.init.normal_(vae.quant_conv.bias)
    x = torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(0)) * 2 - 1
    before, picture = vae.encode(x).latent_dist, vae(x).sample
    autoencoder.rescale(vae, 0.7)
    after = vae.encode(x).latent_dist
    assert vae.config.scaling_factor == 0.18215
    for ours, theirs in ((after.mean, before.mean), (after.std, before.std)):
        assert torch.allclose(ours * 0.18215, theirs * 0.7, rtol=1e-4)
    assert torch.allclose(vae(x).sample, picture, atol=1e-5) and isinstance(vae, AutoencoderKL)


def test_decoder_alone(runs, tmp_path):
    from diffusers import AutoencoderKL

    from difflab.train.unet import fingerprint

    train = recipe("autoencoder")
    with pytest.raises(ValueError, match="decoder_only=True keeps the encoder of a trained autoencoder"):
        train(out=tmp_path / "run", decoder_only=True, smoke=True)
    with pytest.raises(ValueError, match="has no config.json: expected the folder of a trained AutoencoderKL"):
        train(out=tmp_path / "run", init=tmp_path, smoke=True, device="cpu")
    train(out=tmp_path / "run", decoder_only=True, init=runs / "autoencoder/vae", smoke=True, device="cpu")
    before = AutoencoderKL.from_pretrained(runs / "autoencoder/vae")
    after = AutoencoderKL.from_pretrained(tmp_path / "run/vae")
    assert fingerprint(before) == fingerprint(after)  # encoder and scaling factor
    changed = [
        not torch.equal(a, b) for a, b in zip(before.decoder.parameters(), after.decoder.parameters(), strict=True)
    ]
    assert all(changed)


def test_tokenizer(runs):
    from transformers import CLIPTokenizer

    from difflab import world
    from difflab.train.tokenizer import EXTRA_WORDS

    tokenizer = CLIPTokenizer.from_pretrained(runs / "tokenizer")
    assert tokenizer.model_max_length == 77
    ids = tokenizer(["a cat"], padding="max_length", truncation=True).input_ids[0]
    assert len(ids) == 77 and ids[0] == tokenizer.bos_token_id and set(ids[3:]) == {tokenizer.eos_token_id}
    for text in ("Zürich, 2 cafés & a 🦄!", "xylophone", "it's <b>bold</b>"):
        tokens = tokenizer(text, add_special_tokens=False).input_ids
        assert tokens and tokenizer.unk_token_id not in tokens
        assert tokenizer.decode(tokens).replace(" ", "") == text.lower().replace(" ", "")
    for word in EXTRA_WORDS:
        assert len(tokenizer(word, add_special_tokens=False).input_ids) == 1, word
    assert len(tokenizer("a cat", add_special_tokens=False).input_ids) == 2
    wanted = {"vocab.json", "merges.txt"} | ({"tokenizer.json"} if hasattr(tokenizer, "backend_tokenizer") else set())
    assert wanted <= {p.name for p in (runs / "tokenizer").iterdir()}  # the oldest transformers write two files
    assert "cat" in world.NOUNS


def test_clip_loss_is_clips_loss():
    from transformers.models.clip import modeling_clip

    from difflab.train.clip import contrastive_loss, retrieval

    theirs = getattr(modeling_clip, "image_text_contrastive_loss", None) or modeling_clip.clip_loss  # its older name

    g = torch.Generator().manual_seed(0)
    image, text = torch.randn(6, 8, generator=g), torch.randn(6, 8, generator=g)
    logits = 5.0 * torch.nn.functional.normalize(text) @ torch.nn.functional.normalize(image).T
    assert torch.allclose(contrastive_loss(image, text, torch.tensor(5.0).log()), theirs(logits), atol=1e-6)
    assert retrieval(image, 3 * image) == {"image_to_text": 1.0, "text_to_image": 1.0}
    turned = retrieval(image, image.roll(1, dims=0))
    assert turned == {"image_to_text": 0.0, "text_to_image": 0.0}


@pytest.mark.parametrize(
    ("caption", "sides"),
    [
        ("a cat to the left of a dog in the snow", ("cat", "dog")),
        ("at night, an orange cat to the right of a palm tree", ("palm tree", "cat")),
        ("a pencil sketch of a superhero flying to the left of a tree on the beach", ("superhero", "tree")),
        ("a cat beside a dog", None),
        ("a cat on a sofa", None),
        ("left of a cat", None),
    ],
)
def test_what_a_caption_says_of_sides(caption, sides):
    assert data.sides(caption) == sides


def test_sides_of_captions_are_those_of_the_scenes():
    from difflab import world

    rng, said = np.random.default_rng(0), 0
    for scene in (world.random_scene(rng) for _ in range(400)):
        told = data.sides(scene.caption(rng))
        if told:
            first, second = (thing.noun for thing in scene.things)
            assert told == ((first, second) if scene.relation == "left of" else (second, first))
            said += 1
    assert 80 < said < 140  # of three scenes one has two neighbors, and four captions of five say which stands where


def test_captions_that_say_sides_are_drawn_more_often():
    captions = [["a cat", "a dog"], ["a cat to the left of a dog", "a cat and a dog"], ["a car", "a bus"]]
    sided = data.sided(captions)
    assert sided.tolist() == [[1, 0]]
    index, wording = data.draw_captions(runner.generator(0), 400, (3, 2), sided, 0.5)
    assert (index[:200] == 1).all() and (wording[:200] == 0).all()
    assert {(int(i), int(j)) for i, j in zip(index[200:], wording[200:], strict=True)} == {
        (i, j) for i in range(3) for j in range(2)
    }
    index, _ = data.draw_captions(runner.generator(0), 400, (3, 2), data.sided([["a cat"]]), 0.5)
    assert set(index.tolist()) == {0, 1, 2}


def test_the_loss_that_asks_for_sides(runs):
    from difflab.train import clip
    from difflab.train import tokenizer as tokens

    tokenizer = tokens.load(runs / "tokenizer")
    captions = ["a cat to the left of a dog", "a cat to the right of a dog", "a cat and a dog"]
    ids = torch.from_numpy(tokens.token_ids(tokenizer, captions))[:, :12]
    cat, dog = (tokenizer(word, add_special_tokens=False).input_ids[-1] for word in ("cat", "dog"))
    sides = clip.sides_table(tokenizer, [captions])[0]
    assert sides.tolist() == [[cat, dog], [dog, cat], [-1, -1]]

    def asked(states):  # a head that repeats what the states say: 2 x vocabulary numbers at every position
        return float(clip.sides_loss(torch.nn.Identity(), states, ids, sides))

    size = len(tokenizer)
    right = torch.zeros(3, 12, 2, size)
    for row in (0, 1):
        for side in (0, 1):
            right[row, :, side, sides[row, side]] = 30.0
    assert asked(right.flatten(2)) < 1e-6
    exchanged = right.flip(2)
    assert asked(exchanged.flatten(2)) == pytest.approx(30.0, abs=1e-3)
    second = int((ids[0] == dog).int().argmax())
    exchanged[:, second:] = right[:, second:]  # before the second thing nobody can know
    assert asked(exchanged.flatten(2)) < 1e-6
    assert float(clip.sides_loss(torch.nn.Identity(), right.flatten(2)[2:], ids[2:], sides[2:])) == 0.0


def test_text_tower_alone(runs, tmp_path):
    from difflab.train import clip

    train, tokenizer = recipe("clip"), runs / "tokenizer"
    with pytest.raises(ValueError, match="text_only=True keeps the image tower of a trained CLIP"):
        train(out=tmp_path / "run", tokenizer=tokenizer, text_only=True, smoke=True)
    before = runs / "clip/clip"
    train(out=tmp_path / "run", tokenizer=tokenizer, text_only=True, init=before, smoke=True, device="cpu")
    old, new = (clip.join_towers(folder).state_dict() for folder in (before, tmp_path / "run/clip"))
    for name, value in old.items():
        assert torch.equal(value, new[name]) == name.startswith(("vision_model", "visual_projection")) or (
            name.endswith("position_embedding.weight") or "k_proj.bias" in name
        ), name


def test_trimming_captions_changes_nothing(runs):
    from difflab.train import clip
    from difflab.train import tokenizer as tokens

    tokenizer = tokens.load(runs / "tokenizer")
    model = clip.join_towers(runs / "clip/clip").eval()
    ids = torch.from_numpy(tokens.token_ids(tokenizer, ["a cat", "a dog on the beach at night", ""]))
    short = clip.trim(ids, tokenizer.eos_token_id)
    assert short.shape == (3, 9)
    with torch.no_grad():
        whole = model.text_model(input_ids=ids).pooler_output
        assert torch.allclose(model.text_model(input_ids=short).pooler_output, whole, atol=1e-5)


def test_towers_saved_apart_are_the_model(runs, tmp_path):
    from difflab.train import clip

    model = clip.build(700, start=698, end=699, width=32, layers=2).eval()
    clip.save_towers(model, runs / "tokenizer", tmp_path)
    again = clip.join_towers(tmp_path).eval()
    assert model.state_dict().keys() == again.state_dict().keys()
    for name, value in model.state_dict().items():
        assert torch.equal(value, again.state_dict()[name]), name
    ids = torch.tensor([[698, 5, 6, 699, 699]])
    x = torch.randn(1, 3, 128, 128, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        ours, theirs = clip.embed(model, x, ids), model(input_ids=ids, pixel_values=x)
    assert torch.allclose(torch.nn.functional.normalize(ours[0]), theirs.image_embeds, atol=1e-6)
    assert torch.allclose(torch.nn.functional.normalize(ours[1]), theirs.text_embeds, atol=1e-6)


def test_unet_pieces():
    from difflab.train import unet

    snr = torch.tensor([0.01, 1.0, 16.0])
    assert torch.allclose(unet.debiased_weight(snr), torch.tensor([5.0, 1.0, 0.25]))
    g = torch.Generator().manual_seed(0)
    t = torch.stack([unet.spread_timesteps(10, g) for _ in range(2000)])
    assert t.min() >= 0 and t.max() <= 999 and t.dtype == torch.int64
    assert ((t.sort(dim=1).values.diff(dim=1) - 100).abs() <= 1).all()  # evenly spread in each batch
    assert t[:, 3].float().mean() == pytest.approx(499.5, abs=25)  # and each of them uniform
    assert t[:, 3].float().std() == pytest.approx(1000 / 12**0.5, abs=15)


def test_unet_has_the_contracted_shape():
    from difflab.train import unet

    model = unet.build(192)
    maps = [n for n, m in model.named_modules() if n.endswith("attn2")]
    assert any(n.startswith(("down_blocks.0", "up_blocks.1")) for n in maps)  # at 16x16
    assert any(n.startswith(("down_blocks.1", "mid_block", "up_blocks.0")) for n in maps)  # at 8x8
    assert model.config.cross_attention_dim == 192 and model.config.sample_size == 16
    out = model(torch.zeros(1, 4, 16, 16), 10, torch.zeros(1, 77, 192)).sample
    assert out.shape == (1, 4, 16, 16)


@pytest.mark.parametrize("name", ["pix2pix", "inpaint"])
def test_a_wider_unet_starts_out_as_the_base(runs, name):
    """Zero weights for what it sees, zero LoRA: whatever stands in the new channels, nothing changes."""
    from diffusers import UNet2DConditionModel

    from difflab.train import unet

    base = UNet2DConditionModel.from_pretrained(runs / "unet/unet").eval()
    task = importlib.import_module(f"difflab.train.{name}").TASK
    g = torch.Generator().manual_seed(0)
    x, seen = torch.randn(2, 4, 16, 16, generator=g), torch.randn(2, task.channels, 16, 16, generator=g)
    text = torch.randn(2, 77, base.config.cross_attention_dim, generator=g)
    with torch.no_grad():
        expected = base(x, 500, text).sample
        wider = unet.with_adapter(base, task.channels)
        assert torch.allclose(wider(torch.cat([x, seen], 1), 500, text).sample, expected, atol=1e-5)
    learns = {n.split(".")[-2] for n, p in wider.named_parameters() if p.requires_grad and "lora" not in n}
    assert learns == {"conv_in"}


def test_an_adapter_goes_on(runs, tmp_path):
    """From another's input layer and LoRA, on the same U-Net or one trained further; anything else is refused."""
    from diffusers import UNet2DConditionModel

    from difflab.train import unet

    train, trained = recipe("pix2pix"), runs / "pix2pix/unet"
    base = UNet2DConditionModel.from_pretrained(runs / "unet/unet")
    unet.load_adapter(unet.with_adapter(base, 4), trained)
    (tmp_path / "saved").mkdir()
    unet.save_adapter(base, tmp_path / "saved")
    for file in trained.iterdir():
        for name, weight in load_file(file).items():
            assert torch.equal(load_file(tmp_path / "saved" / file.name)[name], weight), name
    common = {"smoke": True, "device": "cpu", "vae": runs / "autoencoder/vae", "clip": runs / "clip/clip"}
    common |= {"init": runs / "unet/unet"}
    train(out=tmp_path / "more", adapter=trained, **common)
    state = json.loads((runner.newest_checkpoint(tmp_path / "more") / "state.json").read_text())
    assert state["settings"]["init"] == str(trained)
    with pytest.raises(ValueError, match="has no conv_in.safetensors and pytorch_lora_weights"):
        train(out=tmp_path / "none", adapter=tmp_path, **common)
    with pytest.raises(ValueError, match="are for another U-Net or task"):
        train(out=tmp_path / "other", adapter=runs / "inpaint/unet", **common)
    fewer = tmp_path / "fewer"
    shutil.copytree(trained, fewer)
    weights = load_file(fewer / "pytorch_lora_weights.safetensors")
    save_file(dict(list(weights.items())[2:]), fewer / "pytorch_lora_weights.safetensors")
    with pytest.raises(ValueError, match="are for another U-Net or task"):
        train(out=tmp_path / "other", adapter=fewer, **common)
    with pytest.raises(ValueError, match="adapter= is for a task that sees more"):
        recipe("unet")(out=tmp_path / "other", adapter=trained, **common)


def test_what_instructpix2pix_sees():
    """The latent of the picture before, without the scaling factor; the instruction as text."""
    from difflab import world
    from difflab.train import pix2pix

    training, unseen = pix2pix.TASK.open_data(seed=3)
    edit = world.edit(3, 5)
    assert training[5][1] == edit.instruction and np.array_equal(training[5][0], world.render(edit.after))
    assert np.array_equal(training.seen(5), world.render(edit.before))
    assert training.captions(5, 3)[0] == edit.instruction and unseen[5][1] != edit.instruction

    def encode(pictures):
        z = data.to_tensor(pictures)[:, :, ::8, ::8]
        return z, z.abs()

    tensors = pix2pix.encode_edits(training, range(3), encode, 0.5)
    assert torch.equal(tensors["seen"], encode(pix2pix.before(training, range(3)))[0] / 0.5)
    assert torch.equal(tensors["mean"], encode(data.stack(training, range(3)))[0])


def test_what_inpainting_sees():
    """Every eighth pixel of the mask, and the latent of the picture with its hole painted gray."""
    from difflab.train import inpaint

    training, _ = inpaint.TASK.open_data(seed=3)

    def encode(pictures):
        z = data.to_tensor(pictures)[:, :, ::8, ::8]
        return z, z.abs()

    seen = inpaint.encode_masked(training, range(8), encode, 0.5)["seen"]
    assert seen.shape == (8, 4, 16, 16)  # this encoder has three channels
    for i in range(8):
        mask = training.seen(i)
        assert torch.equal(seen[i, 0], torch.from_numpy(mask[::8, ::8].copy()).float())
        picture = data.to_tensor(training[i][0][None])[0, :, ::8, ::8]
        assert torch.allclose(seen[i, 1:], torch.where(seen[i, :1] > 0, 1 / 255, picture), atol=1e-5)  # gray is 128
    empty = [i for i in range(40) if not training.scene(i).things]
    assert 0 < len(empty) < 20 and all(training.captions(i, 2)[0] for i in empty)


def test_your_own_edits(imagefolder):
    from difflab.train import inpaint, pix2pix

    with pytest.raises(ValueError, match="line 1 has no before"):
        pix2pix.TASK.open_data(imagefolder)
    lines = [{"file_name": f"{i}.png", "before": f"{(i + 1) % 6}.png", "text": "make it night"} for i in range(6)]
    (imagefolder / "metadata.jsonl").write_text("\n".join(json.dumps(line) for line in lines))
    training, unseen = pix2pix.TASK.open_data(imagefolder)
    assert len(training) == 5 and len(unseen) == 1 and training.seen(0).shape == (128, 128, 3)
    masked, _ = inpaint.TASK.open_data(imagefolder)
    assert 0 < masked.seen(0).mean() < 1 and np.array_equal(masked.seen(0), masked.seen(0))


# ------------------------------------------------------------------------------------------------------------ assembled


def test_assembled_pipeline_loads_in_diffusers_without_a_word(pipeline_folder, caplog):
    from diffusers import StableDiffusionPipeline

    with warnings.catch_warnings(), caplog.at_level(logging.WARNING):
        warnings.simplefilter("error")
        for name in ("diffusers", "transformers"):
            logging.getLogger(name).propagate = True
        pipeline = StableDiffusionPipeline.from_pretrained(pipeline_folder)
    said = [r.getMessage() for r in caplog.records if "torchvision" not in r.getMessage()]
    assert said == []
    assert type(pipeline.image_encoder).__name__ == "CLIPVisionModelWithProjection"
    assert {p.dtype for p in (pipeline.unet, pipeline.vae, pipeline.text_encoder)} == {torch.float32}
    pipeline.set_progress_bar_config(disable=True)
    images = pipeline("a cat", num_inference_steps=2, output_type="np").images
    assert images.shape == (1, 128, 128, 3)


def test_assembled_pipeline_loads_in_difflab(pipeline_folder):
    import difflab

    model = difflab.load(pipeline_folder, device="cpu")
    assert difflab.text_to_image(model, "a cat", num_inference_steps=2)[0].size == (128, 128)


def test_assembled_files(pipeline_folder):
    files = {p.relative_to(pipeline_folder).as_posix(): p for p in pipeline_folder.rglob("*") if p.is_file()}
    sums = dict(line.split("  ")[::-1] for line in (pipeline_folder / "SHA256SUMS").read_text().splitlines())
    assert set(sums) == set(files) - {"SHA256SUMS"}
    for name, expected in sums.items():
        assert hashlib.sha256(files[name].read_bytes()).hexdigest() == expected
    for name, path in files.items():
        assert path.stat().st_size < 15_000_000
        if name.endswith(".safetensors"):
            assert {t.dtype for t in load_file(path).values()} == {torch.float16}, name
        elif path.suffix == ".json":
            assert str(pipeline_folder.parent) not in path.read_text(), name  # no path of the machine
    tokenizer = json.loads(files["tokenizer/tokenizer.json"].read_text())
    assert tokenizer["model"]["merges"][0] == "t h"  # pairs in brackets are not read by tokenizers before 0.20
    assert json.loads(files["scheduler/scheduler_config.json"].read_text())["clip_sample"] is False
    index = json.loads(files["model_index.json"].read_text())
    assert index["feature_extractor"] == ["transformers", "CLIPImageProcessor"]
    head = load_file(files["clip_head.safetensors"])
    assert set(head) == {"text_projection.weight", "logit_scale"}
    for part in ("vae", "text_encoder", "image_encoder", "unet"):
        card = json.loads(files[f"cards/{part}.json"].read_text())
        assert card["part"] == part and card["samples"] > 0 and card["quality"]
        assert card["stages"][0]["loss_curve"] and card["stages"][0]["machine"]["device"] == "cpu"


def test_large_parts_are_sharded(runs, tmp_path, monkeypatch):
    from diffusers import UNet2DConditionModel

    from difflab.train import assemble

    monkeypatch.setattr(assemble, "SHARD", "1MB")
    folder = assemble.assemble(
        tmp_path / "p", autoencoder=[runs / "autoencoder"], clip=[runs / "clip"], unet=[runs / "unet"]
    )
    shards = list((folder / "unet").glob("*.safetensors"))
    assert len(shards) > 1
    stored = UNet2DConditionModel.from_pretrained(folder / "unet")
    trained = UNet2DConditionModel.from_pretrained(runs / "unet/unet")
    for a, b in zip(stored.parameters(), trained.parameters(), strict=True):
        assert torch.allclose(a, b, atol=1e-3)


def test_one_part_trained_further_from_the_shipped_weights(runs, pipeline_folder, tmp_path):
    """The other parts and their cards stay to the byte; the new card tells both runs."""
    from difflab.train.assemble import assemble

    shipped = tmp_path / "shipped"
    shutil.copytree(pipeline_folder, shipped)
    parts = {"init": shipped / "unet", "vae": shipped / "vae", "clip": shipped}
    recipe("unet")(out=tmp_path / "unet", smoke=True, device="cpu", seed=3, **parts)
    assemble(shipped, unet=[tmp_path / "unet"])
    for name in ("vae", "text_encoder", "image_encoder"):
        for path in (shipped / name).iterdir():
            assert path.read_bytes() == (pipeline_folder / name / path.name).read_bytes(), path
        assert (shipped / f"cards/{name}.json").read_text() == (pipeline_folder / f"cards/{name}.json").read_text()
    head = "clip_head.safetensors"
    assert (shipped / head).read_bytes() == (pipeline_folder / head).read_bytes()
    first, second = (json.loads((folder / "cards/unet.json").read_text()) for folder in (pipeline_folder, shipped))
    assert second["stages"][0] == first["stages"][0] and len(second["stages"]) == 2
    assert second["samples"] == 2 * first["samples"]
    sheets = sorted(path.name for path in (shipped / "cards/samples").iterdir())
    steps = first["stages"][0]["steps"]
    assert sheets == [f"step-{steps:06d}.jpg", f"step-{2 * steps:06d}.jpg"]  # counted over both runs


def test_parts_that_do_not_fit(runs, tmp_path):
    from difflab.train.assemble import assemble

    with pytest.raises(ValueError, match="has no config.json: expected the folder of a trained AutoencoderKL"):
        assemble(tmp_path / "p", autoencoder=[tmp_path], clip=[runs / "clip"], unet=[runs / "unet"])
    recipe("autoencoder")(out=tmp_path / "other", smoke=True, device="cpu", seed=1)
    with pytest.raises(ValueError, match="the U-Net learned the latents of encoder"):
        assemble(tmp_path / "p", autoencoder=[tmp_path / "other"], clip=[runs / "clip"], unet=[runs / "unet"])
    assert not (tmp_path / "p").exists()


@pytest.mark.parametrize(("name", "channels"), [("pix2pix", 8), ("inpaint", 9)])
def test_what_was_added_is_assembled_and_loads(runs, pipeline_folder, tmp_path, name, channels):
    from diffusers import UNet2DConditionModel

    from difflab.loading import add_inputs
    from difflab.train.assemble import assemble_added

    folder = assemble_added(tmp_path / name, runs=[runs / name], unet=pipeline_folder / "unet")
    assert {p.name for p in folder.iterdir()} == {
        "conv_in.safetensors", "pytorch_lora_weights.safetensors", "card.json", "samples.jpg", "SHA256SUMS",
    }  # fmt: skip
    card = json.loads((folder / "card.json").read_text())
    assert card["recipe"] == name and card["quality"]["mse"] > 0 and str(runs) not in json.dumps(card)
    unet = UNet2DConditionModel.from_pretrained(pipeline_folder / "unet").eval()
    before = {key: value.clone() for key, value in unet.state_dict().items()}
    add_inputs(unet, folder)
    after = unet.state_dict()
    assert set(after) == set(before) and unet.config.in_channels == channels  # the LoRA is in the weights now
    lora = load_file(folder / "pytorch_lora_weights.safetensors")
    layer = "mid_block.attentions.0.transformer_blocks.0.attn1.to_q"
    added = lora[f"unet.{layer}.lora_B.weight"].float() @ lora[f"unet.{layer}.lora_A.weight"].float()
    assert torch.allclose(after[f"{layer}.weight"], before[f"{layer}.weight"] + added, atol=1e-6) and added.any()
    (folder / "conv_in.safetensors").write_bytes(b"")
    with pytest.raises(ValueError, match="conv_in.safetensors' is damaged"):
        add_inputs(unet, folder)


def test_what_was_added_fits_its_own_unet_alone(runs, tmp_path):
    import difflab
    from difflab.train.assemble import assemble_added

    with pytest.raises(ValueError, match="was trained on U-Net"):
        assemble_added(tmp_path / "p", runs=[runs / "pix2pix"], unet=difflab.weights_folder() / "unet")
    with pytest.raises(ValueError, match="has no conv_in.safetensors"):
        assemble_added(tmp_path / "p", runs=[runs / "unet"], unet=runs / "unet/unet")

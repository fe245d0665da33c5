"""Trainings as processes: killed, interrupted, two at once, several together, with others that draw batches."""

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from difflab import train
from difflab.train.checkpoint import newest_checkpoint, read_state

ROOT = str(Path(train.__file__).parents[2])
ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1", "PYTHONPATH": ROOT}


def command(*arguments):
    return [sys.executable, "-m", "difflab.train", *map(str, arguments)]


AUTOENCODER = ("autoencoder", "--smoke", "--device", "cpu", "--precision", "no", "--threads", 1, "--steps", 60)


def start_and_signal(folder, number):
    """Train the autoencoder, wait for a checkpoint on the way, send the signal; returns the exit status."""
    process = subprocess.Popen(
        command(*AUTOENCODER, "--out", folder, "--save-minutes", 0.002), env=ENVIRONMENT, stderr=subprocess.DEVNULL
    )
    deadline = time.monotonic() + 300  # far more than it takes, on a machine with other work too
    while newest_checkpoint(folder) is None and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.01)
    process.send_signal(number)
    status = process.wait(timeout=30)
    assert 0 < int(newest_checkpoint(folder).name.removeprefix("checkpoint-")) < 60
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
    last = newest_checkpoint(tmp_path / "run")
    assert read_state(last)["step"] == int(last.name.removeprefix("checkpoint-"))
    assert (tmp_path / "run/vae/config.json").is_file()


@pytest.mark.slow
def test_two_at_once_do_not_break_each_other(tmp_path):
    """The second is refused in one line; the first ends as if there had been none."""
    arguments = command(*AUTOENCODER, "--steps", 400, "--out", tmp_path, "--save-minutes", 0)
    first = subprocess.Popen(arguments, env=ENVIRONMENT, stderr=subprocess.DEVNULL)
    while newest_checkpoint(tmp_path) is None and first.poll() is None:
        time.sleep(0.01)
    second = subprocess.run([*arguments, "--resume"], env=ENVIRONMENT, capture_output=True, text=True)
    assert first.poll() is None, "the first run was over before the second began: nothing was tried"
    assert second.returncode == 1
    assert second.stderr.splitlines()[-1].startswith(f"error: another run is training into {tmp_path}")
    first.send_signal(signal.SIGINT)
    assert first.wait() == 130 and read_state(newest_checkpoint(tmp_path))["step"] > 0


# ------------------------------------------------------------------------------------------------- several processes

TWO = """
import sys
import torch
from pathlib import Path
from safetensors.torch import save_file
from difflab.train.loop import fit
from difflab.train.machine import start
from difflab.train.options import Options
from difflab.train.runs import Product, open_run

torch.set_num_threads(1)
out = Path(sys.argv[1])
options = Options(out=out / "run", device="cpu", precision="no", steps=5, batch_size=4, learning_rate=0.1)
machine = start(options)
module = torch.nn.Linear(2, 1, bias=False)
torch.nn.init.zeros_(module.weight)

def draw(generator, n):
    return {"x": torch.ones(n, 1)}

def loss_fn(batch, generator, progress):  # the gradient is (1, 0) on the first process and (0, 3) on the second
    return (batch["x"] * module.weight[0, machine.process] * (1 + 2 * machine.process)).mean(), {}

with open_run(options, machine, {"m": module}, Product("two", "Linear", "", "model"), {}) as run:
    result = fit(run, draw, loss_fn)
assert result.finished and result.step == 5
save_file({"weight": module.weight.detach(), "last": module.weight.grad}, out / f"{machine.process}.safetensors")
"""


def torchrun(*arguments):
    """`torchrun` with two processes."""
    options = ["--standalone", "--nproc_per_node", "2"]
    return [sys.executable, "-m", "torch.distributed.run", *options, *map(str, arguments)]


@pytest.mark.slow
def test_two_processes_average_their_gradients(tmp_path):
    (tmp_path / "two.py").write_text(TWO)
    subprocess.run(torchrun(tmp_path / "two.py", tmp_path), env=ENVIRONMENT, check=True, timeout=120)
    first, second = load_file(tmp_path / "0.safetensors"), load_file(tmp_path / "1.safetensors")
    assert torch.equal(first["weight"], second["weight"]) and (first["weight"] < 0).all()
    mean = torch.tensor([[0.5, 1.5]])
    assert torch.allclose(first["last"], mean / mean.norm())  # clipped to length 1


@pytest.mark.slow
def test_a_recipe_on_two_processes(tmp_path):
    """As chapter 6 says; a run of two is not resumed by one, whose batches would be others."""
    arguments = ("-m", "difflab.train", "autoencoder", "--smoke", "--device", "cpu", "--out", tmp_path / "run")
    subprocess.run(torchrun(*arguments), env=ENVIRONMENT, check=True, timeout=120)
    state = read_state(newest_checkpoint(tmp_path / "run"))
    assert state["processes"] == 2 and state["step"] == 6
    with pytest.raises(ValueError, match="was trained with processes=2, not 1"):
        train.run("autoencoder", smoke=True, device="cpu", out=tmp_path / "run", resume=True)


# ---------------------------------------------------------------------------------------- processes that draw batches

SPAWNED = """
import multiprocessing, os, signal, sys, time
from functools import partial
from pathlib import Path

import torch

from difflab.train import loop, run
from difflab.train.machine import start
from difflab.train.options import Options
from difflab.train.runs import Product, open_run

CHOSEN = {"device": "cpu", "precision": "no", "threads": 1, "workers": 2}

def draw(out, generator, n):  # while the training waits for its fifth batch the terminal sends Ctrl-C, to everybody
    if generator.initial_seed() == loop.generator(0, 4, 0, 0).initial_seed():
        while '"step": 4' not in (out / "log.jsonl").read_text():
            time.sleep(0.01)
        time.sleep(0.2)
        os.killpg(0, signal.SIGINT)
    return {"x": torch.randn(n, 3, generator=generator)}

def toy(out):
    module = torch.nn.Linear(3, 1)
    options = Options(out=out, steps=1000, batch_size=8, learning_rate=0.1, log_every=1, **CHOSEN)
    with open_run(options, start(options), {"toy": module}, Product("toy", "Linear", "", "model"), {}) as opened:
        loss_fn = lambda batch, generator, progress: ((module(batch["x"]) ** 2).mean(), {})
        return loop.fit(opened, partial(draw, out), loss_fn)

if __name__ == "__main__":
    multiprocessing.set_start_method("spawn")
    out = Path(sys.argv[1])
    result = toy(out) if sys.argv[2] == "interrupted" else run("judge", out=out, smoke=True, **CHOSEN)
    print(result.step, result.finished)
"""


def spawned(tmp_path, how):
    """Run SPAWNED in a process group of its own, into `tmp_path/how`; what it prints: steps, and whether finished."""
    (tmp_path / "spawned.py").write_text(SPAWNED)
    arguments = [sys.executable, tmp_path / "spawned.py", tmp_path / how, how]
    done = subprocess.run(arguments, env=ENVIRONMENT, capture_output=True, text=True, start_new_session=True)
    assert done.returncode == 0, done.stderr
    return done.stdout.split()


@pytest.mark.slow
def test_batches_drawn_by_spawned_processes_are_the_same(tmp_path, threads):
    """As on macOS and Windows, where a process starts with nothing but what it is sent."""
    assert spawned(tmp_path, "whole") == ["6", "True"]
    train.run("judge", out=tmp_path / "alone", smoke=True, device="cpu", precision="no", threads=1)
    ends = [load_file(newest_checkpoint(tmp_path / run) / "weights.safetensors") for run in ("whole", "alone")]
    assert all(torch.equal(weight, ends[1][name]) for name, weight in ends[0].items())


@pytest.mark.slow
def test_ctrl_c_ends_a_run_with_other_processes_saved(tmp_path):
    """The terminal sends it to all of them; only the one that trains listens."""
    step, finished = spawned(tmp_path, "interrupted")
    assert (step, finished) == ("5", "False")
    assert newest_checkpoint(tmp_path / "interrupted").name == "checkpoint-000000005"

"""What one may choose about a training: refused before any work when it makes no sense; on the command line, too."""

import math
import subprocess
import sys

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

from difflab.train import RECIPES, run
from difflab.train.__main__ import app
from difflab.train.machine import start
from difflab.train.options import AutoencoderOptions, ClipOptions, Options


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"steps": 0}, "steps=0 must be a whole number from 1 up"),
        ({"steps": 2.5}, "steps=2.5 must be a whole number"),
        ({"steps": True}, "steps=True must be a whole number"),
        ({"minutes": 0}, "minutes=0 must be a finite number above 0"),
        ({"minutes": math.nan}, "minutes=nan must be a finite number"),
        ({"minutes": math.inf}, "minutes=inf must be a finite number"),
        ({"batch_size": -1}, "batch_size=-1 must be a whole number from 1 up"),
        ({"learning_rate": 0}, "learning_rate=0 must be a finite number above 0"),
        ({"learning_rate": math.inf}, "learning_rate=inf must be a finite number"),
        ({"learning_rate": math.nan}, "learning_rate=nan must be a finite number"),
        ({"learning_rate": True}, "learning_rate=True must be a finite number"),
        ({"decay_from": 1.5}, "decay_from=1.5 must be a number from 0 to 1"),
        ({"seed": -1}, "seed=-1 must be a whole number from 0 up"),
        ({"device": "tpu"}, "device='tpu' is unknown; choose one of auto, cpu, cuda, mps"),
        ({"precision": "int4"}, "precision='int4' is unknown"),
        ({"threads": 0}, "threads=0 must be a whole number from 1 up"),
        ({"workers": -1}, "workers=-1 must be a whole number from 0 up"),
        ({"save_minutes": math.nan}, "save_minutes=nan must be a finite number"),
        ({"validate_minutes": -1}, "validate_minutes=-1 must be a finite number, 0 or above"),
        ({"log_every": 0}, "log_every=0 must be a whole number from 1 up"),
    ],
)
def test_senseless_options(options, message):
    with pytest.raises(ValueError, match=message):
        Options(**options)


def test_what_belongs_together():
    with pytest.raises(ValueError, match="decoder_only=True keeps the encoder of a trained autoencoder"):
        AutoencoderOptions(decoder_only=True)
    with pytest.raises(ValueError, match="text_only=True keeps the image tower of a trained CLIP"):
        ClipOptions(text_only=True)
    with pytest.raises(ValueError, match="pictures=1 must be a whole number from 2 up"):
        ClipOptions(pictures=1)
    with pytest.raises(ValueError, match="crop_until=2 must be a number from 0 to 1"):
        AutoencoderOptions(crop_until=2)


def test_numbers_of_numpy_are_numbers():
    options = Options(steps=np.int64(3), learning_rate=np.float32(0.5))
    assert options.steps == 3 and options.learning_rate == 0.5


def test_a_recipe_fills_in_what_nobody_chose():
    options = Options(steps=3).filled({"steps": 5, "batch_size": 7, "channels": (1, 2)})
    assert (options.steps, options.batch_size, options.minutes) == (3, 7, None)
    with pytest.raises(ValueError, match="batch_size=0"):
        Options().filled({"batch_size": 0})


def test_devices():
    with pytest.raises(ValueError, match="precision='fp16' needs a CUDA GPU"):
        start(Options(device="cpu", precision="fp16"))
    machine = start(Options(device="cpu", precision="bf16"))
    assert machine.main and machine.processes == 1 and machine.device == torch.device("cpu")
    with machine.autocast():
        assert torch.is_autocast_enabled("cpu") and torch.get_autocast_dtype("cpu") == torch.bfloat16
    if not torch.cuda.is_available():
        with pytest.raises(ValueError, match="device='cuda' is not available on this machine; use device='cpu'"):
            start(Options(device="cuda"))


def test_the_number_of_threads_is_set(threads):
    start(Options(device="cpu", threads=1))
    assert torch.get_num_threads() == 1


def test_recipes_by_name():
    with pytest.raises(ValueError, match="recipe='vae' is unknown; choose one of tokenizer"):
        run("vae")


# ---------------------------------------------------------------------------------------------------- the command line


@pytest.mark.parametrize("name", RECIPES)
def test_every_option_is_on_the_command_line(name):
    said = CliRunner().invoke(app, [name, "--help"], env={"COLUMNS": "200", "NO_COLOR": "1"}).output
    for field in RECIPES[name].options.__dataclass_fields__:
        assert f"--{field.replace('_', '-')}" in said
    assert "--no-" not in said and RECIPES[name].what[:40] in said


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("judge", "--steps", "0"), "steps=0 must be a whole number from 1 up"),
        (("judge", "--log-every", "0"), "log_every=0 must be"),
        (("unet", "--minutes", "nan"), "minutes=nan must be a finite number above 0"),
        (("unet", "--learning-rate", "inf", "--steps", "1"), "learning_rate=inf must be"),
        (("autoencoder", "--smoke", "--data", "nowhere"), "data folder nowhere does not exist"),
        (("clip", "--smoke", "--tokenizer", "nowhere"), "nowhere has no vocab.json"),
        (("pix2pix", "--smoke", "--device", "cpu", "--adapter", "nowhere"), "nowhere has no conv_in.safetensors"),
        (("assemble", "--out", "p", "--unet", "nowhere"), "p/vae has no config.json"),
        (("assemble", "--out", "p", "--judge", "nowhere"), "nowhere has no checkpoint"),
    ],
)
def test_errors_are_one_line(tmp_path, monkeypatch, arguments, message):
    monkeypatch.chdir(tmp_path)
    done = CliRunner().invoke(app, arguments)
    assert done.exit_code == 1 and done.stderr.splitlines()[-1].startswith(f"error: {message}")
    assert not list(tmp_path.glob("**/checkpoint-*"))


def test_help_is_quick():
    """Nothing heavy is imported before a recipe is asked for."""
    code = "import sys, difflab.train.options; assert not {'diffusers', 'transformers'} & set(sys.modules)"
    code += "; import difflab.train.__main__; assert not {'diffusers', 'transformers'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)

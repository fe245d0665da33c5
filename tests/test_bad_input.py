"""Every kind of bad input gets a ValueError that names the value and the way out, before any work is done."""

import hashlib
import json
import shutil

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file

from difflab import load, noise, pick_device, text_to_image
from difflab.loading import HUB


@pytest.fixture
def no_work(random_model, monkeypatch):
    """A model whose U-Net must not be reached."""

    def forbidden(*_, **__):
        raise AssertionError("work was done before the input was checked")

    monkeypatch.setattr(random_model.unet, "forward", forbidden)
    return random_model


@pytest.mark.parametrize(
    "arguments, message",
    [
        (dict(prompt=""), "prompt is empty.*guidance_scale=0"),
        (dict(prompt="  "), "prompt is empty"),
        (dict(prompt=["a cat", ""]), "prompt is empty"),
        (dict(prompt=[]), "str or a list of str"),
        (dict(prompt=7), "str or a list of str, not 7"),
        (dict(prompt=["a", None]), "str or a list of str"),
        (dict(num_inference_steps=0), "num_inference_steps=0 .* 1 to 1000"),
        (dict(num_inference_steps=1001), "num_inference_steps=1001"),
        (dict(num_inference_steps=2.5), "num_inference_steps=2.5"),
        (dict(guidance_scale=float("nan")), "guidance_scale=nan"),
        (dict(guidance_scale=float("inf")), "guidance_scale=inf"),
        (dict(guidance_scale="5"), "guidance_scale='5'"),
        (dict(seed=-1), "seed=-1"),
        (dict(seed=1.5), "seed=1.5"),
        (dict(seed=True), "seed=True"),
        (dict(seed=None), "seed=None"),
        (dict(prompt=["a cat"] * 3, seed=[0, 1]), "2 seeds for 3 pictures"),
        (dict(guidance_scale=True), "guidance_scale=True"),
        (dict(guidance_scale=1e300), "guidance_scale=1e\\+300 .* -1000 to 1000"),
        (dict(combine=None), "combine=None must be a function"),
        (dict(progress=7), "progress=7 must be a function"),
        (dict(sampler="plms"), "sampler='plms' is unknown: choose one of ddpm, ddim, dpm\\+\\+, euler"),
        (dict(negative_prompt=["a", "b"]), "2 negative prompts for 1"),
        (dict(negative_prompt=None), "str or a list of str, not None"),
    ],
)
def test_text_to_image(no_work, arguments, message):
    with pytest.raises(ValueError, match=message):
        text_to_image(no_work, **{"prompt": "a cat", **arguments})


def test_an_empty_prompt_is_fine_without_guidance(random_model):
    assert len(text_to_image(random_model, "", guidance_scale=0, num_inference_steps=1)) == 1


def test_an_over_long_prompt_warns_and_still_draws(random_model):
    with pytest.warns(UserWarning, match="cut off at the end: '.*penguin.*'"):
        (image,) = text_to_image(random_model, "very " * 60 + "cold penguin", num_inference_steps=1)
    assert image.size == (64, 64)


@pytest.mark.parametrize(
    "image, message",
    [
        (Image.new("RGBA", (64, 64)), r"mode is 'RGBA'; use image.convert\('RGB'\)"),
        (Image.new("L", (64, 64)), "mode is 'L'"),
        (Image.new("RGB", (60, 64)), r"60 x 64; both sides must be multiples of 16.*resize\(\(64, 64\)\)"),
        (np.zeros((64, 64, 3), dtype=np.float32), "uint8 array .*not float32 array"),
        (np.zeros((64, 64, 4), dtype=np.uint8), "not uint8 array"),
        (np.zeros((64, 50, 3), dtype=np.uint8), "50 x 64"),
        ([], "no picture"),
        ("cat.png", "not str"),
        ([Image.new("RGB", (64, 64)), Image.new("RGB", (32, 32))], "one size"),
    ],
)
def test_pictures(random_model, image, message):
    with pytest.raises(ValueError, match=message):
        random_model.encode_image(image)


@pytest.mark.parametrize(
    "name, message",
    [
        ("gigantic", "no model and no folder 'gigantic': use tiny, tiny-pix2pix, tiny-inpaint, sd15"),
        ("./no/such/folder", "no model and no folder"),
        ("/no/such", "no model and no folder"),
    ],
)
def test_unknown_models(name, message):
    with pytest.raises(ValueError, match=message):
        load(name, device="cpu")


@pytest.mark.parametrize("name", ["sd15", "sd21", "somebody/something"])
def test_the_hub_out_of_reach(name, monkeypatch, tmp_path):
    """Told to stay offline, with an empty cache, the answer is what to do, not a stack of urllib."""
    from huggingface_hub import snapshot_download

    def offline(repository, **arguments):
        assert repository == HUB.get(name, name)
        return snapshot_download(repository, cache_dir=tmp_path, local_files_only=True, **arguments)

    monkeypatch.setattr("huggingface_hub.snapshot_download", offline)
    with pytest.raises(ConnectionError, match="cannot be reached. Once online.*pass the path"):
        load(name, device="cpu")


@pytest.mark.parametrize("device", ["cuda:99", "tpu", "gpu", "xpu:0"])
def test_no_such_device(device):
    with pytest.raises(ValueError, match=f"{device}.*this machine.* cpu"):
        pick_device(device)
    with pytest.raises(ValueError, match=device):
        load(device=device)


def test_bad_precision():
    with pytest.raises(ValueError, match="dtype='int7' is unknown: choose one of float32"):
        load(device="cpu", dtype="int7")
    with pytest.raises(ValueError, match="float16 is slow.*bfloat16"):
        load(device="cpu", dtype=torch.float16)


def test_bad_seeds_for_noise():
    for seed in (-1, 0.5, "0", [1, -2], [1]):
        with pytest.raises(ValueError, match="seed"):
            noise((2, 4, 8, 8), seed)


@pytest.fixture
def copy(random_folder, tmp_path):
    """A pipeline folder of one's own, to be damaged."""
    return shutil.copytree(random_folder, tmp_path / "copy")


def test_not_a_pipeline_folder(tmp_path, copy):
    with pytest.raises(ValueError, match="not a diffusers pipeline folder: it has no model_index.json"):
        load(tmp_path, device="cpu")
    shutil.rmtree(copy / "unet")
    with pytest.raises(ValueError, match="not a Stable Diffusion pipeline: it has no unet"):
        load(copy, device="cpu")


def test_a_damaged_index(copy):
    index = json.loads((copy / "model_index.json").read_text())
    (copy / "model_index.json").write_text("{")
    with pytest.raises(ValueError, match="damaged: it is not JSON"):
        load(copy, device="cpu")
    (copy / "model_index.json").write_text(json.dumps({**index, "text_encoder_2": index["text_encoder"]}))
    with pytest.raises(ValueError, match="it has no tokenizer_2, text_encoder_2"):
        load(copy, device="cpu")
    (copy / "model_index.json").write_text(json.dumps({**index, "unet": ["os", "system"]}))
    with pytest.raises(ValueError, match="os.system"):
        load(copy, device="cpu")


def test_a_prediction_type_we_do_not_know(copy):
    path = copy / "scheduler" / "scheduler_config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "prediction_type": "sample"}))
    with pytest.raises(ValueError, match="prediction_type='sample'"):
        load(copy, device="cpu")


def test_a_truncated_weight_file_without_sums(copy):
    path = copy / "unet" / "diffusion_pytorch_model.safetensors"
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(ValueError, match="unet of .* cannot be read.*fetch the folder anew"):
        load(copy, device="cpu")


@pytest.mark.parametrize("part", ["text_encoder/model", "unet/diffusion_pytorch_model"])
def test_a_weight_that_is_not_there_is_not_left_random(copy, part):
    path = copy / f"{part}.safetensors"
    weights = load_file(path)
    missing = min(weights)
    save_file({name: weight for name, weight in weights.items() if name != missing}, path, metadata={"format": "pt"})
    with pytest.raises(ValueError, match="(?s)(lacks weights .*1 in all|keys are missing).*fetch the folder anew"):
        load(copy, device="cpu")


def test_one_flipped_bit_is_noticed(copy):
    path = copy / "unet" / "diffusion_pytorch_model.safetensors"
    data = bytearray(path.read_bytes())
    (copy / "SHA256SUMS").write_text(f"{hashlib.sha256(data).hexdigest()}  {path.relative_to(copy).as_posix()}\n")
    load(copy, device="cpu")
    data[-1] ^= 1
    path.write_bytes(data)
    with pytest.raises(ValueError, match="diffusion_pytorch_model.safetensors' is damaged.*install difflab again"):
        load(copy, device="cpu")
    path.unlink()
    with pytest.raises(ValueError, match="diffusion_pytorch_model.safetensors' is missing"):
        load(copy, device="cpu")


def test_the_shipped_model_must_have_its_sums(copy, monkeypatch):
    monkeypatch.setattr("difflab.loading.weights_folder", lambda: copy)
    with pytest.raises(ValueError, match="no SHA256SUMS"):
        load("tiny", device="cpu")

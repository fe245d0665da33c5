"""The recipes: each in its smoke setting, and what they compute."""

import importlib
import pickle
import shutil
from functools import partial

import numpy as np
import pytest
import torch
from PIL import Image

import difflab
from difflab.train import RECIPES, data, loop, reading, run
from difflab.train.log import read_log
from difflab.train.machine import start
from difflab.train.marks import fingerprint
from difflab.train.options import Options


@pytest.mark.parametrize(
    ("name", "weights", "metrics"),
    [
        ("autoencoder", "vae/diffusion_pytorch_model.safetensors", {"psnr", "latent_std"}),
        ("clip", "clip/text_encoder/model.safetensors", {"image_to_text", "text_to_image", "among"}),
        ("unet", "unet/diffusion_pytorch_model.safetensors", {"mse"}),
        ("pix2pix", "unet/pytorch_lora_weights.safetensors", {"mse"}),
        ("inpaint", "unet/pytorch_lora_weights.safetensors", {"mse"}),
        ("web", "unet/pytorch_lora_weights.safetensors", {"mse"}),
        ("judge", "judge/judge.safetensors", {"noun", "color", "place"}),
        ("readers", "readers/readers.safetensors", {"depth_si_rmse", "depth_within", "miou", "pck", "figure"}),
    ],
)
def test_smoke(runs, name, weights, metrics):
    assert (runs / name / weights).stat().st_size > 10_000
    assert len(list((runs / name).glob("checkpoint-*"))) == 1
    log = read_log(runs / name)
    assert log[0]["step"] == 1 and np.isfinite(log[0]["loss"]) and log[0]["pictures_per_second"] > 0
    assert {f"validation_{m}" for m in metrics} <= set(log[-1])
    if name not in ("clip", "judge", "readers"):
        sheet = Image.open(next((runs / name / "samples").glob("*.png")))
        assert sheet.width >= 128 and np.asarray(sheet).std() > 0


def test_autoencoder_pieces():
    from diffusers.models.autoencoders.vae import DiagonalGaussianDistribution

    from difflab.train.recipes import autoencoder

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

    from difflab.train.recipes import autoencoder

    vae = AutoencoderKL.from_pretrained(runs / "autoencoder/vae")
    training, _ = data.open_data(seed=0)
    x = data.to_tensor(data.stack(training, range(8)))
    measured = autoencoder.scaling_factor(vae, x, start(Options(device="cpu")).autocast)
    assert vae.config.scaling_factor == 0.18215 == pytest.approx(measured, rel=1e-2)  # bf16


def test_rescaling_changes_no_picture_and_no_scaled_latent():
    from difflab.train.recipes import autoencoder

    vae = autoencoder.build(channels=(8, 8, 16, 16)).eval().requires_grad_(False)
    torch.nn.init.normal_(vae.quant_conv.bias)
    x = torch.rand(2, 3, 32, 32, generator=torch.Generator().manual_seed(0)) * 2 - 1
    before, picture = vae.encode(x).latent_dist, vae(x).sample
    autoencoder.rescale(vae, 0.7)
    after = vae.encode(x).latent_dist
    assert vae.config.scaling_factor == 0.18215
    for ours, theirs in ((after.mean, before.mean), (after.std, before.std)):
        assert torch.allclose(ours * 0.18215, theirs * 0.7, rtol=1e-4)
    assert torch.allclose(vae(x).sample, picture, atol=1e-5)


def test_decoder_alone(runs, tmp_path):
    from diffusers import AutoencoderKL

    train = partial(run, "autoencoder")
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
    from difflab.train.recipes.tokenizer import EXTRA_WORDS

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

    from difflab.train.recipes.clip import contrastive_loss, retrieval

    theirs = getattr(modeling_clip, "image_text_contrastive_loss", None) or modeling_clip.clip_loss  # its older name

    g = torch.Generator().manual_seed(0)
    image, text = torch.randn(6, 8, generator=g), torch.randn(6, 8, generator=g)
    logits = 5.0 * torch.nn.functional.normalize(text) @ torch.nn.functional.normalize(image).T
    assert torch.allclose(contrastive_loss(image, text, torch.tensor(5.0).log()), theirs(logits), atol=1e-6)
    assert retrieval(image, 3 * image) == {"image_to_text": 1.0, "text_to_image": 1.0}
    turned = retrieval(image, image.roll(1, dims=0))
    assert turned == {"image_to_text": 0.0, "text_to_image": 0.0}


def test_the_loss_that_asks_for_sides(runs):
    from difflab.train.recipes import clip, tokenizer as tokens

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
    from difflab.train.recipes import clip

    before = runs / "clip/clip"
    chosen = {"tokenizer": runs / "tokenizer", "text_only": True, "init": before, "smoke": True, "device": "cpu"}
    run("clip", out=tmp_path / "run", **chosen)
    old, new = (clip.join_towers(folder).state_dict() for folder in (before, tmp_path / "run/clip"))
    for name, value in old.items():
        assert torch.equal(value, new[name]) == name.startswith(("vision_model", "visual_projection")) or (
            name.endswith("position_embedding.weight") or "k_proj.bias" in name
        ), name


def test_trimming_captions_changes_nothing(runs):
    from difflab.train.recipes import clip, tokenizer as tokens

    tokenizer = tokens.load(runs / "tokenizer")
    model = clip.join_towers(runs / "clip/clip").eval()
    ids = torch.from_numpy(tokens.token_ids(tokenizer, ["a cat", "a dog on the beach at night", ""]))
    short = clip.trim(ids, tokenizer.eos_token_id)
    assert short.shape == (3, 9)
    with torch.no_grad():
        whole = model.text_model(input_ids=ids).pooler_output
        assert torch.allclose(model.text_model(input_ids=short).pooler_output, whole, atol=1e-5)


def test_towers_saved_apart_are_the_model(runs, tmp_path):
    from difflab.train.recipes import clip

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
    from difflab.train import denoising

    snr = torch.tensor([0.01, 1.0, 16.0])
    assert torch.allclose(denoising.debiased_weight(snr), torch.tensor([5.0, 1.0, 0.25]))
    g = torch.Generator().manual_seed(0)
    t = torch.stack([denoising.spread_timesteps(10, g) for _ in range(2000)])
    assert t.min() >= 0 and t.max() <= 999 and t.dtype == torch.int64
    assert ((t.sort(dim=1).values.diff(dim=1) - 100).abs() <= 1).all()  # evenly spread in each batch
    assert t[:, 3].float().mean() == pytest.approx(499.5, abs=25)  # and each of them uniform
    assert t[:, 3].float().std() == pytest.approx(1000 / 12**0.5, abs=15)


def test_unet_has_the_contracted_shape():
    from difflab.train.recipes import unet

    model = unet.build(192)
    maps = [n for n, m in model.named_modules() if n.endswith("attn2")]
    assert any(n.startswith(("down_blocks.0", "up_blocks.1")) for n in maps)  # at 16x16
    assert any(n.startswith(("down_blocks.1", "mid_block", "up_blocks.0")) for n in maps)  # at 8x8
    assert model.config.cross_attention_dim == 192 and model.config.sample_size == 16
    out = model(torch.zeros(1, 4, 16, 16), 10, torch.zeros(1, 77, 192)).sample
    assert out.shape == (1, 4, 16, 16)


# -------------------------------------------------------------------------------------- drawn in other processes, too


@pytest.mark.parametrize("name", [name for name in RECIPES if name != "tokenizer"])
def test_what_draws_batches_can_be_sent_to_another_process(runs, tmp_path, monkeypatch, name):
    """With --workers under the spawn start method (macOS, Windows) it is pickled; nothing heavy goes with it."""
    drawn = {}

    def look(run, draw, loss_fn, **hooks):
        again = pickle.loads(pickle.dumps(draw))
        for each in (draw, again):
            batch = each(loop.generator(3), 4)
            drawn.setdefault("batches", []).append(batch)
        return loop.Result(0, 0.0, True, {})

    for module in (loop, reading, *(importlib.import_module(f"difflab.train.recipes.{n}") for n in RECIPES)):
        monkeypatch.setattr(module, "fit", look, raising=False)
    parts = {"vae": runs / "autoencoder/vae", "clip": runs / "clip/clip", "cache": runs / "latents"}
    own = {
        "clip": {"tokenizer": runs / "tokenizer", "cache": runs / "pictures"},
        "unet": parts,
        "pix2pix": {**parts, "init": runs / "unet/unet"},
        "inpaint": {**parts, "init": runs / "unet/unet"},
        "web": {**parts, "init": runs / "unet/unet"},
    }
    run(name, out=tmp_path, smoke=True, device="cpu", **own.get(name, {}))
    first, second = drawn["batches"]
    assert first.keys() == second.keys()
    for key in first:
        torch.testing.assert_close(first[key], second[key], rtol=0, atol=0, equal_nan=True)
        assert len(first[key]) == 4


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"learning_rate": 1e-5}, "learning_rate=0.001, not 1e-05"),
        ({"pictures": 8}, "pictures=12, not 8"),
        ({"vae": "decoder"}, "latents="),
        ({"clip": "text"}, "text="),
        ({"init": "unet"}, "initial_weights="),
    ],
)
def test_a_unet_is_resumed_on_the_same_alone(runs, tmp_path, options, message):
    """Another autoencoder, text tower, number of pictures: refused before a picture is encoded."""
    from diffusers import AutoencoderKL
    from transformers import CLIPTextModel

    chosen = {"vae": runs / "autoencoder/vae", "clip": runs / "clip/clip", "smoke": True, "device": "cpu"}
    if "vae" in options:
        vae = AutoencoderKL.from_pretrained(chosen["vae"])
        vae.register_to_config(scaling_factor=3.0)
        vae.save_pretrained(tmp_path / "vae")
        options = {"vae": tmp_path / "vae"}
    if "clip" in options:
        shutil.copytree(chosen["clip"], tmp_path / "clip")
        tower = CLIPTextModel.from_pretrained(chosen["clip"] / "text_encoder")
        torch.nn.init.zeros_(next(tower.parameters()))
        tower.save_pretrained(tmp_path / "clip/text_encoder")
        options = {"clip": tmp_path / "clip"}
    if "init" in options:
        options = {"init": difflab.weights_folder() / "unet"}
    shutil.copytree(runs / "unet", tmp_path / "unet")
    with pytest.raises(ValueError, match=f"was trained with {message}"):
        run("unet", out=tmp_path / "unet", resume=True, **chosen | options)
    assert not (tmp_path / "latents").exists()

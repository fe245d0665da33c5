"""Loading, text, pictures in and out, and what the U-Net says."""

import copy
import hashlib
import json
import shutil
import subprocess
import sys
import warnings

import numpy as np
import pytest
import torch
from diffusers import AutoencoderKL, UNet2DConditionModel
from PIL import Image

import difflab
from difflab import LatentDiffusion, load, noise, pick_device
from difflab.inputs import fit_image
from difflab.loading import verify, widen
from difflab.model import text_computed_once


def test_importing_is_cheap():
    """Under 0.2 s more than torch, because neither diffusers nor transformers is imported yet."""
    code = (
        "import torch, PIL.Image, numpy, time, sys; start = time.perf_counter(); import difflab; "
        "print(time.perf_counter() - start, *(n in sys.modules for n in ('diffusers', 'transformers', 'matplotlib')))"
    )
    runs = [subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True) for _ in range(2)]
    seconds = [float(run.stdout.split()[0]) for run in runs]
    assert min(seconds) < 0.2
    assert runs[0].stdout.split()[1:] == ["False", "False", "False"]


def test_the_parts_are_the_standard_classes_frozen(random_model):
    assert isinstance(random_model.unet, UNet2DConditionModel) and isinstance(random_model.vae, AutoencoderKL)
    for part in (random_model.unet, random_model.vae, random_model.text_encoder):
        assert not part.training and part.dtype == torch.float32
        assert not any(p.requires_grad for p in part.parameters())
    assert random_model.latent_shape == (4, 8, 8) and random_model.image_size == 64
    assert random_model.schedule.final_alpha_cumprod < 1  # Stable Diffusion 1.5 says set_alpha_to_one: false


def test_the_shipped_model(tiny):
    assert tiny.image_size == 128 and tiny.latent_shape == (4, 16, 16) and tiny.vae_scale_factor == 8
    assert tiny.encode_text("a cat").shape[0] == 1
    assert (tiny.prediction_type, tiny.schedule.timestep_spacing) == ("epsilon", "trailing")
    assert torch.equal(tiny.schedule.alphas_cumprod, difflab.NoiseSchedule.scaled_linear().alphas_cumprod)


def test_encode_text_is_the_pipelines_way(random_model):
    prompts = ["a cat", "a much longer prompt"]
    tokens = random_model.tokenizer(prompts, padding="max_length", max_length=77, truncation=True, return_tensors="pt")
    expected = random_model.text_encoder(tokens.input_ids).last_hidden_state
    assert torch.equal(random_model.encode_text(prompts), expected)
    assert random_model.encode_text("a cat").shape == (1, 77, 32)
    assert random_model.encode_text("").shape == (1, 77, 32)  # the unconditional prompt is a prompt


def test_a_long_prompt_warns_and_names_what_was_cut(random_model):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        random_model.encode_text("x" * 75)
    with pytest.warns(UserWarning, match="79 tokens and the model reads 75.*'tail'") as caught:
        random_model.encode_text(["short", "x" * 75 + "tail"])
    assert len(caught) == 1


def test_a_round_trip_through_the_autoencoder(random_model):
    picture = Image.fromarray(np.random.default_rng(0).integers(0, 256, (64, 64, 3), dtype=np.uint8))
    latents = random_model.encode_image(picture)
    assert latents.shape == (1, 4, 8, 8) and latents.dtype == torch.float32
    config = random_model.vae.config
    by_hand = random_model.vae.encode(torch.from_numpy(np.array(picture)).permute(2, 0, 1)[None] / 127.5 - 1)
    assert torch.allclose(latents, by_hand.latent_dist.mean * config.scaling_factor, atol=1e-6)
    (back,) = random_model.decode(latents)
    assert back.size == (64, 64) and back.mode == "RGB"
    assert torch.equal(latents, random_model.encode_image([np.array(picture)]))
    assert len(random_model.decode(random_model.encode_image([picture, picture]))) == 2


@pytest.mark.parametrize(
    "image, says",
    [
        (Image.new("RGB", (200, 100), "red"), "200 x 100, RGB: cut to its middle square, resized to 64 x 64$"),
        (Image.new("RGBA", (64, 64), "red"), "64 x 64, RGBA: converted to RGB$"),
        (Image.new("L", (64, 70), 76), "64 x 70, L: converted to RGB, cut to its middle square$"),
        (np.full((30, 30, 3), 76, dtype=np.uint8), "30 x 30, RGB: resized to 64 x 64$"),
    ],
)
def test_fit_image_makes_it_fit_and_says_so(random_model, image, says):
    with pytest.warns(UserWarning, match=says) as caught:
        fitted = fit_image(image, random_model.image_size)
    assert len(caught) == 1 and caught[0].filename == __file__
    assert random_model.as_pixels(fitted).shape == (1, 3, 64, 64)


def test_fit_image_keeps_the_middle_and_is_silent_when_all_is_well():
    wide = Image.new("RGB", (192, 64), "white")
    wide.paste("blue", (64, 0, 128, 64))
    with pytest.warns(UserWarning, match="middle square$"):
        middle = fit_image(wide, 64)
    assert (np.asarray(middle) == (0, 0, 255)).all()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert fit_image(middle, 64) is middle
    for size in (0, 64.0, None, True):
        with pytest.raises(ValueError, match=f"size={size!r}"):
            fit_image(middle, size)
    with pytest.raises(ValueError, match="not str"):
        fit_image("cat.png", 64)


def test_a_shift_factor_is_applied_both_ways(random_folder):
    model = load(random_folder, device="cpu")
    picture = Image.new("RGB", (64, 64), "tomato")
    plain = model.encode_image(picture)
    before = np.array(model.decode(plain)[0])
    model.vae.register_to_config(shift_factor=0.5)
    shifted = model.encode_image(picture)
    assert torch.allclose(shifted, plain - 0.5 * model.vae.config.scaling_factor, atol=1e-6)
    assert np.abs(np.array(model.decode(shifted)[0]).astype(int) - before).max() <= 1


def test_v_prediction_is_turned_into_eps(v_folder):
    model = load(v_folder, device="cpu")
    assert model.prediction_type == "v_prediction"
    x, t, text = noise((2, 4, 8, 8), 0), 300, model.encode_text(["a", "b"])
    v = model.unet(x, t, text).sample
    abar = model.schedule.alpha_bar(t)
    x0 = abar.sqrt() * x - (1 - abar).sqrt() * v  # eq. in 2202.00512, appendix D
    eps = model.predict_noise(x, t, text)
    assert torch.allclose(model.schedule.predict_x0(x, t, eps), x0, atol=1e-5)


def test_predict_noise_takes_one_t_for_each_picture(random_model):
    x, text = noise((2, 4, 8, 8), 0), random_model.encode_text(["a", "b"])
    together = random_model.predict_noise(x, torch.tensor([10, 900]), text)
    assert torch.allclose(together[1:], random_model.predict_noise(x[1:], 900, text[1:]), atol=1e-5)


def test_gradients_reach_the_text(random_model):
    """Frozen weights, but a learned word can still be learned."""
    text = random_model.encode_text("a").clone().requires_grad_()
    random_model.predict_noise(noise((1, 4, 8, 8), 0), 500, text).square().mean().backward()
    assert text.grad.abs().max() > 0


def test_text_computed_once_changes_nothing_and_cleans_up(random_model):
    x, text, other = noise((1, 4, 8, 8), 0), random_model.encode_text("a"), random_model.encode_text("b")
    plain = [random_model.predict_noise(x, t, text) for t in (999, 500)] + [random_model.predict_noise(x, 500, other)]
    layers = [m for name, m in random_model.unet.named_modules() if name.endswith("attn2.to_k")]
    calls = []
    handles = [layer.register_forward_hook(lambda *_: calls.append(1)) for layer in layers]
    with pytest.raises(RuntimeError, match="interrupted"), text_computed_once(random_model.unet):
        assert all("forward" in vars(layer) for layer in layers)
        once = [random_model.predict_noise(x, t, text) for t in (999, 500)]
        once.append(random_model.predict_noise(x, 500, other))
        raise RuntimeError("interrupted")
    for handle in handles:
        handle.remove()
    assert layers and not any("forward" in vars(layer) for layer in layers)
    assert all(torch.equal(a, b) for a, b in zip(plain, once, strict=True))
    assert len(calls) == 3 * len(layers)  # hooks, and so whoever watches, still see every call


def test_bfloat16_on_the_cpu(random_folder):
    model = load(random_folder, device="cpu", dtype="bfloat16")
    x, text = noise((1, 4, 8, 8), 0), model.encode_text("a cat")
    eps = model.predict_noise(x, 500, text)
    assert model.unet.dtype == model.vae.dtype == text.dtype == torch.bfloat16 and eps.dtype == torch.float32
    exact = load(random_folder, device="cpu").predict_noise(x, 500, text.float())
    assert (eps - exact).abs().max() < 0.1
    assert model.decode(x)[0].size == (64, 64)


def test_sums_are_verified(random_folder, tmp_path):
    folder = shutil.copytree(random_folder, tmp_path / "copy")
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    sums = [hashlib.sha256(path.read_bytes()).hexdigest() for path in files]
    lines = [f"{s}  {path.relative_to(folder).as_posix()}\n" for s, path in zip(sums, files, strict=True)]
    (folder / "SHA256SUMS").write_text("".join(lines))
    verify(folder)
    load(folder, device="cpu")


def test_seeded_noise_does_not_touch_the_global_generator():
    before = torch.get_rng_state()
    assert torch.equal(noise((2, 4, 8, 8), 3), noise((2, 4, 8, 8), [3, 4]))
    assert torch.equal(before, torch.get_rng_state())


def test_devices():
    assert pick_device("cpu") == torch.device("cpu")
    assert pick_device() in (torch.device("cpu"), torch.device("cuda:0"), torch.device("mps"))


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_on_cuda_in_half_precision(random_folder):
    model = load(random_folder)
    assert model.device.type == "cuda" and model.unet.dtype == torch.float16
    assert difflab.text_to_image(model, "a cat", num_inference_steps=3)[0].size == (64, 64)


# The real ones, by their published shapes: nothing is downloaded and no memory is filled.
SHAPES = {
    "sd15": (dict(cross_attention_dim=768, attention_head_dim=8, sample_size=64), 859_520_964),
    "sd21": (
        dict(cross_attention_dim=1024, attention_head_dim=[5, 10, 20, 20], use_linear_projection=True, sample_size=96),
        865_910_724,
    ),
}


@pytest.mark.parametrize("name", sorted(SHAPES))
def test_full_size_unets_count_and_run_on_the_meta_device(name, random_model):
    config, parameters = SHAPES[name]
    with torch.device("meta"):
        unet = UNet2DConditionModel(**config)
        x = torch.empty(2, 4, config["sample_size"], config["sample_size"])
        text = torch.empty(2, 77, config["cross_attention_dim"])
    assert sum(p.numel() for p in unet.parameters()) == parameters
    text_encoder, vae = copy.deepcopy(random_model.text_encoder), copy.deepcopy(random_model.vae)
    model = LatentDiffusion(
        random_model.tokenizer, text_encoder, vae, unet, random_model.schedule, device=torch.device("meta")
    )
    assert model.predict_noise(x, 500, text).shape == x.shape


@pytest.mark.parametrize(("name", "channels"), [("tiny-pix2pix", 8), ("tiny-inpaint", 9)])
def test_the_shipped_models_that_see_more(tiny, name, channels):
    """An ordinary U-Net with more input channels; every other part is the tiny model's own."""
    model = load(name, device="cpu")
    assert model.unet.config.in_channels == channels and not any("lora" in key for key in model.unet.state_dict())
    assert set(model.unet.state_dict()) == set(tiny.unet.state_dict())
    assert torch.equal(model.unet.conv_out.weight, tiny.unet.conv_out.weight)  # the LoRA leaves the last layer alone
    assert not torch.equal(model.unet.mid_block.resnets[0].conv1.weight, tiny.unet.mid_block.resnets[0].conv1.weight)
    assert not any(p.requires_grad for p in model.unet.parameters()) and not model.unet.training
    assert torch.equal(model.encode_text("a cat"), tiny.encode_text("a cat"))
    assert torch.equal(
        difflab.clip.load(name, device="cpu").embed_text("a cat"), difflab.clip.load().embed_text("a cat")
    )


@pytest.mark.parametrize("name", ["pix2pix", "inpaint"])
def test_what_is_added_was_trained_on_the_shipped_unet(tiny, name):
    from difflab.train.marks import mark_of

    card = json.loads((difflab.weights_folder().parent / name / "card.json").read_text(encoding="utf-8"))
    assert card["stages"][-1]["settings"]["base"] == mark_of("", tiny.unet)


def test_widening_takes_no_notice_of_what_is_new(random_model):
    unet = copy.deepcopy(random_model.unet)
    x, text = noise((2, 4, 8, 8), seed=0), random_model.encode_text(["a", "b"])
    expected = unet(x, 500, text).sample
    wider = widen(unet, 9)
    assert wider.config.in_channels == 9
    assert torch.allclose(wider(torch.cat([x, noise((2, 5, 8, 8), seed=1)], 1), 500, text).sample, expected, atol=1e-6)


def test_a_model_for_another_task_says_so(tiny):
    model = copy.copy(tiny)
    model.unet = widen(copy.deepcopy(tiny.unet), 9)
    with pytest.raises(ValueError, match="sees 9 channels and was given 4.*9 for inpaint"):
        difflab.text_to_image(model, "a cat", num_inference_steps=1)

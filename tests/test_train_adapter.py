"""Adapters: small weights on a U-Net that stays as it is; and how little a new one takes."""

import importlib
import json
import shutil
from dataclasses import replace
from functools import partial

import numpy as np
import pytest
import torch
from diffusers import ControlNetModel, UNet2DConditionModel
from PIL import Image
from safetensors.torch import load_file, save_file

import difflab
from difflab.loading import verify
from difflab.train import adapter, data, denoising, run
from difflab.train.assemble import assemble
from difflab.train.checkpoint import newest_checkpoint, read_state
from difflab.train.marks import mark_of
from difflab.train.options import AdapterOptions
from difflab.train.runs import Product

# ------------------------------------------------------------------------- a new adapter, whole: control by a gray copy


def gray(source, indices):
    """What is to be controlled by: the pictures without their colors, uint8 (N,1,128,128)."""
    return data.stack(source, indices).mean(axis=-1, keepdims=True).astype(np.uint8).transpose(0, 3, 1, 2)


def encode_gray(source, indices, encode):
    """The latents of the pictures, and the hint."""
    return {**denoising.encode_pictures(source, indices, encode), "hint": torch.from_numpy(gray(source, indices))}


def attach_control(unet):
    """A ControlNet on the U-Net, very small."""
    control = ControlNetModel.from_unet(unet, conditioning_channels=1, conditioning_embedding_out_channels=(8,) * 4)

    def predict(x, t, text, hint):
        down, middle = control(x, t, text, controlnet_cond=hint / 255, return_dict=False)
        seen = {"down_block_additional_residuals": down, "mid_block_additional_residual": middle}
        return unet(x, t, text, return_dict=False, **seen)[0]

    def load(folder):
        control.load_state_dict(ControlNetModel.from_pretrained(folder).state_dict())

    return denoising.Network({"control": control}, predict, control.save_pretrained, load)


CONTROL = denoising.Task(
    product=Product("control-gray", "ControlNetModel", "ControlNet (Zhang et al. 2023, arXiv 2302.05543)", "control"),
    encode=encode_gray,
    drop=(0.3, 0.0, 0.0),
    show=lambda source, indices: gray(source, indices).transpose(0, 2, 3, 1).repeat(3, axis=-1),
    defaults={"learning_rate": 3e-4, "batch_size": 32},
)
train_control = partial(adapter.train, CONTROL, attach_control)


@pytest.fixture
def parts(runs):
    """The options with which an adapter is trained on the U-Net of `runs`."""
    parts = {"vae": runs / "autoencoder/vae", "clip": runs / "clip/clip", "init": runs / "unet/unet"}
    return {**parts, "smoke": True, "device": "cpu"}


def test_a_new_adapter_is_one_screen(runs, parts, tmp_path):
    """Trained, assembled and loaded back, in diffusers' own format, with the screen above and nothing else."""
    result = train_control(AdapterOptions(out=tmp_path / "run", **parts))
    assert result.finished and result.metrics["mse"] > 0
    folder = assemble(tmp_path / "control-gray", [tmp_path / "run"], base=runs / "unet/unet")
    assert {path.name for path in folder.iterdir()} == {
        "config.json", "diffusion_pytorch_model.safetensors", "card.json", "samples.jpg", "SHA256SUMS",
    }  # fmt: skip
    verify(folder)
    card = json.loads((folder / "card.json").read_text())
    assert card["part"] == "control-gray" and card["class"] == "ControlNetModel" and "2302.05543" in card["method"]
    settings = card["stages"][0]["settings"]
    base = UNet2DConditionModel.from_pretrained(runs / "unet/unet")
    assert settings["base"] == mark_of("", base) and settings["learning_rate"] == 3e-4
    assert str(tmp_path) not in json.dumps(card) + (folder / "config.json").read_text()

    stored = ControlNetModel.from_pretrained(folder)
    trained = ControlNetModel.from_pretrained(tmp_path / "run/control")
    assert card["parameters"] == sum(weight.numel() for weight in stored.state_dict().values())
    for name, weight in trained.state_dict().items():
        assert torch.allclose(stored.state_dict()[name], weight, atol=1e-3), name
    learned = [name for name, weight in trained.state_dict().items() if "controlnet_down" in name and weight.any()]
    assert learned  # the zero convolutions are zero no more

    network = attach_control(base)
    network.load(folder)
    g = torch.Generator().manual_seed(0)
    x, hint = torch.randn(2, 4, 16, 16, generator=g), torch.randint(0, 256, (2, 1, 128, 128), generator=g)
    text = torch.randn(2, 77, base.config.cross_attention_dim, generator=g)
    with torch.no_grad():
        assert not torch.equal(network.predict(x, 500, text, hint), base(x, 500, text).sample)


def test_a_new_adapter_goes_on_and_is_refused_elsewhere(runs, parts, tmp_path):
    train_control(AdapterOptions(out=tmp_path / "run", **parts))
    more = {"adapter": tmp_path / "run/control", "out": tmp_path / "more"}
    train_control(AdapterOptions(**parts, **more))
    stages = json.loads(
        (assemble(tmp_path / "c", [tmp_path / "run", tmp_path / "more"], base=parts["init"]) / "card.json").read_text()
    )["stages"]
    assert [stage["continues_another_run"] for stage in stages] == [False, True]
    with pytest.raises(ValueError, match="was trained on U-Net [0-9a-f]{12}, but .* is"):
        assemble(tmp_path / "other", [tmp_path / "run"], base=difflab.weights_folder() / "unet")
    with pytest.raises(ValueError, match="was trained on U-Net [0-9a-f]{12}: name its folder with base"):
        assemble(tmp_path / "other", [tmp_path / "run"])
    with pytest.raises(ValueError, match="was trained with .*base="):
        train_control(AdapterOptions(**parts | {"init": None} | {"out": tmp_path / "run", "resume": True}))
    assert not (tmp_path / "other").exists()


def test_a_loss_and_a_way_of_drawing_of_its_own(parts, tmp_path):
    """LoRA alone, taught by another loss, with sheets drawn in two steps without guidance."""
    asked = []

    def picture_error(predict, batch):
        eps = predict(batch.noisy, batch.timestep, batch.text)
        x0 = denoising.SCHEDULE.predict_x0(batch.noisy, batch.timestep, eps)
        return ((x0.float() - batch.latent) ** 2).flatten(1).mean(dim=1)

    def draw_quickly(predict, text, no_text, x, steps):
        asked.append(len(x))
        return x - predict(x, 999, text)

    task = replace(
        CONTROL,
        product=Product("few-steps", "UNet2DConditionModel, LoRA", "a toy", "lora"),
        encode=denoising.encode_pictures,
        loss=picture_error,
        weight=torch.ones_like,
        draw=draw_quickly,
        show=None,
    )
    attach = partial(adapter.inputs_and_lora, rank=2)
    assert adapter.train(task, attach, AdapterOptions(out=tmp_path / "run", **parts)).finished
    assert asked == [2] and {p.name for p in (tmp_path / "run/lora").iterdir()} == {"pytorch_lora_weights.safetensors"}
    lora = load_file(tmp_path / "run/lora/pytorch_lora_weights.safetensors")
    assert all(weight.shape[0] == 2 for name, weight in lora.items() if "lora_A" in name)


class Films(data.World):
    """Two frames each: a scene, and its mirror image."""

    def __init__(self, count, seed):
        super().__init__(count, seed)
        self.name = f"films-{seed}"

    def __getitem__(self, index):
        picture, caption = super().__getitem__(index)
        return np.stack([picture, picture[:, ::-1]]), caption


def encode_films(source, indices, encode):
    films = data.stack(source, indices)  # N,2,128,128,3
    return {
        name: z.unflatten(0, films.shape[:2])
        for name, z in zip(("mean", "std"), encode(films.reshape(-1, *films.shape[2:])), strict=True)
    }


def attach_motion(unet):
    """One matrix that mixes the frames' noise."""
    mixing = torch.nn.Linear(2, 2)

    def predict(x, t, text):
        t = torch.as_tensor(t).expand(len(x)).repeat_interleave(2)
        eps = unet(x.flatten(0, 1), t, text.repeat_interleave(2, dim=0), return_dict=False)[0]
        return mixing(eps.unflatten(0, (-1, 2)).movedim(1, -1)).movedim(-1, 1)

    def save(folder):
        save_file(mixing.state_dict(), folder / "mixing.safetensors")

    return denoising.Network({"mixing": mixing}, predict, save)


def test_films_are_learned_as_pictures_are(parts, tmp_path):
    task = denoising.Task(
        product=Product("motion", "Linear", "a toy", "motion"),
        open_data=partial(data.open_data, world=Films),
        encode=encode_films,
        show=lambda source, indices: data.stack(source, indices).reshape(-1, 128, 128, 3),
    )
    assert adapter.train(task, attach_motion, AdapterOptions(out=tmp_path / "run", **parts)).finished
    (sheet,) = (tmp_path / "run/samples").iterdir()
    assert Image.open(sheet).size == (2 * 128, 4 * 128)  # two films of two frames, the true ones above
    with pytest.raises(ValueError, match="cannot go on from the weights in .*: leave adapter out"):
        adapter.train(task, attach_motion, AdapterOptions(out=tmp_path / "more", adapter=tmp_path, **parts))


# ------------------------------------------------------------------------------------------- pix2pix and inpainting


@pytest.mark.parametrize("name", ["pix2pix", "inpaint"])
def test_a_wider_unet_starts_out_as_the_base(runs, name):
    """Zero weights for what it sees, zero LoRA: whatever stands in the new channels, nothing changes."""
    base = UNet2DConditionModel.from_pretrained(runs / "unet/unet").eval()
    recipe = importlib.import_module(f"difflab.train.recipes.{name}")
    channels = recipe.attach.keywords["channels"]
    g = torch.Generator().manual_seed(0)
    x, seen = torch.randn(2, 4, 16, 16, generator=g), torch.randn(2, channels, 16, 16, generator=g)
    text = torch.randn(2, 77, base.config.cross_attention_dim, generator=g)
    with torch.no_grad():
        expected = base(x, 500, text).sample
        network = recipe.attach(base)
        assert torch.allclose(network.predict(x, 500, text, seen=seen), expected, atol=1e-5)
    wider = network.modules["unet"]
    learns = {n.split(".")[-2] for n, p in wider.named_parameters() if p.requires_grad and "lora" not in n}
    assert learns == {"conv_in"}


def test_an_adapter_goes_on(runs, parts, tmp_path):
    """From another's input layer and LoRA, on the same U-Net or one trained further; anything else is refused."""
    train, trained = partial(run, "pix2pix"), runs / "pix2pix/unet"
    unet = adapter.with_adapter(UNet2DConditionModel.from_pretrained(runs / "unet/unet"), 4)
    adapter.load_adapter(unet, trained)
    (tmp_path / "saved").mkdir()
    adapter.save_adapter(unet, tmp_path / "saved")
    for file in trained.iterdir():
        for name, weight in load_file(file).items():
            assert torch.equal(load_file(tmp_path / "saved" / file.name)[name], weight), name
    train(out=tmp_path / "more", adapter=trained, **parts)
    assert read_state(newest_checkpoint(tmp_path / "more"))["settings"]["init"] == str(trained)
    with pytest.raises(ValueError, match="has no conv_in.safetensors and pytorch_lora_weights"):
        train(out=tmp_path / "none", adapter=tmp_path, **parts)
    with pytest.raises(ValueError, match="conv_in.safetensors in .* is for another U-Net or task"):
        train(out=tmp_path / "other", adapter=runs / "inpaint/unet", **parts)
    fewer = tmp_path / "fewer"
    shutil.copytree(trained, fewer)
    weights = load_file(fewer / "pytorch_lora_weights.safetensors")
    save_file(dict(list(weights.items())[2:]), fewer / "pytorch_lora_weights.safetensors")
    with pytest.raises(ValueError, match="pytorch_lora_weights.safetensors in .* is for another U-Net or task"):
        train(out=tmp_path / "other", adapter=fewer, **parts)


class EveryEighthPixel:
    """An encoder that can be computed in one's head."""

    scaling_factor = 0.5

    def __call__(self, pictures):
        z = data.to_tensor(pictures)[:, :, ::8, ::8]
        return z, z.abs()


def test_what_instructpix2pix_sees():
    """The latent of the picture before, without the scaling factor; the instruction as text."""
    from difflab import world
    from difflab.train.recipes import pix2pix

    training, unseen = pix2pix.TASK.open_data(seed=3)
    edit = world.edit(3, 5)
    assert training[5][1] == edit.instruction and np.array_equal(training[5][0], world.render(edit.after))
    assert np.array_equal(training.seen(5), world.render(edit.before))
    assert training.captions(5, 3)[0] == edit.instruction and unseen[5][1] != edit.instruction

    encode = EveryEighthPixel()
    tensors = pix2pix.encode_edits(training, range(3), encode)
    assert torch.equal(tensors["seen"], encode(pix2pix.before(training, range(3)))[0] / 0.5)
    assert torch.equal(tensors["mean"], encode(data.stack(training, range(3)))[0])


def test_what_inpainting_sees():
    """Every eighth pixel of the mask, and the latent of the picture with its hole painted gray."""
    from difflab.train.recipes import inpaint

    training, _ = inpaint.TASK.open_data(seed=3)

    seen = inpaint.encode_masked(training, range(8), EveryEighthPixel())["seen"]
    assert seen.shape == (8, 4, 16, 16)  # this encoder has three channels
    for i in range(8):
        mask = training.seen(i)
        assert torch.equal(seen[i, 0], torch.from_numpy(mask[::8, ::8].copy()).float())
        picture = data.to_tensor(training[i][0][None])[0, :, ::8, ::8]
        assert torch.allclose(seen[i, 1:], torch.where(seen[i, :1] > 0, 1 / 255, picture), atol=1e-5)  # gray is 128
    empty = [i for i in range(40) if not training.scene(i).things]
    assert 0 < len(empty) < 20 and all(training.captions(i, 2)[0] for i in empty)


def test_your_own_edits(imagefolder):
    from difflab.train.recipes import inpaint, pix2pix

    with pytest.raises(ValueError, match="line 1 has no before"):
        pix2pix.TASK.open_data(imagefolder)
    lines = [{"file_name": f"{i}.png", "before": f"{(i + 1) % 6}.png", "text": "make it night"} for i in range(6)]
    (imagefolder / "metadata.jsonl").write_text("\n".join(json.dumps(line) for line in lines))
    training, unseen = pix2pix.TASK.open_data(imagefolder)
    assert len(training) == 5 and len(unseen) == 1 and training.seen(0).shape == (128, 128, 3)
    masked, _ = inpaint.TASK.open_data(imagefolder)
    assert 0 < masked.seen(0).mean() < 1 and np.array_equal(masked.seen(0), masked.seen(0))

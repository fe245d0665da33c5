"""The trained parts as a pipeline, and what stands beside it: files, cards, sums; what does not fit is refused."""

import hashlib
import json
import logging
import shutil
import warnings

import pytest
import torch
from safetensors.torch import load_file

import difflab
from difflab.train import run
from difflab.train.assemble import assemble, assemble_pipeline, check_ours


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

    monkeypatch.setattr("difflab.train.assemble.SHARD", "1MB")
    folder = assemble_pipeline(
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
    shipped = tmp_path / "shipped"
    shutil.copytree(pipeline_folder, shipped)
    parts = {"init": shipped / "unet", "vae": shipped / "vae", "clip": shipped}
    run("unet", out=tmp_path / "unet", smoke=True, device="cpu", seed=3, **parts)
    assemble_pipeline(shipped, unet=[tmp_path / "unet"])
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
    with pytest.raises(ValueError, match="has no config.json: expected the folder of a trained AutoencoderKL"):
        assemble_pipeline(tmp_path / "p", autoencoder=[tmp_path], clip=[runs / "clip"], unet=[runs / "unet"])
    run("autoencoder", out=tmp_path / "other", smoke=True, device="cpu", seed=1)
    with pytest.raises(ValueError, match="the U-Net was trained with autoencoder [0-9a-f]{12}, but this one is"):
        assemble_pipeline(tmp_path / "p", autoencoder=[tmp_path / "other"], clip=[runs / "clip"], unet=[runs / "unet"])
    assert not (tmp_path / "p").exists()


LORA, CONV_IN = "pytorch_lora_weights.safetensors", "conv_in.safetensors"


@pytest.mark.parametrize(("name", "channels"), [("pix2pix", 8), ("inpaint", 9), ("web", 4)])
def test_what_was_added_is_assembled_and_loads(runs, pipeline_folder, tmp_path, name, channels):
    from diffusers import UNet2DConditionModel

    from difflab.loading import add_adapter

    folder = assemble(tmp_path / name, [runs / name], base=pipeline_folder / "unet")
    weights = {LORA, CONV_IN} if channels > 4 else {LORA}
    assert {p.name for p in folder.iterdir()} == weights | {"card.json", "samples.jpg", "SHA256SUMS"}
    card = json.loads((folder / "card.json").read_text())
    assert card["recipe"] == name and card["quality"]["mse"] > 0 and str(runs) not in json.dumps(card)
    unet = UNet2DConditionModel.from_pretrained(pipeline_folder / "unet").eval()
    before = {key: value.clone() for key, value in unet.state_dict().items()}
    add_adapter(unet, folder)
    after = unet.state_dict()
    assert set(after) == set(before) and unet.config.in_channels == channels  # the LoRA is in the weights now
    lora = load_file(folder / LORA)
    layer = "mid_block.attentions.0.transformer_blocks.0.attn1.to_q"
    added = lora[f"unet.{layer}.lora_B.weight"].float() @ lora[f"unet.{layer}.lora_A.weight"].float()
    assert torch.allclose(after[f"{layer}.weight"], before[f"{layer}.weight"] + added, atol=1e-6) and added.any()
    for file in weights:
        whole = (folder / file).read_bytes()
        (folder / file).write_bytes(b"")
        with pytest.raises(ValueError, match=f"{file}' is damaged"):
            add_adapter(unet, folder)
        (folder / file).write_bytes(whole)


def test_what_was_added_fits_its_own_unet_alone(runs, tmp_path):
    with pytest.raises(ValueError, match="was trained on U-Net"):
        assemble(tmp_path / "p", [runs / "pix2pix"], base=difflab.weights_folder() / "unet")
    assert not (tmp_path / "p").exists()


def test_the_judge_is_assembled_and_reads(runs, tmp_path):
    folder = assemble(tmp_path / "judge", [runs / "judge"])
    assert {path.name for path in folder.iterdir()} == {"judge.safetensors", "card.json", "SHA256SUMS"}
    card = json.loads((folder / "card.json").read_text())
    weights = load_file(folder / "judge.safetensors")
    assert card["part"] == "judge" and card["class"] == "Judge"
    assert card["parameters"] == sum(weight.numel() for weight in weights.values())
    assert {weight.dtype for weight in weights.values()} == {torch.float16}


def test_a_text_encoder_that_the_unet_never_heard(runs, tmp_path):
    run("clip", out=tmp_path / "clip", tokenizer=runs / "tokenizer", smoke=True, device="cpu", seed=1)
    with pytest.raises(ValueError, match="the U-Net was trained with text encoder [0-9a-f]{12}, but this one is"):
        assemble_pipeline(
            tmp_path / "p", autoencoder=[runs / "autoencoder"], clip=[tmp_path / "clip"], unet=[runs / "unet"]
        )
    assert not (tmp_path / "p").exists()


def test_a_run_that_does_not_say_what_it_made(runs, tmp_path):
    shutil.copytree(runs / "judge", tmp_path / "run")
    (path,) = (tmp_path / "run").glob("checkpoint-*/state.json")
    state = json.loads(path.read_text())
    del state["product"]
    path.write_text(json.dumps(state))
    with pytest.raises(ValueError, match="is the run of an older difflab"):
        assemble(tmp_path / "judge", [tmp_path / "run"])


def test_only_what_was_assembled_is_replaced(runs, tmp_path):
    """A folder that holds anything else stays, to the last file."""
    mine = tmp_path / "mine"
    shutil.copytree(runs / "judge/judge", mine)
    (mine / "diary.txt").write_text("dear diary")
    parts = {"autoencoder": [runs / "autoencoder"], "clip": [runs / "clip"], "unet": [runs / "unet"]}
    with pytest.raises(ValueError, match="mine holds diary.txt, which was not assembled: name another folder"):
        assemble(mine, [runs / "judge"])
    with pytest.raises(ValueError, match="mine holds diary.txt, which was not assembled"):
        assemble_pipeline(mine, **parts)
    with pytest.raises(ValueError, match="mine holds diary.txt, which is no part of a tokenizer"):
        run("tokenizer", out=mine, smoke=True)
    assert (mine / "diary.txt").read_text() == "dear diary"
    assert assemble(assemble(tmp_path / "judge", [runs / "judge"]), [runs / "judge"]).is_dir()


def test_the_shipped_weights_can_be_assembled_anew():
    """No file lies in their folders that assembling would refuse to replace."""
    for folder in difflab.weights_folder().parent.iterdir():
        check_ours(folder)

"""What a model would take: counted on the published configurations, and weighed against the machine."""


import weakref

import pytest
import torch
import torch.nn.functional as F
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_iter

import difflab
from difflab import doctor, planning
from difflab.planning import ALLOWANCE, PUBLISHED, SHIPPED, Published

GB = 10**9


@pytest.fixture
def machine(monkeypatch, tmp_path):
    """A function that gives this machine so much free memory and disk, an empty hub cache, and perhaps a card."""
    from huggingface_hub import constants

    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "not" / "yet"))

    def has(memory, disk=100, card=False):
        monkeypatch.setattr(planning, "_free_memory", lambda device: memory * GB)
        monkeypatch.setattr("shutil.disk_usage", lambda path: type("Usage", (), {"free": disk * GB}))
        if card:
            monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
            monkeypatch.setattr(torch.cuda, "get_device_name", lambda device: "a small card")

    return has


# The facts


def published_parts(name):
    """The parts of a published Stable Diffusion on the meta device, by the folder that holds each."""
    from diffusers import AutoencoderKL, UNet2DConditionModel
    from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection

    two = name.startswith("sd21")
    size = dict(hidden_size=1024, intermediate_size=4096, num_hidden_layers=23, num_attention_heads=16)
    if not two:
        size = dict(hidden_size=768, intermediate_size=3072, num_hidden_layers=12, num_attention_heads=12)
    heads = dict(attention_head_dim=[5, 10, 20, 20], use_linear_projection=True) if two else {}
    seen = {"sd15-pix2pix": 8, "sd15-inpaint": 9}.get(name, 4)
    blocks = dict(block_out_channels=(128, 256, 512, 512), layers_per_block=2)
    blocks |= dict(down_block_types=("DownEncoderBlock2D",) * 4, up_block_types=("UpDecoderBlock2D",) * 4)
    if name == "sdxl":
        large = dict(hidden_size=1280, intermediate_size=5120, num_hidden_layers=32, num_attention_heads=20)
        shape = dict(
            block_out_channels=(320, 640, 1280),
            down_block_types=("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
            up_block_types=("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
            transformer_layers_per_block=(1, 2, 10),
            attention_head_dim=(5, 10, 20),
            use_linear_projection=True,
            cross_attention_dim=2048,
            addition_embed_type="text_time",
            addition_time_embed_dim=256,
            projection_class_embeddings_input_dim=2816,
        )
        with torch.device("meta"):
            return {
                "text_encoder": CLIPTextModel(CLIPTextConfig(**size)),
                "text_encoder_2": CLIPTextModelWithProjection(CLIPTextConfig(**large, projection_dim=1280)),
                "unet": UNet2DConditionModel(**shape),
                "vae": AutoencoderKL(**blocks),
            }
    with torch.device("meta"):
        return {
            "text_encoder": CLIPTextModel(CLIPTextConfig(**size)),
            "unet": UNet2DConditionModel(in_channels=seen, cross_attention_dim=size["hidden_size"], **heads),
            "vae": AutoencoderKL(**blocks),
        }


def published_clip():
    from transformers import CLIPConfig, CLIPModel

    text = dict(hidden_size=768, intermediate_size=3072, num_hidden_layers=12, num_attention_heads=12)
    vision = dict(hidden_size=1024, intermediate_size=4096, num_hidden_layers=24, num_attention_heads=16, patch_size=14)
    config = CLIPConfig(text_config=text | {"projection_dim": 768}, vision_config=vision, projection_dim=768)
    with torch.device("meta"):
        return CLIPModel(config)


class Alive(TorchDispatchMode):
    """Counts the numbers of the tensors that are alive, those of `known` modules and tensors aside."""

    def __init__(self, *known):
        super().__init__()
        tensors = [t for one in known for t in (one.parameters() if isinstance(one, torch.nn.Module) else [one])]
        self.kept = [tensor.untyped_storage() for tensor in tensors]  # else another takes the same place
        self.sizes, self.now, self.most = {storage._cdata: 0 for storage in self.kept}, 0, 0

    def __torch_dispatch__(self, operation, types, args=(), kwargs=None):
        out = operation(*args, **(kwargs or {}))
        for tensor in tree_iter(out):
            storage = tensor.untyped_storage() if isinstance(tensor, torch.Tensor) else None
            if storage is not None and storage._cdata not in self.sizes:
                self.sizes[storage._cdata] = tensor.numel()
                self.now += tensor.numel()
                weakref.finalize(storage, self.free, storage._cdata)
        self.most = max(self.most, self.now)
        return out

    def free(self, place):
        self.now -= self.sizes.pop(place)


def alive(module, call, *inputs):
    with Alive(module, *inputs) as counted, torch.no_grad():
        call(*inputs)
    return counted.most


@pytest.fixture
def attention_in_one(monkeypatch):
    """Attention as a graphics card computes it, without the table of all pairs."""
    monkeypatch.setattr(F, "scaled_dot_product_attention", lambda q, k, v, **_: torch.empty_like(q))


@pytest.mark.parametrize("name", [name for name in PUBLISHED if not name.startswith("clip-")])
def test_the_numbers_of_a_stable_diffusion(name, attention_in_one):
    parts = published_parts(name)
    counted = {part: sum(p.numel() for p in module.parameters()) for part, module in parts.items()}
    assert counted == {file.split("/")[0]: weights for file, weights in PUBLISHED[name].files.items()}

    side = {"sd21": 96, "sdxl": 128}.get(name, 64)
    unet, vae = parts["unet"].eval(), parts["vae"].eval()
    latent = torch.empty(1, 4, side, side, device="meta")
    decoding = alive(vae, lambda z: vae.decode(z).sample, latent)
    both = torch.empty(2, unet.config.in_channels, side, side, device="meta")  # with guidance: two at a time
    text, t = torch.empty(2, 77, unet.config.cross_attention_dim, device="meta"), torch.empty((), device="meta")
    added = {}
    if name == "sdxl":
        pooled, sizes = torch.empty(2, 1280, device="meta"), torch.empty(2, 6, device="meta")
        added = {"added_cond_kwargs": {"text_embeds": pooled, "time_ids": sizes}}
    predicting = alive(unet, lambda *inputs: unet(*inputs, **added).sample, both, t, text)
    assert predicting < decoding, "then the U-Net would be the worst moment"
    assert PUBLISHED[name].alive == pytest.approx(decoding, rel=0.05)


def test_the_numbers_of_clip(attention_in_one):
    clip, pictures = published_clip(), torch.empty(64, 3, 224, 224, device="meta")
    assert sum(p.numel() for p in clip.parameters()) == sum(PUBLISHED["clip-sd15"].files.values())
    seeing = alive(clip, lambda x: clip.vision_model(pixel_values=x), pictures)
    assert PUBLISHED["clip-sd15"].alive == pytest.approx(seeing, rel=0.05)


def test_every_short_name_has_a_plan_and_an_end():
    assert set(difflab.loading.HUB) | {f"clip-{name}" for name in difflab.clip.HUB} == set(PUBLISHED)
    for name in [*PUBLISHED, *SHIPPED]:
        assert difflab.plan(name).choices[-1].name in SHIPPED


# The machine


def test_where_there_is_room_it_takes_what_was_asked(machine):
    machine(memory=15, card=True)
    plan = difflab.plan("sd15")
    files = sum(PUBLISHED["sd15"].files.values())
    assert plan.best.name == "sd15" and plan.best.dtype == "float16" and plan.settings == {"guidance_scale": 7.5}
    assert plan.best.download == 4 * files and plan.best.weights == 2 * files
    assert plan.best.work == 2 * ALLOWANCE * PUBLISHED["sd15"].alive
    assert "a small card" in str(plan) and "downloads 4.3 GB" in str(plan) and str(plan).endswith("Fits.")


@pytest.mark.parametrize(
    "asked, memory, best",
    [
        ("sd15", 2, ("tiny", "float16")),
        ("sd21", 4, ("sd21-base", "float16")),
        ("sd21", 3, ("sd15", "float16")),
        ("sd15-pix2pix", 2, ("tiny-pix2pix", "float16")),
        ("sd15-inpaint", 2, ("tiny-inpaint", "float16")),
        ("clip-sd15", 1, ("clip-tiny", "float16")),
    ],
)
def test_a_card_too_small_gets_the_next_best(machine, asked, memory, best):
    machine(memory=memory, card=True)
    plan = difflab.plan(asked)
    assert plan.best[:2] == best
    assert "Does not fit: too little memory." in str(plan) and plan.best.name in str(plan)


def test_without_a_card_half_the_precision_is_tried_before_another_model(machine):
    machine(memory=4)
    assert difflab.plan("sd15", device="cpu").best[:2] == ("sd15", "bfloat16")
    assert "many minutes" in str(difflab.plan("sd15", device="cpu"))
    machine(memory=1)
    assert difflab.plan("sd15", device="cpu").best.name == "tiny"
    assert "many minutes" not in str(difflab.plan("sd15", device="cpu"))


def test_apples_gpu(machine, monkeypatch):
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    machine(memory=8)
    assert difflab.plan("sd15").device.type == "mps" and difflab.plan("sd15").best[:2] == ("sd15", "float32")
    machine(memory=4)
    assert difflab.plan("sd15").best[:2] == ("sd15", "float16")


def test_a_full_disk(machine):
    machine(memory=15, disk=3)
    plan = difflab.plan("sd15", device="cpu")
    assert plan.best.name == "tiny" and "too little disk" in str(plan) and "memory." not in plan.choices[0].lacks


def test_what_is_cached_is_not_downloaded_again(machine, monkeypatch):
    machine(memory=15, disk=1)
    here = {"unet/diffusion_pytorch_model.safetensors"}
    monkeypatch.setattr(
        "huggingface_hub.try_to_load_from_cache", lambda repository, file: f"/cache/{file}" if file in here else None
    )
    files = PUBLISHED["sd15"].files
    first = difflab.plan("sd15", device="cpu").choices[0]
    assert first.download == 4 * (sum(files.values()) - files[min(here)])
    here |= set(files)
    plan = difflab.plan("sd15", device="cpu")
    assert plan.best.name == "sd15" and "is here already" in str(plan)


def test_offline_says_so(machine, monkeypatch):
    from huggingface_hub import constants

    machine(memory=15)
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    plan = difflab.plan("sd15", device="cpu")
    assert plan.best.name == "tiny" and "HF_HUB_OFFLINE is set" in str(plan)


def test_a_plan_loads_its_best(machine, monkeypatch):
    monkeypatch.setitem(PUBLISHED, "sd15", Published("a/b", {"model.safetensors": 10**12}, 0, "tiny", {}))
    machine(memory=1)
    plan = difflab.plan("sd15", device="cpu")
    assert plan.load().image_size == difflab.load(device="cpu").image_size and plan.settings == {}
    assert difflab.plan("clip-tiny", device="cpu").load().embed_text("a cat").shape[0] == 1
    asked = []
    monkeypatch.setattr("difflab.loading.load", lambda *names, **how: asked.append((names, how)))
    machine(memory=10**4, disk=10**4)
    difflab.plan("sd15", device="cpu").load()
    assert asked == [(("sd15",), {"device": torch.device("cpu"), "dtype": "float32"})]


@pytest.mark.parametrize("wrong", [dict(name="sd3"), dict(device="tpu"), dict(dtype="int8")], ids=str)
def test_bad_input(wrong):
    with pytest.raises(ValueError, match=next(iter(wrong.values()))):
        difflab.plan(**wrong)


def test_doctor_says_the_same(machine):
    machine(memory=1)
    found = {finding.what: finding.found for finding in doctor.findings()}
    assert found["runs sd15"] == f"{difflab.plan('sd15').choices[0]} Next best: tiny in float32."
    assert "too little memory" in found["runs sd21"]

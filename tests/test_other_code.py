"""Code that others wrote for Stable Diffusion runs on our weights with the model's name changed and nothing else.

The patterns of notebooks, scripts and libraries, in our words. Nothing of difflab is in the loops, only in the checks.
"""

import math
from functools import partial

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from diffusers import (
    AutoencoderKL,
    AutoPipelineForImage2Image,
    AutoPipelineForInpainting,
    AutoPipelineForText2Image,
    DDIMScheduler,
    DDPMScheduler,
    DPMSolverMultistepScheduler,
    EulerAncestralDiscreteScheduler,
    EulerDiscreteScheduler,
    PNDMScheduler,
    StableDiffusionInpaintPipeline,
    StableDiffusionInstructPix2PixPipeline,
    StableDiffusionPipeline,
    UNet2DConditionModel,
    UniPCMultistepScheduler,
)
from diffusers.models.attention_processor import AttnProcessor2_0
from PIL import Image
from safetensors.torch import save_file
from transformers import CLIPModel, CLIPProcessor, CLIPTextModel, CLIPTokenizer
from typer.testing import CliRunner

import difflab
from difflab import attention, export, judge, world

MODEL = str(difflab.weights_folder())  # what the script has in place of "runwayml/stable-diffusion-v1-5"
PROMPT = "a red car in the snow"
SEED = 7


def seeded(seed=SEED):
    return torch.Generator().manual_seed(seed)


def gap(picture, other):
    """The largest difference of two pictures, of 255."""
    return int(np.abs(np.asarray(picture, int) - np.asarray(other, int)).max())


def apart(picture, other):
    """The mean difference of two pictures, of 255."""
    return float(np.abs(np.asarray(picture, int) - np.asarray(other, int)).mean())


def scene(seed=0):
    """A picture of the world, as a script would open one, and its caption."""
    drawn = world.random_scene(np.random.default_rng(seed))
    return Image.fromarray(world.render(drawn)), drawn.caption()


@pytest.fixture(scope="module")
def pipe():
    made = StableDiffusionPipeline.from_pretrained(MODEL)
    made.set_progress_bar_config(disable=True)
    return made


@pytest.fixture(autouse=True)
def as_it_was(request):
    """Each test gets the pipeline as it was loaded."""
    yield
    if "pipe" in request.fixturenames:
        made = request.getfixturevalue("pipe")
        made.scheduler = DPMSolverMultistepScheduler.from_pretrained(MODEL, subfolder="scheduler")
        made.unet.set_attn_processor(AttnProcessor2_0())


@pytest.fixture(scope="module")
def parts():
    """The five parts, each loaded by its own class."""
    return (
        CLIPTokenizer.from_pretrained(MODEL, subfolder="tokenizer"),
        CLIPTextModel.from_pretrained(MODEL, subfolder="text_encoder"),
        AutoencoderKL.from_pretrained(MODEL, subfolder="vae"),
        UNet2DConditionModel.from_pretrained(MODEL, subfolder="unet"),
        DDIMScheduler.from_pretrained(MODEL, subfolder="scheduler"),
    )


@torch.no_grad()
def embed(tokenizer, text_encoder, prompts):
    """The texts, and as many empty ones before them: what guidance by hand begins with."""
    prompts = [""] * len(prompts) + prompts
    tokens = tokenizer(
        prompts, padding="max_length", max_length=tokenizer.model_max_length, truncation=True, return_tensors="pt"
    )
    return text_encoder(tokens.input_ids)[0]


@torch.no_grad()
def guided(unet, x, t, text, scale):
    """One guided prediction, the batch doubled by hand."""
    nothing, something = unet(torch.cat([x] * 2), t, encoder_hidden_states=text).sample.chunk(2)
    return nothing + scale * (something - nothing)


@torch.no_grad()
def shown(vae, latents):
    """Latents to pictures, with Stable Diffusion's number written into the code."""
    x = (vae.decode(1 / 0.18215 * latents).sample / 2 + 0.5).clamp(0, 1)
    return [Image.fromarray(a) for a in (x.permute(0, 2, 3, 1) * 255).round().byte().numpy()]


@torch.no_grad()
def latents_of(vae, picture):
    x = torch.from_numpy(np.array(picture)).float().permute(2, 0, 1)[None] / 255
    return 0.18215 * vae.encode(x * 2 - 1).latent_dist.mean


# -- loading ----------------------------------------------------------------------------------------------------------


def test_half_precision_by_its_variant():
    plain = StableDiffusionPipeline.from_pretrained(MODEL)
    half = StableDiffusionPipeline.from_pretrained(MODEL, torch_dtype=torch.float16, variant="fp16")
    for part in ("unet", "vae", "text_encoder", "image_encoder"):
        weights = getattr(plain, part).state_dict()
        for name, weight in getattr(half, part).state_dict().items():
            if weight.is_floating_point():
                assert weight.dtype == torch.float16 and torch.equal(weight.float(), weights[name]), name


@pytest.mark.parametrize("kind", [AutoPipelineForText2Image, AutoPipelineForImage2Image, AutoPipelineForInpainting])
def test_the_pipeline_of_a_task(kind):
    made = kind.from_pretrained(MODEL)
    assert made.unet.config.in_channels == 4 and made.feature_extractor.crop_size["height"] == 128


def test_every_part_has_the_weights_of_its_class():
    """No part is left random, and none has weights that its class does not know."""
    for part, kind in (("text_encoder", CLIPTextModel), ("vae", AutoencoderKL), ("unet", UNet2DConditionModel)):
        _, info = kind.from_pretrained(MODEL, subfolder=part, output_loading_info=True)
        assert not any(info.values()), part


# -- drawing ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "kind",
    [
        DDIMScheduler, DDPMScheduler, EulerDiscreteScheduler, EulerAncestralDiscreteScheduler, PNDMScheduler,
        UniPCMultistepScheduler,
    ],
)  # fmt: skip
def test_another_scheduler_from_the_configuration(pipe, kind):
    """The commonest line of all. The oracle sees in the picture what was asked for."""
    pipe.scheduler = kind.from_config(pipe.scheduler.config)
    steps = 40 if kind is DDPMScheduler else 15
    picture = pipe(PROMPT, num_inference_steps=steps, guidance_scale=4.0, generator=seeded()).images[0]
    (seen,) = judge.look(picture)
    assert next(iter(seen.nouns)) == "car" and seen.colors["car"] == "red" and seen.place == "snow"


def test_ddim_from_the_configuration_is_ours(pipe, tiny):
    pipe.scheduler = DDIMScheduler.from_config(pipe.scheduler.config)
    settings = dict(num_inference_steps=10, guidance_scale=4.0)
    theirs = pipe(PROMPT, generator=seeded(), **settings).images[0]
    assert gap(theirs, difflab.text_to_image(tiny, PROMPT, sampler="ddim", seed=SEED, **settings)[0]) <= 1


def test_the_loop_part_by_part(parts, tiny):
    """A deep dive: tokens, embeddings, doubled batch, scheduler, decoder, each called by hand."""
    tokenizer, text_encoder, vae, unet, scheduler = parts
    text = embed(tokenizer, text_encoder, [PROMPT])
    scheduler.set_timesteps(10)
    x = torch.randn((1, unet.config.in_channels, 128 // 8, 128 // 8), generator=seeded()) * scheduler.init_noise_sigma
    for t in scheduler.timesteps:
        eps = guided(unet, scheduler.scale_model_input(x, t), t, text, 4.0)
        x = scheduler.step(eps, t, x).prev_sample
    ours = difflab.text_to_image(tiny, PROMPT, sampler="ddim", num_inference_steps=10, guidance_scale=4.0, seed=SEED)
    assert gap(shown(vae, x)[0], ours[0]) <= 1


def test_a_picture_changed_by_hand(parts, tiny):
    """Image to image: noise is added up to a step in the middle, and the loop begins there."""
    tokenizer, text_encoder, vae, unet, scheduler = parts
    picture, _ = scene()
    text = embed(tokenizer, text_encoder, [PROMPT])
    scheduler.set_timesteps(10)
    todo = scheduler.timesteps[10 - 6 :]
    x = latents_of(vae, picture)
    x = scheduler.add_noise(x, torch.randn(x.shape, generator=seeded()), todo[:1])
    for t in todo:
        x = scheduler.step(guided(unet, x, t, text, 4.0), t, x).prev_sample
    ours = difflab.sdedit(
        tiny, picture, PROMPT, strength=0.6, sampler="ddim", num_inference_steps=10, guidance_scale=4.0, seed=SEED
    )
    assert gap(shown(vae, x)[0], ours[0]) <= 1


def test_a_picture_inverted_by_hand(parts):
    """DDIM walked backward by its equation, then forward: the picture comes back. Unguided, as courses do it."""
    tokenizer, text_encoder, vae, unet, scheduler = parts
    picture, caption = scene(3)
    text = embed(tokenizer, text_encoder, [caption])[1:]
    scheduler.set_timesteps(20)
    times, abar = scheduler.timesteps.flip(0).tolist(), scheduler.alphas_cumprod
    start = x = latents_of(vae, picture)
    with torch.no_grad():
        for now, then in zip([0, *times], times, strict=False):
            eps = unet(x, then, text).sample
            x0 = (x - (1 - abar[now]).sqrt() * eps) / abar[now].sqrt()
            x = abar[then].sqrt() * x0 + (1 - abar[then]).sqrt() * eps
        for t in scheduler.timesteps:
            x = scheduler.step(unet(x, t, text).sample, t, x).prev_sample
    there, back = (np.asarray(shown(vae, z)[0], float) for z in (start, x))
    assert 10 * math.log10(255**2 / ((back - there) ** 2).mean()) > 30  # dB


def test_weighted_words(pipe):
    """Weights of words as prompt tools have them: each token's embedding times its weight, the mean put back."""
    ids = pipe.tokenizer(PROMPT, padding="max_length", max_length=77, return_tensors="pt").input_ids
    words = pipe.tokenizer.convert_ids_to_tokens(ids[0])

    @torch.no_grad()
    def weighted(**weights):
        text = pipe.text_encoder(ids)[0]
        scale = torch.tensor([weights.get(word.removesuffix("</w>"), 1.0) for word in words])[None, :, None]
        return text * scale * text.mean() / (text * scale).mean()

    draw = partial(pipe, num_inference_steps=8, guidance_scale=4.0)
    plain = draw(PROMPT, generator=seeded()).images[0]
    assert gap(draw(prompt_embeds=weighted(), generator=seeded()).images[0], plain) <= 1
    assert apart(draw(prompt_embeds=weighted(snow=0.1), generator=seeded()).images[0], plain) > 3


# -- attention --------------------------------------------------------------------------------------------------------


class Attention:
    """Plain attention, written out, with a place to look at its probabilities or its keys and values."""

    def __init__(self, name):
        self.name, self.cross = name, "attn2" in name

    def __call__(self, attn, hidden_states, encoder_hidden_states=None, attention_mask=None, temb=None):
        text = hidden_states if encoder_hidden_states is None else encoder_hidden_states
        q, k, v = attn.to_q(hidden_states), *self.keys_and_values(attn.to_k(text), attn.to_v(text))
        q, k, v = (attn.head_to_batch_dim(y) for y in (q, k, v))
        probs = self.probabilities(attn.get_attention_scores(q, k, attention_mask), attn.heads)
        return attn.to_out[1](attn.to_out[0](attn.batch_to_head_dim(probs @ v)))

    def keys_and_values(self, k, v):
        return k, v

    def probabilities(self, probs, heads):
        return probs


def set_attention(unet, kind):
    """One processor of this kind in every layer, as such scripts do it."""
    unet.set_attn_processor({name: kind(name) for name in unet.attn_processors})


def test_prompt_to_prompt_by_processors(pipe):
    """The second prompt takes the first's attention, for a number of steps that calls are counted for: it keeps the
    layout."""

    class Replace(Attention):
        calls = 0

        def probabilities(self, probs, heads):
            self.calls += 1
            if self.calls > (8 if self.cross else 4):
                return probs
            each = probs.unflatten(0, (4, heads))  # nothing, nothing, source, target
            return torch.cat([each[:3], each[2:3]]).flatten(0, 1)

    x = torch.randn((1, 4, 16, 16), generator=seeded()).repeat(2, 1, 1, 1)
    prompts = ["a cat on a sofa at night", "a dog on a sofa at night"]
    draw = partial(pipe, prompts, latents=x, num_inference_steps=10, guidance_scale=3.0)
    source, alone = draw().images
    set_attention(pipe.unet, Replace)
    again, edited = draw().images
    assert gap(again, source) <= 1 and apart(edited, source) < 0.8 * apart(alone, source)
    assert all(layer.calls == 10 for layer in pipe.unet.attn_processors.values())
    assert next(iter(judge.look(edited)[0].nouns)) == "dog"


def test_self_attention_of_another_picture(pipe):
    """Mutual self-attention: from some step and layer on, the second picture takes keys and values from the first."""

    class Mutual(Attention):
        def keys_and_values(self, k, v):
            if self.cross or not self.name.startswith("up_blocks"):
                return k, v
            return tuple(y[[0, 0, 2, 2]] for y in (k, v))  # nothing, nothing, source, target

    x = torch.randn((1, 4, 16, 16), generator=seeded()).repeat(2, 1, 1, 1)
    draw = partial(pipe, ["a cat on a sofa", "a cat in the snow"], latents=x, num_inference_steps=8)
    source, alone = draw().images
    set_attention(pipe.unet, Mutual)
    again, mutual = draw().images
    assert gap(again, source) <= 1 and apart(mutual, source) < apart(alone, source)


def test_heat_maps_by_hooks(pipe, tiny):
    """Attribution maps: the cross-attention of a word, gathered from all layers at one size, step after step."""
    kept = []

    class Gather(Attention):
        def probabilities(self, probs, heads):
            if self.cross:
                side = math.isqrt(probs.shape[1])
                maps = probs.unflatten(0, (2, heads))[1].mean(0).T.unflatten(1, (side, side))  # 77, side, side
                kept.append(F.interpolate(maps[None], (16, 16), mode="bilinear", align_corners=False)[0])
            return probs

    set_attention(pipe.unet, Gather)
    settings = dict(num_inference_steps=8, guidance_scale=3.0)
    pipe(PROMPT, generator=seeded(), **settings)
    (car,) = attention.token_positions(pipe.tokenizer, PROMPT, "car")
    theirs = torch.stack(kept).mean(0)[car]
    with attention.record(tiny.unet) as maps:
        difflab.text_to_image(tiny, PROMPT, seed=SEED, **settings)
    assert torch.allclose(theirs, attention.heat_map(maps, [car], (16, 16)), atol=1e-4)


# -- training and adapters --------------------------------------------------------------------------------------------


def test_a_training_step(parts):
    """As in the text-to-image example: noise by the shipped configuration, mean squared error, AdamW."""
    tokenizer, text_encoder, vae, _, _ = parts
    unet = UNet2DConditionModel.from_pretrained(MODEL, subfolder="unet")
    scheduler = DDPMScheduler.from_pretrained(MODEL, subfolder="scheduler")
    pictures, captions = zip(*map(scene, range(4)), strict=True)
    with torch.no_grad():
        pixels = torch.stack([torch.from_numpy(np.array(p)).permute(2, 0, 1) / 127.5 - 1 for p in pictures])
        latents = vae.encode(pixels).latent_dist.sample(seeded()) * vae.config.scaling_factor
        text = embed(tokenizer, text_encoder, list(captions))[len(captions) :]
    noise = torch.randn(latents.shape, generator=seeded())
    t = torch.tensor([100, 350, 600, 850])
    noisy, optimizer, losses = scheduler.add_noise(latents, noise, t), torch.optim.AdamW(unet.parameters(), 1e-4), []
    for _ in range(3):
        loss = F.mse_loss(unet(noisy, t, text, return_dict=False)[0].float(), noise)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(unet.parameters(), 1.0)
        optimizer.step()
        optimizer.zero_grad()
        losses.append(loss.item())
    assert losses[0] < 0.2 and losses[-1] < losses[0]


@pytest.mark.parametrize("name", ["pix2pix", "inpaint"])
def test_the_loras_that_ship_are_taken(pipe, name, caplog):
    """Every weight finds its layer, the picture changes, and all is as before when it is taken off again."""
    draw = partial(pipe, PROMPT, num_inference_steps=2, output_type="latent")
    plain = draw(generator=seeded()).images
    folder = difflab.weights_folder().parent / name
    pipe.load_lora_weights(folder)
    assert pipe.get_active_adapters() == ["default_0"]
    loaded = {key.replace(".default_0", "") for key in pipe.unet.state_dict() if "lora_" in key}
    wanted, _ = pipe.lora_state_dict(folder)
    assert len(loaded) == len(wanted) == 210
    assert not torch.allclose(draw(generator=seeded()).images, plain, atol=1e-2)
    pipe.unload_lora_weights()
    assert torch.equal(draw(generator=seeded()).images, plain)


def test_a_lora_of_ones_own_goes_out_and_in(pipe, tmp_path):
    from peft import LoraConfig
    from peft.utils import get_peft_model_state_dict

    pipe.unet.add_adapter(LoraConfig(r=4, lora_alpha=4, target_modules=["to_q", "to_k", "to_v", "to_out.0"]))
    with torch.no_grad():
        for name, weight in pipe.unet.named_parameters():
            if "lora_B" in name:
                weight.normal_(0, 0.05, generator=seeded())
    draw = partial(pipe, PROMPT, num_inference_steps=2, output_type="latent")
    trained = draw(generator=seeded()).images
    pipe.save_lora_weights(tmp_path, unet_lora_layers=get_peft_model_state_dict(pipe.unet))
    pipe.unet.delete_adapters("default")
    assert not torch.allclose(draw(generator=seeded()).images, trained, atol=1e-2)
    pipe.load_lora_weights(tmp_path)
    assert torch.allclose(draw(generator=seeded()).images, trained, atol=1e-5)
    pipe.unload_lora_weights()


def test_a_learned_word(pipe, tmp_path):
    """A textual inversion of three vectors is loaded as a word, drawn with, and unloaded."""
    table = pipe.text_encoder.get_input_embeddings().weight
    word = pipe.tokenizer.convert_tokens_to_ids("robot</w>")
    save_file({"<robot>": table[word].detach().repeat(3, 1)}, tmp_path / "learned_embeds.safetensors")
    before = len(pipe.tokenizer)
    pipe.load_textual_inversion(tmp_path / "learned_embeds.safetensors")
    assert len(pipe.tokenizer) == before + 3 == len(pipe.text_encoder.get_input_embeddings().weight)
    assert "<robot>_2" in pipe.tokenizer.tokenize(pipe.maybe_convert_prompt("a <robot> in the snow", pipe.tokenizer))
    pipe("a <robot> in the snow", num_inference_steps=1, output_type="latent")
    pipe.unload_textual_inversion()
    assert len(pipe.tokenizer) == before == len(pipe.text_encoder.get_input_embeddings().weight)


def test_an_image_prompt_adapter(pipe, tmp_path):
    """An IP-Adapter of random weights: at scale 0 it takes no part, at scale 1 it does."""
    width, tokens = pipe.unet.config.cross_attention_dim, 4
    seed = seeded()
    state = {
        "image_proj.proj.weight": torch.randn(tokens * width, pipe.image_encoder.config.projection_dim, generator=seed),
        "image_proj.proj.bias": torch.zeros(tokens * width),
        "image_proj.norm.weight": torch.ones(width),
        "image_proj.norm.bias": torch.zeros(width),
    }
    for number, name in enumerate(pipe.unet.attn_processors):
        if "attn2" in name:
            layer = pipe.unet.get_submodule(name.removesuffix(".processor"))
            for key, own in (("to_k_ip", layer.to_k), ("to_v_ip", layer.to_v)):
                state[f"ip_adapter.{number}.{key}.weight"] = torch.randn(own.weight.shape, generator=seed) / 14
    save_file(state, tmp_path / "ip-adapter.safetensors")
    draw = partial(pipe, PROMPT, num_inference_steps=2, output_type="latent")
    plain = draw(generator=seeded()).images
    pipe.load_ip_adapter(tmp_path, subfolder="", weight_name="ip-adapter.safetensors", image_encoder_folder=None)
    made = []
    for scale in (0.0, 1.0):
        pipe.set_ip_adapter_scale(scale)
        made.append(draw(ip_adapter_image=scene()[0], generator=seeded()).images)
    pipe.unload_ip_adapter()
    assert torch.allclose(made[0], plain, atol=1e-4) and not torch.allclose(made[1], plain, atol=1e-2)


# -- whole folders ----------------------------------------------------------------------------------------------------


def exported(tmp_path, *arguments):
    """The folder that `difflab export` writes; a second time it is refused."""
    from difflab.cli import app

    folder = tmp_path / "made" / "folder"
    answer = CliRunner().invoke(app, ["export", *arguments, str(folder)])
    assert answer.exit_code == 0 and str(folder) in answer.output
    again = CliRunner().invoke(app, ["export", *arguments, str(folder)])
    assert again.exit_code == 1 and "is there already: name a new or an empty folder" in again.output
    assert not [path for path in folder.rglob("*.json") if "weights" in path.read_text()]  # no path of this machine
    return folder


def test_a_pipeline_that_follows_instructions(tmp_path):
    folder = exported(tmp_path, "pipeline", "tiny-pix2pix")
    made = StableDiffusionInstructPix2PixPipeline.from_pretrained(folder)
    made.set_progress_bar_config(disable=True)
    picture, _ = scene()
    settings = dict(num_inference_steps=5, guidance_scale=3.0, image_guidance_scale=1.5)
    theirs = made("make it night", image=picture, generator=seeded(), **settings).images[0]
    model = difflab.load("tiny-pix2pix", device="cpu")
    assert gap(theirs, difflab.instruct_pix2pix(model, picture, "make it night", seed=SEED, **settings)[0]) <= 1


def test_a_pipeline_that_fills_holes(tmp_path):
    folder = exported(tmp_path, "pipeline", "tiny-inpaint")
    made = AutoPipelineForInpainting.from_pretrained(folder)
    assert type(made) is StableDiffusionInpaintPipeline
    model = difflab.load("tiny-inpaint", device="cpu")
    weights = made.unet.state_dict()
    assert all(torch.equal(weights[name], weight) for name, weight in model.unet.state_dict().items())
    made.set_progress_bar_config(disable=True)
    picture, _ = scene()
    mask = Image.new("L", picture.size)
    mask.paste(255, (32, 32, 96, 96))
    settings = dict(num_inference_steps=5, guidance_scale=3.0)
    theirs = made("a cat", image=picture, mask_image=mask, generator=seeded(), **settings).images[0]
    ours = difflab.inpaint(model, picture, mask, "a cat", seed=SEED, **settings)[0]  # theirs draws what is around
    hole = np.asarray(mask) > 0
    assert apart(np.asarray(theirs)[hole], np.asarray(ours)[hole]) < 3


def test_the_text_pipeline_as_a_folder_of_ones_own(tmp_path, tiny):
    folder = exported(tmp_path, "pipeline", "tiny")
    made = AutoPipelineForText2Image.from_pretrained(folder, variant="fp16")
    made.set_progress_bar_config(disable=True)
    settings = dict(num_inference_steps=3, guidance_scale=3.0)
    theirs = made(PROMPT, generator=seeded(), **settings).images[0]
    for model in (tiny, difflab.load(folder, device="cpu")):
        assert gap(difflab.text_to_image(model, PROMPT, seed=SEED, **settings)[0], theirs) <= 1


def test_a_clip_that_sorts_pictures(tmp_path):
    """Zero-shot classification, with the usual two lines."""
    folder = exported(tmp_path, "clip")
    model, processor = CLIPModel.from_pretrained(folder), CLIPProcessor.from_pretrained(folder)
    nouns = ["cat", "car", "castle", "lion"]
    pictures = [Image.fromarray(world.render(world.Scene((world.Thing(noun),)))) for noun in nouns]
    texts = [f"a {noun}" for noun in nouns]
    with torch.no_grad():
        logits = model(**processor(text=texts, images=pictures, return_tensors="pt", padding=True)).logits_per_image
    assert logits.argmax(dim=1).tolist() == [0, 1, 2, 3]
    for ours in (difflab.clip.load("tiny", device="cpu"), difflab.clip.load(folder, device="cpu")):
        cosines = ours.embed_images(pictures) @ ours.embed_text(texts).T
        assert torch.allclose(cosines / ours.temperature, logits, atol=1e-3)


def test_pictures_are_made_ready_as_ours_are(pipe):
    """The shipped feature extractor and difflab.clip agree to the last pixel, for other sizes as well."""
    clip = difflab.clip.load("tiny", device="cpu")
    for size in ((128, 128), (200, 150), (90, 130)):
        picture = scene()[0].resize(size)
        theirs = pipe.feature_extractor(picture, return_tensors="pt").pixel_values
        assert torch.allclose(theirs, clip.pixels(picture), atol=1e-6), size


def test_what_cannot_be_exported(tmp_path):
    with pytest.raises(ValueError, match="model='sd15' does not ship with difflab: choose one of tiny, tiny-pix2pix"):
        export.pipeline(tmp_path / "p", "sd15")
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "thesis.txt").write_text("mine")
    for write in (export.pipeline, export.clip):
        with pytest.raises(ValueError, match="is there already"):
            write(tmp_path / "full")
        with pytest.raises(ValueError, match="is there already"):
            write(tmp_path / "full" / "thesis.txt")
    assert (tmp_path / "full" / "thesis.txt").read_text() == "mine" and not (tmp_path / "p").exists()

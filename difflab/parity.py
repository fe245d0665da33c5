"""How far difflab is from diffusers, measured: samplers against schedulers, whole pictures against the pipeline.

Each function returns rows (what, peer, max_abs_difference, tolerance). The tests assert on them; the book prints them.
"""

import tempfile
import warnings
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

import torch
from PIL import Image

from difflab.applications.text_to_image import text_to_latents
from difflab.guidance import in_interval, rescaled
from difflab.inputs import noise
from difflab.loading import load
from difflab.loop import sample
from difflab.samplers import ddim, ddpm, dpmpp, euler, from_diffusers
from difflab.schedule import NoiseSchedule


class Row(NamedTuple):
    """One measured comparison."""

    what: str
    peer: str
    max_abs_difference: float
    tolerance: float


BETAS = dict(beta_start=0.00085, beta_end=0.012, beta_schedule="scaled_linear")
TABLE = NoiseSchedule.scaled_linear()


def toy_noise(x, t):
    """A stand-in for the network, at its scale: what noise there is in x if the pictures were N(0, I), and a wave,
    so that it is not linear in x."""
    return (1 - TABLE.alpha_bar(int(t))).sqrt() * x + 0.1 * torch.sin(3 * x + 0.01 * float(t))


def cases():
    """(name, our sampler, settings for it, diffusers' class, its settings, arguments of its step, spacings, steps).

    "linspace" is left out where the two cannot mean the same: DDIMScheduler steps by T // n whatever the spacing, and
    EulerDiscreteScheduler visits fractional timesteps unless n - 1 divides 999; hence 28 steps.
    """
    every = ("trailing", "leading", "linspace")
    alike = dict(algorithm_type="dpmsolver++", solver_order=2, final_sigmas_type="zero")
    return [
        ("DDPM", ddpm, {}, "DDPMScheduler", {}, {}, every, 20),
        ("DDPM, many steps", ddpm, {}, "DDPMScheduler", {}, {}, ("trailing",), 250),
        ("DDIM, eta 0", ddim, {}, "DDIMScheduler", {}, {}, every[:2], 20),
        ("DDIM, eta 0.7", ddim, dict(eta=0.7), "DDIMScheduler", {}, dict(eta=0.7), every[:2], 20),
        ("DPM-Solver++(2M)", dpmpp, {}, "DPMSolverMultistepScheduler", alike, {}, every, 20),
        ("DPM-Solver++(2M), few steps", dpmpp, {}, "DPMSolverMultistepScheduler", alike, {}, every, 5),
        ("Euler", euler, {}, "EulerDiscreteScheduler", {}, {}, every, 28),
    ]


def samplers(steps_offset=1):
    """Every sampler against diffusers' scheduler of the same settings: the largest difference over a whole walk."""
    rows = []
    for name, ours, settings, peer, peer_settings, arguments, spacings, n in cases():
        for spacing in spacings:
            scheduler = make_scheduler(peer, timestep_spacing=spacing, steps_offset=steps_offset, **peer_settings)
            schedule = NoiseSchedule.from_config(scheduler.config)
            x = noise((2, 3, 8, 8), seed=0)
            sampler = ours(schedule, n, generator=torch.Generator().manual_seed(1), **settings)
            walk = [step.x for step in sample(toy_noise, x, sampler)]
            peer_walk = walk_of(scheduler, x, n, torch.Generator().manual_seed(1), **arguments)
            label = f"{name}, {spacing}, {n} steps"
            rows.append(Row(label, peer, largest_difference(walk, peer_walk), 1e-5))
    return rows


def plugged_in():
    """diffusers' schedulers through `from_diffusers`, against the same schedulers driven by hand."""
    rows = []
    peers = ["DDIM", "PNDM", "EulerDiscrete", "EulerAncestralDiscrete", "HeunDiscrete", "UniPCMultistep"]
    peers += ["DPMSolverMultistep", "DEISMultistep"]
    for peer in [f"{name}Scheduler" for name in peers]:
        scheduler = make_scheduler(peer, timestep_spacing="trailing")
        x = noise((2, 3, 8, 8), seed=0)
        sampler = from_diffusers(scheduler, 10, generator=torch.Generator().manual_seed(1))
        walk = [step.x for step in sample(toy_noise, x, sampler)]
        peer_walk = walk_of(scheduler, x, 10, torch.Generator().manual_seed(1))
        rows.append(Row("from_diffusers, 10 steps", peer, largest_difference(walk, peer_walk), 1e-5))
    return rows


def pictures(folder, label, *, guidance_scales=(5.0,), num_inference_steps=8, sampler="dpm++"):
    """`text_to_image` against StableDiffusionPipeline on the folder's weights: the latents of two prompts.

    Both start from the same noise and use the model's own noise schedule and spacing.
    """
    model = load(folder, device="cpu")
    pipeline = pipeline_of(folder, sampler)
    prompts = ["a cat on a sofa at night", "a red car in the snow"]
    rows = []
    for guidance_scale in guidance_scales:
        settings = dict(num_inference_steps=num_inference_steps, guidance_scale=guidance_scale)
        *_, last = text_to_latents(model, prompts, sampler=sampler, seed=7, **settings)
        generator = [torch.Generator().manual_seed(7 + i) for i in range(len(prompts))]
        theirs = pipeline(prompts, generator=generator, output_type="latent", **settings).images
        what = f"text_to_image, {label}, {sampler}, guidance {guidance_scale:g}, {num_inference_steps} steps"
        rows.append(Row(what, "StableDiffusionPipeline", (last.x - theirs).abs().max().item(), 1e-4))
    return rows


def xl_pictures(folder, label, *, num_inference_steps=6, guidance_scale=5.0):
    """`text_to_image` against StableDiffusionXLPipeline on the folder's weights: the latents of two prompts, with no
    negative prompt and with one."""
    from diffusers import DPMSolverMultistepScheduler, StableDiffusionXLPipeline

    model = load(folder, device="cpu")
    with quietly():
        pipeline = StableDiffusionXLPipeline.from_pretrained(str(folder), torch_dtype=torch.float32)
    pipeline.set_progress_bar_config(disable=True)
    pipeline.scheduler = DPMSolverMultistepScheduler.from_config(pipeline.scheduler.config)
    prompts, size = ["a cat on a sofa at night", "a red car in the snow"], model.image_size
    shared = dict(num_inference_steps=num_inference_steps, guidance_scale=guidance_scale)
    rows = []
    for negative in (None, "by day"):
        *_, last = text_to_latents(model, prompts, negative_prompt=negative or "", seed=7, **shared)
        generator = [torch.Generator().manual_seed(7 + i) for i in range(len(prompts))]
        theirs = pipeline(
            prompts,
            negative_prompt=negative and [negative] * 2,
            height=size,
            width=size,
            generator=generator,
            output_type="latent",
            **shared,
        ).images
        negatives = "a negative prompt" if negative else "no negative prompt"
        what = f"text_to_image, {label}, dpm++, {negatives}, {num_inference_steps} steps"
        rows.append(Row(what, "StableDiffusionXLPipeline", (last.x - theirs).abs().max().item(), 1e-4))
    return rows


def guidance(folder, label, *, guidance_scale=5.0, num_inference_steps=6):
    """What guidance is composed of against StableDiffusionPipeline on the folder's weights: the latents of two prompts
    with a negative prompt, with guidance rescale, with guidance for the first half of the steps only.

    For an epsilon model: of another one diffusers rescales what the network says, and we the noise it stands for.
    """
    model = load(folder, device="cpu")
    pipeline = pipeline_of(folder, "dpm++")
    prompts, negative = ["a cat on a sofa at night", "a red car in the snow"], "by day"
    half = num_inference_steps // 2
    timesteps = model.schedule.timesteps(num_inference_steps, drop_last=True).tolist()

    def guided_no_more(pipeline, i, t, state):
        """diffusers' documented way to stop guiding: from step `half` on, only the prompts' half of the batch."""
        if i == half - 1:
            pipeline._guidance_scale = 1.0
            state["prompt_embeds"] = state["prompt_embeds"].chunk(2)[1]
        return state

    at_the_end = dict(
        callback_on_step_end=guided_no_more, callback_on_step_end_tensor_inputs=["latents", "prompt_embeds"]
    )
    rows = []
    for what, ours, peers in (
        ("negative prompt", {}, {}),
        ("rescaled, 0.7", dict(combine=rescaled(0.7)), dict(guidance_rescale=0.7)),
        ("first half only", dict(guidance_scale=in_interval(guidance_scale, timesteps[half - 1], 999)), at_the_end),
    ):
        shared = dict(num_inference_steps=num_inference_steps, guidance_scale=guidance_scale)
        *_, last = text_to_latents(model, prompts, negative_prompt=negative, seed=7, **(shared | ours))
        generator = [torch.Generator().manual_seed(7 + i) for i in range(len(prompts))]
        theirs = pipeline(
            prompts, negative_prompt=[negative] * 2, generator=generator, output_type="latent", **shared, **peers
        ).images
        difference = (last.x - theirs).abs().max().item()
        rows.append(Row(f"guidance {guidance_scale:g}, {what}, {label}", "StableDiffusionPipeline", difference, 1e-4))
    return rows


def attention(folder, label):
    """softmax(Q K^T / sqrt(d)) V against the U-Net's own attention: layer by layer, on what each layer was given, and
    the whole network's answer with our processor in every layer."""
    from difflab.attention import edit

    model = load(folder, device="cpu")
    given, wholes = {}, []

    def remember(layer, arguments, keywords, answer):
        given[layer] = (arguments, keywords, answer)

    layers = [layer for layer in model.unet.modules() if hasattr(layer, "set_processor")]
    hooks = [layer.register_forward_hook(remember, with_kwargs=True) for layer in layers]
    x, text = noise((2, *model.latent_shape), seed=0), model.encode_text(["a cat on a sofa at night", "a red car"])
    try:
        wholes.append(model.predict_noise(x, 500, text))
    finally:
        for hook in hooks:
            hook.remove()
    with edit(model.unet, lambda probs, site: probs, kind="both", pictures=2):
        wholes.append(model.predict_noise(x, 500, text))
        ours = [layer(*arguments, **keywords) for layer, (arguments, keywords, _) in given.items()]
    by_layer = largest_difference(ours, [answer for *_, answer in given.values()])
    whole = largest_difference(wholes[:1], wholes[1:])
    return [
        Row(f"attention, each of {len(layers)} layers, {label}", "AttnProcessor2_0", by_layer, 1e-5),
        Row(f"attention, the whole U-Net, {label}", "AttnProcessor2_0", whole, 1e-5),
    ]


def sdedit(folder, label, *, strengths=(0.2, 0.58, 0.8), num_inference_steps=10, sampler="dpm++"):
    """`sdedit` against StableDiffusionImg2ImgPipeline on the folder's weights: the latents of two pictures and prompts.

    The pipeline is given the pictures' latents: it would draw them at random around those that we take. It has
    nothing to compare at strength 0, where it refuses, and at 1, where it keeps a trace of the picture.
    """
    from diffusers import StableDiffusionImg2ImgPipeline

    from difflab.applications.sdedit import sdedit_to_latents

    model = load(folder, device="cpu")
    with quietly():
        pipeline = StableDiffusionImg2ImgPipeline(
            **pipeline_of(folder, sampler).components, requires_safety_checker=False
        )
    pipeline.set_progress_bar_config(disable=True)
    prompts, size = ["a cat on a sofa at night", "a red car in the snow"], model.image_size
    pictures = [Image.linear_gradient("L").resize((size, size)).convert("RGB"), Image.new("RGB", (size, size), "teal")]
    shared = dict(num_inference_steps=num_inference_steps, guidance_scale=5.0)
    rows = []
    for strength in strengths:
        *_, last = sdedit_to_latents(model, pictures, prompts, strength=strength, sampler=sampler, seed=7, **shared)
        theirs = pipeline(
            prompts,
            image=model.encode_image(pictures),
            strength=strength,
            generator=[torch.Generator().manual_seed(7 + i) for i in range(2)],
            output_type="latent",
            **shared,
        ).images
        what = f"sdedit, {label}, {sampler}, strength {strength:g} of {num_inference_steps} steps"
        rows.append(Row(what, "StableDiffusionImg2ImgPipeline", (last.x - theirs).abs().max().item(), 1e-4))
    return rows


def instruct_pix2pix(name_or_folder, label, *, scales=((3.0, 1.5), (4.0, 1.0), (2.0, 2.0)), num_inference_steps=6):
    """`instruct_pix2pix` against StableDiffusionInstructPix2PixPipeline with the same U-Net of eight input channels:
    the latents of two pictures and instructions, at pairs of a scale for the instruction and one for the picture.

    Below a picture's scale of 1, and at an instruction's of 1 and below, the pipeline does not guide at all.
    """
    from diffusers import StableDiffusionInstructPix2PixPipeline

    from difflab.applications.instruct_pix2pix import instruct_pix2pix_to_latents
    from difflab.loading import weights_folder

    model = load(name_or_folder, device="cpu")
    folder = weights_folder() if name_or_folder == "tiny-pix2pix" else name_or_folder
    with quietly():
        parts = pipeline_of(folder, "dpm++").components | dict(unet=model.unet)
        pipeline = StableDiffusionInstructPix2PixPipeline(**parts, requires_safety_checker=False)
    pipeline.set_progress_bar_config(disable=True)
    prompts, size = ["make it sunset", "turn the cat into a dog"], model.image_size
    pictures = [Image.linear_gradient("L").resize((size, size)).convert("RGB"), Image.new("RGB", (size, size), "teal")]
    rows = []
    for text_scale, image_scale in scales:
        shared = dict(
            num_inference_steps=num_inference_steps, guidance_scale=text_scale, image_guidance_scale=image_scale
        )
        *_, last = instruct_pix2pix_to_latents(model, pictures, prompts, seed=7, **shared)
        generator = [torch.Generator().manual_seed(7 + i) for i in range(2)]
        theirs = pipeline(prompts, image=pictures, generator=generator, output_type="latent", **shared).images
        what = f"instruct_pix2pix, {label}, scales {text_scale:g} and {image_scale:g}, {num_inference_steps} steps"
        difference = (last.x - theirs).abs().max().item()
        rows.append(Row(what, "StableDiffusionInstructPix2PixPipeline", difference, 1e-4))
    return rows


def inpaint(name_or_folder, label, *, strengths=(1.0, 0.5), num_inference_steps=8, sampler="dpm++"):
    """`inpaint` against StableDiffusionInpaintPipeline with the same U-Net, of four input channels or of nine: the
    latents of two pictures, masks and prompts, where each corner pixel decides for its place of the latent.

    The pipeline is given the pictures' latents: it would draw them at random around those that we take.
    """
    from diffusers import StableDiffusionInpaintPipeline

    from difflab.applications.inpaint import inpaint_to_latents
    from difflab.loading import weights_folder
    from difflab.masks import nearest

    model = load(name_or_folder, device="cpu")
    folder = weights_folder() if name_or_folder == "tiny-inpaint" else name_or_folder
    with quietly():
        parts = pipeline_of(folder, sampler).components | dict(unet=model.unet)
        pipeline = StableDiffusionInpaintPipeline(**parts, requires_safety_checker=False)
    pipeline.set_progress_bar_config(disable=True)
    prompts, size = ["a cat on a sofa at night", "a red car in the snow"], model.image_size
    pictures = [Image.linear_gradient("L").resize((size, size)).convert("RGB"), Image.new("RGB", (size, size), "teal")]
    holes = [Image.new("L", (size, size)), Image.linear_gradient("L").resize((size, size))]
    holes[0].paste(255, (size // 4 + 3, size // 4 - 3, size - 9, size - 1))
    around = pipeline.image_processor.preprocess(pictures) * (pipeline.mask_processor.preprocess(holes) < 0.5)
    masked = pipeline.vae.encode(around).latent_dist.mode() * pipeline.vae.config.scaling_factor
    shared = dict(num_inference_steps=num_inference_steps, guidance_scale=3.0)
    rows = []
    for strength in strengths:
        chosen = dict(sampler=sampler, shrink=nearest, strength=strength, seed=7)
        *_, last = inpaint_to_latents(model, pictures, holes, prompts, **chosen, **shared)
        theirs = pipeline(
            prompts,
            image=model.encode_image(pictures),
            mask_image=holes,
            masked_image_latents=masked,
            strength=strength,
            height=size,
            width=size,
            generator=[torch.Generator().manual_seed(7 + i) for i in range(2)],
            output_type="latent",
            **shared,
        ).images
        channels = f"{model.unet.config.in_channels} channels"
        what = f"inpaint, {label}, {channels}, {sampler}, strength {strength:g} of {num_inference_steps} steps"
        rows.append(Row(what, "StableDiffusionInpaintPipeline", (last.x - theirs).abs().max().item(), 1e-4))
    return rows


def prompt_to_prompt(folder, label, *, num_inference_steps=10):
    """A word swap against StableDiffusionPipeline with an attention processor that does what the paper's code does; and
    `invert` against DDIMInverseScheduler: the latents of two pictures, and their noise."""
    from difflab.applications.invert import invert
    from difflab.applications.prompt_to_prompt import prompt_to_prompt_to_latents

    model = load(folder, device="cpu")
    pipeline = pipeline_of(folder, "ddim")
    prompts, cross_steps, self_steps = ["a cat on a sofa", "a dog on a sofa"], 8, 4

    class WordSwap:
        """Of a batch [nothing, nothing, source, target] the last takes the attention of the one before."""

        calls = 0

        def __call__(self, attn, hidden_states, encoder_hidden_states=None, attention_mask=None, temb=None):
            text = hidden_states if encoder_hidden_states is None else encoder_hidden_states
            q, k, v = (attn.head_to_batch_dim(y) for y in (attn.to_q(hidden_states), attn.to_k(text), attn.to_v(text)))
            probs = attn.get_attention_scores(q, k, attention_mask).unflatten(0, (4, attn.heads))
            if self.calls < (cross_steps if attn.is_cross_attention else self_steps):
                probs = torch.cat([probs[:3], probs[2:3]])
            self.calls += 1
            return attn.to_out[1](attn.to_out[0](attn.batch_to_head_dim(probs.flatten(0, 1) @ v)))

    shared = dict(num_inference_steps=num_inference_steps, guidance_scale=3.0)
    pipeline.unet.set_attn_processor({name: WordSwap() for name in pipeline.unet.attn_processors})
    theirs = pipeline(prompts, latents=noise((2, *model.latent_shape), [7, 7]), output_type="latent", **shared).images
    shares = [count / num_inference_steps for count in (cross_steps, self_steps)]
    *_, last = prompt_to_prompt_to_latents(
        model, *prompts, cross_replace_steps=shares[0], self_replace_steps=shares[1], seed=7, **shared
    )
    swapped = (last.x - theirs).abs().max().item()

    size = model.image_size
    pictures = [Image.linear_gradient("L").resize((size, size)).convert("RGB"), Image.new("RGB", (size, size), "teal")]
    path, text = invert(model, pictures, prompts, num_inference_steps=num_inference_steps), model.encode_text(prompts)
    scheduler = make_scheduler("DDIMInverseScheduler", **{**pipeline.scheduler.config, "prediction_type": "epsilon"})
    scheduler.set_timesteps(num_inference_steps)
    x = model.encode_image(pictures)
    for t in scheduler.timesteps:
        x = scheduler.step(model.predict_noise(x, int(t), text), t, x).prev_sample
    inverted = (path[0] - x).abs().max().item()
    return [
        Row(f"prompt_to_prompt, word swap, {label}", "StableDiffusionPipeline", swapped, 1e-4),
        Row(f"invert, {label}, {num_inference_steps} steps", "DDIMInverseScheduler", inverted, 1e-4),
    ]


def table(weights=None):
    """All of it: the samplers, the schedulers plugged in, pictures from the shipped, a random and a v-prediction
    model, ways to guide them, and attention. weights: a pipeline folder to use in place of the shipped one. Takes some
    ten seconds."""
    from difflab.loading import weights_folder

    rows = samplers() + plugged_in()
    rows += pictures(weights or weights_folder(), "shipped weights")
    rows += guidance(weights or weights_folder(), "shipped weights")
    rows += attention(weights or weights_folder(), "shipped weights")
    rows += sdedit(weights or weights_folder(), "shipped weights")
    rows += prompt_to_prompt(weights or weights_folder(), "shipped weights")
    rows += instruct_pix2pix("tiny-pix2pix", "shipped weights")
    rows += inpaint(weights or weights_folder(), "shipped weights")
    rows += inpaint("tiny-inpaint", "shipped weights")
    with tempfile.TemporaryDirectory() as folder:
        eight = random_pipeline(Path(folder) / "eight", unet=SMALL_UNET | dict(in_channels=8))
        rows += instruct_pix2pix(eight, "random small SD 1.5")
        nine = random_pipeline(Path(folder) / "nine", unet=SMALL_UNET | dict(in_channels=9))
        rows += inpaint(nine, "random small SD 1.5")
        for prediction_type in ("epsilon", "v_prediction"):
            path = random_pipeline(Path(folder) / prediction_type, prediction_type=prediction_type)
            rows += pictures(path, f"random small SD 1.5, {prediction_type}")
            if prediction_type == "epsilon":
                rows += guidance(path, f"random small SD 1.5, {prediction_type}")
                rows += attention(path, f"random small SD 1.5, {prediction_type}")
            rows += sdedit(path, f"random small SD 1.5, {prediction_type}")
            rows += prompt_to_prompt(path, f"random small SD 1.5, {prediction_type}")
            rows += inpaint(path, f"random small SD 1.5, {prediction_type}")
        rows += xl_pictures(random_xl_pipeline(Path(folder) / "xl"), "random small SDXL")
    return rows


# -- the peer's side --------------------------------------------------------------------------------------------------


def pipeline_of(folder, sampler):
    """diffusers' pipeline of the folder's weights, in single precision; its scheduler is made from the folder's."""
    from diffusers import DDIMScheduler, DPMSolverMultistepScheduler, StableDiffusionPipeline

    kinds = {"dpm++": DPMSolverMultistepScheduler, "ddim": DDIMScheduler}
    with quietly():
        pipeline = StableDiffusionPipeline.from_pretrained(str(folder), safety_checker=None, torch_dtype=torch.float32)
    pipeline.set_progress_bar_config(disable=True)
    pipeline.scheduler = kinds[sampler].from_config(pipeline.scheduler.config)
    return pipeline


def make_scheduler(name, **settings):
    """A diffusers scheduler by class name, on Stable Diffusion's betas, without clipping, which is not for latents;
    settings it does not know are left out."""
    import inspect

    import diffusers

    kind = getattr(diffusers, name)
    known = inspect.signature(kind.__init__).parameters
    settings = {**BETAS, "clip_sample": False, **settings}
    return kind(**{key: value for key, value in settings.items() if key in known})


def walk_of(scheduler, x, num_inference_steps, generator, **arguments):
    """Drive a diffusers scheduler as its documentation says, from x on the variance-preserving scale; every x, scaled
    back to it. Schedulers that work with sigmas get x in their own scale, x * sqrt(1 + sigma^2)."""
    import inspect

    scheduler.set_timesteps(num_inference_steps)
    if "generator" in inspect.signature(scheduler.step).parameters:
        arguments["generator"] = generator
    sigmas = getattr(scheduler, "sigmas", None)
    scaled = sigmas is not None and "sigma" in type(scheduler).scale_model_input.__code__.co_varnames
    if not scaled:
        sigmas = torch.zeros(len(scheduler.timesteps) + 1)
    sample, walk = x * (1 + sigmas[0] ** 2) ** 0.5, []
    for i, t in enumerate(scheduler.timesteps):
        eps = toy_noise(scheduler.scale_model_input(sample, t), t)
        sample = scheduler.step(eps, t, sample, **arguments).prev_sample
        walk.append(sample / (1 + sigmas[i + 1] ** 2) ** 0.5)
    return walk


def largest_difference(walk, peer_walk):
    """Over all steps and numbers. Walks of different length never agree."""
    return max((a - b).abs().max().item() for a, b in zip(walk, peer_walk, strict=True))


@contextmanager
def quietly():
    """diffusers warns about outdated settings of old pipeline folders; they are what is being compared."""
    from difflab.loading import no_progress_bars

    with warnings.catch_warnings(), no_progress_bars():
        warnings.simplefilter("ignore")
        yield


SMALL_UNET = dict(
    sample_size=8, block_out_channels=(16, 32), layers_per_block=1, norm_num_groups=8, attention_head_dim=4,
    cross_attention_dim=32, down_block_types=("CrossAttnDownBlock2D", "DownBlock2D"),
    up_block_types=("UpBlock2D", "CrossAttnUpBlock2D"),
)  # fmt: skip
SMALL_VAE = dict(block_out_channels=(8, 8, 16, 16), norm_num_groups=4)


SMALL_XL = SMALL_UNET | dict(
    cross_attention_dim=24 + 32, addition_embed_type="text_time", addition_time_embed_dim=8,
    projection_class_embeddings_input_dim=6 * 8 + 16,
)  # fmt: skip


def random_pipeline(folder, *, prediction_type="epsilon", unet=SMALL_UNET, vae=SMALL_VAE, seed=0):
    """Save a whole Stable Diffusion 1.5 with random weights and everything a hundred times smaller; returns the folder.

    unet, vae: settings of the two networks, for another size. The scheduler's configuration is SD 1.5's own. No file
    but those written here is needed: the words of the tokenizer are made up of letters.
    """
    from diffusers import AutoencoderKL, PNDMScheduler, StableDiffusionPipeline, UNet2DConditionModel
    from transformers import CLIPTextModel

    folder = Path(folder)
    tokenizer = letters_tokenizer(folder)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        text_encoder = CLIPTextModel(small_text_config(tokenizer, unet["cross_attention_dim"]))
        blocks = len(vae["block_out_channels"])
        down, up = ("DownEncoderBlock2D",) * blocks, ("UpDecoderBlock2D",) * blocks
        vae = AutoencoderKL(**vae, latent_channels=4, down_block_types=down, up_block_types=up)
        unet = UNet2DConditionModel(**unet)
    scheduler = PNDMScheduler(
        **BETAS, skip_prk_steps=True, set_alpha_to_one=False, steps_offset=1, prediction_type=prediction_type
    )
    scheduler.register_to_config(clip_sample=False)
    with quietly():
        pipeline = StableDiffusionPipeline(
            tokenizer=tokenizer, text_encoder=text_encoder, vae=vae, unet=unet, scheduler=scheduler,
            safety_checker=None, feature_extractor=None, requires_safety_checker=False,
        )  # fmt: skip
        pipeline.save_pretrained(folder)
    return folder


def random_xl_pipeline(folder, *, seed=0):
    """The same for SDXL, with its two text encoders and its scheduler's configuration; returns the folder."""
    from diffusers import (
        AutoencoderKL,
        EulerDiscreteScheduler,
        StableDiffusionXLPipeline,
        UNet2DConditionModel,
    )
    from transformers import CLIPTextModel, CLIPTextModelWithProjection

    folder = Path(folder)
    tokenizer = letters_tokenizer(folder)
    blocks = len(SMALL_VAE["block_out_channels"])
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        pipeline = StableDiffusionXLPipeline(
            tokenizer=tokenizer,
            tokenizer_2=tokenizer,
            text_encoder=CLIPTextModel(small_text_config(tokenizer, 24)),
            text_encoder_2=CLIPTextModelWithProjection(small_text_config(tokenizer, 32, projection_dim=16)),
            vae=AutoencoderKL(
                **SMALL_VAE, latent_channels=4, scaling_factor=0.13025,
                down_block_types=("DownEncoderBlock2D",) * blocks, up_block_types=("UpDecoderBlock2D",) * blocks,
            ),
            unet=UNet2DConditionModel(**SMALL_XL),
            scheduler=EulerDiscreteScheduler(**BETAS, timestep_spacing="leading", steps_offset=1),
            add_watermarker=False,
        )  # fmt: skip
    with quietly():
        pipeline.save_pretrained(folder)
    return folder


def letters_tokenizer(folder):
    """A tokenizer whose words are made up of letters, written into the folder."""
    import json

    from transformers import CLIPTokenizer

    (folder / "words").mkdir(parents=True, exist_ok=True)
    letters = [chr(c) for c in range(ord("!"), ord("~") + 1)]
    words = letters + [letter + "</w>" for letter in letters] + ["<|startoftext|>", "<|endoftext|>"]
    (folder / "words/vocab.json").write_text(json.dumps({word: i for i, word in enumerate(words)}))
    (folder / "words/merges.txt").write_text("#version: 0.2\n")
    return CLIPTokenizer(str(folder / "words/vocab.json"), str(folder / "words/merges.txt"), model_max_length=77)


def small_text_config(tokenizer, width, **settings):
    """The configuration of a small text encoder for these tokens."""
    from transformers import CLIPTextConfig

    last = len(tokenizer) - 1
    return CLIPTextConfig(
        vocab_size=len(tokenizer), hidden_size=width, intermediate_size=64, num_hidden_layers=2, num_attention_heads=4,
        max_position_embeddings=77, bos_token_id=last - 1, eos_token_id=last, pad_token_id=last, **settings,
    )  # fmt: skip

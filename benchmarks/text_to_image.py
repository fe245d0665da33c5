"""Seconds per picture, difflab beside diffusers' own pipeline: same weights, steps, precision and threads, in one run.

    python benchmarks/text_to_image.py                     the shipped model
    python benchmarks/text_to_image.py --model random      random weights of the shipped model's shape
    python benchmarks/text_to_image.py --model FOLDER --steps 50 --threads 1

The two take turns, so that whatever else the machine is doing slows both alike; the ratio is the median of the turns'.
"""

import argparse
import logging
import platform
import statistics
import tempfile
import time
import warnings

import torch

import difflab
from difflab.cost import flops, seconds as fastest
from difflab.model import text_computed_once
from difflab.parity import quietly, random_pipeline
from difflab.samplers import dpmpp

PROMPT = "a cat on a sofa at night"
SHIPPED_UNET = dict(
    sample_size=16, block_out_channels=(96, 160), layers_per_block=1, cross_attention_dim=192, attention_head_dim=4,
    down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"), up_block_types=("CrossAttnUpBlock2D",) * 2,
)  # fmt: skip
SHIPPED_VAE = dict(block_out_channels=(16, 48, 96, 128))


def seconds(function):
    """How long one call takes."""
    start = time.perf_counter()
    function()
    return time.perf_counter() - start


def take_turns(functions, repeats):
    """Each function once to warm up, then all in turn ``repeats`` times: a list of times for each."""
    for function in functions:
        function()
    return list(zip(*[[seconds(function) for function in functions] for _ in range(repeats)], strict=True))


def breakdown(model, steps, guidance_scale, repeats):
    """Where one picture's time goes: (part, seconds), measured part by part."""
    x = torch.randn(1, *model.latent_shape, device=model.device)
    sampler = dpmpp(model.schedule, steps)
    text = model.encode_text(["", PROMPT])
    guided = difflab.classifier_free_guidance(model.predict_noise, text[1:], text[:1], guidance_scale)

    def unet():
        with text_computed_once(model.unet):
            for t in sampler.timesteps:
                guided(x, t)

    def plain_unet():
        for t in sampler.timesteps:
            guided(x, t)

    def sampling():
        for _ in difflab.sample(lambda x, t: x, x, sampler):
            pass

    functions = [lambda: (model.encode_text(PROMPT), model.encode_text("")), unet, sampling, lambda: model.decode(x)]
    names = ["text, both prompts", f"U-Net, {steps} calls on 2 latents", "sampler and loop", "decode"]
    with torch.inference_mode():
        times = [min(column) for column in take_turns([*functions, plain_unet], repeats)]
    return [*zip(names, times[:-1], strict=True), ("(U-Net without remembering the text's keys and values)", times[-1])]


def arithmetic(model, steps):
    """The U-Net's floating point operations for one picture, and how many a second a large matrix product does here."""
    x = torch.randn(2, *model.latent_shape, device=model.device, dtype=model.dtype)
    operations = steps * sum(flops(model.unet, x, 0, model.encode_text(["", PROMPT])).values())
    side = 2048
    a = torch.randn(side, side, device=model.device, dtype=model.dtype)
    return operations, 2 * side**3 / fastest(lambda: a @ a)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default="tiny", help="tiny, random, or a pipeline folder")
    parser.add_argument("--steps", type=int, default=20)
    parser.add_argument("--guidance", type=float, default=5.0)
    parser.add_argument("--repeats", type=int, default=9)
    parser.add_argument("--threads", type=int, default=None, help="torch's own choice by default")
    parser.add_argument("--device", default=None)
    parser.add_argument("--dtype", default=None)
    args = parser.parse_args()
    warnings.simplefilter("ignore")
    logging.disable(logging.WARNING)
    if args.threads:
        torch.set_num_threads(args.threads)

    from diffusers import DPMSolverMultistepScheduler, StableDiffusionPipeline

    with tempfile.TemporaryDirectory() as temporary, quietly():
        folder = difflab.weights_folder() if args.model == "tiny" else args.model
        if args.model == "random":
            folder = random_pipeline(temporary, unet=SHIPPED_UNET, vae=SHIPPED_VAE)
        start = time.perf_counter()
        model = difflab.load(folder, device=args.device, dtype=args.dtype)
        loading = time.perf_counter() - start
        pipeline = StableDiffusionPipeline.from_pretrained(str(folder), safety_checker=None, torch_dtype=model.dtype)
    pipeline.to(model.device).set_progress_bar_config(disable=True)
    pipeline.scheduler = DPMSolverMultistepScheduler.from_config(
        {**pipeline.scheduler.config, "timestep_spacing": model.schedule.timestep_spacing}
    )

    def ours():
        return difflab.text_to_image(model, PROMPT, num_inference_steps=args.steps, guidance_scale=args.guidance)

    def theirs():
        return pipeline(PROMPT, num_inference_steps=args.steps, guidance_scale=args.guidance).images

    our_times, their_times = take_turns([ours, theirs], args.repeats)
    ratio = statistics.median(a / b for a, b in zip(our_times, their_times, strict=True))
    best = min(our_times) / min(their_times)
    print(f"{args.model}: {args.steps} steps of DPM-Solver++, guidance {args.guidance:g}, {model.image_size} pixels")
    machine = f"{torch.get_num_threads()} threads, torch {torch.__version__}, {platform.machine()}"
    print(f"{model.device}, {model.dtype}, {machine}\n")
    print(f"{'':34}{'fastest':>10}{'median':>10}")
    for name, times in (("difflab.text_to_image", our_times), ("StableDiffusionPipeline", their_times)):
        print(f"{name:34}{min(times):9.3f}s{statistics.median(times):9.3f}s")
    print(f"{'difflab / diffusers':34}{best:10.2f}{ratio:10.2f}")
    print("\nwhere difflab's time goes (fastest of each part)")
    parts = breakdown(model, args.steps, args.guidance, args.repeats)
    for name, time_taken in [*parts, ("once: loading, with the imports it needs", loading)]:
        print(f"{name:60}{1000 * time_taken:9.1f} ms")
    operations, possible = arithmetic(model, args.steps)
    unet_time = next(time_taken for name, time_taken in parts if name.startswith("U-Net"))
    print("\nhow much of it is arithmetic")
    print(f"{'the U-Net, for one picture':60}{operations / 1e9:9.1f} GFLOP")
    print(f"{'of these, in a second':60}{operations / unet_time / 1e9:9.1f} GFLOP")
    print(f"{'a large matrix product, in a second':60}{possible / 1e9:9.1f} GFLOP")
    print(f"{'so long the arithmetic alone would take at that rate':60}{1000 * operations / possible:9.1f} ms")


if __name__ == "__main__":
    main()

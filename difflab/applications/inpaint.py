"""Inpainting: fill a hole in a picture, and leave the rest. Two openings of the loop do it, and either is enough.

after: `paste_back`. After every step the kept region is put back, noised to the level that x then has (Lugmayr et al.
    2022, 2201.09865, eq. 8, with t - 1 where the paper prints t). It works with any model; the network never learns
    that there is a hole.
see: `see_masked`. The network gets the mask and the masked picture's latent as five more channels (Rombach et al. 2022,
    2112.10752, section 4.5). It has to be trained for that: nine input channels in place of four.

`inpaint` does what the model was made for. `outpaint` is inpainting of a larger canvas. Masks: `difflab.masks`.
"""

from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from difflab import masks
from difflab.applications.request import check_model, pictures_of, request
from difflab.checks import LONGEST, as_whole, check_function, check_tensor
from difflab.condition import see_beside
from difflab.guidance import guide
from difflab.inputs import as_many
from difflab.loop import Step, sample
from difflab.model import LatentDiffusion
from difflab.samplers import Sampler, by_name, dpmpp, randn
from difflab.schedule import NoiseSchedule


def inpaint_to_latents(
    model: LatentDiffusion,
    image,
    mask,
    prompt: str | list[str],
    *,
    strength: float = 1.0,
    num_inference_steps: int = 20,
    guidance_scale: float | Callable[[int], float] = 2.0,
    negative_prompt: str | list[str] = "",
    combine: Callable = guide,
    sampler: str | Callable = "dpm++",
    shrink: Callable[[Tensor, int], Tensor] = masks.touched,
    blend=None,
    seed: int | list[int] = 0,
) -> Iterator[Step]:
    """Pictures with their holes filled, one step at a time: yields a `Step` for each step of the walk,
    which ``model.decode(step.x0)`` shows.

    image, mask, prompt: one or a list of each; a single one serves for all. Mask: 1, True or white is filled in.
    strength: above 0, to 1: the fraction of the steps that are taken. 1 starts the hole from pure noise; less starts
        from the picture with noise on it, and what was in the hole shines through.
    sampler: as for `text_to_image`, or ``repaint(...)``, which goes back and forth.
    shrink: how the mask becomes one for the latent: `masks.touched`, or `masks.nearest`, which is diffusers' way and
        what nine-channel models were trained on; the two differ at the hole's edge, and thin masks need the first.
    blend: a soft mask (`masks.soft_edge`), by which the picture's latent is mixed in after every step. None: what is
        kept is put back with the mask itself, or, with a nine-channel model, not at all.
    The other arguments are those of `text_to_image`. The whole picture comes out of the decoder: `masks.composite` puts
    the kept pixels back exactly.

    Raises ValueError, before any work, for a mask of another size, an empty or a full one, a strength that leaves no
    step, a picture of another size or mode, and anything else that does not fit.
    """
    check_function("shrink", shrink, "(mask, factor) -> mask: masks.touched")
    nine = takes_masks(model)
    pixels = model.as_pixels(image)  # B, 3, H, W
    asked = request(
        model,
        prompt,
        strength=strength,
        num_inference_steps=num_inference_steps,
        guidance_scale=guidance_scale,
        negative_prompt=negative_prompt,
        combine=combine,
        sampler=sampler,
        seed=seed,
        channels=model.unet.config.in_channels,
        pictures=pixels,
        masks=masks.as_mask(mask, pixels.shape[-2:]),
    )
    if not asked.sampler.walk:
        raise ValueError(f"strength={strength!r} of {num_inference_steps} steps leaves none: the hole would stay")
    pixels, hole = asked.given.values()
    soft = blend if blend is None else as_soft(blend, hole, model.vae_scale_factor)  # B, 1, h, w
    small = shrink(hole, model.vae_scale_factor)  # B, 1, h, w
    check_tensor("what shrink returned", small, len(hole), 1, "h", "w")
    small = small.to(model.device)

    clean = model.encode_pixels(pixels)  # B, 4, h, w
    noise = asked.noise(like=clean)
    predict_noise, put_back = model.predict_noise, small if soft is None else soft.to(small)
    if nine:
        masked = model.encode_pixels(pixels * (hole < 0.5))  # B, 4, h, w; the hole is gray
        predict_noise = see_masked(predict_noise, small, masked)
    after = None if nine and soft is None else paste_back(model.schedule, clean, put_back, noise)
    yield from sample(asked.guided(predict_noise), asked.noised(clean, noise), asked.sampler, after=after)


inpaint = pictures_of(
    inpaint_to_latents,
    "inpaint",
    "Pictures with their holes filled: a list of PIL images. The prompt says what the whole picture shows.",
)


def takes_masks(model: LatentDiffusion) -> bool:
    """Whether the U-Net sees a mask beside the latent. Raises ValueError when it sees something else."""
    channels, latent = model.unet.config.in_channels, model.vae.config.latent_channels
    if channels not in (latent, 2 * latent + 1):
        raise ValueError(f"this U-Net has {channels} input channels: filling in needs {latent} or {2 * latent + 1}")
    return channels > latent


def as_soft(blend, hole: Tensor, factor: int) -> Tensor:
    """The soft masks to blend with, one for each hole, at the size of the latent: (B, 1, h, w)."""
    soft = masks.as_weights(blend, hole.shape[-2:])  # B, 1, H, W
    return masks.share(as_many(soft, len(hole), "masks to blend with"), factor)


def paste_back(schedule: NoiseSchedule, clean: Tensor, mask: Tensor, noise: Tensor) -> Callable[[Step], Tensor]:
    """Fills ``after``: x in the hole, and around it the kept latent, with as much noise as x has by now.

    clean: (B, 4, h, w), the picture's latent. mask: (B, 1, h, w), 1 in the hole; in between it blends.
    noise: (B, 4, h, w), N(0, I), the noise of the kept region.
    """
    check_tensor("clean", clean, "B", "C", "h", "w")
    check_tensor("mask", mask, "B", 1, "h", "w")
    check_tensor("noise", noise, "B", "C", "h", "w")

    def after(step):
        kept = clean if step.t_next < 0 else schedule.add_noise(clean, noise, step.t_next)
        return mask * step.x + (1 - mask) * kept

    return after


def see_masked(predict_noise: Callable, mask: Tensor, masked_latent: Tensor) -> Callable:
    """Fills ``see``: predict_noise(x, t, condition) for a U-Net that looks at the mask and the masked picture beside x.

    predict_noise: ``model.predict_noise`` of a nine-channel model. mask: (B, 1, h, w). masked_latent: (B, 4, h, w).
    """
    check_tensor("mask", mask, "B", 1, "h", "w")
    check_tensor("masked_latent", masked_latent, "B", "C", "h", "w")
    return see_beside(predict_noise, torch.cat([mask, masked_latent], dim=1))


def repaint(times: int = 4, jump: int = 1, sampler: str | Callable = "ddpm") -> Callable:
    """A sampler that goes back: every ``jump`` steps are walked ``times`` times, with fresh noise in between.

    RePaint (Lugmayr et al. 2022, 2201.09865, algorithm 1 and section 4.2): what is filled in and what is kept get to
    know each other. To the loop it is a longer walk: ``times`` as many steps, each of them one call of the U-Net.
    sampler: one that keeps no memory of the steps before: "ddpm", "ddim" or "euler".
    """
    make = by_name(sampler)
    if make is dpmpp:
        raise ValueError("dpm++ remembers the step before, and after going back it is the wrong one: use ddpm or ddim")
    says = "a whole number from 1 to 1000"
    times, jump = as_whole("times", times, says, 1, 1000), as_whole("jump", jump, says, 1, 1000)

    def walk(schedule, num_inference_steps, *, generator=None, start=0):
        once = make(schedule, num_inference_steps, generator=generator, start=start)
        below = dict(once.walk)
        stretches = [once.timesteps[i : i + jump] for i in range(0, len(once.timesteps), jump)]
        timesteps = [t for stretch in stretches for t in stretch * times]
        back_and_forth = tuple(zip(timesteps, timesteps[1:] + [-1], strict=True))

        def begin():
            down, levels = once.begin(), iter(back_and_forth)

            def step(x, t, eps):
                _, t_next = next(levels)
                x, x0 = down(x, t, eps)
                if t_next <= below[t]:
                    return x, x0
                ratio = schedule.alpha_bar(t_next) / schedule.alpha_bar(below[t])  # of what is left, how much stays
                return ratio.sqrt() * x + (1 - ratio).sqrt() * randn(x.shape, generator, like=x), x0

            return step

        return Sampler(back_and_forth, begin)

    return walk


@torch.inference_mode()
def outpaint(
    model: LatentDiffusion,
    image,
    prompt: str | list[str],
    *,
    left: int = 0,
    right: int = 0,
    top: int = 0,
    bottom: int = 0,
    overlap: int = 16,
    seed: int | list[int] = 0,
    **settings,
) -> list:
    """Larger pictures, whose new borders continue the given one: a list of PIL images.

    left, right, top, bottom: pixels to add on each side, all in one call; the new sides must be multiples of 16 (of 64
        for Stable Diffusion).
    overlap: this many pixels of the picture's own border are painted anew too, and fade into it, in latent space and in
        pixel space; farther in, every pixel stays as it was. 0 keeps them all, with a hard edge.
    settings: those of `inpaint`.
    """
    check_model(model)
    overlap = as_whole("overlap", overlap, f"a whole number of pixels, 0 to {LONGEST}", 0, LONGEST)
    canvas, new = masks.extend(image, left=left, right=right, top=top, bottom=bottom)
    model.as_pixels(canvas)  # too large, or of another size than a U-Net can halve: said before masks are measured
    hole = masks.grow(new, overlap)
    soft = masks.soft_edge(hole, overlap) if overlap else hole
    return masks.composite(canvas, inpaint(model, canvas, hole, prompt, blend=soft, seed=seed, **settings), soft)

"""Text to image: the loop with nothing but words in it. Rombach et al. 2022 (2112.10752)."""

from collections.abc import Callable, Iterator

from difflab.applications.request import pictures_of, request
from difflab.guidance import guide
from difflab.loop import Step, sample
from difflab.model import LatentDiffusion


def text_to_latents(
    model: LatentDiffusion,
    prompt: str | list[str],
    *,
    num_inference_steps: int = 20,
    guidance_scale: float | Callable[[int], float] = 2.0,
    negative_prompt: str | list[str] = "",
    combine: Callable = guide,
    sampler: str | Callable = "dpm++",
    seed: int | list[int] = 0,
) -> Iterator[Step]:
    """Pictures of what the prompt says, one step at a time: yields a `Step` for each step of the walk,
    which ``model.decode(step.x0)`` shows.

    prompt: one or several. An empty one raises ValueError, unless guidance_scale is 0 and text plays no part.
    num_inference_steps: 1 to 1000, steps of the walk, each of them one call of the U-Net.
    guidance_scale: 0 unconditional, 1 conditional, above 1 stronger; or a function of the timestep (`in_interval`).
    negative_prompt: one, or one for each prompt: what to move away from.
    combine: how the two predictions become one: `guide`, or `rescaled`.
    sampler: "ddpm", "ddim", "dpm++", "euler", or a function of the same form.
    seed: picture i is made from seed + i, or from the i-th seed of a list, whatever batch it is in. A single prompt is
        drawn once for each seed of a list.

    Raises ValueError, before any work, for anything that does not fit.
    """
    asked = request(
        model,
        prompt,
        num_inference_steps=num_inference_steps,
        guidance_scale=guidance_scale,
        negative_prompt=negative_prompt,
        combine=combine,
        sampler=sampler,
        seed=seed,
    )
    yield from sample(asked.guided(), asked.noise(), asked.sampler)


text_to_image = pictures_of(
    text_to_latents,
    "text_to_image",
    "Pictures of what the prompt says: a list of PIL images, one for each prompt.",
)

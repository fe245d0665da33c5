"""Text to image: the loop with only its text opening filled. Rombach et al. 2022 (2112.10752)."""

from difflab.applications.request import pictures_of, request
from difflab.guidance import guide
from difflab.loop import sample


def text_to_latents(
    model,
    prompt,
    *,
    num_inference_steps=20,
    guidance_scale=2.0,
    negative_prompt="",
    combine=guide,
    sampler="dpm++",
    seed=0,
):
    """Pictures of what the prompt says, step by step: yields a `Step` for each step of the loop,
    which ``model.decode(step.x0)`` shows.

    prompt: str or list of str. An empty one raises ValueError, unless guidance_scale is 0 and text plays no part.
    num_inference_steps: 1 to 1000, steps of the loop, each one call of the U-Net.
    guidance_scale: 0 unconditional, 1 conditional, above 1 stronger; or a function of the timestep (`in_interval`).
    negative_prompt: str, or a list with one for each prompt: what to move away from.
    combine: how the two predictions become one: `guide`, or `rescaled`.
    sampler: "ddpm", "ddim", "dpm++", "euler", or a function of their form.
    seed: picture i is made from seed + i, or from the i-th of a list of seeds; the batch it is in makes no difference.
        A single prompt is drawn once for each seed of a list.
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

"""Text to image: the loop with only its text opening filled. Rombach et al. 2022 (2112.10752)."""

from difflab.guidance import classifier_free_guidance, guide
from difflab.loop import sample
from difflab.model import as_prompts, check_said, generators, pictures_of
from difflab.samplers import by_name, randn


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
    """Pictures of what the prompt says, step by step: yields a `Step` for each turn of the loop,
    which ``model.decode(step.x0)`` shows.

    prompt: str or list of str. An empty one raises ValueError, unless guidance_scale is 0 and text plays no part.
    num_inference_steps: 1 to 1000, turns of the loop, each one call of the U-Net.
    guidance_scale: 0 unconditional, 1 conditional, above 1 stronger; or a function of the timestep (`in_interval`).
    negative_prompt: str, or a list with one for each prompt: what to move away from.
    combine: how the two predictions become one: `guide`, or `rescaled`.
    sampler: "ddpm", "ddim", "dpm++", "euler", or a function of their form.
    seed: picture i is made from seed + i, or from the i-th of a list of seeds; the batch it is in makes no difference.
    """
    prompts = as_prompts(prompt)
    negatives = as_prompts(negative_prompt, len(prompts), "negative prompts")
    check_said(prompts, guidance_scale)
    random = generators(seed, len(prompts))
    sampler = by_name(sampler)(model.schedule, num_inference_steps, generator=random)

    x = randn((len(prompts), *model.latent_shape), random).to(model.device)  # B, 4, h, w
    predict_noise = classifier_free_guidance(
        model.predict_noise, model.encode_text(prompts), model.encode_text(negatives), guidance_scale, combine
    )
    yield from sample(predict_noise, x, sampler)


text_to_image = pictures_of(
    text_to_latents,
    "text_to_image",
    "Pictures of what the prompt says: a list of PIL images, one for each prompt.",
)

"""What guidance is composed of against StableDiffusionPipeline: the latents of two prompts."""

from collections.abc import Iterator
from typing import Any

from difflab.applications.text_to_image import text_to_latents
from difflab.guidance import in_interval, rescaled
from difflab.parity.peers import PROMPTS, SEED, drawn, last_x, pipeline_of
from difflab.parity.row import Row, compared
from difflab.parity.weights import Weights

PEER = "StableDiffusionPipeline"
NEGATIVE = "by day"


def compare(weights: Weights, guidance_scale: float = 5.0, num_inference_steps: int = 6) -> Iterator[Row]:
    """With a negative prompt, with guidance rescale, and with guidance for the first half of the steps only.

    For an epsilon model: of another one diffusers rescales what the network says, and we the noise it stands for.
    """
    pipeline = pipeline_of(weights, PEER)
    half = num_inference_steps // 2
    last_guided = weights.model.schedule.timesteps(num_inference_steps, drop_last=True).tolist()[half - 1]
    stopping = dict(
        callback_on_step_end=guided_until(half - 1),
        callback_on_step_end_tensor_inputs=["latents", "prompt_embeds"],
    )
    shared: dict[str, Any] = dict(num_inference_steps=num_inference_steps, guidance_scale=guidance_scale)
    ways: list[tuple[str, dict[str, Any], dict[str, Any]]] = [
        ("negative prompt", {}, {}),
        ("rescaled, 0.7", dict(combine=rescaled(0.7)), dict(guidance_rescale=0.7)),
        ("first half only", dict(guidance_scale=in_interval(guidance_scale, last_guided, 999)), stopping),
    ]
    for what, ours, theirs in ways:
        walk = text_to_latents(weights.model, PROMPTS, negative_prompt=NEGATIVE, seed=SEED, **(shared | ours))
        latents = drawn(pipeline, negative_prompt=[NEGATIVE] * len(PROMPTS), **shared, **theirs)
        yield compared(f"guidance {guidance_scale:g}, {what}, {weights.label}", PEER, last_x(walk), latents)


def guided_until(last: int):
    """diffusers' documented way to stop guiding: after step ``last``, only the prompts' half of the batch is left."""

    def guided_no_more(pipeline, i, t, state):
        if i == last:
            pipeline._guidance_scale = 1.0
            state["prompt_embeds"] = state["prompt_embeds"].chunk(2)[1]
        return state

    return guided_no_more

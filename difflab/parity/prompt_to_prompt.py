"""A word swap against StableDiffusionPipeline with an attention processor that does what the paper's code does."""

from collections.abc import Iterator
from typing import Any

import torch

from difflab.applications.prompt_to_prompt import prompt_to_prompt_to_latents
from difflab.inputs import noise
from difflab.parity.peers import SEED, drawn, last_x, pipeline_of
from difflab.parity.row import Row, compared
from difflab.parity.weights import Weights

PEER = "StableDiffusionPipeline"
PAIR = ["a cat on a sofa", "a dog on a sofa"]


class WordSwap:
    """Of a batch [nothing, nothing, source, target] the last takes the attention of the one before, for the first
    ``cross_steps`` and ``self_steps`` calls."""

    def __init__(self, cross_steps: int, self_steps: int):
        self.calls, self.cross_steps, self.self_steps = 0, cross_steps, self_steps

    def __call__(self, attn, hidden_states, encoder_hidden_states=None, attention_mask=None, temb=None):
        text = hidden_states if encoder_hidden_states is None else encoder_hidden_states
        q, k, v = (attn.head_to_batch_dim(y) for y in (attn.to_q(hidden_states), attn.to_k(text), attn.to_v(text)))
        probs = attn.get_attention_scores(q, k, attention_mask).unflatten(0, (4, attn.heads))
        if self.calls < (self.cross_steps if attn.is_cross_attention else self.self_steps):
            probs = torch.cat([probs[:3], probs[2:3]])
        self.calls += 1
        return attn.to_out[1](attn.to_out[0](attn.batch_to_head_dim(probs.flatten(0, 1) @ v)))


def compare(
    weights: Weights, cross_steps: int = 8, self_steps: int = 4, num_inference_steps: int = 10
) -> Iterator[Row]:
    """The latents of both pictures, which start from the same noise."""
    model, pipeline = weights.model, pipeline_of(weights, PEER, "ddim")
    pipeline.unet.set_attn_processor(
        {name: WordSwap(cross_steps, self_steps) for name in pipeline.unet.attn_processors}
    )
    shared: dict[str, Any] = dict(num_inference_steps=num_inference_steps, guidance_scale=3.0)
    fractions = dict(
        cross_replace_steps=cross_steps / num_inference_steps, self_replace_steps=self_steps / num_inference_steps
    )
    ours = last_x(prompt_to_prompt_to_latents(model, *PAIR, seed=SEED, **fractions, **shared))
    theirs = drawn(pipeline, PAIR, latents=noise((2, *model.latent_shape), [SEED, SEED]), **shared)
    yield compared(f"prompt_to_prompt, word swap, {weights.label}", PEER, ours, theirs)

"""Text to image: the loop and nothing else, and the same picture for the same seed wherever it is made."""

import numpy as np
import pytest
import torch

from difflab import sample, text_to_image, text_to_latents
from difflab.guidance import classifier_free_guidance
from difflab.inputs import noise
from difflab.samplers import dpmpp

PROMPT = "a cat on a sofa at night"


def arrays(images):
    return np.stack([np.asarray(image).astype(int) for image in images])


def test_it_is_the_loop_and_nothing_else(random_model):
    """The book's ten lines, written out."""
    m = random_model
    predict_noise = classifier_free_guidance(m.predict_noise, m.encode_text(PROMPT), m.encode_text(""), 5.0)
    *_, last = sample(predict_noise, noise((1, 4, 8, 8), 3), dpmpp(m.schedule, 6))
    (by_hand,) = m.decode(last.x)
    (ours,) = text_to_image(m, PROMPT, num_inference_steps=6, guidance_scale=5.0, seed=3)
    assert arrays([by_hand]).tolist() == arrays([ours]).tolist()


@pytest.mark.parametrize("sampler", ["ddpm", "ddim", "dpm++", "euler"])
def test_same_seed_same_picture_bit_for_bit(random_model, sampler):
    settings = dict(num_inference_steps=4, sampler=sampler)
    first, again, other = (arrays(text_to_image(random_model, PROMPT, seed=seed, **settings)) for seed in (5, 5, 6))
    assert (first == again).all() and (first != other).any()


def test_the_shipped_model_repeats_itself_and_leaves_the_global_generator_alone(tiny):
    before = torch.get_rng_state()
    a, b = (arrays(text_to_image(tiny, PROMPT, num_inference_steps=5, seed=1)) for _ in range(2))
    assert (a == b).all() and a.shape == (1, 128, 128, 3)
    assert torch.equal(before, torch.get_rng_state())


def test_within_2_of_255_across_thread_counts(tiny, threads):
    pictures_by_threads = []
    for count in (1, 2):
        torch.set_num_threads(count)
        pictures_by_threads.append(arrays(text_to_image(tiny, PROMPT, num_inference_steps=3)))
    assert np.abs(pictures_by_threads[0] - pictures_by_threads[1]).max() <= 2


@pytest.mark.parametrize("sampler", ["ddpm", "dpm++"])
def test_a_batch_of_four_equals_four_singles(random_model, sampler):
    prompts = [PROMPT, "a red car", "a lion", "a dog on the beach"]
    settings = dict(num_inference_steps=4, sampler=sampler)
    together = text_to_image(random_model, prompts, seed=10, **settings)
    alone = [text_to_image(random_model, p, seed=10 + i, **settings)[0] for i, p in enumerate(prompts)]
    assert np.abs(arrays(together) - arrays(alone)).max() <= 2
    chosen = text_to_image(random_model, prompts[:2], seed=[13, 11], **settings)
    by_seed = [text_to_image(random_model, prompts[i], seed=(13, 11)[i], **settings)[0] for i in range(2)]
    assert np.abs(arrays(chosen) - arrays(by_seed)).max() <= 2


def test_the_latents_are_close_too_batched_on_the_shipped_model(tiny):
    prompts = [PROMPT, "a red car"]
    *_, together = text_to_latents(tiny, prompts, num_inference_steps=5, seed=2)
    *_, second = text_to_latents(tiny, prompts[1], num_inference_steps=5, seed=3)
    assert (together.x[1:] - second.x).abs().max() < 1e-3


def test_guidance_0_ignores_the_prompt_and_a_negative_prompt_matters(random_model):
    settings = dict(num_inference_steps=3)
    a, b = (arrays(text_to_image(random_model, p, guidance_scale=0, **settings)) for p in ("a cat", ""))
    assert (a == b).all()
    *_, plain = text_to_latents(random_model, PROMPT, **settings)
    *_, negative = text_to_latents(random_model, PROMPT, negative_prompt="night", **settings)
    *_, listed = text_to_latents(random_model, [PROMPT], negative_prompt=["night"], **settings)
    assert not torch.equal(plain.x, negative.x) and torch.equal(negative.x, listed.x)


def test_the_steps_can_be_watched(random_model):
    steps = list(text_to_latents(random_model, PROMPT, num_inference_steps=3))
    assert [step.t for step in steps] == random_model.schedule.timesteps(3, drop_last=True).tolist()
    assert all(random_model.decode(step.x0)[0].size == (64, 64) for step in steps)


def test_the_model_is_left_as_it_was(random_model):
    before = {name: type(p) for name, p in random_model.unet.attn_processors.items()}
    text_to_image(random_model, PROMPT, num_inference_steps=2)
    assert before == {name: type(p) for name, p in random_model.unet.attn_processors.items()}
    assert not any("forward" in vars(module) for module in random_model.unet.modules())

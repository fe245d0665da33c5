"""SDEdit: the autoencoder's picture at one end, text to image at the other."""

import numpy as np
import pytest
import torch
from hypothesis import given, strategies as st
from PIL import Image

from difflab import sample, sdedit, sdedit_to_latents, text_to_image, text_to_latents, world
from difflab.guidance import classifier_free_guidance
from difflab.inputs import noise
from difflab.samplers import dpmpp, first_step

PROMPT = "a cat on a sofa at night"


def picture(seed=0, size=64):
    return Image.fromarray(np.random.default_rng(seed).integers(0, 256, (size, size, 3), dtype=np.uint8))


def arrays(images):
    return np.stack([np.asarray(image).astype(int) for image in images])


@given(st.integers(1, 1000), st.floats(0, 1))
def test_the_start_step_is_diffusers(n, strength):
    from diffusers import StableDiffusionImg2ImgPipeline

    class Scheduled:
        class scheduler:
            timesteps, order = list(range(n)), 1

    timesteps, count = StableDiffusionImg2ImgPipeline.get_timesteps(Scheduled(), n, strength, "cpu")
    assert timesteps == list(range(n))[first_step(n, strength) :] and count == n - first_step(n, strength)


def test_known_start_steps():
    taken = {(n, s): n - first_step(n, s) for n, s in ((50, 0.8), (50, 0), (50, 1), (20, 0.5), (50, 0.58), (1, 0.9))}
    assert taken == {(50, 0.8): 40, (50, 0): 0, (50, 1): 50, (20, 0.5): 10, (50, 0.58): 28, (1, 0.9): 0}


def test_it_is_the_loop_and_nothing_else(random_model):
    m = random_model
    z0, eps = m.encode_image(picture()), noise((1, 4, 8, 8), 3)
    sampler = dpmpp(m.schedule, 10, start=4)
    abar = m.schedule.alphas_cumprod[sampler.timesteps[0]]
    predict_noise = classifier_free_guidance(m.predict_noise, m.encode_text(PROMPT), m.encode_text(""), 5.0)
    *_, last = sample(predict_noise, abar.sqrt() * z0 + (1 - abar).sqrt() * eps, sampler)
    settings = dict(strength=0.6, num_inference_steps=10, guidance_scale=5.0, seed=3)
    steps = list(sdedit_to_latents(m, picture(), PROMPT, **settings))
    assert len(steps) == 6 and torch.equal(last.x, steps[-1].x)
    assert (arrays(m.decode(last.x)) == arrays(sdedit(m, picture(), PROMPT, **settings))).all()


@pytest.mark.parametrize("strength", [0, 0.0, 0.04])
def test_strength_0_is_the_autoencoders_picture(random_model, strength):
    wanted = random_model.decode(random_model.encode_image([picture(), picture()]))
    drawn = sdedit(random_model, picture(), [PROMPT, "a red car"], strength=strength)
    assert (arrays(drawn) == arrays(wanted)).all()
    (only,) = sdedit_to_latents(random_model, picture(), PROMPT, strength=strength)
    assert only.t == only.t_next == -1 and torch.equal(only.x, random_model.encode_image(picture()))


@pytest.mark.parametrize("sampler", ["ddpm", "ddim", "dpm++", "euler"])
def test_strength_1_is_text_to_image(random_model, sampler):
    settings = dict(num_inference_steps=4, sampler=sampler, seed=5)
    (ours,) = sdedit(random_model, picture(), PROMPT, strength=1, **settings)
    assert (arrays([ours]) == arrays(text_to_image(random_model, PROMPT, **settings))).all()
    *_, last = text_to_latents(random_model, PROMPT, **settings)
    for given_picture in (picture(), Image.new("RGB", (64, 64))):
        *_, step = sdedit_to_latents(random_model, given_picture, PROMPT, strength=1.0, **settings)
        assert torch.equal(step.x, last.x), "nothing of the picture may leak in"


def test_the_shipped_model_keeps_more_at_less_strength(tiny):
    scenes = [world.sample(3, i) for i in range(4)]
    before = [scene.picture for scene in scenes]
    settings = dict(num_inference_steps=10, seed=0)
    errors = []
    for strength in (0, 0.3, 0.7, 1):
        after = sdedit(tiny, before, [scene.caption for scene in scenes[::-1]], strength=strength, **settings)
        errors.append(((arrays(after) - arrays(before)) ** 2).mean())
    assert errors == sorted(errors)


def test_a_batch_equals_singles_and_one_of_either_is_repeated(random_model):
    pictures, prompts, settings = [picture(1), picture(2)], [PROMPT, "a red car"], dict(num_inference_steps=5, seed=7)
    both = arrays(sdedit(random_model, pictures, prompts, **settings))
    single = [sdedit(random_model, pictures[i], prompts[i], **{**settings, "seed": 7 + i})[0] for i in range(2)]
    assert np.abs(both - arrays(single)).max() <= 2
    one_picture = arrays(sdedit(random_model, pictures[0], prompts, **settings))
    one_prompt = arrays(sdedit(random_model, pictures, PROMPT, **settings))
    seeds_only = arrays(sdedit(random_model, pictures[0], PROMPT, **{**settings, "seed": [7, 7]}))
    assert np.abs(one_picture[0] - both[0]).max() <= 2 and np.abs(one_prompt[0] - both[0]).max() <= 2
    assert (seeds_only[0] == seeds_only[1]).all() and np.abs(seeds_only[0] - both[0]).max() <= 2


def test_a_picture_need_not_be_a_square(random_model):
    wide = Image.new("RGB", (96, 64), "orange")
    for strength in (0, 0.5, 1):
        (drawn,) = sdedit(random_model, wide, PROMPT, strength=strength, num_inference_steps=4)
        assert drawn.size == (96, 64)


def test_seeds_negative_prompts_and_guidance_count(random_model):
    plain, *others = (
        arrays(sdedit(random_model, picture(), PROMPT, num_inference_steps=5, **chosen))
        for chosen in ({}, {}, dict(seed=1), dict(negative_prompt="night"), dict(guidance_scale=6.0))
    )
    assert (plain == others[0]).all() and all((plain != other).any() for other in others[1:])
    empty = sdedit(random_model, picture(), "", guidance_scale=0, num_inference_steps=5)
    assert (
        arrays(empty) == arrays(sdedit(random_model, picture(), PROMPT, guidance_scale=0, num_inference_steps=5))
    ).all()


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_on_cuda(random_folder):
    from difflab import load

    model = load(random_folder, device="cuda")
    for strength in (0, 0.5, 1):
        assert sdedit(model, picture(), PROMPT, strength=strength, num_inference_steps=4)[0].size == (64, 64)

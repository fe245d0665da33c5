"""DDIM inversion: there and back again where that is exact, and the right order."""

import numpy as np
import torch

import difflab
from difflab import invert, sample, world
from difflab.applications.invert import ddim_inversion
from difflab.guidance import classifier_free_guidance
from difflab.inputs import noise
from difflab.samplers import ddim
from difflab.schedule import NoiseSchedule

SCHEDULE = NoiseSchedule.scaled_linear()


def test_there_and_back_is_exact_where_the_noise_does_not_depend_on_x():
    x0, grain = noise((2, 4, 8, 8), seed=0), noise((2, 4, 8, 8), seed=5)
    path = list(sample(lambda x, t: grain, x0, ddim_inversion(SCHEDULE, 10)))
    assert [step.t_next for step in path] == SCHEDULE.timesteps(10).flip(0).tolist()  # where x is, step for step
    assert all(torch.allclose(step.x, SCHEDULE.add_noise(x0, grain, step.t_next), atol=1e-4) for step in path)
    *_, last = sample(lambda x, t: grain, path[-1].x, ddim(SCHEDULE, 10))
    assert torch.allclose(last.x, x0, atol=1e-3)


def test_more_steps_come_back_nearer():
    def network(x, t):
        return (1 - SCHEDULE.alpha_bar(t)).sqrt() * x + 0.1 * torch.sin(3 * x)

    def off(steps):
        x0 = noise((1, 4, 8, 8), seed=0)
        *_, found = sample(network, x0, ddim_inversion(SCHEDULE, steps))
        *_, last = sample(network, found.x, ddim(SCHEDULE, steps))
        return (last.x - x0).abs().max().item()

    assert off(100) < off(20) / 2


def test_the_path_is_in_the_order_of_drawing(tiny):
    scene = world.sample(900_000_003, 1)
    path = invert(tiny, scene.picture, scene.caption, num_inference_steps=5)
    assert path.shape == (6, 1, 4, 16, 16)
    assert torch.equal(path[-1], tiny.encode_image(scene.picture))
    assert not path.is_inference()  # null-text optimization differentiates on it


def test_guidance_leads_astray(tiny):
    scene = world.sample(900_000_003, 1)
    path = invert(tiny, scene.picture, scene.caption, num_inference_steps=10)
    text, nothing = tiny.encode_text(scene.caption), tiny.encode_text("")

    def off(scale):
        guided = classifier_free_guidance(tiny.predict_noise, text, nothing, scale)
        with torch.inference_mode():
            *_, last = sample(guided, path[0], ddim(tiny.schedule, 10))
        return (last.x - path[-1]).square().mean().item()

    assert off(1.0) < off(7.5) / 4


def test_a_batch_is_each_by_itself(random_model):
    pictures = random_model.decode(noise((2, *random_model.latent_shape), seed=0))
    both = invert(random_model, pictures, ["a cat", "a dog"], num_inference_steps=3)
    alone = invert(random_model, np.asarray(pictures[1]), "a dog", num_inference_steps=3)
    assert torch.allclose(both[:, 1:], alone, atol=1e-4)
    repeated = invert(random_model, pictures[1], ["a cat", "a dog"], num_inference_steps=3)
    assert torch.allclose(repeated[:, 1:], alone, atol=1e-4)


def test_guidance_can_be_asked_for(random_model):
    picture = random_model.decode(noise((1, *random_model.latent_shape), seed=0))[0]
    plain, guided = (invert(random_model, picture, "a cat", num_inference_steps=3, guidance_scale=w) for w in (1, 5))
    assert not torch.allclose(plain[0], guided[0])
    nothing = invert(random_model, picture, "", num_inference_steps=3, guidance_scale=0)
    assert torch.allclose(nothing, invert(random_model, picture, "a cat", num_inference_steps=3, guidance_scale=0))


def test_it_is_exported():
    assert difflab.invert is invert and callable(difflab.prompt_to_prompt)

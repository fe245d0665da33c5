"""Classifier-free guidance: one convention, one call, nothing wasted."""

import pytest
import torch
from hypothesis import given, strategies as st

from difflab import classifier_free_guidance, dpmpp, guide, noise, sample, text_to_latents
from difflab.guidance import in_interval, rescale, rescaled
from difflab.parity import pipeline_of
from difflab.parity.weights import in_folder

TEXT, NEGATIVE = noise((2, 5, 8), 1), noise((2, 5, 8), 11)


def predict(x, t, embedding):
    """A network that depends on all it is given."""
    return torch.tanh(x) + 0.001 * t + embedding.mean(dim=(1, 2))[:, None, None, None]


@given(scale=st.floats(-20, 20), seed=st.integers(0, 99))
def test_the_equation(scale, seed):
    x = noise((2, 3, 4, 4), seed)
    uncond, cond = predict(x, 7, NEGATIVE), predict(x, 7, TEXT)
    guided = classifier_free_guidance(predict, TEXT, NEGATIVE, scale)(x, 7)
    assert torch.allclose(guided, uncond + scale * (cond - uncond), atol=1e-5)


def test_0_is_unconditional_and_1_is_conditional_exactly():
    x = noise((2, 3, 4, 4), 0)
    assert torch.equal(classifier_free_guidance(predict, TEXT, NEGATIVE, 0)(x, 7), predict(x, 7, NEGATIVE))
    assert torch.equal(classifier_free_guidance(predict, TEXT, NEGATIVE, 1.0)(x, 7), predict(x, 7, TEXT))


def test_more_is_further_from_the_unconditional_in_the_direction_of_the_text():
    """The sign: reversed, as it has been in print, this moves away from the text."""
    assert guide(torch.tensor(1.0), torch.tensor(2.0), 3.0) == 4.0


@pytest.mark.parametrize("scale, calls", [(0, [2]), (1, [2]), (5.0, [4])])
def test_one_call_and_no_more_pictures_than_needed(scale, calls):
    batches = []

    def counting(x, t, embedding):
        assert len(x) == len(embedding)
        batches.append(len(x))
        return predict(x, t, embedding)

    assert classifier_free_guidance(counting, TEXT, NEGATIVE, scale)(noise((2, 3, 4, 4), 0), 7).shape == (2, 3, 4, 4)
    assert batches == calls


@pytest.mark.parametrize("scale", [float("nan"), float("inf"), "5", None])
def test_bad_scale(scale):
    with pytest.raises(ValueError, match="guidance_scale"):
        classifier_free_guidance(predict, TEXT, NEGATIVE, scale)


@pytest.mark.parametrize("phi", [0.0, 0.7, 1.0])
def test_rescale_is_diffusers(phi):
    from diffusers.pipelines.stable_diffusion.pipeline_stable_diffusion import rescale_noise_cfg

    eps, cond = 3 * noise((4, 4, 8, 8), 0), noise((4, 4, 8, 8), 20)
    assert torch.allclose(rescale(eps, cond, phi), rescale_noise_cfg(eps, cond, guidance_rescale=phi), atol=1e-6)


def test_rescaling_is_done_for_every_picture_by_itself():
    eps, cond = noise((3, 4, 8, 8), 0) * torch.tensor([1.0, 5.0, 20.0])[:, None, None, None], noise((3, 4, 8, 8), 9)
    together = rescale(eps, cond, 1.0)
    assert torch.allclose(together, torch.cat([rescale(eps[i : i + 1], cond[i : i + 1], 1.0) for i in range(3)]))
    assert torch.allclose(together.std((1, 2, 3)), cond.std((1, 2, 3)), atol=1e-5)
    direction = torch.cosine_similarity(together.flatten(1), eps.flatten(1))
    assert torch.allclose(direction, torch.ones(3), atol=1e-5)  # only the length changes


@given(scale=st.floats(1.5, 20), phi=st.floats(0, 1))
def test_another_combine_takes_guides_place(scale, phi):
    x = noise((2, 3, 4, 4), 0)
    guided = classifier_free_guidance(predict, TEXT, NEGATIVE, scale, rescaled(phi))(x, 7)
    uncond, cond = predict(x, 7, NEGATIVE), predict(x, 7, TEXT)
    assert torch.allclose(guided, rescale(guide(uncond, cond, scale), cond, phi), atol=1e-5)


def test_in_an_interval_only_the_steps_inside_ask_twice():
    batches = []

    def counting(x, t, embedding):
        batches.append(len(x))
        return predict(x, t, embedding)

    x = noise((2, 3, 4, 4), 0)
    limited = classifier_free_guidance(counting, TEXT, NEGATIVE, in_interval(6.0, 200, 700))
    always = classifier_free_guidance(predict, TEXT, NEGATIVE, 6.0)
    for t in (999, 701, 700, torch.tensor(450), 200, 199, 0):
        expected = always(x, t) if 200 <= t <= 700 else predict(x, t, TEXT)
        assert torch.equal(limited(x, t), expected)
    assert batches == [2, 2, 4, 4, 4, 2, 2]


def test_the_whole_interval_is_plain_guidance(random_model):
    settings = dict(num_inference_steps=3, seed=4)
    *_, plain = text_to_latents(random_model, "a cat", guidance_scale=6.0, **settings)
    *_, whole = text_to_latents(random_model, "a cat", guidance_scale=in_interval(6.0, 0, 999), **settings)
    *_, part = text_to_latents(random_model, "a cat", guidance_scale=in_interval(6.0, 0, 400), **settings)
    assert torch.equal(plain.x, whole.x) and not torch.equal(plain.x, part.x)


def test_rescaling_v_is_what_diffusers_does_for_a_model_that_predicts_v(v_folder):
    """v = (eps - sqrt(1 - abar) x) / sqrt(abar): guided in v with the same functions, then turned back."""
    weights = in_folder("v", v_folder)
    model = weights.model

    def roots(x, t):
        abar = model.schedule.alpha_bar(t, like=x)
        return abar.sqrt(), (1 - abar).sqrt()

    def predict_v(x, t, text):
        a, s = roots(x, t)
        return (model.predict_noise(x, t, text) - s * x) / a

    def predict_noise(x, t):
        a, s = roots(x, t)
        return a * guided_v(x, t) + s * x

    guided_v = classifier_free_guidance(
        predict_v, model.encode_text("a cat"), model.encode_text(""), 7.5, rescaled(0.7)
    )
    x = noise((1, *model.latent_shape), 3)
    *_, last = sample(predict_noise, x, dpmpp(model.schedule, 6))
    settings = dict(num_inference_steps=6, guidance_scale=7.5, guidance_rescale=0.7, output_type="latent")
    theirs = pipeline_of(weights)("a cat", latents=x, **settings).images
    assert (last.x - theirs).abs().max() < 1e-4


def test_bad_settings_of_the_remedies():
    with pytest.raises(ValueError, match="t_low=700 is above t_high=200"):
        in_interval(5.0, 700, 200)
    with pytest.raises(ValueError, match="guidance_scale=nan"):
        in_interval(float("nan"), 0, 999)
    for phi in (-0.1, 1.5, "0.7", None, float("nan")):
        with pytest.raises(ValueError, match="phi="):
            rescaled(phi)
    with pytest.raises(ValueError, match="guidance_scale=None"):
        classifier_free_guidance(predict, TEXT, NEGATIVE, lambda t: None)(noise((2, 3, 4, 4), 0), 7)

"""Classifier-free guidance: one convention, one call, nothing wasted."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from difflab import classifier_free_guidance, guide, noise

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

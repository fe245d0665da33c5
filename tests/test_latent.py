"""Latents: previews, arcs, and what a network costs."""

import time

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, strategies as st

from difflab import cost, latent, world


def random(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def test_channels_as_pictures():
    z = torch.tensor([-9.0, -3.0, 0.0, 3.0]).reshape(1, 4, 1, 1).expand(2, 4, 5, 6)
    pictures = latent.channels_as_pictures(z)
    assert len(pictures) == 8 and all(p.shape == (5, 6) and p.dtype == np.uint8 for p in pictures)
    assert [int(p[0, 0]) for p in pictures[:4]] == [0, 0, 128, 255]


def test_a_linear_picture_is_previewed_exactly():
    z, weights = random(2, 4, 6, 6), random(5, 3, seed=1)
    colors = latent.preview(z, weights)  # 2,3,6,6
    pictures = F.interpolate(colors, scale_factor=8)
    assert torch.allclose(latent.fit_preview(z, pictures), weights, atol=1e-4)


def test_preview_of_unseen_scenes_is_near_their_thumbnails(tiny):
    def scenes(seed):
        pictures = [sample.picture for sample in world.samples(12, seed=seed)]
        return tiny.encode_image(pictures), tiny.as_pixels(pictures)

    (known, pictures), (z, unseen) = scenes(1), scenes(2)
    small = F.avg_pool2d(unseen, 8)
    error = latent.preview(z, latent.fit_preview(known, pictures)) - small
    assert error.var() < 0.5 * small.var()


@given(st.integers(0, 99), st.floats(0, 1))
def test_slerp_keeps_the_length(seed, weight):
    a, b = F.normalize(random(2, 2, 16, seed=seed), dim=-1)
    between = latent.slerp(a, b, weight)
    assert torch.allclose(between.norm(dim=-1), torch.ones(2), atol=1e-5)
    whole = torch.acos((a * b).sum(-1).clamp(-1, 1))
    assert torch.allclose(torch.acos((a * between).sum(-1).clamp(-1, 1)), weight * whole, atol=2e-3)


def test_slerp_ends_where_it_should_and_treats_each_picture_alone():
    a, b = random(2, 3, 4, 8, 8)
    assert torch.allclose(latent.slerp(a, b, 0.0), a, atol=1e-6)
    assert torch.allclose(latent.slerp(a, b, 1.0), b, atol=1e-6)
    assert torch.allclose(latent.slerp(a, b, 0.3)[:1], latent.slerp(a[:1], b[:1], 0.3))
    assert torch.allclose(latent.slerp(a, a, 0.5), a, atol=1e-6), "no arc: it must not divide by zero"


def test_slerp_says_what_is_wrong():
    a = random(1, 4, 8, 8)
    with pytest.raises(ValueError, match="one shape"):
        latent.slerp(a, a[..., :4], 0.5)
    with pytest.raises(ValueError, match="opposite"):
        latent.slerp(a, -a, 0.5)


def test_flops_by_hand():
    convolution = torch.nn.Conv2d(3, 8, 3, padding=1)
    assert cost.flops(convolution, torch.zeros(2, 3, 16, 16))["convolution"] == 2 * 2 * 8 * 16 * 16 * 3 * 9
    half = cost.flops(torch.nn.Conv2d(3, 8, 3, padding=1).half(), torch.zeros(2, 3, 16, 16))
    assert half == cost.flops(convolution, torch.zeros(2, 3, 16, 16)), "precision plays no part"
    linear = cost.flops(torch.nn.Linear(5, 7), torch.zeros(4, 5))
    assert linear == {"convolution": 0, "linear": 2 * 4 * 5 * 7, "self-attention": 0, "cross-attention": 0}


def test_flops_of_a_unet_grow_as_they_should(random_model):
    unet = random_model.unet
    text = torch.zeros(1, 77, unet.config.cross_attention_dim)
    small, large = (cost.flops(unet, torch.zeros(1, 4, side, side), 0, text) for side in (16, 32))
    assert large["convolution"] == 4 * small["convolution"]
    assert large["cross-attention"] == 4 * small["cross-attention"] > 0
    assert large["self-attention"] == 16 * small["self-attention"] > 0, "every position looks at every other"
    assert all(p.device.type == "cpu" for p in unet.parameters()), "the module itself must stay where it is"


def test_seconds_is_the_shortest_run():
    waits = iter([0.03, 0.0, 0.03])
    assert cost.seconds(lambda: time.sleep(next(waits)), repeats=3) < 0.02
    with pytest.raises(ValueError, match="repeats=0"):
        cost.seconds(lambda: None, repeats=0)

"""What the network sees: conditions of every kind in one batch, and models that look through something."""

import pytest
import torch
from hypothesis import given, strategies as st
from PIL import Image

import difflab
from difflab import (
    inpaint_to_latents,
    instruct_pix2pix_to_latents,
    load,
    masks,
    parity,
    sample,
    sdedit_to_latents,
    text_to_latents,
)
from difflab.applications.inpaint import see_masked
from difflab.applications.instruct_pix2pix import as_seen, see_picture
from difflab.applications.request import pictures_of, request
from difflab.condition import fill, join, size
from difflab.guidance import classifier_free_guidance

FEW = dict(num_inference_steps=3, seed=5)


def last_x(steps):
    *_, last = steps
    return last.x


def picture(side=64, color="teal"):
    image = Image.new("RGB", (side, side), color)
    image.paste("orange", (side // 8, side // 4, side // 2, side - 5))
    return image


# Conditions


def tensors(rows, seed):
    return torch.randn(rows, 3, 2, generator=torch.Generator().manual_seed(seed))


KINDS = {
    "tensor": tensors,
    "tuple": lambda rows, seed: (tensors(rows, seed), tensors(rows, seed + 1)[:, 0]),
    "dict": lambda rows, seed: {"tokens": tensors(rows, seed), "pooled": tensors(rows, seed + 1)[:, 0]},
}


def parts(condition):
    if isinstance(condition, torch.Tensor):
        return [condition]
    return list(condition.values() if isinstance(condition, dict) else condition)


@given(st.sampled_from(sorted(KINDS)), st.integers(1, 3), st.integers(1, 3), st.integers(1, 3))
def test_conditions_join_and_fill_whatever_is_in_them(kind, first, second, times):
    a, b = KINDS[kind](first, 0), KINDS[kind](second, 7)
    joined = join(a, b)
    assert type(joined) is type(a) and size(joined) == first + second
    for whole, one, other in zip(parts(joined), parts(a), parts(b), strict=True):
        assert torch.equal(whole, torch.cat([one, other]))
    for whole, one in zip(parts(fill(a, first * times)), parts(a), strict=True):
        assert torch.equal(whole, torch.cat([one] * times))


def test_conditions_that_do_not_go_together():
    with pytest.raises(ValueError, match="different kinds.*Tensor, tuple"):
        join(KINDS["tensor"](1, 0), KINDS["tuple"](1, 0))
    with pytest.raises(ValueError, match="need the same parts"):
        join(KINDS["dict"](1, 0), {"tokens": tensors(1, 0)})
    with pytest.raises(ValueError, match="for 2 pictures cannot fill a batch of 3"):
        fill(KINDS["dict"](2, 0), 3)


@pytest.mark.parametrize("kind", sorted(KINDS))
def test_guidance_knows_nothing_of_what_is_in_a_condition(kind):
    text, negative = KINDS[kind](2, 0), KINDS[kind](2, 7)

    def network(x, t, condition):
        return x * 0.5 + sum(part.flatten(1).mean(1) for part in parts(condition)).reshape(-1, 1, 1, 1)

    x = torch.randn(2, 4, 2, 2, generator=torch.Generator().manual_seed(0))
    guided = classifier_free_guidance(network, text, negative, 3.0)(x, 10)
    by_hand = network(x, 10, negative) + 3.0 * (network(x, 10, text) - network(x, 10, negative))
    assert torch.allclose(guided, by_hand, atol=1e-6)


# SDXL, whose condition is a dict


@pytest.fixture(scope="module")
def xl(tmp_path_factory):
    """A small random SDXL: a pipeline folder."""
    return parity.random_xl_pipeline(tmp_path_factory.mktemp("xl"))


def test_every_application_takes_a_model_with_two_text_encoders(xl):
    model = load(xl, device="cpu")
    hole = Image.new("L", (64, 64))
    hole.paste(255, (8, 8, 40, 40))
    assert last_x(sdedit_to_latents(model, picture(), "a cat", **FEW)).shape == (1, 4, 8, 8)
    assert last_x(inpaint_to_latents(model, picture(), hole, "a cat", **FEW)).shape == (1, 4, 8, 8)
    path = difflab.invert(model, picture(), "a cat", num_inference_steps=3)
    pair = difflab.prompt_to_prompt_to_latents(model, "a cat", "a dog", inverted=path, num_inference_steps=3)
    assert torch.equal(last_x(pair)[:1], path[-1])


def test_an_empty_prompt_is_silence_for_two_towers(xl):
    model = load(xl, device="cpu")
    condition = model.encode_text(["", "a cat"])
    assert not condition["tokens"][0].any() and not condition["pooled"][0].any() and condition["tokens"][1].any()
    assert condition["sizes"].tolist() == [[64, 64, 0, 0, 64, 64]] * 2


# Models that see more


def test_a_masked_model_goes_into_an_application_that_knows_no_masks(tiny):
    """`inpaint` by hand is text_to_image on a model that sees the mask; and SDEdit takes the same model."""
    nine, side = load("tiny-inpaint", device="cpu"), tiny.image_size
    image, hole = picture(side), Image.new("L", (side, side))
    hole.paste(255, (16, 16, 80, 96))
    mask = masks.touched(masks.as_mask(hole, (side, side)), nine.vae_scale_factor)
    kept = nine.encode_pixels(nine.as_pixels(image) * (masks.as_mask(hole, (side, side)) < 0.5))
    painter = nine.seeing(see_masked, mask, kept)
    wanted = last_x(inpaint_to_latents(nine, image, hole, "a cat on the beach", **FEW))
    assert torch.equal(last_x(text_to_latents(painter, "a cat on the beach", **FEW)), wanted)
    edited = last_x(sdedit_to_latents(painter, image, "a cat on the beach", strength=1.0, **FEW))
    assert torch.equal(edited, wanted)
    with pytest.raises(ValueError, match="sees 9 channels and was given 4"):
        last_x(text_to_latents(nine, "a cat", **FEW))  # the model itself has not changed


def test_a_model_that_sees_a_picture_is_pix2pix_at_an_image_scale_of_1():
    eight = load("tiny-pix2pix", device="cpu")
    image = picture(eight.image_size)
    seen = as_seen(eight, eight.as_pixels(image))
    ours = last_x(text_to_latents(eight.seeing(see_picture, seen), "make it night", guidance_scale=3.0, **FEW))
    settings = dict(guidance_scale=3.0, image_guidance_scale=1.0)
    theirs = last_x(instruct_pix2pix_to_latents(eight, image, "make it night", **settings, **FEW))
    assert torch.allclose(ours, theirs, atol=1e-4)


def test_looking_through_two_things_at_once(random_model):
    """The outer one is asked first; neither knows of the other, and arguments for the U-Net go through both."""
    asked = []

    def noting(predict_noise, name):
        def predict(x, t, condition, **more):
            asked.append((name, sorted(more)))
            return predict_noise(x, t, condition, **more)

        return predict

    both = random_model.seeing(noting, "inner").seeing(noting, "outer")
    plain = last_x(text_to_latents(random_model, "a cat", **FEW))
    assert torch.equal(last_x(text_to_latents(both, "a cat", **FEW)), plain)
    assert asked == [("outer", []), ("inner", [])] * 3
    residual = torch.zeros(1, random_model.unet.config.block_out_channels[-1], 4, 4)
    text = random_model.encode_text("a")
    both.predict_noise(torch.zeros(1, 4, 8, 8), 5, text, mid_block_additional_residual=residual)
    assert asked[-2:] == [(name, ["mid_block_additional_residual"]) for name in ("outer", "inner")]


# An application of one's own: its openings and nothing else


def tiled_to_latents(model, prompt, *, num_inference_steps=20, guidance_scale=2.0, seed=0):
    """Pictures that tile: yields a `Step` for each step of the loop.

    prompt: as for text_to_image.
    """
    steps = dict(num_inference_steps=num_inference_steps)
    asked = request(model, prompt, guidance_scale=guidance_scale, seed=seed, **steps)

    def seen_elsewhere(x, t):  # x rolled by a random distance, and back
        shift = t % x.shape[-1]
        return guided(x.roll(shift, -1), t).roll(-shift, -1)

    guided = asked.guided()
    yield from sample(seen_elsewhere, asked.noise(), asked.sampler)


tiled = pictures_of(tiled_to_latents, "tiled", "Pictures that tile: a list of PIL images.")


def test_an_application_of_ones_own_is_its_openings(random_model):
    steps = []
    pictures = tiled(random_model, ["a cat", "a dog"], progress=steps.append, **FEW)
    assert len(pictures) == 2 and [step.t for step in steps] == random_model.schedule.timesteps(3, True).tolist()
    assert tiled.__doc__.startswith("Pictures that tile: a list") and "as for text_to_image" in tiled.__doc__
    with pytest.raises(ValueError, match="seed=-1"):
        tiled(random_model, "a cat", seed=-1)
    fainter = random_model.seeing(lambda predict_noise: lambda x, t, condition: 0.9 * predict_noise(x, t, condition))
    ends = [last_x(tiled_to_latents(model, "a cat", **FEW)) for model in (random_model, fainter)]
    assert not torch.equal(*ends)

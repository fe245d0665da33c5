"""Attention: nothing left behind in the network, and changes that do what they say."""

import numpy as np
import pytest
import torch

from difflab import text_to_image, text_to_latents
from difflab.attention import edit, heat_map, record, silence, swap, token_positions
from difflab.inputs import noise
from difflab.model import text_computed_once

PROMPT = "a cat on a sofa at night"


def unchanged(probs, site):
    return probs


def ask(model, prompts=(PROMPT,), t=500):
    """One question to the network: its answer (B, 4, h, w)."""
    x = noise((len(prompts), *model.latent_shape), seed=0)
    return model.predict_noise(x, t, model.encode_text(list(prompts)))


def processors(model):
    return list(model.unet.attn_processors.values())


def test_changes_get_probabilities_and_where_they_are(random_model):
    seen = []

    def look(probs, site):
        assert probs.dtype == torch.float32 and probs.shape[0] == 2
        assert torch.allclose(probs.sum(-1), torch.ones(()), atol=1e-5)
        seen.append((site, tuple(probs.shape)))
        return probs

    with edit(random_model.unet, look, kind="both", pictures=2):
        ask(random_model, ["a cat", "a dog"])
        ask(random_model, ["a cat", "a dog"])
    names = {name for name, layer in random_model.unet.named_modules() if hasattr(layer, "set_processor")}
    assert {site.layer for site, _ in seen} == names and {site.t for site, _ in seen} == {500}
    assert len(seen) == 2 * len(names)
    for site, (_, heads, positions, tokens) in seen:
        assert heads == 4 and positions == site.positions and site.kind in ("cross", "self")
        assert tokens == (77 if site.kind == "cross" else positions)


@pytest.mark.parametrize("kind", ["cross", "self", "both"])
def test_what_was_there_comes_back(random_model, kind):
    before = processors(random_model)
    with edit(random_model.unet, unchanged, kind=kind):
        now = processors(random_model)
        assert any(a is not b for a, b in zip(before, now, strict=True))
        with edit(random_model.unet, unchanged), record(random_model.unet, kind="self"):
            ask(random_model)
        assert all(a is b for a, b in zip(now, processors(random_model), strict=True))
    assert all(a is b for a, b in zip(before, processors(random_model), strict=True))


def test_it_comes_back_after_an_error_too(random_model):
    before = processors(random_model)

    def broken(probs, site):
        raise RuntimeError("broken")

    with pytest.raises(RuntimeError, match="broken"), edit(random_model.unet, unchanged):
        with edit(random_model.unet, broken):
            ask(random_model)
    with pytest.raises(ValueError, match="binds to no layer"), edit(random_model.unet, unchanged):
        with edit(random_model.unet, unchanged, layers="CrossAttention"):
            pass
    assert all(a is b for a, b in zip(before, processors(random_model), strict=True))


def test_the_outer_edit_comes_first(random_model):
    with record(random_model.unet) as before, edit(random_model.unet, silence([2])), record(random_model.unet) as after:
        ask(random_model)
    for layer in before:
        assert before[layer][0][..., 2].min() > 0 and after[layer][0][..., 2].max() == 0


def test_an_edit_that_binds_to_nothing_says_what_there_is(random_model):
    for wrong in (dict(layers="CrossAttention"), dict(layers="attn2", kind="self")):
        with pytest.raises(ValueError, match=r"binds to no layer.*attn2 \(cross\)"):
            with edit(random_model.unet, unchanged, **wrong):
                pytest.fail("it bound to something")
    with pytest.raises(ValueError, match="no attention at all"), record(torch.nn.Linear(1, 1)):
        pass


@pytest.mark.parametrize(
    "wrong, says",
    [
        (dict(kind="crossed"), "choose one of cross, self, both"),
        (dict(pictures=0), "from 1 up"),
        (dict(pictures=3), "batch of 1.*pictures"),
        (dict(change=lambda probs, site: None), "returned NoneType"),
        (dict(change=lambda probs, site: probs[:, :1]), r"returned \(1, 1, .*must return"),
        (dict(change=silence([77])), "77 tokens"),
        (dict(change=silence([])), "some, but not all"),
        (dict(change=silence(range(77))), "some, but not all"),
        (dict(change=swap([2], [100])), "77 tokens"),
    ],
)
def test_wrong_edits_are_told(random_model, wrong, says):
    with pytest.raises(ValueError, match=says), edit(random_model.unet, **{"change": unchanged, **wrong}):
        ask(random_model)


def test_a_processor_that_does_more_is_not_overwritten(random_model):
    class IPAdapterAttnProcessor:
        pass

    layer = random_model.unet.mid_block.attentions[0].transformer_blocks[0].attn2
    plain = layer.processor
    layer.set_processor(IPAdapterAttnProcessor())
    try:
        with pytest.raises(ValueError, match="IPAdapterAttnProcessor that does more"), record(random_model.unet):
            pass
    finally:
        layer.set_processor(plain)


def test_masks_of_the_text_are_obeyed(random_model):
    x, text = noise((1, *random_model.latent_shape), seed=0), random_model.encode_text(PROMPT)
    mask = torch.ones(1, 77, dtype=torch.bool)
    mask[:, 5:] = False
    theirs = random_model.predict_noise(x, 500, text, encoder_attention_mask=mask)
    with record(random_model.unet) as maps:
        ours = random_model.predict_noise(x, 500, text, encoder_attention_mask=mask)
    assert (ours - theirs).abs().max() < 1e-5
    assert all(calls[0][..., 5:].max() == 0 for calls in maps.values())


# Recording


def test_generation_is_recorded_and_not_disturbed(random_model):
    settings = dict(num_inference_steps=3, seed=[4, 9])
    prompts = ["a cat", "a dog"]
    *_, alone = text_to_latents(random_model, prompts, **settings)
    with record(random_model.unet, pictures=2) as maps:
        *_, watched = text_to_latents(random_model, prompts, **settings)
    assert (watched.x - alone.x).abs().max() < 1e-4
    assert {len(calls) for calls in maps.values()} == {3}
    assert {tuple(calls[0].shape)[::2] for calls in maps.values()} == {(2, 77)}


def test_with_guidance_the_texts_half_is_recorded(random_model):
    settings = dict(num_inference_steps=1, seed=4)
    with record(random_model.unet) as guided:
        list(text_to_latents(random_model, PROMPT, guidance_scale=5.0, **settings))
    with record(random_model.unet) as text_alone:
        list(text_to_latents(random_model, PROMPT, guidance_scale=1.0, **settings))
    with record(random_model.unet) as nothing:
        list(text_to_latents(random_model, PROMPT, guidance_scale=0.0, **settings))
    for layer in guided:
        assert torch.allclose(guided[layer][0], text_alone[layer][0], atol=1e-5)
        assert not torch.allclose(guided[layer][0], nothing[layer][0], atol=1e-5)


def test_an_edit_leaves_the_negative_prompt_alone(random_model):
    with edit(random_model.unet, silence([2]), pictures=1):
        a, b = ask(random_model, ["a cat", "a cat"])  # as guidance asks: the negative prompt's first
    (plain,) = ask(random_model, ["a cat"])
    again = ask(random_model, ["a cat", "a cat"])
    assert torch.allclose(a, again[0], atol=1e-5) and torch.allclose(again[0], plain, atol=1e-5)
    assert (b - again[1]).abs().max() > 1e-4


def test_one_pictures_attention_can_be_given_to_another(random_model):
    """What prompt-to-prompt does: both pictures in one batch, with guidance."""
    prompts, x = ["a cat", "a dog", "a cat", "a dog"], noise((4, *random_model.latent_shape), seed=0)

    def give(probs, site):
        return probs[:1].expand_as(probs)

    with edit(random_model.unet, give, kind="both", pictures=2), record(random_model.unet, pictures=2) as maps:
        random_model.predict_noise(x, 500, random_model.encode_text(prompts))
    assert all(torch.equal(*calls[0]) for calls in maps.values())


def test_it_works_where_texts_are_computed_once(random_model):
    with record(random_model.unet) as maps:
        (watched,) = text_to_image(random_model, PROMPT, num_inference_steps=3)  # which remembers keys and values
    (alone,) = text_to_image(random_model, PROMPT, num_inference_steps=3)
    difference = np.abs(np.asarray(watched).astype(int) - np.asarray(alone))
    assert difference.max() <= 2 and {len(calls) for calls in maps.values()} == {3}
    text, x = random_model.encode_text(PROMPT), noise((1, *random_model.latent_shape), seed=0)
    with edit(random_model.unet, silence([3])):
        plain = random_model.predict_noise(x, 500, text)
        with text_computed_once(random_model.unet):
            remembered = [random_model.predict_noise(x, 500, text) for _ in range(2)]
    assert all(torch.allclose(plain, answer, atol=1e-6) for answer in remembered)
    assert not any("forward" in vars(module) for module in random_model.unet.modules())


# Heat maps and positions


def test_a_heat_map_lies_over_the_picture():
    bright = torch.zeros(1, 4, 3)
    bright[0, 1, 2] = 1  # the upper right of 2 x 2 places looks at token 2
    maps = {"up.attn2": [bright, bright], "down.attn2": [torch.full((1, 16, 3), 0.5)]}
    up = heat_map(maps, [2], 8, layers="up")
    assert up.shape == (8, 8) and up.argmax() in [row * 8 + column for row in range(2) for column in (6, 7)]
    assert torch.equal(heat_map(maps, [2], 8, layers="up", steps=slice(1, 2)), up)
    assert torch.allclose(heat_map(maps, [1, 2], 8, layers="up"), up / 2)
    assert torch.allclose(heat_map(maps, [2], 8), (up + 0.5) / 2)  # a mean of layers, however many steps each has
    wide = {"attn2": [torch.arange(8.0).reshape(1, 8, 1).expand(1, 8, 2)]}  # 2 x 4 places
    assert heat_map(wide, [0], (16, 32)).shape == (16, 32)
    assert heat_map(wide, [0], (2, 4)).flatten().tolist() == list(range(8))


@pytest.mark.parametrize(
    "wrong, says",
    [
        (dict(layers="attn1"), r"no map of layers='attn1'.*up.attn2 \(1 steps\)"),
        (dict(steps=slice(3, 5)), "no map of"),
        (dict(positions=[3]), "3 tokens from 0"),
        (dict(positions=[-1]), "3 tokens from 0"),
        (dict(positions=[]), "some"),
        (dict(picture=1), "1 were recorded"),
        (dict(steps=3), "must be a slice"),
        (dict(size=(16, 48)), "4 positions do not form a grid of the shape 16 x 48"),
    ],
)
def test_wrong_heat_maps_are_told(wrong, says):
    maps = {"up.attn2": [torch.zeros(1, 4, 3)]}
    with pytest.raises(ValueError, match=says):
        heat_map(maps, **{"positions": [0], "size": 16, **wrong})


def test_token_positions(tiny):
    tokenizer = tiny.tokenizer
    assert token_positions(tokenizer, PROMPT, "cat") == [2]
    assert token_positions(tokenizer, PROMPT, "a") == [1, 4]
    assert token_positions(tokenizer, PROMPT, "a sofa") == [4, 5]
    ids = tokenizer(PROMPT).input_ids
    assert tokenizer.decode(ids[5]).strip() == "sofa"
    for prompt, word in ((PROMPT, "dog"), (PROMPT, "at cat"), ("two cats", "cat"), (PROMPT, ""), ("a " * 90, "cat")):
        with pytest.raises(ValueError, match="the prompt has no"):
            token_positions(tokenizer, prompt, word)
    with pytest.raises(ValueError, match="the encoder reads"):
        token_positions(tokenizer, "a " * 90 + "cat", "cat")  # beyond the window


# Interventions


def test_silence_takes_its_share_and_gives_it_to_the_others():
    probs = torch.tensor([0.5, 0.3, 0.2]).expand(1, 1, 4, 3)
    assert torch.allclose(silence([0])(probs, None), torch.tensor([0.0, 0.6, 0.4]))
    assert probs[0, 0, 0].tolist() == pytest.approx([0.5, 0.3, 0.2])
    assert silence([0])(torch.tensor([1.0, 0.0, 0.0]), None).tolist() == [0, 0, 0]


def test_silence_equals_a_score_of_minus_infinity(random_model):
    x, text = noise((1, *random_model.latent_shape), seed=0), random_model.encode_text(PROMPT)
    mask = torch.ones(1, 77, dtype=torch.bool)
    mask[:, [2, 4]] = False
    theirs = random_model.predict_noise(x, 500, text, encoder_attention_mask=mask)
    with edit(random_model.unet, silence([2, 4])):
        assert (random_model.predict_noise(x, 500, text) - theirs).abs().max() < 1e-4


def test_swapping_probabilities_is_swapping_values(random_model):
    """One layer by hand: columns exchanged, or rows of V exchanged."""
    layer = random_model.unet.mid_block.attentions[0].transformer_blocks[0].attn2
    random = torch.Generator().manual_seed(0)
    x = torch.randn(1, 16, layer.to_q.in_features, generator=random)
    text = torch.randn(1, 77, layer.to_k.in_features, generator=random)
    with edit(random_model.unet, swap([2, 3], [5, 7]), layers="mid_block"):
        swapped = layer(x, text)
    order = list(range(77))
    order[2], order[3], order[5], order[7] = 5, 7, 2, 3
    to_v = layer.to_v.forward
    layer.to_v.forward = lambda text: to_v(text)[:, order]
    try:
        by_values = layer(x, text)
    finally:
        del layer.to_v.forward
    assert torch.allclose(swapped, by_values, atol=1e-5) and not torch.allclose(swapped, layer(x, text), atol=1e-3)
    for first, second in (([1], [2, 3]), ([1], [1])):
        with pytest.raises(ValueError, match="cannot swap"):
            swap(first, second)

"""Prompt-to-prompt: the source never notices the target, and the probabilities go where they should."""

import copy

import pytest
import torch
import torch.nn.functional as F
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_iter

from difflab import invert, prompt_to_prompt, prompt_to_prompt_to_latents, text_to_latents
from difflab.applications.prompt_to_prompt import BLEND_FROM, alignment, blend_mask, inject, refine, replace, reweight
from difflab.attention import Site, record
from difflab.inputs import noise

CAT, DOG = "a cat on a sofa", "a dog on a sofa"
FEW = dict(num_inference_steps=4, seed=3)
SITE = Site("layer", "cross", 5, 999)


def last_of(model, source=CAT, target=DOG, **settings):
    *_, last = prompt_to_prompt_to_latents(model, source, target, **(FEW | settings))
    return last.x


def shares(pairs=1, tokens=77, seed=0):
    return torch.randn(2 * pairs, 2, 5, tokens, generator=torch.Generator().manual_seed(seed)).softmax(-1)


def test_without_steps_it_is_a_plain_batch(tiny):
    *_, plain = text_to_latents(tiny, [CAT, DOG], sampler="ddim", num_inference_steps=4, seed=[3, 3])
    ours = last_of(tiny, cross_replace_steps=0, self_replace_steps=0)
    assert torch.allclose(ours, plain.x, atol=1e-4)


@pytest.mark.parametrize("sampler", ["ddpm", "dpm++", "euler"])
def test_any_sampler_will_do(random_model, sampler):
    *_, alone = text_to_latents(random_model, CAT, sampler=sampler, num_inference_steps=4, seed=3)
    source, target = last_of(random_model, CAT, CAT, change=refine, sampler=sampler)
    assert torch.allclose(source, alone.x[0], atol=1e-4) and torch.allclose(source, target, atol=1e-4)


def test_the_source_does_not_notice_the_target(tiny):
    *_, alone = text_to_latents(tiny, CAT, sampler="ddim", num_inference_steps=4, seed=3)
    swapped, refined = last_of(tiny), last_of(tiny, target="a dog wearing a crown on a sofa", change=refine)
    assert torch.allclose(swapped[:1], alone.x, atol=1e-4) and torch.allclose(refined[:1], alone.x, atol=1e-4)
    assert (swapped[1] - swapped[0]).abs().max() > 0.1


@pytest.mark.parametrize("change", [replace, refine])
def test_the_same_prompt_twice_gives_the_same_picture_twice(random_model, change):
    source, target = last_of(random_model, CAT, CAT, change=change)
    assert torch.allclose(source, target, atol=1e-4)


def test_more_steps_stay_nearer_to_the_source(tiny):
    def apart(share):
        source, target = last_of(tiny, cross_replace_steps=share, self_replace_steps=share, num_inference_steps=6)
        return (source - target).square().mean()

    assert apart(1.0) < apart(0.0)


def test_several_pairs_are_each_as_alone(random_model):
    both = last_of(random_model, [CAT, "a car"], [DOG, "a bus"], change=refine)
    for i, (source, target) in enumerate([(CAT, DOG), ("a car", "a bus")]):
        alone = last_of(random_model, source, target, change=refine, seed=3 + i)
        assert torch.allclose(both[[i, 2 + i]], alone, atol=1e-4)


def test_it_returns_the_pictures_and_leaves_nothing_behind(tiny):
    before = list(tiny.unet.attn_processors.values())
    pictures = prompt_to_prompt(tiny, CAT, DOG, num_inference_steps=2)
    assert [picture.size for picture in pictures] == [(128, 128)] * 2
    steps = prompt_to_prompt_to_latents(tiny, CAT, DOG, **FEW)
    next(steps)
    steps.close()  # given up half way
    assert all(a is b for a, b in zip(before, tiny.unet.attn_processors.values(), strict=True))


# -- the changes ------------------------------------------------------------------------------------------------------


def test_replace_takes_all_of_the_source(tiny):
    probs = shares(pairs=2)
    changed = replace(tiny.tokenizer, [CAT, "a car"], [DOG, "a bus"])(probs, SITE)
    assert torch.equal(changed, torch.cat([probs[:2], probs[:2]])) and torch.equal(changed, inject(probs, SITE))


def test_alignment_of_words_and_padding(tiny):
    tokenizer = tiny.tokenizer
    places = alignment(tokenizer, "a car on the beach", "a red car on the beach at sunset")
    ours, theirs = (tokenizer(p).input_ids for p in ("a car on the beach", "a red car on the beach at sunset"))
    assert len(places) == 77
    for j, token in enumerate(theirs):
        assert places[j] == -1 or ours[places[j]] == token
    assert places[0] == 0 and places[len(theirs) - 1] == len(ours) - 1  # start and end
    assert [tokenizer.decode([t]).strip() for t, i in zip(theirs, places, strict=False) if i < 0] == [
        "red",
        "at",
        "sunset",
    ]
    assert places[len(theirs) :] == [len(ours) + i for i in range(77 - len(theirs))]
    assert alignment(tokenizer, CAT, CAT) == list(range(77))
    assert max(alignment(tokenizer, "a red car on the beach at sunset", "a car")) == 76  # a shorter target


def test_refine_keeps_the_new_words_own_shares(tiny):
    probs, long = shares(), "a red car"
    copy, places = probs.clone(), alignment(tiny.tokenizer, "a car", long)
    changed = refine(tiny.tokenizer, ["a car"], [long])(probs, SITE)
    assert torch.equal(probs, copy) and torch.equal(changed[0], probs[0])
    for j, i in enumerate(places):
        assert torch.equal(changed[1][..., j], probs[1][..., j] if i < 0 else probs[0][..., i])


def test_reweight_multiplies_a_word_after_the_first_change(tiny):
    probs = shares()
    changed = reweight({"dog": 3.0, "sofa": -1}, first=replace)(tiny.tokenizer, [CAT], [DOG])(probs, SITE)
    ratio = changed[1] / probs[0]
    wanted = torch.ones(77)
    wanted[2], wanted[5] = 3.0, -1.0
    assert torch.equal(changed[0], probs[0]) and torch.allclose(ratio, wanted.expand_as(ratio), atol=1e-5)


# -- the local blend, and real pictures -------------------------------------------------------------------------------


def test_the_blend_keeps_the_source_outside_of_the_mask(tiny):
    source, target = last_of(tiny, local_blend=("cat", "dog"), num_inference_steps=6)
    equal = (source == target).all(0)
    assert 0 < equal.float().mean() < 1
    assert not (last_of(tiny, num_inference_steps=6)[0] == last_of(tiny, num_inference_steps=6)[1]).all(0).any()
    assert 0 < BLEND_FROM < 1


def test_the_mask_is_the_union_of_both_words():
    maps = torch.zeros(2, 16, 77)
    maps[0, 0, 3] = maps[1, 15, 4] = 1.0  # the source's first corner, the target's last
    mask = blend_mask({"layer": [maps]}, [[3], [4]], (4, 4))
    assert mask.shape == (1, 1, 4, 4) and mask[0, 0].sum() == 8
    assert mask[0, 0, :2, :2].all() and mask[0, 0, 2:, 2:].all()


def test_an_inverted_picture_comes_back_whatever_the_guidance(random_model):
    picture = random_model.decode(noise((1, *random_model.latent_shape), seed=0))[0]
    path = invert(random_model, picture, CAT, num_inference_steps=4)
    for scale in (1.0, 5.0):
        ours = last_of(random_model, inverted=path, guidance_scale=scale, local_blend=("cat", "dog"))
        assert torch.equal(ours[:1], path[-1])


def test_latents_are_the_start(random_model):
    start = noise((1, *random_model.latent_shape), seed=3)
    assert torch.equal(last_of(random_model), last_of(random_model, latents=start, seed=9))


def test_recording_around_it_sees_each_prompts_own_attention(random_model):
    with record(random_model.unet, pictures=2) as own, record(random_model.unet, pictures=2):
        last_of(random_model)
    assert all(len(calls) == 4 for calls in own.values())


def test_what_is_drawn_meanwhile_is_drawn_as_ever(random_model):
    """The edits hold while the network is asked, not while a generator sleeps."""
    alone = last_of(random_model)
    *_, plain = text_to_latents(random_model, "a dog", num_inference_steps=3)
    walk = prompt_to_prompt_to_latents(random_model, CAT, DOG, local_blend=("cat", "dog"), **FEW)
    next(walk)
    processors = {type(processor).__name__ for processor in random_model.unet.attn_processors.values()}
    assert processors == {"AttnProcessor2_0"}
    *_, meanwhile = text_to_latents(random_model, "a dog", num_inference_steps=3)
    assert torch.equal(meanwhile.x, plain.x)
    other = prompt_to_prompt_to_latents(random_model, CAT, DOG, **FEW)
    next(other)
    *_, (_, last) = zip(walk, other, strict=True)  # two of them by turns
    assert torch.equal(last.x, alone)


class Largest(TorchDispatchMode):
    """Notes how many numbers the largest table of eight heads, positions by positions, has."""

    numbers = 0

    def __torch_dispatch__(self, operation, types, args=(), kwargs=None):
        out = operation(*args, **(kwargs or {}))
        for tensor in tree_iter(out):
            table = isinstance(tensor, torch.Tensor) and tensor.ndim == 4 and tensor.shape[1] == 8
            if table and tensor.shape[2] == tensor.shape[3]:
                self.numbers = max(self.numbers, tensor.numel())
        return out


def test_large_grids_keep_their_fused_attention(random_model, monkeypatch):
    """On Stable Diffusion 1.5's shape at 512 pixels: all probabilities of 64 x 64 positions would be 2 GB a layer."""
    from diffusers import UNet2DConditionModel

    monkeypatch.setattr(F, "scaled_dot_product_attention", lambda q, k, v, **_: torch.empty_like(q))  # as on a GPU
    with torch.device("meta"):
        unet = UNet2DConditionModel(sample_size=64, cross_attention_dim=768)  # its defaults are 1.5's
    model = copy.copy(random_model)
    model.unet, model.device = unet, torch.device("meta")
    monkeypatch.setattr(model, "encode_text", lambda prompts: torch.empty(len(prompts), 77, 768, device="meta"))
    with Largest() as largest:
        step = next(prompt_to_prompt_to_latents(model, CAT, DOG, num_inference_steps=2))
    assert step.x.shape == (2, 4, 64, 64) and largest.numbers == 4 * 8 * (16 * 16) ** 2


def test_a_network_without_attention_is_an_error(random_model, monkeypatch):
    from diffusers import UNet2DConditionModel

    bare = UNet2DConditionModel(
        sample_size=8, block_out_channels=(8, 8), layers_per_block=1, norm_num_groups=4, cross_attention_dim=32,
        down_block_types=("DownBlock2D",) * 2, up_block_types=("UpBlock2D",) * 2, mid_block_type=None,
    )  # fmt: skip
    monkeypatch.setattr(random_model, "unet", bare)
    with pytest.raises(ValueError, match="binds to no layer.*no attention at all"):
        last_of(random_model)

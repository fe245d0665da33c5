"""Prompt-to-prompt: change a word and keep the picture, by keeping where the words were looked at.

Hertz et al. 2022 (2208.01626). The source's prompt and the target's are drawn side by side from one noise, and the
target's attention is taken from the source's while the layout is decided. What is taken says the ``change``, a function
(tokenizer, source_prompts, target_prompts) -> change for `difflab.attention.edit`:

    prompt_to_prompt(model, "a cat on a sofa", "a dog on a sofa")                              # a word swapped
    prompt_to_prompt(model, "a car", "a blue car", change=refine)                              # words added
    prompt_to_prompt(model, "a car at night", "a car at night", change=reweight({"night": 3}))  # a word louder

A real picture is edited from its inversion: ``inverted=invert(model, picture, source_prompt)``.
"""

import math
from contextlib import ExitStack
from difflib import SequenceMatcher

import torch
import torch.nn.functional as F

from difflab.attention import edit, heat_map, token_positions
from difflab.guidance import classifier_free_guidance, guide
from difflab.loop import sample
from difflab.model import as_prompts, check_said, generators, pictures_of
from difflab.samplers import by_name, ddim, randn

SMALL_GRID = 16**2  # self-attention is taken over on grids of so many places at most, as in the paper's code
BLEND_FROM = 0.2  # share of the steps before the local blend begins: until then the maps say little
BLEND_THRESHOLD = 0.3  # of the way from a map's smallest value to its largest


# -- what the target takes from the source ----------------------------------------------------------------------------


def inject(probs, site):
    """A change for a batch of sources and then as many targets: the targets' attention is that of the sources."""
    source, _ = probs.chunk(2)
    return torch.cat([source, source])


def replace(tokenizer, source_prompts, target_prompts):
    """Word swap: `inject`, so each of the target's tokens is looked at where the source's in its place was.

    Raises ValueError for prompts of different token counts, in which the places do not correspond.
    """
    for source, target in zip(source_prompts, target_prompts, strict=True):
        counts = [len(tokenizer(prompt, truncation=True).input_ids) for prompt in (source, target)]
        if counts[0] != counts[1]:
            raise ValueError(
                f"{source!r} has {counts[0]} tokens and {target!r} has {counts[1]}: a word swap needs as many on both "
                "sides; use change=refine, which aligns the words that both have"
            )
    return inject


def refine(tokenizer, source_prompts, target_prompts):
    """Refinement: the words that both prompts have are looked at where the source's were; new words keep their own."""
    rows = zip(source_prompts, target_prompts, strict=True)
    aligned = torch.tensor([alignment(tokenizer, source, target) for source, target in rows])  # N, tokens

    def refined(probs, site):
        source, target = probs.chunk(2)  # N, heads, positions, tokens each
        index = aligned.to(probs.device)[:, None, None].expand_as(source)
        return torch.cat([source, torch.where(index < 0, target, source.gather(-1, index.clamp_min(0)))])

    return refined


def reweight(weights, first=refine):
    """Re-weighting: after ``first``, the shares of some of the target's words times a factor. They add up to 1 no more.

    weights: {"word": factor}: above 1 louder, below 1 quieter, 0 silent. Each word in every target prompt.
    """
    if not weights or not all(isinstance(w, int | float) and math.isfinite(w) for w in weights.values()):
        raise ValueError(f"weights={weights!r} must give one word or more a finite number: {{'night': 2.0}}")

    def build(tokenizer, source_prompts, target_prompts):
        change = first(tokenizer, source_prompts, target_prompts)
        scale = torch.ones(len(target_prompts), tokenizer.model_max_length)  # N, tokens
        for row, prompt in zip(scale, target_prompts, strict=True):
            for word, weight in weights.items():
                row[token_positions(tokenizer, prompt, word)] = weight

        def reweighted(probs, site):
            source, target = change(probs, site).chunk(2)
            return torch.cat([source, target * scale.to(probs.device)[:, None, None]])

        return reweighted

    return build


def alignment(tokenizer, source, target):
    """For each of the target's tokens, where it stands in the source, or -1 where it is new: a list of int.

    The longest common runs of tokens, as `difflib` finds them. What stands behind the words (the padding, which is
    looked at as well) corresponds in its order.
    """
    ours, theirs = (tokenizer(prompt, truncation=True).input_ids for prompt in (source, target))
    length = tokenizer.model_max_length
    places = [-1] * len(theirs)
    for start, to, run in SequenceMatcher(None, ours, theirs, autojunk=False).get_matching_blocks():
        places[to : to + run] = range(start, start + run)
    return places + [min(len(ours) + i, length - 1) for i in range(length - len(theirs))]


# -- the function -----------------------------------------------------------------------------------------------------


def prompt_to_prompt_to_latents(
    model,
    source_prompt,
    target_prompt,
    *,
    change=replace,
    cross_replace_steps=0.8,
    self_replace_steps=0.4,
    local_blend=None,
    latents=None,
    inverted=None,
    num_inference_steps=20,
    guidance_scale=2.0,
    negative_prompt="",
    combine=guide,
    sampler="ddim",
    seed=0,
):
    """The source's picture and the target's, step by step: yields a `Step` for each turn of the loop,
    which ``model.decode(step.x0)`` shows.

    source_prompt, target_prompt: str, or lists of equal length N, whose pairs are drawn at once.
    change: `replace`, `refine`, ``reweight({"word": 2.0})``, or a function of their form.
    cross_replace_steps, self_replace_steps: from 0 to 1, for which share of the steps, from the first on, the change is
        made to the attention to the text, and the target's self-attention is the source's.
    local_blend: a word of the source and one of the target (for N pairs a list of such two): outside of where these two
        words are looked at, the target is the source.
    latents: the noise to start from, (N, 4, h, w), in place of a seed.
    inverted: from `invert`, with the same number of steps: a real picture is the source, and stays what it is whatever
        the guidance scale, since after each step the source is put back onto the path of the inversion
        (direct inversion, Ju et al. 2023, 2310.01506).
    The others are those of `text_to_image`. Raises ValueError for fractions outside 0 to 1, for prompts or words that
    do not fit, and where the network has no attention to change.
    """
    sources, targets = as_prompts(source_prompt), as_prompts(target_prompt)
    pairs = len(sources)
    if len(targets) != pairs:
        raise ValueError(f"{pairs} source prompts and {len(targets)} target prompts: give a target for each source")
    negatives = as_prompts(negative_prompt, pairs, "negative prompts")
    check_said(sources + targets, guidance_scale)
    cross_steps = steps_of("cross_replace_steps", cross_replace_steps, num_inference_steps)
    self_steps = steps_of("self_replace_steps", self_replace_steps, num_inference_steps)
    cross_change = change(model.tokenizer, sources, targets)
    blend_places = local_blend and blend_positions(model.tokenizer, sources, targets, local_blend)
    make_sampler = by_name(sampler)
    if inverted is not None:
        check_inverted(inverted, (num_inference_steps + 1, pairs, *model.latent_shape), sampler, latents)
        latents = inverted[0]
    random = [*generators(seed, pairs), *generators(seed, pairs)]  # of one seed for both of a pair
    sampler = make_sampler(model.schedule, num_inference_steps, generator=random)

    if latents is None:
        x = randn((2 * pairs, *model.latent_shape), random).to(model.device)  # 2N, 4, h, w
    elif latents.shape == (pairs, *model.latent_shape):
        x = torch.cat([latents, latents]).to(model.device)
    else:
        raise ValueError(f"latents are {tuple(latents.shape)}: {pairs} pairs need {(pairs, *model.latent_shape)}")
    predict_noise = classifier_free_guidance(
        model.predict_noise,
        model.encode_text(sources + targets),
        model.encode_text(negatives * 2),
        guidance_scale,
        combine,
    )
    maps = {}

    def after(step):
        source, target = step.x.chunk(2)
        done = sampler.timesteps.index(step.t) + 1
        if inverted is not None:
            source = inverted[done].to(source)
        if blend_places and done > BLEND_FROM * num_inference_steps:
            mask = blend_mask(maps, blend_places, source.shape[-2:]).to(source)
            target = source + mask * (target - source)
        return torch.cat([source, target])

    with ExitStack() as opened:
        cross = in_first_steps(cross_change, cross_steps)
        opened.enter_context(edit(model.unet, cross, kind="cross", pictures=2 * pairs))
        own = in_first_steps(inject_small, self_steps)
        opened.enter_context(edit(model.unet, own, kind="self", pictures=2 * pairs))
        if blend_places:  # opened last, so it sees the shares that were used
            opened.enter_context(edit(model.unet, adding_up(maps), kind="cross", pictures=2 * pairs))
        yield from sample(predict_noise, x, sampler, after=after)


prompt_to_prompt = pictures_of(
    prompt_to_prompt_to_latents,
    "prompt_to_prompt",
    "The source's picture and the target's: a list of PIL images, all sources first, then all targets.",
)


def in_first_steps(change, steps):
    """The change in the first so many steps; none afterwards."""
    return lambda probs, site: change(probs, site) if site.call < steps else probs


def inject_small(probs, site):
    """`inject`, on small grids. Large ones draw the details, which are the target's own."""
    return inject(probs, site) if site.positions <= SMALL_GRID else probs


def adding_up(maps):
    """A change that changes nothing: it adds up what is looked at in ``maps``, in the form of `record`'s, one for each
    layer.

    Small grids only: a large network's every map of every step would be gigabytes.
    """

    def added(probs, site):
        if site.positions <= SMALL_GRID:
            new = probs.detach().mean(1).cpu()  # 2N, positions, tokens
            maps[site.layer] = [maps[site.layer][0] + new if site.layer in maps else new]
        return probs

    return added


def blend_mask(maps, places, size):
    """Where the source or the target looks at its word: (N, 1, h, w), 1 or 0. maps: from `adding_up`, so far.

    A map counts where it is above `BLEND_THRESHOLD` of its range, and next to it.
    The paper's code counts from 0; a small model's maps do not fall that far.
    """
    masks = []
    for picture, positions in enumerate(places):  # the sources', then the targets'
        looked = heat_map(maps, positions, tuple(size), picture=picture)[None, None]
        level = (looked - looked.min()) / (looked.max() - looked.min()).clamp_min(1e-12)
        masks.append(F.max_pool2d(level, 3, stride=1, padding=1)[0] > BLEND_THRESHOLD)
    source, target = torch.stack(masks).chunk(2)
    return source | target


# -- what is given ----------------------------------------------------------------------------------------------------


def steps_of(name, share, num_inference_steps):
    """How many of the steps a share of them is. Raises ValueError unless it is from 0 to 1."""
    if isinstance(share, bool) or not isinstance(share, int | float) or not 0 <= share <= 1:
        raise ValueError(f"{name}={share!r} must be a number from 0 (at no step) to 1 (at every step)")
    return round(share * num_inference_steps)


def blend_positions(tokenizer, sources, targets, local_blend):
    """The token positions of the words, first the sources', then the targets'. Raises ValueError for others."""
    words = [local_blend] if isinstance(local_blend, tuple) else local_blend
    couples = isinstance(words, list) and all(isinstance(w, tuple) and len(w) == 2 for w in words)
    if not couples or len(words) != len(sources):
        raise ValueError(
            f"local_blend={local_blend!r} must be (a word of the source, a word of the target), as in ('cat', 'dog'), "
            f"or for several pairs a list of such; there are {len(sources)} pairs"
        )
    return [
        token_positions(tokenizer, prompt, word)
        for prompts, chosen in ((sources, [a for a, _ in words]), (targets, [b for _, b in words]))
        for prompt, word in zip(prompts, chosen, strict=True)
    ]


def check_inverted(inverted, shape, sampler, latents):
    """Raises ValueError unless this is a path from `invert` for so many steps and pairs, and DDIM walks it."""
    if latents is not None:
        raise ValueError("pass latents (a noise to start from) or inverted (a whole path, which has one), not both")
    if by_name(sampler) is not ddim:
        raise ValueError(f"inverted was made by running DDIM backwards: use sampler='ddim', not {sampler!r}")
    if not isinstance(inverted, torch.Tensor) or inverted.shape != shape:
        got = tuple(inverted.shape) if isinstance(inverted, torch.Tensor) else type(inverted).__name__
        raise ValueError(
            f"inverted is {got} and must be {tuple(shape)}: call invert with num_inference_steps={shape[0] - 1} and "
            "one picture for each pair"
        )

"""Prompt-to-prompt: change a word and keep the picture, by keeping where the words were looked at.

Hertz et al. 2022 (2208.01626). The source and the target are drawn side by side from one noise, and the target takes
its attention from the source while the layout is decided. The ``change`` says what it takes: a function
(tokenizer, source_prompts, target_prompts) -> change for `difflab.attention.edit`.

    prompt_to_prompt(model, "a cat on a sofa", "a dog on a sofa")                              # a word swapped
    prompt_to_prompt(model, "a car", "a blue car", change=refine)                              # words added
    prompt_to_prompt(model, "a car at night", "a car at night", change=reweight({"night": 3}))  # a word louder

A real picture is edited from its inversion: ``inverted=invert(model, picture, source_prompt)``.
"""

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from difflib import SequenceMatcher
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor

from difflab.applications.request import pictures_of, request
from difflab.attention import edit, heat_map, layers_of, token_positions
from difflab.checks import as_number, check_finite, check_function, check_tensor
from difflab.guidance import guide
from difflab.inputs import as_many, as_prompts, as_seeds
from difflab.loop import Step, sample
from difflab.model import LatentDiffusion
from difflab.samplers import by_name, ddim

SMALL_GRID = 16**2  # self-attention is taken from the source on grids of at most so many positions, as in the paper
BLEND_FROM = 0.2  # the fraction of the steps before the local blend begins: until then the maps say little
BLEND_THRESHOLD = 0.3  # of the way from a map's smallest value to its largest


# -- what the target takes from the source ----------------------------------------------------------------------------


def inject(probs, site):
    """A change for a batch of sources and then as many targets: the targets take their attention from the sources."""
    source, _ = probs.chunk(2)
    return torch.cat([source, source])


def replace(tokenizer, source_prompts, target_prompts):
    """Word swap: `inject`, so that each token of the target is looked at where the source's token at its position was.

    Raises ValueError for prompts of different token counts, whose positions do not correspond.
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
    """Refinement: words that both prompts have are looked at where the source's were; new words keep their own maps."""
    rows = zip(source_prompts, target_prompts, strict=True)
    aligned = torch.tensor([alignment(tokenizer, source, target) for source, target in rows])  # N, tokens

    def refined(probs, site):
        source, target = probs.chunk(2)  # N, heads, positions, tokens each
        index = aligned.to(probs.device)[:, None, None].expand_as(source)
        return torch.cat([source, torch.where(index < 0, target, source.gather(-1, index.clamp_min(0)))])

    return refined


def reweight(weights, first=refine):
    """Re-weighting: after ``first``, multiply the probabilities of some of the target's words by a factor. They no
    longer sum to 1.

    weights: {"word": factor}: above 1 louder, below 1 quieter, 0 silent. Each word in every target prompt.
    """
    if not isinstance(weights, Mapping) or not weights:
        raise ValueError(f"weights={weights!r} must give one word or more a finite number: {{'night': 2.0}}")
    for word, weight in weights.items():
        as_number(f"the weight of {word!r}", weight)

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
    """For each token of the target, its position in the source, or -1 where it is new: a list of int.

    The longest common runs of tokens, as `difflib` finds them. What follows the words (the padding, which is looked at
    as well) corresponds in its order.
    """
    ours, theirs = (tokenizer(prompt, truncation=True).input_ids for prompt in (source, target))
    length = tokenizer.model_max_length
    positions = [-1] * len(theirs)
    for start, to, run in SequenceMatcher(None, ours, theirs, autojunk=False).get_matching_blocks():
        positions[to : to + run] = range(start, start + run)
    return positions + [min(len(ours) + i, length - 1) for i in range(length - len(theirs))]


# -- the function -----------------------------------------------------------------------------------------------------


def prompt_to_prompt_to_latents(
    model: LatentDiffusion,
    source_prompt: str | list[str],
    target_prompt: str | list[str],
    *,
    change: Callable = replace,
    cross_replace_steps: float = 0.8,
    self_replace_steps: float = 0.4,
    local_blend: tuple[str, str] | list[tuple[str, str]] | None = None,
    latents: Tensor | None = None,
    inverted: Tensor | None = None,
    num_inference_steps: int = 20,
    guidance_scale: float | Callable[[int], float] = 2.0,
    negative_prompt: str | list[str] = "",
    combine: Callable = guide,
    sampler: str | Callable = "ddim",
    seed: int | list[int] = 0,
) -> Iterator[Step]:
    """The source's picture and the target's, one step at a time: yields a `Step` for each step of the walk,
    which ``model.decode(step.x0)`` shows.

    source_prompt, target_prompt: one of each, or lists of equal length N, whose pairs are drawn at once.
    change: `replace`, `refine`, ``reweight({"word": 2.0})``, or a function of the same form.
    cross_replace_steps, self_replace_steps: from 0 to 1, the fraction of the steps, counted from the first, in which
        the change is made to the attention to the text, and in which the target's self-attention is the source's.
    local_blend: a word of the source and one of the target (for N pairs a list of such pairs): the target is the source
        wherever neither of the two words is looked at.
    latents: the noise to start from, (N, 4, h, w), in place of a seed.
    inverted: from `invert`, with the same number of steps: a real picture is the source, and stays what it is whatever
        the guidance scale, since after each step the source is put back onto the path of the inversion
        (direct inversion, Ju et al. 2023, 2310.01506).
    The other arguments are those of `text_to_image`.

    Raises ValueError, before any work, for fractions outside 0 to 1, for prompts or words that do not fit, for a
    network without attention to change, and for anything else that does not fit.
    """
    sources, targets = as_prompts(source_prompt), as_prompts(target_prompt)
    pairs = len(sources)
    if len(targets) != pairs:
        raise ValueError(f"{pairs} source prompts and {len(targets)} target prompts: give a target for each source")
    asked = request(
        model,
        sources + targets,
        num_inference_steps=num_inference_steps,
        guidance_scale=guidance_scale,
        negative_prompt=as_many(as_prompts(negative_prompt), pairs, "negative prompts") * 2,
        combine=combine,
        sampler=sampler,
        seed=as_seeds(seed, pairs) * 2,  # one for both of a pair
    )
    timesteps: tuple[int, ...] = asked.sampler.timesteps
    binds: dict[str, Any] = dict(pictures=2 * pairs)
    crossed = first_timesteps("cross_replace_steps", cross_replace_steps, timesteps)
    own = first_timesteps("self_replace_steps", self_replace_steps, timesteps)
    check_function("change", change, "(tokenizer, source_prompts, target_prompts) -> change: replace, refine ...")
    cross_change = change(model.tokenizer, sources, targets)
    check_function("what change returned", cross_change, "(probs, site) -> probs")
    blended = None if local_blend is None else blend_positions(model.tokenizer, sources, targets, local_blend)
    for kind in ("cross", "self"):
        layers_of(model.unet, kind)  # raises where there is nothing to change
    if inverted is not None:
        check_inverted(inverted, (len(timesteps) + 1, pairs, *model.latent_shape), sampler, latents)
        latents = inverted[0]
    if latents is not None:
        check_tensor("latents", latents, pairs, *model.latent_shape)

    x = asked.noise() if latents is None else torch.cat([latents, latents]).to(model.device)  # 2N, 4, h, w
    guided, maps = asked.guided(), {}

    def predict_noise(x, t):
        with ExitStack() as held:  # the edits hold while the network is asked, and no longer
            if t in crossed:
                held.enter_context(edit(model.unet, cross_change, **binds))
            if t in own:
                held.enter_context(edit(model.unet, inject, kind="self", positions=SMALL_GRID, **binds))
            if blended:  # entered last, so it sees the probabilities that are used
                held.enter_context(edit(model.unet, adding_up(maps), positions=SMALL_GRID, **binds))
            return guided(x, t)

    def after(step):
        source, target = step.x.chunk(2)
        done = timesteps.index(step.t) + 1
        if inverted is not None:
            source = inverted[done].to(source)
        if blended and done > BLEND_FROM * len(timesteps):
            mask = blend_mask(maps, blended, source.shape[-2:]).to(source)
            target = source + mask * (target - source)
        return torch.cat([source, target])

    yield from sample(predict_noise, x, asked.sampler, after=after)


prompt_to_prompt = pictures_of(
    prompt_to_prompt_to_latents,
    "prompt_to_prompt",
    "The source's picture and the target's: a list of PIL images, all sources first, then all targets.",
)


def adding_up(maps):
    """A change that changes nothing: it adds up in ``maps`` what is looked at, a sum for each layer in place of the
    list of steps that `record` keeps."""

    def added(probs, site):
        new = probs.detach().mean(1).cpu()  # 2N, positions, tokens
        maps[site.layer] = [maps[site.layer][0] + new if site.layer in maps else new]
        return probs

    return added


def blend_mask(maps, words, size):
    """Where the source or the target looks at its word: (N, 1, h, w), 1 or 0.

    maps: from `adding_up`, so far. words: the token positions of each picture's word, from `blend_positions`.
    A position counts where its map is above `BLEND_THRESHOLD` of the map's range, and so do its neighbors. The paper's
    code measures from 0; a small model's maps do not fall that far.
    """
    masks = []
    for picture, positions in enumerate(words):  # the sources', then the targets'
        looked = heat_map(maps, positions, tuple(size), picture=picture)[None, None]
        level = (looked - looked.min()) / (looked.max() - looked.min()).clamp_min(1e-12)
        masks.append(F.max_pool2d(level, 3, stride=1, padding=1)[0] > BLEND_THRESHOLD)
    source, target = torch.stack(masks).chunk(2)
    return source | target


# -- what is given ----------------------------------------------------------------------------------------------------


def first_timesteps(name, fraction, timesteps):
    """The first of the timesteps, that fraction of them. Raises ValueError unless it is from 0 to 1."""
    says = "a number from 0 (at no step) to 1 (at every step)"
    return set(timesteps[: round(as_number(name, fraction, says, 0, 1) * len(timesteps))])


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
    check_finite("inverted", inverted)

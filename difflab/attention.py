"""Attention watched and edited: softmax(Q K^T / sqrt(d)) V, with an opening between its halves to look in and reach in.

Vaswani et al. 2017 (1706.03762); read as pictures by Hertz et al. 2022 (2208.01626) and Tang et al. 2022 (2210.04885).

>>> with record(model.unet) as maps:
...     difflab.text_to_image(model, "a cat on a sofa")
>>> heat_map(maps, token_positions(model.tokenizer, "a cat on a sofa", "cat"), size=128)

A change is a function (probs, site) -> probs. It gets the probabilities (pictures, heads, positions, tokens) in single
precision, each row of which sums to 1, and returns the weights to use in their stead. Recording is a change that
returns its input; `silence` and `swap` make two others.
"""

import math
from collections.abc import Callable, Collection
from contextlib import contextmanager
from dataclasses import dataclass
from numbers import Integral
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F

from difflab.checks import as_size, as_whole, check_finite, check_function, check_text

KINDS = ("cross", "self", "both")
#: diffusers' processors that compute what ours does, by other means. Any other adds something that ours would lose.
PLAIN = ("AttnProcessor", "AttnProcessor2_0", "SlicedAttnProcessor", "XFormersAttnProcessor")


class Site(NamedTuple):
    """Where in the network, and when, a change is asked."""

    layer: str  # the layer's name in the network, such as "mid_block.attentions.0.transformer_blocks.0.attn2"
    kind: str  # "cross": positions look at the text's tokens; "self": at each other
    positions: int  # h * w positions of the layer's grid
    t: Any  # the timestep that the network is being asked about, as it was told: an int, or a tensor


@dataclass
class Processor:
    """diffusers' attention processor, with the probabilities handed to ``change`` before they are used.

    was: the processor that was there before. It works alone on a grid of more than ``most`` positions; where it is one
        of ours, its change comes first.
    asked: holds under "t" the timestep that the network was told.
    """

    layer: str
    kind: str
    change: Callable[[torch.Tensor, Site], torch.Tensor]
    pictures: int | None
    most: float
    was: Any
    asked: dict

    def __call__(self, attn, hidden_states, encoder_hidden_states=None, attention_mask=None, temb=None):
        if hidden_states.shape[1] > self.most:
            return self.was(attn, hidden_states, encoder_hidden_states, attention_mask, temb)
        text = hidden_states if encoder_hidden_states is None else encoder_hidden_states  # self-attention has no text

        def heads(x):
            return x.unflatten(-1, (attn.heads, -1)).transpose(1, 2)  # B,positions,C -> B,heads,positions,d

        q, k, v = heads(attn.to_q(hidden_states)), heads(attn.to_k(text)), heads(attn.to_v(text))
        scores = q.float() @ k.float().transpose(-1, -2) / math.sqrt(q.shape[-1])  # B,heads,positions,tokens
        if attention_mask is not None:
            mask = attn.prepare_attention_mask(attention_mask, text.shape[1], len(text))
            scores = scores + mask.unflatten(0, (len(text), attn.heads))
        probs = self.changed(scores.softmax(-1))
        out = (probs.to(v.dtype) @ v).transpose(1, 2).flatten(2)  # B,positions,C
        return attn.to_out[1](attn.to_out[0](out))

    def changed(self, probs):
        """The probabilities after the change; those of the negative prompt's half of the batch stay as they are."""
        if isinstance(self.was, Processor):
            probs = self.was.changed(probs)
        if probs.shape[2] > self.most:
            return probs
        if self.pictures is None:
            return self.ask(probs)
        if len(probs) not in (self.pictures, 2 * self.pictures):
            raise ValueError(
                f"the network was asked about a batch of {len(probs)}, which is neither {self.pictures} pictures nor, "
                "with guidance, twice as many: say how many are made, as pictures=..."
            )
        text_half = self.ask(probs[-self.pictures :])  # guidance puts the negative prompt first
        return torch.cat([probs[: -self.pictures], text_half])

    def ask(self, probs):
        """What the change makes of these probabilities."""
        made = self.change(probs, Site(self.layer, self.kind, probs.shape[2], self.asked.get("t")))
        if not isinstance(made, torch.Tensor) or made.shape != probs.shape or not made.is_floating_point():
            got = tuple(made.shape) if isinstance(made, torch.Tensor) else type(made).__name__
            wanted = tuple(probs.shape)
            raise ValueError(f"change returned {got} in {self.layer}: it must return probabilities of shape {wanted}")
        check_finite(f"what change returned in {self.layer}", made)
        return made


@contextmanager
def edit(
    unet: torch.nn.Module,
    change: Callable[[torch.Tensor, Site], torch.Tensor],
    *,
    kind: str = "cross",
    layers: str = "",
    pictures: int | None = 1,
    positions: float = math.inf,
):
    """While this lasts, the attention of ``unet`` goes through ``change``. What was there comes back, whatever happens.

    unet: a diffusers network with attention layers.
    change: (probs, site) -> probs, see above; ``probs`` is not to be written into.
    kind: "cross" (to the text), "self" (among the positions) or "both".
    layers: only layers whose name contains this, such as "up_blocks.1".
    pictures: how many are made at once. Guidance asks two questions in one batch, the negative prompt's first; change
        gets the last ``pictures`` of the batch, which are the text's with guidance and without. None: the whole batch.
    positions: only grids of so many at most, such as 16 * 16. Larger ones keep the attention that they have, which need
        not hold all their probabilities at once: at 512 pixels those of one self-attention layer are a gigabyte.
    Edits nest: the outer one changes the probabilities first. A generator such as `text_to_latents` has to be walked
    within the block: it asks the network as it goes.

    Raises ValueError when no layer fits, when a layer has a processor whose work would be lost (an IP-Adapter's, say),
    and, within, when the batch does not fit ``pictures`` or ``change`` returns another shape.
    """
    check_function("change", change, "(probs, site) -> probs")
    if positions != math.inf:
        as_whole("positions", positions, "a whole number from 1 up: the positions of the largest grid to edit", 1)
    if pictures is not None:
        as_whole("pictures", pictures, "a whole number from 1 up", 1)
    bound = layers_of(unet, kind, layers)
    was = {name: layer.processor for name, layer in bound.items()}
    asked = {}

    def note(network, arguments, named):
        asked["t"] = named.get("timestep", arguments[1] if len(arguments) > 1 else None)

    hook = unet.register_forward_pre_hook(note, with_kwargs=True)
    try:
        for name, layer in bound.items():
            layer.set_processor(Processor(name, kind_of(layer), change, pictures, positions, was[name], asked))
        yield
    finally:
        hook.remove()
        for name, processor in was.items():
            bound[name].set_processor(processor)


def layers_of(unet: torch.nn.Module, kind: str = "cross", layers: str = "") -> dict[str, Any]:
    """The attention layers that an `edit` of this kind binds to: {name: layer}. Raises ValueError as `edit` does."""
    check_text("layers", layers)
    if not isinstance(unet, torch.nn.Module):
        raise ValueError(f"unet={unet!r} must be a network: pass model.unet")
    if kind not in KINDS:
        raise ValueError(f"kind={kind!r} is unknown: choose one of {', '.join(KINDS)}")
    every = {name: layer for name, layer in unet.named_modules() if hasattr(layer, "is_cross_attention")}
    bound = {name: layer for name, layer in every.items() if layers in name and kind in (kind_of(layer), "both")}
    if not bound:
        raise ValueError(
            f"this edit binds to no layer: kind={kind!r}, layers={layers!r}; the network has "
            + (", ".join(f"{name} ({kind_of(layer)})" for name, layer in every.items()) or "no attention at all")
        )
    for name, layer in bound.items():
        known = isinstance(layer.processor, Processor) or type(layer.processor).__name__ in PLAIN
        if not known or normalizes(layer):
            processor = type(layer.processor).__name__
            raise ValueError(f"{name} has a {processor} that does more than plain attention: remove it")
    return bound


def kind_of(layer):
    """ "cross" or "self"."""
    return "cross" if layer.is_cross_attention else "self"


def normalizes(layer):
    """Whether the layer does more than plain attention between its input and its output."""
    extras = (layer.spatial_norm, layer.group_norm, layer.norm_cross, layer.norm_q, layer.norm_k)
    return any(extra is not None for extra in extras) or layer.residual_connection or layer.rescale_output_factor != 1


@contextmanager
def record(
    unet: torch.nn.Module,
    *,
    kind: str = "cross",
    layers: str = "",
    pictures: int | None = 1,
    positions: float = math.inf,
):
    """While this lasts, keep what attention does. Gives a dict: maps[layer][call] is (pictures, positions, tokens).

    The mean over the heads, on the CPU; with guidance, that of the text's half of the batch. Arguments and errors as
    in `edit`. Recording within an edit keeps the edited probabilities.
    """
    maps = {}

    def keep(probs, site):
        maps.setdefault(site.layer, []).append(probs.detach().mean(1).cpu())
        return probs

    with edit(unet, keep, kind=kind, layers=layers, pictures=pictures, positions=positions):
        yield maps


def heat_map(maps, positions, size, *, picture=0, layers="", steps=slice(None)):
    """Where in the picture some tokens are looked at: (height, width), mean probability over tokens, layers and steps.

    maps: from `record`. positions: of tokens, from `token_positions`.
    size: (height, width) of the picture, or one number for a square; every layer's grid is stretched to it.
    picture: which of the batch. layers: only those whose name contains this. steps: a slice, such as slice(0, 5).
    Raises ValueError when that leaves nothing, for positions that no token has, and for a size of another shape.
    """
    height, width = as_size((size, size) if isinstance(size, Integral) else size)
    check_text("layers", layers)
    if not isinstance(maps, dict):
        raise ValueError(f"maps={maps!r} must be what `record` gives: with record(model.unet) as maps")
    if not isinstance(steps, slice):
        raise ValueError(f"steps={steps!r} must be a slice: slice(3, 4) is the fourth step alone")
    chosen = [calls[steps] for name, calls in maps.items() if layers in name and calls[steps]]
    if not chosen:
        have = ", ".join(f"{name} ({len(calls)} steps)" for name, calls in maps.items()) or "nothing"
        raise ValueError(f"no map of layers={layers!r}, steps={steps}: recorded is {have}")
    pictures, _, tokens = chosen[0][0].shape
    check_positions(positions, tokens)
    as_whole("picture", picture, f"one that is there: {pictures} were recorded, counted from 0", 0, pictures - 1)
    stretched = []
    for calls in chosen:
        looked = torch.stack([probs[picture][:, positions].mean(-1) for probs in calls]).mean(0)  # h*w
        h = round(math.sqrt(len(looked) * height / width))
        if h * round(h * width / height) != len(looked):
            raise ValueError(f"{len(looked)} positions do not form a grid of the shape {height} x {width}")
        grid = looked.reshape(1, 1, h, -1)
        stretched.append(F.interpolate(grid, (height, width), mode="bilinear", align_corners=False)[0, 0])
    heat = torch.stack(stretched).mean(0)
    check_finite("maps", heat)
    return heat


def token_positions(tokenizer, prompt, word):
    """Where the tokens of ``word`` (or several words) stand in the prompt's 77, every time it occurs: a list of int.

    Position 0 is the start token. Raises ValueError if the prompt, as far as the encoder reads it, lacks the word.
    """
    check_text("prompt", prompt)
    check_text("word", word)
    tokens = tokenizer(prompt, truncation=True).input_ids
    wanted = tokenizer(word, add_special_tokens=False).input_ids
    starts = [i for i in range(len(tokens)) if wanted and tokens[i : i + len(wanted)] == wanted]
    if not starts:
        read = tokenizer.decode(tokens, skip_special_tokens=True)
        raise ValueError(f"the prompt has no {word!r}; the encoder reads {read!r}")
    return [i + offset for i in starts for offset in range(len(wanted))]


def check_positions(positions, tokens):
    """Raises ValueError unless these are positions of some, but not all, of so many tokens."""
    if not isinstance(positions, Collection) or not 0 < len(positions) < tokens:
        raise ValueError(f"positions={positions!r} must name some, but not all, of the {tokens} tokens from 0 up")
    for position in positions:
        as_whole("position", position, f"one of the {tokens} tokens from 0 up", 0, tokens - 1)


# -- changes ----------------------------------------------------------------------------------------------------------


def silence(positions):
    """A change: these tokens are no longer looked at; the others divide up their probability, in proportion.

    A position that looked at nothing else (after another change, say) gets nothing.
    """

    def silenced(probs, site):
        check_positions(positions, probs.shape[-1])
        heard = probs.index_fill(-1, torch.tensor(positions, device=probs.device), 0)
        return heard / heard.sum(-1, keepdim=True).clamp_min(1e-30)

    return silenced


def swap(first, second):
    """A change: whatever looked at ``first`` looks at ``second`` instead, and vice versa: lists of equal length.

    It is the same as leaving the probabilities alone and exchanging the tokens' values.
    """
    both = [*first, *second] if isinstance(first, list) and isinstance(second, list) else []
    if not both or len(first) != len(second) or len(set(map(str, both))) < len(both):
        raise ValueError(f"cannot swap positions {first} with {second}: two lists of one length, with none in common")

    def swapped(probs, site):
        check_positions(first, probs.shape[-1])
        check_positions(second, probs.shape[-1])
        order = torch.arange(probs.shape[-1], device=probs.device)
        order[first + second] = order[second + first]
        return probs[..., order]

    return swapped

"""softmax(Q K^T / sqrt(d)) V against the U-Net's own attention."""

from collections.abc import Iterator

from difflab.attention import edit
from difflab.inputs import noise
from difflab.parity.peers import PROMPTS
from difflab.parity.row import Row, compared
from difflab.parity.weights import Weights

PEER = "AttnProcessor2_0"


def compare(weights: Weights) -> Iterator[Row]:
    """Layer by layer, on what each was given; and the whole network's answer with our processor in every layer."""
    model, given = weights.model, {}

    def remember(layer, arguments, keywords, answer):
        given[layer] = (arguments, keywords, answer)

    layers = [layer for layer in model.unet.modules() if hasattr(layer, "set_processor")]
    hooks = [layer.register_forward_hook(remember, with_kwargs=True) for layer in layers]
    x, text = noise((2, *model.latent_shape), seed=0), model.encode_text(PROMPTS)
    try:
        theirs = model.predict_noise(x, 500, text)
    finally:
        for hook in hooks:
            hook.remove()
    with edit(model.unet, lambda probs, site: probs, kind="both", pictures=2):
        ours = model.predict_noise(x, 500, text)
        by_layer = [layer(*arguments, **keywords) for layer, (arguments, keywords, _) in given.items()]
    answers = [answer for *_, answer in given.values()]
    yield compared(f"attention, each of {len(layers)} layers, {weights.label}", PEER, by_layer, answers, 1e-5)
    yield compared(f"attention, the whole U-Net, {weights.label}", PEER, ours, theirs, 1e-5)

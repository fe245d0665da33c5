"""Wrong answers to the exercises of chapter 4: (exercise, words that the check must say, the answer)."""

WRONG = [
    ("attend", "do not add up to 1", """
def attend(q, k, v, heads):
    q, k, v = (y.reshape(len(y), heads, -1, y.shape[-1] // heads) for y in (q, k, v))
    probs = (q @ k.mT).softmax(dim=-2)
    return (probs @ v).reshape(len(q), q.shape[2], -1)
"""),
    ("attend", "do not add up to 1", """
def attend(q, k, v, heads):
    q, k, v = (y.unflatten(-1, (heads, -1)).transpose(1, 2) for y in (q, k, v))
    probs = (q @ k.mT / math.sqrt(q.shape[-1])).softmax(dim=-2)
    return (probs @ v).transpose(1, 2).flatten(2)
"""),
    ("attend", "scores grow with the width", """
def attend(q, k, v, heads):
    q, k, v = (y.unflatten(-1, (heads, -1)).transpose(1, 2) for y in (q, k, v))
    return ((q @ k.mT).softmax(dim=-1) @ v).transpose(1, 2).flatten(2)
"""),
    ("attend", "too flat", """
def attend(q, k, v, heads):
    q, k, v = (y.unflatten(-1, (heads, -1)).transpose(1, 2) for y in (q, k, v))
    return ((q @ k.mT / q.shape[-1]).softmax(dim=-1) @ v).transpose(1, 2).flatten(2)
"""),
    ("attend", "positions in another order", """
def attend(q, k, v, heads):
    n = q.shape[1]
    q, k, v = (y.reshape(len(y), heads, -1, y.shape[-1] // heads) for y in (q, k, v))
    out = (q @ k.mT / math.sqrt(q.shape[-1])).softmax(dim=-1) @ v
    return out.reshape(len(q), n, -1)
"""),
    ("attend", "positions in another order", """
def attend(q, k, v, heads):
    n = q.shape[1]
    q, k, v = (y.unflatten(-1, (heads, -1)).transpose(1, 2) for y in (q, k, v))
    out = (q @ k.mT / math.sqrt(q.shape[-1])).softmax(dim=-1) @ v
    return out.reshape(len(q), n, -1)
"""),
    ("attend", "by which length", """
def attend(q, k, v, heads):
    width = q.shape[-1]
    q, k, v = (y.unflatten(-1, (heads, -1)).transpose(1, 2) for y in (q, k, v))
    return ((q @ k.mT / math.sqrt(width)).softmax(dim=-1) @ v).transpose(1, 2).flatten(2)
"""),
    ("attend", "second half reaches", """
def attend(q, k, v, heads):
    q, k, v = (y.unflatten(-1, (-1, heads)).movedim(-1, 1) for y in (q, k, v))
    return ((q @ k.mT / math.sqrt(q.shape[-1])).softmax(dim=-1) @ v).transpose(1, 2).flatten(2)
"""),
    ("patched", "at work nowhere", """
@contextmanager
def patched(network, processor):
    layers = [module for module in network.modules() if type(module).__name__ == "CrossAttention"]
    before = [layer.processor for layer in layers]
    try:
        for layer in layers:
            layer.processor = processor
        yield
    finally:
        for layer, own in zip(layers, before):
            layer.processor = own
"""),
    ("patched", "not at work in every", """
@contextmanager
def patched(network, processor):
    layers = [m for m in network.modules() if type(m).__name__ == "Attention" and m.is_cross_attention]
    if not layers:
        raise ValueError("nothing to edit: the network has no cross-attention layer")
    before = [layer.processor for layer in layers]
    try:
        for layer in layers:
            layer.processor = processor
        yield
    finally:
        for layer, own in zip(layers, before):
            layer.processor = own
"""),
    ("patched", "self-attention layer as well", """
@contextmanager
def patched(network, processor):
    layers = [module for module in network.modules() if hasattr(module, "processor")]
    for layer in layers:
        layer.processor = processor
    yield
"""),
    ("patched", "still there", """
@contextmanager
def patched(network, processor):
    layers = [m for m in network.modules() if getattr(m, "is_cross_attention", False)]
    if not layers:
        raise ValueError("nothing to edit: the network has no cross-attention layer")
    for layer in layers:
        layer.processor = processor
    yield
"""),
    ("patched", "its own processor back", """
@contextmanager
def patched(network, processor):
    layers = [m for m in network.modules() if getattr(m, "is_cross_attention", False)]
    if not layers:
        raise ValueError("nothing to edit: the network has no cross-attention layer")
    before = layers[0].processor
    try:
        for layer in layers:
            layer.processor = processor
        yield
    finally:
        for layer in layers:
            layer.processor = before
"""),
    ("patched", "stays edited", """
@contextmanager
def patched(network, processor):
    layers = [m for m in network.modules() if getattr(m, "is_cross_attention", False)]
    if not layers:
        raise ValueError("nothing to edit: the network has no cross-attention layer")
    before = [layer.processor for layer in layers]
    for layer in layers:
        layer.processor = processor
    yield
    for layer, own in zip(layers, before):
        layer.processor = own
"""),
    ("patched", "ran all the same", """
@contextmanager
def patched(network, processor):
    layers = [m for m in network.modules() if getattr(m, "is_cross_attention", False)]
    before = [layer.processor for layer in layers]
    try:
        for layer in layers:
            layer.processor = processor
        yield
    finally:
        for layer, own in zip(layers, before):
            layer.processor = own
"""),
    ("patched", "swallowed", """
@contextmanager
def patched(network, processor):
    layers = [m for m in network.modules() if getattr(m, "is_cross_attention", False)]
    if not layers:
        raise ValueError("nothing to edit: the network has no cross-attention layer")
    before = [layer.processor for layer in layers]
    for layer in layers:
        layer.processor = processor
    try:
        yield
    except Exception:
        pass
    for layer, own in zip(layers, before):
        layer.processor = own
"""),
    ("louder", "written into", """
def louder(positions, factor):
    def change(probs, site):
        probs[..., positions] *= factor
        return probs

    return change
"""),
    ("louder", "other tokens changed", """
def louder(positions, factor):
    def change(probs, site):
        changed = probs.clone()
        changed[..., positions] *= factor
        return changed / changed.sum(-1, keepdim=True)

    return change
"""),
    ("louder", "other tokens changed", """
def louder(positions, factor):
    def change(probs, site):
        changed = probs.clone()
        changed[..., positions, :] *= factor
        return changed

    return change
"""),
    ("louder", "not times the factor", """
def louder(positions, factor):
    def change(probs, site):
        changed = probs.clone()
        changed[..., positions] += factor
        return changed

    return change
"""),
    ("louder", "must return a function", """
def louder(positions, factor):
    def change(probs, site):
        scale = torch.ones(probs.shape[-1])
        scale[positions] = factor
        return probs * scale
"""),
    ("louder", "as many probabilities", """
def louder(positions, factor):
    def change(probs, site):
        return probs[..., positions] * factor

    return change
"""),
]  # fmt: skip

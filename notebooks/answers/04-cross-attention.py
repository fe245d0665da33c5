# Answers and hidden checks of chapter 4, laid out as CONTRIBUTING.md says.

# %% attend
def attend(q, k, v, heads):
    q, k, v = (y.unflatten(-1, (heads, -1)).transpose(1, 2) for y in (q, k, v))
    probs = (q @ k.mT / math.sqrt(q.shape[-1])).softmax(dim=-1)
    return (probs @ v).transpose(1, 2).flatten(2)

# %% attend-hidden
for heads in (1, 2, 4, 8):
    q, k, v = (
        random(3, 7, 16, seed=5),
        random(3, 4, 16, seed=6),
        random(3, 4, 16, seed=7),
    )
    cut = [y.reshape(3, -1, heads, 16 // heads).transpose(1, 2) for y in (q, k, v)]
    wanted = (
        nn.functional.scaled_dot_product_attention(*cut)
        .transpose(1, 2)
        .reshape(3, 7, 16)
    )
    expect_close(attend(q, k, v, heads), wanted, f"{heads} heads: wrong")

# %% patched
@contextmanager
def patched(network, processor):
    layers = [m for m in network.modules() if getattr(m, "is_cross_attention", False)]
    if not layers:
        raise ValueError("nothing to edit: the network has no cross-attention layer")
    before = [layer.processor for layer in layers]
    try:
        for layer in layers:
            layer.processor = processor
        yield
    finally:
        for layer, own in zip(layers, before, strict=True):
            layer.processor = own

# %% patched-hidden
network, outer, inner = toy_network(), object(), object()
before = at_work(network)
with patched(network, outer):
    with patched(network, inner):
        assert at_work(network)[1:] == [inner, inner], (
            "of two nested blocks, the inner one is at work"
        )
    assert at_work(network)[1:] == [outer, outer], (
        "after the inner of two nested blocks, the outer one is at work again"
    )
assert at_work(network) == before, "after two nested blocks, something is left"

# %% louder
def louder(positions, factor):
    def change(probs, site):
        scale = torch.ones(probs.shape[-1], device=probs.device)
        scale[positions] = factor
        return probs * scale

    return change

# %% louder-hidden
probs = random(2, 3, 5, 77, seed=1).softmax(-1)
for positions, factor in (([1], 0.0), ([5, 6, 7], -2.0), ([76], 10.0)):
    scale = torch.tensor([factor if token in positions else 1.0 for token in range(77)])
    expect_close(
        louder(positions, factor)(probs, None), probs * scale, f"factor {factor}: wrong"
    )

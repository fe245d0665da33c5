"""What a computation takes: operations, counted without computing, and seconds."""

import time

import torch

from difflab.checks import as_whole, check_function


def flops(module, *inputs):
    """Floating point operations of one call: {"convolution": n, "linear": n, ...}, attention in two kinds.

    A multiplication and an addition count as two. Nothing is computed: weights and inputs go to torch's meta device,
    where a tensor has a shape and no memory, so a model of any size can be counted on any machine.
    Attention means the two matrix products of positions with positions (or with words), not the projections around
    them, which are linear. diffusers calls the layers that look at words ``attn2``.
    """
    from torch.nn.attention import SDPBackend, sdpa_kernel
    from torch.utils.flop_counter import FlopCounterMode

    def shape_of(x):  # one precision for all, as weights and inputs may differ in theirs
        return x.to("meta").float() if x.is_floating_point() else x.to("meta")

    weights = {name: shape_of(w) for name, w in (*module.named_parameters(), *module.named_buffers())}
    inputs = tuple(shape_of(x) if isinstance(x, torch.Tensor) else x for x in inputs)
    with FlopCounterMode(display=False) as counter, sdpa_kernel(SDPBackend.MATH), torch.no_grad():
        torch.func.functional_call(module, weights, inputs)
    by_module = {name: {str(op): n for op, n in counts.items()} for name, counts in counter.get_flop_counts().items()}
    total = by_module.get("Global", {})
    cross = sum(counts.get("aten.bmm", 0) for name, counts in by_module.items() if name.endswith("attn2"))
    return {
        "convolution": total.get("aten.convolution", 0),
        "linear": total.get("aten.addmm", 0) + total.get("aten.mm", 0),
        "self-attention": total.get("aten.bmm", 0) + total.get("aten.baddbmm", 0) - cross,
        "cross-attention": cross,
    }


@torch.inference_mode()
def seconds(call, repeats=5):
    """How long ``call()`` takes: the shortest of ``repeats`` runs, so that a first call's preparations do not count."""
    check_function("call", call, "of no arguments")
    repeats = as_whole("repeats", repeats, "a whole number from 1 to 1000", 1, 1000)
    times = []
    for _ in range(repeats):
        began = time.perf_counter()
        call()
        if torch.cuda.is_available():
            torch.cuda.synchronize()  # a GPU answers before it is done
        elif torch.backends.mps.is_available():
            torch.mps.synchronize()
        times.append(time.perf_counter() - began)
    return min(times)

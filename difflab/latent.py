"""What one does with latents: look at them, walk between them, and count what they save.

Latent diffusion is Rombach et al. 2022 (2112.10752). Pictures are float tensors (B, 3, H, W) in [-1, 1], latents
(B, C, h, w) as `LatentDiffusion.encode_image` gives them, scaled to unit variance.
"""

import time

import torch


def psnr(rebuilt, original, where=None):
    """Peak signal-to-noise ratio in dB of each picture, 20 log10(2 / root of the mean squared error): (B,).

    rebuilt: (B, 3, H, W), cut to [-1, 1] first, as it would be for the eye. original: the same shape, in [-1, 1].
    where: (B, H, W) bool, the pixels that count; NaN comes of a picture that has none. None counts all.
    Equal pictures come to 106 dB, because an error below 1e-10 is taken for 1e-10.
    """
    if rebuilt.shape != original.shape:
        raise ValueError(f"psnr compares pictures of one shape, got {tuple(rebuilt.shape)} and {tuple(original.shape)}")
    error = ((rebuilt.clamp(-1, 1) - original) ** 2).mean(1)  # B, H, W
    counts = torch.ones_like(error) if where is None else torch.as_tensor(where).to(error)
    if counts.shape != error.shape:
        raise ValueError(f"where must be {tuple(error.shape)}, one yes or no for each pixel, not {tuple(counts.shape)}")
    error = (error * counts).sum((1, 2)) / counts.sum((1, 2))  # B
    return 10 * torch.log10(4 / error.clamp_min(1e-10))


def channels_as_pictures(latents, limit=3.0):
    """Each channel as a gray picture: black at -limit, white at limit. A list of B * C uint8 arrays (h, w)."""
    gray = ((latents.float() / limit).clamp(-1, 1) * 127.5 + 127.5).round().to(torch.uint8)
    return list(gray.flatten(0, 1).cpu().numpy())


def fit_preview(latents, pictures):
    """The linear map from a latent's channels to the mean color of the pixels behind it: weights (C + 1, 3).

    Least squares over all positions of latents (B, C, h, w) and their pictures (B, 3, H, W); the last row is what is
    added. Twenty pictures are plenty: there are only 3 (C + 1) numbers to find.
    """
    small = torch.nn.functional.adaptive_avg_pool2d(pictures.float(), latents.shape[-2:])  # B, 3, h, w
    return torch.linalg.lstsq(with_ones(latents).flatten(0, 2), small.permute(0, 2, 3, 1).flatten(0, 2)).solution


def preview(latents, weights):
    """Small pictures (B, 3, h, w) in [-1, 1] straight from latents, without the decoder: weights from `fit_preview`."""
    return (with_ones(latents) @ weights).permute(0, 3, 1, 2)


def with_ones(latents):
    """Latents with the channels last and a channel of ones: (B, h, w, C + 1)."""
    z = latents.float().movedim(1, -1)
    return torch.cat([z, torch.ones_like(z[..., :1])], dim=-1)


def slerp(a, b, weight):
    """From a (weight 0) to b (weight 1) on the arc between them, each picture of the batch for itself (Shoemake 1985).

    a, b: (B, ...), of one shape. For two draws of N(0, I), whose lengths are nearly equal, every point on the way has
    that length too; on the straight line the one in the middle is shorter by the root of two.
    """
    if a.shape != b.shape:
        raise ValueError(f"slerp goes between tensors of one shape, got {tuple(a.shape)} and {tuple(b.shape)}")
    unit_a, unit_b = (torch.nn.functional.normalize(v.flatten(1).float(), dim=1) for v in (a, b))  # B, n
    angle = (unit_a * unit_b).sum(1).clamp(-1, 1).acos().reshape(-1, *[1] * (a.ndim - 1))  # B, 1, ...
    if bool((angle > torch.pi - 1e-4).any()):
        raise ValueError("a and b point in opposite directions: between them there is no one shortest arc")
    # sin(w angle) / sin(angle), written so that it is w where the two directions are one
    arc = torch.sinc(angle / torch.pi)
    share_a, share_b = (w * torch.sinc(w * angle / torch.pi) / arc for w in (1 - weight, weight))
    return (share_a * a + share_b * b).to(a.dtype)


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
    if repeats < 1:
        raise ValueError(f"repeats={repeats} must be at least 1")
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

"""What one does with latents: look at them, walk between them, and count what they save.

Latent diffusion is Rombach et al. 2022 (2112.10752). Pictures are float tensors (B, 3, H, W) in [-1, 1], latents
(B, C, h, w) as `LatentDiffusion.encode_image` gives them, scaled to unit variance.
"""

import torch

from difflab.checks import ABOVE_0, as_number, check_tensor


def channels_as_pictures(latents, limit=3.0):
    """Each channel as a gray picture: black at -limit, white at limit. A list of B * C uint8 arrays (h, w).

    Raises ValueError, as all functions here do, for tensors of another shape, for NaN, and for a limit not above 0.
    """
    check_tensor("latents", latents, "B", "C", "h", "w")
    limit = as_number("limit", limit, "a number above 0", ABOVE_0)
    gray = ((latents.float() / limit).clamp(-1, 1) * 127.5 + 127.5).round().to(torch.uint8)
    return list(gray.flatten(0, 1).cpu().numpy())


def fit_preview(latents, pictures):
    """The linear map from a latent's channels to the mean color of the pixels behind it: weights (C + 1, 3).

    Least squares over all positions of latents (B, C, h, w) and their pictures (B, 3, H, W); the last row is what is
    added. Twenty pictures are plenty: there are only 3 (C + 1) numbers to find.
    """
    z = with_ones(latents)
    check_tensor("pictures", pictures, len(latents), 3, "H", "W")
    small = torch.nn.functional.adaptive_avg_pool2d(pictures.float(), latents.shape[-2:])  # B, 3, h, w
    return torch.linalg.lstsq(z.flatten(0, 2), small.permute(0, 2, 3, 1).flatten(0, 2)).solution


def preview(latents, weights):
    """Small pictures (B, 3, h, w) in [-1, 1] straight from latents, without the decoder: weights from `fit_preview`."""
    z = with_ones(latents)
    check_tensor("weights", weights, z.shape[-1], 3)
    return (z @ weights).permute(0, 3, 1, 2)


def with_ones(latents):
    """Latents with the channels last and a channel of ones: (B, h, w, C + 1)."""
    check_tensor("latents", latents, "B", "C", "h", "w")
    z = latents.float().movedim(1, -1)
    return torch.cat([z, torch.ones_like(z[..., :1])], dim=-1)


def slerp(a, b, weight):
    """From a (weight 0) to b (weight 1) on the arc between them, each picture of the batch for itself (Shoemake 1985).

    a, b: (B, ...), of one shape. For two draws of N(0, I), whose lengths are nearly equal, every point on the way has
    that length too; on the straight line the one in the middle is shorter by the root of two.
    """
    check_tensor("a", a)
    check_tensor("b", b)
    weight = as_number("weight", weight)
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



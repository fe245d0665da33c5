"""How far apart two pictures are, in numbers."""

import numpy as np
import torch

from difflab.inputs import as_arrays
from difflab.masks import as_mask


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


def seam(image, mask):
    """How steep a picture is across the edge of a mask: the mean difference, of 255, between neighbors on either side.

    Divide it by what the true picture has there: 1 is a seam that is not to be seen.
    """
    (pixels,) = as_arrays(image)
    hole = as_mask(mask, pixels.shape[:2])[0, 0].numpy() >= 0.5
    pixels = pixels.astype(np.float32)
    steps = [
        np.abs(np.diff(pixels, axis=axis)).mean(-1)[np.diff(hole.astype(np.int8), axis=axis) != 0] for axis in (0, 1)
    ]
    return float(np.concatenate(steps).mean())

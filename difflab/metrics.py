"""How far apart two pictures are, in numbers.

Pictures are one or a list of PIL images or uint8 arrays (H, W, 3), or a tensor (B, 3, H, W) in [-1, 1]; the two sides
of a comparison need not be given in the same way. Masks are (H, W), in a list or with the batch first.
"""

import numpy as np
import torch
from torch import Tensor

from difflab.checks import as_number, check_finite, check_tensor
from difflab.inputs import as_array, as_arrays
from difflab.masks import as_mask


def psnr(pictures, originals, where=None, least: float = 0.0) -> Tensor:
    """Peak signal-to-noise ratio of each picture, 20 log10(2 / root of the mean squared error): (B,), in dB.

    pictures, originals: as above, of one shape. Tensors of the first are cut to [-1, 1], as they would be for the eye.
    where: (B, H, W) bool, the pixels that count, such as those outside of an edit's change; None counts all.
    least: of the pixels, the fraction that has to count: NaN comes of a picture where fewer do, and where none does.
    Equal pictures come to 106 dB, because an error below 1e-10 is taken for 1e-10. Raises ValueError for what is no
    picture, and for shapes that do not fit.
    """
    pictures = as_tensor(pictures)
    originals = as_tensor(originals).to(pictures.device)
    if pictures.shape != originals.shape:
        raise ValueError(f"psnr compares pictures of one shape, got {tuple(pictures.shape)}, {tuple(originals.shape)}")
    error = ((pictures.clamp(-1, 1) - originals) ** 2).mean(1)  # B, H, W
    counts = torch.ones_like(error) if where is None else as_counts(where).to(error)
    check_finite("where", counts)
    least = as_number("least", least, "a fraction of the pixels, from 0 to 1", 0, 1)
    if counts.shape != error.shape:
        raise ValueError(f"where must be {tuple(error.shape)}, one yes or no for each pixel, not {tuple(counts.shape)}")
    error = (error * counts).sum((1, 2)) / counts.sum((1, 2))  # B
    decibels = 10 * torch.log10(4 / error.clamp_min(1e-10))
    return decibels.where(counts.mean((1, 2)) >= least, torch.nan)


def seam(picture, mask) -> float:
    """How steep a picture is across the edge of a mask: the mean difference, of 255, between neighbors on either side.

    picture: a PIL image or a uint8 array (H, W, 3). mask: as everywhere in `difflab.masks`, with a hole, and not full.
    """
    pixels = as_array(picture)
    hole = as_mask(mask, pixels.shape[:2])[0, 0].numpy() >= 0.5
    pixels = pixels.astype(np.float32)
    steps = [
        np.abs(np.diff(pixels, axis=axis)).mean(-1)[np.diff(hole.astype(np.int8), axis=axis) != 0] for axis in (0, 1)
    ]
    return float(np.concatenate(steps).mean())


def seam_ratio(pictures, truths, masks) -> float:
    """How steep pictures are across the edges of their masks, beside what the true pictures are there: 1 is a seam that
    is not to be seen. Lists, as many of each. One ratio for all, so that a single flat background does not decide."""
    steep = [sum(seam(*each) for each in zip(side, masks, strict=True)) for side in (pictures, truths)]
    return steep[0] / steep[1]


def as_tensor(pictures) -> Tensor:
    """Pictures as floats (B, 3, H, W) in [-1, 1]. Raises ValueError for anything else, and for two sizes."""
    if isinstance(pictures, Tensor):
        check_tensor("pictures", pictures, "B", "C", "H", "W")
        return pictures.float()
    arrays = as_arrays(pictures)
    if len({array.shape for array in arrays}) > 1:
        raise ValueError("the pictures have different sizes: measure those of one size together")
    return torch.from_numpy(np.stack(arrays)).permute(0, 3, 1, 2).float() / 127.5 - 1


def as_counts(where) -> Tensor:
    """Masks (H, W), in a list or with the batch first, as a tensor (B, H, W)."""
    return where if isinstance(where, Tensor) else torch.from_numpy(np.stack([np.asarray(each) for each in where]))

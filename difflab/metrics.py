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


# -- what a control asked for: depth, classes, joints; edges are compared by `world.room.edge_f1` ---------------------

FAR = 0.05  # below this nearness everything is equally far, at 20 times the distance of the nearest


def depth_error(nearness, true_nearness) -> np.ndarray:
    """The scale-invariant error of depth, for each picture: the root of the variance of log d - log d* over its pixels,
    so that a depth that is wrong by one factor everywhere is right (Eigen et al. 2014, 1406.2283, Eq. 3): (B,), from 0.

    nearness, true_nearness: (B, H, W) in [0, 1], 1 in front; distance is 1 / nearness, 20 at most. Raises ValueError
    for other numbers and for shapes that do not fit.
    """
    return np.log(as_distance("nearness", nearness) / as_distance("true_nearness", true_nearness)).std(axis=(1, 2))


def depth_within(nearness, true_nearness, factor: float = 1.25) -> np.ndarray:
    """The fraction of each picture's pixels whose distance is right to within a factor, delta < 1.25 (ibid.): (B,).
    Arguments as for `depth_error`."""
    factor = as_number("factor", factor, "a number above 1", np.nextafter(1, 2))
    ratio = as_distance("nearness", nearness) / as_distance("true_nearness", true_nearness)
    return (np.maximum(ratio, 1 / ratio) < factor).mean(axis=(1, 2))


def as_distance(name: str, nearness) -> np.ndarray:
    """Nearness (B, H, W) in [0, 1] as distance, 1 to 20. Raises ValueError for anything else."""
    nearness = np.asarray(nearness, np.float64)
    if nearness.ndim != 3 or not nearness.size or not (0 <= nearness.min() <= nearness.max() <= 1):
        raise ValueError(f"{name} of shape {nearness.shape} must be (B, H, W), each number from 0 to 1")
    return 1 / np.maximum(nearness, FAR)


def mean_iou(classes, true_classes) -> float:
    """How well pictures are divided into classes, as they should be: for every class what both call so, over what
    either does, in all pictures together; the mean over the classes that occur in either.

    classes, true_classes: (B, H, W) whole numbers. Raises ValueError for shapes that do not fit.
    """
    classes, true_classes = np.asarray(classes), np.asarray(true_classes)
    if classes.shape != true_classes.shape or not classes.size:
        raise ValueError(f"mean_iou compares classes of one shape, got {classes.shape}, {true_classes.shape}")
    return float(
        np.mean(
            [
                ((classes == number) & (true_classes == number)).sum()
                / ((classes == number) | (true_classes == number)).sum()
                for number in np.union1d(classes, true_classes)
            ]
        )
    )


def pck(joints, true_joints, fraction: float = 0.1) -> float:
    """The fraction of joints that are where they should be, to within ``fraction`` of the figure's height: PCK@0.1
    (Yang and Ramanan 2013). The height is the longer side of the box around a figure's true joints.

    joints: for every picture (14, 2) in pixels, or None, where no figure was found and so no joint is right.
    true_joints: for every picture (14, 2), NaN where a joint is not asked for. Raises ValueError for another number of
    pictures, and where nothing is asked.
    """
    if len(joints) != len(true_joints):
        raise ValueError(f"{len(joints)} figures for {len(true_joints)} true ones: give one for each, or None")
    fraction = as_number("fraction", fraction, "a fraction of the height, above 0", np.nextafter(0, 1))
    right = asked = 0
    for found, true in zip(joints, true_joints, strict=True):
        known = np.asarray(true)[~np.isnan(true).any(-1)]
        asked += len(known)
        if found is not None and len(known):
            away = np.linalg.norm(np.asarray(found)[~np.isnan(true).any(-1)] - known, axis=-1)
            right += (away <= fraction * np.ptp(known, axis=0).max()).sum()
    if not asked:
        raise ValueError("pck has no joint to look for: true_joints must have numbers")
    return float(right / asked)

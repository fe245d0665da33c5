"""How far apart two pictures are, in numbers.

Pictures are one or a list of PIL images or uint8 arrays (H, W, 3), or a tensor (B, 3, H, W) in [-1, 1]; the two sides
of a comparison need not be given in the same way. Masks are (H, W), in a list or with the batch first.
"""

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import avg_pool2d, grid_sample

from difflab.checks import as_number, as_whole, check_finite, check_tensor
from difflab.inputs import as_array, as_arrays, to_tensor
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
    return to_tensor(arrays)


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


# -- films: frames one after another, given as pictures are; their true flow is `world.motion.truth`'s -----------------

SEEN = 8 / 255  # a change from frame to frame that is smaller is none, as a part of the range of colors


def warped(frames, flow) -> Tensor:
    """Frame i + 1 of a film, read where the flow of frame i leads: frame i once more, but for what is hidden in
    frame i + 1, and bilinearly between pixels: (F - 1, 3, H, W) in [-1, 1].

    frames: F pictures. flow: (F - 1, 2, H, W) in pixels, x to the right and y down. Raises ValueError for fewer than 2
    frames and for a flow that does not fit.
    """
    frames = as_film(frames)
    flow = torch.as_tensor(flow, dtype=torch.float32, device=frames.device)
    (count, _, height, width), shape = frames.shape, tuple(flow.shape)
    if shape != (count - 1, 2, height, width):
        raise ValueError(f"flow must be {(count - 1, 2, height, width)}, from each frame to the next, not {shape}")
    check_finite("flow", flow)
    return read_at(frames[1:], flow)


def warp_error(frames, flow, occluded) -> Tensor:
    """How far each frame is from the next one along the flow: the mean difference, of 255, between frame i and frame
    i + 1 read where the flow leads, where that is not occluded (Lai et al. 2018, 1808.00449, Section 4.2, which squares
    it): (F - 1,). Low is steady; a still picture is steadiest, so ask `motion_along`, too.

    frames, flow: as in `warped`. occluded: (F - 1, H, W) bool. NaN where all is occluded. Raises ValueError for shapes
    that do not fit.
    """
    frames = as_film(frames)
    away = (warped(frames, flow) - frames[:-1]).abs().mean(1) * 127.5  # F - 1, H, W
    seen = ~torch.as_tensor(occluded, dtype=torch.bool, device=away.device)
    if seen.shape != away.shape:
        raise ValueError(f"occluded must be {tuple(away.shape)}, one yes or no for each pixel, not {tuple(seen.shape)}")
    return (away * seen).sum((1, 2)) / seen.sum((1, 2))


def flicker(frames, where) -> float:
    """How much a film changes where nothing moves: the standard deviation over time of each pixel, of 255, as a mean
    over the pixels and colors that count.

    frames: F pictures. where: (H, W) bool, the pixels that count, such as those outside of all masks of all frames.
    Raises ValueError for another shape, and where no pixel counts.
    """
    frames = as_film(frames)
    where = torch.as_tensor(where, dtype=torch.bool, device=frames.device)
    if where.shape != frames.shape[2:] or not where.any():
        raise ValueError(f"where must be {tuple(frames.shape[2:])} bool with a True, not {tuple(where.shape)}")
    return float((frames * 127.5).std(0, correction=0)[:, where].mean())


def motion_along(frames, direction, reach: float = 16, window: int = 9) -> Tensor:
    """How far what moves goes in a direction, from each frame to the next, in pixels: (F - 1,), below 0 if it goes the
    other way. A still picture goes nowhere, and neither does noise: so it cannot win.

    Every step along the direction is tried on every pixel, in halves of a pixel, and that taken by which a window
    around it fits the next frame best (block matching along a line). The mean is over the pixels that change, and
    whose change such a step explains by more than half; 0 where fewer than one in 500 are.

    frames: F pictures. direction: (x, y), x to the right and y down, of any length above 0; or (2, H, W), one for every
    pixel, as for what comes nearer. reach: the longest step, in pixels. window: its side, an odd number of pixels.
    Raises ValueError for another shape, a direction of no length, and settings out of range.
    """
    frames = as_film(frames)
    reach = as_number("reach", reach, "a number of pixels from 1 to 256", 1, 256)
    window = as_whole("window", window, "an odd number of pixels from 3 to 99", 3, 99)
    if window % 2 == 0:
        raise ValueError(f"window={window} must be an odd number of pixels from 3 to 99")
    ahead = as_direction(direction, frames)
    steps = torch.arange(-int(2 * reach), int(2 * reach) + 1, device=frames.device) / 2
    best, least, still = torch.zeros(3, len(frames) - 1, *frames.shape[2:], device=frames.device)
    least += torch.inf
    for step in sorted(steps.tolist(), key=abs):  # of two that fit as well, the shorter
        cost = (read_at(frames[1:], step * ahead.expand(len(frames) - 1, -1, -1, -1)) - frames[:-1]).abs().mean(1) / 2
        cost = avg_pool2d(cost[:, None], window, 1, window // 2, count_include_pad=False)[:, 0]
        still = cost if step == 0 else still
        best, least = torch.where(cost < least, step, best), torch.minimum(cost, least)
    moved = (still > SEEN) & (least < still / 2)
    enough = moved.float().mean((1, 2)) >= 1 / 500
    return ((best * moved).sum((1, 2)) / moved.sum((1, 2))).where(enough, 0.0)


def read_at(pictures: Tensor, flow: Tensor) -> Tensor:
    """Pictures (B, C, H, W) read at every pixel + its flow (B, 2, H, W), bilinearly; beyond the edge is the edge."""
    height, width = pictures.shape[2:]
    rows, columns = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    at = torch.stack([columns, rows]).to(flow) + flow  # B, 2, H, W
    size = torch.tensor([width, height]).to(flow).view(2, 1, 1)
    return grid_sample(
        pictures, ((2 * at + 1) / size - 1).permute(0, 2, 3, 1), padding_mode="border", align_corners=False
    )


def as_film(frames) -> Tensor:
    """Frames as `as_tensor` gives pictures. Raises ValueError for fewer than 2."""
    frames = as_tensor(frames)
    if len(frames) < 2:
        raise ValueError("a film has 2 frames or more, and one was given")
    return frames


def as_direction(direction, frames: Tensor) -> Tensor:
    """A direction as steps of length 1 for every pixel: (1, 2, 1, 1) or (1, 2, H, W). Raises ValueError for others."""
    given = torch.as_tensor(direction, dtype=torch.float32, device=frames.device)
    if given.shape not in ((2,), (2, *frames.shape[2:])):
        raise ValueError(f"direction must be (x, y) or of shape {(2, *frames.shape[2:])}, not {tuple(given.shape)}")
    check_finite("direction", given)
    length = given.norm(dim=0)
    if not length.max() > 0:
        raise ValueError(f"direction={direction!r} leads nowhere: give one of a length above 0")
    ahead = (given / length.clamp_min(1e-12))[None]
    return ahead if given.ndim == 3 else ahead[..., None, None]

"""Masks: where a picture is to be filled in. 1 (or True, or white) is the hole, 0 is kept.

Outside, at picture size: a PIL picture in mode "1" or "L", or an array (H, W) of bool, uint8 from 0 to 255, or floats
from 0 to 1. Inside: float tensors (B, 1, H, W), and (B, 1, h, w) at the size of the latent. What lies between 0 and 1
is a soft edge; where a yes or no is needed, 0.5 and above is the hole.
"""

import numpy as np
import torch
from PIL import Image, ImageDraw

from difflab.checks import ABOVE_0, LONGEST, as_number, as_size, as_whole, check_tensor, check_text
from difflab.inputs import as_array, as_arrays


def as_mask(masks, size=None):
    """One mask or a list of them -> float (B, 1, H, W) in [0, 1]: where to fill.

    size: (H, W) of the pictures, or None for that of the first mask.

    Raises ValueError for a mask of another size, mode or range, for one without a hole, and for one that keeps nothing.
    """
    checked = as_weights(masks, size)
    if (checked.amax((1, 2, 3)) < 0.5).any():
        raise ValueError("the mask is empty: nothing reaches 0.5 (of 255, 128), so there is nothing to fill in")
    if (checked.amin((1, 2, 3)) >= 0.5).any():
        raise ValueError("the mask is full: nothing of the picture is kept; for a whole picture use text_to_image")
    return checked


def as_weights(masks, size=None):
    """One soft mask or a list of them -> float (B, 1, H, W) in [0, 1]: how much of the fill to take, wherever it lies.

    size: as in `as_mask`. Raises ValueError for one of another size, mode or range.
    """
    masks = masks if isinstance(masks, list | tuple) else [masks]
    if not masks:
        raise ValueError("there is no mask: pass one for all pictures, or one for each")
    first = _one(masks[0], None if size is None else as_size(size))
    return torch.stack([first, *(_one(mask, tuple(first.shape)) for mask in masks[1:])])[:, None]  # B, 1, H, W


def _one(mask, size):
    if isinstance(mask, Image.Image) and mask.mode not in ("1", "L"):
        raise ValueError(f"the mask's mode is {mask.mode!r}; use mask.convert('L'): white is filled in, black is kept")
    if not isinstance(mask, Image.Image | np.ndarray | torch.Tensor):
        raise ValueError(f"a mask is a PIL picture or an array (H, W), not {type(mask).__name__}")
    array = np.asarray(mask)
    if array.dtype != np.uint8 and array.dtype.kind not in "bf" or array.ndim != 2 or not array.size:
        raise ValueError(f"a mask is an array (H, W) of bool, uint8 or floats, not {array.dtype} {array.shape}")
    if size and array.shape != size:
        (height, width), (h, w) = array.shape, size
        raise ValueError(f"the mask is {width} x {height} and the picture {w} x {h}; use mask.resize(({w}, {h}))")
    values = array.astype(np.float32) / (255 if array.dtype == np.uint8 else 1)
    if not (values.min() >= 0 and values.max() <= 1):
        raise ValueError(f"the mask's values go from {values.min():g} to {values.max():g}: 0 is kept, 1 is filled in")
    return torch.from_numpy(values)


def drawn(strokes, size):
    """A mask from a drawing in words, one stroke a line: (H, W) bool array.

    strokes: "rectangle LEFT TOP RIGHT BOTTOM" or "brush WIDTH X Y X Y ...", in pixels; what is outside is cut off.
    size: (H, W). Raises ValueError, naming the line, for anything else. An empty drawing is an empty mask.
    """
    check_text("strokes", strokes)
    height, width = as_size(size)
    canvas = Image.new("1", (width, height))
    pen = ImageDraw.Draw(canvas)
    for line in filter(str.strip, strokes.splitlines()):
        kind, *words = line.split()
        try:
            numbers = [as_number("pixels", float(word), "of a picture", -LONGEST, LONGEST) for word in words]
        except ValueError:
            numbers = []
        if kind == "rectangle" and len(numbers) == 4:
            (left, right), (top, bottom) = sorted(numbers[::2]), sorted(numbers[1::2])
            if right > left and bottom > top:
                pen.rectangle((left, top, right - 1, bottom - 1), fill=1)
        elif kind == "brush" and len(numbers) >= 3 and len(numbers) % 2 and numbers[0] > 0:
            width, *points = numbers
            points = list(zip(points[::2], points[1::2], strict=True))
            pen.line(points, fill=1, width=round(width), joint="curve")
            for x, y in (points[0], points[-1]):
                pen.ellipse((x - width / 2, y - width / 2, x + width / 2, y + width / 2), fill=1)
        else:
            raise ValueError(f"{line!r} is no stroke: use rectangle LEFT TOP RIGHT BOTTOM, or brush WIDTH X Y X Y ...")
    return np.array(canvas)


# -- from picture size to latent size ---------------------------------------------------------------------------------


def touched(mask, factor):
    """A position of the latent is to be filled as soon as one of its pixels is: (B, 1, H, W) -> (B, 1, h, w)."""
    check_shrinking(mask, factor)
    return torch.nn.functional.max_pool2d((mask >= 0.5).float(), factor)


def nearest(mask, factor):
    """The one pixel in the corner decides for all: diffusers' way, and Stable Diffusion's. Thin masks slip through."""
    check_shrinking(mask, factor)
    return (mask >= 0.5).float()[..., ::factor, ::factor]


def share(mask, factor):
    """How much of each position is to be filled, from 0 to 1: a soft mask for blending in latent space."""
    check_shrinking(mask, factor)
    return torch.nn.functional.avg_pool2d(mask, factor)


def check_shrinking(mask, factor):
    """Raises ValueError unless these are masks as tensors, and how many pixels of theirs become one."""
    check_tensor("mask", mask, "B", 1, "H", "W")
    as_whole("factor", factor, "a whole number from 1 to the mask's side", 1, min(mask.shape[-2:]))


# -- from a mask to another one ---------------------------------------------------------------------------------------


def distance(mask):
    """How far each pixel of the hole is from the nearest kept one, in pixels: (H, W) floats, 0 where kept.

    mask: (H, W), as outside. Exact and Euclidean: the squared distance is a minimum along columns, then along rows
    (Felzenszwalb and Huttenlocher 2012).
    """
    hole = as_mask(mask)[0, 0] >= 0.5
    return _along_columns(_along_columns(torch.where(hole, torch.inf, 0.0)).T).T.sqrt()


def _along_columns(squared):
    """min over i' of squared[i', j] + (i - i')^2, for each (i, j)."""
    steps = torch.arange(len(squared), dtype=squared.dtype)
    return torch.stack([(squared + ((steps - i) ** 2)[:, None]).amin(0) for i in range(len(squared))])


def grow(mask, pixels):
    """The mask with ``pixels`` more of hole around it: (H, W) bool. A negative number shrinks it."""
    pixels = as_number("pixels", pixels, f"a number from -{LONGEST} to {LONGEST}", -LONGEST, LONGEST)
    if pixels < 0:
        return (distance(mask) > -pixels).numpy()
    kept = as_mask(mask)[0, 0] < 0.5
    return ~(distance(kept) > pixels).numpy()


def soft_edge(mask, width):
    """A mask that rises from 0 to 1 over ``width`` pixels, inside the hole: (H, W) float array.

    With u, the distance to what is kept over the width, it is u^2 (3 - 2u), without a kink at either end. Outside the
    hole it stays 0, so whatever is composited with it leaves every kept pixel alone; in a hole narrower than twice
    the width it does not reach 1.
    """
    says = f"a number of pixels above 0, to {LONGEST}; for a hard edge use the mask itself"
    width = as_number("width", width, says, ABOVE_0, LONGEST)
    u = (distance(mask) / width).clamp(max=1)
    return (u**2 * (3 - 2 * u)).numpy()


# -- with pictures ----------------------------------------------------------------------------------------------------


def composite(images, filled, masks):
    """The filled pictures in the hole, the given ones around it: a list of PIL pictures, kept pixels equal to the bit.

    images, filled: one picture or a list, of one size; one of either, or of the masks, serves for all.
    masks: a soft edge blends the two where it lies between 0 and 1.
    """
    images, filled = as_arrays(images), as_arrays(filled)
    masks = as_weights(masks, images[0].shape[:2]).permute(0, 2, 3, 1).numpy()  # B, H, W, 1
    count = max(len(images), len(filled), len(masks))
    if any(len(given) not in (1, count) for given in (images, filled, masks)):
        raise ValueError(
            f"{len(images)} pictures, {len(filled)} filled ones and {len(masks)} masks: give one, or as many"
        )
    if {array.shape for array in images + filled} != {images[0].shape}:
        raise ValueError("the pictures and the filled ones must have one size; resize them first")
    blended = [
        mask * new + (1 - mask) * old.astype(np.float32)
        for old, new, mask in zip(*(_as_many(given, count) for given in (images, filled, masks)), strict=True)
    ]
    return [Image.fromarray(picture.round().astype(np.uint8)) for picture in blended]


def _as_many(given, count):
    return list(given) * (count // len(given))


def extend(image, *, left=0, right=0, top=0, bottom=0):
    """A larger canvas with the picture on it, and the mask of what is new: (PIL picture, (H, W) bool array).

    left, right, top, bottom: pixels to add on each side. The new ones repeat the nearest of the picture, so that there
    is no edge that an encoder could take for a thing.
    """
    pixels = as_array(image)
    sides = dict(left=left, right=right, top=top, bottom=bottom)
    for side, more in sides.items():
        as_whole(side, more, f"a whole number of pixels, 0 to {LONGEST}", 0, LONGEST)
    if not any(sides.values()):
        raise ValueError("nothing to add: pass left, right, top or bottom, in pixels")
    border = ((top, bottom), (left, right))
    as_size([size + sum(more) for size, more in zip(pixels.shape, border, strict=False)], "the new size")
    canvas = np.pad(pixels, (*border, (0, 0)), mode="edge")
    return Image.fromarray(canvas), np.pad(np.zeros(pixels.shape[:2], bool), border, constant_values=True)



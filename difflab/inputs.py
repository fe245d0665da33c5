"""What comes in and goes out, checked and converted before any work: numbers, seeds, prompts, pictures.

Outside: PIL pictures (or uint8 arrays, H x W x 3), prompts as str or list of str. Inside: float tensors (B, 3, H, W) in
[-1, 1]. A bad value raises a ValueError that says what it was and what would do.
"""

import warnings

import numpy as np
import torch
from PIL import Image, ImageOps

from difflab.checks import LONGEST, as_seed, as_whole, check_tensor, check_text
from difflab.samplers import randn


def as_seeds(seed: int | list[int], count: int) -> list[int]:
    """One seed for each of ``count`` pictures: a number stands for seed, seed + 1, ...; a list is taken as it is.

    Raises ValueError for anything but whole numbers from 0 up, and for a list of another length.
    """
    says = "a whole number from 0 up, or a list of them, one for each picture"
    if not isinstance(seed, list | tuple):
        first = as_whole("seed", seed, says, 0, 2**62)
        return list(range(first, first + count))
    if len(seed) != count:
        raise ValueError(f"{len(seed)} seeds for {count} pictures: pass one for each, or a single number")
    return [as_seed(each, says) for each in seed]


def generators(seed: int | list[int], count: int) -> list[torch.Generator]:
    """One CPU random generator for each picture, so that a picture does not depend on its neighbors in the batch."""
    return [torch.Generator().manual_seed(each) for each in as_seeds(seed, count)]


def noise(shape: tuple[int, ...], seed: int | list[int]) -> torch.Tensor:
    """N(0, I) of shape (B, C, H, W), on the CPU: picture i from seed + i, or from the i-th seed of a list.

    Raises ValueError for a shape or a seed that is none.
    """
    if not isinstance(shape, tuple | list) or not shape:
        raise ValueError(f"shape={shape!r} must be several whole numbers: (B, C, H, W)")
    shape = tuple(as_whole("shape", size, "of whole numbers from 1 up: (B, C, H, W)", 1, LONGEST) for size in shape)
    return randn(shape, generators(seed, shape[0]))


def to_images(x: torch.Tensor) -> list[Image.Image]:
    """Tensors (B, 3, H, W) in [-1, 1] -> a list of PIL pictures. Raises ValueError for NaN, and for other shapes."""
    check_tensor("x", x, "B", 3, "H", "W")
    x = ((x.float() / 2 + 0.5).clamp(0, 1) * 255).round().to(torch.uint8)
    return [Image.fromarray(array) for array in x.permute(0, 2, 3, 1).cpu().numpy()]


def as_arrays(images) -> list[np.ndarray]:
    """One picture or a list of them, PIL in mode RGB or uint8 (H, W, 3), as a list of such arrays.

    Raises ValueError, saying what to do, for no picture and for anything else.
    """
    images = list(images) if isinstance(images, list | tuple) else [images]
    if not images:
        raise ValueError("there is no picture: pass one or a list of them")
    for image in images:
        if isinstance(image, Image.Image):
            if image.mode != "RGB":
                raise ValueError(f"the picture's mode is {image.mode!r}; use image.convert('RGB')")
        elif not isinstance(image, np.ndarray) or image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3:
            what = f"{image.dtype} array {image.shape}" if isinstance(image, np.ndarray) else type(image).__name__
            raise ValueError(f"a picture is a PIL image or a uint8 array (H, W, 3), not {what}")
        check_some(*(image.size if isinstance(image, Image.Image) else image.shape[1::-1]))
    return [np.asarray(image) for image in images]


def to_tensor(arrays: list[np.ndarray]) -> torch.Tensor:
    """uint8 arrays (H, W, 3) of one size -> float (B, 3, H, W) in [-1, 1]."""
    return torch.from_numpy(np.stack(arrays)).permute(0, 3, 1, 2).float() / 127.5 - 1


def as_array(image) -> np.ndarray:
    """One picture, as in `as_arrays`. Raises ValueError for several, too."""
    arrays = as_arrays(image)
    if len(arrays) != 1:
        raise ValueError(f"one picture is wanted here, and {len(arrays)} were given")
    return arrays[0]


def check_some(width: int, height: int) -> None:
    """Raises ValueError for a picture without a pixel."""
    if not width or not height:
        raise ValueError(f"the picture is {width} x {height}: there is nothing to see")


def fit_image(image, size: int) -> Image.Image:
    """Any picture as a PIL one that a model of this ``image_size`` takes: RGB, its middle square, size x size pixels.

    image: PIL, in any mode and size, or a uint8 array. Warns of what was done to it; a picture that fits comes back as
    it is. Nothing else in this package resizes a picture. Raises ValueError for a size below 1 and for no picture.
    """
    size = as_whole("size", size, "a whole number of pixels: pass model.image_size", 1, LONGEST)
    if not isinstance(image, Image.Image):
        image = Image.fromarray(as_array(image))
    (width, height), mode, done = image.size, image.mode, []
    check_some(width, height)
    if mode != "RGB":
        image = image.convert("RGB")
        done.append("converted to RGB")
    if width != height:
        done.append("cut to its middle square")
    if min(width, height) != size:
        done.append(f"resized to {size} x {size}")
    if done:
        image = middle_square(image, size)
        warnings.warn(f"the picture was {width} x {height}, {mode}: {', '.join(done)}", stacklevel=2)
    return image


def middle_square(image: Image.Image, size: int) -> Image.Image:
    """The middle square of a picture, size x size pixels, by Lanczos' filter. (CLIP's towers want theirs bicubic, and
    scaled before it is cut: `difflab.clip`.)"""
    return ImageOps.fit(image, (size, size), Image.Resampling.LANCZOS)


def warn_of_cut(tokenizer, prompts, window):
    """Warn the caller's caller, naming the words, of every prompt that does not fit into a window of so many tokens."""
    kept = window - 2  # a start and an end token frame the words
    for prompt in prompts:
        words = tokenizer(prompt, add_special_tokens=False, verbose=False).input_ids
        if len(words) > kept:
            warnings.warn(
                f"the prompt has {len(words)} tokens and the model reads {kept}; cut off at the end: "
                f"{tokenizer.decode(words[kept:])!r}",
                stacklevel=3,
            )


def as_prompts(prompts: str | list[str]) -> list[str]:
    """A prompt or several, as a list of str. Raises ValueError for anything else, for none, and for half a
    character."""
    listed = [prompts] if isinstance(prompts, str) else prompts
    if not isinstance(listed, list | tuple) or not listed or not all(isinstance(p, str) for p in listed):
        raise ValueError(f"a prompt is a str or a list of str, not {prompts!r}")
    for prompt in listed:
        check_text("prompt", prompt)
    return list(listed)


def check_said(prompts: list[str], guidance_scale) -> None:
    """Raises ValueError for a prompt without a word, unless guidance_scale is 0, so that text plays no part."""
    if guidance_scale != 0 and not all(prompt.strip() for prompt in prompts):
        raise ValueError("the prompt is empty: say in words what is wanted, or pass guidance_scale=0 to do without it")


def as_many(given, count: int, what: str):
    """``count`` of what is given, a list or a tensor with the batch first: a single one serves for all, several have to
    be as many. Raises ValueError otherwise; ``what`` is how the message calls them."""
    if len(given) not in (1, count):
        raise ValueError(f"{len(given)} {what} for {count} pictures: pass one, or one for each")
    if len(given) == count:
        return given
    return given * count if isinstance(given, list) else given.expand(count, *given.shape[1:])

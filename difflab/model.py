"""A latent diffusion model: text in, noise predictions in the middle, pictures out.

Outside: PIL pictures (or uint8 arrays, H x W x 3), prompts as str or list of str.
Inside: float tensors B, C, H, W; pictures in [-1, 1]; latents scaled to unit variance.
"""

import copy
from collections.abc import Callable
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from difflab.checks import ABOVE_0, as_number, check_function, check_tensor
from difflab.condition import Condition
from difflab.inputs import as_arrays, as_prompts, to_images, to_tensor, warn_of_cut
from difflab.schedule import NoiseSchedule, check_timesteps

MOST = 64  # times as many pixels as a model was made for: more in one picture would fill the memory first


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
        as_number("scaling_factor", self.vae.config.scaling_factor, "a number above 0, in the VAE's config", ABOVE_0)
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

    def encode_text(self, prompts: str | list[str]) -> Condition:
        """Prompts -> what the network looks at for them: an embedding (B, tokens, d).

        Warns, naming the words, when a prompt is longer than the encoder's window (77 tokens, start and end included).
        """
        prompts = as_prompts(prompts)
        return self.text_encoder(self.tokens(self.tokenizer, self.text_encoder, prompts))[0]  # B, 77, d

    def tokens(self, tokenizer, text_encoder, prompts):
        """Prompts, a list of str -> (B, 77) whole numbers, on the model's device."""
        window = min(tokenizer.model_max_length, text_encoder.config.max_position_embeddings)
        tokens = tokenizer(prompts, padding="max_length", max_length=window, truncation=True, return_tensors="pt")
        warn_of_cut(tokenizer, prompts, window)
        return tokens.input_ids.to(self.device)

    def encode_image(self, images):
        """Pictures -> latents (B, 4, h, w), scaled: the mean of what the autoencoder believes, so no noise is drawn.

        images: one or a list of PIL pictures in mode RGB or uint8 arrays (H, W, 3), all of one size that the U-Net can
        halve as often as it does. Raises ValueError otherwise, saying what to do.
        """
        return self.encode_pixels(self.as_pixels(images))

    def encode_pixels(self, x):
        """Pixels (B, 3, H, W) in [-1, 1] -> latents (B, 4, h, w), as `encode_image` does. NaN is a ValueError."""
        check_tensor("x", x, "B", 3, "H", "W")
        encoded = self.vae.encode(x.to(self.device, self.vae.dtype))
        z = encoded.latent_dist.mode() if hasattr(encoded, "latent_dist") else encoded.latents
        config = self.vae.config
        return ((z - (getattr(config, "shift_factor", None) or 0)) * config.scaling_factor).float()  # B, 4, h, w

    def decode(self, latents):
        """Latents (B, 4, h, w) -> a list of PIL pictures."""
        return to_images(self.decode_pixels(latents))

    def decode_pixels(self, latents):
        """Latents (B, 4, h, w) -> pixels (B, 3, H, W), in [-1, 1] or a little beyond, as `decode` rounds them.

        Raises ValueError for NaN in them, and for another shape.
        """
        check_tensor("latents", latents, "B", self.vae.config.latent_channels, "h", "w")
        config = self.vae.config
        z = latents / config.scaling_factor + (getattr(config, "shift_factor", None) or 0)
        return self.vae.decode(z.to(self.device, self.vae.dtype), return_dict=False)[0]

    def predict_noise(self, x: Tensor, t: int | Tensor, condition: Condition, **unet_arguments) -> Tensor:
        """The noise the U-Net sees in x at timestep t, given the condition: eps (B, 4, h, w) in x's precision.

        x: (B, 4, h, w) on the variance-preserving scale; what else the U-Net sees (a mask, a picture) follows as more
            channels. t: a timestep, 0 to T - 1, or a tensor (B,) of them.
        condition: from `encode_text`. unet_arguments: passed on (ControlNet's residuals, say).
        A v-prediction v = sqrt(abar) eps - sqrt(1 - abar) x_0 is turned into eps (Salimans and Ho 2022, 2202.00512).
        Raises ValueError when x has not as many channels as the U-Net sees, and for a t that is no timestep.
        """
        self.check_channels(x.shape[1])
        check_timesteps(t, 0, len(self.schedule) - 1)
        unet_arguments |= self.as_unet_arguments(condition)
        out = self.unet(x.to(self.dtype), t, return_dict=False, **unet_arguments)[0].to(x.dtype)
        if self.prediction_type == "epsilon":
            return out
        abar = self.schedule.alpha_bar(t, like=x)
        return abar.sqrt() * out + (1 - abar).sqrt() * x[:, : out.shape[1]]

    def check_channels(self, channels: int) -> None:
        """Raises ValueError unless the U-Net sees so many channels."""
        if channels != self.unet.config.in_channels:
            raise ValueError(
                f"this U-Net sees {self.unet.config.in_channels} channels and was given {channels}: one that sees 4 is "
                "for text_to_image and most else, 8 for instruct_pix2pix, load('tiny-pix2pix') or "
                "load('sd15-pix2pix'), 9 for inpaint, load('tiny-inpaint') or load('sd15-inpaint')"
            )

    def as_unet_arguments(self, condition: Condition) -> dict:
        """The condition under the names that the U-Net gives its parts."""
        return {"encoder_hidden_states": condition.to(self.dtype)}

    def seeing(self, see: Callable, *seen) -> "LatentDiffusion":
        """The model, looking through ``see``: every application takes it as it is, and sees more.

        see: a function ``(predict_noise, *seen) -> predict_noise``, such as `see_masked`: same arguments in and same
            shape out. What comes back shares this model's weights, and can be told to see more in turn; the model
            itself does not change.

        >>> painter = difflab.load("tiny-inpaint").seeing(see_masked, mask, masked_latent)
        >>> difflab.sdedit(painter, picture, "a cat on a sofa")
        """
        check_function("see", see, "(predict_noise, *seen) -> predict_noise")
        looking = copy.copy(self)
        looking.predict_noise = see(self.predict_noise, *seen)
        looking.check_channels = lambda channels: None  # ``see`` adds channels, or does not: the U-Net will say so
        return looking

    def as_pixels(self, images):
        """Pictures as the network wants them: float (B, 3, H, W) in [-1, 1].

        Raises ValueError for another mode, a side that the U-Net cannot halve as often as it does, and a picture of
        more than `MOST` times the pixels that the model was made for.
        """
        arrays = as_arrays(images)
        step = self.vae_scale_factor * 2 ** (len(self.unet.config.block_out_channels) - 1)
        for height, width, _ in (array.shape for array in arrays):
            size = self.image_size
            if width % step or height % step or width * height > MOST * size**2:
                raise ValueError(
                    f"the picture is {width} x {height}; both sides must be multiples of {step}, and not too large: "
                    f"this model was made for {size} x {size}, use image.resize(({size}, {size}))"
                )
        if len({array.shape for array in arrays}) > 1:
            raise ValueError("the pictures of one batch must have one size; resize them first")
        return to_tensor(arrays)


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


# -- loading --------------------------------------------------------------------------------------------------------




@dataclass(eq=False)
class TwoTowers(LatentDiffusion):
    """A model whose U-Net reads two text encoders: SDXL's form (Podell et al. 2023, 2307.01952, section 2).

    Its condition is a dict. tokens (B, 77, d): what both encoders say of each token before their last layer, side by
    side. pooled (B, e): the second's embedding of the whole text. sizes (B, 6): height and width of the picture that is
    asked for as the original's, top and left of a crop, and height and width again, in pixels.

    silent_empty: whether zeros stand for an empty prompt, as in SDXL's training.
    """

    tokenizer_2: Any = None
    text_encoder_2: Any = None
    silent_empty: bool = True

    def __post_init__(self):
        super().__post_init__()
        self.text_encoder_2.to(self.device, self.dtype).eval().requires_grad_(False)
        if self.dtype == torch.float16:
            self.vae.to(torch.float32)  # SDXL's autoencoder overflows in half precision

    def encode_text(self, prompts: str | list[str]) -> Condition:
        """Prompts -> the condition (see the class), for pictures of the model's own size."""
        prompts = as_prompts(prompts)
        towers = (self.tokenizer, self.text_encoder), (self.tokenizer_2, self.text_encoder_2)
        read = [encoder(self.tokens(words, encoder, prompts), output_hidden_states=True) for words, encoder in towers]
        tokens = torch.cat([each.hidden_states[-2] for each in read], dim=-1)  # B, 77, d
        pooled = read[1].text_embeds  # B, e
        said = torch.tensor([not self.silent_empty or prompt != "" for prompt in prompts]).to(tokens)  # B
        side = self.image_size
        sizes = torch.tensor([[side, side, 0, 0, side, side]] * len(prompts)).to(tokens)  # B, 6
        return {"tokens": said[:, None, None] * tokens, "pooled": said[:, None] * pooled, "sizes": sizes}

    def as_unet_arguments(self, condition: Condition) -> dict:
        """The condition under the names that the U-Net gives its parts."""
        condition = {name: part.to(self.dtype) for name, part in condition.items()}
        added = {"text_embeds": condition["pooled"], "time_ids": condition["sizes"]}
        return {"encoder_hidden_states": condition["tokens"], "added_cond_kwargs": added}

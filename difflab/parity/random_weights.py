"""Whole pipelines with random weights, a hundred times smaller than the real ones: they exercise every line of the code
that a trained checkpoint does. No file but those written here is needed."""

import json
from pathlib import Path
from typing import Any

import torch

from difflab.parity.peers import BETAS, quietly

SMALL_UNET: dict[str, Any] = dict(
    sample_size=8, block_out_channels=(16, 32), layers_per_block=1, norm_num_groups=8, attention_head_dim=4,
    cross_attention_dim=32, down_block_types=("CrossAttnDownBlock2D", "DownBlock2D"),
    up_block_types=("UpBlock2D", "CrossAttnUpBlock2D"),
)  # fmt: skip
SMALL_VAE: dict[str, Any] = dict(block_out_channels=(8, 8, 16, 16), norm_num_groups=4)
SMALL_XL: dict[str, Any] = SMALL_UNET | dict(
    cross_attention_dim=24 + 32, addition_embed_type="text_time", addition_time_embed_dim=8,
    projection_class_embeddings_input_dim=6 * 8 + 16,
)  # fmt: skip


def random_pipeline(
    folder, *, prediction_type: Any = "epsilon", unet: dict = SMALL_UNET, vae: dict = SMALL_VAE, seed: int = 0
) -> Path:
    """Save a Stable Diffusion 1.5 with random weights; returns the folder.

    unet, vae: settings of the two networks, for another size. The scheduler's configuration is SD 1.5's own. The words
    of the tokenizer are made up of letters.
    """
    from diffusers import PNDMScheduler, StableDiffusionPipeline, UNet2DConditionModel
    from transformers import CLIPTextModel

    tokenizer = letters_tokenizer(folder)
    scheduler = PNDMScheduler(
        **BETAS, skip_prk_steps=True, set_alpha_to_one=False, steps_offset=1, prediction_type=prediction_type
    )
    scheduler.register_to_config(clip_sample=False)
    with torch.random.fork_rng(devices=[]), quietly():
        torch.manual_seed(seed)
        parts: dict[str, Any] = dict(
            tokenizer=tokenizer,
            text_encoder=CLIPTextModel(small_text_config(tokenizer, unet["cross_attention_dim"])),
            vae=autoencoder(**vae),
            unet=UNet2DConditionModel(**unet),
            scheduler=scheduler,
            safety_checker=None,
            feature_extractor=None,
        )
        StableDiffusionPipeline(**parts, requires_safety_checker=False).save_pretrained(folder)
    return Path(folder)


def random_xl_pipeline(folder, *, seed: int = 0) -> Path:
    """The same for SDXL, with its two text encoders and its scheduler's configuration; returns the folder."""
    from diffusers import EulerDiscreteScheduler, StableDiffusionXLPipeline, UNet2DConditionModel
    from transformers import CLIPTextModel, CLIPTextModelWithProjection

    tokenizer = letters_tokenizer(folder)
    scheduler = EulerDiscreteScheduler(**BETAS, timestep_spacing="leading", steps_offset=1)
    scheduler.register_to_config(clip_sample=False, set_alpha_to_one=False)
    with torch.random.fork_rng(devices=[]), quietly():
        torch.manual_seed(seed)
        parts: dict[str, Any] = dict(
            tokenizer=tokenizer,
            tokenizer_2=tokenizer,
            text_encoder=CLIPTextModel(small_text_config(tokenizer, 24)),
            text_encoder_2=CLIPTextModelWithProjection(small_text_config(tokenizer, 32, projection_dim=16)),
            vae=autoencoder(**SMALL_VAE, scaling_factor=0.13025),
            unet=UNet2DConditionModel(**SMALL_XL),
            scheduler=scheduler,
        )
        StableDiffusionXLPipeline(**parts, add_watermarker=False).save_pretrained(folder)
    return Path(folder)


def autoencoder(block_out_channels, **settings):
    """An autoencoder of as many blocks as there are numbers of channels, and four channels in its latent."""
    from diffusers import AutoencoderKL

    blocks = len(block_out_channels)
    settings |= dict(
        block_out_channels=block_out_channels,
        down_block_types=("DownEncoderBlock2D",) * blocks,
        up_block_types=("UpDecoderBlock2D",) * blocks,
    )
    return AutoencoderKL(latent_channels=4, **settings)


def letters_tokenizer(folder):
    """A tokenizer whose words are made up of letters, written into the folder."""
    from transformers import CLIPTokenizer

    words = Path(folder) / "words"
    words.mkdir(parents=True, exist_ok=True)
    letters = [chr(c) for c in range(ord("!"), ord("~") + 1)]
    vocabulary = letters + [letter + "</w>" for letter in letters] + ["<|startoftext|>", "<|endoftext|>"]
    (words / "vocab.json").write_text(json.dumps({word: i for i, word in enumerate(vocabulary)}))
    (words / "merges.txt").write_text("#version: 0.2\n")
    return CLIPTokenizer(str(words / "vocab.json"), str(words / "merges.txt"), model_max_length=77)


def small_text_config(tokenizer, width, **settings):
    """The configuration of a small text encoder for these tokens."""
    from transformers import CLIPTextConfig

    last = len(tokenizer) - 1
    return CLIPTextConfig(
        vocab_size=len(tokenizer), hidden_size=width, intermediate_size=64, num_hidden_layers=2, num_attention_heads=4,
        max_position_embeddings=77, bos_token_id=last - 1, eos_token_id=last, pad_token_id=last, **settings,
    )  # fmt: skip

"""The U-Net: from a noisy latent, a timestep and a text embedding to the noise (diffusers' UNet2DConditionModel)."""

from diffusers import UNet2DConditionModel
from torch import Tensor

from difflab.train import data, denoising
from difflab.train.loop import Result, seeded
from difflab.train.machine import start
from difflab.train.options import DenoisingOptions
from difflab.train.runs import Product

CHANNELS, SMOKE_CHANNELS = (96, 160), (32, 64)
DOWN_BLOCKS = ("DownBlock2D", "CrossAttnDownBlock2D")  # at 16x16, at 8x8
UP_BLOCKS = ("CrossAttnUpBlock2D", "CrossAttnUpBlock2D")  # at 8x8, at 16x16
LAYERS_PER_BLOCK = 1
HEADS = 4
NORM_GROUPS = 32

PROMPTS = (
    "a cat on a sofa at night",
    "a dog on the beach",
    "a red car in the snow",
    "a lion in the city at sunset",
    "a turtle wearing a crown on the beach",
    "a blue bicycle on the grass",
    "a cat to the left of a dog",
    "a panda to the right of a red ball in the snow",
    "a penguin in the snow at night",
    "a green car in the city",
    "a frog wearing a top hat",
    "a superhero in the city at night",
)
TASK = denoising.Task(
    product=Product(
        name="unet",
        kind="UNet2DConditionModel",
        method="denoising diffusion (Ho et al. 2020, arXiv 2006.11239); a stage with snr_gamma has min-SNR weights "
        "(Hang et al. 2023, arXiv 2303.09556), one with least_snr debiased weights (Yu et al. 2023, arXiv 2310.08442)",
        folder="unet",
    ),
    sided=0.5,
    prompts=PROMPTS,
)


def build(text_width: int, channels: tuple[int, ...] = CHANNELS) -> UNet2DConditionModel:
    """A fresh U-Net for latents 4x16x16, with cross-attention at 8x8 and, on the way up, at 16x16."""
    return UNet2DConditionModel(
        sample_size=16,
        in_channels=4,
        out_channels=4,
        layers_per_block=LAYERS_PER_BLOCK,
        block_out_channels=channels,
        down_block_types=DOWN_BLOCKS,
        up_block_types=UP_BLOCKS,
        cross_attention_dim=text_width,
        attention_head_dim=HEADS,  # diffusers' name; for these blocks it is the number of heads
        norm_num_groups=NORM_GROUPS,
    )


def train(options: DenoisingOptions) -> Result:
    """Train the U-Net into `options.out`; `unet` there is the diffusers folder.

    `init` starts from the weights of another. `vae` is the folder of the autoencoder, `clip` the folder with
    `tokenizer` and `text_encoder`: by default those of runs/.
    """
    homes = {"vae": "runs/autoencoder/vae", "clip": "runs/clip/clip"}
    options = options.filled(TASK.sizes(options.smoke) | homes)
    machine = start(options)
    parts = denoising.load_parts(options.vae, options.clip, machine)
    with seeded(options.seed):
        width = parts.text_encoder.config.hidden_size
        unet = build(width, SMOKE_CHANNELS if options.smoke else CHANNELS)
    if options.init is not None:
        unet = data.load_weights(UNet2DConditionModel, options.init)

    def predict(x: Tensor, t: Tensor, text: Tensor) -> Tensor:
        return unet(x, t, text, return_dict=False)[0]

    network = denoising.Network({"unet": unet}, predict, unet.save_pretrained)
    settings = {"base": None, "init": str(options.init) if options.init else None}
    return denoising.train(TASK, options, machine, parts, network, settings)

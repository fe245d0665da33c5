from . import (
    attention as attention,
    claims as claims,
    clip as clip,
    condition as condition,
    cost as cost,
    doctor as doctor,
    exercises as exercises,
    export as export,
    guidance as guidance,
    inputs as inputs,
    judge as judge,
    latent as latent,
    loading as loading,
    masks as masks,
    metrics as metrics,
    model as model,
    parity as parity,
    readers as readers,
    report as report,
    samplers as samplers,
    schedule as schedule,
    show as show,
    toy2d as toy2d,
    train as train,
    widgets as widgets,
    world as world,
)
from .applications.inpaint import inpaint as inpaint, inpaint_to_latents as inpaint_to_latents, outpaint as outpaint
from .applications.instruct_pix2pix import (
    instruct_pix2pix as instruct_pix2pix,
    instruct_pix2pix_to_latents as instruct_pix2pix_to_latents,
)
from .applications.invert import invert as invert
from .applications.prompt_to_prompt import (
    prompt_to_prompt as prompt_to_prompt,
    prompt_to_prompt_to_latents as prompt_to_prompt_to_latents,
)
from .applications.sdedit import sdedit as sdedit, sdedit_to_latents as sdedit_to_latents
from .applications.text_to_image import text_to_image as text_to_image, text_to_latents as text_to_latents
from .guidance import (
    classifier_free_guidance as classifier_free_guidance,
    guide as guide,
    in_interval as in_interval,
    rescaled as rescaled,
)
from .inputs import noise as noise
from .loading import load as load, pick_device as pick_device, weights_folder as weights_folder
from .loop import Step as Step, sample as sample
from .model import LatentDiffusion as LatentDiffusion
from .planning import plan as plan
from .readers import hints as hints
from .samplers import (
    SAMPLERS as SAMPLERS,
    Sampler as Sampler,
    ddim as ddim,
    ddpm as ddpm,
    dpmpp as dpmpp,
    euler as euler,
    from_diffusers as from_diffusers,
)
from .schedule import NoiseSchedule as NoiseSchedule

__version__: str

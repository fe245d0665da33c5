from . import (
    attention as attention,
)
from . import (
    claims as claims,
)
from . import (
    clip as clip,
)
from . import (
    condition as condition,
)
from . import (
    cost as cost,
)
from . import (
    doctor as doctor,
)
from . import (
    exercises as exercises,
)
from . import (
    export as export,
)
from . import (
)
from . import (
    guidance as guidance,
)
from . import (
    inputs as inputs,
)
from . import (
    judge as judge,
)
from . import (
    latent as latent,
)
from . import (
    loading as loading,
)
from . import (
    masks as masks,
)
from . import (
    metrics as metrics,
)
from . import (
    model as model,
)
from . import (
    parity as parity,
)
from . import (
    report as report,
)
from . import (
    samplers as samplers,
)
from . import (
    schedule as schedule,
)
from . import (
    show as show,
)
from . import (
    toy2d as toy2d,
)
from . import (
    train as train,
)
from . import (
    widgets as widgets,
)
from . import (
    world as world,
)
from .applications.inpaint import inpaint as inpaint
from .applications.inpaint import inpaint_to_latents as inpaint_to_latents
from .applications.inpaint import outpaint as outpaint
from .applications.instruct_pix2pix import (
    instruct_pix2pix as instruct_pix2pix,
)
from .applications.instruct_pix2pix import (
    instruct_pix2pix_to_latents as instruct_pix2pix_to_latents,
)
from .applications.invert import invert as invert
from .applications.prompt_to_prompt import (
    prompt_to_prompt as prompt_to_prompt,
)
from .applications.prompt_to_prompt import (
    prompt_to_prompt_to_latents as prompt_to_prompt_to_latents,
)
from .applications.sdedit import sdedit as sdedit
from .applications.sdedit import sdedit_to_latents as sdedit_to_latents
from .applications.text_to_image import text_to_image as text_to_image
from .applications.text_to_image import text_to_latents as text_to_latents
from .guidance import (
    classifier_free_guidance as classifier_free_guidance,
)
from .guidance import (
    guide as guide,
)
from .guidance import (
    in_interval as in_interval,
)
from .guidance import (
    rescaled as rescaled,
)
from .inputs import noise as noise
from .loading import load as load
from .loading import pick_device as pick_device
from .loading import weights_folder as weights_folder
from .loop import Step as Step
from .loop import sample as sample
from .model import LatentDiffusion as LatentDiffusion
from .planning import plan as plan
from .samplers import (
    SAMPLERS as SAMPLERS,
)
from .samplers import (
    Sampler as Sampler,
)
from .samplers import (
    ddim as ddim,
)
from .samplers import (
    ddpm as ddpm,
)
from .samplers import (
    dpmpp as dpmpp,
)
from .samplers import (
    euler as euler,
)
from .samplers import (
    from_diffusers as from_diffusers,
)
from .schedule import NoiseSchedule as NoiseSchedule

__version__: str

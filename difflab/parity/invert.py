"""`invert` against DDIMInverseScheduler: the noise of two pictures."""

from collections.abc import Iterator

from difflab.applications.invert import invert
from difflab.parity.peers import PROMPTS, pictures, pipeline_of, scheduler_of
from difflab.parity.row import Row, compared
from difflab.parity.weights import Weights

PEER = "DDIMInverseScheduler"


def compare(weights: Weights, num_inference_steps: int = 10) -> Iterator[Row]:
    """Where the two walks end, with nothing but the prompt to guide them.

    The scheduler is told the noise in any case. Told v, it would turn it into noise by the level that x has; we do so
    by the timestep that the network was asked for, which on the way up is the next one.
    """
    model, given = weights.model, pictures(weights.model.image_size)
    scheduler = scheduler_of(pipeline_of(weights), PEER, prediction_type="epsilon")
    scheduler.set_timesteps(num_inference_steps)
    x, text = model.encode_image(given), model.encode_text(PROMPTS)
    for t in scheduler.timesteps:
        x = scheduler.step(model.predict_noise(x, int(t), text), t, x).prev_sample
    path = invert(model, given, PROMPTS, num_inference_steps=num_inference_steps)
    yield compared(f"invert, {weights.label}, {num_inference_steps} steps", PEER, path[0], x)

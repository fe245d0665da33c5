"""InstructPix2Pix: three questions in one call and no more than needed."""

import numpy as np
import pytest
import torch
from hypothesis import given, strategies as st
from PIL import Image

from difflab import instruct_pix2pix, instruct_pix2pix_to_latents, load, noise, parity, sample, world
from difflab.applications.instruct_pix2pix import two_scale_guidance
from difflab.samplers import dpmpp

PROMPT = "make it sunset"
scales = st.floats(-3, 9, allow_nan=False)


@pytest.fixture(scope="module")
def eight_folder(tmp_path_factory):
    """A whole random Stable Diffusion in miniature whose U-Net sees eight channels."""
    folder = tmp_path_factory.mktemp("pipelines") / "eight"
    return parity.random_pipeline(folder, unet=parity.SMALL_UNET | dict(in_channels=8))


@pytest.fixture(scope="module")
def eight(eight_folder):
    return load(eight_folder, device="cpu")


def picture(seed=0, size=64):
    return Image.fromarray(np.random.default_rng(seed).integers(0, 256, (size, size, 3), dtype=np.uint8))


def arrays(images):
    return np.stack([np.asarray(image).astype(int) for image in images])


def answers(x, t, seen, text):
    """A stand-in for the network: something of everything it is given."""
    return 0.3 * x + 0.2 * seen * x + text.mean((1, 2))[:, None, None, None] * seen.cos() + 0.001 * float(t)


X, SEEN = noise((2, 4, 8, 8), 0), noise((2, 4, 8, 8), 5)
TEXT, NEGATIVE = noise((2, 5, 6, 1), 9)[..., 0], noise((2, 5, 6, 1), 19)[..., 0]


@given(scales, scales)
def test_the_two_scales_are_equation_3(text_scale, image_scale):
    guided = two_scale_guidance(answers, SEEN, TEXT, NEGATIVE, text_scale, image_scale)(X, 7)
    nothing, seen = answers(X, 7, torch.zeros_like(SEEN), NEGATIVE), answers(X, 7, SEEN, NEGATIVE)
    both = answers(X, 7, SEEN, TEXT)
    wanted = nothing + image_scale * (seen - nothing) + text_scale * (both - seen)
    assert torch.allclose(guided, wanted, atol=1e-4)


@pytest.mark.parametrize(
    "text_scale, image_scale, questions",
    [(4.0, 1.5, 3), (7.5, 1, 2), (2.0, 2.0, 2), (0, 1.5, 2), (3.0, 0.0, 3), (1, 1, 1), (0.0, 1.0, 1), (0, 0, 1)],
)
def test_what_has_no_weight_is_not_asked(text_scale, image_scale, questions):
    batches = []

    def counting(x, t, seen, text):
        batches.append((len(x), len(seen), len(text)))
        return answers(x, t, seen, text)

    two_scale_guidance(counting, SEEN, TEXT, NEGATIVE, text_scale, image_scale)(X, 7)
    assert batches == [(2 * questions,) * 3]


def test_it_is_the_loop_and_nothing_else(eight):
    seen = eight.encode_image(picture()) / eight.vae.config.scaling_factor
    text, empty = eight.encode_text(PROMPT), eight.encode_text("")

    def predict_noise(x, t):
        nothing = eight.predict_noise(torch.cat([x, 0 * seen], 1), t, empty)
        alone = eight.predict_noise(torch.cat([x, seen], 1), t, empty)
        both = eight.predict_noise(torch.cat([x, seen], 1), t, text)
        return nothing + 1.5 * (alone - nothing) + 4.0 * (both - alone)

    *_, last = sample(predict_noise, noise((1, 4, 8, 8), 3), dpmpp(eight.schedule, 5))
    settings = dict(num_inference_steps=5, guidance_scale=4.0, image_guidance_scale=1.5, seed=3)
    steps = list(instruct_pix2pix_to_latents(eight, picture(), PROMPT, **settings))
    assert len(steps) == 5 and (last.x - steps[-1].x).abs().max() < 1e-4
    assert (
        np.abs(arrays(eight.decode(last.x)) - arrays(instruct_pix2pix(eight, picture(), PROMPT, **settings))).max() <= 1
    )


def test_a_batch_equals_singles_and_one_of_either_is_repeated(eight):
    pictures, prompts, settings = [picture(1), picture(2)], [PROMPT, "give it a crown"], dict(num_inference_steps=3)
    both = arrays(instruct_pix2pix(eight, pictures, prompts, seed=7, **settings))
    single = [instruct_pix2pix(eight, pictures[i], prompts[i], seed=7 + i, **settings)[0] for i in range(2)]
    assert np.abs(both - arrays(single)).max() <= 2
    one_picture = arrays(instruct_pix2pix(eight, pictures[0], prompts, seed=7, **settings))
    one_prompt = arrays(instruct_pix2pix(eight, np.asarray(pictures[0]), prompts[0], seed=[7, 7], **settings))
    assert np.abs(one_picture[0] - both[0]).max() <= 2
    assert (one_prompt[0] == one_prompt[1]).all() and np.abs(one_prompt[0] - both[0]).max() <= 2


def test_every_setting_counts(eight):
    plain, again, *others = (
        arrays(instruct_pix2pix(eight, picture(), PROMPT, num_inference_steps=3, **chosen))
        for chosen in (
            {},
            {},
            dict(seed=1),
            dict(negative_prompt="night"),
            dict(guidance_scale=9.0),
            dict(image_guidance_scale=3.0),
            dict(sampler="ddim"),
        )
    )
    assert (plain == again).all() and all((plain != other).any() for other in others)


def test_without_scale_the_instruction_plays_no_part(eight):
    settings = dict(guidance_scale=0, num_inference_steps=3)
    said, silent = (arrays(instruct_pix2pix(eight, picture(), prompt, **settings)) for prompt in (PROMPT, ""))
    assert (said == silent).all()


def test_a_picture_need_not_be_a_square(eight):
    (drawn,) = instruct_pix2pix(eight, Image.new("RGB", (96, 64), "orange"), PROMPT, num_inference_steps=2)
    assert drawn.size == (96, 64)


def test_200_words_are_cut_with_a_warning(eight):
    with pytest.warns(UserWarning, match="cut off at the end"):
        instruct_pix2pix(eight, picture(), "make it red " * 67, num_inference_steps=1)


def test_the_shipped_model_sees_the_picture():
    model, wishes = load("tiny-pix2pix", device="cpu"), [world.edit(3, i, kind="recolor") for i in range(3)]
    before = [world.render(wish.before) for wish in wishes]
    edited = arrays(
        instruct_pix2pix(model, before, [wish.instruction for wish in wishes], num_inference_steps=4, seed=0)
    )
    errors = [[((a - b) ** 2).mean() for b in arrays(before)] for a in edited]
    assert np.argmin(errors, axis=1).tolist() == [0, 1, 2], "each should be nearest to the picture it was made from"


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_on_cuda(eight_folder):
    model = load(eight_folder, device="cuda")
    assert instruct_pix2pix(model, picture(), PROMPT, num_inference_steps=3)[0].size == (64, 64)

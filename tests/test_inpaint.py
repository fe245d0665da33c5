"""Inpainting with four channels and with nine: what is kept."""

import numpy as np
import pytest
import torch
from PIL import Image

import difflab
from difflab import inpaint, inpaint_to_latents, masks, outpaint, parity, text_to_latents
from difflab.applications.inpaint import paste_back, repaint, see_masked
from difflab.loop import Step, sample
from difflab.parity.samplers import toy_noise
from difflab.samplers import ddpm

PROMPT = "a cat on a sofa at night"


def picture(seed=0, width=64, height=64):
    return Image.fromarray(np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8))


def hole(size=64):
    mask = np.zeros((size, size), bool)
    mask[16:40, 8:48] = True
    return mask


def arrays(images):
    return np.stack([np.asarray(image).astype(int) for image in images])


@pytest.fixture(scope="module")
def nine(tmp_path_factory):
    """The random miniature with nine input channels."""
    folder = tmp_path_factory.mktemp("pipelines") / "nine"
    return difflab.load(parity.random_pipeline(folder, unet=parity.SMALL_UNET | dict(in_channels=9)), device="cpu")


@pytest.fixture(params=["four", "nine"])
def either(request, random_model, nine):
    return random_model if request.param == "four" else nine


def test_paste_back_puts_the_rest_at_the_level_that_x_has_now(random_model):
    """Only in the hole is x its own; around it is the picture, with the noise of t_next, and none at the end."""
    schedule = random_model.schedule  # Stable Diffusion's: its alpha bar at -1 is below 1
    assert schedule.alpha_bar(-1) < 1
    x, clean, noise = (difflab.noise((2, 4, 8, 8), seed=s) for s in (0, 10, 20))
    mask = torch.zeros(2, 1, 8, 8)
    mask[..., 2:5, 3:7] = 1
    after = paste_back(schedule, clean, mask, noise)
    for t, t_next in ((800, 600), (1, 0), (0, -1)):
        made = after(Step(t, t_next, x, x, noise))
        kept = schedule.add_noise(clean, noise, t_next) if t_next >= 0 else clean
        assert torch.equal(made * mask, x * mask) and torch.equal(made * (1 - mask), kept * (1 - mask))


def test_the_kept_latent_ends_as_it_began(random_model):
    *_, last = inpaint_to_latents(random_model, picture(), hole(), PROMPT, num_inference_steps=4)
    mask = masks.touched(masks.as_mask(hole(), (64, 64)), 8).expand_as(last.x)
    clean = random_model.encode_image(picture())
    assert torch.equal(last.x[mask == 0], clean[mask == 0]) and not torch.allclose(last.x[mask == 1], clean[mask == 1])


def test_at_strength_1_the_hidden_content_plays_no_part(nine):
    """Whatever is under the mask: the nine-channel model never sees it."""
    other = np.asarray(picture()).copy()
    other[hole()] = 7
    settings = dict(num_inference_steps=3)
    one, two = (arrays(inpaint(nine, p, hole(), PROMPT, **settings)) for p in (picture(), other))
    assert (one == two).all()
    one, two = (arrays(inpaint(nine, p, hole(), PROMPT, strength=0.7, **settings)) for p in (picture(), other))
    assert (one != two).any()


def test_see_masked_shows_the_same_to_both_halves_of_guidance():
    seen = []

    def predict_noise(x, t, text):
        seen.append(x)
        return x[:, :4]

    mask, latent = torch.rand(2, 1, 4, 4), torch.rand(2, 4, 4, 4)
    x = torch.rand(4, 4, 4, 4)
    assert torch.equal(see_masked(predict_noise, mask, latent)(x, 5, None), x)
    assert seen[0].shape == (4, 9, 4, 4)
    assert torch.equal(seen[0][:2, 4:], seen[0][2:, 4:])
    assert torch.equal(seen[0][:2, 4:5], mask) and torch.equal(seen[0][:2, 5:], latent)


def test_the_hole_in_the_masked_latent_is_gray(nine, monkeypatch):
    given = []
    encode = nine.vae.encode
    monkeypatch.setattr(nine.vae, "encode", lambda x: given.append(x) or encode(x))
    next(inpaint_to_latents(nine, picture(), hole(), PROMPT, num_inference_steps=2))
    where = torch.from_numpy(hole())
    assert (given[-1][..., where] == 0).all()
    assert torch.equal(given[-1][..., ~where], nine.as_pixels(picture())[..., ~where])


def test_a_batch_equals_singles(either):
    prompts, pictures, holes = [PROMPT, "a red car"], [picture(1), picture(2)], [hole(), ~hole()]
    settings = dict(num_inference_steps=3)
    together = arrays(inpaint(either, pictures, holes, prompts, seed=4, **settings))
    alone = [
        inpaint(either, p, h, q, seed=4 + i, **settings)[0]
        for i, (p, h, q) in enumerate(zip(pictures, holes, prompts, strict=True))
    ]
    assert np.abs(together - arrays(alone)).max() <= 2


def test_one_picture_serves_for_several_prompts_and_seeds(either):
    settings = dict(num_inference_steps=2)
    assert len(inpaint(either, picture(), hole(), [PROMPT] * 3, **settings)) == 3
    a, b, c = arrays(inpaint(either, picture(), hole(), PROMPT, seed=[5, 5, 6], **settings))
    assert np.abs(a.astype(int) - b).max() <= 2 and np.abs(a.astype(int) - c).max() > 2  # up to rounding
    assert len(inpaint(either, [picture(), picture(1)], hole(), PROMPT, **settings)) == 2


def test_same_seed_same_picture_and_the_global_generator_is_left_alone(either):
    before = torch.get_rng_state()
    for sampler in ("dpm++", "ddpm", repaint(2)):
        settings = dict(num_inference_steps=3, sampler=sampler)
        one, two = (arrays(inpaint(either, picture(), hole(), PROMPT, seed=1, **settings)) for _ in range(2))
        assert (one == two).all()
    assert torch.equal(before, torch.get_rng_state())


def test_strength_runs_the_last_steps(either):
    steps = list(inpaint_to_latents(either, picture(), hole(), PROMPT, strength=0.5, num_inference_steps=8))
    assert [s.t for s in steps] == either.schedule.timesteps(8, drop_last=True).tolist()[4:]


def test_a_soft_mask_blends_in_latent_space(either):
    soft = masks.soft_edge(hole(), 16)
    settings = dict(num_inference_steps=3, seed=[0, 1])
    *_, last = inpaint_to_latents(either, picture(), hole(), PROMPT, blend=soft, **settings)
    clean = either.encode_image(picture())
    kept = masks.share(masks.as_mask(soft, (64, 64)), 8).expand_as(clean) == 0
    assert kept.any() and all(torch.allclose(x[None][kept], clean[kept], atol=1e-5) for x in last.x)


def test_the_mask_itself_is_what_a_four_channel_model_blends_with(random_model):
    mask = np.zeros((64, 64), bool)
    mask[16:40, 8:48] = True  # in whole places of the latent
    one, two = (list(inpaint_to_latents(random_model, picture(), mask, PROMPT, num_inference_steps=3, blend=b))[-1]
                for b in (None, mask))  # fmt: skip
    assert torch.equal(one.x, two.x)


# -- RePaint ----------------------------------------------------------------------------------------------------------


def test_repaint_once_is_the_sampler_itself(random_model):
    x = difflab.noise((1, 4, 8, 8), seed=0)
    walks = []
    for make in (repaint(1), ddpm):
        sampler = make(random_model.schedule, 6, generator=torch.Generator().manual_seed(2))
        walks.append([s.x for s in sample(toy_noise, x, sampler)])
    assert all(torch.equal(a, b) for a, b in zip(*walks, strict=True))


def test_repaint_walks_every_stretch_so_many_times(random_model):
    steps = random_model.schedule.timesteps(5).tolist()
    a, b, c, d, e = steps
    walk = repaint(2, 2)(random_model.schedule, 5, generator=torch.Generator())
    assert walk.timesteps == (a, b, a, b, c, d, c, d, e, e)
    assert repaint(3)(random_model.schedule, 5, generator=torch.Generator(), start=3).timesteps == (d,) * 3 + (e,) * 3
    made = list(
        inpaint_to_latents(random_model, picture(), hole(), PROMPT, num_inference_steps=5, sampler=repaint(2, 2))
    )
    assert [s.t for s in made] == list(walk.timesteps)


@pytest.mark.parametrize("times, jump", [(3, 1), (2, 3)])
def test_repaint_keeps_x_at_the_noise_level_of_its_timestep(random_model, times, jump):
    """In a world with one picture, what is left of x without it must be noise of variance 1 at every level."""
    schedule, clean = random_model.schedule, torch.full((1, 4, 64, 64), 0.7)

    def noise_in(x, t):
        abar = schedule.alpha_bar(t)
        return (x - abar.sqrt() * clean) / (1 - abar).sqrt()

    walk = repaint(times, jump, "ddim")(schedule, 8, generator=torch.Generator().manual_seed(1))
    x = schedule.add_noise(clean, difflab.noise(clean.shape, seed=0), walk.timesteps[0])
    for step in list(sample(noise_in, x, walk))[:-1]:
        left = noise_in(step.x, step.t_next)
        assert abs(left.mean()) < 0.05 and abs(left.var() - 1) < 0.05, (step.t, step.t_next)


# -- outpainting ------------------------------------------------------------------------------------------------------


def test_outpaint_extends_all_sides_in_one_call_and_keeps_the_inside(either):
    (made,) = outpaint(either, picture(), PROMPT, left=16, right=32, top=16, num_inference_steps=2)
    assert made.size == (112, 80)
    inside = np.asarray(made)[16:80, 16:80]
    assert (inside[16:, 16:-16] == np.asarray(picture())[16:, 16:-16]).all()
    (hard,) = outpaint(either, picture(), PROMPT, bottom=16, overlap=0, num_inference_steps=2)
    assert (np.asarray(hard)[:64] == np.asarray(picture())).all()


def test_an_empty_prompt_is_fine_without_guidance(either):
    (one,) = inpaint(either, picture(), hole(), "", guidance_scale=0, num_inference_steps=1)
    assert one.size == (64, 64)


def test_text_to_image_is_the_limit_of_a_nearly_full_mask(random_model):
    """With all but one corner to fill, the hole starts as text_to_image does: the same noise, the same seed."""
    mask = np.ones((64, 64), bool)
    mask[:8, :8] = False
    first = next(inpaint_to_latents(random_model, picture(), mask, PROMPT, num_inference_steps=4, seed=3))
    plain = next(text_to_latents(random_model, PROMPT, num_inference_steps=4, seed=3))
    assert torch.equal(first.eps, plain.eps)

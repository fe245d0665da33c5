"""Every kind of bad input gets a ValueError that names the value and the way out, before any work is done."""

import hashlib
import inspect
import json
import math
import re
import shutil

import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import load_file, save_file

import difflab
from difflab import (
    attention,
    clip,
    cost,
    judge,
    latent,
    load,
    masks,
    metrics,
    noise,
    parity,
    pick_device,
    plan,
    show,
    text_to_image,
    toy2d,
)
from difflab.applications.inpaint import paste_back, repaint, see_masked
from difflab.applications.prompt_to_prompt import reweight
from difflab.checks import as_number, as_whole, check_tensor
from difflab.condition import see_beside
from difflab.inputs import as_array, fit_image, to_images
from difflab.loading import HUB, read_index
from difflab.samplers import by_name, ddim, ddpm, first_step

NAN, INF = math.nan, math.inf
PROMPT = "a cat on a sofa"
PICTURE = Image.new("RGB", (64, 64), "teal")
HOLE = np.zeros((64, 64), bool)
HOLE[16:40, 8:48] = True


# -- numbers and tensors ----------------------------------------------------------------------------------------------

NO_NUMBERS = (
    True,
    np.bool_(True),
    "5",
    None,
    [],
    1j,
    NAN,
    INF,
    -INF,
    np.float32(NAN),
    np.float32(INF),
    torch.tensor(1.0),
    10**400,
)


@pytest.mark.parametrize("value", NO_NUMBERS, ids=repr)
def test_what_is_no_number(value):
    for rule in (as_number, as_whole):
        with pytest.raises(ValueError, match="^n=.* must be between us"):
            rule("n", value, "between us")


def test_what_is_a_number():
    for value in (3, np.int64(3), np.uint8(3)):
        assert as_whole("n", value) == 3 and type(as_whole("n", value)) is int
        assert as_number("n", value) == 3 and type(as_number("n", value)) is float
    assert as_number("n", np.float32(0.5)) == 0.5 and as_whole("n", 2**62 + 1) == 2**62 + 1
    for value in (0.5, 2.0, np.float32(2)):
        with pytest.raises(ValueError, match="n="):
            as_whole("n", value)
    for value in (0, 5):
        with pytest.raises(ValueError, match="n="):
            as_number("n", value, low=1, high=4)


def test_tensors_by_their_axes():
    x = torch.zeros(2, 4, 8, 8)
    check_tensor("x", x)
    check_tensor("x", x.half(), "B", 4, "h", "w")
    for bad in (x[0], x[:, :3], x[:0], x.int(), x.numpy(), None, "x"):
        with pytest.raises(ValueError, match=r"^x is .* and must be a tensor of floats \(B, 4, h, w\)"):
            check_tensor("x", bad, "B", 4, "h", "w")
    for end in (NAN, INF, -INF):
        spoiled = x.clone()
        spoiled[1, 2, 3, 4] = end
        with pytest.raises(ValueError, match="x holds NaN or infinity"):
            check_tensor("x", spoiled)


# -- applications: every argument of every one of them ----------------------------------------------------------------


def numbers(name, *others):
    return [(value, f"{name}=") for value in (*NO_NUMBERS, *others)]


def pairs(wrong, message):
    return [(value, message) for value in wrong]


TEXTS = [*pairs([7, [], b"a", {}, ["a", None], None], "str or a list of str"), *pairs(["\ud800"], "half a character")]
NO_TEXTS = TEXTS + pairs(["", "  \n"], "prompt is empty")
FUNCTIONS = (None, 7, "guide", [])
NO_LATENTS = [
    (torch.zeros(2, 4, 8, 8), r"\(2, 4, 8, 8\).* must be"),
    (torch.full((1, 4, 8, 8), NAN), "latents holds NaN"),
    (torch.zeros(1, 4, 8, 8).int(), "latents is torch.int32"),
    (np.zeros((1, 4, 8, 8), np.float32), "latents is ndarray"),
]
#: By the names of the applications' parameters: what none of them may take, and what it has to be told.
WRONG = {
    "model": pairs(["tiny", None, 7], "must be a loaded one: model = difflab.load"),
    "prompt": NO_TEXTS + pairs([[PROMPT, ""]], "prompt is empty"),
    "source_prompt": NO_TEXTS,
    "target_prompt": NO_TEXTS + pairs(["a red dog on a sofa"], "use change=refine"),
    "negative_prompt": TEXTS + pairs([["a", "b"]], "2 negative prompts for 1"),
    "num_inference_steps": numbers("num_inference_steps", 0, -1, 1001, 2.5, 10**9),
    "guidance_scale": numbers("guidance_scale", 1e300),
    "image_guidance_scale": numbers("image_guidance_scale", 1e300),
    "strength": numbers("strength", 1.01, -0.1),
    "combine": pairs(FUNCTIONS, "combine=.* must be a function of two predictions and a scale"),
    "progress": pairs(FUNCTIONS[1:], "progress=.* must be a function of one Step"),
    "sampler": [
        *pairs(["plms", None, 7, [], {}, b"ddim"], "is unknown: choose one of ddpm, ddim, dpm\\+\\+, euler"),
        *pairs([print, int, lambda schedule: None], "must be a function .schedule, num_inference_steps"),
        (lambda *_, **__: None, "makes no Sampler but None"),
    ],
    "seed": [
        *pairs([-1, 1.5, True, None, "0", 2**63, {}, NAN], "seed="),
        *pairs([[-1], [None], [True]], "seed="),
        ([], "0 seeds for 1 pictures"),
    ],
    "image": [
        (Image.new("RGBA", (64, 64)), r"mode is 'RGBA'; use image.convert\('RGB'\)"),
        (Image.new("L", (64, 64)), "mode is 'L'"),
        (Image.new("RGB", (60, 64)), r"both sides must be multiples of 16.*resize\(\(64, 64\)\)"),
        (Image.new("RGB", (0, 0)), "0 x 0"),
        (np.zeros((64, 0, 3), np.uint8), "0 x 64"),
        (np.zeros((64, 64, 3), np.float32), "uint8 array .*not float32 array"),
        (np.zeros((64, 64, 4), np.uint8), "not uint8 array"),
        (np.zeros((64, 64), np.uint8), "not uint8 array"),
        (np.broadcast_to(np.uint8(0), (20_000, 20_000, 3)), "20000|20016"),
        ([], "no picture"),
        *pairs(["cat.png", None, 7, [PICTURE, None]], "a picture is a PIL image or a uint8 array"),
    ],
    "mask": [
        (np.zeros((32, 32), bool), "mask is 32 x 32 and the picture 64 x 64"),
        (np.zeros((64, 64), bool), "mask is empty"),
        (np.ones((64, 64), bool), "mask is full"),
        (np.full((64, 64), NAN), "values go from nan"),
        ([HOLE, np.full((64, 64), INF)], "to inf"),
        (np.zeros((64, 64), int), "not int64"),
        (np.zeros((0, 0), bool), r"\(0, 0\)"),
        ([], "no mask"),
        *pairs(["mask.png", None, 7, [HOLE, None]], "a mask is a PIL picture or an array"),
    ],
    "blend": [
        (np.zeros((32, 32), bool), "mask is 32 x 32"),
        (np.full((64, 64), NAN), "values go from nan"),
        (np.full((64, 64), 1.1), "to 1.1"),
        ([HOLE] * 2, "2 masks to blend with for 1"),
        *pairs(["mask.png", 7], "a mask is a PIL picture or an array"),
    ],
    "shrink": [
        *pairs(FUNCTIONS, "shrink=.* must be a function"),
        (lambda mask, factor: None, "shrink returned is NoneType"),
        (lambda mask, factor: mask * NAN, "shrink returned holds NaN"),
    ],
    "change": [
        *pairs(FUNCTIONS, "change=.* must be a function"),
        (lambda *_: None, "what change returned=None must be a function"),
        (reweight({"panda": 2.0}), "has no 'panda'"),
    ],
    "cross_replace_steps": numbers("cross_replace_steps", 1.5, -0.1),
    "self_replace_steps": numbers("self_replace_steps", 1.5, -0.1),
    "local_blend": [
        *pairs(["cat", 7, (), [], {}, ("cat",), ("cat", "dog", "sofa"), [("cat", "dog")] * 2], "there are 1 pairs"),
        (("cat", "panda"), "has no 'panda'"),
        (("cat", None), "word=None must be a str"),
    ],
    "latents": [*NO_LATENTS, ("noise", "latents is str")],
    "inverted": [
        ("path", "inverted is str"),
        (torch.zeros(4, 1, 4, 8, 8), "call invert with num_inference_steps=20"),
        (torch.full((21, 1, 4, 8, 8), NAN), "inverted holds NaN"),
    ],
    "left": [(value, "left=") for value in (True, NAN, -1, "5", None, [], 1.0, 10**9)],
    "right": [(1.0, "right=")],
    "top": [(True, "top=")],
    "bottom": [(-16, "bottom=")],
    "overlap": [(value, "overlap=") for value in (True, NAN, -1, "5", None, [], 1.0, 10**30)],
}
GIVEN = {
    difflab.text_to_image: dict(prompt=PROMPT),
    difflab.sdedit: dict(image=PICTURE, prompt=PROMPT),
    difflab.inpaint: dict(image=PICTURE, mask=HOLE, prompt=PROMPT),
    difflab.outpaint: dict(image=PICTURE, prompt=PROMPT, left=16),
    difflab.instruct_pix2pix: dict(image=PICTURE, prompt=PROMPT),
    difflab.invert: dict(image=PICTURE, prompt=PROMPT),
    difflab.prompt_to_prompt: dict(source_prompt=PROMPT, target_prompt="a dog on a sofa"),
}


def parameters(application):
    """The names of all that it takes; what `outpaint` hands on to `inpaint` is of `outpaint` too."""
    names = list(inspect.signature(application).parameters)
    if "settings" in names:
        names = [*names[:-1], *(name for name in parameters(difflab.inpaint) if name not in {*names, "mask", "blend"})]
    return names


CASES = [
    (application, name, value, message)
    for application in GIVEN
    for name in parameters(application)
    for value, message in WRONG[name]
]


def test_every_application_is_here():
    public = {name: getattr(difflab, name) for name in difflab.__all__ if not name.endswith("_to_latents")}
    ours = {f for f in public.values() if getattr(f, "__module__", "").startswith("difflab.applications.")}
    assert ours == set(GIVEN), "give the new application's good arguments in GIVEN, and the bad ones in WRONG"


@pytest.fixture(scope="module")
def models(random_model, tmp_path_factory):
    """By the channels that their U-Nets see: random miniatures."""
    folder = tmp_path_factory.mktemp("pipelines")
    more = {n: parity.random_pipeline(folder / str(n), unet=parity.SMALL_UNET | dict(in_channels=n)) for n in (8, 9)}
    return {4: random_model} | {n: load(path, device="cpu") for n, path in more.items()}


@pytest.fixture
def no_work(models, monkeypatch):
    """The same models, none of whose networks may be reached."""

    def forbidden(*_, **__):
        raise AssertionError("work was done before the input was checked")

    for model in models.values():
        for part, name in (("text_encoder", "forward"), ("vae", "encode"), ("vae", "decode"), ("unet", "forward")):
            monkeypatch.setattr(getattr(model, part), name, forbidden)
    return models


def refused(models, application, message, channels=None, **arguments):
    given = dict(model=models[channels or (8 if application is difflab.instruct_pix2pix else 4)]) | GIVEN[application]
    with pytest.raises(ValueError, match=message):
        application(**{**given, **arguments})


@pytest.mark.parametrize(
    "application, name, value, message",
    CASES,
    ids=[f"{case[0].__name__}-{case[1]}-{i}" for i, case in enumerate(CASES)],
)
def test_every_argument_of_every_application(no_work, application, name, value, message):
    refused(no_work, application, message, **{name: value})


@pytest.mark.parametrize(
    "application, arguments, message",
    [
        (difflab.text_to_image, dict(prompt=["a cat"] * 3, seed=[0, 1]), "2 seeds for 3 pictures"),
        (difflab.text_to_image, dict(channels=8), r"sees 8 channels and was given 4.*load\('tiny-pix2pix'\)"),
        (difflab.sdedit, dict(prompt=["a cat", "a dog"], image=[PICTURE] * 3), "2 prompts for 3 pictures"),
        (difflab.sdedit, dict(image=[PICTURE] * 2, seed=[0, 1, 2]), "2 pictures for 3"),
        (difflab.sdedit, dict(image=[PICTURE, Image.new("RGB", (32, 32))]), "one size"),
        (difflab.sdedit, dict(strength=0, prompt=""), "prompt is empty"),
        (difflab.sdedit, dict(strength=0, guidance_scale=NAN), "guidance_scale=nan"),
        (difflab.sdedit, dict(channels=9), "sees 9 channels and was given 4"),
        (difflab.inpaint, dict(mask=[HOLE] * 2, image=[PICTURE] * 3), "2 masks for 3 pictures"),
        (difflab.inpaint, dict(blend=[HOLE] * 2, prompt=["a"] * 3), "2 masks to blend with for 3"),
        (difflab.inpaint, dict(strength=0), "strength=0 of 20 steps leaves none"),
        (difflab.inpaint, dict(strength=0.04, channels=9), "strength=0.04 of 20 steps leaves none"),
        (difflab.inpaint, dict(mask=np.ones((64, 64), bool), channels=9), "mask is full"),
        (difflab.inpaint, dict(channels=8), "8 input channels: filling in needs 4 or 9"),
        (difflab.outpaint, dict(left=0), "nothing to add"),
        (difflab.outpaint, dict(left=10), "74 x 64; both sides must be multiples of 16"),
        (difflab.outpaint, dict(left=2000, top=2000), "both sides must be multiples of 16, and not too large"),
        (difflab.outpaint, dict(overlap=80), "mask is full"),
        (difflab.outpaint, dict(image=[PICTURE] * 2), "one picture is wanted here, and 2 were given"),
        (difflab.outpaint, dict(channels=8), "8 input channels"),
        (difflab.instruct_pix2pix, dict(prompt=[PROMPT] * 2, image=[PICTURE] * 3), "2 prompts for 3 pictures"),
        (difflab.instruct_pix2pix, dict(seed=[0, 1], image=[PICTURE] * 3), "for 3"),
        (difflab.instruct_pix2pix, dict(channels=4), r"sees 4 channels and was given 8.*load\('tiny-pix2pix'\)"),
        (difflab.invert, dict(image=[PICTURE] * 2, prompt=["a cat"] * 3), "2 pictures for 3"),
        (difflab.invert, dict(image=Image.new("RGB", (96, 96))), "96 x 96; this model inverts 64 x 64"),
        (difflab.invert, dict(channels=9), "sees 9 channels and was given 4"),
        (difflab.prompt_to_prompt, dict(source_prompt=[PROMPT] * 2), "a target for each source"),
        (difflab.prompt_to_prompt, dict(seed=[1, 2]), "2 seeds for 1"),
        (difflab.prompt_to_prompt, dict(inverted=torch.zeros(21, 1, 4, 8, 8), sampler="dpm++"), "use sampler='ddim'"),
        (
            difflab.prompt_to_prompt,
            dict(inverted=torch.zeros(21, 1, 4, 8, 8), latents=torch.zeros(1, 4, 8, 8)),
            "not both",
        ),
        (difflab.prompt_to_prompt, dict(channels=8), "sees 8 channels and was given 4"),
    ],
)
def test_arguments_that_do_not_go_together(no_work, application, arguments, message):
    refused(no_work, application, message, **arguments)


def test_what_is_asserted_here_is_asked_for(no_work):
    """The fixture does forbid work, of every network: each application reaches one as soon as its input is good."""
    for application, given in GIVEN.items():
        model = no_work[8 if application is difflab.instruct_pix2pix else 4]
        with pytest.raises(AssertionError, match="work was done"):
            application(model, **given)


def test_numpys_numbers_are_numbers(random_model):
    plain = text_to_image(random_model, "a cat", num_inference_steps=2, guidance_scale=2.0, seed=3)
    same = dict(num_inference_steps=np.int64(2), guidance_scale=np.float32(2), seed=np.uint8(3))
    assert text_to_image(random_model, "a cat", **same)[0].tobytes() == plain[0].tobytes()
    assert heat(size=np.int64(16)).shape == heat(size=(np.int32(16), 16)).shape == (16, 16)


def test_a_change_that_spoils_attention_is_told_where(random_model):
    for spoil in (lambda probs, site: probs * NAN, lambda probs, site: probs.int()):
        with pytest.raises(ValueError, match="returned .*attn2"):
            difflab.prompt_to_prompt(random_model, PROMPT, PROMPT, change=lambda *_, spoil=spoil: spoil)


def test_an_empty_prompt_is_fine_without_guidance(random_model):
    assert len(text_to_image(random_model, "", guidance_scale=0, num_inference_steps=1)) == 1


def test_an_over_long_prompt_warns_and_still_draws(random_model):
    with pytest.warns(UserWarning, match="cut off at the end: '.*penguin.*'"):
        (image,) = text_to_image(random_model, "very " * 60 + "cold penguin", num_inference_steps=1)
    assert image.size == (64, 64)


# -- everything else that is called by hand ---------------------------------------------------------------------------

Z = torch.linspace(-2, 2, 4 * 8 * 8).reshape(1, 4, 8, 8)
SPOILED = torch.where(Z > 1.9, NAN, Z)
CLOUD = toy2d.two_moons(20)
SCHEDULE = difflab.NoiseSchedule.scaled_linear()
MAPS = {"down.attn2": [torch.rand(2, 16, 5)]}
VECTORS = torch.eye(3)
SMALL_MASK = torch.ones(1, 1, 8, 8)


def heat(**settings):
    return attention.heat_map(**{"maps": MAPS, "positions": [2], "size": 16, **settings})


def learn(**settings):
    return next(toy2d.train(**{"network": toy2d.PointNetwork(), "points": CLOUD, "schedule": SCHEDULE, **settings}))


def predict(model, x=Z, t=5):
    return model.predict_noise(x, t, model.encode_text("a"))


def walk(**settings):
    given = dict(predict_noise=lambda x, t: x, x=Z, sampler=ddim(SCHEDULE, 2))
    return next(difflab.sample(**{**given, **settings}))


def edited(model, change=lambda probs, site: probs, **settings):
    with attention.edit(model.unet, change, **settings):
        predict(model)


OTHERS = {
    "loop": [
        (lambda m: walk(x=SPOILED), "x holds NaN"),
        (lambda m: walk(x=Z.int()), "x is torch.int32"),
        (lambda m: walk(x=Z.numpy()), "x is ndarray"),
        (lambda m: walk(sampler="dpm++"), "sampler='dpm\\+\\+' must be one of difflab.samplers, made"),
        (lambda m: walk(sampler=ddim), "must be one of difflab.samplers, made"),
        (lambda m: walk(predict_noise=None), "predict_noise=None must be a function"),
        (lambda m: walk(after=7), "after=7 must be a function"),
    ],
    "model": [
        *((lambda m, t=t: predict(m, t=t), "^t=.* from 0 to 999") for t in (-1, 1000, NAN, INF, True, None, "5", [])),
        (lambda m: predict(m, t=torch.tensor([1000])), r"t=\[1000\] must be"),
        (lambda m: predict(m, t=torch.tensor([-1])), r"t=\[-1\] must be"),
        (lambda m: predict(m, t=torch.tensor([NAN])), r"t=\[nan\] must be"),
        (lambda m: m.decode(SPOILED), "latents holds NaN"),
        (lambda m: m.decode(Z[0]), r"latents is torch.float32 \(4, 8, 8\)"),
        (lambda m: m.encode_pixels(torch.full((1, 3, 64, 64), NAN)), "x holds NaN"),
        (lambda m: m.encode_text(["a", "\udfff"]), "half a character"),
        (lambda m: m.seeing("see_masked"), "see='see_masked' must be a function"),
        (lambda m: m.encode_image([PICTURE, Image.new("RGB", (32, 32))]), "one size"),
    ],
    "openings": [
        (lambda m: paste_back(SCHEDULE, SPOILED, SMALL_MASK, Z), "clean holds NaN"),
        (lambda m: paste_back(SCHEDULE, Z, SMALL_MASK * NAN, Z), "mask holds NaN"),
        (lambda m: paste_back(SCHEDULE, Z, Z, Z), "mask is"),
        (lambda m: see_masked(m.predict_noise, SMALL_MASK * NAN, Z), "mask holds NaN"),
        (lambda m: see_masked(m.predict_noise, None, Z), "mask is NoneType"),
        (lambda m: see_beside(m.predict_noise, SPOILED), "seen holds NaN"),
        (lambda m: see_beside(None, Z), "predict_noise=None must be a function"),
        (lambda m: difflab.classifier_free_guidance(7, Z, Z, 2.0), "predict_noise=7"),
        (lambda m: difflab.classifier_free_guidance(predict, Z, Z, 2.0, combine=None), "combine=None"),
        (lambda m: difflab.classifier_free_guidance(predict, Z, Z, True), "guidance_scale=True"),
        (lambda m: difflab.in_interval(2.0, NAN, 5), "t_low=nan"),
        (lambda m: difflab.rescaled(True), "phi=True"),
        (lambda m: reweight({}), "must give one word or more a finite number"),
        (lambda m: reweight(None), "must give one word or more a finite number"),
        *(
            (lambda m, w=w: reweight({"night": w}), "the weight of 'night'=.* must be a finite number")
            for w in (NAN, True, "1", None)
        ),
    ],
    "samplers": [
        *((lambda m, s=s: by_name(s), "is unknown: choose one of ddpm") for s in ([], None, {}, 7, "plms")),
        (lambda m: by_name(int), "must be a function .schedule"),
        (lambda m: ddpm(SCHEDULE, 2).begin()(Z, 999, Z), "this draws noise"),
        (lambda m: ddpm(SCHEDULE, 2, generator=[7]).begin()(Z, 999, Z), "this draws noise"),
        (lambda m: ddim(SCHEDULE, 2, eta=NAN), "eta=nan"),
        (lambda m: ddim(SCHEDULE, 2, start=True), "start=True"),
        (lambda m: first_step(0, 0.5), "num_inference_steps=0"),
        *((lambda m, n=n: repaint(times=n), "times=") for n in (0, 2.5, True, 10**30)),
        *((lambda m, n=n: repaint(jump=n), "jump=") for n in (0, 2.5, True)),
        (lambda m: repaint(sampler="dpm++"), "remembers the step before"),
        (lambda m: repaint(sampler=[]), "unknown"),
    ],
    "schedule": [
        *(
            (lambda m, n=n, make=make: make(num_train_timesteps=n), "num_train_timesteps=.* from 1 to 100000")
            for make in (SCHEDULE.linear, SCHEDULE.scaled_linear, SCHEDULE.cosine)
            for n in (10**9, 0, True, "1000", None)
        ),
        *((lambda m, b=b: SCHEDULE.linear(beta_start=b), "beta_start=") for b in (-1, 2, NAN, "a", None)),
        (lambda m: SCHEDULE.cosine(max_beta=NAN), "max_beta=nan"),
        (lambda m: difflab.NoiseSchedule(None), "alphas_cumprod=None must be numbers"),
        (lambda m: difflab.NoiseSchedule([]), "alphas_cumprod has the shape"),
        (lambda m: difflab.NoiseSchedule([NAN]), "must fall and lie in"),
        (lambda m: difflab.NoiseSchedule([0.5], steps_offset="1"), "steps_offset='1'"),
        (lambda m: difflab.NoiseSchedule([0.5], final_alpha_cumprod=0), "final_alpha_cumprod=0"),
        (lambda m: SCHEDULE.from_config(None), "config=None must be a dict"),
        (lambda m: SCHEDULE.from_config({"num_train_timesteps": 10**9}), "num_train_timesteps=1000000000"),
        (lambda m: SCHEDULE.from_config({"trained_betas": "abc"}), "betas='abc' must be numbers"),
        (lambda m: SCHEDULE.add_noise(Z, Z, True), "t=True"),
    ],
    "attention": [
        (lambda m: edited(m, lambda probs, site: probs * NAN), "what change returned in .*attn2 holds NaN"),
        (lambda m: edited(m, lambda probs, site: probs.int()), "change returned"),
        *((lambda m, n=n: edited(m, positions=n), "positions=") for n in (0, -1, True, NAN, "5")),
        (lambda m: edited(m, pictures=True), "pictures=True"),
        (lambda m: edited(m, layers=None), "layers=None must be a str"),
        (lambda m: attention.layers_of(m), "must be a network: pass model.unet"),
        *((lambda m, p=p: edited(m, attention.silence(p)), "position") for p in (None, 7, [NAN], [True], [2.5], "ab")),
        *((lambda m, p=p: attention.swap(p, [3]), "cannot swap") for p in (None, 7, [], [3], (2,))),
        (lambda m: attention.swap([2, 2], [3, 4]), "cannot swap"),
        (lambda m: edited(m, attention.swap([2.5], [3])), "position=2.5"),
        (lambda m: heat(maps={"a": [torch.full((2, 16, 5), NAN)]}), "maps holds NaN"),
        (lambda m: heat(maps=None), "what `record` gives"),
        *((lambda m, s=s: heat(size=s), "size=") for s in (0, -1, True, NAN, "5", None, (16,), (2.5, 16), 10**9)),
        *((lambda m, p=p: heat(picture=p), "picture=") for p in (2, -1, True, NAN, None)),
        *((lambda m, p=p: heat(positions=p), "position") for p in (None, 2, [True], ["a"], [2.5], [5])),
        *((lambda m, w=w: attention.token_positions(m.tokenizer, "a cat", w), "word=") for w in (None, 7, "\ud800")),
    ],
    "pictures": [
        *((lambda m, n=n: fit_image(PICTURE, n), "size=") for n in (0, True, NAN, 64.0, 10**9)),
        (lambda m: fit_image(Image.new("RGB", (0, 0)), 64), "0 x 0: there is nothing to see"),
        (lambda m: as_array([PICTURE] * 2), "one picture is wanted here"),
        (lambda m: to_images(torch.full((1, 3, 8, 8), NAN)), "x holds NaN"),
        (lambda m: noise((1, 4, 8, 2.5), 0), "shape=2.5"),
        (lambda m: noise((10**9, 4, 8, 8), 0), "shape=1000000000"),
        (lambda m: noise(7, 0), "shape=7"),
        *(
            (lambda m, seed=seed: noise((2, 4, 8, 8), seed), "seed")
            for seed in (-1, 0.5, "0", True, [1, -2], [1], [0, NAN])
        ),
        (lambda m: show.overlay(PICTURE, np.full((64, 64), NAN)), "the map holds NaN"),
        (lambda m: show.grid([PICTURE], columns=10**9), "columns=1000000000"),
        (lambda m: show.grid([PICTURE], size=NAN), "size=nan"),
        (lambda m: show.matrix([[1.0]], ["a"], ["b"], decimals=-1), "decimals=-1"),
    ],
    "masks": [
        *((lambda m, n=n: masks.grow(HOLE, n), "pixels=") for n in (True, NAN, INF, "5", None, 10**30)),
        *((lambda m, n=n: masks.soft_edge(HOLE, n), "width=") for n in (True, NAN, INF, "5", None, 0, -1)),
        *((lambda m, n=n: masks.extend(PICTURE, left=n), "left=") for n in (True, NAN, -1, 2.5, 10**9)),
        (lambda m: masks.extend(np.zeros((16_000, 1, 3), np.uint8), top=400), "the new size=16400"),
        *(
            (lambda m, s=s: masks.drawn(s, (32, 32)), "is no stroke")
            for s in (
                "brush nan 1 1",
                "brush inf 1 1 5 5",
                "brush 5 nan 1",
                "rectangle nan 0 4 4",
                "brush 0 5 5",
                "brush -3 5 5",
                "rectangle 0 0 1e300 9",
            )
        ),
        (lambda m: masks.drawn(None, (32, 32)), "strokes=None"),
        *(
            (lambda m, s=s: masks.drawn("", s), "size=")
            for s in (None, 7, (0, 0), (2.5, 5), (10**6, 10**6), (5,), "ab")
        ),
        *(
            (lambda m, f=f, shrink=shrink: shrink(torch.ones(1, 1, 64, 64), f), "factor=")
            for shrink in (masks.touched, masks.nearest, masks.share)
            for f in (0, True, NAN, "8", None, 65)
        ),
        *(
            (lambda m, shrink=shrink: shrink(torch.full((1, 1, 64, 64), NAN), 8), "mask holds NaN")
            for shrink in (masks.touched, masks.nearest, masks.share)
        ),
        (lambda m: masks.as_mask(HOLE, 64), "size=64"),
        (lambda m: masks.distance(np.zeros((0, 0), bool)), r"\(0, 0\)"),
        (lambda m: masks.composite(PICTURE, PICTURE, np.full((64, 64), NAN)), "values go from nan"),
    ],
    "measures": [
        (lambda m: metrics.psnr(torch.full((1, 3, 8, 8), NAN), torch.zeros(1, 3, 8, 8)), "pictures holds NaN"),
        (lambda m: metrics.psnr(torch.zeros(1, 3, 8, 8), None), "a picture is a PIL image or a uint8 array"),
        (lambda m: metrics.psnr(PICTURE, PICTURE, least=2), "least=2 must be a fraction"),
        (lambda m: metrics.psnr(PICTURE, PICTURE, torch.full((1, 64, 64), NAN)), "where holds NaN"),
        (lambda m: metrics.seam([PICTURE] * 2, HOLE), "one picture is wanted"),
        (lambda m: cost.seconds(lambda: 0, 0), "repeats=0"),
        (lambda m: cost.seconds(lambda: 0, 10**30), "repeats="),
        (lambda m: cost.seconds(None), "call=None"),
        (lambda m: judge.agreement([], [7]), "0 verdicts for 1 scenes"),
        (lambda m: judge.obeyed([PICTURE], []), "1 pictures for 0 edits"),
        (lambda m: judge.look(PICTURE), "128 x 128"),
        *((lambda m, n=n: plan(n), "there is no plan for") for n in (None, 7, [], {}, "x")),
        *((lambda m, v=v: clip.search(VECTORS, v), "b is|b holds") for v in (None, VECTORS * NAN, VECTORS[:, :2])),
        *((lambda m, k=k: clip.search(VECTORS, VECTORS, k), "k=") for k in (0, 4, True, NAN, "1", 1.0)),
        (lambda m: clip.recall(VECTORS * NAN, VECTORS), "a holds NaN"),
        (lambda m: clip.tokens(m.tokenizer, None), "prompt=None"),
        (lambda m: clip.scaled_square(PICTURE, 0), "side=0"),
    ],
    "latent": [
        *((lambda m, n=n: latent.channels_as_pictures(Z, n), "limit=") for n in (0, -1, True, NAN, INF)),
        (lambda m: latent.channels_as_pictures(SPOILED), "latents holds NaN"),
        (lambda m: latent.fit_preview(Z, torch.zeros(2, 3, 64, 64)), "pictures is"),
        (lambda m: latent.preview(Z, torch.zeros(4, 3)), "weights is"),
        (lambda m: latent.slerp(SPOILED, Z, 0.5), "a holds NaN"),
        *((lambda m, w=w: latent.slerp(Z, Z, w), "weight=") for w in (True, NAN, INF, "5")),
    ],
    "toy2d": [
        *((lambda m, n=n: toy2d.two_moons(n), "n=") for n in (1, 10**12, 2.5, True)),
        *((lambda m, j=j: toy2d.two_moons(10, jitter=j), "jitter=") for j in (-1, NAN, True)),
        (lambda m: toy2d.two_moons(10, seed=-1), "seed=-1"),
        (lambda m: toy2d.PointNetwork(width=0), "width=0"),
        (lambda m: toy2d.PointNetwork(num_train_timesteps=NAN), "num_train_timesteps=nan"),
        (lambda m: toy2d.LabeledPointNetwork(0), "num_labels=0"),
        (lambda m: learn(points=CLOUD * NAN), "points holds NaN"),
        (lambda m: learn(points=CLOUD[:0]), "points is"),
        *((lambda m, n=n: learn(learning_rate=n), "learning_rate=") for n in (0, INF, NAN, True)),
        *((lambda m, n=n: learn(dropout=n), "dropout=") for n in (-1, NAN, "5")),
        (lambda m: learn(batch_size=0), "batch_size=0"),
        (lambda m: learn(steps=0), "steps=0"),
        (lambda m: toy2d.ideal_noise(None, SCHEDULE), "points is NoneType"),
        (lambda m: toy2d.cloud_distance(CLOUD, CLOUD * NAN), "b holds NaN"),
        (lambda m: toy2d.cloud_distance(CLOUD, CLOUD, directions=0), "directions=0"),
    ],
}


@pytest.mark.parametrize(
    "call, message",
    [pytest.param(*row, id=f"{room}-{i}") for room, rows in OTHERS.items() for i, row in enumerate(rows)],
)
def test_every_room(random_model, call, message):
    with pytest.raises(ValueError, match=message):
        call(random_model)


# -- models -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "name, message",
    [
        ("gigantic", "no model and no folder 'gigantic': use tiny, tiny-pix2pix, tiny-inpaint, sd15"),
        ("./no/such/folder", "no model and no folder"),
        ("/no/such", "no model and no folder"),
        *(pairs(["", "\0", "a b/c", "../x", "x" * 5000], "no model and no folder")),
        *(pairs([None, 7, True, [], {}, b"tiny"], r"a model is the name of one or the path.*load\('tiny'\)")),
        ("\ud800", "half a character"),
    ],
)
def test_unknown_models(name, message):
    with pytest.raises(ValueError, match=message):
        load(name, device="cpu")


@pytest.mark.parametrize("name", ["sd15", "sd21", "somebody/something"])
def test_the_hub_out_of_reach(name, monkeypatch, tmp_path):
    """Told to stay offline, with an empty cache, the answer is what to do, not a stack of urllib."""
    from huggingface_hub import snapshot_download

    def offline(repository, **arguments):
        assert repository == HUB.get(name, name)
        return snapshot_download(repository, cache_dir=tmp_path, local_files_only=True, **arguments)

    monkeypatch.setattr("huggingface_hub.snapshot_download", offline)
    with pytest.raises(ConnectionError, match="cannot be reached. Once online.*pass the path"):
        load(name, device="cpu")


@pytest.mark.parametrize("device", ["cuda:99", "tpu", "gpu", "xpu:0", "cpu:5", "", 1.5, [], True])
def test_no_such_device(device):
    for call in (pick_device, lambda device: load(device=device), lambda device: plan(device=device)):
        with pytest.raises(ValueError, match=rf"device=.{{0,2}}{re.escape(str(device))}.*this machine.* cpu"):
            call(device)


def test_the_only_cpu_is_number_0():
    assert pick_device("cpu:0") == pick_device(torch.device("cpu", 0)) == torch.device("cpu")


def test_bad_precision():
    with pytest.raises(ValueError, match="dtype='int7' is unknown: choose one of float32"):
        load(device="cpu", dtype="int7")
    with pytest.raises(ValueError, match="float16 is slow.*bfloat16"):
        load(device="cpu", dtype=torch.float16)


@pytest.fixture
def copy(random_folder, tmp_path):
    """A pipeline folder of one's own, to be damaged."""
    return shutil.copytree(random_folder, tmp_path / "copy")


def test_not_a_pipeline_folder(tmp_path, copy):
    with pytest.raises(ValueError, match="not a diffusers pipeline folder: it has no model_index.json"):
        load(tmp_path, device="cpu")
    shutil.rmtree(copy / "unet")
    with pytest.raises(ValueError, match="not a Stable Diffusion pipeline: it has no unet"):
        load(copy, device="cpu")


def test_a_damaged_index(copy):
    index = json.loads((copy / "model_index.json").read_text())
    (copy / "model_index.json").write_text("{")
    with pytest.raises(ValueError, match="damaged: it is not JSON"):
        load(copy, device="cpu")
    (copy / "model_index.json").write_text(json.dumps({**index, "text_encoder_2": index["text_encoder"]}))
    with pytest.raises(ValueError, match="it has no tokenizer_2, text_encoder_2"):
        load(copy, device="cpu")
    (copy / "model_index.json").write_text("[]")
    with pytest.raises(ValueError, match="holds list where a dict should be"):
        load(copy, device="cpu")


@pytest.mark.parametrize("part", ["tokenizer", "text_encoder", "vae", "unet"])
@pytest.mark.parametrize(
    "entry",
    [
        ["os", "system"],
        ["transformers", "AutoModel"],
        ["transformers", "AutoTokenizer"],
        ["diffusers", "AutoModel"],
        ["diffusers", "StableDiffusionPipeline"],
        ["diffusers", "ControlNetModel"],
        ["transformers", "T5EncoderModel"],
        ["diffusers"],
        ["diffusers", "AutoencoderKL", "more"],
        ["diffusers", None],
        "UNet2DConditionModel",
        None,
        7,
        [],
        {},
        [None, None],
    ],
    ids=str,
)
def test_only_the_classes_that_fit_a_part_are_loaded(copy, part, entry):
    index = json.loads((copy / "model_index.json").read_text())
    (copy / "model_index.json").write_text(json.dumps({**index, part: entry}))
    with pytest.raises(
        ValueError, match=rf"^{part} of .* is {re.escape(repr(entry))}, and only .*CLIP|Auto|UNet.* fits"
    ):
        read_index(copy)


def test_code_that_comes_with_a_model_is_not_run(copy):
    for part, names in (("unet", ["my_unet", "MyUNet"]), ("tokenizer", ["transformers", "AutoTokenizer"])):
        code = f"raise SystemExit('{part} ran')"
        (copy / part / "my_unet.py").write_text(code)
        index = json.loads((copy / "model_index.json").read_text())
        (copy / "model_index.json").write_text(json.dumps({**index, part: names}))
        with pytest.raises(ValueError, match="only .* fits"):
            load(copy, device="cpu")
        (copy / "model_index.json").write_text(json.dumps(index))
    config = json.loads((copy / "tokenizer" / "tokenizer_config.json").read_text())
    config["auto_map"] = {"AutoTokenizer": ["my_unet.MyTokenizer", None]}
    (copy / "tokenizer" / "tokenizer_config.json").write_text(json.dumps(config))
    load(copy, device="cpu")


def test_pickled_weights_are_not_read(copy):
    path = copy / "unet" / "diffusion_pytorch_model.safetensors"
    torch.save(load_file(path), path.with_suffix(".bin"))
    path.unlink()
    with pytest.raises(ValueError, match="unet of .* cannot be read"):
        load(copy, device="cpu")


@pytest.mark.parametrize("text, message", [("", "not JSON"), ("[1]", "holds list"), (None, "cannot be read")])
def test_a_damaged_schedule(copy, text, message):
    path = copy / "scheduler" / "scheduler_config.json"
    path.unlink() if text is None else path.write_text(text)
    with pytest.raises(ValueError, match=f"scheduler_config.json' .*{message}"):
        load(copy, device="cpu")


@pytest.mark.parametrize("factor", [0, -1, NAN, INF, "1", None, True])
def test_a_scaling_factor_that_is_none(copy, factor):
    path = copy / "vae" / "config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "scaling_factor": factor}))
    with pytest.raises(ValueError, match="scaling_factor=.* must be a number above 0"):
        load(copy, device="cpu")


@pytest.mark.parametrize("part", ["text_encoder/model", "vae/diffusion_pytorch_model", "unet/diffusion_pytorch_model"])
def test_weights_that_diverged(copy, part):
    path = copy / f"{part}.safetensors"
    weights = load_file(path)
    last = max(weights)
    weights[last].view(-1)[-1] = NAN
    save_file(weights, path, metadata={"format": "pt"})
    with pytest.raises(ValueError, match=f"{last} of .*{part.split('/')[0]}' holds NaN"):
        load(copy, device="cpu")


def test_a_prediction_type_we_do_not_know(copy):
    path = copy / "scheduler" / "scheduler_config.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "prediction_type": "sample"}))
    with pytest.raises(ValueError, match="prediction_type='sample'"):
        load(copy, device="cpu")


def test_a_truncated_weight_file_without_sums(copy):
    path = copy / "unet" / "diffusion_pytorch_model.safetensors"
    path.write_bytes(path.read_bytes()[:1000])
    with pytest.raises(ValueError, match="unet of .* cannot be read.*fetch the folder anew"):
        load(copy, device="cpu")


@pytest.mark.parametrize("part", ["text_encoder/model", "unet/diffusion_pytorch_model"])
def test_a_weight_that_is_not_there_is_not_left_random(copy, part):
    path = copy / f"{part}.safetensors"
    weights = load_file(path)
    missing = min(weights)
    save_file({name: weight for name, weight in weights.items() if name != missing}, path, metadata={"format": "pt"})
    with pytest.raises(ValueError, match="(?s)(lacks weights .*1 in all|keys are missing).*fetch the folder anew"):
        load(copy, device="cpu")


def test_one_flipped_bit_is_noticed(copy):
    path = copy / "unet" / "diffusion_pytorch_model.safetensors"
    data = bytearray(path.read_bytes())
    (copy / "SHA256SUMS").write_text(f"{hashlib.sha256(data).hexdigest()}  {path.relative_to(copy).as_posix()}\n")
    load(copy, device="cpu")
    data[-1] ^= 1
    path.write_bytes(data)
    with pytest.raises(ValueError, match="diffusion_pytorch_model.safetensors' is damaged.*install difflab again"):
        load(copy, device="cpu")
    path.unlink()
    with pytest.raises(ValueError, match="diffusion_pytorch_model.safetensors' is missing"):
        load(copy, device="cpu")


@pytest.mark.parametrize("text", ["", "\n", "x", "abc  unet/config.json\n", "0" * 64 + "\n", "\0" * 80])
def test_sums_that_sum_nothing(copy, text):
    (copy / "SHA256SUMS").write_text(text)
    with pytest.raises(ValueError, match="SHA256SUMS' is damaged: each line must be a sum and a file's name"):
        load(copy, device="cpu")


def test_the_shipped_model_must_have_its_sums(copy, monkeypatch):
    monkeypatch.setattr("difflab.loading.weights_folder", lambda: copy)
    with pytest.raises(ValueError, match="no SHA256SUMS"):
        load("tiny", device="cpu")

"""The page that draws: its modules beside PyTorch, in node, and the page itself, in a browser."""

import json
import os
import pathlib
import random
import shutil
import subprocess

import numpy as np
import pytest
import torch
from live.reference import drawings, end, reference

import difflab
from difflab import attention, export, show
from difflab.guidance import classifier_free_guidance
from difflab.loop import sample
from difflab.samplers import SAMPLERS, first_step, randn
from difflab.schedule import NoiseSchedule

ROOT = pathlib.Path(__file__).resolve().parent.parent
LIVE = ROOT / "_build" / "html" / "_static" / "live"


# In node: every module against what PyTorch and transformers say


def toy_randn():
    for seed in (0, 1, 42, 2**31, 2**32 - 1, 2**32 + 5, 2**53 - 1):
        for count in (1, 3, 15, 16, 17, 40, 1000, 1024):
            generator = torch.Generator().manual_seed(seed)
            yield {"seed": seed, "draws": [torch.randn(count, generator=generator).tolist() for _ in range(3)]}


def toy_tokenizer():
    tokenizer = difflab.load().tokenizer
    core = json.loads(tokenizer.backend_tokenizer.to_str())["model"]
    letters = "abcdefghi ΣσΩ Ññ ß İıǅ Жж 漢字 かな ١٢3 4'’\"!?.,-_<|>~\t\n\u00a0\u0085\ufeff\u200b\u1680"
    letters += "😀👩‍🚀é e\u0301 ﬁ½²"
    draw = random.Random(0)
    texts = ["", " ", "I'LL don't 'sofa", "a <|endoftext|> b", "ΟΔΥΣΣΕΥΣ Σ", "a 123 45", "!!!'s ok", "hello " * 60]
    texts += ["".join(draw.choices(letters, k=draw.randint(1, 40))) for _ in range(400)]
    animals, hats = "a cat to the left of a cat on the beach", "a zebra wearing a zeppelin"
    return {
        "vocabulary": {"vocab": core["vocab"], "merges": core["merges"]},
        "special": {
            "startId": tokenizer.bos_token_id,
            "endId": tokenizer.eos_token_id,
            "padId": tokenizer.pad_token_id,
            "window": 77,
        },
        "texts": [
            {"text": text, "ids": tokenizer(text, padding="max_length", max_length=77, truncation=True).input_ids}
            for text in texts
        ],
        "places": [
            {"text": text, "word": word, "found": attention.token_positions(tokenizer, text, word)}
            for text, word in [(animals, "cat"), (animals, "left of"), (hats, "zeppelin"), (hats, "a")]
        ],
    }


def network(x, t, text):
    """The same as in samplers.test.mjs."""
    return 0.5 * x + 0.3 * torch.sin(3 * x + text) + t / 5000


def encode(prompt):
    return torch.full((1, 4, 4, 4), len(prompt) / 10)


def toy_walk(schedule, sampler, n, start, seed):
    generator = torch.Generator().manual_seed(seed)
    x = randn((1, 4, 4, 4), generator)
    walk = SAMPLERS[sampler](schedule, n, generator=generator, start=start)
    *_, last = sample(lambda x, t: network(x, t, x), x, walk)
    return last.x.flatten().tolist()


def toy_drawing(schedule, prompt, negative, guidance, sampler, steps, seed, strength=None):
    """What `text_to_latents`, and with a strength `sdedit_to_latents`, does with the toy network."""
    generator = torch.Generator().manual_seed(seed)
    latent = None if strength is None else randn((1, 4, 4, 4), torch.Generator().manual_seed(99))
    skip = 0 if strength is None else first_step(steps, strength)
    settings = dict(prompt=prompt, negative=negative, guidance=guidance, sampler=sampler, steps=steps, seed=seed)
    x = latent
    if skip < steps:
        walk = SAMPLERS[sampler](schedule, steps, generator=generator, start=skip)
        x = randn((1, 4, 4, 4), generator)
        x = schedule.add_noise(latent, x, walk.timesteps[0]) if skip else x
        predict_noise = classifier_free_guidance(network, encode(prompt), encode(negative), guidance)
        *_, last = sample(predict_noise, x, walk)
        x = last.x
    if strength is not None:
        settings |= dict(strength=strength, latent=latent.flatten().tolist())
    return settings | {"final": x.flatten().tolist()}


def toy_schedule():
    schedule = NoiseSchedule.scaled_linear()
    abar = schedule.alphas_cumprod
    counts = (1, 2, 3, 7, 10, 16, 20, 48, 50, 96, 160, 333, 999, 1000)
    spaced = [
        (NoiseSchedule(abar, spacing, offset), n)
        for spacing, offset in (("trailing", 0), ("leading", 0), ("leading", 1), ("linspace", 0))
        for n in counts
    ]
    started = [
        (NoiseSchedule(abar, spacing, final_alpha_cumprod=end), name, n, start, seed)
        for spacing, end in (("trailing", 1.0), ("leading", abar[0].item()))
        for name in SAMPLERS
        for n, start, seed in ((1, 0, 0), (10, 0, 7), (10, 4, 2**32 + 5), (20, 19, 3))
    ]
    asked = ("a cat", "", 4.0), ("a dog", "night", 0), ("a lion", "blurry", 1), ("", "by day", 0), ("a", "bb", -2.5)
    return {
        "abar": abar.tolist(),
        "timesteps": [
            {
                "spacing": s.timestep_spacing,
                "offset": s.steps_offset,
                "n": n,
                "all": s.timesteps(n).tolist(),
                "dropped": s.timesteps(n, drop_last=True).tolist(),
            }
            for s, n in spaced
        ],
        "walks": [
            {
                "spacing": s.timestep_spacing,
                "end": s.final_alpha_cumprod,
                "sampler": name,
                "n": n,
                "start": start,
                "seed": seed,
                "final": toy_walk(s, name, n, start, seed),
            }
            for s, name, n, start, seed in started
        ],
        "drawn": [
            toy_drawing(schedule, *asked[i % len(asked)], name, steps=9, seed=i, strength=strength)
            for i, (name, strength) in enumerate((n, s) for n in SAMPLERS for s in (None, 0, 0.3, 0.7, 1))
        ],
        "first": [{"steps": n, "strength": k / 20, "left": first_step(n, k / 20)} for n in counts for k in range(21)],
    }


def toy_heat():
    generator = torch.Generator().manual_seed(0)
    small, size = torch.rand(1, 1, 16, 16, generator=generator), 128
    large = torch.nn.functional.interpolate(small, (size, size), mode="bilinear", align_corners=False)[0, 0]
    picture = torch.randint(0, 256, (size, size, 3), generator=generator, dtype=torch.uint8).numpy()
    shown = np.asarray(show.overlay(picture, large.numpy()))

    def opaque(colors):
        return np.concatenate([colors, np.full((size, size, 1), 255, np.uint8)], axis=2).flatten().tolist()

    return {
        "map": small.flatten().tolist(),
        "size": size,
        "large": large.flatten().tolist(),
        "picture": opaque(picture),
        "shown": opaque(shown),
    }


def test_the_modules_agree_with_the_package(tmp_path):
    node = shutil.which("node")
    if node is None:
        pytest.skip("node is not installed, so the page's modules cannot be tried: install Node.js 20 or newer")
    toy = {
        "randn": list(toy_randn()),
        "tokenizer": toy_tokenizer(),
        "schedule": toy_schedule(),
        "heat": toy_heat(),
    }
    built = {}
    if (LIVE / "manifest.json").exists():
        toy["reference"], built = reference(export.read(LIVE)), {"DIFFLAB_LIVE": str(LIVE)}
    (tmp_path / "toy.json").write_text(json.dumps(toy), encoding="utf-8")
    tests = sorted(map(str, (ROOT / "tests" / "live").glob("*.test.mjs")))
    done = subprocess.run(
        [node, "--test", "--test-reporter=spec", *tests],
        env=os.environ | {"DIFFLAB_TOY": str(tmp_path / "toy.json")} | built,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stdout[-6000:] + done.stderr


# In a browser: the built pages

WATCH = """
window.drawn = []
window.painted = window.pause = 0
let last = performance.now()
setInterval(() => {
  const now = performance.now()
  pause = Math.max(pause, now - last)
  last = now
}, 5)
document.addEventListener("drawn", ({ detail }) => drawn.push({ ...detail, latent: [...detail.latent] }), true)
const paint = CanvasRenderingContext2D.prototype.putImageData
CanvasRenderingContext2D.prototype.putImageData = function (...given) { painted += 1; paint.apply(this, given) }
"""


def manifest():
    return json.loads((LIVE / "manifest.json").read_text(encoding="utf-8"))


@pytest.fixture
def visit(site, chromium):
    """visit(page, **settings of the context) -> a page of the built book, which remembers its requests and drawings."""
    if not manifest()["runtime"]:
        pytest.skip("the book was built without npm, so its pages cannot draw")
    contexts = []

    def visit(name, context=None, **settings):
        context = context or chromium.new_context(**settings)
        contexts.append(context)
        page = context.new_page()
        page.add_init_script(WATCH)
        page.requested = []
        page.on("request", lambda request: page.requested.append(request.url))
        page.goto(f"{site}/{name}.html")
        return page

    yield visit
    for context in contexts:
        context.close()


def begin(page):
    """Press the button that loads, and wait for the first drawing."""
    page.locator(".live-start").first.click()
    return drawing(page, 1)


def drawing(page, number):
    """The drawing of that number, once it is finished: its settings, latent, turns, milliseconds."""
    page.wait_for_function("number => drawn.length >= number", arg=number, timeout=120_000)
    return page.evaluate("number => drawn[number - 1]", number)


def change(page, label, value):
    """Enter a value as a reader does."""
    page.get_by_label(label, exact=True).first.fill(str(value))


def seen(page):
    return page.locator(".difflab-live canvas").first.evaluate("canvas => canvas.toDataURL()")


def heavy(page):
    """What was requested of the model and its runtime."""
    return [url for url in page.requested if url.endswith((".gz", ".wasm")) or "onnxruntime" in url]


@pytest.mark.slow
def test_it_draws_after_a_click_from_here_alone_and_always_the_same(visit, site):
    page = visit("book/live")
    button = page.locator(".live-start")
    button.wait_for()
    assert not heavy(page), "nothing may be loaded before the click"
    files, runtime = manifest()["files"], manifest()["runtime"]
    size = sum(part["bytes"] for part in files.values()) + runtime["bytes"]
    assert size < 25_000_000
    assert f"loads {size / 1e6:.1f} MB" in button.inner_text()
    assert f"together: {size / 1e6:.1f} MB" in page.locator(".difflab-live-parts").inner_text()

    page.evaluate("pause = 0")
    first = begin(page)
    assert first["turns"] == first["settings"]["steps"] == 10
    assert page.evaluate("painted") > 1, "the picture should appear as it denoises"
    assert len(heavy(page)) == len(files) + 2
    canvas, caption = page.get_by_role("img", name="Drawn in this page"), page.locator(".difflab-live figcaption")
    assert first["settings"]["prompt"] in canvas.get_attribute("aria-label")
    assert "seed 0" in caption.inner_text() and "ms" in caption.inner_text()
    one = seen(page)

    page.get_by_role("button", name="Draw", exact=True).click()
    again = drawing(page, 2)
    assert again["latent"] == first["latent"] and seen(page) == one, "the same picture, to the bit"
    change(page, "Seed", 5)
    assert drawing(page, 3)["latent"] != first["latent"]
    change(page, "Prompt", "a zebra in the snow")
    assert drawing(page, 4)["settings"]["prompt"] == "a zebra in the snow"
    assert "zebra" in page.locator(".live-unknown").inner_text(), "a word that the model does not know is pointed out"
    assert page.evaluate("pause") < 1000, "the page has to stay free"  # below 100 where nothing else runs

    second = visit("book/live", page.context)
    second.get_by_role("button", name="already on this device").wait_for()
    assert begin(second)["latent"] == first["latent"]
    assert not [url for url in heavy(second) if url.endswith(".gz")], "a second visit downloads no model"
    away = [url for url in page.requested + second.requested if not url.startswith((site, "blob:", "data:"))]
    assert not away, "every request stays with the book"


FIELDS = {
    "prompt": "Prompt",
    "negative_prompt": "Negative prompt",
    "guidance_scale": "Guidance",
    "steps": "Steps",
    "seed": "Seed",
    "strength": "Strength",
}
CHOICES = {"sampler": "Sampler", "picture": "Picture"}


@pytest.mark.slow
@pytest.mark.parametrize(("name", "kind"), [("book/live", "text_to_image"), ("notebooks/08-sdedit", "sdedit")])
def test_its_latents_are_pythons(visit, name, kind):
    """Entered as a reader would, beside what Python drew with the same files: text to image, and SDEdit."""
    page = visit(name)
    begin(page)
    wanted = next(each for each in drawings() if (each["kind"], each["sampler"]) == (kind, "dpm++"))
    for field in CHOICES.keys() & wanted.keys():
        page.get_by_label(CHOICES[field], exact=True).select_option(wanted[field])
    for field in FIELDS.keys() & wanted.keys():
        change(page, FIELDS[field], wanted[field])
    page.get_by_role("button", name="Draw", exact=True).click()
    page.wait_for_function(
        "wanted => drawn.some(({ settings }) => settings.seed === wanted.seed && settings.prompt === wanted.prompt)",
        arg=wanted,
        timeout=120_000,
    )
    found = page.evaluate("drawn.at(-1)")
    assert found["settings"]["negative"] == wanted["negative_prompt"]
    assert np.abs(np.subtract(found["latent"], end(export.read(LIVE), wanted).flatten())).max() < 1e-3
    if kind == "sdedit":
        assert found["turns"] == wanted["steps"] - first_step(wanted["steps"], wanted["strength"])
        change(page, "Strength", 0)
        page.wait_for_function("drawn.at(-1).turns === 0", timeout=120_000)
        (stored,) = [each for each in manifest()["stored"] if each["name"] == wanted["picture"]]
        assert page.evaluate("drawn.at(-1).latent") == np.fromfile(LIVE / stored["latent"], "<f4").tolist()
        assert page.locator("img.difflab-live-still").get_attribute("alt") == stored["caption"]


@pytest.mark.slow
def test_it_can_be_stopped_and_gives_up_what_nobody_wants(visit):
    page = visit("notebooks/07-guidance", reduced_motion="reduce")
    begin(page)
    assert page.evaluate("painted") == 1, "with reduced motion only the finished picture is shown"
    one, stop = seen(page), page.get_by_role("button", name="Stop")
    change(page, "Steps", 50)
    page.wait_for_function("document.querySelector('.live-busy progress')?.value > 0 && !drawn[1]", timeout=60_000)
    stop.click()
    page.wait_for_function("document.querySelector('.live-status').textContent === 'Stopped.'", timeout=60_000)
    assert stop.is_disabled() and seen(page) == one, "the finished picture is the one that its caption speaks of"

    page.get_by_role("button", name="Draw", exact=True).click()  # fifty steps, given up for two
    page.wait_for_function("document.querySelector('.live-busy progress')?.value > 0", timeout=60_000)
    change(page, "Steps", 2)
    assert drawing(page, 2)["turns"] == 2

    change(page, "Prompt", " ")
    page.wait_for_function("document.querySelector('.live-status').textContent.includes('empty')", timeout=60_000)
    change(page, "Seed", -1)
    page.wait_for_function("document.querySelector('.live-status').textContent.startsWith('Seed')", timeout=60_000)
    assert page.evaluate("drawn.length") == 2


@pytest.mark.slow
def test_it_is_used_by_keyboard_alone(visit):
    page = visit("notebooks/04-cross-attention")
    page.locator(".live-start").focus()
    page.keyboard.press("Enter")
    drawing(page, 1)
    for control in page.locator(".difflab-live :is(input, select)").all():
        assert page.get_by_label(control.evaluate("control => control.labels[0].textContent")).count() >= 1
    for _ in range(40):  # to the first word under the picture
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.closest('.live-words') !== null"):
            break
    plain = seen(page)
    page.keyboard.press("Space")
    assert page.locator(".live-words [aria-pressed=true]").count() == 1
    assert seen(page) != plain, "a word shows where it was looked at"
    page.keyboard.press("Space")
    assert seen(page) == plain
    page.get_by_label("Prompt", exact=True).focus()
    page.keyboard.type("a dog and ")
    page.keyboard.press("Enter")
    assert drawing(page, 2)["settings"]["prompt"] != ""


TWICE = """
document.addEventListener("readystatechange", () => {
  const place = document.querySelector(".difflab-live")
  if (document.readyState === "interactive") place.after(place.cloneNode(true))
})
"""


@pytest.mark.slow
def test_a_failed_download_is_tried_again_and_two_places_share_one(visit, chromium):
    context = chromium.new_context()
    context.add_init_script(TWICE)
    page = visit("notebooks/07-guidance", context)
    page.route("**/unet*.gz", lambda route: route.abort())
    page.locator(".live-start").first.click()
    alert = page.get_by_role("alert")
    again = alert.get_by_role("button", name="Try again")
    again.wait_for(timeout=60_000)
    assert page.locator("img.difflab-live-still").first.is_visible()
    page.unroute("**/unet*.gz")
    again.click()
    one = drawing(page, 1)
    assert not alert.inner_text()

    before = len(heavy(page))
    page.locator(".live-start").click()
    assert drawing(page, 2)["latent"] == one["latent"]
    assert len(heavy(page)) == before and len(page.workers) == 1


def test_where_it_cannot_draw_there_is_a_picture_and_a_sentence(visit):
    bare = visit("book/live", java_script_enabled=False)
    page = visit("book/live")
    assert bare.locator("img.difflab-live-still").is_visible()
    assert "JavaScript" in bare.locator(".difflab-live").inner_text()

    page.route("**/manifest.json", lambda route: route.fulfill(json={"runtime": None}))
    page.reload()
    note = page.locator(".difflab-live .live-note")
    note.wait_for()
    assert "built without" in note.inner_text()
    assert page.locator("img.difflab-live-still").is_visible() and not heavy(page)


def test_other_pages_load_the_loader_alone(visit, site):
    page = visit("book/references")
    live = {url.split("?")[0] for url in page.requested if url.startswith(f"{site}/_static/live/")}
    assert live == {f"{site}/_static/live/loader.mjs"}

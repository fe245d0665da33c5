"""What is in a folder for a page: packed files, settings, words, pictures to begin from; and whose folder it is."""

import gzip
import hashlib
import inspect
import json
from pathlib import Path

import numpy as np
from PIL import Image

from difflab import world
from difflab.applications.text_to_image import text_to_latents
from difflab.export.graphs import INPUTS, OUTPUTS
from difflab.model import LatentDiffusion
from difflab.world.examples import painting

FORMAT = 1  # of the manifest
MANIFEST = "manifest.json"


def write_json(path: Path, contents):
    path.write_text(json.dumps(contents, ensure_ascii=False, separators=(",", ":")) + "\n", encoding="utf-8")


def files(folder: Path, tokenizer, made: dict[str, bytes]) -> dict:
    """Write what a page loads: {name: entry, see `packed`}. A changed file has another name, so caches are right.

    made: {name: the contents of a graph's ONNX file}.
    """
    bpe = json.loads(tokenizer.backend_tokenizer.to_str())["model"]
    alphabet = json.dumps({"vocab": bpe["vocab"], "merges": bpe["merges"]}, ensure_ascii=False).encode()
    contents = {f"{name}.onnx": graph for name, graph in made.items()} | {"tokenizer.json": alphabet}
    return {name.split(".")[0]: packed(folder, name, content) for name, content in contents.items()}


def packed(folder: Path, name: str, content: bytes) -> dict:
    """Write a file gzipped, with its sum in its name; returns its entry in the manifest.

    The same content always gives the same bytes. The sum is that of the gzipped file, as is "bytes", its size.
    """
    data = gzip.compress(content, 9, mtime=0)
    sha256 = hashlib.sha256(data).hexdigest()
    stem, ending = name.split(".")
    file = f"{stem}.{sha256[:12]}.{ending}.gz"
    (folder / file).write_bytes(data)
    return {"file": file, "bytes": len(data), "unpacked": len(content), "sha256": sha256}


def settings(model: LatentDiffusion) -> dict:
    """What a page has to know to run the graphs as this package runs the model."""
    defaults = {name: each.default for name, each in inspect.signature(text_to_latents).parameters.items()}
    return {
        "inputs": INPUTS,
        "outputs": OUTPUTS,
        "attention": "attention" in OUTPUTS["unet"],
        "latent": list(model.latent_shape),
        "image_size": model.image_size,
        "scaling_factor": model.vae.config.scaling_factor,
        "window": model.text_encoder.config.max_position_embeddings,
        "start_id": model.tokenizer.bos_token_id,
        "end_id": model.tokenizer.eos_token_id,
        "pad_id": model.tokenizer.pad_token_id,
        "prediction_type": model.prediction_type,
        "train_steps": len(model.schedule),
        "alphas_cumprod": model.schedule.alphas_cumprod.tolist(),
        "final_alpha_cumprod": model.schedule.final_alpha_cumprod,
        "timestep_spacing": model.schedule.timestep_spacing,
        "steps_offset": model.schedule.steps_offset,
        "defaults": {
            "steps": defaults["num_inference_steps"],
            "guidance_scale": defaults["guidance_scale"],
            "sampler": defaults["sampler"],
        },
    }


def words() -> dict[str, list[str]]:
    """The words of the tiny world, and all that its captions are made of."""
    rng = np.random.default_rng(0)
    captions = [world.random_scene(rng).caption(rng) for _ in range(5000)]
    return {
        "things": [*world.BASE_NOUNS, *world.HATS],
        "colors": list(world.COLORS),
        "places": list(world.PLACES),
        "times": list(world.TIMES),
        "captions": sorted({word for caption in captions for word in caption.replace(",", "").split()}),
    }


def originals() -> dict[str, tuple[Image.Image, str]]:
    """Pictures to begin from: {name: (picture, what it shows)}."""
    two = (world.Thing("cat", x=0.26, size=0.45), world.Thing("house", x=0.74, size=0.5))
    scenes = {
        "tree": world.Scene((world.Thing("tree"),)),
        "castle": world.Scene((world.Thing("castle"),), place="mountains"),
        "scene": world.Scene(two, "left of", place="beach", time="sunset"),
    }
    drawn = {name: (Image.fromarray(world.render(scene)), scene.caption()) for name, scene in scenes.items()}
    return {"car": (painting(), "five rectangles: a red car on a beach, as a child would paint it"), **drawn}


def stored(folder: Path, model: LatentDiffusion) -> list[dict]:
    """Write pictures to begin from, and their latents as little-endian float32: the manifest's list of them."""
    (folder / "stored").mkdir()
    entries = []
    for name, (picture, caption) in originals().items():
        png, latent = f"stored/{name}.png", f"stored/{name}.bin"
        picture = picture.resize((model.image_size, model.image_size))
        picture.save(folder / png)
        (folder / latent).write_bytes(model.encode_image(picture).numpy().astype("<f4").tobytes())
        entries.append({"name": name, "caption": caption, "png": png, "latent": latent})
    return entries


def fallback(folder, model, prompt="a lion in a meadow", seed=0, shown=(0, 2, 5, 9, 19), gap=4) -> dict:
    """Write a picture being drawn, in stages side by side, for whom the page cannot draw: its entry in the manifest."""
    steps = list(text_to_latents(model, prompt, seed=seed))
    stages = [model.decode(steps[i].x0)[0] for i in shown]
    size = model.image_size
    strip = Image.new("RGB", (len(stages) * (size + gap) - gap, size), "white")
    for i, stage in enumerate(stages):
        strip.paste(stage, (i * (size + gap), 0))
    strip.save(folder / "fallback.png")
    caption = f"{len(stages)} stages of one drawing, side by side: from a blur to “{prompt}”."
    return {"png": "fallback.png", "prompt": prompt, "seed": seed, "caption": caption}


def strangers(folder: Path) -> list[str]:
    """What lies in a folder and was not written there by an export of this format: relative paths, sorted."""
    own = {path.as_posix() for name in written(folder) for path in (Path(name), *Path(name).parents)}
    return sorted({path.relative_to(folder).as_posix() for path in folder.rglob("*")} - own)


def written(folder: Path) -> list[str]:
    """The files of an export, as its manifest names them; none where there is no manifest of this format."""
    try:
        manifest = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
        if manifest["format"] != FORMAT:
            return []
        pictures = [entry[kind] for entry in manifest["stored"] for kind in ("png", "latent")]
        packed_files = [entry["file"] for entry in manifest["files"].values()]
        return [MANIFEST, *packed_files, *pictures, manifest["fallback"]["png"]]
    except (OSError, ValueError, LookupError, TypeError, AttributeError):  # somebody else's
        return []

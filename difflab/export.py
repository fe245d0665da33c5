"""The model as files for a web page: three ONNX graphs with small weights, the tokenizer, and a manifest.

`web` writes the folder; a page needs nothing more than a runtime for ONNX. `read` gives the same files back as a model
that onnxruntime computes on one thread, as a browser will: what a reader is going to see can be measured here first.
"""

import gzip
import hashlib
import importlib.util
import inspect
import io
import json
import warnings
from dataclasses import dataclass, field, fields
from pathlib import Path

import numpy as np
import torch
from PIL import Image, ImageDraw

from difflab import world
from difflab.applications.sdedit import sdedit_to_latents
from difflab.applications.text_to_image import text_to_latents
from difflab.attention import edit
from difflab.cost import seconds
from difflab.demo import PROMPTS, STROKES
from difflab.files import new_folder
from difflab.inputs import as_prompts, noise, to_images
from difflab.loading import load
from difflab.model import LatentDiffusion
from difflab.samplers import SAMPLERS

FORMAT = 1  # of the manifest
OPSET = 17
WEIGHTS = ("int8", "float16", "float32")
INPUTS = {"text_encoder": ["ids"], "unet": ["x", "t", "text"], "decoder": ["latents"]}
OUTPUTS = {"text_encoder": ["text"], "unet": ["eps", "attention"], "decoder": ["pixels"]}

HALVED_FROM = 1024  # numbers: a tensor of fewer stays in single precision
# A tensor of fewer is not rounded to eight bits but kept as float16. Among them are the U-Net's first layer, its last
# and its shortcuts, which have few numbers and would make most of the error.
ROUNDED_FROM = 2**15
LARGEST = 200_000_000  # parameters that a page can still be asked to load
STEPS = 10  # of the trajectories that are compared
DIGITS = 2  # of a measured error


@torch.inference_mode()
def web(folder, model="tiny", *, weights="int8"):
    """Write a model into a folder, as files that a web page can load and run. Returns the manifest, a dict.

    folder: is made; an earlier export in it is replaced.
    model: as for `load`: one that sees the latent's channels alone, predicts the noise, and is small.
    weights: "int8" rounds the large ones, one scale for each output channel; "float16"; or "float32", as computed with.

    The folder holds the gzipped graphs and tokenizer, with a sum in their names, and ``manifest.json``, which says what
    goes in and out of them, how the noise is scheduled, and under "errors" how far they are from torch's results: of
    each graph relative to the size of its results, of whole pictures as a share of the range of colors.
    Besides: pictures and their latents for SDEdit, a strip for readers whose browser cannot draw, and
    ``reference.json``, results to test a page with. Nothing is written unless all of it is.
    Raises ValueError, before any work, for a folder that is none or holds something else, for a model that does not fit
    a page, and where onnx or onnxruntime is missing.
    """
    folder = Path(folder)
    check(folder, weights)
    pipeline = load(model, device="cpu", dtype="float32")
    check_model(pipeline)
    made = {name: shrunk(graph, weights).SerializeToString() for name, graph in graphs(pipeline).items()}
    here = computed(pipeline, made)
    with new_folder(folder) as new:
        manifest = {
            "format": FORMAT,
            "model": f"difflab {Path(model).name}",
            "weights": weights,
            "files": files(new, pipeline.tokenizer, made),
            **settings(pipeline),
            "words": words(),
            "stored": stored(new, pipeline),
            "fallback": fallback(new, pipeline),
            "errors": errors(pipeline, here),
        }
        write_json(new / "reference.json", reference(pipeline, here))
        write_json(new / "manifest.json", manifest)
    return manifest


def read(folder, model="tiny"):
    """The model of an exported folder, computed by onnxruntime: what `text_to_latents` and its like take.

    folder: from `web`. model: the one it was exported from, for its tokenizer and its schedule.
    Raises ValueError for a file that is not as the manifest says.
    """
    folder = Path(folder)
    entries = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))["files"]
    contents = {name: unpacked(folder, entries[name]) for name in INPUTS}
    return computed(load(model, device="cpu", dtype="float32"), contents)


def unpacked(folder, entry):
    """The contents of a file of the manifest. Raises ValueError when it is damaged."""
    packed = (folder / entry["file"]).read_bytes()
    if hashlib.sha256(packed).hexdigest() != entry["sha256"]:
        raise ValueError(f"{str(folder / entry['file'])!r} is damaged, its SHA-256 differs: export the model again")
    return gzip.decompress(packed)


# -- what can be exported ---------------------------------------------------------------------------------------------


def check(folder, weights):
    """Raises ValueError unless an export can be written there, in this form, on this machine."""
    if weights not in WEIGHTS:
        raise ValueError(f"weights={weights!r} is unknown: choose one of {', '.join(WEIGHTS)}")
    missing = [name for name in ("onnx", "onnxruntime") if importlib.util.find_spec(name) is None]
    if missing:
        raise ValueError(f"an export needs {' and '.join(missing)}: pip install {' '.join(missing)}")
    if folder.exists() and not folder.is_dir():
        raise ValueError(f"{str(folder)!r} is a file: name a folder to export to")
    if folder.exists() and any(folder.iterdir()) and not (folder / "manifest.json").exists():
        raise ValueError(f"{str(folder)!r} holds something else than an export: name a new or an empty folder")


def check_model(model):
    """Raises ValueError for a model that the page's few lines cannot run."""
    seen, channels = model.unet.config.in_channels, model.latent_shape[0]
    if seen != channels:
        raise ValueError(
            f"this model's U-Net sees {seen} channels, and the page gives it the {channels} of the latent: "
            "export one that draws from text alone, such as tiny"
        )
    if model.prediction_type != "epsilon":
        raise ValueError(f"this model's prediction_type is {model.prediction_type!r}; the page reads 'epsilon' only")
    size = sum(p.numel() for part in (model.text_encoder, model.unet, model.vae) for p in part.parameters())
    if size > LARGEST:
        numbers = f"{size / 1e6:.0f} million parameters and a page can load {LARGEST / 1e6:.0f} million"
        raise ValueError(f"this model has {numbers}: export a smaller one, such as tiny")
    if not hasattr(model.tokenizer, "backend_tokenizer"):  # transformers 4: its table of merges is elsewhere
        raise ValueError("an export reads the tokenizer as transformers 5 has it: pip install 'transformers>=5'")


# -- the graphs -------------------------------------------------------------------------------------------------------


class TextEncoder(torch.nn.Module):
    """ids (B, 77) int32 -> text (B, 77, d)."""

    def __init__(self, model):
        super().__init__()
        self.encoder = model.text_encoder

    def forward(self, ids):
        return self.encoder(ids)[0]


class UNet(torch.nn.Module):
    """x (B, 4, h, w), t (1,), text (B, 77, d) -> eps (B, 4, h, w) and where each token is looked at (B, 77, h, w)."""

    def __init__(self, model):
        super().__init__()
        self.unet, self.size = model.unet, model.latent_shape[1:]

    def forward(self, x, t, text):
        noted = []

        def note(probs, site):
            noted.append(probs)
            return probs

        with edit(self.unet, note, pictures=None):
            eps = self.unet(x, t, text, return_dict=False)[0]
        return eps, in_one_grid(noted, *self.size)


class Decoder(torch.nn.Module):
    """latents (B, 4, h, w), scaled -> pixels (B, 3, H, W) in [-1, 1]."""

    def __init__(self, model):
        super().__init__()
        self.vae, self.decode_pixels = model.vae, model.decode_pixels

    def forward(self, latents):
        return self.decode_pixels(latents).clamp(-1, 1)


def in_one_grid(probs, height, width):
    """The heat maps of `attention.heat_map` for all tokens at once: mean over heads and layers, (B, 77, h, w)."""
    by_grid = {}
    for each in probs:
        by_grid.setdefault(int(each.shape[2]), []).append(each.mean(1))  # B, positions, 77
    stretched = []
    for positions, maps in by_grid.items():
        coarser = round((height * width / positions) ** 0.5)
        grid = sum(maps).transpose(1, 2).unflatten(-1, (height // coarser, width // coarser))  # B, 77, h, w
        stretched.append(torch.nn.functional.interpolate(grid, (height, width), mode="bilinear", align_corners=False))
    return sum(stretched) / len(probs)


def graphs(model):
    """The three graphs of a model in single precision: {name: onnx.ModelProto}."""
    config = model.text_encoder.config
    x = torch.zeros(2, *model.latent_shape)
    ids = torch.zeros(2, config.max_position_embeddings, dtype=torch.int32)
    text = torch.zeros(*ids.shape, config.hidden_size)
    return {
        "text_encoder": to_onnx("text_encoder", TextEncoder(model), ids),
        "unet": to_onnx("unet", UNet(model), x, torch.tensor([500.0]), text),
        "decoder": to_onnx("decoder", Decoder(model), x),
    }


def to_onnx(name, module, *example):
    """One module as an onnx.ModelProto that takes any number of pictures; all other sizes are the example's."""
    import onnx

    file = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # that shapes become constants (they are), and that there is a newer exporter
        torch.onnx.export(
            module.eval(),
            example,
            file,
            dynamo=False,
            opset_version=OPSET,
            input_names=INPUTS[name],
            output_names=OUTPUTS[name],
            dynamic_axes={each: {0: "pictures"} for each in INPUTS[name] + OUTPUTS[name] if each != "t"},
        )
    return onnx.load_from_string(file.getvalue())


# -- small weights ----------------------------------------------------------------------------------------------------


def shrunk(graph, weights):
    """A copy of a graph with its weights kept in one of the forms of WEIGHTS.

    Nodes are added that turn each back into single precision. What they get is constant, so a runtime computes them
    when it loads the graph, and never again: it runs as fast as before.
    """
    import onnx
    from onnx import helper, numpy_helper

    channels = output_axes(graph)
    kept, nodes = [], []

    def keep(values, name):
        kept.append(numpy_helper.from_array(values, name))
        return name

    for tensor in graph.graph.initializer:
        name, values = tensor.name, numpy_helper.to_array(tensor)
        if weights == "float32" or values.dtype != np.float32 or values.size < HALVED_FROM:
            kept.append(tensor)
        elif weights == "int8" and name in channels and values.size >= ROUNDED_FROM:
            whole, scale = to_int8(values, channels[name])
            inputs = [f"{name}.unscaled", keep(scale, f"{name}.scale")]
            nodes.append(helper.make_node("Cast", [keep(whole, f"{name}.int8")], inputs[:1], to=onnx.TensorProto.FLOAT))
            nodes.append(helper.make_node("Mul", inputs, [name]))
        else:
            half = keep(values.astype(np.float16), f"{name}.float16")
            nodes.append(helper.make_node("Cast", [half], [name], to=onnx.TensorProto.FLOAT))
    small = onnx.ModelProto()
    small.CopyFrom(graph)
    for part, contents in ((small.graph.initializer, kept), (small.graph.node, [*nodes, *graph.graph.node])):
        del part[:]
        part.extend(contents)
    return small


def output_axes(graph):
    """Which axis of a weight counts output channels: {name: axis}, for the weights of convolutions and matrices."""
    axes = {}
    for node in graph.graph.node:
        if node.op_type in ("Conv", "MatMul", "Gemm"):
            transposed = any(attribute.name == "transB" and attribute.i for attribute in node.attribute)
            axes[node.input[1]] = 0 if node.op_type == "Conv" or transposed else -1
    return axes


def to_int8(values, axis):
    """values = whole * scale, nearly: whole numbers from -127 to 127, and a scale for each entry along the axis."""
    others = tuple(i for i in range(values.ndim) if i != axis % values.ndim)
    scale = np.maximum(np.abs(values).max(others, keepdims=True), np.float32(1e-12)) / 127
    return np.round(values / scale).astype(np.int8), scale


# -- the exported model, computed here --------------------------------------------------------------------------------


@dataclass(eq=False)
class Exported(LatentDiffusion):
    """A model whose text encoder, U-Net and decoder are graphs, computed by onnxruntime on one thread.

    sessions: {name: an onnxruntime.InferenceSession}. All else is the model's that they were made from.
    """

    sessions: dict = field(default_factory=dict)

    def encode_text(self, prompts):
        return self.run("text_encoder", token_ids(self.tokenizer, as_prompts(prompts)))[0]

    def predict_noise(self, x, t, text_embedding):
        return self.run("unet", x, torch.tensor([float(t)]), text_embedding)[0]

    def decode(self, latents):
        return to_images(self.run("decoder", latents)[0])

    def run(self, name, *inputs):
        """What a graph says: a list of tensors, in the order of OUTPUTS."""
        named = {key: value.numpy() for key, value in zip(INPUTS[name], inputs, strict=True)}
        return [torch.from_numpy(result) for result in self.sessions[name].run(OUTPUTS[name], named)]


def computed(model, contents):
    """The model with graphs in the place of its parts: {name: what is in the ONNX file, as bytes}."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    sessions = {
        name: onnxruntime.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
        for name, graph in contents.items()
    }
    return Exported(**{each.name: getattr(model, each.name) for each in fields(LatentDiffusion)}, sessions=sessions)


def token_ids(tokenizer, prompts):
    """Prompts, a list of str -> (B, 77) int32."""
    tokens = tokenizer(prompts, padding="max_length", truncation=True, return_tensors="pt")
    return tokens.input_ids.int()


# -- what is in the folder --------------------------------------------------------------------------------------------


def write_json(path, contents):
    path.write_text(json.dumps(contents, ensure_ascii=False, separators=(",", ":")) + "\n", encoding="utf-8")


def files(folder, tokenizer, made):
    """Write what a page loads: {name: entry, see `packed`}. A changed file has another name, so caches are right."""
    bpe = json.loads(tokenizer.backend_tokenizer.to_str())["model"]
    alphabet = json.dumps({"vocab": bpe["vocab"], "merges": bpe["merges"]}, ensure_ascii=False).encode()
    contents = {f"{name}.onnx": graph for name, graph in made.items()} | {"tokenizer.json": alphabet}
    return {name.split(".")[0]: packed(folder, name, content) for name, content in contents.items()}


def packed(folder, name, content):
    """Write a file gzipped, with its sum in its name; returns its entry in the manifest.

    The same content always gives the same bytes. The sum is that of the gzipped file, as is "bytes", its size.
    """
    data = gzip.compress(content, 9, mtime=0)
    sha256 = hashlib.sha256(data).hexdigest()
    stem, ending = name.split(".")
    file = f"{stem}.{sha256[:12]}.{ending}.gz"
    (folder / file).write_bytes(data)
    return {"file": file, "bytes": len(data), "unpacked": len(content), "sha256": sha256}


def settings(model):
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


def words():
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


def painting():
    """Five rectangles that stand for a car on a beach: chapter 8's."""
    picture = Image.new("RGB", (world.SIZE, world.SIZE))
    for box, color in STROKES:
        ImageDraw.Draw(picture).rectangle(box, fill=color)
    return picture


def originals():
    """Pictures to begin from: {name: (picture, what it shows)}."""
    two = (world.Thing("cat", x=0.26, size=0.45), world.Thing("house", x=0.74, size=0.5))
    scenes = {
        "tree": world.Scene((world.Thing("tree"),)),
        "castle": world.Scene((world.Thing("castle"),), place="mountains"),
        "scene": world.Scene(two, "left of", place="beach", time="sunset"),
    }
    drawn = {name: (Image.fromarray(world.render(scene)), scene.caption()) for name, scene in scenes.items()}
    return {"car": (painting(), "five rectangles: a red car on a beach, as a child would paint it"), **drawn}


def stored(folder, model):
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


def fallback(folder, model, prompt="a lion in a meadow", seed=0, shown=(0, 2, 5, 9, 19), gap=4):
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


# -- how far it is from torch -----------------------------------------------------------------------------------------


def errors(model, here):
    """How far an exported model is from the one it was made from: {what: a number}, rounded.

    text_encoder, unet, decoder: the error of each graph, given what it really gets, relative to its results.
    latents: the same at the end of STEPS guided steps. pictures: the mean difference of a color, as a share of its
    range; pictures_p99: the same of the one in a hundred that differs most.
    """
    prompts = list(PROMPTS[::2])
    ends = [final(each, text_to_latents(each, prompts, num_inference_steps=STEPS)) for each in (model, here)]
    pictures = [np.stack(each.decode(end)) / 255 for each, end in zip((model, here), ends, strict=True)]
    differences = np.abs(pictures[0] - pictures[1])
    text, t = model.encode_text(prompts), len(model.schedule) // 2
    x = model.schedule.add_noise(ends[0], noise(ends[0].shape, 0), t)
    found = {
        "text_encoder": relative(here.encode_text(prompts), text),
        "unet": relative(here.predict_noise(x, t, text), model.predict_noise(x, t, text)),
        "decoder": relative(here.run("decoder", ends[0])[0], Decoder(model)(ends[0])),
        "latents": relative(*ends[::-1]),
        "pictures": differences.mean(),
        "pictures_p99": np.quantile(differences, 0.99),
    }
    return {name: float(f"{value:.{DIGITS}g}") for name, value in found.items()}


def table(manifest):
    """Sizes and errors of an export in words: a list of lines."""
    entries, wrong = manifest["files"], manifest["errors"]
    lines = [f"{'file':38}{'unpacked':>12}{'gzipped':>12}{'error':>10}"]
    for name, entry in entries.items():
        error = f"{wrong[name]:.2%}" if name in wrong else ""
        lines.append(f"{entry['file']:38}{entry['unpacked']:>12,}{entry['bytes']:>12,}{error:>10}".rstrip())
    together = [sum(entry[what] for entry in entries.values()) for what in ("unpacked", "bytes")]
    return [
        *lines,
        f"{'together, in bytes':38}{together[0]:>12,}{together[1]:>12,}",
        f"the latent after {STEPS} guided steps differs from torch's by {wrong['latents']:.2%} of its size,",
        f"the picture by {wrong['pictures']:.2%} of the range of colors, one color in a hundred by "
        f"{wrong['pictures_p99']:.2%} or more",
    ]


def seconds_a_step(here):
    """How long the U-Net of an exported model takes for one guided step, two pictures at once, on one thread."""
    x, text = noise((2, *here.latent_shape), 0), here.encode_text(["", PROMPTS[0]])
    return seconds(lambda: here.predict_noise(x, len(here.schedule) // 2, text), repeats=20)


def relative(got, wanted):
    """The norm of the difference over the norm of what was wanted."""
    return ((got - wanted).norm() / wanted.norm()).item()


def final(model, steps):
    """Where an application's steps end: (B, 4, h, w)."""
    *_, last = steps
    return last.x


# -- what a page is tested with ---------------------------------------------------------------------------------------

DRAWN = (
    {"prompt": "a red car on the beach", "negative_prompt": "at night", "guidance_scale": 3.0, "seed": 42, "steps": 10},
    {"prompt": "a cat on a sofa at night", "negative_prompt": "", "guidance_scale": 1.5, "seed": 7, "steps": 5},
)
AWKWARD = (
    "",
    " ",
    "A CAT on a Sofa!",
    "it's the cat's, isn't it? we've they'll I'd",
    "a   red\tcar\nin  the snow",
    "a cat,a dog;a lion...and (maybe) a #1 tiger -- 50% off",
    "1234 cats and 3.14 pies",
    "café naïve Ünïcödé ÇA",
    "ＦＵＬＬ ｗｉｄｔｈ",
    "ein Bär auf dem Weiß",
    "İstanbul ẞ ΣΑΣ",
    "кошка на диване",
    "猫がソファに座っている",
    "قطة على الأريكة",
    "🦁 lion 👩‍🚀 astronaut 🏳️‍🌈",
    "e\u0301 decomposed, \u00e9 composed",
    "zero\u200bwidth and non\u00a0breaking",
    "<|endoftext|> in the middle <|startoftext|>",
    "supercalifragilisticexpialidocious antidisestablishmentarianism",
    "a cat " * 40,
)


def reference(model, here):
    """Results that a page has to find as well: noise, tokens, timesteps, and latents at the end of trajectories.

    Each trajectory comes twice: by torch ("weights": "full"), and by onnxruntime with the graphs of the folder
    ("shipped").
    """
    rng = np.random.default_rng(1)
    texts = [*AWKWARD, *(world.random_scene(rng).caption(rng) for _ in range(50 - len(AWKWARD)))]
    counts = (1, 2, 3, 5, 7, 10, 16, 20, 25, 30, 48, 50)
    return {
        "randn": [draws(seed, model.latent_shape) for seed in (0, 1, 42, 2**31, 2**32 + 5)],
        "tokens": [{"text": text, "ids": token_ids(model.tokenizer, [text])[0].tolist()} for text in texts],
        "timesteps": {
            str(n): {
                "drop_last": model.schedule.timesteps(n, drop_last=True).tolist(),
                "all": model.schedule.timesteps(n).tolist(),
            }
            for n in counts
        },
        "trajectories": [
            {**trajectory, "weights": name, "final": rounded(walk(each, trajectory))}
            for trajectory in trajectories()
            for name, each in (("full", model), ("shipped", here))
        ],
    }


def draws(seed, shape):
    """Three draws of normal noise, one after the other: the numbers at both ends of each, and the sum of all."""
    generator = torch.Generator().manual_seed(seed)
    numbers = [torch.randn(shape, generator=generator).flatten() for _ in range(3)]
    ends = [{"first": rounded(n[:64]), "last": rounded(n[-8:]), "sum": n.double().sum().item()} for n in numbers]
    return {"seed": seed, "shape": list(shape), "draws": ends}


def trajectories():
    """Every sampler on every drawing of DRAWN, and the painting changed by two samplers."""
    for drawn in DRAWN:
        for sampler in SAMPLERS:
            yield {"kind": "text_to_image", **drawn, "sampler": sampler}
    for sampler in ("ddpm", "dpm++"):
        yield {"kind": "sdedit", **DRAWN[0], "picture": "car", "strength": 0.7, "sampler": sampler}


def walk(model, trajectory):
    """The latents at the end of a trajectory."""
    given = {name: trajectory[name] for name in ("negative_prompt", "guidance_scale", "sampler", "seed")}
    given["num_inference_steps"] = trajectory["steps"]
    if trajectory["kind"] == "text_to_image":
        return final(model, text_to_latents(model, trajectory["prompt"], **given))
    picture = originals()[trajectory["picture"]][0].resize((model.image_size, model.image_size))
    given["strength"] = trajectory["strength"]
    return final(model, sdedit_to_latents(model, picture, trajectory["prompt"], **given))


def rounded(x):
    """A tensor as a flat list, to six digits after the point."""
    return [round(value, 6) for value in x.flatten().tolist()]

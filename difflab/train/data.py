"""Training pictures and captions: fresh scenes of the tiny world, or a folder of your own.

A source is anything with a length whose item i is (picture uint8 (128,128,3), caption). `open_data` returns two of
them, one to train on and one that training never sees.
"""

import hashlib
import json
import re
import sys
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import NamedTuple

import numpy as np
import torch
from PIL import Image
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor
from tqdm import tqdm

from difflab import world as tiny_world
from difflab.files import new_file, new_folder
from difflab.inputs import middle_square
from difflab.train.machine import Machine
from difflab.world import NOUNS, free

SIZE = 128
WORLD_PICTURES = 10_000_000  # scenes are drawn when asked for, so this costs nothing
UNSEEN_PICTURES = 2_000
FREE = "free"  # in place of a folder: the freer world, which the shipped weights do not know yet
UNSEEN_SEED = 777_000_001  # added to the training seed, so that unseen scenes come from elsewhere
THING = "|".join(sorted(NOUNS, key=len, reverse=True))  # "palm tree" before "tree"
NEIGHBORS = re.compile(rf"\b({THING})\b.* to the (left|right) of .*?\b({THING})\b")
SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".bmp")


class Drawn:
    """What a module of the tiny world draws, again and again: item i depends on (seed, i) alone. The module is known by
    its name, so that the source can be sent to another process."""

    def __init__(self, what: str, count: int, seed: int, world):
        self.count, self.seed, self.name, self.module = count, seed, f"{what}-{seed}", world.__name__

    @property
    def world(self):
        return import_module(self.module)

    def __len__(self) -> int:
        return self.count


class World(Drawn):
    """Scenes of the tiny world: item i depends on (seed, i) alone. `captions(i, n)` words the same scene n ways."""

    def __init__(self, count: int, seed: int, world=tiny_world):
        super().__init__("world", count, seed, world)

    def __getitem__(self, index: int) -> tuple[np.ndarray, str]:
        sample = self.world.sample(self.seed, index)
        return np.asarray(sample.picture), sample.caption

    def captions(self, index: int, n: int) -> list[str]:
        rng = np.random.default_rng([self.seed, index])
        scene = self.world.random_scene(rng)  # as `sample` draws it, which would paint it, too
        again = np.random.default_rng([self.seed, index, 1])
        return [scene.caption(rng)] + [scene.caption(again) for _ in range(n - 1)]


class Folder:
    """Pictures of an imagefolder: `metadata.jsonl` has one object a line with `file_name` and `text`.

    Pictures of another size are cut to the middle square and resized, which is said once. `text` may be a list of
    captions. `PICTURES` are the keys that name pictures.
    """

    PICTURES = ("file_name",)

    def __init__(self, folder: str | Path):
        self.folder = Path(folder)
        self.entries = read_metadata(self.folder, self.PICTURES)
        sizes = [f"{e['file_name']} {(self.folder / e['file_name']).stat().st_size} {e['text']}" for e in self.entries]
        self.name = f"folder-{hashlib.sha256(chr(10).join(sizes).encode()).hexdigest()[:12]}"
        self.resized = False

    def __len__(self) -> int:
        return len(self.entries)

    def __getitem__(self, index: int) -> tuple[np.ndarray, str]:
        return self.picture(self.entries[index]["file_name"]), self.entries[index]["text"][0]

    def captions(self, index: int, n: int) -> list[str]:
        texts = self.entries[index]["text"]
        return [texts[i % len(texts)] for i in range(n)]

    def picture(self, file_name: str) -> np.ndarray:
        path = self.folder / file_name
        try:
            image = Image.open(path).convert("RGB")
        except OSError as error:
            raise ValueError(f"{path} is not a readable picture ({error}); replace it or remove its line") from error
        if image.size != (SIZE, SIZE):
            if not self.resized:
                self.resized = True
                print(
                    f"{path} is {image.width}x{image.height}: this and others like it are cut to the middle square "
                    f"and resized to {SIZE}x{SIZE}",
                    file=sys.stderr,
                )
        return np.array(middle_square(image, SIZE))


class Part:
    """Some items of a source, in the given order."""

    def __init__(self, source, indices: list[int], name: str):
        self.source, self.indices, self.name = source, indices, f"{source.name}-{name}"

    def __len__(self) -> int:
        return len(self.indices)

    def __getitem__(self, index: int) -> tuple[np.ndarray, str]:
        return self.source[self.indices[index]]

    def captions(self, index: int, n: int) -> list[str]:
        return self.source.captions(self.indices[index], n)

    def seen(self, index: int) -> np.ndarray:
        return self.source.seen(self.indices[index])


def read_metadata(folder: Path, pictures: tuple[str, ...] = ("file_name",)) -> list[dict]:
    """Read and check `metadata.jsonl`; returns entries with `text` (a list of captions) and each key of `pictures`.

    Raises ValueError for a missing folder or file, a line that is not an object with all keys, an empty text, or a
    picture that is not there.
    """
    if not folder.is_dir():
        raise ValueError(f"data folder {folder} does not exist")
    path = folder / "metadata.jsonl"
    if not path.is_file():
        found = sum(p.suffix.lower() in SUFFIXES for p in folder.iterdir())
        line = json.dumps({**{key: f"{key}.png" for key in pictures}, "text": "a cat on a sofa"})
        raise ValueError(f"{folder} has no metadata.jsonl ({found} pictures found); write one line a picture: {line}")
    entries = []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        if not line.strip():
            continue
        where = f"{path} line {number}"
        try:
            entry = json.loads(line)
        except json.JSONDecodeError as error:
            raise ValueError(f"{where} is not JSON: {line[:60]!r}") from error
        for key in pictures:
            if not isinstance(entry, dict) or not isinstance(entry.get(key), str):
                raise ValueError(f"{where} has no {key}: {line[:60]!r}")
        texts = entry.get("text")
        texts = [texts] if isinstance(texts, str) else texts
        if not isinstance(texts, list) or not texts or not all(isinstance(t, str) and t.strip() for t in texts):
            raise ValueError(f"{where} has no text for {entry['file_name']!r}: give it a caption under 'text'")
        for key in pictures:
            if not (folder / entry[key]).is_file():
                raise ValueError(f"{where} names {entry[key]!r}, which is not in {folder}")
        entries.append({**{key: entry[key] for key in pictures}, "text": texts})
    if len(entries) < 2:
        raise ValueError(f"{path} names {len(entries)} pictures; 2 are the least, one of them for validation")
    return entries


def open_data(
    folder: str | Path | None = None, *, seed: int = 0, world: Callable = World, own: Callable = Folder
) -> tuple:
    """Return (training, unseen) sources: of the tiny world, or of an imagefolder; `world` and `own` are their classes.

    `FREE` in place of a folder gives the freer world.

    Of a folder one picture in twenty (at least one, at most 500), chosen by the names alone, is kept unseen.
    """
    if folder is None:
        return world(WORLD_PICTURES, seed), world(UNSEEN_PICTURES, seed + UNSEEN_SEED)
    if str(folder) == FREE:
        sources = world(WORLD_PICTURES, seed, free), world(UNSEEN_PICTURES, seed + UNSEEN_SEED, free)
        for source in sources:
            source.name = f"free-{source.name}"  # caches are found by it
        return sources
    source = own(folder)
    order = sorted(
        range(len(source)), key=lambda i: hashlib.sha256(source.entries[i]["file_name"].encode()).hexdigest()
    )
    kept = min(500, max(1, len(source) // 20))
    return Part(source, sorted(order[kept:]), "training"), Part(source, order[:kept], "unseen")


# ------------------------------------------------------------------------------------------------- pictures, tensors


def stack(source, indices) -> np.ndarray:
    """Pictures of a source by index: uint8 (N,128,128,3)."""
    return np.stack([source[i][0] for i in indices])


def to_tensor(pictures: np.ndarray | Tensor) -> Tensor:
    """uint8 (N,H,W,3) -> float32 (N,3,H,W) in [-1, 1]."""
    pictures = torch.as_tensor(pictures)
    return pictures.permute(0, 3, 1, 2).float().div_(127.5).sub_(1.0).contiguous()


def to_uint8(x: Tensor) -> np.ndarray:
    """float (N,3,H,W) in [-1, 1] -> uint8 (N,H,W,3)."""
    return ((x.float().cpu().clamp(-1, 1) + 1.0) * 127.5).round().byte().permute(0, 2, 3, 1).numpy()


def rows(stacks: list[Tensor], columns: int = 8) -> Image.Image:
    """One sheet: for every `columns` pictures, a row from each stack, one under the other (originals, then copies)."""
    lines = []
    for first in range(0, len(stacks[0]), columns):
        for each in stacks:
            line = to_uint8(each[first : first + columns])
            missing = columns - len(line)
            line = np.concatenate([line, np.full((missing, *line.shape[1:]), 255, np.uint8)]) if missing else line
            lines.append(np.concatenate(list(line), axis=1))
    return Image.fromarray(np.concatenate(lines))


# ------------------------------------------------------------------------------------------------------------- cache


class Cache(NamedTuple):
    """Pictures drawn once, in a file, and several captions for each."""

    file: Path
    captions: list[list[str]]

    @property
    def pictures(self) -> np.ndarray:
        """uint8 (N,128,128,3), read from the disk where they are looked at."""
        return np.load(self.file, mmap_mode="r")


def cache_pictures(source, count: int, folder: str | Path, *, captions: int = 4) -> Cache:
    """Draw the first `count` pictures of a source into `folder` once, 49 KB each; later calls only open them.

    The folder's name says what is inside, so that recipes share a cache. `count` is cut to the length of the source.
    Raises ValueError when count or captions is not positive.
    """
    if count < 1 or captions < 1:
        raise ValueError(f"count={count} and captions={captions} must be at least 1")
    count = min(count, len(source))
    folder = Path(folder) / f"{source.name}-{count}x{captions}"
    if not (folder / "captions.json").is_file():
        with new_folder(folder) as new:
            pictures = np.lib.format.open_memmap(new / "pictures.npy", "w+", np.uint8, (count, SIZE, SIZE, 3))
            texts = []
            for i in tqdm(range(count), desc=f"drawing {count} pictures", disable=not sys.stderr.isatty()):
                pictures[i] = source[i][0]
                texts.append(source.captions(i, captions))
            pictures.flush()
            (new / "captions.json").write_text(json.dumps(texts), encoding="utf-8")
    texts = json.loads((folder / "captions.json").read_text(encoding="utf-8"))
    return Cache(folder / "pictures.npy", texts)


class Latents(NamedTuple):
    """What a denoising network is trained on: tensors of N rows each, and the texts of each row.

    `mean` and `std` (N,4,16,16) are the latents'; every other tensor is something that the network sees.
    """

    tensors: dict[str, Tensor]
    captions: list[list[str]]


SHARD = 1000


def cache_latents(
    source, count: int, folder: str | Path, encode, mark: str, machine: Machine, *, captions: int = 4
) -> Latents:
    """Compute what a network is trained on from the first `count` items of a source once, in shards of 1,000.

    `encode(source, indices)` gives the tensors of `Latents`; numbers are kept in half precision. `mark` names the
    encoder, so that another one starts afresh. Shards that are there are kept: a kill costs at most one, and a larger
    `count` later adds to them. Several processes divide the work.
    """
    if count < 1 or captions < 1:
        raise ValueError(f"count={count} and captions={captions} must be at least 1")
    count = min(count, len(source))
    folder = Path(folder) / f"{source.name}-{mark}-x{captions}"
    folder.mkdir(parents=True, exist_ok=True)
    ranges = [range(first, min(first + SHARD, count)) for first in range(0, count, SHARD)]
    paths = [folder / f"{r.start:08d}-{r.stop:08d}.safetensors" for r in ranges]
    todo = [(r, p) for r, p in zip(ranges, paths, strict=True) if not p.is_file()]
    mine = todo[machine.process :: machine.processes]
    for r, path in tqdm(mine, desc="encoding pictures, by the thousand", disable=not sys.stderr.isatty()):
        tensors = {name: in_half(tensor).contiguous() for name, tensor in encode(source, r).items()}
        texts = json.dumps([source.captions(i, captions) for i in r])
        with new_file(path) as new:
            save_file(tensors, new, metadata={"captions": texts})
    machine.wait()
    shards, texts = [], []
    for path in paths:
        with safe_open(path, framework="pt") as file:
            shards.append({name: file.get_tensor(name) for name in file.keys()})  # noqa: SIM118, it is no dict
            texts += json.loads(file.metadata()["captions"])
    return Latents({name: torch.cat([shard[name] for shard in shards]) for name in shards[0]}, texts)


def in_half(tensor: Tensor) -> Tensor:
    """float16 for what is floating, anything else (masks, pictures in uint8) as it is."""
    return tensor.half() if tensor.is_floating_point() else tensor


def token_table(tokenizer, captions: list[list[str]]) -> Tensor:
    """Token ids of every caption of every picture: int16 or int32 (N, captions, 77)."""
    length = tokenizer.model_max_length
    flat = [text for texts in captions for text in texts]
    ids = tokenizer(flat, padding="max_length", max_length=length, truncation=True)["input_ids"]
    table = torch.tensor(np.asarray(ids, dtype=np.int16 if len(tokenizer) < 1 << 15 else np.int32))
    return table.view(len(captions), -1, length)


def sides(caption: str) -> tuple[str, str] | None:
    """The things that a caption puts on the left and on the right; None where it does not say."""
    found = NEIGHBORS.search(caption)
    if found is None:
        return None
    first, side, second = found.groups()
    return (first, second) if side == "left" else (second, first)


def sided(captions: list[list[str]]) -> Tensor:
    """Which captions of which pictures say what is left and what is right: int64 (M,2), picture and wording."""
    return torch.tensor([(i, j) for i, texts in enumerate(captions) for j, text in enumerate(texts) if sides(text)])


def draw_captions(generator: torch.Generator, n: int, shape, sided, fraction: float) -> tuple[Tensor, Tensor]:
    """Draw `n` captions of `shape` (pictures, wordings), a `fraction` of them from the rows of `sided`, where there
    are any: the pictures' numbers and the wordings', (n,) each."""
    index, wording = (torch.randint(0, size, (n,), generator=generator) for size in shape)
    if len(sided):
        first = round(fraction * n)
        row = torch.randint(0, len(sided), (first,), generator=generator)
        index[:first], wording[:first] = sided[row].unbind(dim=1)
    return index, wording


# ----------------------------------------------------------------------------------------------------------- weights


def load_weights(model_class: type, folder: str | Path):
    """`model_class.from_pretrained(folder)` in float32; raises ValueError when the folder holds no model."""
    folder = Path(folder)
    if not (folder / "config.json").is_file():
        raise ValueError(f"{folder} has no config.json: expected the folder of a trained {model_class.__name__}")
    return model_class.from_pretrained(folder, torch_dtype=torch.float32)

"""The tokenizer: a CLIPTokenizer of 77 positions whose words are those of the captions.

Byte-pair encoding (Sennrich, Haddow and Birch 2016, arXiv 1508.07909) in CLIP's byte-level form. Every byte stays a
symbol, so any text at all has tokens; every word of the captions ends up as one token.
"""

import collections
import json
import os
import re
import sys
from collections.abc import Iterable
from pathlib import Path

import numpy as np
from transformers import CLIPTokenizer

from difflab import world
from difflab.files import new_folder
from difflab.train import data
from difflab.train.loop import Result
from difflab.train.options import TokenizerOptions

MAX_LENGTH = 77
CAPTIONS, SMOKE_CAPTIONS = 20_000, 200
FILES = {"vocab.json", "merges.txt", "tokenizer.json", "tokenizer_config.json", "special_tokens_map.json"}
START, END = "<|startoftext|>", "<|endoftext|>"

# Words that no caption may have but a reader or an instruction will use; they too become one token each.
EXTRA_WORDS = """
photo picture image of the a an with without and or under above behind below near between in on at to from into by is
small big large little tiny huge tall blurry blur bad good best worst quality ugly pretty low high sharp
make it turn into give put add remove take away replace change move swap during night sunset day dawn morning evening
pencil sketch drawing painting watercolor oil style cartoon pixel art clay wood paper glass gold golden silver neon
wearing holding standing sitting riding running flying left right side next two three many no not
red orange yellow green blue purple pink brown black white gray dark light bright colorful
""".split()


def byte_symbols() -> list[str]:
    """The 256 printable characters that stand for the 256 bytes, in the order of CLIP's vocabulary."""
    printable = [*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), ord("ÿ") + 1)]
    return [chr(b) for b in printable] + [chr(256 + n) for n in range(256 - len(printable))]


def learn_merges(counts: dict[str, int]) -> list[tuple[str, str]]:
    """Merge the most frequent neighboring symbols again and again until every word is one symbol."""
    words = {word: [*word[:-1], word[-1] + "</w>"] for word in counts}
    merges = []
    while True:
        pairs = collections.Counter()
        for word, symbols in words.items():
            for pair in zip(symbols, symbols[1:], strict=False):
                pairs[pair] += counts[word]
        if not pairs:
            return merges
        best = max(pairs, key=lambda pair: (pairs[pair], pair))
        merges.append(best)
        for word, symbols in words.items():
            merged, i = [], 0
            while i < len(symbols):
                if tuple(symbols[i : i + 2]) == best:
                    merged.append(best[0] + best[1])
                    i += 2
                else:
                    merged.append(symbols[i])
                    i += 1
            words[word] = merged


def build(captions: Iterable[str], folder: str | Path) -> CLIPTokenizer:
    """Write the tokenizer of these captions into `folder` and return it.

    The folder holds vocab.json and merges.txt beside tokenizer.json, so old and new transformers both read it.
    """
    counts: collections.Counter[str] = collections.Counter(EXTRA_WORDS)
    for caption in captions:
        counts.update(re.findall(r"[a-z]+", caption.lower()))
    symbols = byte_symbols()
    merges = learn_merges(counts)
    tokens = [*symbols, *(s + "</w>" for s in symbols), *(a + b for a, b in merges), START, END]
    vocabulary = json.dumps({token: number for number, token in enumerate(dict.fromkeys(tokens))}, ensure_ascii=False)
    lines = "".join(f"{a} {b}\n" for a, b in merges)
    with new_folder(folder) as new:
        save(vocabulary, "#version: 0.2\n" + lines, new)
    return CLIPTokenizer.from_pretrained(folder)


def save(vocabulary: str, merges: str, folder: Path) -> None:
    """Write a tokenizer folder from the contents of vocab.json and merges.txt."""
    (folder / "vocab.json").write_text(vocabulary, encoding="utf-8")
    (folder / "merges.txt").write_text(merges, encoding="utf-8")
    CLIPTokenizer.from_pretrained(folder, model_max_length=MAX_LENGTH).save_pretrained(folder)
    join_merges(folder / "tokenizer.json")


def join_merges(path: Path) -> None:
    """Write each merge of a tokenizer.json as "t h", which all versions of tokenizers read, and not as ["t", "h"]."""
    if path.is_file():  # the oldest transformers write none
        content = json.loads(path.read_text(encoding="utf-8"))
        merges = content["model"]["merges"]
        content["model"]["merges"] = [merge if isinstance(merge, str) else " ".join(merge) for merge in merges]
        path.write_text(json.dumps(content, ensure_ascii=False, indent=2), encoding="utf-8")


def copy(source: str | Path, folder: Path) -> None:
    """Write the tokenizer of one folder into another, without what earlier calls left in it (padding, truncation)."""
    folder.mkdir(parents=True, exist_ok=True)
    vocabulary, merges = ((Path(source) / name).read_text(encoding="utf-8") for name in ("vocab.json", "merges.txt"))
    save(vocabulary, merges, folder)


def world_captions(count: int, seed: int) -> Iterable[str]:
    """Captions of fresh scenes, which need not be drawn for that."""
    rng = np.random.default_rng([seed, 2])
    for _ in range(count):
        yield world.random_scene(rng).caption(rng)


def train(options: TokenizerOptions) -> Result:
    """Build the tokenizer folder `options.out` from captions of the world, or of your own pictures.

    An earlier one in its place is replaced; ValueError when the folder holds something else.
    """
    foreign = sorted({path.name for path in options.out.glob("*")} - FILES)
    if foreign:
        raise ValueError(f"{options.out} holds {foreign[0]}, which is no part of a tokenizer: name another --out")
    if options.data is None:
        texts = world_captions(SMOKE_CAPTIONS if options.smoke else CAPTIONS, options.seed)
    else:
        texts = (text for entry in data.read_metadata(options.data) for text in entry["text"])
    tokenizer = build(texts, options.out)
    print(f"{options.out}: {len(tokenizer)} tokens, {tokenizer.model_max_length} positions", file=sys.stderr)
    return Result(step=0, seconds=0.0, finished=True, metrics={"tokens": float(len(tokenizer))})


def vocabulary(tokenizer: CLIPTokenizer) -> str:
    """The tokens and their numbers, as a text that two equal tokenizers share."""
    return json.dumps(tokenizer.get_vocab(), sort_keys=True)


def token_ids(tokenizer: CLIPTokenizer, captions: list[str]) -> np.ndarray:
    """Token ids of the captions, padded or cut to the tokenizer's positions: int64 (N, 77)."""
    out = tokenizer(captions, padding="max_length", max_length=tokenizer.model_max_length, truncation=True)
    return np.asarray(out["input_ids"], dtype=np.int64)


def load(folder: str | Path) -> CLIPTokenizer:
    """The tokenizer in this folder; raises ValueError when there is none."""
    if not os.path.isfile(os.path.join(folder, "vocab.json")):
        raise ValueError(f"{folder} has no vocab.json: build the tokenizer first (train tokenizer --out {folder})")
    return CLIPTokenizer.from_pretrained(folder)

"""What is trained on: scenes of the tiny world, pictures of one's own, and what is computed of them once."""

import pickle

import numpy as np
import pytest
import torch

from difflab.train import data, run
from difflab.train.loop import generator


def test_imagefolder(imagefolder, tmp_path, capsys):
    training, unseen = data.open_data(imagefolder)
    assert len(training) == 5 and len(unseen) == 1
    assert {caption for _, caption in (*map(training.__getitem__, range(5)), unseen[0])} == {
        "zero",
        *(f"a picture {i}" for i in range(1, 6)),
    }
    picture, _ = training[0]
    assert picture.shape == (128, 128, 3) and picture.dtype == np.uint8 and (picture[:, 0] != 255).any()
    assert capsys.readouterr().err.count("is 160x128") == 1  # said once
    result = run("autoencoder", out=tmp_path / "run", data=imagefolder, smoke=True, device="cpu")
    assert result.finished and (tmp_path / "run/vae/config.json").is_file()
    tokens = run("tokenizer", out=tmp_path / "tokenizer", data=imagefolder)
    assert tokens.metrics["tokens"] > 512
    chosen = {"data": imagefolder, "tokenizer": tmp_path / "tokenizer", "smoke": True, "device": "cpu"}
    assert run("clip", out=tmp_path / "clip", **chosen).finished


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        (None, "has no metadata.jsonl .6 pictures found."),
        ([], "names 0 pictures; 2 are the least"),
        (['{"file_name": "0.png"}'], "line 1 has no text for '0.png': give it a caption"),
        (['{"file_name": "0.png", "text": " "}'], "line 1 has no text for '0.png'"),
        (['{"text": "a cat"}'], "line 1 has no file_name"),
        (["0.png, a cat"], "line 1 is not JSON: '0.png, a cat'"),
        (['{"file_name": "9.png", "text": "a cat"}'], "line 1 names '9.png', which is not in"),
    ],
)
def test_imagefolder_mistakes(imagefolder, lines, message):
    (imagefolder / "metadata.jsonl").unlink()
    if lines is not None:
        (imagefolder / "metadata.jsonl").write_text("\n".join(lines))
    with pytest.raises(ValueError, match=message):
        data.open_data(imagefolder)


def test_a_broken_picture(imagefolder):
    (imagefolder / "3.png").write_bytes(b"not a picture")
    training, unseen = data.open_data(imagefolder)
    with pytest.raises(ValueError, match=r"3\.png is not a readable picture"):
        data.stack(training, range(5)), data.stack(unseen, range(1))


def test_pictures_are_kept_and_shared(tmp_path):
    training, unseen = data.open_data(seed=3)
    first = data.cache_pictures(training, 5, tmp_path, captions=4)
    written = {p: p.stat().st_mtime_ns for p in tmp_path.rglob("*.npy")}
    again = data.cache_pictures(training, 5, tmp_path, captions=4)
    assert {p: p.stat().st_mtime_ns for p in tmp_path.rglob("*.npy")} == written
    assert np.array_equal(first.pictures, data.stack(training, range(5))) and first.captions == again.captions
    assert [len(texts) for texts in first.captions] == [4] * 5 and first.captions[2][0] == training[2][1]
    assert not np.array_equal(unseen[0][0], training[0][0])
    with pytest.raises(ValueError, match="count=0"):
        data.cache_pictures(training, 0, tmp_path)
    assert len(pickle.dumps(first)) < 2000  # a process that draws batches is sent the path, not the pictures


def test_latents_are_kept_and_grow(cpu, tmp_path, monkeypatch):
    monkeypatch.setattr(data, "SHARD", 4)
    training, _ = data.open_data(seed=3)
    encoded = []

    def encode(source, indices):
        encoded.append(len(indices))
        z = data.to_tensor(data.stack(source, indices))[:, :, ::8, ::8]
        return {"mean": z, "std": z.abs(), "mask": (z > 0).byte()}

    first = data.cache_latents(training, 8, tmp_path, encode, "mark", cpu)
    more = data.cache_latents(training, 10, tmp_path, encode, "mark", cpu)
    assert encoded == [4, 4, 2]
    assert {name: tensor.dtype for name, tensor in first.tensors.items()} == {
        "mean": torch.float16, "std": torch.float16, "mask": torch.uint8,
    }  # fmt: skip
    assert first.tensors["mean"].shape == (8, 3, 16, 16) and len(more.captions) == 10
    assert all(torch.equal(more.tensors[name][:8], tensor) for name, tensor in first.tensors.items())
    data.cache_latents(training, 4, tmp_path, encode, "another", cpu)
    assert encoded == [4, 4, 2, 4]


@pytest.mark.parametrize(
    ("caption", "sides"),
    [
        ("a cat to the left of a dog in the snow", ("cat", "dog")),
        ("at night, an orange cat to the right of a palm tree", ("palm tree", "cat")),
        ("a pencil sketch of a superhero flying to the left of a tree on the beach", ("superhero", "tree")),
        ("a cat beside a dog", None),
        ("a cat on a sofa", None),
        ("left of a cat", None),
    ],
)
def test_what_a_caption_says_of_sides(caption, sides):
    assert data.sides(caption) == sides


def test_sides_of_captions_are_those_of_the_scenes():
    from difflab import world

    rng, said = np.random.default_rng(0), 0
    for scene in (world.random_scene(rng) for _ in range(400)):
        told = data.sides(scene.caption(rng))
        if told:
            first, second = (thing.noun for thing in scene.things)
            assert told == ((first, second) if scene.relation == "left of" else (second, first))
            said += 1
    assert 80 < said < 140  # of three scenes one has two neighbors, and four captions of five say which stands where


def test_captions_that_say_sides_are_drawn_more_often():
    captions = [["a cat", "a dog"], ["a cat to the left of a dog", "a cat and a dog"], ["a car", "a bus"]]
    sided = data.sided(captions)
    assert sided.tolist() == [[1, 0]]
    index, wording = data.draw_captions(generator(0), 400, (3, 2), sided, 0.5)
    assert (index[:200] == 1).all() and (wording[:200] == 0).all()
    assert {(int(i), int(j)) for i, j in zip(index[200:], wording[200:], strict=True)} == {
        (i, j) for i in range(3) for j in range(2)
    }
    index, _ = data.draw_captions(generator(0), 400, (3, 2), data.sided([["a cat"]]), 0.5)
    assert set(index.tolist()) == {0, 1, 2}


def test_half_of_the_webs_captions_are_of_other_pictures():
    """The pictures are the source's own; every second caption is another scene's; what is unseen keeps its own."""
    from difflab.train.recipes import web

    plain, plain_unseen = data.open_data(seed=3)
    training, unseen = web.open_data(seed=3)
    assert len(training) == len(plain) and training.name != plain.name
    for index in range(20):
        assert np.array_equal(training[index][0], plain[index][0])
        own, found = plain.captions(index, 4), training.captions(index, 4)
        other = plain.captions((index + web.PRIME) % len(plain), 4)
        assert found == [own[0], other[1], own[2], other[3]]
    assert [unseen.captions(i, 4) for i in range(5)] == [plain_unseen.captions(i, 4) for i in range(5)]


def test_no_picture_of_a_folder_is_its_own_other(imagefolder):
    from difflab.train.recipes import web

    training, _ = web.open_data(imagefolder)
    others = [(i + web.PRIME) % len(training) for i in range(len(training))]
    assert sorted(others) == list(range(len(training))) and all(i != other for i, other in enumerate(others))

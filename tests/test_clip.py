"""CLIP: the library against transformers, the window of 77, search and scores, bad input, and where the hub is out."""

import json
import shutil
import warnings

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from PIL import Image
from safetensors.torch import load_file, save_file

from difflab import clip as clip_room, world
from difflab.clip import HUB, Clip, clip_score, join_towers, load, recall, search, similarity, tokens

HELD_OUT = 900_000_003


@pytest.fixture(scope="module")
def tiny_clip():
    return load("tiny", device="cpu")


@pytest.fixture(scope="module")
def scenes():
    """Forty unseen scenes."""
    return [world.sample(HELD_OUT, i) for i in range(40)]


@pytest.fixture(scope="module")
def clip_folder(tmp_path_factory, tiny_folder):
    """A CLIPModel of random weights, in a folder such as OpenAI's on the hub."""
    from transformers import CLIPConfig, CLIPModel

    folder = tmp_path_factory.mktemp("clip") / "random"
    shutil.copytree(tiny_folder / "tokenizer", folder)
    ends = dict(vocab_size=955, bos_token_id=953, eos_token_id=954, pad_token_id=954)
    sizes = dict(hidden_size=16, intermediate_size=32, num_hidden_layers=2, num_attention_heads=2, projection_dim=12)
    config = CLIPConfig(
        text_config={**sizes, **ends}, vision_config={**sizes, "image_size": 32, "patch_size": 8}, projection_dim=12
    )
    with torch.random.fork_rng():
        torch.manual_seed(0)
        CLIPModel(config).save_pretrained(folder)
    colors = {"image_mean": [0.48, 0.45, 0.4], "image_std": [0.26, 0.27, 0.28]}
    (folder / "preprocessor_config.json").write_text(json.dumps(colors))
    return folder


def features(answer):
    """What get_text_features and get_image_features say: a tensor in old transformers, an object in new ones."""
    return getattr(answer, "pooler_output", answer)


def test_the_same_as_transformers(tiny_clip, scenes):
    prompts, pictures = [s.caption for s in scenes[:8]], [s.picture for s in scenes[:8]]
    inputs = tiny_clip.tokenizer(prompts, padding="max_length", max_length=77, return_tensors="pt")
    pixels = torch.from_numpy(np.stack(pictures)).permute(0, 3, 1, 2) / 127.5 - 1
    text, image = tiny_clip.embed_text(prompts), tiny_clip.embed_images(pictures)
    assert torch.allclose(text, F.normalize(features(tiny_clip.model.get_text_features(**inputs))), atol=1e-5)
    assert torch.allclose(image, F.normalize(features(tiny_clip.model.get_image_features(pixels))), atol=1e-5)
    theirs = tiny_clip.model(**inputs, pixel_values=pixels)
    assert torch.allclose(similarity(image, text) / tiny_clip.temperature, theirs.logits_per_image, atol=1e-4)
    assert torch.allclose(tiny_clip.embed_images(Image.fromarray(pictures[0])), image[:1], atol=1e-5)


def test_a_clip_as_on_the_hub(clip_folder):
    from transformers import CLIPModel

    clip = load(clip_folder, device="cpu")
    assert clip.mean == (0.48, 0.45, 0.4) and not any(p.requires_grad for p in clip.model.parameters())
    picture = np.random.default_rng(0).integers(0, 256, (50, 70, 3), dtype=np.uint8)
    pixels = clip.pixels(picture)
    assert pixels.shape == (1, 3, 32, 32)
    same = CLIPModel.from_pretrained(clip_folder).float().eval()
    assert torch.allclose(
        clip.embed_images(picture), F.normalize(features(same.get_image_features(pixels)), dim=-1), atol=1e-5
    )
    inputs = clip.tokenizer(["a cat"], return_tensors="pt")
    assert torch.allclose(
        clip.embed_text("a cat"), F.normalize(features(same.get_text_features(**inputs)), dim=-1), atol=1e-5
    )


@pytest.mark.parametrize("size", [(50, 70), (70, 51), (32, 32), (33, 32), (16, 40)])
def test_pictures_are_cut_as_openai_does_it(clip_folder, size):
    try:
        from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil as Processor
    except ImportError:  # transformers 4
        from transformers import CLIPImageProcessor as Processor

    clip = load(clip_folder, device="cpu")
    settings = dict(size={"shortest_edge": 32}, crop_size={"height": 32, "width": 32})
    processor = Processor(image_mean=list(clip.mean), image_std=list(clip.std), **settings)
    picture = Image.fromarray(np.random.default_rng(0).integers(0, 256, (*size, 3), dtype=np.uint8))
    theirs = processor(picture, return_tensors="pt").pixel_values
    assert torch.allclose(clip.pixels(picture), torch.as_tensor(theirs), atol=1e-5)


def test_tokens_and_what_is_cut(tiny_clip):
    assert tokens(tiny_clip.tokenizer, "a cat") == (["<|startoftext|>", "a</w>", "cat</w>", "<|endoftext|>"], "")
    assert tokens(tiny_clip.tokenizer, "").read == ["<|startoftext|>", "<|endoftext|>"]
    read, cut = tokens(tiny_clip.tokenizer, "a cat " * 37 + "on a sofa at night")
    assert len(read) == 77 and read[-2] == "on</w>" and cut == "a sofa at night"


def test_a_long_prompt_warns_and_names_what_was_cut(tiny_clip):
    long = "a cat " * 37 + "on a sofa"
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        short = tiny_clip.embed_text("a cat " * 37 + "on")
    with pytest.warns(UserWarning, match="cut off at the end: 'a sofa'") as caught:
        cut = tiny_clip.embed_text(["a cat", long])
    assert len(caught) == 1 and caught[0].filename == __file__
    assert torch.allclose(cut[1:], short, atol=1e-5)


def test_the_neighbors_in_a_batch_make_no_difference(tiny_clip, scenes, monkeypatch):
    together = tiny_clip.embed_text(["a cat", "a red car to the left of a house in the snow at night"])
    assert torch.allclose(together[:1], tiny_clip.embed_text("a cat"), atol=1e-5)
    pictures = [s.picture for s in scenes[:5]]
    whole = tiny_clip.embed_images(pictures)
    monkeypatch.setattr(clip_room, "BATCH", 2)
    assert torch.allclose(tiny_clip.embed_images(pictures), whole, atol=1e-5)
    assert torch.allclose(whole.norm(dim=1), torch.ones(5), atol=1e-5)


def test_the_shipped_towers_find_unseen_scenes(tiny_clip, scenes):
    text = tiny_clip.embed_text([s.scene.caption() for s in scenes])
    image = tiny_clip.embed_images([s.picture for s in scenes])
    assert recall(text, image) > 0.7 and recall(image, text) > 0.7
    scores = clip_score(tiny_clip, [s.picture for s in scenes], [s.scene.caption() for s in scenes])
    assert torch.allclose(scores, 100 * (image * text).sum(dim=1).clamp(min=0), atol=1e-3)
    assert scores.mean() > 10 + clip_score(tiny_clip, [s.picture for s in scenes[1:]], ["a cat"] * 39).mean()


def test_similarity_search_and_recall():
    a = torch.randn(4, 3, generator=torch.Generator().manual_seed(0))
    assert torch.allclose(similarity(a, 5 * a).diag(), torch.ones(4), atol=1e-6)
    assert torch.allclose(similarity(a, -a[:1]), -similarity(a, a[:1]))
    corners = torch.eye(3)
    scores, found = search(torch.tensor([[0.1, 0.9, 0.5]]), corners, k=2)
    assert found.tolist() == [[1, 2]] and scores[0, 0] > scores[0, 1]
    assert recall(corners, corners) == 1.0 and recall(corners, corners.roll(1, dims=0)) == 0.0
    ranked = torch.tensor([[0.0, 1, 0.5], [0, 1, 0], [0.5, 1, 0.2]])  # own one is third, first, third
    assert [round(recall(ranked, corners, k), 3) for k in (1, 2, 3)] == [0.333, 0.333, 1.0]


def test_the_score_is_never_below_zero(tiny_clip, scenes):
    nonsense = ["a cactus in the desert by day"] * len(scenes)
    assert clip_score(tiny_clip, [s.picture for s in scenes], nonsense).min() == 0


@pytest.mark.parametrize(
    "call, said",
    [
        (lambda clip: clip.embed_text(7), "not 7"),
        (lambda clip: clip.embed_text([]), "a str or a list of str"),
        (lambda clip: clip.embed_images([]), "no picture"),
        (lambda clip: clip.embed_images("cat.png"), "not str"),
        (lambda clip: clip.embed_images(Image.new("L", (8, 8))), r"mode is 'L'; use image.convert\('RGB'\)"),
        (lambda clip: clip.embed_images(np.zeros((8, 8, 3))), r"not float64 array \(8, 8, 3\)"),
        (lambda clip: clip.embed_images(np.zeros((8, 8, 4), np.uint8)), "not uint8 array"),
        (lambda clip: clip_score(clip, Image.new("RGB", (8, 8)), ["a", "b"]), "1 pictures and 2 prompts"),
        (
            lambda clip: search(torch.eye(3), torch.eye(3), k=4),
            "k=4 must be a whole number from 1 to 3, the number of candidates",
        ),
        (lambda clip: search(torch.eye(3), torch.eye(3), k=0), "k=0"),
        (lambda clip: recall(torch.eye(3), torch.eye(3)[:2]), "3 queries and 2 candidates"),
    ],
)
def test_bad_input(tiny_clip, call, said):
    with pytest.raises(ValueError, match=said):
        call(tiny_clip)


@pytest.mark.parametrize("name", ["gigantic", "./no/such/folder", "/no/such", "", "\0"])
def test_unknown_names(name):
    with pytest.raises(ValueError, match="no model and no folder .*use tiny, .*sd15"):
        load(name, device="cpu")


@pytest.mark.parametrize("name", [None, 7, [], b"tiny"])
def test_what_is_no_name(name):
    with pytest.raises(ValueError, match="a model is the name of one or the path of a folder"):
        load(name, device="cpu")


@pytest.mark.parametrize(
    "text, said",
    [
        ("{", "not JSON"),
        ("[]", "holds list"),
        ("{}", "three numbers each"),
        ('{"image_mean": [0.5, 0.5], "image_std": [1, 1, 1]}', "three numbers each"),
        ('{"image_mean": [0.5, 0.5, "x"], "image_std": [1, 1, 1]}', "mean='x' must be a finite number"),
        ('{"image_mean": [0.5, 0.5, 0.5], "image_std": [1, 0, 1]}', "std=0 must be a number above 0"),
        ('{"image_mean": [0.5, 0.5, NaN], "image_std": [1, 1, 1]}', "mean=nan"),
    ],
)
def test_colors_that_are_none(clip_folder, tmp_path, text, said):
    folder = shutil.copytree(clip_folder, tmp_path / "clip")
    (folder / "preprocessor_config.json").write_text(text)
    with pytest.raises(ValueError, match=said):
        load(folder, device="cpu")


@pytest.mark.parametrize("name", ["sd15", "somebody/something"])
def test_the_hub_out_of_reach(name, monkeypatch, tmp_path):
    from huggingface_hub import snapshot_download

    def offline(repository, **arguments):
        assert repository == HUB.get(name, name)
        return snapshot_download(repository, cache_dir=tmp_path, local_files_only=True, **arguments)

    monkeypatch.setattr("huggingface_hub.snapshot_download", offline)
    with pytest.raises(ConnectionError, match="cannot be reached. Once online.*pass the path"):
        load(name, device="cpu")


def test_folders_that_hold_no_clip(tmp_path, random_folder, tiny_folder, clip_folder):
    with pytest.raises(ValueError, match="holds no CLIP"):
        load(random_folder, device="cpu")
    copy = tmp_path / "copy"
    for part in ("text_encoder", "tokenizer"):
        shutil.copytree(tiny_folder / part, copy / part)
    shutil.copy(tiny_folder / "clip_head.safetensors", copy)
    with pytest.raises(ValueError, match="image_encoder of .* cannot be read"):
        load(copy, device="cpu")
    damaged = shutil.copytree(clip_folder, tmp_path / "damaged")
    (damaged / "model.safetensors").write_bytes(b"short")
    with pytest.raises(ValueError, match="cannot be read.*fetch the folder anew"):
        load(damaged, device="cpu")


def test_towers_that_do_not_fit_together(tiny_folder, tmp_path):
    for part in ("text_encoder", "image_encoder", "tokenizer"):
        shutil.copytree(tiny_folder / part, tmp_path / part)
    head = load_file(tiny_folder / "clip_head.safetensors")
    for weights, said in (
        ({name: weight[:3] for name, weight in head.items() if weight.ndim}, "do not fit together"),
        ({name: weight * torch.nan for name, weight in head.items()}, "clip_head.safetensors' holds NaN"),
    ):
        save_file({name: weight.contiguous() for name, weight in weights.items()}, tmp_path / "clip_head.safetensors")
        with pytest.raises(ValueError, match=said):
            load(tmp_path, device="cpu")
    (tmp_path / "clip_head.safetensors").write_bytes(b"short")
    with pytest.raises(ValueError, match="clip_head.safetensors' cannot be read"):
        load(tmp_path, device="cpu")


def test_joined_towers_are_those_that_ship(tiny_folder, tiny):
    model = join_towers(tiny_folder)
    ids = torch.tensor([[953, 5, 6, 954]])
    torch.testing.assert_close(model.text_model(input_ids=ids).last_hidden_state, tiny.text_encoder(ids)[0])
    assert all(p.dtype == torch.float32 and p.requires_grad for p in model.parameters())
    assert not any(p.requires_grad for p in Clip(tiny.tokenizer, model).model.parameters())

"""Readers: what is read is put where it belongs, hints come of any picture, and the loss is lowest for the truth."""

import json

import numpy as np
import pytest
import torch
from PIL import Image

import difflab
from difflab import readers, world
from difflab.readers import Readers, loss, missed, peaks, read
from difflab.train import run
from difflab.train.assemble import assemble
from difflab.train.recipes import readers as recipe
from difflab.world import figure, free, hints

KNOWN = [recipe.draw_sample(3, index, "free") for index in (0, 1, 2, 3)]  # 0 and 3 have a superhero


def batch(known=KNOWN):
    columns = (torch.from_numpy(np.stack(each)) for each in zip(*known, strict=True))
    return dict(zip(recipe.Known._fields, columns, strict=True))


class Told(torch.nn.Module):
    """In place of a network: answers that are the truth."""

    def __init__(self, known):
        super().__init__()
        self.known = known

    def forward(self, x):
        answers = {"depth": [], "classes": [], "joints": [], "figure": []}
        rows = columns = (np.arange(64) + 0.5) * 2
        for each in self.known:
            nearness = torch.from_numpy(each.depth / 255).float().clamp(1e-6, 1 - 1e-6)
            answers["depth"].append(nearness.logit()[None])
            classes = torch.from_numpy(each.classes).long()
            answers["classes"].append(20.0 * torch.nn.functional.one_hot(classes, len(hints.CLASSES)).permute(2, 0, 1))
            joints = np.nan_to_num(each.joints)[:, :, None, None]
            away = np.abs(joints[:, 0] - columns) + np.abs(joints[:, 1] - rows[:, None])
            answers["joints"].append(torch.from_numpy(-away).float())
            answers["figure"].append(torch.tensor(-9.0 if np.isnan(each.joints).all() else 9.0))
        return {name: torch.stack(each) for name, each in answers.items()}


def test_a_network_answers_in_shape_and_is_small():
    net = Readers()
    out = net(torch.zeros(2, 3, 128, 128))
    shapes = {name: tuple(each.shape) for name, each in out.items()}
    assert shapes == {
        "depth": (2, 1, 128, 128), "classes": (2, 11, 128, 128), "joints": (2, 14, 64, 64), "figure": (2,)
    }  # fmt: skip
    assert 2 * sum(parameter.numel() for parameter in net.parameters()) < 1.3e6, "bytes in half precision"


def test_the_truth_is_read_as_the_truth():
    readings = read([each.picture for each in KNOWN], Told(KNOWN))
    for reading, known in zip(readings, KNOWN, strict=True):
        assert np.abs(reading.depth - known.depth / 255).max() < 1e-5
        assert reading.classes.dtype == np.uint8 and np.array_equal(reading.classes, known.classes)
        assert (reading.joints is None) == np.isnan(known.joints).all()
        if reading.joints is not None:
            seen = ~np.isnan(known.joints).any(1)
            assert np.abs(reading.joints - known.joints)[seen].max() < 1.2
    best = recipe.ceiling(readings, KNOWN)
    assert best["depth_si_rmse"] < 1e-3 and best["depth_within"] == best["miou"] == best["pck"] == best["figure"] == 1


def test_what_was_drawn_to_train_on_is_true_of_its_scene():
    posed = [free.sample(3, 0, noun="superhero", relation="alone", pose="standing")]
    assert np.array_equal(KNOWN[0].picture, posed[0].picture)
    truth = world.truth(posed[0].scene)
    assert np.abs(KNOWN[0].depth / 255 - truth.depth).max() < 0.003
    assert np.array_equal(hints.paint_classes(KNOWN[0].classes), world.hint(posed[0].scene, "segmentation"))
    assert np.nanmax(np.abs(KNOWN[0].joints - truth.skeletons[0])) == 0
    assert np.isnan(KNOWN[1].joints).all()


def test_a_mirrored_batch_is_what_the_mirrored_scene_would_be():
    there = batch()
    again = recipe.mirrored(recipe.mirrored(there))
    assert all(torch.allclose(there[name].double(), again[name].double(), equal_nan=True) for name in there)
    joints = recipe.mirrored(there)["joints"][0]
    right, left = (joints[figure.JOINTS.index(f"{side} shoulder"), 0] for side in ("right", "left"))
    assert right < left, "who faces us has its right shoulder on the left of the picture"
    assert torch.equal(recipe.mirrored(there)["picture"][0, :, 0], there["picture"][0, :, -1])


def test_loss_is_lowest_for_the_truth():
    target = batch()
    target["depth"] = target["depth"].float() / 255
    told, swapped = Told(KNOWN)(None), Told(KNOWN[1:] + KNOWN[:1])(None)
    fresh = Readers(8)(torch.zeros(4, 3, 128, 128))
    assert loss(told, target) < 0.5 * loss(fresh, target) and loss(told, target) < 0.5 * loss(swapped, target)
    parts = [told | {name: swapped[name]} for name in told]
    assert all(loss(part, target) > loss(told, target) for part in parts)
    nobody = target | {"joints": torch.full((4, 14, 2), torch.nan)}
    assert loss(fresh, nobody).isfinite()


def test_joints_are_read_between_cells():
    points = torch.tensor([[20.0, 30.0], [63.7, 101.2], [0.4, 127.5]])
    logits = torch.zeros(3, 64, 64, requires_grad=True)
    missed(logits, points).backward()
    wanted = 1 / 64**2 - 3 * logits.grad  # the gradient of a cross-entropy is what is said less what is wanted
    assert wanted.sum((1, 2)).tolist() == pytest.approx([1, 1, 1], abs=1e-4)
    assert (peaks(wanted.clamp_min(1e-9).log()[None])[0] - points).abs().max() < 1


def test_any_picture_has_hints():
    pictures = [each.picture for each in KNOWN]
    told = Told(KNOWN)
    for kind in world.HINTS:
        found = difflab.hints(pictures, kind, readers=told)
        assert [image.size for image in found] == [(128, 128)] * 4 and {image.mode for image in found} == {"RGB"}
    depth = np.asarray(difflab.hints(pictures, "depth", readers=told)[0])
    assert np.abs(depth[..., 0].astype(int) - KNOWN[0].depth).max() <= 1
    posed = [np.asarray(image).any() for image in difflab.hints(pictures, "pose", readers=told)]
    assert posed == [True, False, False, True]
    one, other = (np.asarray(difflab.hints(pictures, "sketch", seed, told)[1]) for seed in (0, 1))
    assert one.any() and not np.array_equal(one, other)


def test_canny_needs_no_network_and_no_size():
    picture = Image.fromarray(KNOWN[0].picture).resize((200, 90))
    (edges,) = difflab.hints(picture, "canny")
    assert edges.size == (200, 90) and np.array_equal(np.asarray(edges)[..., 0] > 0, world.canny(np.asarray(picture)))


@pytest.mark.parametrize(
    ("picture", "kind", "says"),
    [
        (np.zeros((64, 64, 3), np.uint8), "depth", "pictures of 128 x 128 pixels are read, not 64 x 64"),
        (np.zeros((128, 128, 3), np.float32), "pose", "not float32 array"),
        (Image.new("L", (128, 128)), "canny", "mode is 'L'"),
        (np.zeros((128, 128, 3), np.uint8), "normals", "no hint of kind 'normals'; there are depth, canny"),
        ([], "sketch", "there is no picture"),
    ],
)
def test_what_cannot_be_read(picture, kind, says):
    with pytest.raises(ValueError, match=says):
        difflab.hints(picture, kind)
    assert readers.FOLDER.name == "readers"


def test_trained_assembled_and_read(tmp_path):
    """From the command that trains to a picture that is read; what was damaged on the way is refused."""
    run("readers", out=tmp_path / "run", data="free", smoke=True, steps=2, device="cpu")
    folder = assemble(tmp_path / "readers", [tmp_path / "run"])
    assert {path.name for path in folder.iterdir()} == {"readers.safetensors", "card.json", "SHA256SUMS"}
    quality = json.loads((folder / "card.json").read_text())["quality"]
    assert set(quality) == {"depth_si_rmse", "depth_within", "miou", "pck", "figure"}
    net = readers.load_readers(folder)
    assert net.stem[0].out_channels == 8 and not net.training
    (reading,) = read(KNOWN[0].picture, net)
    assert reading.depth.shape == reading.classes.shape == (128, 128)
    (folder / "readers.safetensors").write_bytes(b"")
    readers.load_readers.cache_clear()
    with pytest.raises(ValueError, match="damaged"):
        readers.load_readers(folder)

"""Hints: each is true of its scene, looks as the field paints it, and is the same whenever it is drawn."""

import numpy as np
import pytest
from PIL import Image, ImageDraw

from difflab import world
from difflab.world import figure, free, hints
from difflab.world.edits import grow
from difflab.world.room import edge_f1

SERIES = 4246
SCENES = [free.sample(SERIES, i, style="plain").scene for i in range(12)]
FLYING = free.sample(SERIES, 0, noun="superhero", relation="alone", pose="flying", place="city").scene


@pytest.mark.parametrize("kind", world.HINTS)
def test_a_hint_is_a_picture_and_comes_again(kind):
    for scene in (*SCENES[:4], FLYING, world.Scene((), place="city", backdrop=3)):
        picture = world.hint(scene, kind)
        assert picture.shape == (128, 128, 3) and picture.dtype == np.uint8
        assert np.array_equal(picture, world.hint(scene, kind))


def test_kinds_are_told_apart_by_their_looks():
    depth, canny, sketch, pose, segmentation = (world.hint(FLYING, kind) for kind in world.HINTS)
    assert np.ptp(depth.astype(int), -1).max() == 0 and len(np.unique(depth)) > 20
    assert set(np.unique(canny)) == {0, 255}
    assert np.ptp(sketch.astype(int), -1).max() == 0 and (sketch == 0).mean() > 0.85
    assert (pose.sum(-1) == 0).mean() > 0.8 and np.ptp(pose.astype(int), -1).max() > 150
    assert {tuple(color) for color in segmentation.reshape(-1, 3)} <= {each.color for each in hints.CLASSES.values()}


def test_a_kind_that_there_is_not():
    with pytest.raises(ValueError, match="no hint of kind 'normals'; there are depth, canny, sketch, pose, segm"):
        world.hint(FLYING, "normals")


def test_near_is_bright():
    for scene in SCENES:
        masks, depth = world.truth(scene)[:2]
        painted = world.hint(scene, "depth")[..., 0]
        assert np.abs(painted / 255 - depth).max() < 0.003
        grounds = [thing.ground for thing in scene.named]
        if scene.relation in ("left of", "right of", "in front of", "behind") and scene.place != "space":
            near, far = np.argmax(grounds), np.argmin(grounds)
            assert painted[masks[near] > 0.9].mean() >= painted[masks[far] > 0.9].mean() - 1


def test_colors_lead_back_to_classes():
    for scene in SCENES:
        masks = world.truth(scene).masks
        labels = hints.read_classes(world.hint(scene, "segmentation"))
        assert np.array_equal(labels, hints.classes(scene, masks))
        noisy = world.hint(scene, "segmentation").astype(int) + np.random.default_rng(0).integers(-9, 10, (128, 128, 3))
        assert np.array_equal(hints.read_classes(noisy), labels)
        for thing, mask in zip(scene.things, masks, strict=True):
            name = list(hints.CLASSES)[labels[mask > 0.6][0]]
            assert thing.noun in hints.CLASSES[name].nouns and len(np.unique(labels[mask > 0.6])) == 1
        empty = masks.sum(0) < 0.4
        assert set(np.unique(labels[empty])) <= {hints.BACKDROP, hints.GROUND}
        assert (labels == hints.GROUND).any() == (scene.place != "space")


def test_every_noun_has_one_class():
    nouns = [noun for each in hints.CLASSES.values() for noun in each.nouns]
    assert sorted(nouns) == sorted([*world.NOUNS, *world.HATS])


# How colors look to people without one of the three cones, in linear light: Machado, Oliveira and Fernandes (2009)
SIGHT = {
    "usual": np.eye(3),
    "no long": [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
    "no medium": [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]],
    "no short": [[1.255528, -0.076749, -0.178779], [-0.078411, 0.930809, 0.147602], [0.004733, 0.691367, 0.303900]],
}


@pytest.mark.parametrize("sight", SIGHT)
def test_everybody_can_tell_the_colors_apart(sight):
    srgb = hints.PALETTE / 255
    linear = np.where(srgb <= 0.04045, srgb / 12.92, ((srgb + 0.055) / 1.055) ** 2.4) @ np.transpose(SIGHT[sight])
    xyz = linear.clip(0, 1) @ np.transpose(
        [[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]]
    )
    xyz = xyz / (0.9505, 1, 1.089)
    x, y, z = np.where(xyz > 0.008856, np.cbrt(xyz), 7.787 * xyz + 16 / 116).T
    lab = np.stack([116 * y - 16, 500 * (x - y), 200 * (y - z)], -1)
    away = np.linalg.norm(lab[:, None] - lab, axis=-1) + 1000 * np.eye(len(lab))
    assert away.min() > 25


def test_the_skeleton_is_where_the_figure_is():
    for i, pose in enumerate((*world.POSES, *world.HELD_OUT_POSES)):
        scene = free.sample(SERIES, i, noun="superhero", relation="alone", pose=pose, place="beach").scene
        truth = world.truth(scene)
        painted = world.hint(scene, "pose")
        assert (painted.sum(-1) > 0)[truth.masks[0] < 0.01].mean() < 0.02
        inside = [(x, y, c) for (x, y), c in zip(truth.skeletons[0], hints.OPENPOSE, strict=True) if min(x, y) > 1]
        for x, y, color in inside[2:]:  # head and neck are mostly covered by their neighbors
            patch = painted[int(y) - 1 : int(y) + 2, int(x) - 1 : int(x) + 2].reshape(-1, 3).astype(int)
            assert len(patch) == 0 or np.abs(patch - color).sum(1).min() < 160, (pose, x, y)


def test_joints_that_are_not_known_are_not_painted():
    joints = figure.skeleton(("standing", 0)) * 128
    whole = hints.paint_pose([joints])
    unknown = joints.copy()
    unknown[figure.JOINTS.index("left hand")] = np.nan
    part = hints.paint_pose([unknown])
    assert (part.sum(-1) > 0).sum() < (whole.sum(-1) > 0).sum() and not hints.paint_pose([]).any()
    assert not hints.paint_pose([np.full((14, 2), np.nan)]).any()


def disc(color=(220, 60, 40), size=96):
    image = Image.new("RGB", (size, size), (40, 90, 200))
    ImageDraw.Draw(image).ellipse([24, 24, 72, 72], fill=color)
    return np.array(image)


def test_canny_finds_a_circle_as_one_thin_closed_line():
    edges = world.canny(disc())
    y, x = np.nonzero(edges)
    assert np.abs(np.hypot(x - 48, y - 48) - 24).max() < 2
    angles = np.sort(np.arctan2(y - 48, x - 48))
    assert np.diff(angles).max() < 0.1 and 120 < len(x) < 180
    thick = edges[:-1, :-1] & edges[1:, :-1] & edges[:-1, 1:] & edges[1:, 1:]
    assert thick.sum() == 0


@pytest.mark.parametrize(
    ("picture", "low", "high", "says"),
    [
        (np.zeros((8, 8, 3)), 50, 110, r"uint8 array \(H, W, 3\), not float64 \(8, 8, 3\)"),
        (np.zeros((8, 8), np.uint8), 50, 110, r"not uint8 \(8, 8\)"),
        (np.zeros((8, 8, 3), np.uint8), 90, 80, "low=90 and high=80 must be 0 or above, and low not above high"),
        (np.zeros((8, 8, 3), np.uint8), -1, 80, "low=-1"),
    ],
)
def test_canny_says_what_it_takes(picture, low, high, says):
    with pytest.raises(ValueError, match=says):
        world.canny(picture, low, high)


def test_canny_keeps_a_weak_edge_only_where_it_goes_on_from_a_strong_one():
    ramp = np.full((40, 80), 100)
    ramp[20:] += np.linspace(12, 60, 80).astype(int)  # an edge that grows stronger to the right
    picture = np.repeat(ramp[..., None], 3, -1).astype(np.uint8)
    assert world.canny(picture, 25, 130).sum(1).max() > 75
    assert not world.canny(picture[:, :40], 25, 130).any()
    assert world.canny(picture[:, :40], 25, 60).any()


def test_canny_does_not_see_noise_and_smooth_light():
    rng = np.random.default_rng(0)
    assert not world.canny(np.full((64, 64, 3), 90, np.uint8)).any()
    assert not world.canny(np.tile(np.arange(64, dtype=np.uint8)[:, None, None], (1, 64, 3))).any()
    assert world.canny(rng.integers(95, 105, (64, 64, 3), dtype=np.uint8)).mean() < 0.01
    turned = np.ascontiguousarray(disc().transpose(1, 0, 2))
    assert edge_f1(world.canny(turned), world.canny(disc()).T, tolerance=1) == 1


def test_outlines_are_among_the_edges():
    """Where a thing ends before a plain sky, or on the ground, there is an edge, nearly everywhere."""
    found = []
    for scene in SCENES:
        edges = grow(world.hint(scene, "canny")[..., 0] > 0, 2)
        for mask in world.truth(scene).masks:
            solid = mask > 0.5
            border = solid & grow(~solid, 1)
            found.append(edges[border].mean())
    assert np.mean(found) > 0.85


def test_a_sketch_is_of_its_scene_and_of_a_hand():
    lines = [world.hint(scene, "sketch", seed)[..., 0] > 100 for scene in SCENES for seed in (0, 1)]
    assert all(not np.array_equal(a, b) for a, b in zip(lines[::2], lines[1::2], strict=True))
    own, others = [], []
    for i, scene in enumerate(SCENES):
        masks = world.truth(scene).masks > 0.5
        borders = np.logical_or.reduce([mask & grow(~mask, 1) for mask in masks])
        own += [edge_f1(borders, line, tolerance=4) for line in lines[2 * i : 2 * i + 2]]
        others += [edge_f1(borders, line, tolerance=4) for line in lines[2 * i - 2 : 2 * i]]
    assert np.mean(own) > 0.7 > 0.55 > np.mean(others)


def test_a_sketch_is_no_copy_of_the_edges():
    """Few lines, broken and astray."""
    for scene in SCENES:
        masks = world.truth(scene).masks > 0.5
        borders = np.logical_or.reduce([mask & grow(~mask, 1) for mask in masks])
        for seed in range(3):
            line = world.hint(scene, "sketch", seed)[..., 0] > 100
            assert 0.005 < line.mean() < 0.15
            assert edge_f1(borders, line, tolerance=0) < 0.75


def test_outlines_go_around():
    region = np.zeros((20, 30), bool)
    region[4:12, 5:20] = True
    region[6:9, 8:14] = False  # a hole
    region[14:18, 22:28] = True
    loops = hints.outlines(region)
    assert sorted(len(loop) for loop in loops) == [18, 20, 46]
    for loop in loops:
        steps = np.abs(np.diff(np.concatenate([loop, loop[:1]]), axis=0)).sum(1)
        assert (steps == 1).all()
    corner = np.zeros((10, 10), bool)
    corner[1:5, 1:5] = corner[5:9, 5:9] = True  # touch in a point
    assert sum(len(loop) for loop in hints.outlines(corner)) == 32
    assert hints.outlines(np.zeros((5, 5), bool)) == []


def test_things_that_hide_others_are_drawn_once():
    left, right = np.zeros((2, 64, 64), bool)
    left[10:54, 8:32] = right[10:54, 32:56] = True
    nothing = np.zeros((64, 64), bool)
    both, alone = (hints.sketch(regions, nothing, 5)[..., 0].astype(float).sum() for regions in ([left, right], [left]))
    assert both < 1.9 * alone


def test_a_sketch_does_not_go_along_the_frame():
    region = np.zeros((64, 64), bool)
    region[20:44, 40:] = True
    for seed in range(5):
        assert (hints.sketch([region], np.zeros((64, 64), bool), seed)[24:40, -3:, 0] > 100).sum() < 12

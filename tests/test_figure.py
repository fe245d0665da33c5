"""The superhero: a skeleton in OpenPose's order, poses that captions name and the world has room for, some held out."""

from dataclasses import replace

import numpy as np
import pytest

from difflab import world
from difflab.world import figure, free, layout, words

SERIES = 4245
EVERY_POSE = (*world.POSES, *world.HELD_OUT_POSES)
ALONE = {"relation": "alone", "noun": "superhero", "style": "plain"}


def test_joints_are_in_the_order_of_openpose():
    """Nose, neck, right arm, left arm, right leg, left leg; its limbs in the order of their colors."""
    sides = [name.split()[0] for name in figure.JOINTS[2:]]
    parts = [name.split()[1] for name in figure.JOINTS[2:]]
    assert sides == ["right"] * 3 + ["left"] * 3 + ["right"] * 3 + ["left"] * 3
    assert parts == ["shoulder", "elbow", "hand"] * 2 + ["hip", "knee", "foot"] * 2
    ours = [(a + 1, b + 1) for a, b in figure.BONES]
    theirs = [(2, 3), (2, 6), (3, 4), (4, 5), (6, 7), (7, 8), (2, 9), (9, 10), (10, 11), (2, 12), (12, 13), (13, 14)]
    assert ours == [*theirs, (2, 1)]


@pytest.mark.parametrize("pose", EVERY_POSE)
def test_every_pose_stands_on_its_skeleton(pose):
    for variant in range(figure.variants(pose)):
        joints, sprite = figure.skeleton((pose, variant)), figure.draw((pose, variant))
        height, width = sprite.shape[:2]
        assert max(height, width) == 128 and joints.shape == (14, 2) and 0 < joints.min() and joints.max() < 1
        x, y = (joints * (width, height)).astype(int).T
        assert (sprite[y, x, 3] > 0.9).all()
        solid = sprite[..., 3] > 0.5
        margins = [np.argmax(solid.any(axis)[::step]) for axis in (0, 1) for step in (1, -1)]
        assert max(margins) <= 5, "the sprite ends where the figure does"


def test_a_head_is_not_cut():
    for pose in EVERY_POSE:
        sprite = figure.draw((pose, 0))
        assert (sprite[0, :, 3] > 0.9).sum() < 20, "hair, cut off, would fill the first row"


def test_right_and_left_are_as_they_are_seen():
    """Who faces us has its right arm on the left of the picture, mirrored or not."""
    scene = next(
        s for i in range(20) if not (s := free.sample(SERIES, i, **ALONE, pose="cheering").scene).things[0].tilt
    )
    for mirror in (False, True):
        (thing,) = scene.things[:1]
        (joints, *_) = world.truth(replace(scene, things=(replace(thing, mirror=mirror),))).skeletons
        sides = {side: joints[[n.startswith(side) for n in figure.JOINTS], 0] for side in ("right", "left")}
        assert (sides["right"] < sides["left"]).all()


def test_a_mirrored_skeleton_lies_on_the_mirrored_figure():
    scene = free.sample(SERIES, 3, **ALONE, pose="waving", place="meadow").scene
    for mirror in (False, True):
        truth = world.truth(replace(scene, things=(replace(scene.things[0], mirror=mirror),)))
        joints = truth.skeletons[0]
        x, y = joints.astype(int).T
        assert (truth.masks[0][y, x] > 0.5).all()
        raised = joints[figure.JOINTS.index(f"{'right' if mirror else 'left'} hand")]
        assert raised[1] < joints[figure.JOINTS.index("neck"), 1]


@pytest.mark.parametrize("pose", EVERY_POSE)
def test_a_pose_comes_when_called(pose):
    for i in range(12):
        scene = free.sample(SERIES, i, **ALONE, pose=pose).scene
        thing = scene.things[0]
        assert thing.pose[0] == pose and layout.fits(scene) and pose in scene.caption()
        assert world.is_held_out(scene) == (pose in world.HELD_OUT_POSES)
        if scene.place != "space":
            assert (thing.lift > 0.03) == (pose in ("flying", "jumping", "diving"))


def test_poses_are_drawn_alike_and_held_out_ones_never():
    drawn = [free.layout.describe(np.random.default_rng([SERIES, i]), "superhero")["pose"][0] for i in range(1800)]
    counts = {pose: drawn.count(pose) for pose in set(drawn)}
    assert set(counts) == set(world.POSES) and set(world.POSES).isdisjoint(world.HELD_OUT_POSES)
    assert min(counts.values()) > 140 and max(counts.values()) < 260


def test_a_superhero_flies_level_over_the_city_and_not_in_rooms():
    scenes = [free.sample(SERIES, i, **ALONE, pose="flying", place="city").scene for i in range(40)]
    flat = [figure.draw(scene.things[0].pose).shape[:2] for scene in scenes]
    assert sum(width > 1.5 * height for height, width in flat) > 10
    over = [scene for scene in scenes if len(scene.things) == 1]
    assert {scene.caption() for scene in over if scene.time == "day"} == {"a flying superhero over the city by day"}
    assert any("superhero flying over the city" in s.caption(np.random.default_rng(i)) for i, s in enumerate(over))
    rng = np.random.default_rng(1)
    assert all(layout.describe(rng, "superhero", place="room")["pose"][0] != "flying" for _ in range(60))


def test_only_who_flies_is_over_a_place():
    for pose in ("standing", "flying"):
        scene = free.sample(SERIES, 5, **ALONE, pose=pose, place="forest").scene
        scene = replace(scene, things=scene.things[:1])
        assert ("over the forest" in words.place_phrases(scene)) == (pose == "flying")


def test_an_unknown_pose_is_refused():
    said = "no pose 'sleeping' in the tiny world; it has standing, waving"
    with pytest.raises(ValueError, match=said):
        world.Thing("superhero", pose=("sleeping", 0))
    with pytest.raises(ValueError, match=said):
        free.sample(0, 0, noun="superhero", pose="sleeping")


def test_any_pose_is_another_each_time_and_has_no_word():
    skeletons = [figure.skeleton(("any", variant)) for variant in range(50)]
    assert all(not np.allclose(a, b, atol=0.02) for a, b in zip(skeletons, skeletons[1:], strict=False))
    assert np.array_equal(skeletons[7], figure.skeleton(("any", 7)))
    for i in range(10):
        sample = free.sample(SERIES, i, **ALONE, pose="any")
        assert sample.scene.things[0].pose[0] == "any" and " any" not in f" {sample.caption} {sample.scene.caption()}"
        masks, (joints, *_) = world.truth(sample.scene).masks, world.truth(sample.scene).skeletons
        x, y = joints.astype(int).clip(0, 127).T
        assert (masks.sum(0)[y, x] > 0.5).mean() > 0.9
    assert "any" not in (*world.POSES, *world.HELD_OUT_POSES)

"""The freer world: as true to its data as the first, and with room in it."""

import re
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from difflab import world
from difflab.world import first, free, layout, places, words
from difflab.world.nouns import HATS, NOUNS
from difflab.world.room import edge_f1, room, variance_left

SERIES = 4244
NOUN = "|".join(sorted([*NOUNS, *HATS], key=len, reverse=True))
COLOR = "|".join(world.COLORS)


def middle(mask):
    """The middle of a mask, as a fraction of the picture's width."""
    return np.average(np.arange(128) + 0.5, weights=mask.sum(0)) / 128


def longest(mask):
    """The longest side of what is seen of a thing, as a fraction of the picture."""
    rows, columns = np.nonzero((mask > 0.5).any(1))[0], np.nonzero((mask > 0.5).any(0))[0]
    return max(np.ptp(rows), np.ptp(columns)) / 128


def alone(scene, i):
    """How much of thing i would be seen without the others."""
    return world.truth(replace(scene, things=(scene.things[i],), relation="alone")).masks[0].sum()


def test_same_seed_same_picture_whatever_came_before():
    one = free.sample(SERIES, 3)
    free.samples(5, seed=1)
    again = free.sample(SERIES, 3)
    assert one.caption == again.caption and one.scene == again.scene and np.array_equal(one.picture, again.picture)
    assert again.scene == world.sample(SERIES, 3, layout=layout).scene != world.sample(SERIES, 3).scene


@settings(max_examples=80, deadline=None)
@given(st.integers(0, 10**9))
def test_a_scene_keeps_its_promises(index):
    picture, _, scene = free.sample(SERIES, index)
    assert picture.shape == (128, 128, 3) and picture.dtype == np.uint8 and picture.std() > 5
    assert not world.is_held_out(scene) and layout.fits(scene)
    assert 1 <= len(scene.things) <= 3 and len({thing.noun for thing in scene.things}) == len(scene.things)
    masks, depth, edges, skeletons = world.truth(scene)
    assert masks.shape == (len(scene.things), 128, 128) and masks.min() >= 0 and masks.sum(0).max() <= 1 + 1e-6
    assert depth.shape == edges.shape == (128, 128) and 0 <= depth.min() <= depth.max() <= 1
    for i, thing in enumerate(scene.things):
        assert masks[i].sum() > 0.45 * alone(scene, i) and masks[i].sum() > 120, "a thing can hardly be seen"
        assert thing.noun in HATS or NOUNS[thing.noun].least - 0.05 <= thing.size <= 0.8
        assert (skeletons[i] is None) == (thing.pose is None)


@settings(max_examples=200, deadline=None)
@given(st.integers(0, 10**9))
def test_no_wording_contradicts_the_picture(index):
    """Read a caption by rules of its own, and ask the picture's truth for each of its words."""
    scene = free.sample(SERIES, index % 10_000).scene
    text = scene.caption(np.random.default_rng(index))
    truth = world.truth(scene)
    things = {thing.noun: (thing, truth.masks[i]) for i, thing in enumerate(scene.things)}
    said = re.findall(rf"\b({NOUN})\b", text)
    assert said and set(said) <= set(things), text
    for color, noun in re.findall(rf"\b({COLOR}) ({NOUN})\b", text):
        assert things[noun][0].color == color, text
    for pose in world.POSES:
        assert pose not in text or any(thing.pose and thing.pose[0] == pose for thing in scene.things), text
    for place, phrases in words.PLACE_PHRASES.items():
        assert place == scene.place or not any(text.endswith(p) or f"{p} " in text for p in phrases), text
    for time, phrases in words.TIME_PHRASES.items():
        assert time == scene.time or not any(phrase in text for phrase in phrases), text
    for noun, side in re.findall(rf"\b({NOUN}) to the (left|right) of", text):
        other = re.search(rf"{noun} to the {side} of .*?\b({NOUN})\b", text).group(1)
        assert (middle(things[noun][1]) < middle(things[other][1])) == (side == "left"), text
    for noun, side in re.findall(rf"\b({NOUN}) on the (left|right)\b", text):
        assert (middle(things[noun][1]) < 0.5) == (side == "left"), text
    for size, noun in re.findall(rf"\b(small|large) (?:(?:{COLOR}|{'|'.join(world.POSES)}) )*({NOUN})\b", text):
        assert longest(things[noun][1]) < 0.42 if size == "small" else longest(things[noun][1]) > 0.4, text
    for noun, where, other in re.findall(rf"\b({NOUN})[a-z ]* (in front of|behind) .*?\b({NOUN})\b", text):
        near, far = (noun, other) if where == "in front of" else (other, noun)
        assert things[near][0].ground > things[far][0].ground, text
        hidden = 1 - things[far][1].sum() / alone(scene, scene.things.index(things[far][0]))
        assert hidden > 0.03, text
    foot = things[said[0]][0].ground
    if "far away" in text or "in the distance" in text or "in the foreground" in text:
        line = places.horizon(scene.place, scene.backdrop)
        assert scene.place != "space" and foot > line


@settings(max_examples=30, deadline=None)
@given(st.integers(0, 10**9), st.sampled_from(["in front of", "behind"]))
def test_what_is_in_front_hides_a_part_of_what_is_behind(index, relation):
    scene = free.sample(SERIES, index, relation=relation).scene
    masks, depth = world.truth(scene)[:2]
    near, far = (0, 1) if relation == "in front of" else (1, 0)
    pair = replace(scene, things=scene.things[:2])
    assert world.truth(pair).masks[far].sum() < 0.95 * alone(scene, far)
    assert depth[masks[near] > 0.9].mean() > depth[masks[far] > 0.9].mean() or scene.place == "space"


def test_far_is_small_and_high():
    things = [
        thing for i in range(400) for thing in free.sample(SERIES, i, relation="alone", place="beach").scene.named
    ]
    things = [thing for thing in things if NOUNS[thing.noun].scale == 1 and NOUNS[thing.noun].least == 0.3]
    grounds, sizes = (np.array([getattr(thing, name) for thing in things]) for name in ("ground", "size"))
    assert np.corrcoef(grounds, sizes)[0, 1] > 0.4
    assert sizes.min() < 0.36 and sizes.max() > 0.7
    assert np.histogram([thing.x for thing in things], bins=4, range=(0.15, 0.85))[0].min() > 10, (
        "somewhere nobody stands"
    )


@pytest.mark.parametrize("place", [place for place in world.PLACES if place not in ("space", "room")])
def test_a_place_is_the_same_at_another_time(place):
    """The same edges of the ground, in another light."""
    day, night = (places.backdrop(place, time, 5) for time in ("day", "night"))
    assert day.shape == (128, 128, 3) and 0 <= day.min() and day.max() <= 1
    assert day[100:].mean() > night[100:].mean() + 0.1
    line = int(128 * places.horizon(place, 5))
    assert 20 < line < 96 and not np.array_equal(day, places.backdrop(place, "day", 6))


def test_every_noun_has_its_looks_in_its_colors():
    rng, seen = np.random.default_rng(0), {}
    for noun in NOUNS:
        for _ in range(40):
            look = layout.describe(rng, noun)
            drawn = NOUNS[noun].looks[look["look"]]
            assert look["color"] is None or drawn.hue is not None or drawn.color == look["color"]
            seen.setdefault(noun, set()).add(look["look"])
        assert seen[noun] == set(range(len(NOUNS[noun].looks))), noun
    assert sum(len(looks) > 1 for looks in seen.values()) > 15


def test_an_unknown_look_is_refused():
    with pytest.raises(ValueError, match="no look 9 of a cat; it has 3, counted from 0"):
        world.Thing("cat", look=9)


def test_a_tilted_superhero_stands_on_its_skeleton():
    given = {"relation": "alone", "noun": "superhero", "place": "space", "style": "plain"}
    scenes = [scene for i in range(30) if (scene := free.sample(SERIES, i, **given).scene).things[0].tilt]
    assert len(scenes) > 10
    for scene in scenes[:10]:
        mask, (joints, *_) = world.truth(scene).masks[0], world.truth(scene).skeletons
        x, y = joints.round().astype(int).T
        inside = (x >= 0) & (x < 128) & (y >= 0) & (y < 128)
        assert (mask[y[inside], x[inside]] > 0.5).mean() >= 0.75


def test_captions_leave_out_what_the_table_says():
    """Counted on scenes whose full caption has a part."""
    rng = np.random.default_rng(3)
    scenes = [layout.random_scene(rng, style="plain") for _ in range(3000)]
    time, place, color = [], [], []
    for scene in scenes:
        text = scene.caption(rng)
        if scene.place != "space":
            time.append(not any(phrase in text for phrase in words.TIME_PHRASES[scene.time]))
        place.append(not any(phrase in text for phrase in words.place_phrases(scene)))
        if scene.relation == "alone" and scene.things[0].color and len(scene.things) == 1:
            color.append(scene.things[0].color not in text)
    for name, found in (("time", time), ("place", place), ("color", color)):
        spread = 4 * np.sqrt(0.25 / len(found))
        assert abs(np.mean(found) - words.LEFT_OUT[name]) < spread, (name, np.mean(found))


def test_the_full_caption_says_it_all():
    for i in range(100):
        scene = free.sample(SERIES, i, style="plain").scene
        text = scene.caption()
        assert all(thing.noun in text and (thing.color or "") in text for thing in scene.named)
        assert any(phrase in text for phrase in words.place_phrases(scene))
        assert scene.place == "space" or any(phrase in text for phrase in words.TIME_PHRASES[scene.time])


@settings(max_examples=80, deadline=None)
@given(st.integers(0, 10**9))
def test_edits_and_masks_work_in_free_layouts(index):
    edit = free.edit(SERIES, index)
    assert edit == free.edit(SERIES, index) and edit.before != edit.after
    assert not world.is_held_out(edit.before) and not world.is_held_out(edit.after)
    assert layout.fits(edit.after), edit
    changed = world.changed(edit)
    before, after = world.render(edit.before), world.render(edit.after)
    assert changed.any() and np.abs(before.astype(int) - after)[~changed].max(initial=0) <= 8
    mask = world.random_mask(np.random.default_rng(index), edit.before)
    assert mask.shape == (128, 128) and 0.02 < mask.mean() < 0.95


@pytest.mark.parametrize("kind", world.EDITS)
def test_edits_say_what_changes(kind):
    for edit in free.edits(20, SERIES, kind=kind):
        names = [{thing.noun for thing in scene.things} for scene in (edit.before, edit.after)]
        new, gone = names[1] - names[0], names[0] - names[1]
        for i in range(5):
            text = world.reworded(edit, np.random.default_rng(i))
            assert all(noun in text for noun in new | gone), (text, new, gone)
            assert kind != "time" or edit.after.time in text
            side = re.search(r"to the (left|right) of the (.*)$", text)
            if side and kind == "add":
                (added,) = (thing for thing in edit.after.things if thing not in edit.before.things)
                other = next(thing for thing in edit.after.things if thing.noun == side.group(2))
                assert (added.x < other.x) == (side.group(1) == "left"), text


def test_edges_that_lie_close_are_the_same():
    line, near, far = np.zeros((3, 32, 32), bool)
    line[10], near[12], far[20] = True, True, True
    assert edge_f1(line, line) == edge_f1(line, near) == 1 and edge_f1(line, far) == 0
    assert edge_f1(line, near, tolerance=1) == 0 and edge_f1(line, line | far) == pytest.approx(2 / 3)
    assert edge_f1(np.zeros_like(line), np.zeros_like(line)) == 1 and edge_f1(line, np.zeros_like(line)) == 0


def test_variance_left_is_that_within_groups():
    rng = np.random.default_rng(0)
    between, within = rng.normal(size=(200, 1, 3)), rng.normal(size=(200, 10, 3))
    assert variance_left(np.repeat(between, 10, 1)) == pytest.approx(0)
    assert variance_left(within) > 0.98
    assert variance_left(between + within) == pytest.approx(0.5, abs=0.05)
    with pytest.raises(ValueError, match="2 or more of each"):
        variance_left(np.zeros((5, 1, 3)))


def test_there_is_room():
    new, old = (room(drawn, captions=60, each=4, seed=2) for drawn in (layout, first))
    assert new["edges"] < 0.56 < 0.6 < old["edges"]
    assert new["pixels"] > 0.4 > 0.35 > old["pixels"]
    assert new["pixels, ordinary"] > new["pixels"] + 0.1 and new["pixels, ordinary"] > old["pixels, ordinary"]
    assert set(room(layout, captions=2, each=2, encode=lambda pictures: pictures[:, ::8, ::8])) >= {"latents"}


def test_training_can_be_given_the_freer_world():
    from difflab.train import data

    training, unseen = data.open_data("free", seed=3)
    assert training.name != data.open_data(seed=3)[0].name and training.name != unseen.name
    sample = free.sample(3, 5)
    picture, caption = training[5]
    assert np.array_equal(picture, sample.picture) and caption == sample.caption
    assert training.captions(5, 4)[0] == caption and len(training.captions(5, 4)) == 4


def test_edits_and_holes_to_train_on_are_free_too():
    from difflab.train.recipes import inpaint, pix2pix

    edits, _ = pix2pix.TASK.open_data("free", seed=3)
    edit = free.edit(3, 5)
    assert np.array_equal(edits[5][0], world.render(edit.after)) and edits[5][1] == edit.instruction
    assert np.array_equal(edits.seen(5), world.render(edit.before)) and edits.captions(5, 2)[0] == edit.instruction
    holes, _ = inpaint.TASK.open_data("free", seed=3)
    scenes = [holes.scene(i) for i in range(40)]
    assert all(isinstance(scene.backdrop, int) for scene in scenes) and any(not scene.things for scene in scenes)
    assert {edits.name, holes.name}.isdisjoint({task.TASK.open_data(seed=3)[0].name for task in (inpaint, pix2pix)})

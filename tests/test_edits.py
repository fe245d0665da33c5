"""Edits and masks of the tiny world: true to their words, determined by their seeds."""

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st
from PIL import Image

from difflab import world
from difflab.judge import obeyed
from difflab.world.edits import MASKS

SERIES = 4243


@settings(max_examples=80, deadline=None)
@given(st.integers(0, 10**9))
def test_an_edit_keeps_its_promises(index):
    edit = world.edit(SERIES, index)
    assert edit == world.edit(SERIES, index) and edit.before != edit.after
    assert not world.is_held_out(edit.before) and not world.is_held_out(edit.after)
    assert edit.kind in world.EDITS and 3 <= len(edit.instruction.split()) <= 14
    mask = world.changed(edit)
    before, after = world.render(edit.before), world.render(edit.after)
    assert mask.shape == (128, 128) and mask.any()
    assert np.abs(before.astype(int) - after)[~mask].max(initial=0) <= 8


@pytest.mark.parametrize("kind", world.EDITS)
def test_the_words_say_what_changes(kind):
    for edit in world.edits(30, SERIES, kind=kind):
        words = {edit.instruction, *(world.reworded(edit, np.random.default_rng(i)) for i in range(20))}
        assert len(words) > 1, "one wording only"
        names = [{thing.noun for thing in scene.things} for scene in (edit.before, edit.after)]
        new, gone = names[1] - names[0], names[0] - names[1]
        for text in words:
            if kind in ("swap", "add"):
                assert all(noun in text for noun in new), (text, new)
            if kind in ("swap", "remove"):
                assert all(noun in text for noun in gone), (text, gone)
            if kind == "recolor":
                assert any(thing.color and thing.color in text for thing in edit.after.things)
            if kind == "time":
                assert edit.after.time in text
            if kind == "style":
                assert "pencil sketch" in text


def test_local_edits_leave_the_rest_alone():
    for kind in ("swap", "recolor", "add", "remove"):
        shares = [world.changed(edit).mean() for edit in world.edits(40, SERIES, kind=kind)]
        assert 0.02 < np.mean(shares) < 0.5 and max(shares) < 0.9, kind


@pytest.mark.parametrize("kind", world.EDITS)
def test_the_oracle_sees_whether_an_edit_was_made(kind):
    edits = world.edits(30, SERIES, kind=kind)
    done, undone = (
        obeyed([Image.fromarray(world.render(scene)) for scene in scenes], edits)
        for scenes in zip(*((edit.after, edit.before) for edit in edits), strict=True)
    )
    assert sum(done) >= 25 and sum(undone) <= 2


def test_no_such_edit():
    with pytest.raises(ValueError, match="no edit of kind 'rotate' in the tiny world; it has time, place"):
        world.edit(0, 0, kind="rotate")


def test_a_place_with_nothing_in_it():
    empty = world.Scene((), place="beach", time="night")
    assert empty.caption() == "on the beach at night"
    assert world.render(empty).std() > 5 and world.truth(empty).masks.shape == (0, 128, 128)
    for i in range(50):
        words = world.Scene((), place="beach", time="sunset").caption(np.random.default_rng(i))
        assert "beach" in words and words == words.strip() and "  " not in words
    with pytest.raises(ValueError, match="0 things cannot stand 'on'"):
        world.Scene((), relation="on")


@settings(max_examples=80, deadline=None)
@given(st.integers(0, 10**9))
def test_masks_are_neither_empty_nor_full(index):
    scene = world.sample(SERIES, index % 1000).scene
    mask = world.random_mask(np.random.default_rng(index), scene)
    assert mask.shape == (128, 128) and mask.dtype == bool and 0.02 < mask.mean() < 0.95
    assert np.array_equal(mask, world.random_mask(np.random.default_rng(index), scene))
    assert world.random_mask(np.random.default_rng(index), world.Scene(())).any()


def test_a_mask_around_a_thing_covers_it():
    for index in range(20):
        scene = world.sample(SERIES, index, relation="alone").scene
        thing = world.truth(scene).masks[0] > 0.5
        for kind in ("outline", "box"):
            assert MASKS[kind](np.random.default_rng(index), scene)[thing].all()

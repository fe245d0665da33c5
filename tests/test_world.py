"""The tiny world: determined by its seed, true to its data, and silent about what is held out."""

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from difflab import world
from difflab.world import figure
from difflab.world.card import card, count

SERIES = 4242
GOLDEN = (
    "f7f7f7d5d5d5dbdbdbf2f2f2f5f5f5e7e7e7eeeeeef2f2f2ebebebeeeeeed0d0d0dadadad7d7d7cfcfcfdededee3e3e3"
    "995c7aa56273af595f995b7fa07775d28e7bc25d619f6e6c62634ba38c8baf9497736f5b68733374744b6c6d4372783d"
    "a15174b96978bf7b70b87070e4815dcf9784ad856cec9b5fec8247efa591c57e6cec8247ee884ad47653d37651ef884b"
)


def test_same_seed_same_picture_whatever_came_before():
    first = world.sample(SERIES, 3)
    world.samples(5, seed=1)
    again = world.sample(SERIES, 3)
    assert first.caption == again.caption and first.scene == again.scene
    assert np.array_equal(first.picture, again.picture)
    assert not np.array_equal(first.picture, world.sample(SERIES, 4).picture)


def test_pictures_are_the_same_on_every_machine():
    """Means over 32 x 32 blocks of the first three pictures of series 0, within one of 255 levels."""
    golden = np.frombuffer(bytes.fromhex(GOLDEN), np.uint8).reshape(3, 4, 4, 3)
    blocks = np.stack([world.sample(0, i).picture.reshape(4, 32, 4, 32, 3).mean((1, 3)) for i in range(3)])
    assert np.abs(blocks - golden).max() <= 1


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 10**9))
def test_a_scene_keeps_its_promises(index):
    picture, caption, scene = world.sample(SERIES, index)
    assert picture.shape == (128, 128, 3) and picture.dtype == np.uint8 and picture.std() > 5
    assert not world.is_held_out(scene)
    for thing in scene.things:
        assert thing.noun in caption and 0 < thing.size < 0.85
        assert thing.color is None or thing.color in caption
    masks, depth, edges, skeletons = world.truth(scene)
    assert masks.shape == (len(scene.things), 128, 128) and masks.min() >= 0 and masks.sum(0).max() <= 1 + 1e-6
    assert all(mask.sum() > 60 for mask in masks), "a thing cannot be seen"
    assert depth.shape == edges.shape == (128, 128)
    assert 0 <= depth.min() <= depth.max() <= 1 and 0 <= edges.min() <= edges.max() <= 1
    assert len(skeletons) == len(scene.things)


@settings(max_examples=40, deadline=None)
@given(st.integers(0, 10**9))
def test_left_is_left_in_data_caption_and_picture(index):
    scene = world.sample(SERIES, index, relation="left of").scene
    first, second = (np.average(np.arange(128), weights=mask.sum(0)) for mask in world.truth(scene).masks)
    assert first < second
    words = scene.caption()
    assert words.index(scene.things[0].noun) < words.index(" to the left of ") < words.rindex(scene.things[1].noun)


def test_masks_are_where_the_picture_changes():
    scene = world.sample(SERIES, 11, relation="alone", place="meadow", time="day", style="plain").scene
    bare = world.Scene((world.Thing("apple", x=-5.0),), place=scene.place, time=scene.time, backdrop=scene.backdrop)
    changed = np.abs(world.render(scene).astype(int) - world.render(bare).astype(int)).sum(-1) > 60
    mask = world.truth(scene).masks[0] > 0.5
    assert (changed & mask).sum() / mask.sum() > 0.9


def test_rider_hides_its_seat_and_hat_sits_on_top():
    riding = world.sample(SERIES, 1, relation="on", noun="panda", other="car").scene
    rider, seat = world.truth(riding).masks
    rows = np.arange(128)
    assert np.average(rows, weights=rider.sum(1)) < np.average(rows, weights=seat.sum(1))
    crowned = world.sample(SERIES, 2, relation="wearing", noun="lion", other="crown").scene
    animal, hat = world.truth(crowned).masks
    assert np.average(rows, weights=hat.sum(1)) < np.average(rows, weights=animal.sum(1))


@pytest.mark.parametrize("pose", world.POSES[:4])  # those of the first world
def test_the_superhero_stands_on_its_skeleton(pose):
    given = {"relation": "alone", "noun": "superhero", "place": "meadow", "style": "plain"}
    scenes = (world.sample(SERIES, i, **given).scene for i in range(200))
    scene = next(scene for scene in scenes if scene.things[0].pose[0] == pose)
    mask, (joints,) = world.truth(scene).masks[0], world.truth(scene).skeletons
    assert joints.shape == (len(figure.JOINTS), 2) and pose in scene.caption()
    x, y = joints.round().astype(int).T
    assert (mask[y.clip(0, 127), x.clip(0, 127)] > 0.5).mean() >= 0.9


def test_depth_rises_toward_the_viewer():
    scene = world.sample(SERIES, 5, relation="alone", noun="cow", place="meadow").scene
    masks, depth, _, _ = world.truth(scene)
    ground = masks[0] < 0.01
    assert depth[:10][ground[:10]].mean() < 0.05 < depth[-10:][ground[-10:]].mean()
    assert depth[masks[0] > 0.9].mean() > depth[:30].mean()


@pytest.mark.parametrize("noun", world.HELD_OUT_NOUNS)
def test_held_out_nouns_come_when_called(noun):
    sample = world.sample(SERIES, 0, noun=noun, relation="alone")
    assert noun in sample.caption and world.is_held_out(sample.scene)


def test_held_out_never_comes_by_chance_and_the_base_is_balanced():
    counts, distinct = count(3000)  # raises when a held-out scene turns up
    assert set(counts["noun"]) == {*world.BASE_NOUNS, *world.HATS}
    assert min(counts["place"].values()) > 0.7 * 3000 / len(world.PLACES)
    assert sum(counts["relation"][side] for side in ("left of", "right of")) > 0.28 * 3000
    assert distinct > 2000


@pytest.mark.parametrize("style", world.STYLES)
def test_styles_change_the_look(style):
    plain = world.sample(SERIES, 8, relation="alone", noun="fox", place="beach", style="plain")
    styled = world.sample(SERIES, 8, relation="alone", noun="fox", place="beach", style=style)
    assert (style == "plain") == np.array_equal(plain.picture, styled.picture)
    assert style == "plain" or style in styled.caption


def test_dataset_feeds_a_torch_loader():
    import torch

    pictures, captions = next(iter(torch.utils.data.DataLoader(world.Dataset(8, seed=3), batch_size=4)))
    assert pictures.shape == (4, 128, 128, 3) and pictures.dtype == torch.uint8 and len(captions) == 4
    with pytest.raises(IndexError, match="index 8"):
        world.Dataset(8)[8]


@pytest.mark.parametrize(
    "make, message",
    [
        (lambda: world.Thing("dragon"), "no noun 'dragon'"),
        (lambda: world.Thing("car", color="white"), "cannot be 'white'"),
        (lambda: world.Scene((world.Thing("cat"),), place="moon"), "no place 'moon'"),
        (lambda: world.Scene((world.Thing("cat"),), time="noon"), "no time 'noon'"),
        (lambda: world.Scene((world.Thing("cat"),), relation="on"), "alone takes one"),
    ],
)
def test_what_is_not_in_the_world_is_named(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_the_card_is_counted():
    page = card(500)
    assert "penguin" in page and "500" in page and "Microsoft" in page and "at most 2\nthings" in page
    assert "at most 3\nthings" in card(500, layout=world.layout)

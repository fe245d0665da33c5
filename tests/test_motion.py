"""Films of the world: drawn from their seed alone, true to their captions, and flow that leads to the next frame."""

import re
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings, strategies as st

from difflab import world
from difflab.world import free, motion, moves, verbs, words
from difflab.world.motion import Film, FilmSample
from difflab.world.mover import Mover, mover
from difflab.world.nouns import NOUNS

SERIES = 4245
NOUN = "|".join(sorted(NOUNS, key=len, reverse=True))
MOVING = [each for each in motion.MOTIONS if each not in moves.STANDING]
GOLDEN = (
    "6c98b9688eaf5992bd5292c2af7e56d08e4a958a888f9899c98446e3a865ae8b698e89807049529d686c695453645d57"
    "579bd66da5d05c9dd5579bd697b2d3d9727db69c9f8bbbdccc7b6f904964da79507aa07d757847bc78566d6f3b3c7139"
    "14173012162e0708190708191f383d3c6e5a2f504c1926352a47398e7d5f4e674d1f3c2f163323153221163321163321"
)


def middles(truth):
    """Where the middle of the first thing's box is, frame by frame: (F, 2), x and y as fractions of the picture."""
    return (truth.boxes[:, 0, :2] + truth.boxes[:, 0, 2:]) / 2


def read_ahead(frames, flow):
    """Frame i + 1 read where the flow of frame i leads, by this test's own bilinear reading: (F - 1, 128, 128, 3)."""
    rows, columns = np.mgrid[0:128, 0:128].astype(float)
    pairs = []
    for after, (dx, dy) in zip(frames[1:].astype(float), flow, strict=True):
        x, y = np.clip(columns + dx, 0, 127), np.clip(rows + dy, 0, 127)
        left, top = np.minimum(x.astype(int), 126), np.minimum(y.astype(int), 126)
        x, y = (x - left)[..., None], (y - top)[..., None]
        above = after[top, left] * (1 - x) + after[top, left + 1] * x
        pairs.append(above * (1 - y) + (after[top + 1, left] * (1 - x) + after[top + 1, left + 1] * x) * y)
    return np.stack(pairs)


def test_same_seed_same_film_whatever_came_before():
    one = motion.sample(SERIES, 3)
    motion.sample(1, 0), free.sample(1, 0)
    again = motion.sample(SERIES, 3)
    assert one.caption == again.caption and one.film == again.film and np.array_equal(one.frames, again.frames)
    assert motion.sample(SERIES, 4).film != one.film


def test_films_are_the_same_on_every_machine():
    """Means over 32 x 32 blocks of the last frames of three films, within one of 255 levels."""
    golden = np.frombuffer(bytes.fromhex(GOLDEN), np.uint8).reshape(3, 4, 4, 3)
    assert np.abs(blocks() - golden).max() <= 1


def blocks():
    kinds = ("jumping", "spinning", "panning right")
    frames = [motion.sample(0, i, motion=kind).frames[-1] for i, kind in enumerate(kinds)]
    return np.stack([frame.reshape(4, 32, 4, 32, 3).mean((1, 3)) for frame in frames])


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 10**9))
def test_a_film_in_which_nothing_moves_is_its_picture(index):
    scene = free.sample(SERIES, index, relation="alone").scene
    frames, picture = motion.render(Film(scene, "still")), world.render(scene)
    assert frames.shape == (8, 128, 128, 3) and all(np.array_equal(frame, picture) for frame in frames)
    film, truth = motion.truth(Film(scene, "still", frames=2)), world.truth(scene)
    assert not film.flow.any() and not film.occluded.any()
    assert all(np.array_equal(masks, truth.masks) for masks in film.masks)
    assert all(np.array_equal(depth, truth.depth) for depth in film.depth)


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 10**9))
def test_what_moves_begins_where_it_is_drawn(index):
    """A mover is the thing's sprite, within what another resampling does to its edges."""
    thing = free.sample(SERIES, index, relation="alone").scene.things[0]
    still, moving = world.scene.shape(thing), world.scene.shape(mover(thing))
    assert np.abs(still - moving).mean() < 0.008
    if thing.pose:
        assert np.abs(thing.joints() - mover(thing).joints()).max() < 1.5


def test_a_mover_moves_by_parts_of_a_pixel():
    cats = [Mover("cat", x=0.5 + dx / 128, y=0.8, size=0.5) for dx in (0, 0.25, 0.5, 1)]
    columns = [np.average(np.arange(128), weights=world.scene.shape(cat).sum(0)) for cat in cats]
    assert np.diff(columns) == pytest.approx([0.25, 0.25, 0.5], abs=0.01)
    sums = [world.scene.shape(Mover("ball", x=0.5, y=0.8, size=0.4, tilt=tilt)).sum() for tilt in range(0, 90, 7)]
    assert np.ptp(sums) / np.mean(sums) < 0.01, "a ball that turns stays as large"


@pytest.mark.parametrize("size", [0.05, 0.1, 0.2, 1.5])
def test_a_mover_may_be_of_any_size(size):
    upright, turned = (world.scene.shape(Mover("bear", x=0.5, y=0.5 + size / 2, size=size, tilt=t)) for t in (0, 45))
    assert turned.sum() == pytest.approx(upright.sum(), rel=0.05) or size > 1


@pytest.mark.parametrize("kind", MOVING)
def test_the_flow_leads_to_the_next_frame(kind):
    for index in range(4):
        frames, _, film = motion.sample(SERIES, index, motion=kind)
        truth = motion.truth(film)
        assert truth.flow.shape == (7, 2, 128, 128) and truth.flow.dtype == np.float32
        assert truth.occluded.shape == (7, 128, 128) and truth.occluded.dtype == bool
        error = np.abs(read_ahead(frames, truth.flow) - frames[:-1]).mean(-1)
        seen = ~truth.occluded
        assert error[seen].mean() < 1.5, film
        assert error[seen].mean() < 0.4 * np.abs(np.diff(frames.astype(float), axis=0)).mean(), film
        assert (error[seen] > 16).mean() < 0.03, film  # edges that are part of two things, and shadows
        wrong = np.abs(read_ahead(frames, -truth.flow) - frames[:-1]).mean(-1)
        assert wrong[seen].mean() > 2 * error[seen].mean(), "flow the other way fits worse"


def test_what_is_hidden_in_the_next_frame_is_told():
    """A cat passes in front of a house, and neither before nor after it."""
    house = world.Thing("house", x=0.5, y=0.8, size=0.4)
    cat = world.Thing("cat", x=0.2, y=0.9, size=0.3, mirror=True)
    film = Film(world.Scene((cat, house), place="meadow", backdrop=3), "moving right", 0.6, 13)
    truth = motion.truth(film)
    ahead = truth.occluded[:, 70:110, :]
    assert ahead.any((1, 2)).all()
    for i in range(12):
        rows, columns = np.nonzero(truth.occluded[i] & (truth.masks[i, 0] < 0.5))
        edge = truth.boxes[i, 0, 2] * 128
        assert (np.abs(columns - edge) < 0.4 * 0.3 * 128).mean() > 0.5, "what is hidden lies ahead of the cat"
    inside = truth.occluded & (truth.masks[:-1, 0] > 0.9)
    assert inside.sum() < 30, "the cat itself stays in sight"


@settings(max_examples=80, deadline=None)
@given(st.integers(0, 10**9), st.sampled_from(motion.MOTIONS[1:]))
def test_a_film_keeps_its_promises(index, kind):
    frames, caption, film = motion.sample(SERIES, index, motion=kind)
    assert frames.shape == (8, 128, 128, 3) and frames.dtype == np.uint8
    assert film.motion == kind and not motion.is_held_out(film) and film.scene.style == "plain"
    assert moves.can(film.scene.things[0], kind, film.scene.place)
    truth = motion.truth(film)
    masks, depth, boxes = truth.masks, truth.depth, truth.boxes
    assert masks.shape == (8, len(film.scene.things), 128, 128) and masks.min() >= 0 and masks.sum(1).max() <= 1 + 1e-6
    assert depth.shape == (8, 128, 128) and 0 <= depth.min() and depth.max() <= 1
    assert boxes.shape == (8, len(film.scene.things), 4) and (boxes[..., :2] < boxes[..., 2:]).all()
    assert np.isfinite(truth.flow).all() and truth.occluded.mean() < 0.2
    if kind == "flying off":
        assert masks[0, 0].sum() > 100 > masks[-1, 0].sum() or boxes[-1, 0, 3] < 0.25
    else:
        assert (masks[:, 0].sum((1, 2)) > 100).all(), "the thing stays in the picture"
    happens = (np.diff(frames.astype(int), axis=0) != 0).any((1, 2, 3))
    assert happens.sum() >= 7 - (kind == "jumping"), "at the top of a jump two frames may be the same"


@settings(max_examples=80, deadline=None)
@given(st.integers(0, 10**9), st.sampled_from(motion.MOTIONS[1:]))
def test_what_the_caption_says_happens(index, kind):
    """Read a caption by rules of its own, and ask the film's truth for each of its words."""
    film = motion.sample(SERIES, index % 10_000, motion=kind).film
    text = film.caption(np.random.default_rng(index))
    truth, thing = motion.truth(film), film.scene.things[0]
    assert re.search(rf"\b{thing.noun}\b", text) and set(re.findall(rf"\b({NOUN})\b", text)) == {thing.noun}
    colors = re.findall(rf"\b({'|'.join(world.COLORS)}) ({NOUN})\b", text)
    assert all(color == thing.color for color, _ in colors)
    for place, phrases in words.PLACE_PHRASES.items():
        assert place == film.scene.place or not any(f" {p} " in f"{text} " for p in phrases), text
    for time, phrases in words.TIME_PHRASES.items():
        assert time == film.scene.time or not any(f" {p} " in f"{text} " for p in phrases), text
    (x, y), sizes = middles(truth).T, truth.boxes[:, 0, 3] - truth.boxes[:, 0, 1]
    mask = truth.masks[:-1, 0] > 0.9
    flow_x, flow_y = (truth.flow[:, axis][mask].mean() if mask.any() else 0.0 for axis in (0, 1))
    if "camera pans" in text or "camera panning" in text:
        side = -1 if re.search(r"\bleft\b", text) else 1
        assert (np.sign(truth.flow[:, 0]) == -side).all() and not truth.flow[:, 1].any(), text
    elif re.search(r"\bleft\b", text):
        assert x[-1] < x[0] - 0.2 and flow_x < -1 and (np.diff(x) < 0.02).all(), text
    elif re.search(r"\bright\b", text):
        assert x[-1] > x[0] + 0.2 and flow_x > 1 and (np.diff(x) > -0.02).all(), text
    elif re.search(r"\b(jumping|leaping|hopping|bouncing)\b", text):
        assert y[3:5].mean() < y[0] - 0.1 and y[-1] == pytest.approx(y[0], abs=0.02), text
    elif re.search(r"\b(spinning|around)\b", text):
        assert np.abs(np.diff(x)).max() < 0.1 and truth.flow[:, :, mask[0]].std() > 1 and abs(flow_x) < 3, text
    elif re.search(r"\b(nearer|closer|toward us|toward the camera)\b", text):
        assert sizes[-1] > 1.4 * sizes[0] and truth.depth[-1].max() >= truth.depth[0].max(), text
    elif re.search(r"\b(off|away)\b", text):
        assert y[-1] < y[0] - 0.3 and sizes[-1] < sizes[0] and flow_y < -1, text
    else:
        assert re.search(r"\b(night|dark)\b", text) and kind == "getting dark", text


@pytest.mark.parametrize("kind", motion.MOTIONS)
def test_the_full_caption_says_it_all(kind):
    film = motion.random_film(np.random.default_rng(5), motion=kind)
    text = film.caption()
    thing = film.scene.things[0]
    assert text == film.caption() and thing.noun in text and (thing.color or "") in text
    assert any(phrase in text for phrase in words.PLACE_PHRASES[film.scene.place])
    assert kind == "still" or any(
        word in text for word in ("ing", "pans", "night") if kind not in verbs.MEANWHILE or word in ("pans", "night")
    )
    assert len({film.caption(np.random.default_rng(i)) for i in range(30)}) > 5


def test_the_documents_prompt_is_a_caption():
    rng, given = np.random.default_rng(0), dict(motion="jumping", noun="cat", place="beach")
    films = [motion.random_film(rng, **given) for _ in range(20)]
    assert "a cat jumping on the beach" in {film.caption(rng) for film in films for _ in range(20)}
    car = world.Thing("car", "red", x=0.8, size=0.3)
    film = Film(world.Scene((car,), place="snow", backdrop=1), "moving left", 0.5)
    assert film.caption() == "a red car driving to the left in the snow by day"


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 10**9), st.integers(2, 16))
def test_more_frames_show_the_same_film_more_closely(index, frames):
    film = motion.sample(SERIES, index).film
    more = replace(film, frames=frames)
    assert len(more.scenes) == frames and more.scenes[0] == film.scenes[0] and more.scenes[-1] == film.scenes[-1]
    ends = motion.render(more)[[0, -1]]
    assert np.array_equal(ends, motion.render(film)[[0, -1]])


@settings(max_examples=15, deadline=None)
@given(st.integers(0, 10**9))
def test_light_changes_light_alone(index):
    frames, _, film = motion.sample(SERIES, index, motion="getting dark")
    truth = motion.truth(film)
    assert not truth.flow.any() and not truth.occluded.any() and np.ptp(truth.masks, axis=0).max() == 0
    for frame, time in ((frames[0], "day"), (frames[-1], "night")):
        assert np.array_equal(frame, world.render(replace(film.scene, time=time)))
    middle = motion.render(replace(film, frames=3))[1]
    assert np.array_equal(middle, world.render(replace(film.scene, time="sunset")))


def test_a_wide_place_begins_with_the_picture():
    for place in world.PLACES:
        wide, still = world.places.backdrop(place, "day", 4, 160), world.places.backdrop(place, "day", 4)
        assert wide.shape == (128, 160, 3) and still.shape == (128, 128, 3)
        assert np.abs(wide[:, :128] - still).mean() < 0.01
        right = wide[:, 128:]
        assert np.isfinite(right).all() and right.std(0).max() > 0.02 or place == "space", "drawn, not blank"


def test_joints_go_where_the_flow_goes():
    """A superhero's joints, carried by the flow, are its joints in the next frame."""
    for index in range(6):
        film = motion.sample(SERIES, index, motion="moving right", noun="superhero").film
        truth = motion.truth(film)
        for (here, *_), (there, *_), flow, mask in zip(
            truth.skeletons, truth.skeletons[1:], truth.flow, truth.masks[:, 0], strict=False
        ):
            column, row = here.astype(int).T
            inside = (column >= 0) & (column < 128) & (row >= 0) & (row < 128)
            inside[inside] &= mask[row[inside], column[inside]] > 0.9
            assert inside.sum() > 6
            moved = here[inside] + flow[:, row[inside], column[inside]].T
            assert np.abs(moved - there[inside]).max() < 0.2


def test_held_out_pairs_come_when_called_and_never_by_chance():
    for noun, kind in motion.HELD_OUT_PAIRS:
        assert motion.is_held_out(motion.sample(SERIES, 0, noun=noun, motion=kind).film)
        assert any(noun in motion.doers(kind, place) for place in world.PLACES)
    films = [motion.random_film(np.random.default_rng([SERIES, i])) for i in range(150)]
    assert not any(map(motion.is_held_out, films))
    assert {film.motion for film in films} == set(motion.MOTIONS[1:])
    assert not any(motion.is_held_out(motion.sample(SERIES, i, noun="panda").film) for i in range(20))
    assert not any(motion.is_held_out(motion.sample(SERIES, i, motion="jumping").film) for i in range(20))


@pytest.mark.parametrize(
    "noun, kind, places",
    [
        ("car", "jumping", ()), ("house", "moving left", ("space",)), ("elephant", "jumping", ()),
        ("balloon", "flying off", tuple(place for place in world.PLACES if place != "room")),
        ("sailboat", "moving right", ("sea", "space")),
        ("cat", "getting dark", tuple(place for place in world.PLACES if place != "space")),
        ("car", "moving left", tuple(place for place in world.PLACES if place not in ("room", "sea"))),
    ],
)  # fmt: skip
def test_motions_fit_what_moves(noun, kind, places):
    assert tuple(place for place in world.PLACES if noun in motion.doers(kind, place)) == tuple(places)


@pytest.mark.parametrize("kind, mirrored", [("moving left", False), ("moving right", True)])
def test_what_has_a_front_goes_ahead_with_it(kind, mirrored):
    for noun in ("car", "elephant", "tractor"):
        assert motion.sample(SERIES, 1, motion=kind, noun=noun).film.scene.things[0].mirror == mirrored
    assert motion.sample(SERIES, 1, motion=kind, noun="rocket").film.scene.things[0].mirror != mirrored


CAT = world.Scene((world.Thing("cat"),), backdrop=1)


@pytest.mark.parametrize(
    "make, message",
    [
        (lambda: Film(CAT, "dancing"), "no motion 'dancing' in the tiny world; it has still, jumping"),
        (lambda: Film(CAT, "jumping", 0.3, 1), "frames=1 must be a whole number from 2 to 64"),
        (lambda: Film(CAT, "jumping", 0.3, 8.0), "frames=8.0 must be"),
        (lambda: Film(CAT, "jumping", 0.3, True), "frames=True must be"),
        (lambda: Film(CAT, "jumping"), "amount=0.0 must be a number from 0.05 to 1.0 for jumping"),
        (lambda: Film(CAT, "coming nearer", float("nan")), "amount=nan must be"),
        (lambda: Film(CAT, "moving left", "far"), "amount='far' must be"),
        (lambda: Film(CAT, "flying off", 0.5), "no flying off for Thing.*'cat'"),
        (lambda: Film(replace(CAT, place="sea"), "jumping", 0.3), "no jumping for .* in place 'sea'"),
        (lambda: Film(replace(CAT, time="night"), "getting dark"), "it gets dark by day, not at time='night'"),
        (lambda: Film(replace(CAT, backdrop=(0, 24, 6, False)), "still"), "cannot move: draw one of `world.layout`"),
        (lambda: Film(replace(CAT, things=()), "still"), "with a thing in it"),
        (lambda: motion.sample(0, 0, motion="dancing"), "no motion 'dancing'"),
        (lambda: motion.sample(0, 0, noun="dragon"), "no noun 'dragon'"),
        (lambda: motion.sample(0, 0, place="moon"), "no place 'moon'"),
        (lambda: motion.sample(0, 0, time="noon"), "no time 'noon'"),
        (lambda: motion.sample(0, 0, frames=1), "frames=1 must be"),
        (lambda: motion.sample(0, 0, motion="jumping", noun="car"), "no jumping for noun='car'"),
        (lambda: motion.sample(0, 0, motion="jumping", place="space"), "no jumping for noun=None, place='space'"),
        (lambda: motion.sample(0, 0, motion="getting dark", time="night"), "it gets dark by day"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_refused(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_a_sample_is_a_tuple_of_three():
    assert FilmSample._fields == ("frames", "caption", "film")

"""Masks: what is accepted, what becomes of a thin one, exact distances, and compositing that keeps what is kept."""

import numpy as np
import pytest
import torch
from hypothesis import given, strategies as st
from PIL import Image

from difflab import masks, metrics, world


def box(height=32, width=48):
    mask = np.zeros((height, width), bool)
    mask[5:20, 9:30] = True
    return mask


def noisy(seed=0, height=32, width=48):
    return Image.fromarray(np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8))


@pytest.mark.parametrize(
    "given_as",
    [
        lambda m: m,
        lambda m: Image.fromarray(m),
        lambda m: Image.fromarray((m * 255).astype(np.uint8)),
        lambda m: (m * 255).astype(np.uint8),
        lambda m: m.astype(np.float32),
        lambda m: m.astype(np.float64),
        lambda m: torch.from_numpy(m),
    ],
)
def test_all_forms_of_a_mask_mean_the_same(given_as):
    tensor = masks.as_mask(given_as(box()), (32, 48))
    assert tensor.shape == (1, 1, 32, 48) and tensor.dtype == torch.float32
    assert torch.equal(tensor[0, 0], torch.from_numpy(box()).float())


def test_several_masks_and_soft_ones():
    soft = np.linspace(0, 1, 32 * 48, dtype=np.float32).reshape(32, 48)
    both = masks.as_mask([box(), soft], (32, 48))
    assert both.shape == (2, 1, 32, 48) and torch.equal(both[1, 0], torch.from_numpy(soft))


@pytest.mark.parametrize(
    "mask, message",
    [
        (np.zeros((32, 32), bool), r"mask is 32 x 32 and the picture 48 x 32; use mask.resize\(\(48, 32\)\)"),
        (Image.new("L", (32, 48)), "mask is 32 x 48"),
        (np.zeros((32, 48), bool), "mask is empty"),
        (np.ones((32, 48), np.uint8), "mask is empty: nothing reaches 0.5 .of 255, 128"),
        (np.ones((32, 48), bool), "mask is full.*text_to_image"),
        (Image.new("L", (48, 32), 255), "mask is full"),
        (Image.new("RGB", (48, 32)), r"mode is 'RGB'; use mask.convert\('L'\)"),
        (Image.new("RGBA", (48, 32)), "mode is 'RGBA'"),
        (np.zeros((32, 48, 3), np.uint8), "not uint8"),
        (np.zeros((32, 48), np.int64), "not int64"),
        (2.0 * np.eye(32, 48), "from 0 to 2"),
        (np.full((32, 48), np.nan), "from nan"),
        (-np.eye(32, 48), "from -1"),
        ("mask.png", "not str"),
        (None, "not NoneType"),
        ([], "no mask"),
    ],
)
def test_bad_masks(mask, message):
    with pytest.raises(ValueError, match=message):
        masks.as_mask(mask, (32, 48))


@given(st.integers(0, 10**6), st.sampled_from([2, 4, 8]))
def test_no_pixel_of_the_hole_escapes_touched(seed, factor):
    mask = torch.from_numpy(np.random.default_rng(seed).random((2, 1, 32, 48)) > 0.97).float()
    small = masks.touched(mask, factor)
    assert small.shape == (2, 1, 32 // factor, 48 // factor) and set(small.unique().tolist()) <= {0, 1}
    large = small.repeat_interleave(factor, 2).repeat_interleave(factor, 3)
    assert (large[mask == 1] == 1).all()
    assert torch.allclose(masks.share(mask, factor).mean(), mask.mean())
    assert (masks.nearest(mask, factor) <= small).all() and (masks.share(mask, factor) <= small).all()


def test_nearest_is_diffusers():
    mask = torch.rand(1, 1, 64, 64, generator=torch.Generator().manual_seed(0))
    theirs = torch.nn.functional.interpolate((mask >= 0.5).float(), size=(8, 8))
    assert torch.equal(masks.nearest(mask, 8), theirs)


def test_masks_at_the_size_of_the_latent_already_agree():
    mask = torch.zeros(1, 1, 32, 32)
    mask[..., 8:24, 16:] = 1
    small = masks.nearest(mask, 8)
    assert torch.equal(small, masks.touched(mask, 8)) and torch.equal(small, masks.share(mask, 8))


@given(st.integers(0, 10**6))
def test_distance_is_the_euclidean_distance_to_what_is_kept(seed):
    mask = np.random.default_rng(seed).random((9, 13)) > 0.1
    mask[0, 0] = False
    mask[4, 5] = True
    kept = np.argwhere(~mask)
    where = np.stack(np.mgrid[:9, :13], -1)
    wanted = np.sqrt(((where[:, :, None] - kept) ** 2).sum(-1)).min(-1)
    assert np.allclose(masks.distance(mask).numpy(), wanted, atol=1e-4)


def test_grow_and_shrink():
    grown = masks.grow(box(), 3)
    assert grown[2, 15] and not grown[1, 15] and grown.dtype == bool and not grown[2, 6]  # corners are round
    assert masks.grow(Image.fromarray(box()), 3).tolist() == grown.tolist()
    shrunk = masks.grow(box(), -3)
    assert shrunk[8, 15] and not shrunk[7, 15]
    assert masks.grow(box(), 0).tolist() == box().tolist()


@pytest.mark.parametrize("width", [1, 4, 12])
def test_a_soft_edge_stays_in_the_hole(width):
    soft = masks.soft_edge(box(), width)
    assert (soft[~box()] == 0).all() and (soft[box()] > 0).all() and (soft[8:17, 12:27].min() == 1) == (width <= 4)
    across = soft[12, 9:17]  # from the edge inwards
    assert (np.diff(across) >= 0).all() and across[0] <= 1 / width
    for bad in (0, -1):
        with pytest.raises(ValueError, match="width"):
            masks.soft_edge(box(), bad)


@pytest.mark.parametrize("mask", [box(), masks.soft_edge(box(), 6)])
def test_composited_pictures_keep_their_pixels_to_the_bit(mask):
    picture, filled = noisy(0), noisy(1)
    (made,) = masks.composite(picture, filled, mask)
    made, old, new = (np.asarray(p) for p in (made, picture, filled))
    assert (made[~box()] == old[~box()]).all()
    assert (made[np.asarray(mask) == 1] == new[np.asarray(mask) == 1]).all()
    low, high = np.minimum(old, new), np.maximum(old, new)
    assert (low <= made).all() and (made <= high).all()


def test_a_thin_soft_edge_is_faint_and_still_good_to_composite_with():
    thin = masks.drawn("brush 3 5 10 40 10", (32, 48))
    faint = masks.soft_edge(thin, 12)
    assert 0 < faint.max() < 0.5
    (made,) = masks.composite(noisy(0), noisy(1), faint)
    assert (np.asarray(made)[~thin] == np.asarray(noisy(0))[~thin]).all() and made.tobytes() != noisy(0).tobytes()
    with pytest.raises(ValueError, match="mask is 48 x 32 and the picture 32 x 32"):
        masks.composite(noisy(0, 32, 32), noisy(1, 32, 32), faint)
    with pytest.raises(ValueError, match="mask is empty"):
        masks.as_mask([thin, faint], (32, 48))


def test_one_of_each_serves_for_all():
    several = masks.composite(noisy(0), [noisy(1), noisy(2)], box())
    one_by_one = [masks.composite(noisy(0), noisy(i), [box()])[0] for i in (1, 2)]
    assert [p.tobytes() for p in several] == [p.tobytes() for p in one_by_one]
    with pytest.raises(ValueError, match="3 pictures, 2 filled"):
        masks.composite([noisy()] * 3, [noisy()] * 2, box())
    with pytest.raises(ValueError, match="one size"):
        masks.composite(noisy(), noisy(0, 32, 32), box())


def test_a_seam_is_steep_where_the_edge_is_and_only_there():
    flat, step = np.full((32, 48, 3), 100, np.uint8), np.full((32, 48, 3), 100, np.uint8)
    step[box()] = 140
    assert metrics.seam(flat, box()) == 0 and metrics.seam(step, box()) == 40
    inside = flat.copy()
    inside[10:12, 15:20] = 0
    assert metrics.seam(inside, box()) == 0


def test_extend():
    canvas, hole = masks.extend(noisy(), left=8, right=4, top=2, bottom=6)
    assert canvas.size == (60, 40) and hole.shape == (40, 60)
    assert (np.asarray(canvas)[2:34, 8:56] == np.asarray(noisy())).all() and not hole[2:34, 8:56].any()
    assert hole.sum() == 40 * 60 - 32 * 48
    assert (np.asarray(canvas)[10, :8] == np.asarray(noisy())[8, 0]).all()
    for bad, message in ((dict(), "nothing to add"), (dict(left=-1), "left=-1"), (dict(top=1.5), "top=1.5")):
        with pytest.raises(ValueError, match=message):
            masks.extend(noisy(), **bad)


def test_drawn():
    mask = masks.drawn("rectangle 30 20 9 5\n\nbrush 4 2 28 40 28", (32, 48))
    assert mask.shape == (32, 48) and mask.dtype == bool
    assert mask[:22].tolist() == box()[:22].tolist()  # corners in any order
    assert mask[28, 2:40].all() and not mask[24].any() and mask[27:29, 20].all()
    assert not masks.drawn("", (32, 48)).any() and masks.drawn("brush 6 10 10", (32, 48))[10, 10]
    assert masks.drawn("rectangle -5 -5 100 100", (32, 48)).all()


@pytest.mark.parametrize(
    "line", ["circle 3 4 5", "rectangle 1 2 3", "brush 5", "brush 5 1 2 3", "brush a 1 2", "5 5 5"]
)
def test_no_stroke(line):
    with pytest.raises(ValueError, match=f"{line!r} is no stroke"):
        masks.drawn(f"rectangle 0 0 4 4\n{line}", (32, 48))


def test_the_worlds_masks_are_masks():
    for i in range(5):
        scene = world.sample(900_000_011, i).scene
        mask = world.random_mask(np.random.default_rng(i), scene)
        assert masks.as_mask(mask, (128, 128)).mean() == pytest.approx(mask.mean())

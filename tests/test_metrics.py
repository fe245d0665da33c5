"""How far apart pictures are: known decibels, pictures and tensors alike, parts of pictures, and seams."""

import numpy as np
import pytest
import torch
from PIL import Image

from difflab import masks
from difflab.inputs import to_images
from difflab.metrics import (
    depth_error,
    depth_within,
    flicker,
    mean_iou,
    motion_along,
    pck,
    psnr,
    seam,
    seam_ratio,
    warp_error,
    warped,
)
from difflab.world import motion


def random(*shape, seed=0):
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def noisy(count=3, size=8, seed=0):
    """Random pictures as uint8 arrays."""
    return list(np.random.default_rng(seed).integers(0, 256, (count, size, size, 3), dtype=np.uint8))


def test_psnr_of_known_errors():
    black = torch.full((2, 3, 8, 8), -1.0)
    assert psnr(black + 2, black).tolist() == pytest.approx([0, 0])
    assert psnr(black + 2 / 255, black)[0] == pytest.approx(48.13, abs=0.01)  # one step of 255, everywhere
    assert psnr(black - 5, black)[0] > 100, "what lies outside [-1, 1] is cut off, as it would be for the eye"


def test_psnr_is_one_number_for_each_picture():
    x = random(3, 3, 4, 4).clamp(-1, 1)
    y = (x + 0.1 * random(3, 3, 4, 4, seed=1)).clamp(-1, 1)
    assert torch.equal(psnr(y, x), torch.cat([psnr(y[i : i + 1], x[i : i + 1]) for i in range(3)]))
    with pytest.raises(ValueError, match=r"one shape.*\(3, 3, 4, 4\)"):
        psnr(y, x[:1])


def test_psnr_takes_pictures_in_whatever_form():
    a, b = noisy(seed=0), noisy(seed=1)
    by_hand = [10 * np.log10(255**2 / ((x.astype(float) - y) ** 2).mean()) for x, y in zip(a, b, strict=True)]
    tensors = [torch.from_numpy(np.stack(side)).permute(0, 3, 1, 2) / 127.5 - 1 for side in (a, b)]
    forms = [(a, b), ([Image.fromarray(x) for x in a], b), (a, tensors[1]), (tensors[0], b), tuple(tensors)]
    for ours, theirs in forms:
        assert psnr(ours, theirs).tolist() == pytest.approx(by_hand, abs=1e-3)
    assert psnr(a[0], Image.fromarray(b[0])).tolist() == pytest.approx(by_hand[:1], abs=1e-3)
    assert psnr(to_images(tensors[0]), a).tolist() == pytest.approx([106] * 3, abs=0.1)


def test_psnr_of_a_part():
    x = random(2, 3, 4, 4).clamp(-1, 1)
    y = x.clone()
    y[:, :, :, :2] = 0.5
    right = torch.zeros(2, 4, 4, dtype=torch.bool)
    right[..., 2:] = True
    assert psnr(y, x, right).tolist() == pytest.approx([106, 106], abs=1)
    assert torch.allclose(psnr(y, x, ~right), psnr(y[..., :2], x[..., :2]))
    assert torch.allclose(psnr(y, x, torch.ones(2, 4, 4)), psnr(y, x))
    assert torch.equal(psnr(y, x, list(right.numpy())), psnr(y, x, right))
    assert psnr(y, x, torch.zeros(2, 4, 4)).isnan().all()
    with pytest.raises(ValueError, match=r"where must be \(2, 4, 4\)"):
        psnr(y, x, right[:1])


def test_psnr_is_not_asked_where_too_little_is_left():
    a, b = noisy(2, seed=0), noisy(2, seed=1)
    where = np.zeros((2, 8, 8), bool)
    where[0, 0], where[1, 0, 0] = True, True  # 8 of 64 pixels, and 1
    some, few = psnr(a, b, where, least=0.1).tolist()
    assert some == psnr(a, b, where)[0].item() and np.isnan(few)
    assert not psnr(a, b, where, least=1 / 64).isnan().any()


@pytest.mark.parametrize(
    "given, says",
    [
        (torch.zeros(3, 8, 8), r"pictures is torch.float32 \(3, 8, 8\) and must be"),
        (torch.zeros(1, 3, 8, 8, dtype=torch.uint8), "pictures is torch.uint8"),
        (np.zeros((8, 8, 3)), "not float64 array"),
        (noisy(1, 8) + noisy(1, 4), "different sizes"),
        ([], "there is no picture"),
    ],
)
def test_what_is_no_picture(given, says):
    with pytest.raises(ValueError, match=says):
        psnr(given, given)


def test_a_seam_is_steep_beside_the_true_picture():
    ramp = np.repeat(np.arange(0, 160, 10, dtype=np.uint8)[:, None], 16, 1)  # 10 a row
    truth = np.stack([ramp] * 3, -1)
    hole = masks.drawn("rectangle 0 4 16 9", (16, 16))
    filled = masks.composite(truth, Image.new("RGB", (16, 16)), hole)[0]
    assert seam(truth, hole) == 10
    assert seam(filled, hole) == (30 + 90) / 2
    assert seam_ratio([truth], [truth], [hole]) == 1 and seam_ratio([filled], [truth], [hole]) == 6


def test_a_flat_background_does_not_decide_the_seam():
    hole = masks.drawn("rectangle 4 4 12 12", (16, 16))
    flat, rough = np.full((16, 16, 3), 100, np.uint8), noisy(1, 16)[0]
    a_shade_off = masks.composite(flat, Image.new("RGB", (16, 16), (101,) * 3), hole)[0]
    assert 1 < seam_ratio([a_shade_off, rough], [flat, rough], [hole, hole]) < 1.1
    with pytest.raises(ValueError):
        seam_ratio([flat], [flat, rough], [hole, hole])


def test_depth_is_measured_up_to_one_factor():
    rng = np.random.default_rng(0)
    true = rng.uniform(0.1, 1, (3, 16, 16))
    assert depth_error(true, true).tolist() == [0, 0, 0] and depth_within(true, true).tolist() == [1, 1, 1]
    assert depth_error(true / 2, true) == pytest.approx([0, 0, 0], abs=1e-9) and depth_within(true / 2, true).max() == 0
    by_hand = np.log(1 / np.maximum(true[0] ** 1.5, 0.05)) - np.log(1 / true[0])
    assert depth_error(true**1.5, true)[0] == pytest.approx(np.sqrt((by_hand**2).mean() - by_hand.mean() ** 2))
    half = true.copy()
    half[:, :8] *= 1.3
    assert depth_within(np.minimum(half, 1), true).max() < 0.9 and depth_within(true * 0.9, true).min() == 1
    assert depth_error(np.zeros((1, 4, 4)), np.full((1, 4, 4), 0.04)).tolist() == [0], "far is far"


def test_classes_are_measured_by_their_overlap():
    true = np.zeros((2, 4, 4), int)
    true[0, :2], true[1, :, :2] = 1, 2
    assert mean_iou(true, true) == 1
    found = true.copy()
    found[0, 0] = 0  # class 1: 4 of 8 remain; class 0: 16 became 20
    assert mean_iou(found, true) == pytest.approx((16 / 20 + 4 / 8 + 1) / 3)
    assert mean_iou(np.full_like(true, 3), true) == 0
    with pytest.raises(ValueError, match="one shape"):
        mean_iou(true, true[:1])


def test_joints_are_right_within_a_tenth_of_the_height():
    true = np.stack([np.zeros(14), np.linspace(0, 100, 14)], -1)  # 100 pixels tall
    assert pck([true + (9.9, 0)], [true]) == 1 and pck([true + (10.1, 0)], [true]) == 0
    assert pck([true + (4.9, 0)], [true], 0.05) == 1
    part = true.copy()
    part[:7] += 50
    assert pck([part, None], [true, true]) == 0.25
    hidden = true.copy()
    hidden[:7] = np.nan
    assert pck([true], [hidden]) == 1 and pck([None, true], [hidden, true]) == pytest.approx(14 / 21)
    lying = true[:, ::-1]
    assert pck([lying + (0, 9.9)], [lying]) == 1, "who lies is as tall"


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: depth_error(np.zeros((4, 4)), np.zeros((4, 4))), r"nearness of shape \(4, 4\) must be \(B, H, W\)"),
        (lambda: depth_within(np.zeros((1, 4, 4)), np.full((1, 4, 4), 2.0)), "true_nearness.*from 0 to 1"),
        (lambda: depth_error(np.full((1, 4, 4), np.nan), np.zeros((1, 4, 4))), "from 0 to 1"),
        (lambda: depth_within(np.zeros((1, 4, 4)), np.zeros((1, 4, 4)), 1), "factor=1 must be a number above 1"),
        (lambda: pck([None], []), "1 figures for 0 true ones"),
        (lambda: pck([None], [np.full((14, 2), np.nan)]), "no joint to look for"),
    ],
)
def test_what_controls_are_not_measured_by(call, says):
    with pytest.raises(ValueError, match=says):
        call()


def shifted(step, frames=4, size=64):
    """A film of noise that goes (x, y) whole pixels a frame, as uint8 arrays, and its flow."""
    wide = np.random.default_rng(0).integers(0, 256, (size, size, 3), dtype=np.uint8)
    wide = np.asarray(Image.fromarray(wide).resize((2 * size, 2 * size)))
    film = [np.roll(wide, (i * step[1], i * step[0]), (0, 1))[: 2 * size, : 2 * size] for i in range(frames)]
    flow = np.broadcast_to(np.array(step, np.float32)[:, None, None], (frames - 1, 2, 2 * size, 2 * size))
    return film, flow.copy()


def inner(film, margin=16):
    """A film without its margins, where `shifted` comes in from the other side."""
    return [frame[margin:-margin, margin:-margin] for frame in film]


def test_warping_by_the_true_flow_gives_the_frame_before():
    film, flow = shifted((3, -2))
    again = warped(film, flow)
    assert again.shape == (3, 3, 128, 128)
    assert torch.allclose(again[..., 4:-4, 4:-4], as_floats(film)[:-1, :, 4:-4, 4:-4], atol=1e-4)
    ramp = torch.linspace(-1, 1, 8).expand(2, 3, 8, 8)
    half = torch.tensor([0.5, 0.0]).view(1, 2, 1, 1).expand(1, 2, 8, 8)
    between = warped(ramp, half)[..., :-1]
    assert torch.allclose(between, ramp[:1, ..., :-1] + 1 / 7, atol=1e-6), "between pixels, bilinearly"


def as_floats(film):
    return torch.from_numpy(np.stack(film)).permute(0, 3, 1, 2) / 127.5 - 1


def test_warp_error_counts_what_can_be_seen():
    film, flow = shifted((3, -2))
    edge = np.ones((3, 128, 128), bool)
    edge[:, 4:-4, 4:-4] = False
    assert warp_error(film, flow, edge).tolist() == pytest.approx([0, 0, 0], abs=1e-3)
    assert warp_error(film, -flow, edge).min() > 20 and warp_error(film, 0 * flow, edge).min() > 20
    gray = [np.full((8, 8, 3), value, np.uint8) for value in (100, 110, 105)]
    still = np.zeros((2, 2, 8, 8)), np.zeros((2, 8, 8), bool)
    assert warp_error(gray, *still).tolist() == pytest.approx([10, 5], abs=1e-3)
    assert warp_error(gray, still[0], ~still[1]).isnan().all()


def test_flicker_is_the_deviation_over_time():
    film = [np.full((8, 8, 3), value, np.uint8) for value in (100, 120)]
    left = np.zeros((8, 8), bool)
    left[:, :4] = True
    film[1][:, 4:] = 0
    assert flicker(film, left) == pytest.approx(10, abs=1e-3) and flicker(film, ~left) == pytest.approx(50, abs=1e-3)
    assert flicker([film[0]] * 4, left) == pytest.approx(0, abs=1e-3)


def test_motion_is_measured_along_a_direction():
    film = inner(shifted((5, 0))[0])
    assert motion_along(film, (1, 0)).tolist() == pytest.approx([5, 5, 5], abs=0.3)
    assert motion_along(film, (-3, 0)).tolist() == pytest.approx([-5, -5, -5], abs=0.3)
    assert motion_along(film, (0, 1)).abs().max() < 0.5
    diagonal = inner(shifted((3, -4))[0])
    assert motion_along(diagonal, (3, -4)).tolist() == pytest.approx([5, 5, 5], abs=0.3)
    field = np.zeros((2, 96, 96))
    field[0, :, :48], field[0, :, 48:] = 1, -1
    assert motion_along(film, field).abs().max() < 1, "half of it goes the other way"


def test_neither_a_still_picture_nor_noise_goes_anywhere():
    still = [noisy(1, 64)[0]] * 4
    assert motion_along(still, (1, 0)).tolist() == [0, 0, 0]
    assert motion_along(noisy(4, 64), (1, 0)).tolist() == [0, 0, 0]


def test_true_films_are_steady_and_move():
    for kind, direction in (("moving left", (-1, 0)), ("moving right", (1, 0)), ("panning right", (-1, 0))):
        frames, _, film = motion.sample(7, 1, motion=kind)
        truth = motion.truth(film)
        frames, seen = list(frames), truth.masks[:-1, 0] > 0.5
        assert warp_error(frames, truth.flow, truth.occluded).max() < 3
        true = [abs(flow[0][mask].mean()) for flow, mask in zip(truth.flow, seen, strict=True)]
        assert motion_along(frames, direction).mean() == pytest.approx(np.mean(true), rel=0.25)


@pytest.mark.parametrize(
    ("call", "says"),
    [
        (lambda: warped(noisy(1), np.zeros((0, 2, 8, 8))), "2 frames or more"),
        (lambda: warped(noisy(3), np.zeros((3, 2, 8, 8))), r"flow must be \(2, 2, 8, 8\).*not \(3, 2, 8, 8\)"),
        (lambda: warped(noisy(2), np.full((1, 2, 8, 8), np.nan)), "flow holds NaN"),
        (lambda: warp_error(noisy(2), np.zeros((1, 2, 8, 8)), np.zeros((8, 8))), r"occluded must be \(1, 8, 8\)"),
        (lambda: flicker(noisy(3), np.ones((3, 8, 8))), r"where must be \(8, 8\)"),
        (lambda: flicker(noisy(3), np.zeros((8, 8))), "with a True"),
        (lambda: motion_along(noisy(3), (0, 0)), r"direction=\(0, 0\) leads nowhere"),
        (lambda: motion_along(noisy(3), (1, 0, 0)), r"direction must be \(x, y\) or of shape \(2, 8, 8\)"),
        (lambda: motion_along(noisy(3), (1, 0), reach=0), "reach=0 must be"),
        (lambda: motion_along(noisy(3), (1, 0), window=4), "window=4 must be an odd number"),
        (lambda: flicker([noisy(1, 8)[0], noisy(1, 4)[0]], np.ones((8, 8))), "different sizes"),
    ],
)
def test_what_films_are_not_measured_by(call, says):
    with pytest.raises(ValueError, match=says):
        call()

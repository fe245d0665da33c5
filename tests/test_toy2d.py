"""The plane: the clouds, the closed-form best guess, the distance, and the training loop."""

import pytest
import torch

from difflab import toy2d
from difflab.schedule import NoiseSchedule

SCHEDULE = NoiseSchedule.scaled_linear()


def test_two_moons_is_centered_scaled_and_repeatable():
    points = toy2d.two_moons(500, seed=3)
    assert points.shape == (500, 2) and points.dtype == torch.float32
    assert points.mean(0).abs().max() < 1e-5
    assert points.var(0).mean().item() == pytest.approx(1, abs=1e-5)
    assert torch.equal(points, toy2d.two_moons(500, seed=3))
    assert not torch.equal(points, toy2d.two_moons(500, seed=4))
    upper, lower = points[0::2], points[1::2]
    assert upper[:, 1].mean() > lower[:, 1].mean()
    with pytest.raises(ValueError, match="n=1 must be a number of points: 2 to"):
        toy2d.two_moons(1)


def test_the_ideal_guess_is_the_true_noise_when_there_is_one_point():
    point = torch.tensor([[0.5, -1.0]])
    noise = torch.randn(20, 2, generator=torch.Generator().manual_seed(0))
    t = torch.arange(0, 1000, 50)
    x = SCHEDULE.add_noise(point.expand(20, 2), noise, t)
    torch.testing.assert_close(toy2d.ideal_noise(point, SCHEDULE)(x, t), noise, atol=1e-4, rtol=0)


def test_no_guess_beats_the_ideal_one():
    points = toy2d.two_moons(400)
    generator = torch.Generator().manual_seed(1)
    x0, noise = points.repeat(5, 1), torch.randn(2000, 2, generator=generator)
    ideal = toy2d.ideal_noise(points, SCHEDULE)
    for t in (50, 300, 700):
        x = SCHEDULE.add_noise(x0, noise, t)
        best = (ideal(x, t) - noise).square().mean()
        assert best < noise.square().mean()
        for other in (0.9 * ideal(x, t), 1.1 * ideal(x, t), ideal(x, t) + 0.1):
            assert best < (other - noise).square().mean()


def test_cloud_distance():
    a, b = toy2d.two_moons(300, seed=0), toy2d.two_moons(300, seed=1)
    assert toy2d.cloud_distance(a, a[torch.randperm(300, generator=torch.Generator().manual_seed(0))]) < 1e-6
    assert toy2d.cloud_distance(a, b) == pytest.approx(toy2d.cloud_distance(b, a))
    moved = toy2d.cloud_distance(a, a + torch.tensor([3.0, 0.0]))
    assert moved == pytest.approx(3 / 2**0.5, rel=1e-4)  # the mean square of cos over all directions is 1/2
    with pytest.raises(ValueError, match="one size"):
        toy2d.cloud_distance(a, b[:-1])


def test_training_yields_losses_that_fall_and_can_be_repeated():
    points = toy2d.two_moons(400)

    def losses():
        torch.manual_seed(0)
        network = toy2d.PointNetwork(width=32, depth=2)
        assert network(points[:5], 7).shape == (5, 2)
        assert torch.equal(network(points[:5], 7), network(points[:5], torch.full((5,), 7)))
        return list(toy2d.train(network, points, SCHEDULE, steps=200))

    first, second = losses(), losses()
    assert first == second and len(first) == 200
    assert sum(first[-50:]) < 0.7 * sum(first[:10]) * 5


def test_a_labeled_network_learns_to_guess_with_the_label_and_without():
    """After training with dropout, "no label" means all points; without dropout it means nothing."""
    points, labels = toy2d.two_moons(1000), torch.arange(1000) % 2
    generator = torch.Generator().manual_seed(0)
    x0, noise = points.repeat(2, 1), torch.randn(2000, 2, generator=generator)
    t = torch.randint(300, 900, (2000,), generator=generator)
    x, ideal = SCHEDULE.add_noise(x0, noise, t), toy2d.ideal_noise(points, SCHEDULE)

    def off(dropout):
        torch.manual_seed(0)
        network = toy2d.LabeledPointNetwork(2, width=32, depth=2)
        losses = list(toy2d.train(network, points, SCHEDULE, labels=labels, dropout=dropout, steps=300))
        assert network.no_label == 2 and len(losses) == 300
        with torch.no_grad():
            return (network(x, t, torch.full((2000,), 2)) - ideal(x, t)).square().mean().sqrt()

    assert off(0.2) < 0.3 < 0.6 < off(0.0)


def test_labels_for_every_point():
    with pytest.raises(ValueError, match="3 labels for 10 points"):
        next(toy2d.train(toy2d.LabeledPointNetwork(2), torch.zeros(10, 2), SCHEDULE, labels=torch.zeros(3).long()))

"""Diffusion on points in the plane, where everything can be seen and the perfect answer is known.

The chapters use these clouds before they touch a picture: a picture is a point too, in a space with more axes.
Clouds are float32 tensors (N, 2), centered, of unit variance along each axis on average.
"""

import math
from collections.abc import Callable, Iterator

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from difflab.checks import ABOVE_0, as_number, as_seed, as_whole, check_function, check_tensor
from difflab.schedule import NoiseSchedule

MOST = 1_000_000  # points in a cloud, directions to compare two along, neurons in a layer


def two_moons(n: int, *, seed: int = 0, jitter: float = 0.06) -> Tensor:
    """Two interlocking half circles: (n, 2); points of odd index lie on the lower one.

    jitter: standard deviation of the points about the half circles, before the cloud is centered and scaled.
    Raises ValueError for fewer than 2 points, and for other numbers that no cloud has.
    """
    n = as_whole("n", n, f"a number of points: 2 to {MOST}", 2, MOST)
    jitter = as_number("jitter", jitter, "a number from 0 up", 0)
    generator = torch.Generator().manual_seed(as_seed(seed))
    angle = math.pi * torch.rand(n, generator=generator)
    lower = torch.arange(n) % 2 == 1
    x = torch.where(lower, 1 - angle.cos(), angle.cos())
    y = torch.where(lower, 0.5 - angle.sin(), angle.sin())
    points = torch.stack([x, y], dim=1) + jitter * torch.randn(n, 2, generator=generator)
    points = points - points.mean(dim=0)
    return points / points.var(dim=0).mean().sqrt()


class PointNetwork(nn.Module):
    """A small residual network that guesses the noise in a point: (x (B, 2), t (B,) or a number) -> (B, 2).

    The time enters as sines and cosines of t, as in every diffusion U-Net.
    """

    frequencies: Tensor  # (waves,)

    def __init__(self, num_train_timesteps: int = 1000, width: int = 128, depth: int = 3, waves: int = 6):
        super().__init__()
        as_whole("num_train_timesteps", num_train_timesteps, "a whole number from 1 up", 1)
        as_whole("width", width, f"a number of neurons: 1 to {MOST}", 1, MOST)
        as_whole("depth", depth, "a number of layers: 0 to 1000", 0, 1000)
        as_whole("waves", waves, "a number of sines, and of cosines: 1 to 60", 1, 60)
        self.num_train_timesteps = num_train_timesteps
        self.register_buffer("frequencies", math.pi * 2.0 ** torch.arange(-1, waves - 1))
        self.enter = nn.Linear(2 + 2 * waves, width)
        self.blocks = nn.ModuleList(nn.Linear(width, width) for _ in range(depth))
        self.leave = nn.Linear(width, 2)

    def forward(self, x: Tensor, t: Tensor | int, hint: Tensor | float = 0.0) -> Tensor:
        t = torch.as_tensor(t, device=x.device).expand(len(x))
        phase = (t / self.num_train_timesteps)[:, None] * self.frequencies  # B,waves
        h = self.enter(torch.cat([x, phase.sin(), phase.cos()], dim=1)) + hint  # B,width
        for block in self.blocks:
            h = h + block(F.silu(h))
        return self.leave(F.silu(h))  # B,2


class LabeledPointNetwork(PointNetwork):
    """The same for points that belong to classes: (x (B, 2), t, label (B,)) -> (B, 2).

    A label is 0, 1, ... for the classes and ``no_label``, which is num_labels, for "any of them": the empty prompt.
    """

    def __init__(self, num_labels: int, width: int = 128, **settings):
        super().__init__(width=width, **settings)
        as_whole("num_labels", num_labels, f"a number of classes: 1 to {MOST}", 1, MOST)
        self.no_label = num_labels
        self.hints = nn.Embedding(num_labels + 1, width)

    def forward(self, x: Tensor, t: Tensor | int, label: Tensor) -> Tensor:
        return super().forward(x, t, self.hints(label))


def train(
    network: PointNetwork,
    points: Tensor,
    schedule: NoiseSchedule,
    *,
    labels: Tensor | None = None,
    dropout: float = 0.1,
    steps: int = 2500,
    batch_size: int = 256,
    learning_rate: float = 4e-3,
    seed: int = 0,
) -> Iterator[float]:
    """Trains `network` to guess the noise (Ho et al. 2020, algorithm 1) and yields the loss of every step.

    The caller owns the loop: it may print, plot or stop at any step. The learning rate falls to zero along a cosine.
    labels: (N,), the class of every point, for a `LabeledPointNetwork`. With probability `dropout` a label is replaced
    by "no label", so that one network learns to guess with and without (Ho and Salimans 2022, algorithm 1).

    Raises ValueError, before the first step, for points that are none and for numbers with which nothing is learned.
    """
    check_function("network", network, "(x, t) -> eps: a PointNetwork")
    check_tensor("points", points, "N", 2)
    as_number("dropout", dropout, "a number from 0 to 1", 0, 1)
    as_whole("steps", steps, "a whole number from 1 up", 1)
    as_whole("batch_size", batch_size, f"a whole number from 1 to {MOST}", 1, MOST)
    as_number("learning_rate", learning_rate, "a number above 0, to 1", ABOVE_0, 1)
    if labels is not None and len(labels) != len(points):
        raise ValueError(f"{len(labels)} labels for {len(points)} points: give one for each")
    generator = torch.Generator().manual_seed(as_seed(seed))
    optimizer = torch.optim.Adam(network.parameters(), lr=learning_rate, fused=True)
    rate = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, steps)
    for _ in range(steps):
        chosen = torch.randint(len(points), (batch_size,), generator=generator)
        x0 = points[chosen]  # B,2
        t = torch.randint(len(schedule.alphas_cumprod), (batch_size,), generator=generator)  # B
        noise = torch.randn(x0.shape, generator=generator)
        hint = []
        if labels is not None:
            dropped = torch.rand(batch_size, generator=generator) < dropout
            hint = [torch.where(dropped, torch.as_tensor(network.no_label), labels[chosen])]
        loss = F.mse_loss(network(schedule.add_noise(x0, noise, t), t, *hint), noise)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        rate.step()
        yield loss.item()


def ideal_noise(points: Tensor, schedule: NoiseSchedule) -> Callable[[Tensor, Tensor | int], Tensor]:
    """The best guess there is, if the data are exactly `points`: no network, no training, closed form.

    The mean of x0 given x_t is an average of all points, each weighted by how well it explains x_t:
    softmax over i of -|x_t - sqrt(abar) x_i|^2 / (2 (1 - abar)). The ideal noise follows from it.
    Returns predict_noise(x (B, 2), t (B,) or a number) -> (B, 2). Raises ValueError for points that are none.
    """
    check_tensor("points", points, "N", 2)

    def predict_noise(x: Tensor, t: Tensor | int) -> Tensor:
        t = torch.as_tensor(t).expand(len(x))
        alpha_bar = schedule.alphas_cumprod[t].to(x)[:, None]  # B,1
        squares = ((x[:, None] - alpha_bar[:, None].sqrt() * points) ** 2).sum(dim=2)  # B,N
        weights = torch.softmax(-squares / (2 * (1 - alpha_bar)), dim=1)  # B,N
        return (x - alpha_bar.sqrt() * (weights @ points)) / (1 - alpha_bar).sqrt()

    return predict_noise


def cloud_distance(a: Tensor, b: Tensor, *, directions: int = 64) -> float:
    """How far apart two clouds of equally many points are: the sliced Wasserstein-2 distance (Rabin et al. 2011).

    Both clouds are projected on evenly spread directions; along each, sorted points are compared pairwise.
    Zero for equal clouds, in the units of the axes. Raises ValueError if the clouds differ in size.
    """
    check_tensor("a", a, "N", 2)
    check_tensor("b", b, "N", 2)
    directions = as_whole("directions", directions, f"a whole number from 1 to {MOST}", 1, MOST)
    if a.shape != b.shape:
        raise ValueError(f"cloud_distance compares clouds of one size, got {tuple(a.shape)} and {tuple(b.shape)}")
    angle = math.pi * torch.arange(directions) / directions
    axes = torch.stack([angle.cos(), angle.sin()]).to(a)  # 2,K
    gaps = (a @ axes).sort(dim=0).values - (b @ axes).sort(dim=0).values  # N,K
    return gaps.square().mean().sqrt().item()

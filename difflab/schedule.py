"""The noise schedule: how much of the picture is left at each timestep.

    x_t = sqrt(abar_t) x_0 + sqrt(1 - abar_t) eps,    eps ~ N(0, I)          (Ho et al. 2020, eq. 4)

``abar_t`` ("alpha bar") falls from nearly 1 at t = 0 to nearly 0 at t = T - 1. Everything a sampler has to know about
noise is in this table. The numbers are computed in float32, in the order diffusers uses, so that they agree to the bit.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from numbers import Integral

import torch

from difflab.checks import ABOVE_0, as_number, as_whole

SPACINGS = ("trailing", "leading", "linspace")
LONGEST = 100_000  # timesteps in a table; 1000 is the custom


@dataclass(frozen=True, eq=False)
class NoiseSchedule:
    """The table of alpha bar and the rule that picks a few timesteps out of it.

    alphas_cumprod: (T,) tensor, every value in (0, 1], never rising.
    timestep_spacing: "trailing", "leading" or "linspace" (Lin et al. 2305.08891, table 2).
    steps_offset: added to "leading" timesteps; Stable Diffusion 1.x says 1.
    final_alpha_cumprod: alpha bar of the clean end, t = -1. It is 1; DDIM in Stable Diffusion's own configuration
        (``set_alpha_to_one: false``) stops at alphas_cumprod[0] instead.
    """

    alphas_cumprod: torch.Tensor
    timestep_spacing: str = "trailing"
    steps_offset: int = 0
    final_alpha_cumprod: float = 1.0
    _table: torch.Tensor = field(init=False, repr=False)

    def __post_init__(self):
        abar = as_table("alphas_cumprod", self.alphas_cumprod)
        if not bool(((abar > 0) & (abar <= 1)).all() and (abar.diff() <= 0).all()):
            raise ValueError("alphas_cumprod must fall and lie in (0, 1]: it is the cumulative product of 1 - beta")
        if self.timestep_spacing not in SPACINGS:
            raise ValueError(f"timestep_spacing={self.timestep_spacing!r} is unknown: choose {', '.join(SPACINGS)}")
        as_whole("steps_offset", self.steps_offset, "a whole number from 0 up: Stable Diffusion 1.x says 1", 0)
        says = "a number above 0, to 1, which means no noise"
        as_number("final_alpha_cumprod", self.final_alpha_cumprod, says, ABOVE_0, 1)
        object.__setattr__(self, "alphas_cumprod", abar)
        # One entry more, so that index -1, the clean end, needs no special case.
        object.__setattr__(self, "_table", torch.cat([abar, torch.tensor([self.final_alpha_cumprod])]))

    # -- the usual schedules ------------------------------------------------------------------------------------

    @classmethod
    def from_betas(cls, betas, **settings):
        """From the variances beta_t of the single steps: abar_t = prod_s (1 - beta_s). betas: (T,), each in [0, 1)."""
        return cls(torch.cumprod(1.0 - as_table("betas", betas), dim=0), **settings)

    @classmethod
    def scaled_linear(cls, beta_start=0.00085, beta_end=0.012, num_train_timesteps=1000, **settings):
        """Stable Diffusion's: the square roots of beta rise linearly."""
        check_betas(num_train_timesteps, beta_start=beta_start, beta_end=beta_end)
        roots = torch.linspace(beta_start**0.5, beta_end**0.5, num_train_timesteps, dtype=torch.float32)
        return cls.from_betas(roots**2, **settings)

    @classmethod
    def linear(cls, beta_start=0.0001, beta_end=0.02, num_train_timesteps=1000, **settings):
        """DDPM's: beta rises linearly (Ho et al. 2020, section 4)."""
        check_betas(num_train_timesteps, beta_start=beta_start, beta_end=beta_end)
        betas = torch.linspace(beta_start, beta_end, num_train_timesteps, dtype=torch.float32)
        return cls.from_betas(betas, **settings)

    @classmethod
    def cosine(cls, num_train_timesteps=1000, max_beta=0.999, **settings):
        """Improved DDPM's: abar(u) = cos^2((u + 0.008)/1.008 * pi/2) (Nichol and Dhariwal 2021, eq. 17)."""
        check_betas(num_train_timesteps, max_beta=max_beta)

        def abar(u):
            return math.cos((u + 0.008) / 1.008 * math.pi / 2) ** 2

        steps = range(num_train_timesteps)
        ratios = [abar((i + 1) / num_train_timesteps) / abar(i / num_train_timesteps) for i in steps]
        return cls.from_betas([min(1 - ratio, max_beta) for ratio in ratios], **settings)

    @classmethod
    def from_config(cls, config):
        """From a diffusers scheduler's configuration (a dict: ``scheduler_config.json`` or ``scheduler.config``).

        Where the configuration does not say how timesteps are spaced, they are "trailing": the one spacing that
        starts at t = T - 1, where x really is pure noise. Raises ValueError for one that no schedule follows from.
        """
        if not isinstance(config, Mapping):
            raise ValueError(f"config={config!r} must be a dict, such as diffusers' scheduler.config")
        betas = dict(
            beta_start=config.get("beta_start", 0.0001),
            beta_end=config.get("beta_end", 0.02),
            num_train_timesteps=config.get("num_train_timesteps", 1000),
        )
        kind = config.get("beta_schedule", "linear")
        if config.get("rescale_betas_zero_snr"):
            raise ValueError("rescale_betas_zero_snr=True is not supported: at alpha bar 0 no x_0 follows from eps")
        if config.get("trained_betas") is not None:
            schedule = cls.from_betas(config["trained_betas"])
        elif kind == "linear":
            schedule = cls.linear(**betas)
        elif kind == "scaled_linear":
            schedule = cls.scaled_linear(**betas)
        elif kind == "squaredcos_cap_v2":
            schedule = cls.cosine(betas["num_train_timesteps"])
        else:
            raise ValueError(f"beta_schedule={kind!r} is unknown: use linear, scaled_linear or squaredcos_cap_v2")
        to_one = config.get("set_alpha_to_one", True)
        return cls(
            schedule.alphas_cumprod,
            timestep_spacing=config.get("timestep_spacing", "trailing"),
            steps_offset=config.get("steps_offset", 0),
            final_alpha_cumprod=1.0 if to_one else schedule.alphas_cumprod[0].item(),
        )

    # -- what it knows ------------------------------------------------------------------------------------------

    def __len__(self):
        return len(self.alphas_cumprod)  # T

    def alpha_bar(self, t, like=None):
        """alpha bar at t: an int or a tensor of ints in [-1, T - 1]; -1 is the clean end.

        With ``like``, a tensor (B, ...), the answer has its device and precision and broadcasts against it.
        """
        whole = not t.is_floating_point() if isinstance(t, torch.Tensor) else isinstance(t, Integral)
        if not whole:
            raise ValueError(f"t={t!r} must be whole numbers from -1 (clean) to {len(self) - 1}")
        check_timesteps(t, -1, len(self) - 1)
        abar = self._table[torch.as_tensor(t).long().cpu()]
        if like is not None:
            abar = abar.to(like.device, like.dtype)
            abar = abar.reshape(-1, *[1] * (like.ndim - 1)) if abar.ndim else abar  # (B, 1, 1, 1)
        return abar

    def snr(self, t):
        """Signal to noise ratio abar / (1 - abar); infinite at a clean end of alpha bar 1."""
        abar = self.alpha_bar(t)
        return abar / (1 - abar)

    def add_noise(self, x0, noise, t):
        """x_t, in one jump: sqrt(abar_t) x_0 + sqrt(1 - abar_t) noise. x0, noise: (B, ...); t: int or (B,)."""
        abar = self.alpha_bar(t, like=x0)
        return abar.sqrt() * x0 + (1 - abar).sqrt() * noise

    def predict_x0(self, x, t, eps):
        """The same equation read backwards: the clean picture that x and the predicted noise imply."""
        abar = self.alpha_bar(t, like=x)
        return (x - (1 - abar).sqrt() * eps) / abar.sqrt()

    def timesteps(self, num_inference_steps, drop_last=False):
        """``num_inference_steps`` timesteps of the T, falling: (n,) LongTensor.

        drop_last: for "leading" and "linspace", space n + 1 timesteps and leave out the lowest, which is how
        diffusers spaces DPM-Solver's. "trailing" is not affected.
        """
        T = len(self)
        says = f"a whole number from 1 to {T}; 20 is a good start"
        n = as_whole("num_inference_steps", num_inference_steps, says, 1, T)
        if self.timestep_spacing == "trailing":
            return torch.tensor([round(T - k * (T / n)) - 1 for k in range(n)])
        points = min(n + drop_last, T)
        if self.timestep_spacing == "leading":
            ts = torch.arange(points) * (T // points)
            ts = ts + min(self.steps_offset, T - 1 - int(ts[-1]))
        else:
            gap = (T - 1) / (points - 1) if points > 1 else 0
            ts = torch.tensor([round(T - 1 - k * gap) for k in reversed(range(points))])
        return ts.flip(0)[:n]


# -- what is given ----------------------------------------------------------------------------------------------------


def as_table(name: str, values) -> torch.Tensor:
    """Numbers, one for each timestep, as a float32 tensor (T,) on the CPU. Raises ValueError for anything else."""
    try:
        table = torch.as_tensor(values, dtype=torch.float32).cpu()
    except (TypeError, ValueError, RuntimeError) as error:
        raise ValueError(f"{name}={values!r} must be numbers, one for each timestep") from error
    if table.ndim != 1 or not 0 < len(table) <= LONGEST:
        raise ValueError(f"{name} has the shape {tuple(table.shape)}: it must be 1 to {LONGEST} numbers in a row")
    return table


def check_betas(num_train_timesteps, **betas) -> None:
    """Raises ValueError unless this is a number of timesteps, and these, by their names, are variances from 0 to 1."""
    as_whole("num_train_timesteps", num_train_timesteps, f"a whole number from 1 to {LONGEST}", 1, LONGEST)
    for name, beta in betas.items():
        as_number(name, beta, "a number from 0 to 1", 0, 1)


def check_timesteps(t: float | torch.Tensor, first: int, last: int) -> None:
    """Raises ValueError unless t is a number from first to last, or a tensor of such."""
    says = f"from {first}{' (clean)' if first < 0 else ''} to {last}"
    if not isinstance(t, torch.Tensor):
        as_number("t", t, f"a number {says}", first, last)
    elif not t.numel() or not bool((t.min() >= first) & (t.max() <= last)):
        raise ValueError(f"t={t.tolist()} must be numbers {says}")

"""What a run tells: `log.jsonl` in its folder, and a line or a bar on the terminal."""

import json
import sys
import time
from pathlib import Path

from tqdm import tqdm

BAR = "{percentage:3.0f}%|{bar}| {elapsed} gone, {remaining} left{postfix}"
LOG = "log.jsonl"


def read_log(out: str | Path) -> list[dict]:
    """The lines of a run's log, one for each step: after a kill the repeated steps replace the first tries."""
    by_step: dict[int, dict] = {}
    for line in whole_lines(Path(out) / LOG):
        entry = json.loads(line)
        by_step[entry["step"]] = by_step.get(entry["step"], {}) | entry
    return [by_step[step] for step in sorted(by_step)]


def whole_lines(path: Path) -> list[str]:
    """The lines of a file, without a last one that a kill cut off in the middle."""
    text = path.read_text(encoding="utf-8") if path.is_file() else ""
    return text[: text.rfind("\n") + 1].splitlines()


def clock(seconds: float) -> str:
    """1:02:03 for 3723 seconds."""
    minutes, seconds = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{seconds:02d}"


class Log:
    """The log of a run that stands at `step`; what a kill cut off is removed, and all of it where the run begins."""

    def __init__(self, out: Path, step: int, progress: float):
        self.path = out / LOG
        lines = whole_lines(self.path) if step else []
        self.path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
        self.first_progress, self.began = progress, time.monotonic()
        self.speed_from = (step, self.began)
        self.running: float | None = None
        self.speed = 0.0
        self.bar = None
        if sys.stderr.isatty():
            self.bar = tqdm(total=1.0, initial=min(1.0, progress), bar_format=BAR, dynamic_ncols=True)

    def say(self, text: str) -> None:
        """A line on the terminal."""
        self.bar.write(text, file=sys.stderr) if self.bar is not None else print(text, file=sys.stderr, flush=True)

    def write(self, entry: dict) -> None:
        """A line of the file."""
        with open(self.path, "a", encoding="utf-8") as file:
            file.write(json.dumps(entry) + "\n")

    def step(self, entry: dict, batch_size: int) -> None:
        """What a step was like: `step`, `progress` (0 to 1), `loss` and more."""
        now = time.monotonic()
        step, progress, loss = entry["step"], entry["progress"], entry["loss"]
        first, since = self.speed_from
        self.speed = (step - first) * batch_size / max(1e-9, now - since)
        self.speed_from = (step, now)
        self.running = loss if self.running is None else 0.9 * self.running + 0.1 * loss
        self.write({**entry, "pictures_per_second": round(self.speed, 2)})
        if self.bar is None:
            gone = now - self.began
            done = progress - self.first_progress
            left = gone / done * (1 - progress) if done > 0 else 0.0
            self.say(
                f"step {step} ({100 * progress:.1f} %) loss {self.running:.4f} {self.speed:.1f} pictures/s "
                f"{clock(gone)} gone, {clock(left)} left"
            )

    def validation(self, step: int, seconds: float, metrics: dict[str, float]) -> None:
        """What a validation found."""
        found = {f"validation_{name}": value for name, value in metrics.items()}
        self.write({"step": step, "seconds": round(seconds, 2), **found})
        self.say(f"step {step}: " + ", ".join(f"{name} {value:.4g}" for name, value in metrics.items()))

    def move(self, step: int, progress: float) -> None:
        """Move the bar, where there is one."""
        if self.bar is not None:
            self.bar.n = min(1.0, progress)
            if self.running is not None:
                text = f"step {step}, loss {self.running:.4f}, {self.speed:.1f} pictures/s"
                self.bar.set_postfix_str(text, refresh=False)
            self.bar.refresh()

    def pause(self, seconds: float) -> None:
        """Take out of the speed what was spent on something else."""
        step, since = self.speed_from
        self.speed_from = (step, since + seconds)

    def close(self) -> None:
        if self.bar is not None:
            self.bar.close()

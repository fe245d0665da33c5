"""Where a training runs: on which device, in which precision, and as which of several processes.

Several processes are plain `torch.distributed`: `torchrun --nproc_per_node 2 -m difflab.train ...`.
"""

import atexit
import contextlib
import os
import platform
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta

import torch
import torch.distributed as distributed
from torch import Tensor

from difflab.train.options import Options

DTYPES = {"bf16": torch.bfloat16, "fp16": torch.float16}
PATIENCE = timedelta(hours=12)  # of a process whose neighbor validates or encodes pictures


@dataclass(frozen=True)
class Machine:
    """A device, the precision in which networks compute on it ("no", "bf16" or "fp16"), and one process of several."""

    device: torch.device
    precision: str = "no"
    process: int = 0
    processes: int = 1

    @property
    def main(self) -> bool:
        """Whether this is the process that logs, validates and saves."""
        return self.process == 0

    @property
    def on_cpu(self) -> bool:
        return self.device.type == "cpu"

    def autocast(self):
        """The context in which networks compute; weights and optimizer stay in float32."""
        if self.precision == "no":
            return contextlib.nullcontext()
        return torch.autocast(self.device.type, dtype=DTYPES[self.precision])

    def wait(self) -> None:
        """Until every process is here."""
        if self.processes > 1:
            distributed.barrier()

    def total(self, tensor: Tensor) -> Tensor:
        """The sum of a tensor over the processes."""
        if self.processes > 1:
            tensor = tensor.to(self.device)
            distributed.all_reduce(tensor)
        return tensor

    def agree(self, progress: float, stopping: bool) -> tuple[float, bool]:
        """Let all processes go by the main one's clock, and stop together when any of them was told to."""
        if self.processes == 1:
            return progress, stopping
        shared = self.total(torch.tensor([progress if self.main else 0.0, float(stopping)], dtype=torch.float64))
        return float(shared[0]), bool(shared[1] > 0)

    def average_gradients(self, parameters: Sequence[Tensor]) -> None:
        """Replace each gradient by its mean over the processes, in one exchange."""
        if self.processes == 1:
            return
        flat = torch.cat([(torch.zeros_like(p) if p.grad is None else p.grad).flatten() for p in parameters])
        mean = self.total(flat) / self.processes
        for p, part in zip(parameters, mean.split([p.numel() for p in parameters]), strict=True):
            p.grad = part.view_as(p)

    def describe(self) -> dict:
        """What a card says of the machine: device, its name, threads, precision, PyTorch."""
        if self.device.type == "cuda":
            name = torch.cuda.get_device_name(self.device)
        else:
            name = getattr(torch.cpu, "get_capabilities", dict)().get("cpu_name") or platform.machine()
        return {
            "device": self.device.type,
            "name": name,
            "threads": torch.get_num_threads(),
            "precision": self.precision,
            "torch": torch.__version__,
        }


def start(options: Options) -> Machine:
    """The machine that the options ask for.

    `auto` takes a GPU when there is one. In `auto` precision a GPU computes in bf16 (fp16 where it has no bf16), a CPU
    in bf16 where it has instructions for it, everything else in float32. Sets the number of PyTorch's threads where
    one is chosen, and joins the other processes when torchrun started several.

    Raises ValueError for a device that this machine does not have, and for a precision that the device has not.
    """
    have = {"cuda": torch.cuda.is_available(), "mps": torch.backends.mps.is_available(), "cpu": True}
    device = next(name for name in have if have[name]) if options.device == "auto" else options.device
    if not have[device]:
        raise ValueError(f"device={device!r} is not available on this machine; use device='cpu' or 'auto'")
    precision = best_precision(device) if options.precision == "auto" else options.precision
    if precision == "fp16" and device != "cuda":
        raise ValueError(f"precision='fp16' needs a CUDA GPU, but the device is {device!r}; use 'bf16' or 'no'")
    if options.threads is not None:
        torch.set_num_threads(options.threads)
    processes = int(os.environ.get("WORLD_SIZE", 1))
    if processes == 1:
        return Machine(torch.device(device), precision)
    where = torch.device("cuda", int(os.environ["LOCAL_RANK"])) if device == "cuda" else torch.device(device)
    if not distributed.is_initialized():
        distributed.init_process_group("nccl" if device == "cuda" else "gloo", timeout=PATIENCE)
        atexit.register(distributed.destroy_process_group)
    return Machine(where, precision, distributed.get_rank(), processes)


def best_precision(device: str) -> str:
    """bf16 where the hardware multiplies in it (without that it is slower than float32), fp16 on older GPUs."""
    if device == "cuda":
        return "bf16" if torch.cuda.is_bf16_supported(including_emulation=False) else "fp16"
    capabilities = getattr(torch.cpu, "get_capabilities", dict)()
    bf16 = any(capabilities.get(name) for name in ("avx512_bf16", "amx_bf16", "bf16"))
    return "bf16" if device == "cpu" and bf16 else "no"

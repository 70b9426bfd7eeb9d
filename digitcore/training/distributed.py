"""Several processes that train one network together, as `torchrun` starts them; alone is the common case."""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeVar

import torch
from torch import Tensor, distributed

__all__ = ["Processes", "is_first_process", "joined_processes", "local_device"]

T = TypeVar("T")


@dataclass(frozen=True)
class Processes:
    """The place of this process in a run. All hold the same weights; only the first, of rank 0, writes files."""

    rank: int = 0
    count: int = 1

    def share(self, rows: Tensor) -> Tensor:
        """Every `count`-th of rows (N, ...), from `rank` on, so that each process gets of every kind."""
        return rows[self.rank :: self.count]

    def average(self, tensors: Sequence[Tensor], *, weight: float) -> None:
        """Puts into tensors their mean over all processes. The weights of all processes add up to 1."""
        if self.count == 1:
            return
        mean = torch.cat([tensor.detach().flatten() for tensor in tensors]) * weight
        distributed.all_reduce(mean)
        parts = torch.split(mean, [tensor.numel() for tensor in tensors])
        with torch.no_grad():
            for tensor, part in zip(tensors, parts, strict=True):
                tensor.copy_(part.view(tensor.shape))

    def from_first(self, value: T) -> T:
        """What the first process calls this with."""
        if self.count == 1:
            return value
        values = [value]
        distributed.broadcast_object_list(values)
        return values[0]


def is_first_process() -> bool:
    """Whether this process writes files and shows progress."""
    return int(os.environ.get("RANK", "0")) == 0


@contextmanager
def joined_processes(device: torch.device) -> Iterator[Processes]:
    """The processes that torchrun's environment variables name, connected by NCCL on GPUs and by gloo on processors.

    Inside itself it is the same connection: one process connects once.
    """
    count = int(os.environ.get("WORLD_SIZE", "1"))
    if count == 1:
        yield Processes()
    elif distributed.is_initialized():
        yield Processes(distributed.get_rank(), count)
    else:
        distributed.init_process_group("nccl" if device.type == "cuda" else "gloo")
        try:
            yield Processes(distributed.get_rank(), count)
        finally:
            distributed.destroy_process_group()


def local_device(name: str) -> str:
    """The name of a device, "auto" and "cuda" being a GPU for each process of this machine."""
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    return f"cuda:{os.environ['LOCAL_RANK']}" if name == "cuda" and "LOCAL_RANK" in os.environ else name

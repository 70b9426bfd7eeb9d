"""Distributed training: several processes, started by `torchrun`, that train one network together."""

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, distributed

__all__ = ["ProcessGroup", "is_first_process", "local_device", "process_group"]

T = TypeVar("T")


@dataclass(frozen=True)
class ProcessGroup:
    """The processes of a run as one of them sees it: all hold the same weights, only rank 0 writes files."""

    rank: int = 0
    count: int = 1

    def shard(self, rows: Tensor) -> Tensor:
        """Every `count`-th of rows (N, ...), from `rank` on, so that each process gets rows of every kind."""
        return rows[self.rank :: self.count]

    def average(self, tensors: Sequence[Tensor], *, weight: float) -> None:
        """Replaces tensors by their weighted mean over all processes, whose weights add up to 1."""
        if self.count == 1:
            return
        mean = torch.cat([tensor.detach().flatten() for tensor in tensors]) * weight
        distributed.all_reduce(mean)
        parts = torch.split(mean, [tensor.numel() for tensor in tensors])
        with torch.no_grad():
            for tensor, part in zip(tensors, parts, strict=True):
                tensor.copy_(part.view(tensor.shape))

    def broadcast(self, value: T) -> T:
        """The value of the first process."""
        if self.count == 1:
            return value
        values = [value]
        distributed.broadcast_object_list(values)
        return values[0]

    def complete(self, rows: NDArray[np.float32], shares: Sequence[slice]) -> None:
        """Fills in the rows that other processes have computed; `shares` are the rows of each, one after the other."""
        for rank, share in enumerate(shares if self.count > 1 else ()):
            distributed.broadcast(torch.from_numpy(rows[share]), src=rank)


def is_first_process() -> bool:
    """Whether this process writes files and shows progress."""
    return int(os.environ.get("RANK", "0")) == 0


@contextmanager
def process_group(device: torch.device) -> Iterator[ProcessGroup]:
    """Connects the processes that torchrun's environment variables name, by NCCL on GPUs and by gloo on processors.

    Nested calls share one connection.
    """
    count = int(os.environ.get("WORLD_SIZE", "1"))
    if count == 1:
        yield ProcessGroup()
    elif distributed.is_initialized():
        yield ProcessGroup(distributed.get_rank(), count)
    else:
        distributed.init_process_group("nccl" if device.type == "cuda" else "gloo")
        try:
            yield ProcessGroup(distributed.get_rank(), count)
        finally:
            distributed.destroy_process_group()


def local_device(name: str) -> str:
    """The name of a device; "auto" and "cuda" become this process's own GPU of the machine."""
    if name == "auto":
        name = "cuda" if torch.cuda.is_available() else "cpu"
    return f"cuda:{os.environ['LOCAL_RANK']}" if name == "cuda" and "LOCAL_RANK" in os.environ else name

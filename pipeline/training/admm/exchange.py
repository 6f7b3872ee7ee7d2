"""Sums across the ranks of a distributed training: all that ranks ever send one another.

Under torchrun every rank works on recordings of its own and the sums of a step are added up, so
that all ranks take the same step. Bytes are those of the tensors a rank hands over.
"""

from collections.abc import Sequence
from typing import Protocol

import torch
from torch import Tensor, distributed


class Exchange(Protocol):
    """Adds tensors up over the ranks, in place."""

    rank: int
    ranks: int
    bytes_sent: int

    def add_up(self, tensors: Sequence[Tensor]) -> None:
        """Put the sum over all ranks in the place of every tensor."""


class Alone:
    """One process: there is nothing to add up."""

    rank, ranks, bytes_sent = 0, 1, 0

    def add_up(self, tensors: Sequence[Tensor]) -> None:
        """Leave the tensors as they are."""


class Group:
    """The ranks of torch's default process group (gloo or nccl)."""

    def __init__(self) -> None:
        self.rank, self.ranks = distributed.get_rank(), distributed.get_world_size()
        self.bytes_sent = 0

    def add_up(self, tensors: Sequence[Tensor]) -> None:
        """Add up all tensors in one message."""
        if not tensors:
            return
        flat = torch.cat([tensor.reshape(-1).double() for tensor in tensors])
        distributed.all_reduce(flat)
        self.bytes_sent += flat.numel() * flat.element_size()
        start = 0
        for tensor in tensors:
            part = flat[start : start + tensor.numel()]
            tensor.copy_(part.view_as(tensor))
            start += tensor.numel()

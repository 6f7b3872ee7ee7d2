"""Sums across the ranks of a distributed training: all that ranks ever send one another.

Under torchrun every rank works on recordings of its own and the sums of a step are added up, so
that all ranks take the same step. Bytes are those of the numbers a rank hands over, 8 each; how
often the network carries them is the backend's matter (a ring of n ranks: 2(n − 1)/n times).

Axes: `N` row and column of a symmetric matrix.
"""

import re
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Protocol

import torch
from torch import Tensor, distributed

from export.errors import HardspikeError


class LostRankError(HardspikeError):
    """Another rank is gone, or has given up: what it did not send cannot be waited for."""


class Exchange(Protocol):
    """Adds tensors up over the ranks, in place."""

    rank: int
    ranks: int
    bytes_sent: int

    def add_up(self, tensors: Sequence[Tensor], symmetric: Sequence[Tensor] = ()) -> None:
        """Put the sum over all ranks in the place of every tensor.

        Of the matrices in `symmetric`, `(N, N)`, one triangle is sent.
        """

    def from_first(self, data: bytes) -> bytes:
        """Return the bytes that rank 0 handed over; those of other ranks are not looked at."""


class Alone:
    """One process: there is nothing to add up."""

    rank, ranks, bytes_sent = 0, 1, 0

    def add_up(self, tensors: Sequence[Tensor], symmetric: Sequence[Tensor] = ()) -> None:
        """Leave the tensors as they are."""

    def from_first(self, data: bytes) -> bytes:
        """Return `data`."""
        return data


class Group:
    """The ranks of torch's default process group: gloo, or nccl with tensors on `device`."""

    def __init__(self, device: torch.device) -> None:
        self.rank, self.ranks = distributed.get_rank(), distributed.get_world_size()
        self.device, self.bytes_sent = device, 0

    def add_up(self, tensors: Sequence[Tensor], symmetric: Sequence[Tensor] = ()) -> None:
        """Add up all tensors in one message of float64.

        Raises:
            LostRankError: the message did not go through.
        """
        parts = [*tensors, *map(_upper, symmetric)]
        if not parts:
            return
        flat = torch.cat([part.reshape(-1).to(self.device, torch.float64) for part in parts])
        self._send(distributed.all_reduce, flat)
        pieces = torch.split(flat, [part.numel() for part in parts])
        for tensor, piece in zip(tensors, pieces, strict=False):
            tensor.copy_(piece.view_as(tensor))
        for matrix_NN, piece in zip(symmetric, pieces[len(tensors) :], strict=True):
            _put_upper(matrix_NN, piece)

    def from_first(self, data: bytes) -> bytes:
        """Return the bytes that rank 0 handed over.

        Raises:
            LostRankError: they did not come through.
        """
        size = torch.tensor([len(data)], device=self.device)
        self._send(self._from_first, size)
        sent = bytearray(data) if self.rank == 0 else bytearray(int(size))
        if not sent:
            return b""
        flat = torch.frombuffer(sent, dtype=torch.uint8).to(self.device)
        self._send(self._from_first, flat)
        return flat.cpu().numpy().tobytes()

    def _from_first(self, flat: Tensor) -> None:
        distributed.broadcast(flat, src=0)

    def _send(self, collective: Callable[[Tensor], object], flat: Tensor) -> None:
        with lost_ranks_named():
            collective(flat)
            if flat.is_cuda:
                torch.cuda.synchronize(self.device)  # nccl tells of a failure no earlier
        self.bytes_sent += flat.numel() * flat.element_size()


@contextmanager
def lost_ranks_named() -> Iterator[None]:
    """Raise LostRankError where torch's own error says that another rank cannot be reached."""
    try:
        yield
    except RuntimeError as error:
        # gloo puts the place in its source first.
        first = re.sub(r"^\[[^]]*\]\s*", "", str(error).strip()).partition("\n")[0]
        raise LostRankError(first.rstrip(". ")) from error


def _upper(matrix_NN: Tensor) -> Tensor:
    rows, columns = torch.triu_indices(*matrix_NN.shape, device=matrix_NN.device)
    return matrix_NN[rows, columns]


def _put_upper(matrix_NN: Tensor, upper: Tensor) -> None:
    rows, columns = torch.triu_indices(*matrix_NN.shape, device=matrix_NN.device)
    matrix_NN[rows, columns] = matrix_NN[columns, rows] = upper.to(matrix_NN)

"""FLOPs of training: one step of each kind under torch's own counter, times how often it was taken.

`torch.utils.flop_counter.FlopCounterMode` counts matrix products and convolutions, forward and
backward, a multiplication with its addition as two. What it has no formula for is added here, by
those of Golub & Van Loan, Matrix Computations (4th edition, 2013), for an n × n matrix and k right
sides, or an m × n one:

    Cholesky factor            n³/3                §4.2
    solve of its triangles     2n²k, of one n²k    §3.1
    QR with its Q              4mn² − 4n³/3        §5.2
    symmetric eigenvectors     about 9n³           §8.3

Elementwise arithmetic is not counted: neurons (compiled or torch's), loss, perturbation, membrane
step and optimiser. Counting runs on a twin of the network, after training and outside of its clock.
"""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from pipeline.config import SAST
from pipeline.data.events import Dataset
from pipeline.model import SpikingNetwork, to_time_first
from pipeline.neuron import Activation
from pipeline.training.sast import sharpness_aware_gradient

NOT_COUNTED = "elementwise arithmetic (neurons, loss, perturbation, membrane step, optimiser)"
PLAIN, PERTURBED = "plain", "perturbed"
"""Kinds of SAST's step: with ρ = 0, and with a perturbation."""
_RECORDINGS = 8
"""Enough for a count: it is linear in them."""


def flops_of(work: Callable[[], object]) -> int:
    """Return the FLOPs of a piece of work."""
    from torch.utils.flop_counter import FlopCounterMode

    with FlopCounterMode(display=False, custom_mapping=_factorisations()) as counter:
        work()
    return int(counter.get_total_flops())


def sast_flops(
    network: SpikingNetwork,
    data: Dataset,
    settings: SAST,
    activation: Activation,
    done: Mapping[str, int],
) -> int:
    """Return the FLOPs of SAST's steps; `done` is kind of step → recordings that it was taken on.

    The network is not touched.
    """
    batch = data.take(np.arange(min(_RECORDINGS, len(data))))
    twin = SpikingNetwork(network.settings, network.input_shape, network.classes)
    twin.reset_parameters(0)
    device = next(network.parameters()).device
    twin.to(device)
    spikes = to_time_first(batch.spikes_BTCHW, device)
    labels = torch.as_tensor(batch.labels_B).to(device)

    def loss() -> Tensor:
        return functional.cross_entropy(twin(spikes, activation), labels)

    def step(rho: float) -> int:
        chances = torch.Generator().manual_seed(0)
        chosen = settings.perturbation
        return flops_of(
            lambda: sharpness_aware_gradient(
                loss, list(twin.parameters()), rho, chosen, None, chances
            )
        )

    steps = {PLAIN: 0.0, PERTURBED: 1.0}
    return sum(
        step(steps[kind]) * recordings // len(batch.labels_B) for kind, recordings in done.items()
    )


def extrapolated(count: Callable[[int], int], parts: Sequence[int]) -> int:
    """Return the FLOPs of work on `parts` of so many recordings from those on the first parts.

    `count` gives the FLOPs on so many of the first parts. They are a constant and a share a
    recording; all parts but the last are of one size.
    """
    if len(parts) <= 2:
        return count(len(parts))
    one, two = count(1), count(2)
    return one + (two - one) * (sum(parts) - parts[0]) // parts[0]


def _factorisations() -> dict[Any, Callable[..., int]]:
    aten = torch.ops.aten
    return {
        aten.linalg_cholesky_ex: _cholesky,
        aten.cholesky_solve: _cholesky_solve,
        aten.linalg_solve_triangular: _triangular,
        aten.linalg_qr: _qr,
        aten._linalg_eigh: _eigh,
    }


def _cholesky(shape: Sequence[int], *_: Any, **__: Any) -> int:
    return shape[-1] ** 3 // 3


def _cholesky_solve(right: Sequence[int], *_: Any, **__: Any) -> int:
    return 2 * right[-2] ** 2 * right[-1]


def _triangular(matrix: Sequence[int], right: Sequence[int], *_: Any, **__: Any) -> int:
    return right[-2] * right[-1] * matrix[-1]


def _qr(shape: Sequence[int], *_: Any, **__: Any) -> int:
    long, short = max(shape[-2:]), min(shape[-2:])
    return 4 * long * short**2 - 4 * short**3 // 3


def _eigh(shape: Sequence[int], *_: Any, **__: Any) -> int:
    return 9 * int(shape[-1]) ** 3

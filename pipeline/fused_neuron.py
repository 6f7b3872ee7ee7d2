"""The neuron's time loop as one pass over memory: float32 on the processor, sigmoid surrogate.

Axes: `T` time step, `M` every neuron of every recording, in the order of memory.

torch runs the loop of `pipeline.neuron` as a dozen operations a step, each over all neurons, and
most of its time goes into moving them through memory. `pipeline.neuron_kernels` is the same
equations compiled. The results differ from torch's by rounding alone. Threads share the blocks of
neurons, so that their number changes no bit.
"""

import functools
import itertools
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

Rows = NDArray[np.float32]
"""Values of every step and neuron, `(T, M)`."""


class Constants(NamedTuple):
    """τ, ϑ, slope β, and whether the forward pass is hard."""

    decay: float
    threshold: float
    slope: float
    hard: bool

    def numbers(self) -> tuple[np.float32, np.float32, np.float32, bool]:
        """Return the constants in the precision of the arithmetic."""
        return np.float32(self.decay), np.float32(self.threshold), np.float32(self.slope), self.hard


def rows(tensor: Tensor) -> Rows | None:
    """Return the memory of a float32 `(T, …)` tensor as `(T, M)`, or None where that is not dense.

    The rows share the tensor's memory; neurons are in its own order (channels last or first).
    """
    if tensor.dtype != torch.float32 or tensor.device.type != "cpu":
        return None
    expected = 1
    for stride, size in sorted(zip(tensor.stride(), tensor.shape, strict=True)):
        if size > 1 and stride != expected:
            return None
        expected *= size
    steps = len(tensor)
    neurons = tensor.numel() // max(steps, 1)
    if steps > 1 and tensor.stride(0) != neurons:
        return None
    view: Rows = tensor.detach().as_strided((steps, neurons), (neurons, 1)).numpy()
    return view


def fire(drive_membranes_spikes: Sequence[Rows], constants: Constants) -> None:
    """Write membranes and spikes of every step from the drive."""
    from pipeline.neuron_kernels import forward

    _over_blocks(forward, drive_membranes_spikes, constants)


def fire_backward(grad_membranes_spikes_drive: Sequence[Rows], constants: Constants) -> None:
    """Write ∂L/∂I of every step, the last array, from ∂L/∂s, membranes and spikes."""
    from pipeline.neuron_kernels import backward

    _over_blocks(backward, grad_membranes_spikes_drive, constants)


def _over_blocks(kernel: Callable[..., None], arrays: Sequence[Rows], constants: Constants) -> None:
    from pipeline.neuron_kernels import BLOCK

    neurons, numbers = arrays[0].shape[1], constants.numbers()
    blocks = -(-neurons // BLOCK)
    threads = min(torch.get_num_threads(), blocks)
    if threads <= 1:
        kernel(*arrays, 0, neurons, *numbers)
        return
    bounds = [min(part * blocks // threads * BLOCK, neurons) for part in range(threads + 1)]
    jobs = [
        _pool(threads).submit(kernel, *arrays, first, last, *numbers)
        for first, last in itertools.pairwise(bounds)
    ]
    for job in jobs:
        job.result()


@functools.cache
def _pool(threads: int) -> ThreadPoolExecutor:
    return ThreadPoolExecutor(threads, thread_name_prefix="neurons")

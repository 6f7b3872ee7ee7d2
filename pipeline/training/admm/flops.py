"""FLOPs of ADMM: one step of each kind, on a twin, under torch's counter (`training.flops`).

Kinds of step: the first fit of the readout, a step that renews the Gram matrices of some layers (or
of none), and a pass of the published iteration, of which the first also inverts the Gram matrix of
the input. What a step does depends on the numbers in one place, whether a wide layer is solved by
its leading eigenvectors (`ridge`); it is counted as at the end of the training.
"""

from collections.abc import Callable, Mapping, Sequence

import numpy as np
import torch
from numpy.typing import NDArray

from pipeline.data.events import Dataset
from pipeline.model import SpikingNetwork, to_time_first
from pipeline.training.admm.exchange import Alone
from pipeline.training.admm.published import PublishedIteration
from pipeline.training.admm.settings import ADMM, Stream
from pipeline.training.admm.stack import Stack
from pipeline.training.admm.steps import Batch, Memory, Steps
from pipeline.training.flops import extrapolated, flops_of

START, FIRST_PASS, PASS = "start", "first pass", "pass"
_RENEWED = "renewed"
_RECORDINGS = 8
"""Enough for a pass of the published iteration: its count is a constant and a share a recording."""
Parts = Sequence[NDArray[np.int64]]
"""Recordings, by their index, in parts that are worked on at once."""


def kind_of(renewed: Sequence[int]) -> str:
    """Return the kind of a step that renews these layers' Gram matrices."""
    return " ".join([_RENEWED, *map(str, renewed)])


def resync_flops(
    steps: Steps, data: Dataset, step_parts: Parts, all_parts: Parts, done: Mapping[str, int]
) -> int:
    """Return the FLOPs of steps on `step_parts` and fits on `all_parts`, each as often as `done`.

    Nothing of `steps` is changed.
    """
    total = 0
    for kind, times in done.items():
        if kind == START:
            total += times * _fit_flops(steps, data, all_parts)
        else:
            total += times * _step_flops(steps, data, step_parts, kind)
    return total


def _fit_flops(steps: Steps, data: Dataset, parts: Parts) -> int:
    twin = _twin(steps)

    def count(number: int) -> int:
        batches = _batches(twin, data, parts[:number])
        return flops_of(lambda: twin.refit_readout(batches))

    return extrapolated(count, [len(part) for part in parts])


def _step_flops(steps: Steps, data: Dataset, parts: Parts, kind: str) -> int:
    twin = _twin(steps)
    first = twin.memory.steps
    number = next(step for step in range(first) if kind_of(twin.due(step)) == kind)
    step = _stream if isinstance(twin.settings.batch, Stream) else _full
    step(twin, _batches(twin, data, parts[:1]), first)  # makes the factors that a step finds made

    def count(taken: int) -> int:
        batches = _batches(twin, data, parts[:taken])
        return flops_of(lambda: step(twin, batches, number))

    return extrapolated(count, [len(part) for part in parts])


def _stream(twin: Steps, batches: Sequence[Batch], number: int) -> None:
    twin.memory.steps = number
    twin.stream(batches, 2 * number + 2)  # half-way, where no schedule is at its end


def _full(twin: Steps, batches: Sequence[Batch], number: int) -> None:
    twin.memory.steps = number
    twin.full(lambda: batches)


def _twin(steps: Steps) -> Steps:
    """Return a copy of the network's weights, of the memory and of all that is made from them."""
    network, memory = steps.stack.network, steps.memory
    copied = {key: value.clone() for key, value in memory.tensors().items()}
    device = steps.stack.weights_T.device
    stack = Stack(_copied(network), len(steps.stack.weights_T), steps.stack.reset)
    return Steps(stack, steps.settings, Alone(), Memory.restored(copied, device))


def _copied(network: SpikingNetwork) -> SpikingNetwork:
    twin = SpikingNetwork(network.settings, network.input_shape, network.classes)
    first = next(network.parameters())
    twin.to(first.device, first.dtype)
    with torch.no_grad():
        for mine, others in zip(twin.parameters(), network.parameters(), strict=True):
            mine.copy_(others)
    return twin


def _batches(twin: Steps, data: Dataset, parts: Parts) -> list[Batch]:
    device = twin.stack.weights_T.device
    return [
        (
            to_time_first(data.spikes_BTCHW[part], device),
            torch.as_tensor(data.labels_B[part]).to(device),
        )
        for part in parts
    ]


def published_flops(
    network: SpikingNetwork, data: Dataset, settings: ADMM, done: Mapping[str, int]
) -> int:
    """Return the FLOPs of passes of the published iteration over `data`, as often as `done`."""
    size = min(_RECORDINGS, len(data))
    sizes = (
        [size, len(data) - size] if len(data) <= 2 * size else [size, size, len(data) - 2 * size]
    )
    counts: dict[int, dict[str, int]] = {}

    def counted(number: int) -> dict[str, int]:
        if number not in counts:
            chosen = data.take(np.arange(sum(sizes[:number])))
            iteration = PublishedIteration(_copied(network), chosen, settings, 0)
            # The first pass of all makes what every later one finds made.
            counts[number] = {kind: flops_of(iteration.advance) for kind in (FIRST_PASS, PASS)}
        return counts[number]

    def total(kind: str) -> Callable[[int], int]:
        return lambda number: counted(number)[kind]

    return sum(times * extrapolated(total(kind), sizes) for kind, times in done.items())

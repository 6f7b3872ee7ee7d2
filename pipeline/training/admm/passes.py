"""Passes over the recordings, in either form of ADMM: what each does, notes and costs.

Axes: `B` recording, `T` time step, `C` channel, `H` height, `W` width.
"""

from collections.abc import Iterator, Mapping
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from export.errors import HardspikeError
from pipeline.data.events import Dataset
from pipeline.data.splits import limited
from pipeline.model import SpikingNetwork, to_time_first
from pipeline.training.admm.convergence import convergence
from pipeline.training.admm.exchange import Exchange
from pipeline.training.admm.flops import (
    FIRST_PASS,
    PASS,
    START,
    kind_of,
    published_flops,
    resync_flops,
)
from pipeline.training.admm.published import PublishedIteration
from pipeline.training.admm.resync import Sums
from pipeline.training.admm.settings import ADMM, Full, Stream
from pipeline.training.admm.stack import Stack
from pipeline.training.admm.steps import Batch, Memory, Steps
from pipeline.training.augment import shift_at_random
from pipeline.training.checkpoint import Progress
from pipeline.training.clock import Clock, energy_counter
from pipeline.training.loop import Report

_PROBE = 100
"""Recordings that the convergence measures are taken on, of every class in its proportion; of many
ranks, the first rank's."""


class Passes(Protocol):
    """A form of ADMM on one network; `recordings` are those of all ranks."""

    network: SpikingNetwork
    recordings: int

    def start(self, progress: Progress) -> None:
        """Do what comes before the first pass."""

    def one_pass(self, index: int, progress: Progress, report: Report) -> None:
        """Take one pass, and note what it did and cost."""

    def flops(self, done: Mapping[str, int]) -> int:
        """Return the FLOPs of this rank; `done` is kind of step → how often it was taken."""

    def tensors(self) -> dict[str, Tensor]:
        """Return the state but for the weights."""

    def restore(self, tensors: dict[str, Tensor]) -> None:
        """Go on from what `tensors` returned."""


def passes_of(
    network: SpikingNetwork, data: Dataset, settings: ADMM, seed: int, exchange: Exchange
) -> Passes:
    """Return the passes of the variant that the settings name.

    Raises:
        HardspikeError: the variant is not for this network, or a rank is without recordings.
    """
    if settings.variant == "published":
        return PublishedPasses(network, data, settings, seed, exchange)
    return ResyncPasses(network, data, settings, seed, exchange)


class PublishedPasses:
    """Passes of the published iteration. Its measures are of a soft reset, as it has it."""

    def __init__(
        self,
        network: SpikingNetwork,
        data: Dataset,
        settings: ADMM,
        seed: int,
        exchange: Exchange,
    ) -> None:
        self.network, self.settings, self.exchange = network, settings, exchange
        self.recordings = counted_recordings(data, settings, exchange)
        self.data = data
        self._iteration = PublishedIteration(network, data, settings, seed, exchange)
        self._clock = clock_of(self._iteration.stack.weights_T.device, exchange)

    def start(self, progress: Progress) -> None:
        """Nothing comes before the first pass."""

    def one_pass(self, index: int, progress: Progress, report: Report) -> None:
        """Take one pass, and note what it did and cost."""
        sent = self.exchange.bytes_sent
        with self._clock.running(progress):
            self._iteration.advance()
        progress.samples += self.recordings
        progress.count_step(PASS if index else FIRST_PASS)
        entry = {"epoch": index, "bytes_sent": self.exchange.bytes_sent - sent}
        progress.history.append(entry | self._iteration.curves())
        report(index + 1, self.settings.passes)

    def flops(self, done: Mapping[str, int]) -> int:
        """Return the FLOPs of this rank; see `flops`."""
        return published_flops(self.network, self.data, self.settings, done)

    def tensors(self) -> dict[str, Tensor]:
        """Return the state but for the weights."""
        return self._iteration.tensors()

    def restore(self, tensors: dict[str, Tensor]) -> None:
        """Go on from what `tensors` returned."""
        self._iteration.restore(tensors)


def clock_of(device: torch.device, exchange: Exchange) -> Clock:
    """Return the clock of a rank.

    Several ranks have no counter of energy in common: how many machines or GPUs they share, none of
    them knows.
    """
    return Clock(device, energy_counter(device) if exchange.ranks == 1 else None)


def counted_recordings(data: Dataset, settings: ADMM, exchange: Exchange) -> int:
    """Return the recordings of all ranks together."""
    whole = torch.tensor([float(len(data))], dtype=torch.float64)
    if settings.exchange == "sums":
        exchange.add_up([whole])
    return int(whole)


class ResyncPasses:
    """Passes of the resynchronised form; their random numbers come from (seed, pass) alone."""

    def __init__(
        self,
        network: SpikingNetwork,
        data: Dataset,
        settings: ADMM,
        seed: int,
        exchange: Exchange,
    ) -> None:
        self.network, self.data, self.settings = network, data, settings
        self.seed, self.exchange = seed, exchange
        self.stack = Stack(network, data.spikes_BTCHW.shape[1], settings.reset)
        self.steps = Steps(self.stack, settings, exchange)
        self.recordings = counted_recordings(data, settings, exchange)
        self.minibatches = self._count_minibatches()
        self._clock = clock_of(self.device, exchange)

    @property
    def device(self) -> torch.device:
        return self.network.layers[0].weight.device  # type: ignore[return-value]

    def restore(self, tensors: dict[str, Tensor]) -> None:
        """Go on from what `tensors` returned."""
        memory = Memory.restored(tensors, self.device)
        self.steps = Steps(self.stack, self.settings, self.exchange, memory)

    def flops(self, done: Mapping[str, int]) -> int:
        """Return the FLOPs of this rank; see `flops`."""
        own = self.own_parts(self._everything())
        if isinstance(self.settings.batch, Stream):
            first = np.array_split(self._everything(), self.minibatches)[0]
            return resync_flops(self.steps, self.data, self.own_parts(first), own, done)
        return resync_flops(self.steps, self.data, own, own, done)

    def tensors(self) -> dict[str, Tensor]:
        """Return the state but for the weights."""
        return self.steps.memory.tensors()

    def start(self, progress: Progress) -> None:
        """Fit the readout to the network as it was drawn."""
        if self.stack.readout is None:
            return
        with self._clock.running(progress):
            self.steps.refit_readout(self._parts(self._everything(), np.random.default_rng(0)))
        progress.count_step(START)

    def one_pass(self, index: int, progress: Progress, report: Report) -> None:
        """Take the steps of one pass, and note what it did and cost."""
        sent, correct, mismatch, count = self.exchange.bytes_sent, 0, 0.0, 0
        with self._clock.running(progress):
            for done, sums in enumerate(self._steps_of(index), 1):
                correct, count = correct + sums.correct, count + sums.recordings
                mismatch += sums.mismatch
                progress.count_step(kind_of(self.steps.renewed))
                report(index * self.minibatches + done, self.settings.passes * self.minibatches)
        progress.samples += self.recordings
        if not np.isfinite(mismatch):
            raise HardspikeError("train: the evidence is not finite; a larger train.ridge may help")
        entry = {"epoch": index, "mismatch": mismatch / count, "training_hard": correct / count}
        entry |= {"bytes_sent": self.exchange.bytes_sent - sent}
        progress.history.append(entry | self._convergence())

    def _steps_of(self, index: int) -> Iterator[Sums]:
        generator = np.random.default_rng((self.seed, index))
        match self.settings.batch:
            case Full():
                # Every trial of a step size sees the same augmentation.
                seeds = (self.seed, index, 1)
                yield self.steps.full(
                    lambda: self._parts(self._everything(), np.random.default_rng(seeds))
                )
            case Stream():
                order = generator.permutation(len(self.data))
                total = self.settings.passes * self.minibatches
                for chosen in np.array_split(order, self.minibatches):
                    yield self.steps.stream(list(self._parts(chosen, generator)), total)

    def _everything(self) -> NDArray[np.int64]:
        return np.arange(len(self.data))

    @property
    def _deal(self) -> int:
        """Every how many parts one falls to a rank."""
        shared = self.exchange.ranks > 1 and self.settings.exchange == "recordings"
        return self.exchange.ranks if shared else 1

    def own_parts(self, chosen: NDArray[np.int64]) -> list[NDArray[np.int64]]:
        """Return the parts of the chosen recordings that fall to this rank."""
        deal, chunk = self._deal, self.settings.chunk
        parts = [chosen[start : start + chunk] for start in range(0, len(chosen), chunk)]
        return parts[self.exchange.rank % deal :: deal]

    def _parts(self, chosen: NDArray[np.int64], generator: np.random.Generator) -> Iterator[Batch]:
        """Yield the chosen recordings, at most `chunk` at a time; of shared ones a rank's parts."""
        settings, deal = self.settings, self._deal
        offsets = generator.spawn(1)[0]
        for number, start in enumerate(range(0, len(chosen), settings.chunk)):
            part = chosen[start : start + settings.chunk]
            spikes = shift_at_random(self.data.spikes_BTCHW[part], settings.shift_pixels, offsets)
            if number % deal == self.exchange.rank % deal:
                labels = torch.as_tensor(self.data.labels_B[part]).to(self.device)
                yield to_time_first(spikes, self.device), labels

    def _count_minibatches(self) -> int:
        """Return the minibatches of a pass, and refuse ranks without recordings."""
        batch, ranks, count = self.settings.batch, self.exchange.ranks, len(self.data)
        alike = self.settings.exchange == "recordings"
        size = batch.batch_size if isinstance(batch, Stream) else self.recordings
        minibatches = max(1, -(-self.recordings // size))
        smallest = count // minibatches
        parts = -(-smallest // self.settings.chunk)
        if smallest < (ranks if alike else 1):
            raise HardspikeError(
                f"train.batch: found {minibatches} minibatches for {count} recordings on rank "
                f"{self.exchange.rank} of {ranks}; allowed is no rank without one: larger "
                "minibatches or more recordings are needed"
            )
        if alike and ranks > parts:
            raise HardspikeError(
                f"train.chunk: found {self.settings.chunk}, which leaves a rank of {ranks} without "
                f"recordings of a minibatch of {smallest}; allowed up to {smallest // ranks}"
            )
        return minibatches

    def probe(self) -> Dataset:
        """Return the recordings that the convergence measures are taken on."""
        return self.data.take(limited(self.data.labels_B, _PROBE))

    def _convergence(self) -> dict[str, float]:
        probe = self.probe()
        batch = to_time_first(probe.spikes_BTCHW, self.device)
        labels = torch.as_tensor(probe.labels_B).to(self.device)
        return convergence(self.steps, (batch, labels))

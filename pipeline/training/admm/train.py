"""Training by ADMM: passes over the recordings, validation, best weights, resume.

Axes: `B` recording, `T` time step, `C` channel, `H` height, `W` width.

Nothing here or below it differentiates: everything runs in torch's inference mode. Training cost
counts the passes alone; validation, convergence measures and writing are outside of it.
"""

import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from export.errors import HardspikeError
from pipeline.data.events import Dataset
from pipeline.model import SpikingNetwork, predict, to_time_first
from pipeline.neuron import Activation
from pipeline.training.admm.convergence import convergence
from pipeline.training.admm.exchange import Alone, Exchange
from pipeline.training.admm.resync import Sums
from pipeline.training.admm.settings import ADMM, Full, Stream
from pipeline.training.admm.stack import Stack
from pipeline.training.admm.steps import Batch, Memory, Steps
from pipeline.training.augment import shift_at_random
from pipeline.training.checkpoint import Progress, load_state, save_state
from pipeline.training.loop import Report, Say, TrainResult, choose_device, peak_memory_bytes

_PROBE = 100
"""Recordings that the convergence measures are taken on."""


@torch.inference_mode()
def train_admm(
    network: SpikingNetwork,
    training: Dataset,
    validation: Dataset,
    settings: ADMM,
    seed: int,
    state_path: Path,
    fingerprint: str,
    report: Report,
    say: Say = lambda line: None,
    exchange: Exchange | None = None,
) -> TrainResult:
    """Train `network` in place and return its best weights by validation.

    After every pass the whole state goes to `state_path`; where a state of the same `fingerprint`,
    device, threads and ranks is found there, training goes on from it. Only rank 0 of an `exchange`
    reads and writes it.

    Raises:
        HardspikeError: the device is absent, a rank is left without recordings or lost, or the
            state is damaged.
    """
    exchange = exchange if exchange is not None else Alone()
    device = choose_device(settings.device)
    fingerprint = f"{fingerprint} {device.type} {torch.get_num_threads()} {exchange.ranks}"
    network.reset_parameters(seed)
    network.to(device)
    work = _Work(network, training, settings, seed, exchange)
    found = _load_everywhere(state_path, fingerprint, work)
    progress, best = found if found is not None else (Progress(fingerprint), {})
    if found is not None:
        say(f"train     goes on after pass {progress.epoch} of {settings.passes}")
    else:
        work.start(progress)
    for index in range(progress.epoch, settings.passes):
        work.one_pass(index, progress, report)
        best = _validate(work, validation, progress, best)
        progress.epoch = index + 1
        if exchange.rank == 0:
            save_state(state_path, progress, network, best, work.steps.memory.tensors())
    return TrainResult(best, hard_activation(network), progress, str(device))


def _load_everywhere(
    path: Path, fingerprint: str, work: "_Work"
) -> tuple[Progress, dict[str, Tensor]] | None:
    """Load the state that rank 0 finds, on all ranks; they need not share a file system."""
    exchange = work.exchange
    if exchange.ranks == 1:
        return load_state(path, fingerprint, work.network, work.restore)
    fingerprint = exchange.from_first(fingerprint.encode()).decode()
    data = path.read_bytes() if exchange.rank == 0 and path.exists() else b""
    data = exchange.from_first(data)
    if exchange.rank == 0 or not data:
        return load_state(path, fingerprint, work.network, work.restore) if data else None
    with tempfile.TemporaryDirectory(prefix="hardspike-") as folder:
        copy = Path(folder) / path.name
        copy.write_bytes(data)
        return load_state(copy, fingerprint, work.network, work.restore)


def hard_activation(network: SpikingNetwork) -> Activation:
    """Return the activation of a network that has hard spikes only; its slope is never used."""
    return Activation(network.settings.surrogate, 1.0, "hard")


@torch.inference_mode()
def refit_readout(network: SpikingNetwork, data: Dataset, ridge: float) -> float:
    """Fit a `membrane` readout anew to the hard features of all recordings; return the seconds.

    It stands outside of any pass: a part of ADMM that any training can end with.
    """
    started = time.perf_counter()
    settings = ADMM(method="admm", output_ridge=ridge)
    work = _Work(network, data, settings, 0, Alone())
    work.start(Progress(""))
    return time.perf_counter() - started


class _Work:
    """What a pass works on and with; its random numbers come from (seed, pass) alone."""

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
        self.recordings = self._count_recordings()
        self.minibatches = self._count_minibatches()

    @property
    def device(self) -> torch.device:
        return self.network.layers[0].weight.device  # type: ignore[return-value]

    def restore(self, tensors: dict[str, Tensor]) -> None:
        memory = Memory.restored(tensors, self.device)
        self.steps = Steps(self.stack, self.settings, self.exchange, memory)

    def start(self, progress: Progress) -> None:
        """Fit the readout to the network as it was drawn."""
        started = time.perf_counter()
        if self.stack.readout is not None:
            self.steps.refit_readout(self._parts(self._everything(), np.random.default_rng(0)))
        progress.seconds += time.perf_counter() - started

    def one_pass(self, index: int, progress: Progress, report: Report) -> None:
        """Take the steps of one pass, and note what it did and cost."""
        started = time.perf_counter()
        sent, correct, mismatch, count = self.exchange.bytes_sent, 0, 0.0, 0
        for done, sums in enumerate(self._steps_of(index), 1):
            correct, count = correct + sums.correct, count + sums.recordings
            mismatch += sums.mismatch
            report(index * self.minibatches + done, self.settings.passes * self.minibatches)
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)
        progress.seconds += time.perf_counter() - started
        progress.samples += self.recordings
        peak = peak_memory_bytes(self.device)
        progress.peak_memory_bytes = max(progress.peak_memory_bytes, peak)
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

    def _parts(self, chosen: NDArray[np.int64], generator: np.random.Generator) -> Iterator[Batch]:
        """Yield the chosen recordings, at most `chunk` at a time; of shared ones a rank's parts."""
        settings, shared = self.settings, self.exchange.ranks > 1
        deal = self.exchange.ranks if shared and settings.exchange == "recordings" else 1
        offsets = generator.spawn(1)[0]
        for number, start in enumerate(range(0, len(chosen), settings.chunk)):
            part = chosen[start : start + settings.chunk]
            spikes = shift_at_random(self.data.spikes_BTCHW[part], settings.shift_pixels, offsets)
            if number % deal == self.exchange.rank % deal:
                labels = torch.as_tensor(self.data.labels_B[part]).to(self.device)
                yield to_time_first(spikes, self.device), labels

    def _count_recordings(self) -> int:
        """Return the recordings of all ranks together."""
        whole = torch.tensor([float(len(self.data))], dtype=torch.float64)
        if self.settings.exchange == "sums":
            self.exchange.add_up([whole])
        return int(whole)

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

    def _convergence(self) -> dict[str, float]:
        probe = self.data.take(np.arange(min(_PROBE, len(self.data))))
        batch = to_time_first(probe.spikes_BTCHW, self.device)
        labels = torch.as_tensor(probe.labels_B).to(self.device)
        return convergence(self.steps, (batch, labels))


def _validate(
    work: _Work, validation: Dataset, progress: Progress, best: dict[str, Tensor]
) -> dict[str, Tensor]:
    """Add the validation accuracy to the history; return the best weights so far.

    Without validation recordings the last pass is the best. Ranks with recordings of their own add
    up what they got right.
    """
    counts = torch.zeros(2, dtype=torch.float64)
    if len(validation):
        network = work.network
        classes = predict(network, validation.spikes_BTCHW, hard_activation(network))
        right = int((classes == validation.labels_B).sum())
        counts = torch.tensor([right, len(validation)], dtype=torch.float64)
    if work.settings.exchange == "sums":
        work.exchange.add_up([counts])
    score = float(counts[0] / counts[1]) if counts[1] else 0.0
    if counts[1]:
        progress.history[-1]["validation_hard"] = score
    if not best or score >= progress.best_score[0]:
        progress.best_score, progress.best_epoch = (score, 0.0), len(progress.history) - 1
        return work.network.weights()
    return best

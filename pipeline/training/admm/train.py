"""Training by ADMM: passes over the recordings, validation, best weights, resume.

Axes: `B` recording, `T` time step, `C` channel, `H` height, `W` width.

Nothing here or below it differentiates: everything runs in torch's inference mode. Training cost
counts the passes alone; validation, convergence measures and writing are outside of it.
"""

import contextlib
import tempfile
from collections.abc import Iterator
from pathlib import Path

import torch
from torch import Tensor

from export.errors import HardspikeError
from pipeline.data.events import Dataset
from pipeline.model import SpikingNetwork
from pipeline.neuron import Activation
from pipeline.training.admm.exchange import Alone, Exchange
from pipeline.training.admm.passes import Passes, passes_of
from pipeline.training.admm.settings import ADMM
from pipeline.training.admm.stack import predicted
from pipeline.training.checkpoint import Progress, load_state, save_state
from pipeline.training.loop import Report, Say, TrainResult, choose_device


@torch.inference_mode()
def train_admm(
    network: SpikingNetwork,
    training: Dataset,
    validation: Dataset,
    settings: ADMM,
    seed: int,
    state_path: Path | None,
    fingerprint: str,
    report: Report,
    say: Say = lambda line: None,
    exchange: Exchange | None = None,
) -> TrainResult:
    """Train `network` in place and return its best weights by validation.

    After every pass the whole state goes to `state_path`, if there is one; where a state of the
    same `fingerprint`, device, threads and ranks is found there, training goes on from it. Only
    rank 0 of an `exchange` reads and writes it; `variant: published` of several ranks starts anew.

    Raises:
        HardspikeError: the device is absent or out of memory, a rank is left without recordings or
            lost, a matrix cannot be factored, or the state is damaged.
    """
    with _faults_in_words(settings):
        exchange = exchange if exchange is not None else Alone()
        device = choose_device(settings.device)
        fingerprint = f"{fingerprint} {device.type} {torch.get_num_threads()} {exchange.ranks}"
        network.reset_parameters(seed)
        network.to(device)
        work = passes_of(network, training, settings, seed, exchange)
        found = None
        if state_path is not None:
            found = _load_everywhere(state_path, fingerprint, work, exchange)
        progress, best = found if found is not None else (Progress(fingerprint), {})
        if found is not None:
            say(f"train     goes on after pass {progress.epoch} of {settings.passes}")
        else:
            if state_path is not None and state_path.exists():
                say(
                    "train     the state found is of another config, device, thread or rank count: "
                    "starts again"
                )
            work.start(progress)
        for index in range(progress.epoch, settings.passes):
            work.one_pass(index, progress, report)
            best = _validate(network, validation, settings, exchange, progress, best)
            progress.epoch = index + 1
            # The published iteration's variables lie with their recordings, on every rank its own.
            kept = exchange.ranks == 1 or settings.variant == "resync"
            if state_path is not None and exchange.rank == 0 and kept:
                save_state(state_path, progress, network, best, work.tensors())
        progress.flops += _counted(work, progress, exchange)
        return TrainResult(best, hard_activation(network), progress, str(device))


@contextlib.contextmanager
def _faults_in_words(settings: ADMM) -> Iterator[None]:
    """Turn what torch cannot allocate or factor into one line."""
    try:
        yield
    except torch.linalg.LinAlgError as error:  # type: ignore[attr-defined]
        raise HardspikeError(
            f"train.ridge, damping: found {settings.ridge:g} and {settings.damping:g}, with which "
            "a matrix cannot be factored; larger ones are needed"
        ) from error
    except RuntimeError as error:
        if "memory" not in str(error):
            raise
        raise HardspikeError(
            f"train.chunk: found {settings.chunk}, which does not fit the memory; "
            "a smaller one is needed"
        ) from error


def _load_everywhere(
    path: Path, fingerprint: str, work: Passes, exchange: Exchange
) -> tuple[Progress, dict[str, Tensor]] | None:
    """Load the state that rank 0 finds, on all ranks; they need not share a file system."""
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


def _counted(work: Passes, progress: Progress, exchange: Exchange) -> int:
    """Return the FLOPs of all ranks together."""
    own = torch.tensor([float(work.flops(progress.steps))], dtype=torch.float64)
    exchange.add_up([own])
    return int(own)


@torch.inference_mode()
def refit_readout(network: SpikingNetwork, data: Dataset, ridge: float) -> Progress:
    """Fit a `membrane` readout anew to the hard features of all recordings; return what it cost.

    It stands outside of any pass: a part of ADMM that any training can end with.
    """
    settings = ADMM(method="admm", output_ridge=ridge)
    work = passes_of(network, data, settings, 0, Alone())
    progress = Progress("")
    with _faults_in_words(settings):
        work.start(progress)
        progress.flops = work.flops(progress.steps)
    return progress


def _validate(
    network: SpikingNetwork,
    validation: Dataset,
    settings: ADMM,
    exchange: Exchange,
    progress: Progress,
    best: dict[str, Tensor],
) -> dict[str, Tensor]:
    """Add the validation accuracy to the history; return the best weights so far.

    It is that of the network of the settings' reset. Without validation recordings the last pass is
    the best. Ranks with recordings of their own add up what they got right.
    """
    classes = predicted(network, validation.spikes_BTCHW, settings.reset)
    right = float((classes == validation.labels_B).sum())
    counts = torch.tensor([right, len(validation)], dtype=torch.float64)
    if settings.exchange == "sums":
        exchange.add_up([counts])
    score = float(counts[0] / counts[1]) if counts[1] else 0.0
    if counts[1]:
        progress.history[-1]["validation_hard"] = score
    if not best or score >= progress.best_score[0]:
        progress.best_score, progress.best_epoch = (score, 0.0), len(progress.history) - 1
        return network.weights()
    return best

"""The training loop: epochs over minibatches, validation, best checkpoint, resume.

Axes: `B` recording, `T` time step, `C` channel, `H` height, `W` width.

Training cost counts the minibatch loop alone; validation and writing are outside of it. The same
seed, machine and thread count give the same weights to the bit, and so does a run that was killed
and went on.
"""

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from export.errors import HardspikeError
from pipeline.config import SAST, SGD, Adam
from pipeline.data.events import Dataset
from pipeline.model import SpikingNetwork, predict, to_time_first
from pipeline.neuron import Activation
from pipeline.training.augment import shift_at_random
from pipeline.training.checkpoint import (
    Progress,
    load_state,
    optimizer_tensors,
    restore_optimizer,
    save_state,
)
from pipeline.training.clock import Clock, energy_counter
from pipeline.training.flops import PERTURBED, PLAIN, sast_flops
from pipeline.training.sast import sharpness_aware_gradient
from pipeline.training.schedules import Phase, phase_at, total_epochs

Report = Callable[[int, int], None]
"""Called with (minibatches done, all of them)."""
Say = Callable[[str], None]
"""Called with one line for the user."""


@dataclass(frozen=True)
class TrainResult:
    """The best weights, the activation they were best with, and what training did and cost."""

    weights: dict[str, Tensor]
    activation: Activation
    progress: Progress
    device: str


def choose_device(wanted: str) -> torch.device:
    """Return the device for `auto`, `cpu` or `cuda`.

    Raises:
        HardspikeError: `cuda` where torch sees no GPU.
    """
    if wanted == "cuda" and not torch.cuda.is_available():
        raise HardspikeError("train.device: found cuda, but torch sees no GPU here; allowed cpu")
    use_cuda = wanted != "cpu" and torch.cuda.is_available()
    if use_cuda:
        torch.backends.cudnn.deterministic, torch.backends.cudnn.benchmark = True, False
        # Full float32: what is validated must be the network that is converted.
        torch.backends.cudnn.allow_tf32 = torch.backends.cuda.matmul.allow_tf32 = False
    return torch.device("cuda" if use_cuda else "cpu")


def train(
    network: SpikingNetwork,
    training: Dataset,
    validation: Dataset,
    settings: SAST,
    seed: int,
    state_path: Path,
    fingerprint: str,
    report: Report,
    say: Say = lambda line: None,
    warm_start: Callable[[Progress], None] | None = None,
) -> TrainResult:
    """Train `network` in place and return its best weights by validation.

    `warm_start` puts other weights than drawn ones into the network before the first epoch, and
    adds what that cost. After every epoch the whole state goes to `state_path`; where a state of
    the same `fingerprint`, device and thread count is found there, training goes on from it.

    Raises:
        HardspikeError: the loss is not finite, the device is absent or out of memory, or the state
            is damaged.
    """
    device = choose_device(settings.device)
    fingerprint = f"{fingerprint} {device.type} {torch.get_num_threads()}"
    network.reset_parameters(seed)
    network.to(device)
    optimizer = _optimizer(settings, network)
    restored = partial(restore_optimizer, optimizer)
    found = load_state(state_path, fingerprint, network, restored)
    progress, best = found if found is not None else (Progress(fingerprint), {})
    epochs, clock = total_epochs(settings), Clock(device, energy_counter(device))
    if found is not None:
        say(f"train     goes on after epoch {progress.epoch} of {epochs}")
    elif state_path.exists():
        say("train     the state found is of another config, device or thread count: starts again")
    if found is None and warm_start is not None:
        warm_start(progress)
    for epoch in range(progress.epoch, epochs):
        if epoch == settings.epochs:
            best = _start_finetuning(network, optimizer, progress, best)
        work = _Epoch(network, optimizer, settings, seed, epoch, phase_at(settings, epoch))
        _train_epoch(work, training, clock, progress, report)
        best = _validate(work, validation, progress, best)
        progress.epoch = epoch + 1
        save_state(state_path, progress, network, best, optimizer_tensors(optimizer))
    activation = _activation(network, phase_at(settings, progress.best_epoch))
    progress.flops += sast_flops(network, training, settings, activation, progress.steps)
    return TrainResult(best, activation, progress, str(device))


@dataclass(frozen=True)
class _Epoch:
    """What an epoch works on and with; its random numbers come from (seed, epoch) alone."""

    network: SpikingNetwork
    optimizer: torch.optim.Optimizer
    settings: SAST
    seed: int
    epoch: int
    phase: Phase

    @property
    def activation(self) -> Activation:
        return _activation(self.network, self.phase)

    @property
    def device(self) -> torch.device:
        return next(self.network.parameters()).device

    def batches(self, count: int, draw: int) -> tuple[list[NDArray[np.int64]], np.random.Generator]:
        """Return the minibatches of one shuffle, and the generator for what is drawn with them.

        Draw 0 is the training order; draw 1 is independent of it.
        """
        generator = np.random.default_rng((self.seed, self.epoch, draw)[: 2 + (draw > 0)])
        order = generator.permutation(count)
        return np.array_split(order, -(-count // self.settings.batch_size)), generator


def _start_finetuning(
    network: SpikingNetwork,
    optimizer: torch.optim.Optimizer,
    progress: Progress,
    best: dict[str, Tensor],
) -> dict[str, Tensor]:
    """Go back to the best weights with a fresh optimiser; the best is sought anew."""
    network.load_state_dict(best)
    optimizer.state.clear()
    progress.best_epoch, progress.best_score = -1, (-1.0, 0.0)
    return {}


def _optimizer(settings: SAST, network: SpikingNetwork) -> torch.optim.Optimizer:
    match settings.optimizer:
        case Adam(learning_rate=rate, betas=betas, weight_decay=decay):
            return torch.optim.Adam(network.parameters(), rate, betas, weight_decay=decay)
        case SGD(learning_rate=rate, momentum=momentum, weight_decay=decay):
            return torch.optim.SGD(network.parameters(), rate, momentum, weight_decay=decay)
        case _:
            raise HardspikeError(f"train.optimizer: {settings.optimizer} is not supported")


def _activation(network: SpikingNetwork, phase: Phase) -> Activation:
    return Activation(network.settings.surrogate, phase.slope, phase.forward)


def _train_epoch(
    work: _Epoch, data: Dataset, clock: Clock, progress: Progress, report: Report
) -> None:
    settings, phase = work.settings, work.phase
    for group in work.optimizer.param_groups:
        group["lr"] = phase.learning_rate
    work.network.prune(phase.prune)
    work.network.use_grid(phase.weight_bits)
    chances = torch.Generator().manual_seed(
        int(np.random.default_rng((work.seed, work.epoch, 2)).integers(2**63))
    )
    first, generator = work.batches(len(data.labels_B), 0)
    second, other = work.batches(len(data.labels_B), 1)
    losses = []
    with clock.running(progress):
        for index, chosen in enumerate(first):
            batch = _batch(work, data, chosen, generator)
            independent = phase.rho > 0 and settings.second_batch == "independent"
            again = _batch(work, data, second[index], other) if independent else None
            work.network.use_noise(phase.weight_noise, chances)
            loss, evaluations = _step(work, batch, again, chances)
            losses.append(loss)
            progress.gradient_evaluations += evaluations
            progress.samples += len(chosen)
            report(work.epoch * len(first) + index + 1, total_epochs(settings) * len(first))
        work.network.use_noise(0.0, chances)
    progress.count_step(PERTURBED if phase.rho else PLAIN, len(data))
    progress.history.append(
        {
            "epoch": work.epoch,
            "loss": float(np.mean(losses)),
            "slope": phase.slope,
            "rho": phase.rho,
            "learning_rate": phase.learning_rate,
        }
    )


_Batch = tuple[Tensor, Tensor]


def _batch(
    work: _Epoch, data: Dataset, chosen: NDArray[np.int64], generator: np.random.Generator
) -> _Batch:
    """Return spikes_TBCHW and labels of the chosen recordings."""
    spikes_BTCHW = shift_at_random(data.spikes_BTCHW[chosen], work.settings.shift_pixels, generator)
    labels = torch.as_tensor(data.labels_B[chosen]).to(work.device)
    return to_time_first(spikes_BTCHW, work.device), labels


def _step(
    work: _Epoch, batch: _Batch, again: _Batch | None, chances: torch.Generator
) -> tuple[float, int]:
    """Take one step of the optimiser; return the loss and the gradient evaluations."""
    settings, rho = work.settings, work.phase.rho

    def loss_on(chosen: _Batch) -> Tensor:
        return functional.cross_entropy(work.network(chosen[0], work.activation), chosen[1])

    parameters = list(work.network.parameters())
    second = None if again is None else partial(loss_on, again)
    try:
        loss, evaluations = sharpness_aware_gradient(
            partial(loss_on, batch), parameters, rho, settings.perturbation, second, chances
        )
    except RuntimeError as error:  # torch's out-of-memory errors, of a GPU or of the processor
        if "memory" not in str(error):
            raise
        raise HardspikeError(
            f"train.batch_size: found {settings.batch_size}, which does not fit the memory of "
            f"{work.device}; a smaller one is needed"
        ) from error
    if not np.isfinite(loss):
        raise HardspikeError(
            f"train: the loss is {loss} at slope {work.phase.slope:g} and ρ {rho:g}; "
            "a smaller learning_rate or a clip_norm may help"
        )
    if settings.clip_norm is not None:
        torch.nn.utils.clip_grad_norm_(parameters, settings.clip_norm)
    work.optimizer.step()
    return loss, evaluations


def time_steps(
    network: SpikingNetwork, data: Dataset, settings: SAST, rho: float, steps: int, seed: int
) -> float:
    """Return the seconds that `steps` steps of training take, each with its own minibatch."""
    phase = replace(phase_at(settings, 0), rho=rho)
    work = _Epoch(network, _optimizer(settings, network), settings, seed, 0, phase)
    batches, generator = work.batches(len(data.labels_B), 0)
    chances = torch.Generator().manual_seed(seed)
    started = time.perf_counter()
    for index in range(steps):
        batch = _batch(work, data, batches[index % len(batches)], generator)
        _step(work, batch, None, chances)
    return time.perf_counter() - started


def _validate(
    work: _Epoch, validation: Dataset, progress: Progress, best: dict[str, Tensor]
) -> dict[str, Tensor]:
    """Add the validation accuracies to the history; return the best weights so far.

    Without validation recordings the last epoch is the best. Weights of which more are pruned come
    before any of which fewer are, however good, so that what is kept has the share asked for.
    """
    score = _score(work, validation, progress.history[-1])
    before = phase_at(work.settings, max(progress.best_epoch, 0))
    pruned = not best or work.phase.prune > before.prune
    if pruned or score >= progress.best_score or not len(validation.labels_B):
        progress.best_score, progress.best_epoch = score, work.epoch
        return work.network.weights()
    return best


def _score(work: _Epoch, validation: Dataset, history: dict[str, float]) -> tuple[float, float]:
    """Return the accuracy that selects and the one that breaks ties, and note both."""
    if not len(validation.labels_B):
        return 0.0, 0.0
    activation = work.activation
    hard = _accuracy(work.network, validation, replace(activation, forward="hard"))
    history["validation_hard"] = hard
    if activation.forward == "hard":  # there is no smooth network
        return hard, 0.0
    smooth = _accuracy(work.network, validation, activation)
    history["validation_smooth"] = smooth
    return (hard, smooth) if work.settings.select_by == "hard" else (smooth, hard)


def _accuracy(network: SpikingNetwork, data: Dataset, activation: Activation) -> float:
    return float((predict(network, data.spikes_BTCHW, activation) == data.labels_B).mean())

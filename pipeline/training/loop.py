"""The training loop: epochs over minibatches, validation, best checkpoint, resume.

Axes: `B` recording, `T` time step, `C` channel, `H` height, `W` width.

Training cost counts the minibatch loop alone; validation and writing are outside of it. The same
seed, machine and thread count give the same weights to the bit, and so does a run that was killed
and went on.
"""

import resource
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from export.errors import HardspikeError
from pipeline.config import SAST, SGD, Adam
from pipeline.data.events import Dataset
from pipeline.model import SpikingNetwork, predict, to_time_first
from pipeline.neuron import Activation
from pipeline.training.augment import shift_at_random
from pipeline.training.checkpoint import Progress, load_state, save_state
from pipeline.training.sast import sharpness_aware_gradient
from pipeline.training.schedules import learning_rate_at, rho_at, slope_at

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
) -> TrainResult:
    """Train `network` in place and return its best weights by validation.

    After every epoch the whole state goes to `state_path`; where a state of the same `fingerprint`,
    device and thread count is found there, training goes on from it.

    Raises:
        HardspikeError: the loss is not finite, the device is absent or out of memory, or the state
            is damaged.
    """
    device = choose_device(settings.device)
    fingerprint = f"{fingerprint} {device.type} {torch.get_num_threads()}"
    network.reset_parameters(seed)
    network.to(device)
    optimizer = _optimizer(settings, network)
    found = load_state(state_path, fingerprint, network, optimizer)
    progress, best = found if found is not None else (Progress(fingerprint), {})
    if found is not None:
        say(f"train     goes on after epoch {progress.epoch} of {settings.epochs}")
    elif state_path.exists():
        say("train     the state found is of another config, device or thread count: starts again")
    for epoch in range(progress.epoch, settings.epochs):
        _train_epoch(network, optimizer, training, settings, seed, epoch, progress, report)
        best = _validate(network, validation, settings, epoch, progress, best)
        progress.epoch = epoch + 1
        save_state(state_path, progress, network, best, optimizer)
    return TrainResult(
        best, _activation(network, settings, progress.best_epoch), progress, str(device)
    )


def _optimizer(settings: SAST, network: SpikingNetwork) -> torch.optim.Optimizer:
    match settings.optimizer:
        case Adam(learning_rate=rate, betas=betas, weight_decay=decay):
            return torch.optim.Adam(network.parameters(), rate, betas, weight_decay=decay)
        case SGD(learning_rate=rate, momentum=momentum, weight_decay=decay):
            return torch.optim.SGD(network.parameters(), rate, momentum, weight_decay=decay)
        case _:
            raise HardspikeError(f"train.optimizer: {settings.optimizer} is not supported")


def _activation(network: SpikingNetwork, settings: SAST, epoch: int) -> Activation:
    surrogate = network.settings.surrogate
    return Activation(surrogate, slope_at(settings, epoch), settings.forward)


def _train_epoch(
    network: SpikingNetwork,
    optimizer: torch.optim.Optimizer,
    data: Dataset,
    settings: SAST,
    seed: int,
    epoch: int,
    progress: Progress,
    report: Report,
) -> None:
    generator = np.random.default_rng((seed, epoch))
    order = generator.permutation(len(data.labels_B))
    batches = np.array_split(order, -(-len(order) // settings.batch_size))
    activation, rho = _activation(network, settings, epoch), rho_at(settings, epoch)
    for group in optimizer.param_groups:
        group["lr"] = learning_rate_at(settings, epoch)
    device = next(network.parameters()).device
    losses, started = [], time.perf_counter()
    for index, chosen in enumerate(batches):
        spikes_BTCHW = shift_at_random(data.spikes_BTCHW[chosen], settings.shift_pixels, generator)
        batch = to_time_first(spikes_BTCHW, device), torch.as_tensor(data.labels_B[chosen])
        loss, evaluations = _step(network, optimizer, batch, activation, rho, settings)
        losses.append(loss)
        progress.gradient_evaluations += evaluations
        progress.samples += len(chosen)
        report(epoch * len(batches) + index + 1, settings.epochs * len(batches))
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    progress.seconds += time.perf_counter() - started
    progress.peak_memory_bytes = max(progress.peak_memory_bytes, peak_memory_bytes(device))
    progress.history.append(
        {
            "epoch": epoch,
            "loss": float(np.mean(losses)),
            "slope": activation.slope,
            "rho": rho,
            "learning_rate": learning_rate_at(settings, epoch),
        }
    )


def _step(
    network: SpikingNetwork,
    optimizer: torch.optim.Optimizer,
    batch: tuple[Tensor, Tensor],
    activation: Activation,
    rho: float,
    settings: SAST,
) -> tuple[float, int]:
    spikes, labels = batch[0], batch[1].to(batch[0].device)
    parameters = list(network.parameters())
    try:
        loss, evaluations = sharpness_aware_gradient(
            lambda: functional.cross_entropy(network(spikes, activation), labels), parameters, rho
        )
    except RuntimeError as error:  # torch's out-of-memory errors, of a GPU or of the processor
        if "memory" not in str(error):
            raise
        raise HardspikeError(
            f"train.batch_size: found {settings.batch_size}, which does not fit the memory of "
            f"{spikes.device}; a smaller one is needed"
        ) from error
    if not np.isfinite(loss):
        raise HardspikeError(
            f"train: the loss is {loss} at slope {activation.slope:g} and ρ {rho:g}; "
            "a smaller learning_rate or a clip_norm may help"
        )
    if settings.clip_norm is not None:
        torch.nn.utils.clip_grad_norm_(parameters, settings.clip_norm)
    optimizer.step()
    return loss, evaluations


def _validate(
    network: SpikingNetwork,
    validation: Dataset,
    settings: SAST,
    epoch: int,
    progress: Progress,
    best: dict[str, Tensor],
) -> dict[str, Tensor]:
    """Add the validation accuracies to the history; return the best weights so far.

    Without validation recordings the last epoch is the best.
    """
    score = (0.0, 0.0)
    if len(validation.labels_B):
        activation = _activation(network, settings, epoch)
        hard = Activation(activation.surrogate, activation.slope, "hard")
        accuracy = {
            "smooth": _accuracy(network, validation, activation),
            "hard": _accuracy(network, validation, hard),
        }
        progress.history[-1] |= {f"validation_{key}": value for key, value in accuracy.items()}
        other = "smooth" if settings.select_by == "hard" else "hard"
        score = (accuracy[settings.select_by], accuracy[other])
    if score >= progress.best_score or not best or not len(validation.labels_B):
        progress.best_score, progress.best_epoch = score, epoch
        return {key: value.detach().clone() for key, value in network.state_dict().items()}
    return best


def _accuracy(network: SpikingNetwork, data: Dataset, activation: Activation) -> float:
    return float((predict(network, data.spikes_BTCHW, activation) == data.labels_B).mean())


def peak_memory_bytes(device: torch.device) -> int:
    """Return the peak of GPU memory by torch's own count, or of this process's resident memory."""
    if device.type == "cuda":
        return int(torch.cuda.max_memory_allocated(device))
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit

"""Values that change from epoch to epoch. Pure functions of the settings and the epoch."""

import math
from dataclasses import dataclass

from pipeline.config import SAST
from pipeline.neuron import Forward


@dataclass(frozen=True)
class Phase:
    """What one epoch trains with. Weight bits and noise are of fine-tuning alone."""

    slope: float
    rho: float
    learning_rate: float
    forward: Forward
    prune: float
    weight_bits: int | None = None
    weight_noise: float = 0.0


def total_epochs(settings: SAST) -> int:
    """Return the epochs of training and fine-tuning together."""
    return settings.epochs + (settings.finetune.epochs if settings.finetune else 0)


def phase_at(settings: SAST, epoch: int) -> Phase:
    """Return what an epoch (from 0) trains with; those after the last are fine-tuning."""
    finetune = settings.finetune
    if epoch < settings.epochs or finetune is None:
        rate = settings.optimizer.learning_rate * _share(settings, epoch, settings.epochs)
        slope, rho = slope_at(settings, epoch), rho_at(settings, epoch)
        return Phase(slope, rho, rate, settings.forward, prune_at(settings, epoch))
    rate = finetune.learning_rate or settings.optimizer.learning_rate
    rate *= _share(settings, epoch - settings.epochs, finetune.epochs)
    slope = slope_at(settings, settings.epochs - 1)
    return Phase(
        slope,
        finetune.rho,
        rate,
        finetune.forward,
        settings.prune,
        finetune.weight_bits,
        finetune.weight_noise,
    )


def slope_at(settings: SAST, epoch: int) -> float:
    """Return β of an epoch (from 0): constant, or geometric from `start` to `end`."""
    start, end = settings.slope.start, settings.slope.end
    if end is None or settings.epochs == 1:
        return start
    return float(start * (end / start) ** (epoch / (settings.epochs - 1)))


def rho_at(settings: SAST, epoch: int) -> float:
    """Return ρ of an epoch (from 0): 0 at first, then linear up to the full value, then its decay.

    `rho_decay` takes it to 0 one epoch after the last, linearly or along half a cosine.
    """
    zero, ramp = settings.rho_warmup.zero_epochs, settings.rho_warmup.ramp_epochs
    if epoch < zero:
        return 0.0
    warm = min(1.0, (epoch - zero + 1) / ramp) if ramp else 1.0
    return settings.rho * warm * _decay(settings, epoch, max(zero + ramp - 1, 0))


def prune_at(settings: SAST, epoch: int) -> float:
    """Return the share of weights at zero in an epoch (from 0).

    p · (1 − (1 − x)³) with x the way from a quarter to three quarters of the epochs: much early,
    little late (Zhu and Gupta 2017, arXiv 1710.01878).
    """
    way = (epoch + 1 - settings.epochs / 4) / (settings.epochs / 2)
    return settings.prune * (1 - (1 - min(max(way, 0.0), 1.0)) ** 3)


def _decay(settings: SAST, epoch: int, full_at: int) -> float:
    """Return the share of ρ that is left, 1 up to the epoch in which ρ is full."""
    if settings.rho_decay == "none" or epoch <= full_at:
        return 1.0
    done = (epoch - full_at) / (settings.epochs - full_at)
    return 1 - done if settings.rho_decay == "linear" else (1 + math.cos(math.pi * done)) / 2


def _share(settings: SAST, epoch: int, epochs: int) -> float:
    """Return the share of the learning rate: 1, or half a cosine from 1 to zero."""
    if settings.schedule == "constant":
        return 1.0
    return (1 + math.cos(math.pi * epoch / epochs)) / 2

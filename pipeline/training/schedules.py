"""Values that change from epoch to epoch: slope, ρ, learning rate. Pure functions of the epoch."""

import math

from pipeline.config import SAST


def slope_at(settings: SAST, epoch: int) -> float:
    """Return β of an epoch (from 0): constant, or geometric from `start` to `end`."""
    start, end = settings.slope.start, settings.slope.end
    if end is None or settings.epochs == 1:
        return start
    return float(start * (end / start) ** (epoch / (settings.epochs - 1)))


def rho_at(settings: SAST, epoch: int) -> float:
    """Return ρ of an epoch (from 0): 0 for the first epochs, then linear up to the full value."""
    zero, ramp = settings.rho_warmup.zero_epochs, settings.rho_warmup.ramp_epochs
    if epoch < zero:
        return 0.0
    return settings.rho * min(1.0, (epoch - zero + 1) / ramp) if ramp else settings.rho


def learning_rate_at(settings: SAST, epoch: int) -> float:
    """Return the learning rate of an epoch: constant, or half a cosine from full to zero."""
    full = settings.optimizer.learning_rate
    if settings.schedule == "constant":
        return full
    return full * (1 + math.cos(math.pi * epoch / settings.epochs)) / 2

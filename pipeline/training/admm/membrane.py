"""The membrane step of ADMM: from the spikes that are asked for to the drive that gives them.

Axes: `T` time step, `B` recording, `N` neuron. z0 and a0 are the membranes and spikes of the hard
forward pass, Δa what the layer above asks of the spikes. To first order a changed drive ΔI gives

    Δz[t] = d[t]·Δz[t−1] − K[t]·Δa[t−1] + ΔI[t]
    hard reset: d[t] = τ(1 − a0[t−1]), K[t] = τ·z0[t−1];   soft reset: d = τ, K = ϑ

Ramp: Ψ is 1/w within w/2 of the threshold and 0 elsewhere, κ = (β/ρ)w² and S = 1 − d·shift,

    (SᵀS + κΨ²)Δz = κΨΔa − Sᵀq          tridiagonal over T, one system a neuron
    ΔI = (SΔz + q)/(β/ρ)

`reset_term: granted` takes ΨΔz for the Δa that a reset follows, so that d[t] − K[t]·Ψ[t−1] stands
for d[t], and q = 0; `asked` has q[t] = K[t]·Δa[t−1]; `none` has neither.

Exact: one spike of a neuron at most is flipped, where (asked for)/(ΔI it takes) is largest; the
ΔI of least norm that puts z0[t] to ϑ ± margin is c·v[t]/|v[t]|², v[t] the row t of S⁻¹. Every
recording has its own share of flips, so that what is asked of one depends on no other.
"""

from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from pipeline.fused_neuron import Rows, rows
from pipeline.neuron import Activation, lif_states
from pipeline.training.admm.settings import Exact, Ramp, Reset

_HARD = Activation("sigmoid", 1.0, "hard")
"""The step function; neither surrogate nor slope is used."""


@dataclass(frozen=True)
class Neuron:
    """τ, ϑ (units of the membrane) and the reset of a layer's neurons."""

    decay: float
    threshold: float
    reset: Reset


@dataclass(frozen=True)
class State:
    """What a hard forward pass went through: membranes and spikes, `(T, B, …)`."""

    membranes: Tensor
    spikes: Tensor


def fired(drive: Tensor, neuron: Neuron) -> State:
    """Return membranes and hard spikes of every step; the state starts at zero.

    Under a hard reset it is the network's own neuron, to the bit.
    """
    if neuron.reset == "hard":
        return State(*lif_states(drive, neuron.decay, neuron.threshold, _HARD))
    state = State(torch.empty_like(drive), torch.empty_like(drive))
    kept = torch.zeros_like(drive[0])
    for now, z, a in zip(drive, state.membranes, state.spikes, strict=True):
        torch.add(now, kept, out=z)
        torch.gt(z, neuron.threshold, out=a)
        kept = neuron.decay * z - neuron.threshold * a
    return state


def asked_drive(
    state: State, asked: Tensor, neuron: Neuron, settings: Ramp | Exact
) -> tuple[Tensor, Tensor]:
    """Return the change of the drive that gives the `asked` change of the spikes, and Δz.

    Both `(T, B, …)`.
    """
    match settings:
        case Ramp():
            return _through_ramp(state, asked, neuron, settings)
        case Exact(flips=flips, margin=margin):
            return _by_flips(state, asked, neuron, flips, margin)


def _through_ramp(
    state: State, asked: Tensor, neuron: Neuron, settings: Ramp
) -> tuple[Tensor, Tensor]:
    window, slack = settings.window, settings.slack
    granted, charged = (settings.reset_term == term for term in ("granted", "asked"))
    if asked.stride() != state.spikes.stride():
        asked = torch.empty_like(state.spikes).copy_(asked)
    drive, change = torch.empty_like(asked), torch.empty_like(asked)
    memory = _memory(state.membranes, state.spikes, asked, drive, change)
    if memory is not None:
        from pipeline.training.admm.membrane_kernels import solve_ramp

        numbers = map(np.float32, (neuron.decay, neuron.threshold, window, slack))
        solve_ramp(*memory, *numbers, neuron.reset == "hard", granted, charged)
        return drive, change
    kept, carried = _linearised(state, neuron)
    weight = slack * window**2
    inside = ((state.membranes - neuron.threshold).abs() < window / 2).to(asked.dtype) / window
    if granted:
        kept -= carried * _earlier(inside)
    before = _earlier(asked) * carried if charged else torch.zeros_like(asked)
    right = weight * inside * asked - before + _later(kept * before)
    diagonal = 1 + weight * inside.square() + _later(kept.square())
    for t in range(1, len(asked)):
        share = kept[t] / diagonal[t - 1]
        diagonal[t] -= share * kept[t]
        right[t] += share * right[t - 1]
    change[-1] = right[-1] / diagonal[-1]
    for t in reversed(range(len(asked) - 1)):
        change[t] = (right[t] + kept[t + 1] * change[t + 1]) / diagonal[t]
    torch.div(change - kept * _earlier(change) + before, slack, out=drive)
    return drive, change


def _by_flips(
    state: State, asked: Tensor, neuron: Neuron, flips: float, margin: float
) -> tuple[Tensor, Tensor]:
    kept, _ = _linearised(state, neuron)
    size = torch.ones_like(kept)  # |v[t]|², v[t] = e[t] + d[t]·v[t−1]
    for t in range(1, len(kept)):
        size[t] += kept[t].square() * size[t - 1]
    side = 1 - 2 * state.spikes  # where a flip would lead: up (+1) or down (−1)
    jump = neuron.threshold + margin * side - state.membranes
    gain = (asked * side).clamp(min=0) * size.sqrt() / jump.abs()
    best, when = gain.max(0)
    chosen = (best > 0) & _among_largest(best, max(1, round(flips * gain[:, 0].numel())))
    drive, change = torch.zeros_like(asked), torch.zeros_like(asked)
    steps = torch.arange(len(asked), device=asked.device).view(-1, *[1] * best.dim())
    at = (steps == when) & chosen
    wanted = torch.where(at, jump / size, torch.zeros_like(jump))
    for t in reversed(range(len(asked))):
        later = kept[t + 1] * drive[t + 1] if t + 1 < len(asked) else 0
        drive[t] = wanted[t] + later
    for t in range(len(asked)):
        change[t] = drive[t] + (kept[t] * change[t - 1] if t else 0)
    return drive, change


def _among_largest(values: Tensor, count: int) -> Tensor:
    """Return which of `(B, …)` are among the `count` largest of their recording."""
    flat = values.flatten(1)
    if count >= flat.shape[1]:
        return torch.ones_like(values, dtype=torch.bool)
    return (flat >= flat.topk(count, 1).values[:, -1:]).view(values.shape)


def _linearised(state: State, neuron: Neuron) -> tuple[Tensor, Tensor]:
    """Return d and K of every step; both are 0 at the first."""
    if neuron.reset == "hard":
        kept = neuron.decay * (1 - _earlier(state.spikes))
        carried = neuron.decay * _earlier(state.membranes)
    else:
        kept = torch.full_like(state.spikes, neuron.decay)
        carried = torch.full_like(state.spikes, neuron.threshold)
    kept[0], carried[0] = 0, 0
    return kept, carried


def _earlier(values: Tensor) -> Tensor:
    """Return the values of the step before; 0 before the first."""
    return torch.cat([torch.zeros_like(values[:1]), values[:-1]])


def _later(values: Tensor) -> Tensor:
    """Return the values of the step after; 0 after the last."""
    return torch.cat([values[1:], torch.zeros_like(values[:1])])


def _memory(*tensors: Tensor) -> list[Rows] | None:
    """Return the tensors for the compiled loops: float32, on the processor, all laid out alike."""
    if any(tensor.stride() != tensors[0].stride() for tensor in tensors):
        return None
    found = [memory for memory in map(rows, tensors) if memory is not None]
    return found if len(found) == len(tensors) else None

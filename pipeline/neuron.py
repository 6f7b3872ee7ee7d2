"""The neuron's time loop, forward and backward by hand.

Axes: `T` time step, `B` batch, `N` neuron. Per step (reset to zero by the step before):

    u[t] = τ · u[t−1] · (1 − s[t−1]) + I[t]
    s[t] = σ_β(u[t] − ϑ)                      smooth; the hard forward puts 1 if u > ϑ else 0

Backward, with g_s = ∂L/∂s from the layer above and k = u(1−s) the part that is kept:

    g_k[t] = τ · g_u[t+1]                                                     (0 at the last step)
    g_u[t] = g_k (1 − s) + (g_s − g_k u) σ_β′(u − ϑ)
    ∂L/∂I[t] = g_u[t]

In the smooth network this is the exact gradient, through reset and time. With a hard forward the
same formula, with the hard spikes in it, is the conventional surrogate gradient.

float32 with the sigmoid on the processor goes through the compiled loop of `pipeline.fused_neuron`;
every other precision, surrogate and device through torch, a step at a time.
"""

from dataclasses import dataclass
from typing import Any, Literal

import torch
from torch import Tensor

from pipeline.fused_neuron import Constants, Rows, fire, fire_backward, rows
from pipeline.surrogate import SurrogateName, smooth_slope, smooth_spike

Forward = Literal["smooth", "hard"]


@dataclass(frozen=True)
class Activation:
    """How membranes become spikes: surrogate, slope β, and smooth or hard in the forward pass."""

    surrogate: SurrogateName
    slope: float
    forward: Forward


class _LIFOverTime(torch.autograd.Function):
    @staticmethod
    def forward(
        ctx: Any, drive_TBN: Tensor, decay: float, threshold: float, activation: Activation
    ) -> Tensor:
        membranes, spikes = lif_states(drive_TBN, decay, threshold, activation)
        ctx.save_for_backward(membranes, spikes)
        ctx.constants = decay, threshold, activation
        return spikes

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Tensor) -> tuple[Tensor, None, None, None]:
        membranes, spikes = ctx.saved_tensors
        grad_TBN, grad_drive = grad_outputs[0], torch.empty_like(membranes)
        if grad_TBN.stride() != spikes.stride():
            grad_TBN = torch.empty_like(spikes).copy_(grad_TBN)
        memory = _memory(ctx.constants[2], grad_TBN, membranes, spikes, grad_drive)
        if memory is not None:
            fire_backward(memory, _numbers(*ctx.constants))
        else:
            _backward_steps(grad_TBN, membranes, spikes, grad_drive, *ctx.constants)
        return grad_drive, None, None, None


def _memory(activation: Activation, *tensors: Tensor) -> list[Rows] | None:
    """Return the tensors for the compiled loop, where it can do this activation and these."""
    if activation.surrogate != "sigmoid":
        return None
    if any(tensor.stride() != tensors[0].stride() for tensor in tensors):
        return None
    found = [memory for memory in map(rows, tensors) if memory is not None]
    return found if len(found) == len(tensors) else None


def _numbers(decay: float, threshold: float, activation: Activation) -> Constants:
    return Constants(decay, threshold, activation.slope, activation.forward == "hard")


def _forward_steps(
    drive_TBN: Tensor,
    membranes: Tensor,
    spikes: Tensor,
    decay: float,
    threshold: float,
    activation: Activation,
) -> None:
    kept, centred = torch.zeros_like(drive_TBN[0]), torch.empty_like(drive_TBN[0])
    for drive, u, s in zip(drive_TBN, membranes, spikes, strict=True):
        torch.add(drive, kept, alpha=decay, out=u)
        torch.sub(u, threshold, out=centred)
        _spike(centred, activation, s)
        torch.addcmul(u, u, s, value=-1, out=kept)


def _backward_steps(
    grad_TBN: Tensor,
    membranes: Tensor,
    spikes: Tensor,
    grad_drive: Tensor,
    decay: float,
    threshold: float,
    activation: Activation,
) -> None:
    grad_kept = torch.zeros_like(membranes[0])
    for t in reversed(range(len(membranes))):
        u, s, grad_u = membranes[t], spikes[t], grad_drive[t]
        slope = _slope(u, s, threshold, activation)
        torch.addcmul(grad_TBN[t], grad_kept, u, value=-1, out=grad_u).mul_(slope)
        grad_u.add_(grad_kept).addcmul_(grad_kept, s, value=-1)
        torch.mul(grad_u, decay, out=grad_kept)


def _spike(centred: Tensor, activation: Activation, out: Tensor) -> None:
    if activation.forward == "hard":
        torch.gt(centred, 0, out=out)
    else:
        smooth_spike(activation.surrogate, centred, activation.slope, out)


def _slope(u: Tensor, s: Tensor, threshold: float, activation: Activation) -> Tensor:
    if activation.forward == "hard":
        smooth = smooth_spike(
            activation.surrogate, u - threshold, activation.slope, torch.empty_like(u)
        )
        return smooth_slope(activation.surrogate, u - threshold, smooth, activation.slope)
    if activation.surrogate == "sigmoid":
        return smooth_slope("sigmoid", u, s, activation.slope)
    return smooth_slope(activation.surrogate, u - threshold, s, activation.slope)


def lif(drive_TBN: Tensor, decay: float, threshold: float, activation: Activation) -> Tensor:
    """Return the spikes of every step, `(T, B, N)`, of LIF neurons driven by `drive_TBN`.

    The state starts at zero. `decay` is τ and `threshold` ϑ, in units of the membrane.
    """
    spikes: Tensor = _LIFOverTime.apply(drive_TBN, decay, threshold, activation)  # type: ignore[no-untyped-call]
    return spikes


def lif_states(
    drive_TBN: Tensor, decay: float, threshold: float, activation: Activation
) -> tuple[Tensor, Tensor]:
    """Return membranes and spikes of every step, `(T, B, N)` each; nothing of it is recorded.

    Arguments as for `lif`.
    """
    membranes, spikes = torch.empty_like(drive_TBN), torch.empty_like(drive_TBN)
    memory = _memory(activation, drive_TBN, membranes, spikes)
    if memory is not None:
        fire(memory, _numbers(decay, threshold, activation))
    else:
        _forward_steps(drive_TBN, membranes, spikes, decay, threshold, activation)
    return membranes, spikes


def integrate(drive_TBN: Tensor, decay: float) -> Tensor:
    """Return the membrane of every step, `(T, B, N)`, of neurons that never fire."""
    membranes = [drive_TBN[0]]
    for drive in drive_TBN[1:]:
        membranes.append(torch.add(drive, membranes[-1], alpha=decay))
    return torch.stack(membranes)

"""The smooth network with every state in sight, in operations that can be derived twice.

Axes: `T` time step, `B` batch, `C` channel, `H` height, `W` width, `P` parameter.

`pipeline.neuron` has the fast forward and a backward of its own, which yields no second
derivatives; this is the same network in plain torch, and a test holds one to the other.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn import functional

from pipeline.model import SpikingLayer, SpikingNetwork, split_steps
from pipeline.neuron import Activation
from pipeline.surrogate import SurrogateName


@dataclass(frozen=True, eq=False)
class SmoothRun:
    """The membranes of every layer, `(T, B, …)` each, and the evidence `(B, classes)`."""

    membranes: tuple[Tensor, ...]
    evidence: Tensor


class SmoothTwin(nn.Module):
    """The smooth forward pass of `network`, sharing its parameters."""

    def __init__(self, network: SpikingNetwork, activation: Activation) -> None:
        super().__init__()
        self.network, self.activation = network, activation

    def forward(self, spikes_TBCHW: Tensor) -> SmoothRun:
        """Return membranes and evidence."""
        x, steps, membranes = spikes_TBCHW, len(spikes_TBCHW), []
        layers = [layer for layer in self.network.layers if isinstance(layer, SpikingLayer)]
        for layer in layers:
            drive = split_steps(layer.drive(x.flatten(0, 1)), steps)
            fires = layer is not layers[-1] or self.network.readout == "count"
            u, x = _over_time(drive, layer, self.activation, fires)
            membranes.append(u)
        last = x.sum(0) if self.network.readout == "count" else membranes[-1][-1]
        return SmoothRun(tuple(membranes), last)


def _over_time(
    drive: Tensor, layer: SpikingLayer, activation: Activation, fires: bool
) -> tuple[Tensor, Tensor]:
    membranes: list[Tensor] = []
    spikes: list[Tensor] = []
    kept = torch.zeros_like(drive[0])
    for step in drive:
        u = step + layer.decay * kept
        s = _spike(activation.surrogate, activation.slope * (u - layer.threshold))
        kept = u * (1 - s) if fires else u
        membranes.append(u)
        spikes.append(s)
    return torch.stack(membranes), torch.stack(spikes)


def _spike(kind: SurrogateName, z: Tensor) -> Tensor:
    match kind:
        case "sigmoid":
            return torch.sigmoid(z)
        case "arctangent":
            return torch.atan(z * (math.pi / 2)) / math.pi + 0.5
        case "fast_sigmoid":
            return 0.5 + z / (2 * (1 + z.abs()))
        case _:
            raise ValueError(f"unknown surrogate {kind!r}")


Batch = tuple[Tensor, Tensor]
"""Spikes `(T, B, C, H, W)` and labels `(B,)`."""


class MeanLoss:
    """The mean cross-entropy over recordings as a function of all parameters, one vector `(P,)`.

    Loss and gradient are those that training computes (`pipeline.neuron`); products with the
    Hessian come from the twin. Recordings are taken in `batches`, which bounds the memory.
    """

    def __init__(
        self, network: SpikingNetwork, activation: Activation, batches: Sequence[Batch]
    ) -> None:
        self._network, self._activation = network, activation
        self._twin = SmoothTwin(network, activation)
        self._batches = batches
        self._count = sum(len(labels) for _, labels in batches)

    def parameters(self) -> Tensor:
        """Return the network's own parameters as one vector."""
        return torch.cat([p.detach().flatten() for p in self._network.parameters()])

    def loss(self, parameters_P: Tensor) -> float:
        """Return the loss."""
        with torch.no_grad():
            return sum(float(self._trained(parameters_P, batch)) for batch in self._batches)

    def gradient(self, parameters_P: Tensor) -> Tensor:
        """Return ∇L, `(P,)`."""
        total = torch.zeros_like(parameters_P)
        for batch in self._batches:
            leaf = parameters_P.detach().requires_grad_()
            total += torch.autograd.grad(self._trained(leaf, batch), leaf)[0]
        return total

    def hessian_product(self, parameters_P: Tensor, direction_P: Tensor) -> Tensor:
        """Return ∇²L · direction, `(P,)`."""
        total = torch.zeros_like(parameters_P)
        for spikes, labels in self._batches:
            leaf = parameters_P.detach().requires_grad_()
            named = {f"network.{name}": value for name, value in self._named(leaf).items()}
            evidence = functional_call(self._twin, named, (spikes,)).evidence
            loss = self._share(evidence, labels)
            (gradient,) = torch.autograd.grad(loss, leaf, create_graph=True)
            total += torch.autograd.grad(gradient, leaf, direction_P)[0]
        return total

    def _trained(self, parameters_P: Tensor, batch: Batch) -> Tensor:
        spikes, labels = batch
        named = self._named(parameters_P)
        evidence = functional_call(self._network, named, (spikes, self._activation))
        return self._share(evidence, labels)

    def _share(self, evidence: Tensor, labels: Tensor) -> Tensor:
        return functional.cross_entropy(evidence, labels, reduction="sum") / self._count

    def _named(self, parameters_P: Tensor) -> dict[str, Tensor]:
        named, start = {}, 0
        for name, parameter in self._network.named_parameters():
            named[name] = parameters_P[start : start + parameter.numel()].view(parameter.shape)
            start += parameter.numel()
        return named

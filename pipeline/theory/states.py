"""How far membranes, spikes and the evidence of the smooth network can reach, by intervals.

Axes: `T` time step; tensors have a layer's shape.

From x in a box, the drive W x + b lies in an interval a neuron (positive weights take the same end,
negative ones the other; padding stays 0), and so does u[t] = d[t] + τ φ(u[t−1]), step by step, with
the exact range of φ. σ_β rises, so the spikes lie between those of the ends. The box is the same at
every step, and every interval holds for any inputs inside it, at any step up to T.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from export.network import HardSpikeNetwork
from pipeline.neuron import Activation
from pipeline.theory.neuron_bounds import SmoothNeuron
from pipeline.theory.norms import ROUNDING, SynapseMap, largest_row_sum, synapse_map


@dataclass(frozen=True, eq=False)
class TheoryLayer:
    """One layer as the theory sees it: its operator, its bias and its smooth neuron."""

    name: str
    operator: SynapseMap
    bias: Tensor | None
    neuron: SmoothNeuron

    def drive_bias(self) -> Tensor:
        """The bias in a form that adds to `(B, *output_shape)`; 0 without one."""
        if self.bias is None:
            return torch.zeros((), dtype=torch.float64)
        return self.bias.view(1, -1, *(1 for _ in self.operator.output_shape[1:]))


def theory_layers(network: HardSpikeNetwork, activation: Activation) -> tuple[TheoryLayer, ...]:
    """Return the layers of the contract with smooth spikes, in float64."""
    layers = []
    for layer, shape in zip(network.layers, network.shapes, strict=False):
        bias = layer.synapse.bias_O
        layers.append(
            TheoryLayer(
                layer.name,
                synapse_map(layer.synapse, shape),
                None if bias is None else torch.as_tensor(bias, dtype=torch.float64),
                SmoothNeuron(
                    activation.surrogate,
                    activation.slope,
                    layer.neuron.threshold,
                    layer.neuron.decay,
                ),
            )
        )
    return tuple(layers)


@dataclass(frozen=True, eq=False)
class StateBounds:
    """Ends of a layer's membranes and spikes over all steps, and of the last step's membrane."""

    membrane_low: Tensor
    membrane_high: Tensor
    spikes_low: Tensor
    spikes_high: Tensor
    last_low: Tensor
    last_high: Tensor

    @property
    def low(self) -> float:
        """The least membrane of any neuron at any step."""
        return float(self.membrane_low.min())

    @property
    def high(self) -> float:
        """The largest membrane of any neuron at any step."""
        return float(self.membrane_high.max())


def state_bounds(
    layers: Sequence[TheoryLayer], steps: int, low: float, high: float
) -> tuple[StateBounds, ...]:
    """Return the bounds of every layer for inputs with low ≤ x ≤ high over `steps` steps."""
    shape = layers[0].operator.input_shape
    ends = tuple(torch.full(shape, end, dtype=torch.float64) for end in (low, high))
    found = []
    for layer in layers:
        bounds = _layer_bounds(layer, steps, *ends)
        found.append(bounds)
        ends = (bounds.spikes_low, bounds.spikes_high)
    return tuple(found)


def _layer_bounds(layer: TheoryLayer, steps: int, low: Tensor, high: Tensor) -> StateBounds:
    drive_low, drive_high = _drive(layer, low, high)
    neuron, decay = layer.neuron, layer.neuron.decay
    u_low, u_high = drive_low, drive_high
    least, most = u_low, u_high
    for _ in range(steps - 1):
        kept_low, kept_high = neuron.kept_range(u_low, u_high)
        u_low, u_high = drive_low + decay * kept_low, drive_high + decay * kept_high
        least, most = torch.minimum(least, u_low), torch.maximum(most, u_high)
    spikes = (neuron.spikes(least), neuron.spikes(most)) if neuron.fires else (least, most)
    return StateBounds(least, most, *spikes, u_low, u_high)


def _drive(layer: TheoryLayer, low: Tensor, high: Tensor) -> tuple[Tensor, Tensor]:
    """Return the least and the largest W x + b over the box, rounded outwards."""
    weight = layer.operator.weight
    rising, falling = layer.operator.of(weight.clamp(min=0)), layer.operator.of(weight.clamp(max=0))
    below, above = low.unsqueeze(0), high.unsqueeze(0)
    bias = layer.drive_bias()
    least = (rising.apply(below) + falling.apply(above) + bias).squeeze(0)
    most = (rising.apply(above) + falling.apply(below) + bias).squeeze(0)
    slack = (ROUNDING - 1) * torch.maximum(least.abs(), most.abs())
    return least - slack, most + slack


def evidence_width(bounds: StateBounds, steps: int, fires: bool) -> Tensor:
    """Return how far each class's evidence can move at most, `(classes,)`."""
    if fires:
        return steps * (bounds.spikes_high - bounds.spikes_low)
    return bounds.last_high - bounds.last_low


def geometric_bound(layer: TheoryLayer, steps: int, largest_input: float) -> float:
    """Return D·(1 + τ + … + τ^(T−1)) with D = ‖W‖∞·max|x| + max|b|, a bound on |u|.

    From 0 ≤ 1 − s ≤ 1 alone; for τ < 1 it stays below D/(1 − τ), for τ = 1 it is D·T.
    """
    bias = 0.0 if layer.bias is None else float(layer.bias.abs().max())
    drive = (largest_row_sum(layer.operator) * largest_input + bias) * ROUNDING
    return drive * math.fsum(layer.neuron.decay**step for step in range(steps))

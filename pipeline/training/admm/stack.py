"""A spiking network as ADMM sees it: synapses and neurons in turn, and a linear readout.

Axes: `T` time step, `B` recording, `K` class, `F` feature of the readout.

A `membrane` readout is the last layer: it integrates features F = Σ_t δ^(T−t) a[t] of the last
spikes and is a ridge regression. Under a `count` readout the last layer spikes like the others,
and the evidence is the sum of its spikes.
"""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from pipeline.config import ConvSettings
from pipeline.model import SpikingLayer, SpikingNetwork, to_time_first
from pipeline.training.admm.labels import readout_weights
from pipeline.training.admm.membrane import Neuron, State, fired
from pipeline.training.admm.settings import Reset
from pipeline.training.admm.synapses import Synapses


@dataclass(frozen=True)
class Pass:
    """A hard forward pass: the input, the states of the spiking layers, and the evidence.

    `features_BF` are the readout's, None under a `count` readout.
    """

    inputs: Tensor
    states: list[State]
    features_BF: Tensor | None
    evidence_BK: Tensor

    def below(self, index: int) -> Tensor:
        """Return the spikes that layer `index` reads, `(T, B, …)`."""
        return self.states[index - 1].spikes if index else self.inputs


class Stack:
    """The layers of a network for ADMM; weights stay in the network."""

    def __init__(self, network: SpikingNetwork, steps: int, reset: Reset) -> None:
        self.network, self.reset = network, reset
        layers = [layer for layer in network.layers if isinstance(layer, SpikingLayer)]
        shapes: list[tuple[int, ...]] = [network.input_shape]
        for layer in layers:
            shapes.append(layer.contract("", True).synapse.output_shape(shapes[-1]))
        synapses = [Synapses(*pair) for pair in zip(layers, shapes, strict=False)]
        self.readout = synapses.pop() if network.readout == "membrane" else None
        self.synapses = synapses
        self._reads_no_image = not isinstance(layers[0].settings, ConvSettings)
        self.neurons = [
            Neuron(layer.decay, layer.threshold, reset) for layer in layers[: len(synapses)]
        ]
        decay = layers[-1].decay if self.readout is not None else 1.0
        self.weights_T = readout_weights(steps, decay, layers[-1].weight)
        self.energy = float(self.weights_T.double().square().sum())

    def forward(self, spikes: Tensor) -> Pass:
        """Run the hard network over `(T, B, …)`."""
        states: list[State] = []
        if self._reads_no_image:
            spikes = spikes.flatten(2)  # once, and not for every product
        x = spikes
        for synapses, neuron in zip(self.synapses, self.neurons, strict=True):
            states.append(fired(synapses.drive(x), neuron))
            x = states[-1].spikes
        return self._read(spikes, states, x)

    def _read(self, inputs: Tensor, states: list[State], spikes: Tensor) -> Pass:
        if self.readout is None:
            return Pass(inputs, states, None, spikes.flatten(2).sum(0))
        summed = torch.einsum("t,tbf->bf", self.weights_T, spikes.flatten(2))
        if self.readout.layer.bias is not None:
            ones = self.weights_T.sum().expand(len(summed), 1)
            summed = torch.cat([summed, ones], 1)
        return Pass(inputs, states, summed, summed @ self.readout.matrix_OF.T)


@torch.inference_mode()
def predicted(
    network: SpikingNetwork, spikes_BTCHW: NDArray[np.uint8], reset: Reset, batch_size: int = 250
) -> NDArray[np.int64]:
    """Return the class of each recording by the hard network of this reset, `(B,)`.

    Ties go to the lower index.
    """
    stack = Stack(network, spikes_BTCHW.shape[1], reset)
    device = stack.weights_T.device
    classes = [np.zeros(0, np.int64)]
    for start in range(0, len(spikes_BTCHW), batch_size):
        batch = to_time_first(spikes_BTCHW[start : start + batch_size], device)
        classes.append(stack.forward(batch).evidence_BK.cpu().numpy().argmax(axis=1))
    return np.concatenate(classes)

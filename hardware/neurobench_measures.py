"""NeuroBench's measures of a network, by its names and definitions (Yik et al. 2025, Nature
Communications 16:1545, arXiv 2304.04640; the package neurobench 2.3.0).

Axes: `B` recording, `T` time step, `N` neuron, `O` output.

    footprint            bytes of weights, biases and constants of the neurons
    connection_sparsity  zeros over all weights; a kernel counts once, biases do not count
    activation_sparsity  steps at which a neuron does not fire, over all; the input is no activation
    synaptic_operations  a recording: Effective_ACs, a nonzero weight under a spike; Effective_MACs,
                         one under a value that is not 0 or ±1; Dense, all weights at all steps.
                         Zeros of padding and biases do not count
    membrane_updates     a recording: steps at which a membrane is not what it was the step before;
                         the first step counts for every neuron

Where these differ from the package, and why (a test measures each difference):

- Footprint. The package adds up tensors of torch as they are. Here integer weights take as many
  bytes as their mantissas, the power of two that all have in common taken out (Loihi's exponent),
  and a layer has two constants, decay and threshold, of 2 and 4 bytes; float arrays and constants
  take what they take. The package's twin has float32, and 20 bytes of constants a layer.
- MACs or ACs. The package looks at every step of every batch by itself: counts that happen to be
  all 0 or 1 at a step are ACs there. Here a layer whose input may be above 1 does MACs.
- Membrane updates are those of the membrane after its reset, which is what the neuron keeps. So has
  the package them of snnTorch's neurons with `reset_delay=False`.
- Connection sparsity is rounded to 4 decimals there.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from export.network import Layer, Network, Shape, Synapse
from hardware.synops import dense_operations, synaptic_operations

Array = NDArray[Any]
VERSION = "2.3.0"
"""Of the package whose definitions these are."""
_CONSTANTS_BYTES = {"i": 2 + 4, "f": 2 * 4}
"""Decay (12 bits) and threshold (17 bits, before its shift) of a layer in integers; two float32."""


def footprint(network: Network[Any]) -> int:
    """Return the bytes of all weights, biases and constants of neurons, each in whole bytes."""
    total = 0
    for layer in network.layers:
        arrays = _weights(layer)
        arrays += [] if layer.synapse.bias_O is None else [layer.synapse.bias_O]
        total += sum(array.size * item_bytes(array) for array in arrays)
        total += _CONSTANTS_BYTES[layer.synapse.weight.dtype.kind]
    return total


def _weights(layer: Layer[Any]) -> list[Array]:
    """Return the layer's weights, and those from its own neurons back to it."""
    recurrent = [] if layer.recurrent is None else [layer.recurrent.weight_OI]
    return [layer.synapse.weight, *recurrent]


def item_bytes(array: Array) -> int:
    """Return the bytes that a value takes: of integers as many as the widest mantissa needs."""
    if array.dtype.kind != "i":
        return array.itemsize
    if not array.any():
        return 1
    largest = int(np.bitwise_or.reduce(np.abs(array.astype(np.int64)), axis=None))
    shift = (largest & -largest).bit_length() - 1
    ends = int(array.min()) >> shift, int(array.max()) >> shift
    return next(size for size in (1, 2, 4, 8) if _holds(size, *ends))


def _holds(size: int, low: int, high: int) -> bool:
    end = 1 << (8 * size - 1)
    return -end <= low and high < end


def connection_sparsity(network: Network[Any]) -> float:
    """Return the share of weights that are zero."""
    weights = [weight for layer in network.layers for weight in _weights(layer)]
    zeros = sum(weight.size - np.count_nonzero(weight) for weight in weights)
    return float(zeros / sum(weight.size for weight in weights))


def membrane_updates(membranes_BTN: Array) -> int:
    """Return how often a membrane, after its reset, changed; its first step counts as a change."""
    changed = np.count_nonzero(membranes_BTN[:, 1:] != membranes_BTN[:, :-1])
    return int(changed) + membranes_BTN[:, 0].size


@dataclass
class _LayerCounts:
    operations: int = 0
    back: int = 0
    spikes: int = 0
    activations: int = 0
    updates: int = 0


@dataclass
class Tally:
    """Counts a network's work over recordings, a layer and a batch at a time."""

    network: Network[Any]
    recordings: int = 0
    _layers: list[_LayerCounts] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._layers = [_LayerCounts() for _ in self.network.layers]

    def add(self, index: int, inputs_BTN: Array, spikes_BTN: Array, membranes_BTN: Array) -> None:
        """Add what layer `index` read, fired and kept; the layers of a batch come in turn.

        `membranes_BTN` are those after the reset. A `membrane` readout counts as neurons that do
        not fire.
        """
        synapse, counts = self._synapses[index]
        counts.operations += synaptic_operations(synapse, self.network.shapes[index], inputs_BTN)
        recurrent = self.network.layers[index].recurrent
        if recurrent is not None:  # the spikes of the last step come back to no one
            back = synaptic_operations(recurrent, spikes_BTN.shape[2:], spikes_BTN[:, :-1])
            counts.back += back
        counts.spikes += int(np.count_nonzero(spikes_BTN))
        counts.activations += spikes_BTN.size
        counts.updates += membrane_updates(membranes_BTN)
        self.recordings += len(spikes_BTN) if index == 0 else 0

    @property
    def operations(self) -> int:
        """Synaptic operations of all recordings."""
        return sum(counts.operations + counts.back for counts in self._layers)

    @property
    def _synapses(self) -> Sequence[tuple[Synapse, _LayerCounts]]:
        return [
            (layer.synapse, counts)
            for layer, counts in zip(self.network.layers, self._layers, strict=True)
        ]

    def measures(self) -> dict[str, Any]:
        """Return NeuroBench's measures by their names; operations and updates are a recording's."""
        network, count = self.network, self.recordings
        macs = self._layers[0].operations if network.input_max > 1 else 0
        dense = network.steps * sum(map(_dense, network.layers, network.shapes))
        return {
            "version": VERSION,
            "footprint": footprint(network),
            "connection_sparsity": connection_sparsity(network),
            "activation_sparsity": _sparsity(self._layers),
            "activation_sparsity_by_layer": {
                layer.name: _sparsity([counts])
                for layer, counts in zip(network.layers, self._layers, strict=True)
            },
            "synaptic_operations": {
                "Effective_MACs": macs / count,
                "Effective_ACs": (self.operations - macs) / count,
                "Dense": dense,
            },
            "membrane_updates": sum(counts.updates for counts in self._layers) / count,
        }


def _dense(layer: Layer[Any], input_shape: Shape) -> int:
    own = 0 if layer.recurrent is None else layer.recurrent.weight_OI.size
    return dense_operations(layer.synapse, input_shape) + own


def _sparsity(layers: Sequence[_LayerCounts]) -> float:
    spikes = sum(counts.spikes for counts in layers)
    return 1 - spikes / sum(counts.activations for counts in layers)

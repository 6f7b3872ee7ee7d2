"""A layer taken apart: each core's share of its neurons as a layer of its own.

Axes: `B` recording, `T` time step, `N` neuron of the whole layer in (C, H, W) order, `O` neuron of
a part, `I` input of the whole layer, `J` and `K` inputs and own spikes that a part reads.

Every part is dense, `x` being the inputs that its synapses read and, where the layer is recurrent,
its neurons' spikes of the step before, of whichever part they are:

    Σ w·x[t] + Σ r·s[t−1]  =  Σ [w r]·[x[t], s[t−1]]

so that a part is complete, and its size is bounded by what a core holds. Positions of a convolution
that are no rectangle are no convolution, hence no kernels here. All of the sum waits for the
dendritic delay, the bias does not, in a part as in the whole layer (`export.network`).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np

from export.errors import HardspikeError
from export.network import Array, Dense, FixedPointNetwork, Layer, LoihiLIF, Shape
from hardware.arriving import neuron_bias
from hardware.loihi_cost import chip
from hardware.loihi_cost.connections import Connections, Integers, connections
from hardware.loihi_cost.mapping import place_network


@dataclass(frozen=True, eq=False)
class Part:
    """One core's share of a layer: neurons `neurons_N` of it, in the order of `layer`'s.

    `layer` takes `inputs_J` of the whole layer's inputs, then the spikes of the step before of
    `own_K` of the whole layer's neurons.
    """

    layer: Layer[LoihiLIF]
    neurons_N: Integers
    inputs_J: Integers
    own_K: Integers

    def arriving(self, inputs_BTI: Array, spikes_BTN: Array) -> Array:
        """Return what the part reads, `(B, T, J + K)`, of the whole layer's inputs and spikes."""
        own_BTK = np.zeros_like(spikes_BTN[..., self.own_K])
        own_BTK[:, 1:] = spikes_BTN[:, :-1, self.own_K]
        return np.concatenate([inputs_BTI[..., self.inputs_J], own_BTK], axis=-1)


def split_network(
    network: FixedPointNetwork, limits: chip.Limits = chip.CORE
) -> Iterator[tuple[Part, ...]]:
    """Yield the parts of each layer in turn, one a core.

    Raises:
        HardspikeError: one neuron that no core holds.
    """
    placed = place_network(network, limits)
    for index, layer in enumerate(network.layers, start=1):
        neurons = [load.neurons_N for load in placed.of_layer(index)]
        yield tuple(split_layer(layer, network.shapes[index - 1], neurons))


def split_layer(
    layer: Layer[LoihiLIF], input_shape: Shape, neurons: Sequence[Integers]
) -> Iterator[Part]:
    """Yield the parts of a layer that hold its `neurons`, a list of indices a part.

    Put together, their spikes, currents and membranes are the layer's to the bit.

    Raises:
        HardspikeError: a neuron is in no part, or in two.
    """
    links = connections(layer.synapse, input_shape)
    if not np.array_equal(np.sort(np.concatenate(neurons)), np.arange(links.targets)):
        raise HardspikeError(
            f"layer {layer.name}: parts: found {sum(map(len, neurons))} neurons, "
            f"allowed each of {links.targets} in one part"
        )
    bias_N = None if layer.synapse.bias_O is None else neuron_bias(layer.synapse, links.targets)
    recurrent = [] if layer.recurrent is None else [connections(layer.recurrent, (links.targets,))]
    shares = [_shares(each, neurons) for each in (links, *recurrent)]
    kind = np.result_type(*(one.weight for one in (layer.synapse, layer.recurrent) if one))
    for index, neurons_N in enumerate(neurons):
        read = [_dense(*share[index], len(neurons_N)) for share in shares]
        weight_OI = np.hstack([weight for _, weight in read]).astype(kind)
        part = replace(
            layer,
            name=f"{layer.name}.{index}",
            synapse=Dense(weight_OI, None if bias_N is None else bias_N[neurons_N]),
            recurrent=None,
            **_of_neurons(layer, neurons_N, links.targets),
        )
        own_K = read[1][0] if recurrent else np.zeros(0, np.int64)
        yield Part(part, neurons_N, read[0][0], own_K)


def _shares(
    links: Connections, neurons: Sequence[Integers]
) -> list[tuple[Integers, Integers, Integers]]:
    """Return sources, rows and weights of the synapses of each part; a row is a neuron of it."""
    part_N, row_N = np.zeros((2, links.targets), np.int64)
    for index, neurons_N in enumerate(neurons):
        part_N[neurons_N], row_N[neurons_N] = index, np.arange(len(neurons_N))
    part_E = part_N[links.targets_E]
    order_E = np.argsort(part_E, kind="stable")
    ends = np.cumsum(np.bincount(part_E, minlength=len(neurons)))[:-1]
    each = (links.sources_E, row_N[links.targets_E], links.weights_E)
    split = (np.split(values_E[order_E], ends) for values_E in each)
    return list(zip(*split, strict=True))


def _dense(
    sources_E: Integers, rows_E: Integers, weights_E: Integers, outputs: int
) -> tuple[Integers, Integers]:
    """Return the sources that are read, in order, and the weights of all neurons over them."""
    read_J, column_E = np.unique(sources_E, return_inverse=True)
    weight_OJ = np.zeros((outputs, len(read_J)), np.int64)
    weight_OJ[rows_E, column_E] = weights_E
    return read_J, weight_OJ


def _of_neurons(layer: Layer[LoihiLIF], neurons_N: Integers, size: int) -> dict[str, Any]:
    """Return what a part has of a layer's fields that end in `_N` and, one a channel, in `_O`.

    Where `neuron` has the same under its bare name it is the least of them.
    """
    taken: dict[str, Any] = {}
    least: dict[str, Any] = {}
    for field in fields(layer):
        values, (bare, _, axis) = getattr(layer, field.name), field.name.rpartition("_")
        if values is None or axis not in ("N", "O"):
            continue
        taken[field.name] = np.repeat(values, size // len(values))[neurons_N]
        if axis == "O":
            least[bare] = int(taken[field.name].min())
    return taken | {"neuron": replace(layer.neuron, **least)}

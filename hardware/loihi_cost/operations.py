"""What every core does at every step: synaptic operations, neuron updates, spike messages.

Counted from the recorded spikes of each layer and the mapping alone, in NumPy.

    synaptic operation   a spike at one stored synapse
    message              a spike on its way to one core that it reaches
    hop                  a message from one tile to the next, along a row or a column of the mesh
    active update        of a neuron whose membrane was not zero, that has a bias, or that a spike
                         has reached; the others are updated too, inactive

Layer k of L runs k steps behind the input (a spike meets the next layer a step later), so T steps
of a recording are S = T + L steps of the chip. Input neurons only send.

Axes: `T` time step of a recording, `S` step of the chip, `N` neuron, `C` core.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from export.network import Conv, FixedPointNetwork, Layer, LoihiLIF, Shape, Synapse
from hardware.arriving import neuron_bias, synapse_product
from hardware.loihi_cost.chip import position
from hardware.loihi_cost.connections import Connections, Format, Integers
from hardware.loihi_cost.mapping import Mapping
from hardware.reference import (
    DECAY_UNITY,
    loihi_neurons,
    truncated_product,
)

Spikes = NDArray[np.uint8]


@dataclass(frozen=True, eq=False)
class Operations:
    """The operations of one recording, and the tiles in use."""

    synaptic_SC: Integers
    active_SC: Integers
    inactive_SC: Integers
    messages_S: Integers
    column_hops_S: Integers
    row_hops_S: Integers
    spikes: int
    tiles: int

    def totals(self) -> dict[str, int]:
        """Return the counts of the whole recording."""
        return {
            "synaptic_operations": int(self.synaptic_SC.sum()),
            "active_updates": int(self.active_SC.sum()),
            "inactive_updates": int(self.inactive_SC.sum()),
            "spikes": self.spikes,
            "messages": int(self.messages_S.sum()),
            "hops": int(self.column_hops_S.sum() + self.row_hops_S.sum()),
        }


def operations(
    network: FixedPointNetwork, mapping: Mapping, layers_TN: Sequence[Spikes]
) -> Operations:
    """Count one recording; `layers_TN` are the spikes of the input and of every layer in order."""
    count, cores = len(network.layers), len(mapping.cores)
    total = network.steps + count
    synaptic_SC, active_SC, updates_SC = (np.zeros((total, cores), np.int64) for _ in range(3))
    sent_S3 = np.zeros((total, 3), np.int64)
    for index, links in enumerate(mapping.connections):
        fan_out_NC = _fan_out(links, mapping.core_of[index + 1], cores)
        spikes_TN = layers_TN[index].astype(np.int64)
        window = slice(index, index + network.steps)
        synaptic_SC[window] += spikes_TN @ fan_out_NC
        sent_S3[window] += spikes_TN @ _routes(fan_out_NC > 0, mapping.core_of[index])
    for index, layer in enumerate(network.layers, start=1):
        kind, shape = mapping.connections[index - 1].format, network.shapes[index - 1]
        active_TN = _active(layer, kind, shape, layers_TN[index - 1], count - index)
        core_N = mapping.core_of[index]
        for step, row_N in enumerate(active_TN, start=index):
            active_SC[step] += np.bincount(core_N[row_N], minlength=cores)
        updates_SC += np.bincount(core_N, minlength=cores)
    spikes = sum(int(spikes_TN.sum()) for spikes_TN in layers_TN)
    inactive_SC = updates_SC - active_SC
    messages_S, columns_S, rows_S = sent_S3.T
    return Operations(
        synaptic_SC, active_SC, inactive_SC, messages_S, columns_S, rows_S, spikes, mapping.tiles
    )


def _fan_out(links: Connections, core_N: Integers, cores: int) -> Integers:
    """Return the synapses of every source neuron in every core, `(N, C)`."""
    pairs_E = links.sources_E * cores + core_N[links.targets_E]
    return np.bincount(pairs_E, minlength=links.sources * cores).reshape(links.sources, cores)


def _routes(reached_NC: NDArray[np.bool_], core_N: Integers) -> Integers:
    """Return the messages, hops along columns and hops along rows of one spike, `(N, 3)`."""
    place_C2 = np.array([position(core) for core in range(reached_NC.shape[1])])
    hops_NC2 = np.abs(place_C2[None] - place_C2[core_N][:, None])
    routes_N2 = (reached_NC[..., None] * hops_NC2).sum(axis=1)
    return np.concatenate([reached_NC.sum(axis=1, keepdims=True), routes_N2], axis=1)


def _active(
    layer: Layer[LoihiLIF], kind: Format, shape: Shape, inputs_TN: Spikes, left: int
) -> NDArray[np.bool_]:
    """Return which neurons are active in the layer's T steps and the `left` ones that follow."""
    activation_1TN = synapse_product(layer.synapse, inputs_TN[None], shape, np.float64)
    bias_N = neuron_bias(layer.synapse, activation_1TN.shape[-1])
    membranes_TN = loihi_neurons(activation_1TN, bias_N, layer.neuron)[1][0]
    stored = _stored(layer.synapse, kind)
    touched_TN = synapse_product(stored, inputs_TN[None], shape, np.float32)[0] > 0
    active_TN = touched_TN | (bias_N != 0)
    active_TN[1:] |= membranes_TN[:-1] != 0
    kept_N, after = membranes_TN[-1], []
    for _ in range(left):
        after.append(kept_N != 0)
        kept_N = truncated_product(kept_N, DECAY_UNITY - layer.neuron.membrane_decay)
    return np.concatenate([active_TN, *(row_N[None] for row_N in after)])


def _stored(synapse: Synapse, kind: Format) -> Synapse:
    """Return the synapses with a one where a core stores one."""
    if isinstance(synapse, Conv):
        return replace(synapse, weight_OIHW=(synapse.weight_OIHW != 0).astype(np.int64))
    stored_OI = np.ones_like(synapse.weight_OI) if kind == "dense" else synapse.weight_OI != 0
    return replace(synapse, weight_OI=stored_OI.astype(np.int64))

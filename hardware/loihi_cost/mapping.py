"""Layers to cores: as few cores as a greedy cut gives, under the chip's four limits.

Axes: `N` neuron of a layer in (C, H, W) order.

Layers are cut (`cut`) from the last to the first, for a core's output axons depend on the cores
that its neurons reach. Input neurons take cores too: each spike of the recording is sent from one.
Cores are numbered in the order of the layers, so that neighbours talk to neighbours.

`place_network` takes every layer of the contract. `map_network` refuses what the model of the
chip's cost does not count.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from export.errors import HardspikeError
from export.network import Array, FixedPointNetwork, Layer, LoihiLIF
from export.neurons import NO_CURRENT
from hardware.loihi_cost import chip
from hardware.loihi_cost.connections import Connections, Integers, connections
from hardware.loihi_cost.cut import Load, Uncut, cores_reached, cut, whole

INPUT = "input"


@dataclass(frozen=True, eq=False)
class Mapping:
    """The cores in use, in order. Layer 0 is the input; `core_of` has the core of every neuron.

    `connections[k]` lead from layer k to layer k + 1, `recurrent[k]` from layer k + 1 to itself.
    `wholes` has what each layer would take of a single core.
    """

    cores: tuple[Load, ...]
    core_of: tuple[Integers, ...]
    names: tuple[str, ...]
    connections: tuple[Connections, ...]
    recurrent: tuple[Connections | None, ...]
    wholes: tuple[Load, ...]

    @property
    def tiles(self) -> int:
        """The number of tiles with at least one core in use."""
        return chip.tile_of(len(self.cores) - 1) + 1

    def of_layer(self, layer: int) -> list[Load]:
        """Return the cores of one layer."""
        return [core for core in self.cores if core.layer == layer]


def map_network(network: FixedPointNetwork, limits: chip.Limits = chip.CORE) -> Mapping:
    """Return a mapping of `network` onto one chip, of which the cost can be modelled.

    Raises:
        HardspikeError: spikes with values, a synaptic current filter, features of a layer that the
            model does not count, one neuron that no core holds, or more cores than the chip has:
            what is needed and what there is.
    """
    if faults := [*_unpriced(network), *input_faults(network)]:
        raise HardspikeError(*faults)
    placed = place_network(network, limits)
    if faults := list(core_faults(placed)):
        raise HardspikeError(*faults)
    return placed


def place_network(network: FixedPointNetwork, limits: chip.Limits = chip.CORE) -> Mapping:
    """Cut every layer of `network` into cores, however many it takes.

    Raises:
        HardspikeError: one neuron that no core holds: what it needs and what a core has.
    """
    names = (INPUT, *(layer.name for layer in network.layers))
    links, own = _incoming(network), tuple(map(_own, network.layers))
    shapes, loads, wholes = network.shapes, list[list[Load]](), list[Load]()
    reached_N = np.zeros(links[-1].targets, np.int64)
    for index in range(len(links), -1, -1):
        incoming, back = (links[index - 1], own[index - 1]) if index else (None, None)
        uncut = Uncut(index, names[index], shapes[index], incoming, back, reached_N)
        loads.insert(0, cut(uncut, limits))
        wholes.insert(0, whole(uncut))
        if incoming is not None:
            reached_N = cores_reached(incoming, loads[0])
    cores = tuple(load for layer in loads for load in layer)
    return Mapping(cores, _core_of(cores, len(names)), names, links, own, tuple(wholes))


def _incoming(network: FixedPointNetwork) -> tuple[Connections, ...]:
    """Return the synapses of each layer from the one below, whose axons may be late."""
    found, axonal = list[Connections](), 0
    for layer, shape in zip(network.layers, network.shapes, strict=False):
        longest = axonal + _longest(layer.dendrite_delay_N)
        found.append(connections(layer.synapse, shape, longest))
        axonal = _longest(layer.delay_N)
    return tuple(found)


def _own(layer: Layer[LoihiLIF]) -> Connections | None:
    if layer.recurrent is None:
        return None
    neurons = len(layer.recurrent.weight_OI)
    return connections(layer.recurrent, (neurons,), _longest(layer.dendrite_delay_N))


def _longest(delay_N: Array | None) -> int:
    return 0 if delay_N is None else int(delay_N.max())


def _unpriced(network: FixedPointNetwork) -> Iterator[str]:
    """Yield what neither SANA-FE nor the count of operations has."""
    for layer in network.layers:
        if layer.neuron.current_decay != NO_CURRENT:
            yield (
                f"layer {layer.name}: current decay: found {layer.neuron.current_decay}, allowed "
                f"{NO_CURRENT}: SANA-FE's neuron does not round a synaptic current that lasts"
            )
    for layer in network.layers:
        if layer.features:
            yield (
                f"layer {layer.name}: found {', '.join(layer.features)}, allowed is none: this "
                "model of the chip's cost does not count it"
            )


def input_faults(network: FixedPointNetwork) -> Iterator[str]:
    """Yield what the chip's axons cannot bring to a network."""
    if network.input_max > 1:
        yield (
            f"input: found counts up to {network.input_max}, allowed spikes of 0 or 1: a spike on "
            "Loihi 1 carries no value (data.binning.mode: binary)"
        )


def core_faults(placed: Mapping) -> Iterator[str]:
    """Yield how many cores a network needs, by layer, where one chip has fewer."""
    needed = len(placed.cores)
    if needed > chip.CORES:
        counts = np.bincount([core.layer for core in placed.cores])
        each = ", ".join(f"{name} {n}" for name, n in zip(placed.names, counts, strict=True))
        yield f"network: needs {needed} cores ({each}), a chip has {chip.CORES}"


def _core_of(cores: Sequence[Load], layers: int) -> tuple[Integers, ...]:
    sizes = [sum(len(load.neurons_N) for load in cores if load.layer == k) for k in range(layers)]
    core_of = tuple(np.zeros(size, np.int64) for size in sizes)
    for index, load in enumerate(cores):
        core_of[load.layer][load.neurons_N] = index
    return core_of

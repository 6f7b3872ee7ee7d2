"""Layers to cores: as few cores as a greedy cut gives, under the chip's four limits.

Axes: `N` neuron of a layer in (C, H, W) order, `E` synapse.

Layers are cut from the last to the first, for a core's output axons depend on the cores that its
neurons reach. Neurons are taken position by position, all channels of one together, which keeps
together what shares inputs. Input neurons take cores too: each spike of the recording is sent from
one. Cores are numbered in the order of the layers, so that neighbours talk to neighbours.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from export.errors import HardspikeError
from export.network import FixedPointNetwork, Shape
from hardware.loihi_cost import chip
from hardware.loihi_cost.connections import Connections, Integers, connections

NO_FILTER = 4095
"""The current decay du that leaves no synaptic current from one step to the next."""
INPUT = "input"


@dataclass(frozen=True, eq=False)
class Load:
    """What one core holds: the neurons of one layer, and how much of each limit they take."""

    layer: int
    neurons_N: Integers
    output_axons: int
    input_axons: int = 0
    synapse_words: int = 0


@dataclass(frozen=True, eq=False)
class Mapping:
    """The cores in use, in order. Layer 0 is the input; `core_of` has the core of every neuron.

    `connections[k]` lead from layer k to layer k + 1.
    """

    cores: tuple[Load, ...]
    core_of: tuple[Integers, ...]
    names: tuple[str, ...]
    connections: tuple[Connections, ...]

    @property
    def tiles(self) -> int:
        """The number of tiles with at least one core in use."""
        return chip.tile_of(len(self.cores) - 1) + 1

    def of_layer(self, layer: int) -> list[Load]:
        """Return the cores of one layer."""
        return [core for core in self.cores if core.layer == layer]


def map_network(network: FixedPointNetwork) -> Mapping:
    """Return a mapping of `network` onto one chip.

    Raises:
        HardspikeError: spikes with values, a synaptic current filter, one neuron that no core
            holds, or more cores than the chip has: what is needed and what there is.
    """
    _check_neurons(network)
    names = (INPUT, *(layer.name for layer in network.layers))
    links = tuple(
        connections(layer.synapse, shape)
        for layer, shape in zip(network.layers, network.shapes, strict=False)
    )
    loads: list[list[Load]] = []
    reached_N = np.zeros(links[-1].targets, np.int64)
    for layer in range(len(links), -1, -1):
        incoming = links[layer - 1] if layer else None
        cut = _Cut(layer, names[layer], _order(network.shapes[layer]), incoming, reached_N)
        loads.insert(0, cut.loads())
        if incoming is not None:
            reached_N = _cores_reached(incoming, loads[0])
    _check_cores(names, loads)
    cores = tuple(load for layer in loads for load in layer)
    return Mapping(cores, _core_of(cores, len(names)), names, links)


def _check_neurons(network: FixedPointNetwork) -> None:
    faults = [
        f"layer {layer.name}: current decay: found {layer.neuron.current_decay}, allowed "
        f"{NO_FILTER}: SANA-FE's neuron does not round a synaptic current that lasts"
        for layer in network.layers
        if layer.neuron.current_decay != NO_FILTER
    ]
    faults += [
        f"layer {layer.name}: found {', '.join(layer.features)}, allowed is none: this model of "
        "the chip's cost does not count it"
        for layer in network.layers
        if layer.features
    ]
    if network.input_max > 1:
        faults.append(
            f"input: found counts up to {network.input_max}, allowed spikes of 0 or 1: a spike on "
            "Loihi 1 carries no value (data.binning.mode: binary)"
        )
    if faults:
        raise HardspikeError(*faults)


def _check_cores(names: Sequence[str], loads: Sequence[Sequence[Load]]) -> None:
    needed = sum(map(len, loads))
    if needed > chip.CORES:
        each = ", ".join(f"{name} {len(cut)}" for name, cut in zip(names, loads, strict=True))
        raise HardspikeError(f"network: needs {needed} cores ({each}), a chip has {chip.CORES}")


def _order(shape: Shape) -> Integers:
    """Return a layer's neurons position by position, all channels of one together."""
    order = np.arange(int(np.prod(shape)))
    return order.reshape(shape[0], -1).T.ravel() if len(shape) == 3 else order


def _cores_reached(links: Connections, loads: Sequence[Load]) -> Integers:
    """Return, for every source neuron, how many of the cores `loads` it has synapses in."""
    part_N = np.zeros(links.targets, np.int64)
    for index, load in enumerate(loads):
        part_N[load.neurons_N] = index
    pairs = np.unique(links.sources_E * len(loads) + part_N[links.targets_E])
    return np.bincount(pairs // len(loads), minlength=links.sources)


def _core_of(cores: Sequence[Load], layers: int) -> tuple[Integers, ...]:
    sizes = [sum(len(load.neurons_N) for load in cores if load.layer == k) for k in range(layers)]
    core_of = tuple(np.zeros(size, np.int64) for size in sizes)
    for index, load in enumerate(cores):
        core_of[load.layer][load.neurons_N] = index
    return core_of


class _Cut:
    """Cuts one layer into cores. Every load grows with its neurons, so bisection finds the end."""

    def __init__(
        self,
        layer: int,
        name: str,
        order_N: Integers,
        incoming: Connections | None,
        reached_N: Integers,
    ) -> None:
        self._layer, self._name, self._order_N = layer, name, order_N
        self._incoming = incoming
        self._output_N = np.concatenate([[0], np.cumsum(reached_N[order_N])])
        if incoming is not None:
            place_N = np.argsort(order_N)[incoming.targets_E]
            by_place = np.argsort(place_N, kind="stable")
            self._sources_E = incoming.sources_E[by_place]
            counts = np.bincount(place_N, minlength=len(order_N))
            self._first_N = np.concatenate([[0], np.cumsum(counts)])

    def loads(self) -> list[Load]:
        """Return the loads of the cores that the layer takes, in order.

        Raises:
            HardspikeError: a single neuron is more than a core holds.
        """
        loads, start = [], 0
        while start < len(self._order_N):
            end = self._end(start)
            loads.append(self._load(start, end))
            start = end
        return loads

    def _end(self, start: int) -> int:
        """Return where a core that begins at `start` is full."""
        if fault := _excess(self._load(start, start + 1)):
            neuron = int(self._order_N[start])
            raise HardspikeError(f"layer {self._name}: neuron {neuron} alone needs {fault}")
        fits, too_far = start + 1, min(start + chip.COMPARTMENTS, len(self._order_N)) + 1
        while too_far - fits > 1:
            middle = (fits + too_far) // 2
            if _excess(self._load(start, middle)):
                too_far = middle
            else:
                fits = middle
        return fits

    def _load(self, start: int, end: int) -> Load:
        neurons_N = self._order_N[start:end]
        output = int(self._output_N[end] - self._output_N[start])
        if self._incoming is None:
            return Load(self._layer, neurons_N, output)
        sources_E = self._sources_E[self._first_N[start] : self._first_N[end]]
        lengths_N = np.bincount(sources_E)
        words_N = -(-lengths_N * self._incoming.synapse_bits // chip.WORD_BITS)
        lists = int(np.count_nonzero(lengths_N))
        return Load(self._layer, neurons_N, output, lists, int(words_N.sum()))


def _excess(load: Load) -> str | None:
    """Return the first limit that a load is over: what it needs and what a core has."""
    limits = (
        (load.input_axons, chip.INPUT_AXONS, "input axons"),
        (load.synapse_words, chip.SYNAPSE_WORDS, "words of synaptic memory (64 bits)"),
        (load.output_axons, chip.OUTPUT_AXONS, "output axons"),
        (len(load.neurons_N), chip.COMPARTMENTS, "compartments"),
    )
    for needed, allowed, what in limits:
        if needed > allowed:
            return f"{needed:,} {what}, a core has {allowed:,}"
    return None

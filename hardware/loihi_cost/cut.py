"""One layer cut into cores: as few as a greedy cut gives, under the four limits of a core.

Axes: `N` neuron of the layer in (C, H, W) order, `E` synapse, `I` source of a synapse.

Neurons are taken position by position, all channels of one together, which keeps together what
shares inputs. What a layer's own spikes bring comes from sources of their own, after its inputs.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np

from export.errors import HardspikeError
from export.network import Shape
from hardware.loihi_cost import chip
from hardware.loihi_cost.connections import Connections, Integers


@dataclass(frozen=True, eq=False)
class Load:
    """What one core holds: the neurons of one layer, and how much of each limit they take."""

    layer: int
    neurons_N: Integers
    output_axons: int
    input_axons: int = 0
    synapse_words: int = 0


class Excess(NamedTuple):
    """A limit that a load is over."""

    needed: int
    allowed: int
    what: str


@dataclass(frozen=True, eq=False)
class Uncut:
    """A layer before the cut: its index in the network (the input is 0), name and shape.

    `incoming` are the synapses from the layer below (None for the input), `own` the recurrent ones.
    Neuron n has synapses in `reached_N[n]` cores of the layer above.
    """

    index: int
    name: str
    shape: Shape
    incoming: Connections | None
    own: Connections | None
    reached_N: Integers


def cut(layer: Uncut, limits: chip.Limits) -> list[Load]:
    """Return the loads of the cores that a layer takes, in order.

    A recurrent neuron reaches cores of its own layer, how many is known after the cut only. With
    at most P cores it reaches no more than P, nor more than it has synapses: the least P is taken
    whose cut gives P cores or fewer.

    Raises:
        HardspikeError: a single neuron is more than a core holds.
    """
    if layer.own is None:
        return _Greedy(layer, layer.reached_N, limits).loads()
    fan_N = np.bincount(layer.own.sources_E, minlength=layer.own.sources)
    most, loads = 0, list[Load]()
    while most == 0 or len(loads) > most:
        most = max(1, len(loads))
        loads = _Greedy(layer, layer.reached_N + np.minimum(fan_N, most), limits).loads()
    edges_N = layer.reached_N + cores_reached(layer.own, loads)
    return [replace(load, output_axons=int(edges_N[load.neurons_N].sum())) for load in loads]


def whole(layer: Uncut) -> Load:
    """Return what a single core would have to hold of a layer."""
    fan_N = np.zeros_like(layer.reached_N)
    if layer.own is not None:
        fan_N = np.bincount(layer.own.sources_E, minlength=layer.own.sources)
    greedy = _Greedy(layer, layer.reached_N + np.minimum(fan_N, 1), chip.CORE)
    return greedy.load(0, len(layer.reached_N))


def cores_reached(links: Connections, loads: Sequence[Load]) -> Integers:
    """Return, for every source neuron, how many of the cores `loads` it has synapses in."""
    part_N = np.zeros(links.targets, np.int64)
    for index, load in enumerate(loads):
        part_N[load.neurons_N] = index
    pairs = np.unique(links.sources_E * len(loads) + part_N[links.targets_E])
    return np.bincount(pairs // len(loads), minlength=links.sources)


def excesses(load: Load, limits: chip.Limits) -> Iterator[Excess]:
    """Yield every limit that a load is over."""
    held = (
        Excess(load.input_axons, limits.input_axons, "input axons"),
        Excess(
            load.synapse_words,
            limits.synapse_words,
            f"words of {chip.WORD_BITS} bits of synaptic memory",
        ),
        Excess(load.output_axons, limits.output_axons, "output axons"),
        Excess(len(load.neurons_N), limits.compartments, "compartments"),
    )
    return (one for one in held if one.needed > one.allowed)


def _by_position(shape: Shape) -> Integers:
    """Return a layer's neurons position by position, all channels of one together."""
    order = np.arange(int(np.prod(shape)))
    return order.reshape(shape[0], -1).T.ravel() if len(shape) == 3 else order


class _Greedy:
    """Fills one core after another. Every load grows with its neurons: bisection finds the end."""

    def __init__(self, layer: Uncut, edges_N: Integers, limits: chip.Limits) -> None:
        self._layer, self._limits = layer, limits
        self._order_N = _by_position(layer.shape)
        self._output_N = np.concatenate([[0], np.cumsum(edges_N[self._order_N])])
        links = [links for links in (layer.incoming, layer.own) if links is not None]
        self._has_synapses = bool(links)
        if links:
            self._take_synapses(links)

    def _take_synapses(self, links: Sequence[Connections]) -> None:
        """Lay the synapses out in the order of their neurons.

        Sources are numbered as they are met, so that a core's lie close together and counting its
        lists takes no longer than the core is large.
        """
        sizes = [part.sources for part in links]
        place_N = np.argsort(self._order_N)
        place_E = np.concatenate([place_N[part.targets_E] for part in links])
        offsets = np.cumsum([0, *sizes[:-1]])
        sources = [part.sources_E + at for part, at in zip(links, offsets, strict=True)]
        sources_E = np.concatenate(sources)[np.argsort(place_E, kind="stable")]
        met_I = np.full(sum(sizes), len(sources_E))
        met_I[sources_E[::-1]] = np.arange(len(sources_E))[::-1]  # the last to be set stays
        order_I = np.argsort(met_I, kind="stable")
        self._sources_E = np.argsort(order_I)[sources_E]
        self._bits_I = np.repeat([part.synapse_bits for part in links], sizes)[order_I]
        counts = np.bincount(place_E, minlength=len(self._order_N))
        self._first_N = np.concatenate([[0], np.cumsum(counts)])

    def loads(self) -> list[Load]:
        """Return the loads of the cores that the layer takes, in order.

        Raises:
            HardspikeError: a single neuron is more than a core holds.
        """
        loads, start = [], 0
        while start < len(self._order_N):
            end = self._end(start)
            loads.append(self.load(start, end))
            start = end
        return loads

    def load(self, start: int, end: int) -> Load:
        """Return what a core holds that has the neurons in `start:end` of the order."""
        neurons_N, index = self._order_N[start:end], self._layer.index
        output = int(self._output_N[end] - self._output_N[start])
        if not self._has_synapses:
            return Load(index, neurons_N, output)
        sources_E = self._sources_E[self._first_N[start] : self._first_N[end]]
        first = int(sources_E.min(initial=len(self._bits_I)))
        lengths_I = np.bincount(sources_E - first)
        bits_I = lengths_I * self._bits_I[first : first + len(lengths_I)]
        lists, words = np.count_nonzero(lengths_I), (-(-bits_I // chip.WORD_BITS)).sum()
        return Load(index, neurons_N, output, int(lists), int(words))

    def _end(self, start: int) -> int:
        """Return where a core that begins at `start` is full."""
        most = min(start + self._limits.compartments, len(self._order_N))
        if self._fits(start, most):
            return most
        if fault := next(excesses(self.load(start, start + 1), self._limits), None):
            neuron = int(self._order_N[start])
            raise HardspikeError(
                f"layer {self._layer.name}: neuron {neuron} alone needs {fault.needed:,} "
                f"{fault.what}, a core has {fault.allowed:,}"
            )
        fits, too_far = start + 1, most
        while too_far - fits > 1:
            middle = (fits + too_far) // 2
            fits, too_far = (middle, too_far) if self._fits(start, middle) else (fits, middle)
        return fits

    def _fits(self, start: int, end: int) -> bool:
        return not any(excesses(self.load(start, end), self._limits))

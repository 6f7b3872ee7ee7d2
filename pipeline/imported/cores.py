"""How the layers of a network are split over the cores of one Loihi 1, for `hardspike check`."""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from export.errors import HardspikeError
from export.imported.checking import GRAPH, CoreShare, Row
from export.network import FixedPointNetwork
from hardware.loihi_cost.chip import CORE
from hardware.loihi_cost.connections import Integers
from hardware.loihi_cost.cut import Load, excesses
from hardware.loihi_cost.mapping import Mapping, core_faults, input_faults, place_network

_MOST_SYNAPSES, _MOST_NEURONS = 1 << 22, 1 << 19
"""Of a network that is put on cores to see how many it takes; more takes long and much memory. One
chip has 2^17 neurons."""


@dataclass(frozen=True)
class Cores:
    """What the cores of one chip make of a network.

    `splits` has, by layer, the words of the rewrite where a layer is more than a core holds,
    `shares` what each core takes of it, and `remarks` whatever else there is to say, of a layer or
    of the graph.
    """

    splits: dict[str, str] = field(default_factory=dict)
    shares: dict[str, tuple[CoreShare, ...]] = field(default_factory=dict)
    remarks: dict[str, str] = field(default_factory=dict)

    def said_of(self, row: Row, layer: str) -> Row:
        """Return the row of a layer with what the cores make of it.

        The parts together are the layer (`hardware.loihi_cost.split`), so that what was exact is
        equivalent; what was worse stays so.
        """
        remarks = [self.remarks[layer]] if layer in self.remarks else []
        split = self.splits.get(layer)
        if split is not None and row.is_equal:
            says = f"{row.says}, {split}" if row.says else split
            row = replace(row, status="equivalent", says=says)
        elif split is not None:
            remarks.append(split)
        return replace(
            row, remarks=(*row.remarks, *remarks), cores=self.shares.get(layer, row.cores)
        )


def cores_of(network: FixedPointNetwork) -> Cores:
    """Return the cores that each layer takes, or what hinders.

    Lava's simulator knows no cores: a network that fits no chip runs there all the same.
    """
    try:
        _check_size(network)
        placed = place_network(network)
    except HardspikeError as error:
        return Cores(remarks={GRAPH: _one_chip(str(error).splitlines())})
    splits, shares, remarks = dict[str, str](), dict[str, tuple[CoreShare, ...]](), {}
    faults = list(core_faults(placed))
    for index, name in enumerate(placed.names[1:], start=1):
        loads = placed.of_layer(index)
        if len(loads) > 1:
            splits[name] = _split(placed, index, len(loads))
        else:
            remarks[name] = "takes a core of Loihi 1"
        if not faults:
            shares[name] = tuple(map(_share, loads))
    if others := [*input_faults(network), *faults]:
        remarks[GRAPH] = _one_chip(others)
    return Cores(splits, shares, remarks)


def _one_chip(faults: Sequence[str]) -> str:
    return f"one Loihi 1: {'; '.join(faults)}"


def _split(placed: Mapping, index: int, cores: int) -> str:
    """Return the words of the rewrite, with the limits that the layer is over."""
    over = (
        f"{excess.needed:,} {excess.what} (a core has {excess.allowed:,})"
        for excess in excesses(placed.wholes[index], CORE)
    )
    return f"split over {cores} cores of Loihi 1: {', '.join(over)}"


def _share(load: Load) -> CoreShare:
    ranges = tuple(_ranges(np.sort(load.neurons_N)))
    return CoreShare(ranges, load.input_axons, load.output_axons, load.synapse_words)


def _ranges(sorted_N: Integers) -> Iterator[tuple[int, int]]:
    """Yield the ends `[first, last + 1)` of each run of neighbours."""
    breaks = np.flatnonzero(np.diff(sorted_N) != 1)
    firsts, lasts = [0, *(breaks + 1)], [*breaks, len(sorted_N) - 1]
    for first, last in zip(firsts, lasts, strict=True):
        yield int(sorted_N[first]), int(sorted_N[last]) + 1


def _check_size(network: FixedPointNetwork) -> None:
    neurons = [math.prod(shape) for shape in network.shapes]
    if sum(neurons) > _MOST_NEURONS:
        raise HardspikeError(f"not mapped, more than {_MOST_NEURONS:,} neurons")
    synapses = 0
    for layer, count in zip(network.layers, neurons[1:], strict=True):
        synapses += count * layer.synapse.weight[0].size
        synapses += 0 if layer.recurrent is None else layer.recurrent.weight_OI.size
    if synapses > _MOST_SYNAPSES:
        raise HardspikeError(f"not mapped, more than {_MOST_SYNAPSES:,} synapses")

"""How the layers of a network are split over the cores of one Loihi 1, for `hardspike check`."""

import math
from collections.abc import Mapping

from export.errors import HardspikeError
from export.imported.checking import GRAPH
from export.network import FixedPointNetwork
from hardware.loihi_cost.mapping import map_network

_MOST_SYNAPSES = 1 << 22
"""Of a network that is put on cores to see how many it takes; more takes long and much memory."""


def core_remarks(network: FixedPointNetwork) -> Mapping[str, str]:
    """Return layer → the cores it is split over, or what hinders, under the name of the graph.

    Lava's simulator knows no cores: a network that fits no chip runs there all the same.
    """
    try:
        if _synapses(network) > _MOST_SYNAPSES:
            return {GRAPH: f"one Loihi 1: not mapped, more than {_MOST_SYNAPSES:,} synapses"}
        placed = map_network(network)
    except HardspikeError as error:
        return {GRAPH: f"one Loihi 1: {'; '.join(str(error).splitlines())}"}
    counts = [len(placed.of_layer(index)) for index in range(len(placed.names))]
    return {
        name: "takes a core of Loihi 1" if count == 1 else f"split over {count} cores of Loihi 1"
        for name, count in zip(placed.names[1:], counts[1:], strict=True)
    }


def _synapses(network: FixedPointNetwork) -> int:
    shapes = network.shapes[1:]
    fans = [layer.synapse.weight[0].size for layer in network.layers]
    return sum(math.prod(shape) * fan for shape, fan in zip(shapes, fans, strict=True))

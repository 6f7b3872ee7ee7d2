"""Which layer of A is held against which of B: by name, else by order where sizes agree."""

import itertools
import math
from dataclasses import dataclass
from typing import Any

from export.errors import HardspikeError
from export.network import Network

Found = list[tuple[int, int]]


@dataclass(frozen=True)
class Pair:
    """Layer `a` of A and layer `b` of B, by their place; `name` is A's, with B's if it differs."""

    a: int
    b: int
    name: str


def pair_layers(a: Network[Any], b: Network[Any]) -> tuple[list[Pair], list[str]]:
    """Return the pairs in order, and a line for every layer that has no partner.

    Layers of one name come first, if those names stand in the same order in both. Between them
    layers are paired one by one where both sides have as many, else from the front and from the
    back as long as they have the same number of neurons. Swapping A and B gives the same pairs.

    Raises:
        HardspikeError: no layer has a partner.
    """
    sizes_a, sizes_b = _sizes(a), _sizes(b)
    fences = [(-1, -1), *_anchors(a, b, sizes_a, sizes_b), (len(sizes_a), len(sizes_b))]
    found: Found = list(fences[1:-1])
    for before, after in itertools.pairwise(fences):
        places_a = list(range(before[0] + 1, after[0]))
        places_b = list(range(before[1] + 1, after[1]))
        found += _between(places_a, places_b, sizes_a, sizes_b)
    if not found:
        raise HardspikeError(
            f"layers: no layer of A ({_listed(a)}) has the name and size, or the place and size, "
            f"of one of B ({_listed(b)})"
        )
    pairs = [Pair(i, j, _name(a.layers[i].name, b.layers[j].name)) for i, j in sorted(found)]
    return pairs, [
        *_alone("A", "B", a, {pair.a for pair in pairs}),
        *_alone("B", "A", b, {pair.b for pair in pairs}),
    ]


def _sizes(network: Network[Any]) -> list[int]:
    return [math.prod(shape) for shape in network.shapes[1:]]


def _anchors(a: Network[Any], b: Network[Any], sizes_a: list[int], sizes_b: list[int]) -> Found:
    places_b = {layer.name: place for place, layer in enumerate(b.layers)}
    found = [
        (place, places_b[layer.name])
        for place, layer in enumerate(a.layers)
        if layer.name in places_b and sizes_a[place] == sizes_b[places_b[layer.name]]
    ]
    in_order = [j for _, j in found] == sorted(j for _, j in found)
    return found if in_order else []


def _between(
    places_a: list[int], places_b: list[int], sizes_a: list[int], sizes_b: list[int]
) -> Found:
    def fits(i: int, j: int) -> bool:
        return sizes_a[i] == sizes_b[j]

    if len(places_a) == len(places_b):
        return [pair for pair in zip(places_a, places_b, strict=True) if fits(*pair)]
    found: Found = []
    while places_a and places_b and fits(places_a[0], places_b[0]):
        found.append((places_a.pop(0), places_b.pop(0)))
    while places_a and places_b and fits(places_a[-1], places_b[-1]):
        found.append((places_a.pop(), places_b.pop()))
    return found


def _name(one: str, other: str) -> str:
    return one if one == other else f"{one} | {other}"


def _alone(side: str, other: str, network: Network[Any], paired: set[int]) -> list[str]:
    return [
        f"layer {layer.name} of {side} ({size} neurons) has no partner in {other}: not compared"
        for place, (layer, size) in enumerate(zip(network.layers, _sizes(network), strict=True))
        if place not in paired
    ]


def _listed(network: Network[Any]) -> str:
    sizes = _sizes(network)
    return ", ".join(
        f"{layer.name}: {size}" for layer, size in zip(network.layers, sizes, strict=True)
    )

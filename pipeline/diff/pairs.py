"""Which layer of A is held against which of B: by place, names and shapes."""

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from export.errors import HardspikeError
from export.network import Network, Shape

Found = list[tuple[int, int]]


@dataclass(frozen=True)
class Pair:
    """Layer `a` of A and layer `b` of B, by their place; `name` is A's, with B's if it differs."""

    a: int
    b: int
    name: str


def pair_layers(a: Network[Any], b: Network[Any]) -> tuple[list[Pair], list[str]]:
    """Return the pairs in order, and a line for every layer that has no partner.

    Only layers of as many neurons are paired. Where both sides have as many layers, each of the
    other's size, the place decides. Else layers of one name come first, if those names stand in the
    same order in both; bare numbers, as toolkits give to nodes, are no names. Between them
    layers are paired one by one where both sides have as many; then from the front and from the
    back as long as sizes agree; then those whose shape (C, H, W) is the only one of its kind on
    either side, if in the same order, and again between those. Swapping A and B gives the same
    pairs.

    Raises:
        HardspikeError: no layer has a partner.
    """
    shapes_a, shapes_b = a.shapes[1:], b.shapes[1:]
    whole = list(range(len(shapes_a))), list(range(len(shapes_b)))
    if [*map(math.prod, shapes_a)] == [*map(math.prod, shapes_b)]:
        found: Found = list(zip(*whole, strict=True))
    else:
        found = _within(_named_alike(a, b), *whole, shapes_a, shapes_b)
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


def _named_alike(a: Network[Any], b: Network[Any]) -> Found:
    sizes_a, sizes_b = _sizes(a), _sizes(b)
    places_b = {layer.name: place for place, layer in enumerate(b.layers)}
    return _if_in_order(
        [
            (place, places_b[layer.name])
            for place, layer in enumerate(a.layers)
            if layer.name in places_b
            and not layer.name.isdecimal()
            and sizes_a[place] == sizes_b[places_b[layer.name]]
        ]
    )


def _if_in_order(found: Found) -> Found:
    return found if [j for _, j in found] == sorted(j for _, j in found) else []


def _within(
    anchors: Found,
    places_a: list[int],
    places_b: list[int],
    shapes_a: Sequence[Shape],
    shapes_b: Sequence[Shape],
) -> Found:
    """Return the anchors and what is paired before, between and behind them."""
    found = list(anchors)
    fences = [(-1, -1), *anchors, (len(shapes_a), len(shapes_b))]
    for before, after in itertools.pairwise(fences):
        between_a = [place for place in places_a if before[0] < place < after[0]]
        between_b = [place for place in places_b if before[1] < place < after[1]]
        found += _between(between_a, between_b, shapes_a, shapes_b)
    return found


def _between(
    places_a: list[int],
    places_b: list[int],
    shapes_a: Sequence[Shape],
    shapes_b: Sequence[Shape],
) -> Found:
    def fits(i: int, j: int) -> bool:
        return math.prod(shapes_a[i]) == math.prod(shapes_b[j])

    one_by_one = list(zip(places_a, places_b, strict=False))
    if len(places_a) == len(places_b) and any(fits(*pair) for pair in one_by_one):
        return [pair for pair in one_by_one if fits(*pair)]
    found: Found = []
    while places_a and places_b and fits(places_a[0], places_b[0]):
        found.append((places_a.pop(0), places_b.pop(0)))
    while places_a and places_b and fits(places_a[-1], places_b[-1]):
        found.append((places_a.pop(), places_b.pop()))
    anchors = _shaped_alike(places_a, places_b, shapes_a, shapes_b)
    return found + (_within(anchors, places_a, places_b, shapes_a, shapes_b) if anchors else [])


def _shaped_alike(
    places_a: list[int],
    places_b: list[int],
    shapes_a: Sequence[Shape],
    shapes_b: Sequence[Shape],
) -> Found:
    """Return the pairs of layers whose shape is the only one of its kind on either side."""
    there = [shapes_a[place] for place in places_a], [shapes_b[place] for place in places_b]
    return _if_in_order(
        [
            (place, places_b[there[1].index(shape)])
            for place, shape in zip(places_a, there[0], strict=True)
            if there[0].count(shape) == there[1].count(shape) == 1
        ]
    )


def _sizes(network: Network[Any]) -> list[int]:
    return [math.prod(shape) for shape in network.shapes[1:]]


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

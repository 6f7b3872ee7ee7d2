"""What a rewrite is, and how one is carried out: requires, call, ensures."""

from dataclasses import dataclass
from typing import Protocol

from export.errors import HardspikeError
from export.imported.graph import Graph, Output
from export.imported.shapes import infer_shapes
from export.network import Array, Shape

Shapes = dict[str, Shape]


@dataclass(frozen=True)
class Applied:
    """One rewrite that was carried out: the nodes that it took up, and what was done in words."""

    nodes: tuple[str, ...]
    says: str


class Rewrite(Protocol):
    """A pass that acts at one node of a graph."""

    def requires(self, graph: Graph, shapes: Shapes, name: str) -> bool:
        """Whether the pass can act at `name` without a change of what is computed."""
        ...

    def call(self, graph: Graph, shapes: Shapes, name: str) -> tuple[Graph, Applied]:
        """Return the graph after the pass, and what was done."""
        ...


def carry_out(
    rewrite: Rewrite, graph: Graph, shapes: Shapes, name: str
) -> tuple[Graph, Applied] | None:
    """Carry out a rewrite where what it requires is given; None where it is not.

    Raises:
        HardspikeError: an output has another shape afterwards, which is a fault of the rewrite.
    """
    if not rewrite.requires(graph, shapes, name):
        return None
    after, applied = rewrite.call(graph, shapes, name)
    _ensure(graph, shapes, after, applied)
    return after, applied


def _ensure(graph: Graph, shapes: Shapes, after: Graph, applied: Applied) -> None:
    """Hold every output's number of values to what it was."""
    found = infer_shapes(after)
    for name, node in graph.nodes.items():
        if isinstance(node, Output) and _count(found[name]) != _count(shapes[name]):
            raise HardspikeError(
                f"{applied.says}: output {name} was {shapes[name]} and became {found[name]}"
            )


def _count(shape: Shape) -> int:
    count = 1
    for size in shape:
        count *= size
    return count


def exact(values: Array, like: Array) -> Array:
    """Return float64 `values` in the type of `like` where that keeps every one of them."""
    narrow = values.astype(like.dtype)
    return narrow if (narrow.astype(values.dtype) == values).all() else values

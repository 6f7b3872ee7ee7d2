"""All rewrites in turn, until none has anything left to do."""

from export.imported.graph import Graph
from export.imported.rewrites.average_pooling import AverageAsSum
from export.imported.rewrites.conv1d import Conv1dAsConv2d
from export.imported.rewrites.linear import MergeLinear
from export.imported.rewrites.plain_convolution import PlainConvolution
from export.imported.rewrites.rewrite import Applied, Rewrite, carry_out
from export.imported.rewrites.scale import FoldScale
from export.imported.rewrites.sum_pooling import FoldSumPooling
from export.imported.rewrites.time_step import TimeStep
from export.imported.rewrites.without_synapse import WithoutSynapse
from export.imported.rewrites.written_out import WriteOut
from export.imported.shapes import infer_shapes
from export.network import Reset


def rewrites(dt: float, reset: Reset) -> tuple[Rewrite, ...]:
    """Return every rewrite, in the order in which they are tried."""
    return (
        TimeStep(dt, reset),
        Conv1dAsConv2d(),
        PlainConvolution(),
        AverageAsSum(),
        WithoutSynapse(),
        FoldScale(),
        MergeLinear(),
        FoldSumPooling(),
        WriteOut(),
    )


def rewrite_graph(graph: Graph, dt: float, reset: Reset) -> tuple[Graph, list[Applied]]:
    """Return the graph in which nothing is left to rewrite, and what was done.

    Raises:
        HardspikeError: shapes that do not meet, or neurons that have no step in the contract; one
            line that names the node.
    """
    done: list[Applied] = []
    before = -1
    while len(done) > before:
        before = len(done)
        for rewrite in rewrites(dt, reset):
            graph = _everywhere(rewrite, graph, done)
    return graph, done


def _everywhere(rewrite: Rewrite, graph: Graph, done: list[Applied]) -> Graph:
    shapes = infer_shapes(graph)
    for name in tuple(graph.nodes):
        while name in graph.nodes:
            found = carry_out(rewrite, graph, shapes, name)
            if found is None:
                break
            graph, applied = found
            shapes = infer_shapes(graph)
            done.append(applied)
    return graph

"""Sum pooling folded into the convolution behind it.

With a pool of kernel k, stride s and padding p, and a convolution of kernel K, stride S and padding
P behind it (each axis by itself), the sums over both are a convolution of

    kernel (K − 1)·s + k,   stride S·s,   padding P·s + p,   W′[i·s + a] += W[i] for 0 ≤ a < k

The convolution's padding is zeros, where W′ would see what a window of the pool sees there. So with
P > 0 that must be nothing: windows beyond either end must lie wholly outside,

    k ≤ s + p                    before the first
    n·s ≥ length + p             behind the last of the n that there are
"""

import numpy as np

from export.errors import HardspikeError
from export.imported.graph import Conv2d, Graph, SumPool2d
from export.imported.rewrites.plain_convolution import MOST_WEIGHTS
from export.imported.rewrites.rewrite import Applied, Shapes, exact
from export.imported.shapes import output_shape


class FoldSumPooling:
    """A SumPool2d goes into the plain Conv2d that alone reads it."""

    def requires(self, graph: Graph, shapes: Shapes, name: str) -> bool:
        """The conditions above, and as many outputs as before."""
        pool, follower = graph.nodes[name], graph.follower(name)
        conv = graph.nodes[follower] if follower else None
        if not isinstance(pool, SumPool2d) or not isinstance(conv, Conv2d) or follower is None:
            return False
        if conv.groups != 1 or conv.dilation != (1, 1):
            return False
        if _folded_size(pool, conv) > MOST_WEIGHTS:
            return False
        given = shapes[graph.before(name)[0]]
        if any(
            conv.padding[axis] and not _nothing_beyond(pool, axis, given[1 + axis], shapes[name])
            for axis in (0, 1)
        ):
            return False
        try:
            return output_shape(_folded(pool, conv), given) == shapes[follower]
        except HardspikeError:
            return False

    def call(self, graph: Graph, shapes: Shapes, name: str) -> tuple[Graph, Applied]:
        """Put W′ in the convolution's place."""
        pool, follower = graph.nodes[name], graph.follower(name)
        assert isinstance(pool, SumPool2d)
        assert follower is not None
        conv = graph.nodes[follower]
        assert isinstance(conv, Conv2d)
        after = graph.replaced(follower, _folded(pool, conv)).without(name)
        return after, Applied((name,), f"sum pooling folded into {follower}")


def _nothing_beyond(pool: SumPool2d, axis: int, length: int, pooled: tuple[int, ...]) -> bool:
    kernel, stride, padding = pool.kernel[axis], pool.stride[axis], pool.padding[axis]
    return kernel <= stride + padding and pooled[1 + axis] * stride >= length + padding


def _folded_size(pool: SumPool2d, conv: Conv2d) -> int:
    outputs, inputs, *sizes = conv.weight_OIHW.shape
    reach = [
        (size - 1) * stride + kernel
        for size, stride, kernel in zip(sizes, pool.stride, pool.kernel, strict=True)
    ]
    return int(outputs * inputs * reach[0] * reach[1])


def _folded(pool: SumPool2d, conv: Conv2d) -> Conv2d:
    outputs, inputs, height, width = conv.weight_OIHW.shape
    (k_h, k_w), (s_h, s_w) = pool.kernel, pool.stride
    weight = np.zeros((outputs, inputs, (height - 1) * s_h + k_h, (width - 1) * s_w + k_w))
    for a in range(k_h):
        for b in range(k_w):
            rows = slice(a, a + (height - 1) * s_h + 1, s_h)
            columns = slice(b, b + (width - 1) * s_w + 1, s_w)
            weight[:, :, rows, columns] += conv.weight_OIHW
    return Conv2d(
        exact(weight, conv.weight_OIHW),
        conv.bias_O,
        (conv.stride[0] * s_h, conv.stride[1] * s_w),
        (conv.padding[0] * s_h + pool.padding[0], conv.padding[1] * s_w + pool.padding[1]),
    )

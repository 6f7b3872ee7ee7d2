"""What a graph computes, straight from its nodes' equations in float64: the rewrites' oracle.

Axes: `T` time, `B` recording, then a node's own shape. Nothing here is shared with `rewrites`,
`lower` or the targets, so that a slip in one of them shows.
"""

from typing import assert_never

import numpy as np
from numpy.typing import NDArray

from export.imported.graph import (
    AvgPool2d,
    Conv1d,
    Conv2d,
    Delay,
    Flatten,
    Graph,
    Input,
    Linear,
    Neuron,
    Node,
    Output,
    Scale,
    StepNeuron,
    SumPool2d,
    Threshold,
    in_order,
)
from export.imported.shapes import infer_shapes
from export.network import Array, Reset, Shape

F64 = NDArray[np.float64]


def evaluate_graph(
    graph: Graph, input_TB: Array, dt: float, reset: Reset = "zero"
) -> dict[str, F64]:
    """Return every node's output at every step, `(T, B, *shape)`, for `input_TB` at the input.

    Neurons move by forward-Euler steps of `dt`, the synaptic current before the membrane, from
    v_reset at the start; a spike acts at its own step on what lies in front and a step later on
    what lies behind. A neuron that never fires gives its membrane. A delay is rounded to steps.

    Raises:
        HardspikeError: the graph has a fault that `infer_shapes` names, or several inputs.
    """
    shapes, order = infer_shapes(graph), in_order(graph)
    graph.the_one(Input)
    steps, batch = input_TB.shape[:2]
    outputs = {name: np.zeros((steps, batch, *shapes[name])) for name in order}
    running = {name: _Running(graph.nodes[name], shapes[name], dt, reset) for name in order}
    position = {name: index for index, name in enumerate(order)}
    for t in range(steps):
        for name in order:
            drive = np.zeros((batch, *_given(graph, name, shapes)))
            for source in graph.before(name):
                at = t if position[source] < position[name] else t - 1
                if at >= 0:
                    drive = drive + outputs[source][at].reshape(drive.shape)
            if isinstance(graph.nodes[name], Input):
                drive = input_TB[t].astype(np.float64).reshape(batch, *shapes[name])
            outputs[name][t] = running[name].step(drive, t)
    return outputs


def _given(graph: Graph, name: str, shapes: dict[str, Shape]) -> Shape:
    sources = graph.before(name)
    return shapes[sources[0]] if sources else shapes[name]


class _Running:
    """One node and its state."""

    def __init__(self, node: Node, shape: Shape, dt: float, reset: Reset) -> None:
        self._node, self._shape, self._dt, self._reset = node, shape, dt, reset
        self._v: Array | None = None
        self._i: Array | float = 0.0
        self._past: list[Array] = []
        self._fired: list[Array] = []

    def step(self, x: Array, t: int) -> Array:
        """Return the node's output for the input of one step, `(B, *shape)`."""
        match node := self._node:
            case Input() | Output():
                return x
            case Linear():
                return x @ node.weight_OI.T.astype(np.float64) + _or_zero(node.bias_O)
            case Conv1d():
                flat = Conv2d(
                    node.weight_OIK[:, :, None, :],
                    node.bias_O,
                    (1, node.stride),
                    (0, node.padding),
                    (1, node.dilation),
                    node.groups,
                )
                return _convolve(flat, x[:, :, None, :])[:, :, 0, :]
            case Conv2d():
                return _convolve(node, x)
            case SumPool2d():
                return _pool(node.kernel, node.stride, node.padding, x)
            case AvgPool2d():
                size = node.kernel[0] * node.kernel[1]
                return _pool(node.kernel, node.stride, node.padding, x) / size
            case Flatten():
                return x.reshape(len(x), *self._shape)
            case Scale():
                return x * node.scale
            case Threshold():
                return np.asarray(x > node.threshold, np.float64)
            case Delay():
                return self._delayed(node, x, t)
            case Neuron():
                return self._neuron(node, x)
            case StepNeuron():
                return self._step_neuron(node, x)
            case _:
                assert_never(node)

    def _delayed(self, node: Delay, x: Array, t: int) -> Array:
        self._past.append(x)
        steps = np.broadcast_to(np.rint(node.delay / self._dt), self._shape)
        late = np.zeros_like(x)
        for delay in np.unique(steps):
            if delay <= t:
                late[:, steps == delay] = self._past[t - int(delay)][:, steps == delay]
        return late

    def _neuron(self, node: Neuron, x: Array) -> Array:
        rest = 0.0 if node.v_reset is None else node.v_reset
        v = np.zeros_like(x) + rest if self._v is None else self._v
        current = x
        if node.tau_syn is not None:
            weighted = x if node.w_in is None else node.w_in * x
            current = self._i + self._dt / node.tau_syn * (weighted - self._i)
            self._i = current
        if node.tau is None:
            v = v + self._dt * node.r * current
        else:
            leak = 0.0 if node.v_leak is None else node.v_leak
            v = v + self._dt / node.tau * ((leak - v) + node.r * current)
        if node.v_threshold is None:
            self._v = v
            return v
        if node.refractory and self._v is not None:
            v = np.where(self._rests(node.refractory), self._v, v)
        fired = v > node.v_threshold
        self._fired.append(fired)
        lower = v - (node.v_threshold - rest) if self._reset == "subtract" else rest
        self._v = np.where(fired, lower, v)
        return np.asarray(fired, np.float64)

    def _rests(self, steps: int) -> Array:
        """Return which neurons fired in the last `steps` steps."""
        return np.asarray(np.any(self._fired[-steps:], axis=0))

    def _step_neuron(self, node: StepNeuron, x: Array) -> Array:
        self._i = node.current_decay * self._i + x
        u = node.decay * (0.0 if self._v is None else self._v) + self._i + node.bias
        if node.refractory and self._fired:
            u = np.where(self._rests(node.refractory), 0.0, u)
        fired = u > node.threshold
        self._fired.append(fired)
        self._v = np.where(fired, 0.0 if node.reset == "zero" else u - node.threshold, u)
        return np.asarray(fired, np.float64) if np.isfinite(node.threshold) else u


def _or_zero(bias: Array | None) -> Array | float:
    return 0.0 if bias is None else bias.astype(np.float64)


def _convolve(node: Conv2d, x: Array) -> Array:
    """Add up shifted images, one tap of the kernel after the other."""
    padded = _padded(x, node.padding)
    outputs, inputs, height, width = node.weight_OIHW.shape
    (down, right), (dy, dx), groups = node.stride, node.dilation, node.groups
    rows = (padded.shape[2] - dy * (height - 1) - 1) // down + 1
    columns = (padded.shape[3] - dx * (width - 1) - 1) // right + 1
    result = np.zeros((len(x), outputs, rows, columns))
    own = outputs // groups
    for i in range(height):
        for j in range(width):
            top, left = i * dy, j * dx
            part = padded[
                :,
                :,
                top : top + (rows - 1) * down + 1 : down,
                left : left + (columns - 1) * right + 1 : right,
            ]
            for g in range(groups):
                weight = node.weight_OIHW[g * own : (g + 1) * own, :, i, j].astype(np.float64)
                seen = part[:, g * inputs : (g + 1) * inputs]
                result[:, g * own : (g + 1) * own] += np.einsum("oi,bihw->bohw", weight, seen)
    if node.bias_O is not None:
        result += node.bias_O.astype(np.float64)[:, None, None]
    return result


def _pool(
    kernel: tuple[int, int], stride: tuple[int, int], padding: tuple[int, int], x: Array
) -> Array:
    padded = _padded(x, padding)
    rows, columns = ((padded.shape[2 + axis] - kernel[axis]) // stride[axis] + 1 for axis in (0, 1))
    result = np.zeros((*x.shape[:2], rows, columns))
    for row in range(rows):
        for column in range(columns):
            top, left = row * stride[0], column * stride[1]
            window = padded[:, :, top : top + kernel[0], left : left + kernel[1]]
            result[:, :, row, column] = window.sum(axis=(2, 3))
    return result


def _padded(x: Array, padding: tuple[int, int]) -> Array:
    (high, wide), (height, width) = padding, x.shape[2:]
    padded = np.zeros((*x.shape[:2], height + 2 * high, width + 2 * wide))
    padded[:, :, high : high + height, wide : wide + width] = x
    return padded

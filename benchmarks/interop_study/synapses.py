"""The nodes of a NIR graph that hold no state, for one step, in float64.

Axes: `B` recording, `C` channel, `H` height, `W` width, `O` output, `I` input.
"""

import math
from typing import Any

import nir
import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from export.errors import HardspikeError
from export.network import Array

Pair = tuple[int, int]


def apply(name: str, node: Any, values: Array) -> Array:
    """Return what a node puts out for one step's input, (B, ...).

    Raises:
        HardspikeError: there is no rule for the node's type, or its padding is not given in places.
    """
    match node:
        case nir.Input() | nir.Output():
            return values
        case nir.Affine():
            return np.asarray(values @ node.weight.T.astype(np.float64) + node.bias)
        case nir.Linear():
            return np.asarray(values @ node.weight.T.astype(np.float64))
        case nir.Scale():
            return np.asarray(values * node.scale)
        case nir.Flatten():
            return _flatten(values, int(node.start_dim), int(node.end_dim))
        case nir.Conv2d():
            return _convolve(name, node, values)
        case nir.SumPool2d():
            return _pool(node, values)
        case nir.AvgPool2d():
            return _pool(node, values) / math.prod(_pair(node.kernel_size))
        case _:
            kind = type(node).__name__
            raise HardspikeError(f"node {name}: found {kind}, for which there is no rule here")


def _pair(value: Any) -> Pair:
    first, second = np.broadcast_to(np.asarray(value, np.int64), (2,))
    return int(first), int(second)


def _flatten(values: Array, start: int, end: int) -> Array:
    """Flatten axes `start` to `end`, both counted behind the recordings' axis."""
    shape = values.shape[1:]
    first, last = start % len(shape), end % len(shape)
    return values.reshape(len(values), *shape[:first], -1, *shape[last + 1 :])


def _padded(values: Array, padding: Pair) -> Array:
    (top, left) = padding
    return np.pad(values, ((0, 0), (0, 0), (top, top), (left, left)))


def _convolve(name: str, node: Any, values_BCHW: Array) -> Array:
    """Return the cross-correlation, as `torch.nn.functional.conv2d` has it."""
    if isinstance(node.padding, str | bytes):
        raise HardspikeError(f"node {name}: padding: found {node.padding!r}, allowed numbers")
    weight_OIHW, groups = node.weight.astype(np.float64), int(node.groups)
    (stride_h, stride_w), (step_h, step_w) = _pair(node.stride), _pair(node.dilation)
    span = tuple(
        step * (size - 1) + 1
        for step, size in zip((step_h, step_w), weight_OIHW.shape[2:], strict=True)
    )
    image = _padded(values_BCHW, _pair(node.padding))
    windows = sliding_window_view(image, span, axis=(2, 3))
    windows = windows[:, :, ::stride_h, ::stride_w, ::step_h, ::step_w]
    parts = [
        np.einsum("bihwkl,oikl->bohw", given, kernel)
        for given, kernel in zip(
            np.split(windows, groups, axis=1), np.split(weight_OIHW, groups), strict=True
        )
    ]
    return np.asarray(np.concatenate(parts, axis=1) + node.bias[:, None, None])


def _pool(node: Any, values_BCHW: Array) -> Array:
    """Return the sum over each window."""
    stride_h, stride_w = _pair(node.stride)
    image = _padded(values_BCHW, _pair(node.padding))
    windows = sliding_window_view(image, _pair(node.kernel_size), axis=(2, 3))
    return np.asarray(windows[:, :, ::stride_h, ::stride_w].sum(axis=(4, 5)))

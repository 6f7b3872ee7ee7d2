"""What the layers of a deployed network are, for the report."""

import math
from typing import Any

import numpy as np

from export.network import Conv, FixedPointNetwork, Layer, LoihiLIF

_MEMBRANE_ONE = 4096
"""The registers of decay count in 1/4096 of the membrane a step."""


def layer_facts(network: FixedPointNetwork) -> list[dict[str, Any]]:
    """Return name, kind, shapes and counts of every layer.

    `weights` are those stored: a convolution's kernels once. `decay` is the share of the membrane
    kept a step, `threshold` the register's value in units of the integer weights; it is None where
    the layer never fires.
    """
    shapes, last = network.shapes, len(network.layers) - 1
    return [
        _facts(layer, shapes[index], shapes[index + 1])
        | {"threshold": _threshold(network, layer, index == last)}
        for index, layer in enumerate(network.layers)
    ]


def _threshold(network: FixedPointNetwork, layer: Layer[LoihiLIF], last: bool) -> int | None:
    return None if last and network.readout == "membrane" else layer.neuron.threshold


def _facts(
    layer: Layer[LoihiLIF], before: tuple[int, ...], after: tuple[int, ...]
) -> dict[str, Any]:
    weight, bias = layer.synapse.weight, layer.synapse.bias_O
    conv = isinstance(layer.synapse, Conv)
    return {
        "layer": layer.name,
        "type": "conv" if conv else "dense",
        "input_shape": list(before),
        "output_shape": list(after),
        "kernel": list(weight.shape[2:]) if conv else None,
        "stride": list(layer.synapse.stride) if isinstance(layer.synapse, Conv) else None,
        "neurons": math.prod(after),
        "weights": int(weight.size),
        "zero_weights": int(weight.size - np.count_nonzero(weight)),
        "biases": 0 if bias is None else int(bias.size),
        "decay": (_MEMBRANE_ONE - layer.neuron.membrane_decay) / _MEMBRANE_ONE,
    }

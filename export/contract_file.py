"""Networks in safetensors: weights as tensors, everything else as JSON in the header."""

import json
import math
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from export.errors import HardspikeError
from export.files import write_bytes
from export.network import (
    LIF,
    Conv,
    Dense,
    FixedPointNetwork,
    HardSpikeNetwork,
    Layer,
    LoihiLIF,
    Network,
    Synapse,
)

SCHEMA = "hardspike.network/1"
_KINDS = {"float": LIF, "fixed": LoihiLIF}
_USUAL: dict[type, dict[str, Any]] = {
    LIF: {"reset": "zero", "current_decay": 0.0, "bias_filtered": False, "refractory": 0},
    LoihiLIF: {"reset": "zero", "bias_filtered": False, "refractory": 0},
}
"""Fields that stand in a file only where they are not this: files from before them have none."""
_OF_NEURONS = {
    "delay_N": "delay",
    "dendrite_delay_N": "dendrite_delay",
    "current_decay_O": "current_decay",
    "membrane_decay_O": "membrane_decay",
}
"""Fields of a layer that are tensors of a file where they are not None."""


def write_network(network: HardSpikeNetwork | FixedPointNetwork, path: Path) -> None:
    """Write `network` to `path` in one step; the same network gives the same bytes.

    Raises:
        HardspikeError: the network is a faulty chip's, or the file cannot be written.
    """
    tensors, layers = {}, []
    for layer in network.layers:
        if layer.is_faulty:
            raise HardspikeError(
                f"{path}: layer {layer.name}: found faulty neurons, allowed is a whole network"
            )
        tensors[f"{layer.name}.weight"] = np.ascontiguousarray(layer.synapse.weight)
        if layer.synapse.bias_O is not None:
            tensors[f"{layer.name}.bias"] = np.ascontiguousarray(layer.synapse.bias_O)
        for field, key in _OF_NEURONS.items():
            if (values := getattr(layer, field)) is not None:
                tensors[f"{layer.name}.{key}"] = np.ascontiguousarray(values)
        if layer.recurrent is not None:
            tensors |= _recurrent_tensors(layer.name, layer.recurrent)
        layers.append(_layer_header(layer))
    header = {
        "schema": SCHEMA,
        "kind": "float" if isinstance(network.layers[0].neuron, LIF) else "fixed",
        "input_shape": network.input_shape,
        "readout": network.readout,
        "steps": network.steps,
        "dt": network.dt,
        "classes": network.classes,
        "input_max": network.input_max,
        "layers": layers,
    }
    write_bytes(path, save(tensors, metadata={"hardspike": json.dumps(header, sort_keys=True)}))


def _recurrent_tensors(name: str, recurrent: Dense) -> dict[str, Any]:
    tensors = {f"{name}.recurrent.weight": np.ascontiguousarray(recurrent.weight_OI)}
    if recurrent.bias_O is not None:
        tensors[f"{name}.recurrent.bias"] = np.ascontiguousarray(recurrent.bias_O)
    return tensors


def _layer_header(layer: Layer[Any]) -> dict[str, Any]:
    usual = _USUAL[type(layer.neuron)]
    neuron = {
        key: "never" if value == math.inf else value
        for key, value in asdict(layer.neuron).items()
        if key not in usual or value != usual[key]
    }
    header = {"name": layer.name, "neuron": neuron, "scale": layer.scale}
    if isinstance(layer.synapse, Conv):
        header |= {"stride": layer.synapse.stride, "padding": layer.synapse.padding}
        if layer.synapse.dilation != (1, 1) or layer.synapse.groups != 1:
            header |= {"dilation": layer.synapse.dilation, "groups": layer.synapse.groups}
    return header


def read_float_network(path: Path) -> HardSpikeNetwork:
    """Read a float network.

    Raises:
        HardspikeError: the file is absent, damaged, of another schema or kind.
    """
    return _read(path, "float")


def read_fixed_network(path: Path) -> FixedPointNetwork:
    """Read a fixed-point network; raises as `read_float_network`."""
    return _read(path, "fixed")


def _read(path: Path, kind: str) -> Network[Any]:
    try:
        with safe_open(path, framework="numpy") as file:
            header = json.loads((file.metadata() or {})["hardspike"])
            tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
        if header["schema"] != SCHEMA or header["kind"] != kind:
            raise HardspikeError(
                f"{path}: holds {header['schema']} of kind {header['kind']}, "
                f"allowed {SCHEMA} of kind {kind}"
            )
        return Network(
            input_shape=tuple(header["input_shape"]),
            layers=tuple(_layer(entry, tensors, kind) for entry in header["layers"]),
            readout=header["readout"],
            steps=header["steps"],
            dt=header["dt"],
            classes=tuple(header["classes"]),
            input_max=header["input_max"],
        )
    except (OSError, SafetensorError, KeyError, TypeError, ValueError) as error:
        raise HardspikeError(f"{path}: is not a {kind} network of hardspike ({error})") from error


def _layer(entry: dict[str, Any], tensors: dict[str, Any], kind: str) -> Layer[Any]:
    neuron = {
        key: math.inf if value == "never" else value for key, value in entry["neuron"].items()
    }
    weight, bias = tensors[f"{entry['name']}.weight"], tensors.get(f"{entry['name']}.bias")
    synapse: Synapse = (
        Conv(
            weight,
            bias,
            tuple(entry["stride"]),
            tuple(entry["padding"]),
            tuple(entry.get("dilation", (1, 1))),
            entry.get("groups", 1),
        )
        if "stride" in entry
        else Dense(weight, bias)
    )
    name = entry["name"]
    back = tensors.get(f"{name}.recurrent.weight")
    return Layer(
        name,
        synapse,
        _KINDS[kind](**neuron),
        entry["scale"],
        **{field: tensors.get(f"{name}.{key}") for field, key in _OF_NEURONS.items()},
        recurrent=None if back is None else Dense(back, tensors.get(f"{name}.recurrent.bias")),
    )

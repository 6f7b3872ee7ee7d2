"""Fixed-point networks in netx (`.net`, HDF5), as `lava.lib.dl.netx.hdf5.Network` reads them.

    layer/0  type=input    shape (C, H, W)
    layer/i  type=conv     shape (C, H, W), weight (O, I, H, W), stride, padding, dilation (H, W),
                           groups, inChannels, outChannels, kernelSize (H, W)
    layer/i  type=flatten  from (C, H, W) to a vector in that order; before a dense layer only
    layer/i  type=dense    shape (O,), weight (O, I), inFeatures, outFeatures
             bias          mantissas, one a channel or neuron; netx fixes their exponent at 6
             neuron/       type=CUBA, iDecay = du + 1, vDecay = dv, vThMant = vth, refDelay = 1,
                           gradedSpike = 0

netx turns shapes, kernels and strides to (W, H, C) itself, and orders what it flattens (C, H, W). A
flatten before the first dense layer makes no connection in netx: its port then takes the input
already flattened in (C, H, W) order.

A faulty chip's layer has `neuron/thresholds` or `neuron/alive` (one a neuron) besides, which no
Loihi and no netx knows: its neurons are of type CUBA-FAULT, so that netx stops at them.

What netx has no field for lies in attributes of the file: schema, readout, steps, dt, input_max,
classes, layer_names (both JSON lists) and scales. Source of the layout: lava-dl 0.6.0,
`lava/lib/dl/netx/hdf5.py` and `lava/lib/dl/slayer/block/base.py`.
"""

import dataclasses
import json
import math
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from export import hdf5_fields as fields
from export.errors import HardspikeError
from export.files import replacing
from export.network import Conv, Dense, FixedPointNetwork, Layer, LoihiLIF, Shape
from export.registers import register_faults

SCHEMA = "hardspike.netx/1"
LAYER_TYPES = ("input", "conv", "dense", "flatten")
NEURON, FAULTY_NEURON = "CUBA", "CUBA-FAULT"


def write_netx(network: FixedPointNetwork, path: Path) -> None:
    """Write `network` to `path` in one step; the same network gives the same bytes.

    Raises:
        HardspikeError: a number overruns its register (one line each), or the file cannot be
            written.
    """
    faults = list(register_faults(network))
    if faults:
        raise HardspikeError(*faults)
    with replacing(path) as temporary, h5py.File(temporary, "w", track_order=False) as file:
        _write_attributes(file, network)
        groups = _Groups(file)
        _put(groups.add("input"), "shape", network.input_shape)
        for layer, given, shape in zip(
            network.layers, network.shapes, network.shapes[1:], strict=False
        ):
            if isinstance(layer.synapse, Dense) and len(given) == 3:
                _put(groups.add("flatten"), "shape", (int(np.prod(given)),))
            _write_layer(groups, layer, shape)


def _write_attributes(file: Any, network: FixedPointNetwork) -> None:
    file.attrs["schema"] = SCHEMA
    file.attrs["readout"] = network.readout
    file.attrs["steps"] = np.int64(network.steps)
    file.attrs["dt"] = np.float64(network.dt)
    file.attrs["input_max"] = np.int64(network.input_max)
    file.attrs["classes"] = json.dumps(network.classes, ensure_ascii=False)
    names = [layer.name for layer in network.layers]
    file.attrs["layer_names"] = json.dumps(names, ensure_ascii=False)
    file.attrs["scales"] = np.array([layer.scale for layer in network.layers], np.float64)


class _Groups:
    """Adds groups `layer/0`, `layer/1`, … to a file."""

    def __init__(self, file: Any) -> None:
        self._file, self._count = file, 0

    def add(self, kind: str) -> Any:
        group = self._file.create_group(f"layer/{self._count}")
        self._count += 1
        group.create_dataset("type", data=np.array([kind.encode("ascii")], "S10"))
        return group


def _put(group: Any, key: str, value: Any, dtype: Any = np.int64) -> None:
    group.create_dataset(key, data=np.asarray(value).astype(dtype))


def _write_layer(groups: _Groups, layer: Layer[LoihiLIF], shape: Shape) -> None:
    synapse, neuron = layer.synapse, layer.neuron
    group = groups.add("conv" if isinstance(synapse, Conv) else "dense")
    _put(group, "shape", shape)
    _put(group, "weight", synapse.weight, np.int16)
    outputs, inputs, *kernel = synapse.weight.shape
    if isinstance(synapse, Conv):
        _put(group, "inChannels", inputs)
        _put(group, "outChannels", outputs)
        _put(group, "kernelSize", kernel)
        _put(group, "stride", synapse.stride)
        _put(group, "padding", synapse.padding)
        _put(group, "dilation", (1, 1))
        _put(group, "groups", 1)
    else:
        _put(group, "inFeatures", inputs)
        _put(group, "outFeatures", outputs)
    if synapse.bias_O is not None:
        _put(group, "bias", synapse.bias_O, np.int16)
    kind = FAULTY_NEURON if layer.is_faulty else NEURON
    group.create_dataset("neuron/type", data=np.array([kind.encode("ascii")], "S10"))
    _put(group, "neuron/iDecay", neuron.current_decay + 1)
    _put(group, "neuron/vDecay", neuron.membrane_decay)
    _put(group, "neuron/vThMant", neuron.threshold)
    _put(group, "neuron/refDelay", 1)
    _put(group, "neuron/gradedSpike", 0)
    if layer.threshold_N is not None:
        _put(group, "neuron/thresholds", layer.threshold_N)
    if layer.alive_N is not None:
        _put(group, "neuron/alive", layer.alive_N)


def read_netx(path: Path) -> FixedPointNetwork:
    """Read a network that `write_netx` wrote.

    Raises:
        HardspikeError: the file is absent, not HDF5 or truncated; a field is absent, of another
            type or shape, or overruns its register; an attribute makes no sense. One line, naming
            the file and the field.
    """
    try:
        with h5py.File(path, "r") as file:
            network = _network(file)
    except HardspikeError as error:
        raise HardspikeError(f"{path}: {error}") from error
    except (OSError, KeyError, RuntimeError, TypeError, ValueError, MemoryError) as error:
        raise HardspikeError(f"{path}: cannot be read as netx ({error})") from error
    faults = list(register_faults(network))
    if faults:
        raise HardspikeError(*(f"{path}: {fault}" for fault in faults))
    return network


def _network(file: Any) -> FixedPointNetwork:
    schema = fields.text(file, "schema")
    if schema != SCHEMA:
        raise HardspikeError(f"schema: found {schema!r}, allowed {SCHEMA!r}")
    names, scales = fields.names(file, "layer_names"), fields.attribute(file, "scales")
    input_shape, layers = _stack(file)
    if len(names) != len(layers):
        raise HardspikeError(f"layer_names: found {len(names)}, the file has {len(layers)} layers")
    if scales.shape != (len(layers),) or not fields.all_positive(scales):
        raise HardspikeError(f"scales: found {scales}, allowed one positive number a layer")
    dt = fields.attribute(file, "dt")
    if dt.shape != () or not fields.all_positive(dt):
        raise HardspikeError(f"dt: found {dt}, allowed one positive number of seconds")
    return FixedPointNetwork(
        input_shape=input_shape,
        layers=tuple(
            dataclasses.replace(layer, name=name, scale=float(scale))
            for name, layer, scale in zip(names, layers, scales, strict=True)
        ),
        readout=fields.text(file, "readout"),  # type: ignore[arg-type]  # the network checks it
        steps=fields.whole(file, "steps"),
        dt=float(dt),
        classes=fields.names(file, "classes"),
        input_max=fields.whole(file, "input_max"),
    )


def _stack(file: Any) -> tuple[tuple[int, int, int], list[Layer[LoihiLIF]]]:
    """Return the input shape and the layers, without names; every shape in the file is checked."""
    groups = [
        fields.group(file, f"layer/{index}") for index in range(len(fields.group(file, "layer")))
    ]
    kinds = [_kind(group) for group in groups]
    if not kinds or kinds[0] != "input":
        raise HardspikeError("layer/0/type: allowed 'input' for the first layer")
    shape: Shape = tuple(int(size) for size in fields.integers(groups[0], "shape", (3,)))
    if min(shape) < 1:
        raise HardspikeError(f"layer/0/shape: found {shape}, allowed positive sizes (C, H, W)")
    input_shape, layers = (shape[0], shape[1], shape[2]), []
    for group, kind, follower in zip(groups[1:], kinds[1:], [*kinds[2:], None], strict=True):
        if kind == "flatten":
            _check_flatten(group, shape, follower)
            continue
        if kind == "dense" and len(shape) == 3 and kinds[groups.index(group) - 1] != "flatten":
            raise HardspikeError(
                f"{fields.name_of(group)}: needs a layer of type 'flatten' before it"
            )
        synapse = _conv(group) if kind == "conv" else _dense(group)
        try:
            shape = synapse.output_shape(shape)
        except HardspikeError as error:
            raise HardspikeError(f"{fields.name_of(group)}/weight: {error}") from error
        found = tuple(fields.integers(group, "shape", (len(shape),)).tolist())
        if found != shape:
            raise HardspikeError(f"{fields.name_of(group)}/shape: found {found}, allowed {shape}")
        faulty = fields.ascii_text(group, "neuron/type") == FAULTY_NEURON
        own = [
            fields.integers(group, f"neuron/{key}", (math.prod(shape),))
            if faulty and key in group["neuron"]
            else None
            for key in ("thresholds", "alive")
        ]
        layers.append(Layer("", synapse, _neuron(group), 1.0, *own))
    return input_shape, layers


def _kind(group: Any) -> str:
    found = fields.ascii_text(group, "type")
    if found not in LAYER_TYPES or (found == "input" and fields.name_of(group) != "layer/0"):
        raise HardspikeError(
            f"{fields.name_of(group)}/type: found {found!r}, allowed {', '.join(LAYER_TYPES)} "
            "with one input, first"
        )
    return found


def _check_flatten(group: Any, shape: Shape, follower: str | None) -> None:
    if len(shape) != 3 or follower != "dense":
        raise HardspikeError(
            f"{fields.name_of(group)}: 'flatten' is allowed only from (C, H, W) to a dense layer"
        )


def _bias(group: Any, outputs: int) -> Any:
    return fields.integers(group, "bias", (outputs,)) if "bias" in group else None


def _dense(group: Any) -> Dense:
    weight = fields.integers(group, "weight", (None, None))
    return Dense(weight, _bias(group, weight.shape[0]))


def _conv(group: Any) -> Conv:
    weight = fields.integers(group, "weight", (None, None, None, None))
    stride, padding = _pair(group, "stride", 1), _pair(group, "padding", 0)
    if _pair(group, "dilation", 1) != (1, 1) or fields.scalar(group, "groups") != 1:
        raise HardspikeError(
            f"{fields.name_of(group)}: dilation and groups are allowed to be 1 only"
        )
    return Conv(weight, _bias(group, weight.shape[0]), stride, padding)


def _pair(group: Any, key: str, minimum: int) -> tuple[int, int]:
    pair = fields.integers(group, key, (2,))
    if pair.min() < minimum:
        raise HardspikeError(
            f"{fields.name_of(group)}/{key}: found {pair}, allowed {minimum} and above"
        )
    return int(pair[0]), int(pair[1])


def _neuron(group: Any) -> LoihiLIF:
    fixed = {"refDelay": 1, "gradedSpike": 0}
    if fields.ascii_text(group, "neuron/type") not in (NEURON, FAULTY_NEURON):
        raise HardspikeError(
            f"{fields.name_of(group)}/neuron/type: allowed '{NEURON}' or '{FAULTY_NEURON}'"
        )
    for key, allowed in fixed.items():
        if (found := fields.scalar(group, f"neuron/{key}")) != allowed:
            raise HardspikeError(
                f"{fields.name_of(group)}/neuron/{key}: found {found}, allowed {allowed}"
            )
    return LoihiLIF(
        membrane_decay=fields.scalar(group, "neuron/vDecay"),
        threshold=fields.scalar(group, "neuron/vThMant"),
        current_decay=fields.scalar(group, "neuron/iDecay") - 1,
    )

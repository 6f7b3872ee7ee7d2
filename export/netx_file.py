"""Fixed-point networks in netx (`.net`, HDF5), as `lava.lib.dl.netx.hdf5.Network` reads them.

    layer/0  type=input    shape (C, H, W)
    layer/i  type=conv     shape (C, H, W), weight (O, I, H, W), stride, padding, dilation (H, W),
                           groups, inChannels, outChannels, kernelSize (H, W)
    layer/i  type=flatten  from (C, H, W) to a vector in that order; before a dense layer only
    layer/i  type=dense    shape (O,), weight (O, I), inFeatures, outFeatures
             type=dense_rec  the same, and weight_rec (O, O)
             delay         steps by which a dense layer's sums are late: (O,), or (O, I) where the
                           layer below has axonal delays, which netx knows in this form only
             bias          mantissas, one a channel or neuron; netx fixes their exponent at 6
             neuron/       type=CUBA, iDecay = du + 1, vDecay = dv, vThMant = vth, refDelay = 1,
                           gradedSpike = 0

netx turns shapes, kernels and strides to (W, H, C) itself, and orders what it flattens (C, H, W). A
flatten before the first dense layer makes no connection in netx: its port then takes the input
already flattened in (C, H, W) order.

Decays may be one a channel or neuron, as lava-dl writes them. What netx does not know: `axonDelay`
of a layer, one a neuron, which the layer above repeats in its `delay` where that is dense; and a
`neuron/reset` that is not zero, of type CUBA-SUBTRACT so that netx stops at it. So it does at type
CUBA-OWN: a refractory period of `refDelay` − 1 steps, and 1 in `biasFiltered` where the current
filters the bias.

A faulty chip's layer has `neuron/thresholds` or `neuron/alive` (one a neuron) besides, which no
Loihi and no netx knows: its neurons are of type CUBA-FAULT, so that netx stops at them.

A file that stands in for another network, as nearly as Lava's neuron allows, says what of it is not
the network's in the attribute `approximates` (a JSON list) and is called `model.approximated.net`;
`stands_in_for` is the SHA-256 of that network's own file.

What netx has no field for lies in attributes of the file: schema, readout, steps, dt, input_max,
classes, layer_names (both JSON lists) and scales. Source of the layout: lava-dl 0.6.0,
`lava/lib/dl/netx/hdf5.py` and `lava/lib/dl/slayer/block/base.py`.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from export.errors import HardspikeError
from export.files import replacing, sha256
from export.network import (
    Array,
    Conv,
    Dense,
    FixedPointNetwork,
    Layer,
    LoihiLIF,
    Shape,
)
from export.netx_reader import (
    APPROXIMATED_FILE,
    FAULTY_NEURON,
    NEURON,
    OWN_NEURON,
    SCHEMA,
    SUBTRACTING_NEURON,
    read_approximates,
    read_netx,
    stands_in_for,
)
from export.registers import register_faults

__all__ = ["APPROXIMATED_FILE", "read_approximates", "read_netx", "stands_in_for", "write_netx"]


def write_netx(
    network: FixedPointNetwork,
    path: Path,
    approximates: Sequence[str] = (),
    of: Path | None = None,
) -> None:
    """Write `network` to `path` in one step; the same network gives the same bytes.

    `approximates` names what of it is not that of the network for which it stands in, whose own
    file is `of`.

    Raises:
        HardspikeError: a number overruns its register (one line each), or the file cannot be
            written.
    """
    faults = list(register_faults(network))
    if faults:
        raise HardspikeError(*faults)
    with replacing(path) as temporary, h5py.File(temporary, "w", track_order=False) as file:
        _write_attributes(file, network)
        if approximates:
            file.attrs["approximates"] = json.dumps(list(approximates))
        if of is not None:
            file.attrs["stands_in_for"] = sha256(of)
        groups, arriving_N = _Groups(file), None
        _put(groups.add("input"), "shape", network.input_shape)
        for layer, given, shape in zip(
            network.layers, network.shapes, network.shapes[1:], strict=False
        ):
            if isinstance(layer.synapse, Dense) and len(given) == 3:
                _put(groups.add("flatten"), "shape", (int(np.prod(given)),))
            _write_layer(groups, layer, shape, arriving_N)
            arriving_N = layer.delay_N


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


def _write_layer(
    groups: _Groups, layer: Layer[LoihiLIF], shape: Shape, arriving_N: Array | None
) -> None:
    synapse = layer.synapse
    group = groups.add(_type_of(layer))
    _put(group, "shape", shape)
    _put(group, "weight", synapse.weight, np.int16)
    outputs, inputs, *kernel = synapse.weight.shape
    if isinstance(synapse, Conv):
        _put(group, "inChannels", inputs * synapse.groups)
        _put(group, "outChannels", outputs)
        _put(group, "kernelSize", kernel)
        _put(group, "stride", synapse.stride)
        _put(group, "padding", synapse.padding)
        _put(group, "dilation", synapse.dilation)
        _put(group, "groups", synapse.groups)
    else:
        _put(group, "inFeatures", inputs)
        _put(group, "outFeatures", outputs)
    if synapse.bias_O is not None:
        _put(group, "bias", synapse.bias_O, np.int16)
    if layer.recurrent is not None:
        _put(group, "weight_rec", layer.recurrent.weight_OI, np.int16)
    _write_delays(group, layer, arriving_N)
    _write_neuron(group, layer)


def _type_of(layer: Layer[LoihiLIF]) -> str:
    if isinstance(layer.synapse, Conv):
        return "conv"
    return "dense" if layer.recurrent is None else "dense_rec"


def _ascii(text: str) -> Array:
    return np.array([text.encode("ascii")], f"S{max(10, len(text))}")


def _write_delays(group: Any, layer: Layer[LoihiLIF], arriving_N: Array | None) -> None:
    """Write what is late before the neurons, and behind them."""
    late_O = layer.dendrite_delay_N
    if isinstance(layer.synapse, Dense) and arriving_N is not None:
        waiting_O = np.zeros(len(layer.synapse.weight_OI), np.int64) if late_O is None else late_O
        _put(group, "delay", waiting_O[:, None] + arriving_N[None, :])
        if late_O is not None:
            _put(group, "dendriteDelay", late_O)
    elif late_O is not None:
        _put(group, "delay", late_O)
    if layer.delay_N is not None:
        _put(group, "axonDelay", layer.delay_N)


def _write_neuron(group: Any, layer: Layer[LoihiLIF]) -> None:
    neuron = layer.neuron
    group.create_dataset("neuron/type", data=_ascii(_neuron_type(layer)))
    du_O = neuron.current_decay if layer.current_decay_O is None else layer.current_decay_O
    dv_O = neuron.membrane_decay if layer.membrane_decay_O is None else layer.membrane_decay_O
    _put(group, "neuron/iDecay", np.asarray(du_O, np.int64) + 1)
    _put(group, "neuron/vDecay", dv_O)
    _put(group, "neuron/vThMant", neuron.threshold)
    _put(group, "neuron/refDelay", neuron.refractory + 1)
    _put(group, "neuron/gradedSpike", 0)
    if neuron.bias_filtered:
        _put(group, "neuron/biasFiltered", 1)
    if neuron.reset != "zero":
        group.create_dataset("neuron/reset", data=_ascii(neuron.reset))
    if layer.threshold_N is not None:
        _put(group, "neuron/thresholds", layer.threshold_N)
    if layer.alive_N is not None:
        _put(group, "neuron/alive", layer.alive_N)


def _neuron_type(layer: Layer[LoihiLIF]) -> str:
    if layer.is_faulty:
        return FAULTY_NEURON
    if layer.neuron.refractory or layer.neuron.bias_filtered:
        return OWN_NEURON
    return NEURON if layer.neuron.reset == "zero" else SUBTRACTING_NEURON

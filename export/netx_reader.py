"""Reading the netx files that `export.netx_file` writes; their layout is described there."""

import dataclasses
import math
from pathlib import Path
from typing import Any

import numpy as np

from export import hdf5_fields as fields
from export.errors import HardspikeError
from export.hdf5_guard import NETX_BYTES, open_guarded
from export.network import RESETS, Conv, Dense, FixedPointNetwork, Layer, LoihiLIF, Shape
from export.neurons import LONGEST_REFRACTORY
from export.registers import register_faults

SCHEMA = "hardspike.netx/1"
APPROXIMATED_FILE = "model.approximated.net"
"""What stands in for `model.net` where a target cannot run that one, and a user asked for it."""
MOST_DELAY = 4096
"""Steps."""
LAYER_TYPES = ("input", "conv", "dense", "dense_rec", "flatten")
NEURON, FAULTY_NEURON, SUBTRACTING_NEURON = "CUBA", "CUBA-FAULT", "CUBA-SUBTRACT"
OWN_NEURON = "CUBA-OWN"
"""Neurons with what no netx has: a refractory period, a filtered bias."""
_BEYOND = (OWN_NEURON, FAULTY_NEURON)


def read_netx(path: Path) -> FixedPointNetwork:
    """Read a network that `write_netx` wrote.

    Raises:
        HardspikeError: the file is absent, not HDF5 or truncated; a field is absent, of another
            type or shape, or overruns its register; an attribute makes no sense. One line, naming
            the file and the field.
    """
    with open_guarded(path, NETX_BYTES) as file:
        network = _network(file)
    faults = list(register_faults(network))
    if faults:
        raise HardspikeError(*(f"{path}: {fault}" for fault in faults))
    return network


def read_approximates(path: Path) -> tuple[str, ...]:
    """Return what a file says of itself that it only approximates of another network.

    Raises:
        HardspikeError: as `read_netx`.
    """
    with open_guarded(path, NETX_BYTES) as file:
        return fields.names(file, "approximates") if "approximates" in file.attrs else ()


def stands_in_for(path: Path) -> str | None:
    """Return the SHA-256 of the netx file of the network that a file stands in for, if it says.

    Raises:
        HardspikeError: as `read_netx`.
    """
    with open_guarded(path, NETX_BYTES) as file:
        return fields.text(file, "stands_in_for") if "stands_in_for" in file.attrs else None


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
    below: Layer[LoihiLIF] | None = None
    for group, kind, follower in zip(groups[1:], kinds[1:], [*kinds[2:], None], strict=True):
        if kind == "flatten":
            _check_flatten(group, shape, follower)
            continue
        if kind != "conv" and len(shape) == 3 and kinds[groups.index(group) - 1] != "flatten":
            raise HardspikeError(
                f"{fields.name_of(group)}: needs a layer of type 'flatten' before it"
            )
        below = _layer(group, kind, shape, below)
        layers.append(below)
        shape = below.synapse.output_shape(shape)
    return input_shape, layers


def _layer(group: Any, kind: str, given: Shape, below: Layer[LoihiLIF] | None) -> Layer[LoihiLIF]:
    """Return the layer of a group, without its name and scale; its shape is checked."""
    synapse = _conv(group) if kind == "conv" else _dense(group)
    try:
        shape = synapse.output_shape(given)
    except HardspikeError as error:
        raise HardspikeError(f"{fields.name_of(group)}/weight: {error}") from error
    found = tuple(fields.integers(group, "shape", (len(shape),)).tolist())
    if found != shape:
        raise HardspikeError(f"{fields.name_of(group)}/shape: found {found}, allowed {shape}")
    neurons, outputs = math.prod(shape), len(synapse.weight)
    faulty = fields.ascii_text(group, "neuron/type") == FAULTY_NEURON
    own = [
        fields.integers(group, f"neuron/{key}", (neurons,))
        if faulty and key in group["neuron"]
        else None
        for key in ("thresholds", "alive")
    ]
    recurrent = None
    if kind == "dense_rec" or "weight_rec" in group:
        recurrent = Dense(fields.integers(group, "weight_rec", (neurons, neurons)))
    (du, du_O), (dv, dv_O) = (_decays(group, key, outputs) for key in ("iDecay", "vDecay"))
    return Layer(
        "",
        synapse,
        _neuron(group, du - 1, dv),
        threshold_N=own[0],
        alive_N=own[1],
        delay_N=_maybe(group, "axonDelay", neurons),
        recurrent=recurrent,
        dendrite_delay_N=_late(group, kind, neurons, below),
        current_decay_O=None if du_O is None else du_O - 1,
        membrane_decay_O=dv_O,
    )


def _maybe(group: Any, key: str, size: int) -> Any:
    """Return delays, or None; a run holds as many steps as the longest."""
    if key not in group:
        return None
    delay_N = fields.integers(group, key, (size,))
    if delay_N.max() > MOST_DELAY:
        raise HardspikeError(
            f"{fields.name_of(group)}/{key}: found {delay_N.max()}, allowed up to {MOST_DELAY}"
        )
    return delay_N


def _late(group: Any, kind: str, neurons: int, below: Layer[LoihiLIF] | None) -> Any:
    """Return the dendritic delays; `delay` has those of the axons below, if any, on top."""
    if kind == "conv" or below is None or below.delay_N is None:
        return _maybe(group, "delay", neurons)
    late_N = _maybe(group, "dendriteDelay", neurons)
    found = fields.integers(group, "delay", (neurons, len(below.delay_N)))
    own_N = np.zeros(neurons, np.int32) if late_N is None else late_N
    if (found != own_N[:, None] + below.delay_N[None, :]).any():
        raise HardspikeError(
            f"{fields.name_of(group)}/delay: is not the axonDelay below and the dendriteDelay"
        )
    return late_N


def _decays(group: Any, key: str, outputs: int) -> tuple[int, Any]:
    """Return the least decay, and one of each channel or neuron where the file has that."""
    if getattr(group.get(f"neuron/{key}"), "shape", None) == (outputs,):
        values_O = fields.integers(group, f"neuron/{key}", (outputs,))
        return int(values_O.min()), values_O
    return fields.scalar(group, f"neuron/{key}"), None


def _kind(group: Any) -> str:
    found = fields.ascii_text(group, "type")
    if found not in LAYER_TYPES or (found == "input" and fields.name_of(group) != "layer/0"):
        raise HardspikeError(
            f"{fields.name_of(group)}/type: found {found!r}, allowed {', '.join(LAYER_TYPES)} "
            "with one input, first"
        )
    return found


def _check_flatten(group: Any, shape: Shape, follower: str | None) -> None:
    if len(shape) != 3 or follower not in ("dense", "dense_rec"):
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
    dilation, groups = _pair(group, "dilation", 1), fields.scalar(group, "groups")
    return Conv(weight, _bias(group, weight.shape[0]), stride, padding, dilation, groups)


def _pair(group: Any, key: str, minimum: int) -> tuple[int, int]:
    pair = fields.integers(group, key, (2,))
    if pair.min() < minimum:
        raise HardspikeError(
            f"{fields.name_of(group)}/{key}: found {pair}, allowed {minimum} and above"
        )
    return int(pair[0]), int(pair[1])


def _neuron(group: Any, current_decay: int, membrane_decay: int) -> LoihiLIF:
    kinds = (NEURON, FAULTY_NEURON, SUBTRACTING_NEURON, OWN_NEURON)
    kind = fields.ascii_text(group, "neuron/type")
    if kind not in kinds:
        allowed = ", ".join(f"'{one}'" for one in kinds)
        raise HardspikeError(f"{fields.name_of(group)}/neuron/type: allowed {allowed}")
    _only(group, "gradedSpike", 0)
    if kind not in _BEYOND:
        _only(group, "refDelay", 1)
    reset = fields.ascii_text(group, "neuron/reset") if "reset" in group["neuron"] else "zero"
    if reset not in RESETS:
        raise HardspikeError(
            f"{fields.name_of(group)}/neuron/reset: found {reset!r}, allowed {', '.join(RESETS)}"
        )
    return LoihiLIF(
        membrane_decay=membrane_decay,
        threshold=fields.scalar(group, "neuron/vThMant"),
        current_decay=current_decay,
        reset=reset,
        bias_filtered=kind in _BEYOND and _flag(group, "biasFiltered"),
        refractory=_refractory(group),
    )


def _only(group: Any, key: str, allowed: int) -> None:
    if (found := fields.scalar(group, f"neuron/{key}")) != allowed:
        raise HardspikeError(
            f"{fields.name_of(group)}/neuron/{key}: found {found}, allowed {allowed}"
        )


def _flag(group: Any, key: str) -> bool:
    if key not in group["neuron"]:
        return False
    _only(group, key, 1)
    return True


def _refractory(group: Any) -> int:
    """Return the steps of rest: a refDelay of 1 lets a neuron fire at every step."""
    steps = fields.scalar(group, "neuron/refDelay") - 1
    if not 0 <= steps <= LONGEST_REFRACTORY:
        raise HardspikeError(
            f"{fields.name_of(group)}/neuron/refDelay: found {steps + 1}, "
            f"allowed 1 to {LONGEST_REFRACTORY + 1}"
        )
    return steps

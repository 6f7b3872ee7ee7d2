"""The fixed-point network that an ONNX file of `export.onnx_model` computes, read from its graph.

Every number comes from the graph's constants, not from a network beside it. What was read is
written again and held to the file's graph node by node, so that nothing in it is passed over.
"""

import json
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from numpy.typing import NDArray

from export.bounds import ALIGN, DECAY_ONE
from export.errors import HardspikeError
from export.network import Array, Conv, Dense, FixedPointNetwork, Layer, LoihiLIF, Synapse
from export.onnx_graph import INPUT
from export.onnx_guard import LIMIT_BYTES, read_guarded
from export.onnx_model import SCHEMA, write_sequence, write_step
from export.onnx_reader import OnnxInfo, onnx_info

_WRITERS = {"sequence": write_sequence, "step": write_step}
_LAYER_OUTPUT = "spikes/"


def read_onnx_network(path: Path, limit_bytes: int = LIMIT_BYTES) -> FixedPointNetwork:
    """Read either form; every layer's scale is 1, for ONNX has no field for it.

    Raises:
        HardspikeError: the file is absent, damaged, no file of ours, or its graph is not one that
            this version writes. One line.
    """
    info, form, graph = _our_file(path, limit_bytes)
    try:
        with np.errstate(over="raise", invalid="raise"):
            network = _network(info, graph)
        same = _written(network, form) == graph.SerializeToString(deterministic=True)
    except (
        HardspikeError,
        ArithmeticError,
        AttributeError,
        IndexError,
        KeyError,
        RecursionError,
        TypeError,
        ValueError,
    ) as error:
        raise HardspikeError(f"{path}: cannot be read as a network ({error})") from error
    if not same:
        raise HardspikeError(
            f"{path}: its graph is not one that this version of hardspike writes; "
            "`hardspike deploy RUN --force` writes it again"
        )
    return network


def holds(path: Path, network: FixedPointNetwork) -> bool:
    """Whether an ONNX file is what this version writes of `network`.

    Raises:
        HardspikeError: the file is absent, damaged, or no file of ours.
    """
    _, form, graph = _our_file(path)
    try:
        return _written(network, form) == bytes(graph.SerializeToString(deterministic=True))
    except HardspikeError:
        return False  # the network cannot be written as ONNX, so the file is another's


def _our_file(path: Path, limit_bytes: int = LIMIT_BYTES) -> tuple[OnnxInfo, str, Any]:
    """Return what a file of ours holds, its form and its graph, parsed once."""
    model = read_guarded(path, limit_bytes)
    info = onnx_info(model, path)
    form = info.metadata.get("form", "none")
    if info.metadata.get("schema") != SCHEMA or form not in _WRITERS:
        raise HardspikeError(
            f"{path}: schema and form: found {info.metadata.get('schema')!r} and {form!r}, "
            f"allowed {SCHEMA!r} and {' or '.join(_WRITERS)}"
        )
    return info, form, model.graph


def _network(info: OnnxInfo, graph: Any) -> FixedPointNetwork:
    metadata, names = info.metadata, _names(info)
    if not all(names):
        raise HardspikeError("found a layer without a name, allowed is one of letters")
    channels, height, width = (int(size) for size in info.inputs[INPUT][-3:])
    return FixedPointNetwork(
        input_shape=(channels, height, width),
        layers=tuple(_layer(name, info, graph) for name in names),
        readout=metadata["readout"],  # type: ignore[arg-type]  # the network checks it
        steps=int(metadata["steps"]),
        dt=float(metadata["dt"]),
        classes=_classes(metadata["classes"]),
        input_max=int(metadata["input_max"]),
    )


def _classes(said: str) -> tuple[str, ...]:
    found = json.loads(said)
    if not isinstance(found, list) or not all(
        isinstance(name, str) and name.isprintable() for name in found
    ):
        raise HardspikeError("classes: allowed is a JSON list of names that print")
    return tuple(found)


def _names(info: OnnxInfo) -> list[str]:
    """Return the layers in order: the sequence form has their spikes, the step form states."""
    if info.metadata["form"] == "sequence":
        return [
            name.removeprefix(_LAYER_OUTPUT)
            for name in info.outputs
            if name.startswith(_LAYER_OUTPUT)
        ]
    return [name.removesuffix(".v") for name in info.inputs if name.endswith(".v")]


def _layer(name: str, info: OnnxInfo, graph: Any) -> Layer[LoihiLIF]:
    synapse, tensors = _synapse(name, info, graph), info.tensors
    outputs, neurons = len(synapse.weight), _neurons(name, info)
    ends, alive = tensors.get(f"{name}.fired.limit_N"), tensors.get(f"{name}.alive")
    threshold_N = None if ends is None else np.rint(-ends / ALIGN).astype(np.int64)
    threshold = info.thresholds[name] / ALIGN if threshold_N is None else threshold_N.max()
    dv_O = DECAY_ONE - _kept(tensors.get(f"{name}.v_keep", np.ones(1)), outputs)
    du_O = DECAY_ONE - 1 - _kept(tensors.get(f"{name}.u_keep", np.zeros(1)), outputs)
    neuron = LoihiLIF(
        membrane_decay=int(dv_O.min()),
        threshold=int(threshold),
        current_decay=int(du_O.min()),
        reset="subtract" if f"{name}.v.after.taken" in tensors else "zero",
        bias_filtered=f"{name}.u.bias" in tensors,
        refractory=int(tensors.get(f"{name}.rest.period", np.zeros(1)).item()),
    )
    own = tensors.get(f"{name}.recurrent")
    return Layer(
        name,
        synapse,
        neuron,
        threshold_N=threshold_N,
        alive_N=None if alive is None else alive.ravel().astype(np.int64),
        delay_N=_delay(info, f"{name}.axon", f"{name}.sent", neurons),
        recurrent=None if own is None else Dense(np.rint(own.T / ALIGN).astype(np.int32)),
        dendrite_delay_N=_delay(info, f"{name}.late", f"{name}.arrived", neurons),
        current_decay_O=du_O if len(du_O) > 1 else None,
        membrane_decay_O=dv_O if len(dv_O) > 1 else None,
    )


def _neurons(name: str, info: OnnxInfo) -> int:
    sizes = info.outputs.get(f"{_LAYER_OUTPUT}{name}") or info.inputs[f"{name}.v"]
    return int(sizes[-1])


def _kept(share: Array, outputs: int) -> NDArray[np.int64]:
    """Return a share kept a step in 1/4096: one, or one an output where neurons differ.

    The step form takes v and holds −v, so that its share of v is negative.
    """
    kept: NDArray[np.int64] = np.rint(np.abs(share) * DECAY_ONE).astype(np.int64).ravel()
    return np.asarray(kept if kept.size == 1 else kept.reshape(outputs, -1)[:, 0])


def _delay(info: OnnxInfo, state: str, output: str, neurons: int) -> Array | None:
    """Return delays that the graph has as a state of a step, or as a move along all steps.

    Both hold how far a neuron reads behind the longest delay.
    """
    at_N, back_N = info.tensors.get(f"{state}.at"), info.tensors.get(f"{output}.back")
    if at_N is not None:
        in_scan = info.tensors.get(f"{state}.N", np.array([neurons]))[0]
        width = info.inputs[state][-1] if state in info.inputs else in_scan
        return np.asarray(int(width) // neurons - (at_N - np.arange(neurons)) // neurons)
    if back_N is None:
        return None
    return np.asarray(int(info.tensors[f"{output}.pads"][0]) - back_N.ravel())


def _synapse(name: str, info: OnnxInfo, graph: Any) -> Synapse:
    stored = info.tensors[f"{name}.weight"]
    half = stored.dtype == np.int8
    weight = np.rint(stored.astype(np.float64) * (2 if half else 1 / ALIGN)).astype(np.int32)
    if stored.ndim != 4:
        return Dense(weight.T, _bias(name, info, weight.shape[1]))
    (node,) = (node for node in graph.node if node.name == f"{name}.product")
    values: dict[str, Any] = {
        attribute.name: tuple(attribute.ints) or attribute.i for attribute in node.attribute
    }
    return Conv(
        weight,
        _bias(name, info, len(weight)),
        values["strides"],
        values["pads"][:2],
        values.get("dilations", (1, 1)),
        values.get("group", 1),
    )


def _bias(name: str, info: OnnxInfo, outputs: int) -> Array | None:
    """Return one bias an output; where the step adds it the file has one a neuron."""
    stored = info.tensors.get(f"{name}.bias", info.tensors.get(f"{name}.u.bias"))
    if stored is None:
        return None
    each_ON = np.rint(stored.reshape(outputs, -1) / ALIGN).astype(np.int64)
    taken = np.abs(each_ON).argmax(axis=1)  # a dead neuron's bias is stored as zero
    return np.asarray(each_ON[np.arange(outputs), taken])


def _written(network: FixedPointNetwork, form: str) -> bytes:
    with tempfile.TemporaryDirectory(prefix="hardspike-onnx-") as folder:
        path = Path(folder) / "model.onnx"
        _WRITERS[form](network, path)
        model = onnx.load_model_from_string(path.read_bytes())
    return bytes(model.graph.SerializeToString(deterministic=True))

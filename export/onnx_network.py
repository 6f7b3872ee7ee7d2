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

from export.bounds import ALIGN, DECAY_ONE
from export.errors import HardspikeError
from export.network import Array, Conv, Dense, FixedPointNetwork, Layer, LoihiLIF, Synapse
from export.onnx_graph import INPUT
from export.onnx_model import SCHEMA, write_sequence, write_step
from export.onnx_reader import OnnxInfo, read_onnx_info

_WRITERS = {"sequence": write_sequence, "step": write_step}
_LAYER_OUTPUT = "spikes/"


def read_onnx_network(path: Path) -> FixedPointNetwork:
    """Read either form; every layer's scale is 1, for ONNX has no field for it.

    Raises:
        HardspikeError: the file is absent, damaged, no file of ours, or its graph is not one that
            this version writes. One line.
    """
    info = read_onnx_info(path)
    form = info.metadata.get("form")
    if info.metadata.get("schema") != SCHEMA or form not in _WRITERS:
        raise HardspikeError(
            f"{path}: schema and form: found {info.metadata.get('schema')!r} and {form!r}, "
            f"allowed {SCHEMA!r} and {' or '.join(_WRITERS)}"
        )
    graph = onnx.load_model_from_string(path.read_bytes()).graph
    try:
        network = _network(info, graph)
        same = _written(network, form) == graph.SerializeToString(deterministic=True)
    except (HardspikeError, KeyError, ValueError, TypeError, IndexError) as error:
        raise HardspikeError(f"{path}: cannot be read as a network ({error})") from error
    if not same:
        raise HardspikeError(
            f"{path}: its graph is not one that this version of hardspike writes; "
            "`hardspike deploy RUN --force` writes it again"
        )
    return network


def _network(info: OnnxInfo, graph: Any) -> FixedPointNetwork:
    metadata = info.metadata
    channels, height, width = (int(size) for size in info.inputs[INPUT][-3:])
    return FixedPointNetwork(
        input_shape=(channels, height, width),
        layers=tuple(_layer(name, info, graph) for name in _names(info)),
        readout=metadata["readout"],  # type: ignore[arg-type]  # the network checks it
        steps=int(metadata["steps"]),
        dt=float(metadata["dt"]),
        classes=tuple(json.loads(metadata["classes"])),
        input_max=int(metadata["input_max"]),
    )


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
    keeps = [tensors.get(f"{name}.{state}_keep") for state in ("v", "u")]
    kept_v, kept_u = (
        None if keep is None else round(abs(float(keep)) * DECAY_ONE) for keep in keeps
    )
    alive, ends = tensors.get(f"{name}.alive"), tensors.get(f"{name}.fired.limit_N")
    threshold_N = None if ends is None else np.rint(-ends / ALIGN).astype(np.int64)
    threshold = info.thresholds[name] / ALIGN if threshold_N is None else threshold_N.max()
    neuron = LoihiLIF(
        membrane_decay=0 if kept_v is None else DECAY_ONE - kept_v,
        threshold=int(threshold),
        current_decay=DECAY_ONE - 1 - (kept_u or 0),
    )
    alive_N = None if alive is None else alive.ravel().astype(np.int64)
    return Layer(name, synapse, neuron, 1.0, threshold_N, alive_N)


def _synapse(name: str, info: OnnxInfo, graph: Any) -> Synapse:
    stored = info.tensors[f"{name}.weight"]
    half = stored.dtype == np.int8
    weight = np.rint(stored.astype(np.float64) * (2 if half else 1 / ALIGN)).astype(np.int32)
    if stored.ndim != 4:
        return Dense(weight.T, _bias(name, info, weight.shape[1]))
    (node,) = (node for node in graph.node if node.name == f"{name}.product")
    values = {attribute.name: list(attribute.ints) for attribute in node.attribute}
    (above, left, _, _), (down, right) = values["pads"], values["strides"]
    return Conv(weight, _bias(name, info, len(weight)), (down, right), (above, left))


def _bias(name: str, info: OnnxInfo, outputs: int) -> Array | None:
    """Return one bias an output; behind a synaptic filter the file has one a neuron."""
    stored = info.tensors.get(f"{name}.bias")
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

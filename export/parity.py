"""Every deployed file is read back and held to the network that it came from."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from export.bounds import ALIGN
from export.errors import HardspikeError
from export.metadata import describe
from export.network import Array, Conv, FixedPointNetwork, HardSpikeNetwork, Layer, Network
from export.netx_file import read_netx
from export.nir_graph import read_nir_back
from export.onnx_graph import states
from export.onnx_late import waits_in_step
from export.onnx_model import SCHEMA
from export.onnx_reader import OnnxInfo, read_onnx_info

NETX_FILE, NIR_FILE = "model.net", "model.nir"
SEQUENCE_FILE, STEP_FILE = "model.sequence.onnx", "model.step.onnx"


@dataclass(frozen=True)
class Parity:
    """One comparison: a part of a file against the contract."""

    file: str
    name: str
    shape: tuple[int, ...]
    difference: float
    tolerance: float = 0.0


def check_deployed(
    folder: Path, float_network: HardSpikeNetwork | None, fixed_network: FixedPointNetwork
) -> list[Parity]:
    """Read `model.net`, `model.nir` and both ONNX forms and compare them with the contract.

    A network that came in integers has no float network and no `model.nir`.

    Returns one line of parity for each tensor and parameter; all are equal to the bit.

    Raises:
        HardspikeError: a file is absent or damaged, or differs; names the file and the layer.
    """
    nir: list[Parity] = []
    if float_network is not None:
        nir = [*_networks(folder / NIR_FILE, float_network, read_nir_back(folder / NIR_FILE))]
    return [
        *netx_parity(folder / NETX_FILE, fixed_network),
        *nir,
        *_onnx(folder / SEQUENCE_FILE, fixed_network, "sequence"),
        *_onnx(folder / STEP_FILE, fixed_network, "step"),
    ]


def netx_parity(path: Path, network: FixedPointNetwork) -> Iterator[Parity]:
    """Yield the comparison of one netx file with its network; raises as `check_deployed`."""
    yield from _networks(path, network, read_netx(path))


def _networks(path: Path, wanted: Network[Any], found: Network[Any]) -> Iterator[Parity]:
    for field in ("input_shape", "readout", "steps", "dt", "classes", "input_max", "shapes"):
        _same(path, field, getattr(wanted, field), getattr(found, field))
    names = [[layer.name for layer in network.layers] for network in (wanted, found)]
    _same(path, "layers", *names)
    for ours, theirs in zip(wanted.layers, found.layers, strict=True):
        yield from _layer(path, ours, theirs)


def _layer(path: Path, wanted: Layer[Any], found: Layer[Any]) -> Iterator[Parity]:
    name = f"layer {wanted.name}"
    for part in ("neuron", "scale"):
        _same(path, f"{name}: {part}", getattr(wanted, part), getattr(found, part))
    _same(path, f"{name}: synapse", type(wanted.synapse), type(found.synapse))
    if isinstance(wanted.synapse, Conv) and isinstance(found.synapse, Conv):
        for part in ("stride", "padding", "dilation", "groups"):
            values = getattr(wanted.synapse, part), getattr(found.synapse, part)
            _same(path, f"{name}: {part}", *values)
    yield _tensor(path, f"{name}: weight", wanted.synapse.weight, found.synapse.weight)
    ours, theirs = wanted.synapse.bias_O, found.synapse.bias_O
    _same(path, f"{name}: bias given", ours is not None, theirs is not None)
    if ours is not None and theirs is not None:
        yield _tensor(path, f"{name}: bias", ours, theirs)
    for part in ("delay_N", "dendrite_delay_N", "current_decay_O", "membrane_decay_O"):
        yield from _maybe_tensor(
            path, f"{name}: {part}", getattr(wanted, part), getattr(found, part)
        )
    weights = [
        None if one is None else one.weight_OI for one in (wanted.recurrent, found.recurrent)
    ]
    yield from _maybe_tensor(path, f"{name}: recurrent", *weights)


def _maybe_tensor(
    path: Path, name: str, wanted: Array | None, found: Array | None
) -> Iterator[Parity]:
    _same(path, f"{name} given", wanted is not None, found is not None)
    if wanted is not None and found is not None:
        yield _tensor(path, name, wanted, found)


def _onnx(path: Path, network: FixedPointNetwork, form: str) -> Iterator[Parity]:
    info = read_onnx_info(path)
    for key, value in {**describe(network, SCHEMA), "form": form}.items():
        if key != "version":
            _same(path, key, value, info.metadata.get(key))
    outputs = math.prod(network.shapes[-1])
    free = ("B", "T") if form == "sequence" else ("B",)
    _same(path, "spikes", (*free, *network.input_shape), info.inputs.get("spikes"))
    _same(path, "output", (*free, outputs), info.outputs.get("output"))
    for layer, shape in zip(network.layers, network.shapes[1:], strict=True):
        name, neuron = f"layer {layer.name}", layer.neuron
        limits = {"threshold": info.thresholds, "reset": info.resets}
        if neuron.reset == "subtract":
            taken = info.tensors.get(f"{layer.name}.v.after.taken", np.zeros(1)).item()
            limits["reset"] = {layer.name: float(taken)}
        for what, known in limits.items():
            _same(path, f"{name}: {what}", neuron.threshold * ALIGN, known.get(layer.name))
        yield _tensor(
            path, f"{name}: weight", layer.synapse.weight, _onnx_weight(path, layer, info)
        )
        if layer.synapse.bias_O is not None:
            yield _tensor(path, f"{name}: bias", *_onnx_bias(layer, info, math.prod(shape)))
        repeats = math.prod(shape) // len(layer.synapse.weight)
        shares = (
            4096 - _decay(layer, "membrane", repeats),
            4095 - _decay(layer, "current", repeats),
        )
        for state, share in zip(states(layer), shares, strict=False):
            # The step form takes v and holds −v, so that its share of v is negative.
            kept = np.abs(info.tensors.get(f"{state}_keep", np.float64(1)))
            _same(path, f"{name}: share of {state} kept", (share / 4096).tolist(), kept.tolist())
        yield from _onnx_late(path, layer, info, form)


def _decay(layer: Layer[Any], of: str, repeats: int) -> Array:
    """Return the decay of u or v: one, or one of each neuron."""
    each_O = getattr(layer, f"{of}_decay_O")
    own = np.asarray(getattr(layer.neuron, f"{of}_decay"))
    return own if each_O is None else np.repeat(each_O, repeats)


def _onnx_late(path: Path, layer: Layer[Any], info: OnnxInfo, form: str) -> Iterator[Parity]:
    """Compare refractory period, recurrent weights and the dendritic delays that are a state."""
    name = f"layer {layer.name}"
    period = float(info.tensors.get(f"{layer.name}.rest.period", np.zeros(1)).item())
    _same(path, f"{name}: refractory", float(layer.neuron.refractory), period)
    if layer.recurrent is not None:
        stored = info.tensors.get(f"{layer.name}.recurrent", np.zeros((0, 0))).T / ALIGN
        yield _tensor(path, f"{name}: recurrent", layer.recurrent.weight_OI, stored)
    delay_N = layer.dendrite_delay_N
    if waits_in_step(layer, form) and delay_N is not None:
        neurons = len(delay_N)
        at_N = info.tensors.get(f"{layer.name}.late.at", np.zeros(0, np.int64))
        yield _tensor(path, f"{name}: delay", delay_N, delay_N.max() - at_N // neurons)


def _onnx_weight(path: Path, layer: Layer[Any], info: OnnxInfo) -> Array:
    """Return a weight as the contract has it: int8 is half of it, float32 is shifted by 6 bits."""
    stored = info.tensors.get(f"{layer.name}.weight")
    if stored is None:
        raise HardspikeError(f"{path}: layer {layer.name}: weight: found none")
    integers = stored.astype(np.int64) * 2 if stored.dtype == np.int8 else stored / ALIGN
    return integers if stored.ndim == 4 else integers.T


def _onnx_bias(layer: Layer[Any], info: OnnxInfo, neurons: int) -> tuple[Array, Array]:
    """Return the contract's bias and the file's, one a channel or a neuron as the file has it."""
    wanted = np.asarray(layer.synapse.bias_O)
    key = f"{layer.name}.u.bias" if layer.neuron.bias_filtered else f"{layer.name}.bias"
    stored = info.tensors.get(key, np.zeros(0)).ravel() / ALIGN
    return (
        wanted if stored.size == wanted.size else np.repeat(wanted, neurons // wanted.size)
    ), stored


def _tensor(path: Path, name: str, wanted: Array, found: Array) -> Parity:
    """Compare two arrays to the bit (dtype aside, for integers)."""
    _same(path, f"{name}: shape", wanted.shape, found.shape)
    if wanted.dtype.kind == "f" and found.dtype != wanted.dtype:
        raise HardspikeError(f"{path}: {name}: found {found.dtype}, allowed {wanted.dtype}")
    distance = np.abs(wanted.astype(np.float64) - found.astype(np.float64))
    difference = float(distance.max(initial=0))
    if not difference == 0:
        raise HardspikeError(f"{path}: {name}: found differences up to {difference}, allowed 0")
    return Parity(path.name, name, wanted.shape, difference)


def _same(path: Path, name: str, wanted: Any, found: Any) -> None:
    if wanted != found:
        raise HardspikeError(f"{path}: {name}: found {found!r}, allowed {wanted!r}")

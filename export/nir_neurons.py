"""Neurons of the float network as NIR's nodes, and back; `export.nir_graph` describes the graph.

Axes: `O` output (a channel of a convolution, a neuron of a dense layer). NIR gives every neuron its
own parameters, so a node's arrays have the population's shape.
"""

import json
import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import nir
import numpy as np
from numpy.typing import NDArray

from export.errors import HardspikeError
from export.euler import inverse, time_constant
from export.network import LIF, Array, Layer, Reset, Shape

_ROUNDING = 2.0**-51
"""How far a step of 1 may be off, where no float64 meets `export.euler`'s equations."""

_SLOW = 2.0**60
"""τ in steps of a leak that takes nothing: 1 − 1/τ is 1 in float64, and 1/τ · τ too."""
_CLOSE = 2.0**-50
"""Of a bias: a few roundings of float64."""


def neuron_node(layer: Layer[LIF], shape: Shape, dt: float) -> Any:
    """Return the node of a layer's neurons, whose population has `shape`.

    NIR has no neurons without a leak behind a current, or beside others that have one: theirs is
    then so slow that no float64 shows it.
    """
    neuron, full = layer.neuron, _Full(shape)
    decay, current = (
        full(layer.membrane_decay_O, neuron.decay),
        full(layer.current_decay_O, neuron.current_decay),
    )
    settings: dict[str, Any] = {"metadata": _metadata(layer)}
    if neuron.fires:
        settings |= {"v_threshold": full(None, neuron.threshold), "v_reset": full(None, 0.0)}
    if neuron.current_decay or layer.current_decay_O is not None:
        settings["tau_syn"], settings["w_in"] = _euler(current, dt)
    elif (decay == 1).all():
        return (nir.IF if neuron.fires else nir.I)(r=full(None, inverse(dt)), **settings)
    constant, settings["r"] = _euler(decay, dt)
    settings["v_leak"] = full(late_bias(layer), 0.0) * constant / dt
    if "tau_syn" in settings:
        return (nir.CubaLIF if neuron.fires else nir.CubaLI)(tau_mem=constant, **settings)
    return (nir.LIF if neuron.fires else nir.LI)(tau=constant, **settings)


class _Full:
    """Repeats a number, or one of each output, over a population."""

    def __init__(self, shape: Shape) -> None:
        self._shape = shape

    def __call__(self, values_O: Array | None, value: float) -> NDArray[np.float64]:
        if values_O is None:
            return np.full(self._shape, value, np.float64)
        column = values_O.astype(np.float64).reshape(-1, *(1 for _ in self._shape[1:]))
        return np.array(np.broadcast_to(column, self._shape))


def _metadata(layer: Layer[LIF]) -> dict[str, str]:
    neuron = layer.neuron
    metadata = {"decay": _text(layer.membrane_decay_O, neuron.decay)}
    if neuron.current_decay or layer.current_decay_O is not None:
        metadata["current_decay"] = _text(layer.current_decay_O, neuron.current_decay)
    if (bias_O := late_bias(layer)) is not None:
        metadata["bias"] = _text(bias_O, 0.0)
    if neuron.refractory:
        metadata["refractory"] = str(neuron.refractory)
    return metadata


def _text(values_O: Array | None, value: float) -> str:
    if values_O is None:
        return repr(float(value))
    return json.dumps([float(one) for one in values_O])


def late_bias(layer: Layer[LIF]) -> Array | None:
    """Return a bias behind a synaptic current, which NIR has in v_leak: b = dt/τ · v_leak."""
    filtered = layer.neuron.bias_filtered or not layer.neuron.current_decay
    return None if filtered else layer.synapse.bias_O


def _euler(shares: Array, dt: float) -> tuple[Array, Array]:
    """Return time constants and the factors that make up for them, as `export.euler` has them."""
    each, place = np.unique(shares, return_inverse=True)
    pairs = np.array([_time_constant(float(share), dt) for share in each])
    return pairs[place, 0].reshape(shares.shape), pairs[place, 1].reshape(shares.shape)


def _time_constant(share: float, dt: float) -> tuple[float, float]:
    return (_SLOW * dt, _SLOW) if share == 1 else time_constant(share, dt)


@dataclass(frozen=True, eq=False)
class ReadNeuron:
    """A layer's neuron, its outputs' decays where they differ, and a bias behind a current.

    Each but the neuron is None or `(O,)`.
    """

    neuron: LIF
    membrane_decay_O: Array | None
    current_decay_O: Array | None
    late_bias_O: Array | None


def read_neuron(name: str, node: Any, outputs: int, dt: float, reset: Reset) -> ReadNeuron:
    """Return the contract's neuron of a node, its step held to what the metadata says.

    Raises:
        HardspikeError: the node is of another kind, or a parameter is not what the metadata says.
    """
    kind, metadata = type(node).__name__, node.metadata
    if kind not in ("LIF", "IF", "LI", "I", "CubaLIF", "CubaLI"):
        raise HardspikeError(
            f"node {name}: found {kind}, allowed LIF, IF, LI, I, CubaLIF or CubaLI"
        )
    current, leaks, fires = kind.startswith("Cuba"), kind not in ("IF", "I"), kind.endswith("F")
    read = _reader(name, node, outputs)
    alpha: Any = dt / read("tau_mem" if current else "tau") if leaks else np.zeros(())
    late_O = _late_bias(name, metadata, alpha * read("v_leak")) if leaks else None
    decay, decay_O = _shares(name, metadata["decay"], outputs)
    _check_step(name, "v", (1 - alpha, (alpha if leaks else dt) * read("r")), decay_O, decay)
    current_decay, current_O = 0.0, None
    if current:
        alpha = dt / read("tau_syn")
        current_decay, current_O = _shares(name, metadata["current_decay"], outputs)
        found = 1 - alpha, alpha * read("w_in")
        _check_step(name, "i", found, current_O, current_decay)
    if fires and (read("v_reset") != 0).any():
        raise HardspikeError(f"node {name}: v_reset: allowed 0 only")
    threshold = _one(name, "v_threshold", node.v_threshold) if fires else math.inf
    period = int(metadata.get("refractory", 0))
    neuron = LIF(decay, threshold, reset, current_decay, refractory=period)
    return ReadNeuron(neuron, decay_O, current_O, late_O)


def _late_bias(name: str, metadata: Any, found_O: Array) -> Array | None:
    """Return the bias that the metadata says, held to what v_leak makes of it in a step."""
    said_O = np.array(json.loads(metadata.get("bias", "[]")), np.float64)
    wanted_O = said_O if said_O.size else np.zeros_like(found_O)
    if (
        wanted_O.shape != found_O.shape
        or (np.abs(found_O - wanted_O) > _CLOSE * np.abs(wanted_O)).any()
    ):
        raise HardspikeError(f"node {name}: v_leak: found other biases than the metadata says")
    return said_O if said_O.size else None


def _reader(name: str, node: Any, outputs: int) -> Callable[[str], Array]:
    def read(key: str) -> Array:
        """Return a parameter of each output, `(O,)`."""
        values_ON = np.asarray(getattr(node, key)).reshape(outputs, -1)
        if not (values_ON == values_ON[:, :1]).all():
            raise HardspikeError(f"node {name}: {key}: found several values, allowed one an output")
        return np.asarray(values_ON[:, 0])

    return read


def _shares(name: str, text: str, outputs: int) -> tuple[float, Array | None]:
    """Return the largest share kept a step, and those of the outputs where they are a list."""
    found = json.loads(text)
    if not isinstance(found, list):
        return float(found), None
    shares_O = np.array(found, np.float64)
    if shares_O.shape != (outputs,):
        raise HardspikeError(
            f"node {name}: metadata: found {len(found)} decays, allowed {outputs}, one an output"
        )
    return float(shares_O.max()), shares_O


def _check_step(
    name: str, state: str, found: tuple[Array, Array], shares_O: Array | None, share: float
) -> None:
    wanted = np.asarray(share if shares_O is None else shares_O)
    kept, gain = np.broadcast_arrays(*found)
    wrong = (np.abs(kept - wanted) > _ROUNDING) | (np.abs(gain - 1) > _ROUNDING)
    if wrong.any():
        at = int(wrong.argmax())
        wanted_O = np.broadcast_to(wanted, wrong.shape)
        raise HardspikeError(
            f"node {name}: found a step of {state}·{kept[at].item()!r} + {gain[at].item()!r}·I, "
            f"allowed {state}·{wanted_O[at].item()!r} + I"
        )


def _one(name: str, key: str, values: Array) -> float:
    """Return the value that a whole population shares."""
    first = float(values.flat[0])
    if not (values == first).all():
        raise HardspikeError(f"node {name}: {key}: found several values, allowed one a layer")
    return first

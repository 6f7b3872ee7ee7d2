"""What may be wrong in the fields of a NIR and of a netx file, one by one."""

from typing import Any

import numpy as np

from benchmarks.interop_study.hostile.in_hdf5 import Edit, Random
from export.metadata import NIR_SCHEMA

_DEEP_JSON = "[" * 100_000
_ACROSS = [-1, 0, 1 << 62, np.nan, np.inf, 0.5]


def _put(key: str, value: Any) -> Edit:
    def edit(file: Any, random: Random) -> None:
        if key in file:
            del file[key]
        file[key] = value

    return edit


def _gone(key: str) -> Edit:
    return lambda file, random: file.__delitem__(key)


def _attribute(key: str, value: Any) -> Edit:
    def edit(file: Any, random: Random) -> None:
        file.attrs[key] = value

    return edit


def _said(key: str, value: Any) -> Edit:
    """Say something of a neuron as if hardspike had written the file."""

    def edit(file: Any, random: Random) -> None:
        _put("node/metadata/schema", NIR_SCHEMA)(file, random)
        _put(f"node/nodes/lif1/metadata/{key}", value)(file, random)

    return edit


def _own_neuron(fields: dict[str, Any]) -> Edit:
    """Make a layer's neuron one that no netx knows, with fields that may not be."""

    def edit(file: Any, random: Random) -> None:
        neuron = file["layer/1/neuron"]
        for key, value in {"type": np.array([b"CUBA-OWN"], "S10"), **fields}.items():
            if key in neuron:
                del neuron[key]
            neuron[key] = value

    return edit


def _pair(value: float) -> Any:
    whole = np.isfinite(value) and value == int(value)
    return np.full(2, value, np.int64 if whole else np.float64)


def _edges(*pairs: tuple[str | bytes, str | bytes]) -> Any:
    return np.array(pairs, dtype=object)


_CNN, _RNN = "node/nodes", "node/nodes/rnn/nodes"
CNN: dict[str, Edit] = {
    **{
        f"{field} {value}": _put(f"{_CNN}/{node}/{field}", _pair(value))
        for node, field in (("conv", "stride"), ("conv", "dilation"), ("pool", "kernel_size"))
        for value in _ACROSS
        if value != 0.5 or field == "stride"
    },
    **{
        f"padding {value}": _put(f"{_CNN}/conv/padding", _pair(value))
        for value in (-1, 1 << 19, 1 << 62, 0.5)
    },
    "pool padding": _put(f"{_CNN}/pool/padding", _pair(1 << 19)),
    "groups 0": _put(f"{_CNN}/conv/groups", 0),
    "groups of everything": _put(f"{_CNN}/conv/groups", 1 << 40),
    "input of 2^40": _put(f"{_CNN}/input/shape", np.array([2, 1 << 20, 1 << 20])),
    "input of 2^60": _put(f"{_CNN}/input/shape", np.array([1 << 60, 8, 8])),
    "input below 0": _put(f"{_CNN}/input/shape", np.array([-2, 8, 8])),
    "input of 5 axes": _put(f"{_CNN}/input/shape", np.array([2, 2, 2, 8, 8])),
    "tau below 0": _put(f"{_CNN}/lif1/tau", np.full((3, 8, 8), -1.0)),
    "tau 0": _put(f"{_CNN}/lif1/tau", np.zeros((3, 8, 8))),
    "tau NaN": _put(f"{_CNN}/lif1/tau", np.full((3, 8, 8), np.nan)),
    "threshold infinite": _put(f"{_CNN}/lif1/v_threshold", np.full((3, 8, 8), np.inf)),
    "reset above threshold": _put(f"{_CNN}/lif1/v_reset", np.full((3, 8, 8), 9.0)),
    "tau of another shape": _put(f"{_CNN}/lif1/tau", np.ones((7, 7))),
    "flatten far away": _put(f"{_CNN}/flat/end_dim", 1 << 19),
    "flatten backwards": _put(f"{_CNN}/flat/start_dim", 2),
    "no edges": _gone("node/edges"),
    "edges of numbers": _put("node/edges", np.zeros((4, 2))),
    "edges of three": _put("node/edges", _edges(("a", "b"))[:, [0, 1, 0]]),
    "edge to nothing": _put("node/edges", _edges(("input", "\x1b[2Jno\x07where"))),
    "edge upwards": _put("node/edges", _edges(("input", "../../../etc/passwd"))),
    "edge not UTF-8": _put("node/edges", np.array([[b"input", b"\xff\xfe\x01"]])),
    "edge to itself": _put("node/edges", _edges(("conv", "conv"))),
    "circle": _put("node/edges", _edges(("input", "conv"), ("conv", "fc"), ("fc", "conv"))),
    "many edges": _put("node/edges", np.array([[b"input", b"conv"]] * 50_000)),
    "no input": _gone(f"{_CNN}/input"),
    "no output": _gone(f"{_CNN}/output"),
    "a node of data": _put(f"{_CNN}/conv2", np.zeros(3)),
    "metadata of time": _put("node/metadata/time_base", "\x1b[2Jnever"),
    "metadata of dt": _put("node/metadata/dt", "NaN"),
    "metadata of reset": _put("node/metadata/reset", "T" * 1_000_000),
    "decays nested": _said("decay", _DEEP_JSON),
    "decays of 10^400": _said("decay", f"[{10**400}, 1, 1]"),
    "decays too many": _said("decay", "[0.5" + ", 0.5" * 100_000 + "]"),
    "rest below 0": _said("refractory", "-1"),
    "rest of 10^400": _said("refractory", str(10**400)),
    "rest of zeros": _said("refractory", "0" * 100_000),
    "rest with escapes": _said("refractory", "\x1b[2J3"),
    "rest of numbers": _said("refractory", np.arange(9.0)),
}
RECURRENT: dict[str, Edit] = {
    "delay NaN": _put(f"{_CNN}/delay/delay", np.full(4, np.nan)),
    "delay below 0": _put(f"{_CNN}/delay/delay", np.full(4, -0.01)),
    "delay without end": _put(f"{_CNN}/delay/delay", np.full(4, 1e9)),
    "delay of half a step": _put(f"{_CNN}/delay/delay", np.full(4, 0.0137)),
    "no way in": _gone(f"{_RNN}/in"),
    "no way out": _gone(f"{_RNN}/out"),
    "two ways in": _put(f"{_RNN}/in2/type", "Input"),
    "circle of weights": _put(
        "node/nodes/rnn/edges", _edges(("in", "w_rec"), ("w_rec", "w_rec"), ("w_rec", "out"))
    ),
    "tau_syn below 0": _put(f"{_CNN}/cuba/tau_syn", np.full(2, -1.0)),
    "tau_mem NaN": _put(f"{_CNN}/cuba/tau_mem", np.full(2, np.nan)),
}
NETX: dict[str, Edit] = {
    "schema": _attribute("schema", "hardspike.netx/999\x1b[2J"),
    "schema of numbers": _attribute("schema", np.arange(9.0)),
    "names nested": _attribute("layer_names", _DEEP_JSON[:60_000]),
    "names of numbers": _attribute("layer_names", "[1, 2, 3]"),
    "names with escapes": _attribute("layer_names", '["\\u001b[2J", "a", "b"]'),
    "names with lines": _attribute("layer_names", '["two\\nlines", "a", "b"]'),
    "names twice": _attribute("layer_names", '["a", "a", "a"]'),
    "names with NUL": _attribute("layer_names", '["a\\u0000b", "b", "c"]'),
    "names with a slash": _attribute("layer_names", '["/etc/passwd", "b", "c"]'),
    "names of half a pair": _attribute("layer_names", '["\\ud800", "b", "c"]'),
    "classes too many": _attribute("classes", "[" + '"x",' * 15_000 + '"x"]'),
    "classes of half a pair": _attribute("classes", '["\\ud800", "b", "c"]'),
    "scales NaN": _attribute("scales", np.full(3, np.nan)),
    "scales below 0": _attribute("scales", np.full(3, -1.0)),
    "dt 0": _attribute("dt", 0.0),
    "dt infinite": _attribute("dt", np.inf),
    "dt of text": _attribute("dt", "soon"),
    "steps below 0": _attribute("steps", -5),
    "steps 2^62": _attribute("steps", 1 << 62),
    "steps 2^64-1": _attribute("steps", np.uint64((1 << 64) - 1)),
    "input_max 2^62": _attribute("input_max", 1 << 62),
    "readout": _attribute("readout", "\x07loud"),
    "late by 2^30": _put("layer/3/delay", np.full(6, 1 << 30)),
    "sent 2^30 late": _put("layer/3/axonDelay", np.full(6, 1 << 30)),
    **{
        f"rest of {value}": _own_neuron({"refDelay": value})
        for value in (-1, 0, 1 << 40, np.nan, np.arange(3))
    },
    "bias filtered by 2": _own_neuron({"biasFiltered": 2}),
    "bias filtered by text": _own_neuron({"biasFiltered": "yes"}),
    "rest beside a subtractive reset": _own_neuron(
        {"refDelay": 3, "reset": np.array([b"subtract"], "S10")}
    ),
    "approximates numbers": _attribute("approximates", np.arange(3.0)),
    "approximates with escapes": _attribute("approximates", '["\\u001b[2J"]'),
    "no schema's fields": lambda file, random: file.attrs.__delitem__("steps"),
}
BLOCKS: dict[str, Edit] = {
    **{
        f"{field} {value}": _put(f"layer/1/{field}", _pair(value))
        for field in ("stride", "dilation", "padding")
        for value in (-1, 1 << 19, 1 << 62, 0.5)
    },
    **{
        f"{field} {value}": _put(f"layer/1/neuron/{field}", value)
        for field in ("vThMant", "vDecay", "iDecay")
        for value in (-1, 1 << 40, np.nan)
    },
    "groups 0": _put("layer/1/groups", 0),
    "shape below 0": _put("layer/1/shape", np.array([-4, 4, 4])),
    "shape of 2^60": _put("layer/1/shape", np.array([1 << 60, 1 << 60, 4])),
    "input of 2^60": _put("layer/0/shape", np.array([2, 1 << 30, 1 << 30])),
    "input of 2^20": _put("layer/0/shape", np.array([2, 1 << 20, 1 << 20])),
    "layers that skip": _gone("layer/1"),
    "a layer of data": _put("layer/9", np.zeros(4)),
    "layer below 0": _put("layer/-1/type", "dense"),
    "layer of 2^62": _put(f"layer/{1 << 62}/type", "dense"),
    "no neuron": _gone("layer/1/neuron"),
    "weight of 2^31": _put("layer/1/weight", np.full((4, 2, 3, 2), 1 << 31)),
    "weight of 2^63": _put("layer/1/weight", np.full((4, 2, 3, 2), 9.3e18)),
}
LAVA: dict[str, Edit] = {
    "delay below 0": _put("layer/3/delay", np.full(8, -1.0, np.float32)),
    "delay without end": _put("layer/3/delay", np.full(8, 1e9, np.float32)),
    "delay NaN": _put("layer/3/delay", np.full(8, np.nan, np.float32)),
    "recurrent not square": _put("layer/4/weight_rec", np.zeros((5, 4), np.float32)),
    "graded spike": _put("layer/3/neuron/gradedSpike", True),
    "refractory": _put("layer/3/neuron/refDelay", 1 << 40),
}
BY_FORMAT = {
    "nir": CNN,
    "nir-recurrent": RECURRENT,
    "netx": {**NETX, **BLOCKS},
    "netx-lava": {**BLOCKS, **LAVA},
}

"""The whole files that hostile ones are made from: NIR, netx and ONNX."""

import itertools
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nir
import numpy as np

from benchmarks.interop_study.netx_files import Block, write_blocks
from export.network import Conv, Dense, FixedPointNetwork, Layer, LoihiLIF
from export.netx_file import write_netx
from export.onnx_model import write_sequence, write_step

_NIR = ("--dt", "0.01", "--reset", "zero")
SAID = {
    "nir": _NIR,
    "nir-recurrent": _NIR,
    "netx": (),
    "netx-lava": ("--steps", "4", "--readout", "count"),
    "onnx": (),
    "onnx-step": (),
    "other": _NIR,
}
"""What the command line has to say of a file, by format."""
SAID_IMPORT = {
    "nir": ("--steps", "4"),
    "nir-recurrent": ("--steps", "4"),
    "other": ("--steps", "4"),
}
"""What `import` alone needs besides."""


def write_whole(path: Path, name: str) -> Path:
    """Write the whole file of that format to `path`."""
    WHOLE[name](path)
    return path


def _full(size: Any, value: float) -> Any:
    return np.full(size, value, np.float32)


def _weights(*shape: int, seed: int) -> Any:
    """Draw sixteenths, whose sums are exact."""
    rng = np.random.default_rng(seed)
    return (rng.integers(-16, 17, shape) / 16).astype(np.float32)


def _lif(shape: Any) -> Any:
    values = {"tau": 0.02, "r": 1.0, "v_leak": 0.0, "v_threshold": 0.27, "v_reset": 0.0}
    return nir.LIF(**{key: _full(shape, value) for key, value in values.items()})


def _write_nir(path: Path, nodes: dict[str, Any]) -> None:
    names = list(nodes)
    edges = list(itertools.pairwise(names))
    nir.write(path, nir.NIRGraph(nodes, edges, type_check=False))


def _cnn(path: Path) -> None:
    conv = nir.Conv2d(
        input_shape=(8, 8),
        weight=_weights(3, 2, 3, 3, seed=0),
        bias=_full(3, 0),
        stride=(1, 1),
        padding=(1, 1),
        dilation=(1, 1),
        groups=1,
    )
    nodes = {
        "input": nir.Input(np.array([2, 8, 8])),
        "conv": conv,
        "lif1": _lif((3, 8, 8)),
        "pool": nir.SumPool2d(np.array([2, 2]), np.array([2, 2]), np.array([0, 0])),
        "flat": nir.Flatten({"input": np.array([3, 4, 4])}, 0, -1),
        "fc": nir.Affine(_weights(10, 48, seed=1), _full(10, 0.125)),
        "lif2": _lif((10,)),
        "output": nir.Output(np.array([10])),
    }
    _write_nir(path, nodes)


def _recurrent(path: Path) -> None:
    """Write neurons that read themselves, inside a graph of their own, with a delay behind."""
    inner = nir.NIRGraph(
        {
            "in": nir.Input(np.array([4])),
            "lif": _lif((4,)),
            "w_rec": nir.Linear(_weights(4, 4, seed=2)),
            "out": nir.Output(np.array([4])),
        },
        [("in", "lif"), ("lif", "w_rec"), ("w_rec", "lif"), ("lif", "out")],
        type_check=False,
    )
    cuba = {"tau_mem": 0.02, "tau_syn": 0.02, "r": 1.0, "v_leak": 0.0, "v_threshold": 0.13}
    nodes = {
        "input": nir.Input(np.array([3])),
        "fc": nir.Linear(_weights(4, 3, seed=0)),
        "rnn": inner,
        "delay": nir.Delay(np.array([0.0, 0.01, 0.02, 0.03])),
        "fc2": nir.Linear(_weights(2, 4, seed=3)),
        "cuba": nir.CubaLIF(
            **{key: _full((2,), value) for key, value in cuba.items()}, w_in=_full((2,), 2.0)
        ),
        "output": nir.Output(np.array([2])),
    }
    _write_nir(path, nodes)


def fixed_network() -> FixedPointNetwork:
    """Return a convolution and two dense layers, one with recurrence and a delay."""
    rng = np.random.default_rng(7)

    def even(*shape: int) -> Any:
        return (2 * rng.integers(-100, 100, shape)).astype(np.int32)

    layers = (
        Layer("conv", Conv(even(4, 2, 3, 2), even(4), (2, 1), (1, 0)), LoihiLIF(300, 2000, 4095)),
        Layer(
            "hidden",
            Dense(even(6, 4 * 5 * 6)),
            LoihiLIF(100, 3000, 3000),
            recurrent=Dense(even(6, 6)),
        ),
        Layer("out", Dense(even(3, 6), even(3)), LoihiLIF(400, 90, 4095)),
    )
    return FixedPointNetwork((2, 9, 7), layers, "count", 6, 0.01, ("a", "b", "c"), 3)


def _lava(path: Path) -> None:
    """Write blocks as lava-dl's export does: convolution, flatten, dense and recurrent dense."""
    rng = np.random.default_rng(11)

    def even(*shape: int) -> Any:
        return (2 * rng.integers(-30, 30, shape)).astype(np.float32)

    neuron = {
        "type": "CUBA",
        "iDecay": 1500,
        "vDecay": 600,
        "vThMant": 40,
        "refDelay": 1,
        "gradedSpike": False,
    }
    blocks: list[Block] = [
        {"type": "input", "shape": np.array([2, 6, 6])},
        {
            "type": "conv",
            "shape": np.array([4, 4, 4]),
            "inChannels": 2,
            "outChannels": 4,
            "kernelSize": (3, 3),
            "stride": (1, 1),
            "padding": (0, 0),
            "dilation": (1, 1),
            "groups": 1,
            "weight": even(4, 2, 3, 3),
            "neuron": neuron,
        },
        {"type": "flatten", "shape": np.array([64, 1, 1])},
        _dense("dense", 64, 8, {"weight": even(8, 64), "delay": _full(8, 2.0), "neuron": neuron}),
        _dense(
            "dense_rec", 8, 5, {"weight": even(5, 8), "weight_rec": even(5, 5), "neuron": neuron}
        ),
    ]
    write_blocks(path, blocks)


def _dense(kind: str, inputs: int, outputs: int, rest: Block) -> Block:
    sizes = {"shape": np.array([outputs]), "inFeatures": inputs, "outFeatures": outputs}
    return {"type": kind, **sizes, **rest}


WHOLE: dict[str, Callable[[Path], None]] = {
    "nir": _cnn,
    "nir-recurrent": _recurrent,
    "netx": lambda path: write_netx(fixed_network(), path),
    "netx-lava": _lava,
    "onnx": lambda path: write_sequence(fixed_network(), path),
    "onnx-step": lambda path: write_step(fixed_network(), path),
}

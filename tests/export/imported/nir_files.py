"""NIR files written by the nir package itself, as another toolkit would."""

import itertools
from pathlib import Path
from typing import Any

import nir
import numpy as np


def full(shape: Any, value: float) -> Any:
    """Return a float32 array of one value."""
    return np.full(shape, value, np.float32)


def lif(shape: Any, **changes: float) -> Any:
    """Return LIF neurons."""
    values = {"tau": 0.02, "r": 1.0, "v_leak": 0.0, "v_threshold": 0.27, "v_reset": 0.0} | changes
    return nir.LIF(**{key: full(shape, value) for key, value in values.items()})


def weights(*shape: int, seed: int = 0) -> Any:
    """Return float32 weights in sixteenths, whose sums are exact."""
    rng = np.random.default_rng(seed)
    return (rng.integers(-16, 17, shape) / 16).astype(np.float32)


def conv(given: tuple[int, int], weight: Any, bias: Any = None, **changes: Any) -> Any:
    """Return a Conv2d."""
    settings = {"stride": (1, 1), "padding": (0, 0), "dilation": (1, 1), "groups": 1} | changes
    bias = np.zeros(len(weight), np.float32) if bias is None else bias
    return nir.Conv2d(input_shape=given, weight=weight, bias=bias, **settings)


def write(path: Path, nodes: dict[str, Any], edges: Any = None, **metadata: str) -> Path:
    """Write a graph of `nodes`, in a row where no edges are given."""
    names = list(nodes)
    edges = list(itertools.pairwise(names)) if edges is None else edges
    nir.write(path, nir.NIRGraph(nodes, edges, metadata=metadata, type_check=False))
    return path


def small_cnn() -> dict[str, Any]:
    """Return a convolution, a pool, a dense layer, and what lies between them."""
    return {
        "input": nir.Input(np.array([2, 8, 8])),
        "conv": conv((8, 8), weights(3, 2, 3, 3), padding=(1, 1)),
        "lif1": lif((3, 8, 8)),
        "pool": nir.SumPool2d(np.array([2, 2]), np.array([2, 2]), np.array([0, 0])),
        "flat": nir.Flatten({"input": np.array([3, 4, 4])}, 0, -1),
        "fc": nir.Affine(weights(10, 48, seed=1), full(10, 0.125)),
        "lif2": lif((10,), v_leak=0.125),
        "output": nir.Output(np.array([10])),
    }


def recurrent() -> tuple[dict[str, Any], list[tuple[str, str]]]:
    """Return neurons that read themselves, inside a graph of their own, with a delay behind."""
    inner = nir.NIRGraph(
        {
            "in": nir.Input(np.array([4])),
            "lif": lif((4,)),
            "w_rec": nir.Linear(weights(4, 4, seed=2)),
            "out": nir.Output(np.array([4])),
        },
        [("in", "lif"), ("lif", "w_rec"), ("w_rec", "lif"), ("lif", "out")],
        type_check=False,
    )
    nodes = {
        "input": nir.Input(np.array([3])),
        "fc": nir.Linear(weights(4, 3)),
        "rnn": inner,
        "delay": nir.Delay(np.array([0.0, 0.01, 0.02, 0.03])),
        "fc2": nir.Linear(weights(2, 4, seed=3)),
        "cuba": nir.CubaLIF(
            **{key: full((2,), value) for key, value in CUBA.items()}, w_in=full((2,), 2.0)
        ),
        "output": nir.Output(np.array([2])),
    }
    names = list(nodes)
    return nodes, list(itertools.pairwise(names))


CUBA = {"tau_mem": 0.02, "tau_syn": 0.02, "r": 1.0, "v_leak": 0.0, "v_threshold": 0.13}

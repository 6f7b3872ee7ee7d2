"""Networks of this project, written as NIR for the toolkits: as they are, and prepared.

A preparation is a rewrite of the file that a toolkit's reader needs and that changes no spike.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import nir
import numpy as np

from benchmarks.interop_study.reading import NEURONS, read_graph
from benchmarks.interop_study.settings import SEED
from export.network import LIF, Array, Conv, Dense, HardSpikeNetwork, Layer, Readout
from export.nir_graph import write_nir

DT = 0.01
STEPS = 30
FLOATS = ("tau", "r", "v_leak", "v_threshold", "v_reset")


def _weights(random: np.random.Generator, *shape: int, step: float | None = None) -> Array:
    """Return weights that let about every neuron fire, in multiples of `step`."""
    spread = 1.6 / math.sqrt(math.prod(shape[1:]))
    values = random.normal(0.35 * spread, spread, shape)
    return values if step is None else np.round(values / step) * step


def _dense(decay: float, readout: Readout = "count", step: float | None = None) -> HardSpikeNetwork:
    random = np.random.default_rng([SEED, 1])
    last = LIF(decay, 1.0 if readout == "count" else math.inf)
    bias = np.round(random.normal(0, 0.1, 10) * 64) / 64 if step is None else None
    layers = (
        Layer("hidden", Dense(_weights(random, 10, 12, step=step), bias), LIF(decay, 1.0)),
        Layer("out", Dense(_weights(random, 5, 10, step=step)), last),
    )
    return HardSpikeNetwork((12, 1, 1), layers, readout, STEPS, DT)


def _convolution() -> HardSpikeNetwork:
    random = np.random.default_rng([SEED, 2])
    conv = Conv(_weights(random, 4, 2, 3, 3), random.normal(0, 0.1, 4), (2, 2), (1, 1))
    layers = (
        Layer("conv", conv, LIF(0.8, 1.0)),
        Layer("out", Dense(_weights(random, 5, 36), random.normal(0, 0.1, 5)), LIF(0.8, 1.0)),
    )
    return HardSpikeNetwork((2, 6, 6), layers, "count", STEPS, DT)


NETWORKS: Mapping[str, Callable[[], HardSpikeNetwork]] = {
    "dense-lif": lambda: _dense(0.9),
    "dense-if": lambda: _dense(1.0, step=1 / 8),
    "conv": _convolution,
    "readout": lambda: _dense(0.9, "membrane"),
}


@dataclass(frozen=True)
class Preparation:
    """A file for one toolkit: its name, what was done, the step it is for, and the rewrite."""

    name: str
    text: str
    dt: float
    rewrite: Callable[[Any], None]

    def write(self, network: HardSpikeNetwork, path: Path) -> None:
        """Write the network with this step, rewritten."""
        write_nir(replace(network, dt=self.dt), path)
        graph = read_graph(path)
        self.rewrite(graph)
        nir.write(path, graph)


def _in_float32(graph: Any) -> None:
    for node in graph.nodes.values():
        for name in FLOATS:
            if hasattr(node, name):
                setattr(node, name, np.asarray(getattr(node, name), np.float32))


def _r_into_weights(graph: Any) -> None:
    """Multiply each synapse by the R behind it."""
    for before, after in graph.edges:
        node, neuron = graph.nodes[before], graph.nodes[after]
        if isinstance(neuron, nir.LIF | nir.LI):
            resistance = float(neuron.r.flat[0])
            node.weight = node.weight * resistance
            if not isinstance(node, nir.Linear):
                node.bias = node.bias * resistance
            neuron.r = np.ones_like(neuron.r)


def _affine(graph: Any) -> None:
    """Give every Linear node a bias of zeros."""
    for name, node in graph.nodes.items():
        if isinstance(node, nir.Linear):
            graph.nodes[name] = nir.Affine(node.weight, np.zeros(len(node.weight)))


def _in_steps(graph: Any) -> None:
    """Give neurons the τ whose exp(−1/τ) is their decay, and R of 1, as sinabs takes them."""
    _affine(graph)
    for node in graph.nodes.values():
        if isinstance(node, NEURONS):
            if hasattr(node, "tau"):
                node.tau = -1 / np.log1p(-1 / np.asarray(node.tau))
            node.r = np.ones_like(node.r)


PREPARATIONS: Mapping[str, tuple[Preparation, ...]] = {
    "snntorch": (
        Preparation("0.1 ms", "a step of 0.1 ms, parameters in float32", 1e-4, _in_float32),
        Preparation("1 s", "a step of 1 s (so that R of IF is 1), float32", 1.0, _in_float32),
    ),
    "norse": (Preparation("R in weights", "R folded into the weights", DT, _r_into_weights),),
    "spikingjelly": (),
    "sinabs": (
        Preparation("affine", "Linear nodes written as Affine", DT, _affine),
        Preparation("steps", "Affine for Linear, τ in steps, R of 1", 1.0, _in_steps),
    ),
}

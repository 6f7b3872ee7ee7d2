"""Networks of this project, written as NIR for the toolkits: as they are, and prepared.

A preparation is a rewrite of the file that a toolkit's reader needs and that changes no spike.
"""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import h5py
import nir
import numpy as np

from benchmarks.interop_study.reading import NEURONS, read_graph
from benchmarks.interop_study.settings import SEED
from export.network import LIF, Array, Conv, Dense, HardSpikeNetwork, Layer, Readout
from export.nir_graph import write_nir

DT = 0.01
STEPS = 30


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


def _one_layer() -> HardSpikeNetwork:
    """Return one layer without a leak: a reader need not hand its spikes on."""
    random = np.random.default_rng([SEED, 4])
    layers = (Layer("out", Dense(_weights(random, 5, 12, step=1 / 8)), LIF(1.0, 1.0)),)
    return HardSpikeNetwork((12, 1, 1), layers, "count", STEPS, DT)


NETWORKS: Mapping[str, Callable[[], HardSpikeNetwork]] = {
    "dense-lif": lambda: _dense(0.9),
    "dense-if": lambda: _dense(1.0, step=1 / 8),
    "one-if": _one_layer,
    "conv": _convolution,
    "readout": lambda: _dense(0.9, "membrane"),
}


@dataclass(frozen=True)
class Preparation:
    """A file for one toolkit: its name, what was done, the networks and the step it is for.

    `rewrite` changes the graph; the data sets named in `without` are then taken out of the file.
    `reading` has what the toolkit is known to do, where the file is right under that alone.
    """

    name: str
    text: str
    networks: tuple[str, ...]
    dt: float
    rewrite: Callable[[Any], None]
    without: tuple[str, ...] = ()
    reading: Mapping[str, Any] = field(default_factory=dict)

    def write(self, network: HardSpikeNetwork, path: Path) -> None:
        """Write the network with this step, rewritten."""
        write_nir(replace(network, dt=self.dt), path)
        graph = read_graph(path)
        self.rewrite(graph)
        nir.write(path, graph)
        with h5py.File(path, "r+") as file:
            for node in file["node/nodes"].values():
                for name in self.without:
                    if name in node:
                        del node[name]


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


def _nothing(_graph: Any) -> None:
    """Leave the graph as it is."""


def _endless(graph: Any) -> None:
    """Write the readout as a neuron whose threshold is out of reach."""
    for name, node in graph.nodes.items():
        if isinstance(node, nir.LI):
            endless = np.full_like(node.v_leak, np.inf)
            graph.nodes[name] = nir.LIF(node.tau, node.r, node.v_leak, endless)


_FIRING_LEAKY = ("dense-lif", "conv")
_WITHOUT_LEAK = ("dense-if", "one-if")
_ALL = tuple(NETWORKS)
_OLD = ("v_reset", "metadata")
"""Fields of a node that nir 1.0.4, which sinabs 3.1.3 asks for, does not read."""
_AS_SINABS_STEPS = {"exponential": True, "whole_input": True}

PREPARATIONS: Mapping[str, tuple[Preparation, ...]] = {
    "snntorch": (
        Preparation("0.1 ms", "a step of 0.1 ms", _FIRING_LEAKY, 1e-4, _nothing),
        Preparation("1 s", "a step of 1 s, so that R of IF is 1", _WITHOUT_LEAK, 1.0, _nothing),
        Preparation(
            "0.1 ms, LIF",
            "a step of 0.1 ms, and LIF with an endless threshold for LI",
            ("readout",),
            1e-4,
            _endless,
        ),
    ),
    "norse": (
        Preparation(
            "R in weights", "R folded into the weights", _FIRING_LEAKY, DT, _r_into_weights
        ),
    ),
    "spikingjelly": (
        Preparation("LIF", "LIF with an endless threshold for LI", ("readout",), DT, _endless),
    ),
    "sinabs": (
        Preparation("old", "neither v_reset nor metadata, for nir 1.0.4", _ALL, DT, _nothing, _OLD),
        Preparation("old, affine", "Affine for Linear as well", _ALL, DT, _affine, _OLD),
        Preparation(
            "old, affine, steps",
            "τ with exp(−1/τ) for the decay, and R of 1, as well",
            _ALL,
            1.0,
            _in_steps,
            _OLD,
            _AS_SINABS_STEPS,
        ),
    ),
}

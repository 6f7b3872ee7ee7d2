"""Thresholds of the hard float network, tuned layer by layer on held-out recordings.

Axes: `B` recording, `T` time step, `C` channel, `H` height, `W` width, `N` neuron, `F` factor.

A network that was trained smooth fires too little, or too much, behind a hard threshold. Every
layer's ϑ gets a factor f, which is the same as dividing its weights and bias by f: below threshold
the membrane is linear in them, and the reset is to zero. The factors are found by coordinate
search over a geometric grid, layer by layer from the first, in two passes. The objective is the
cross-entropy of the readout, as in training; a readout without a threshold keeps its layer.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from export.network import LIF, HardSpikeNetwork, Layer
from hardware.arriving import delayed, neuron_bias, synapse_product
from hardware.reference import chunk_size, float_layer

Array = NDArray[Any]
FACTORS = tuple(2.0 ** (eighth / 8) for eighth in range(-12, 7))
"""0.35 to 1.68, 9% apart, 1 among them."""
_PASSES = 2


@dataclass(frozen=True)
class Objective:
    """Cross-entropy of the readout in nats, and the share of recordings it decides right."""

    cross_entropy: float
    accuracy: float


@dataclass(frozen=True, eq=False)
class Calibration:
    """The network with its tuned thresholds, each layer's factor, and the objective around it."""

    network: HardSpikeNetwork
    factors: dict[str, float]
    before: Objective
    after: Objective


def calibrate_thresholds(
    network: HardSpikeNetwork, spikes_BTCHW: NDArray[np.uint8], labels_B: NDArray[np.int64]
) -> Calibration:
    """Return `network` with the thresholds whose cross-entropy on the recordings is least.

    Deterministic; the objective never rises. Where several factors do equally well, the one found
    before stays.
    """
    tuned, factors = network, {layer.name: 1.0 for layer in network.layers}
    (evidence_BN,) = _evidence(network, 0, [1.0], spikes_BTCHW)
    before = best = _objective(evidence_BN, labels_B)
    for _ in range(_PASSES):
        for index, layer in enumerate(network.layers):
            if not layer.neuron.fires:
                continue
            ratios = [factor / factors[layer.name] for factor in FACTORS]
            found = [
                _objective(evidence_BN, labels_B)
                for evidence_BN in _evidence(tuned, index, ratios, spikes_BTCHW)
            ]
            place = min(range(len(found)), key=lambda at: found[at].cross_entropy)
            if found[place].cross_entropy < best.cross_entropy:
                best, factors[layer.name] = found[place], FACTORS[place]
                tuned = _with_threshold(tuned, index, layer.neuron.threshold * FACTORS[place])
    return Calibration(tuned, factors, before, best)


def _objective(evidence_BN: Array, labels_B: NDArray[np.int64]) -> Objective:
    shifted_BN = evidence_BN - evidence_BN.max(axis=1, keepdims=True)
    chosen_B = shifted_BN[np.arange(len(labels_B)), labels_B]
    loss_B = np.log(np.exp(shifted_BN).sum(axis=1)) - chosen_B
    right = evidence_BN.argmax(axis=1) == labels_B
    return Objective(float(loss_B.mean()), float(right.mean()))


def _with_threshold(network: HardSpikeNetwork, index: int, threshold: float) -> HardSpikeNetwork:
    layers = list(network.layers)
    neuron = replace(layers[index].neuron, threshold=threshold)
    layers[index] = replace(layers[index], neuron=neuron)
    return replace(network, layers=tuple(layers))


def _evidence(
    network: HardSpikeNetwork,
    index: int,
    factors: Sequence[float],
    spikes_BTCHW: NDArray[np.uint8],
) -> list[NDArray[np.float64]]:
    """Return the evidence for each class, `(B, N)`, under each factor on layer `index`'s threshold.

    What lies before the layer, and its own synapses, run once for all factors.
    """
    chunk = chunk_size(network)
    parts: list[list[Array]] = [[] for _ in factors]
    for start in range(0, len(spikes_BTCHW), chunk):
        part = spikes_BTCHW[start : start + chunk]
        x_BTN: Array = part.reshape(*part.shape[:2], -1)
        for at in range(index):
            x_BTN = _fire(network.layers[at], _drive(network, at, x_BTN))[0]
        drive_BTN = _drive(network, index, x_BTN)
        for factor, found in zip(factors, parts, strict=True):
            found.append(_readout(network, index, drive_BTN, factor))
    return [np.concatenate(found) for found in parts]


def _readout(
    network: HardSpikeNetwork, index: int, drive_BTN: Array, factor: float
) -> NDArray[np.float64]:
    """Run layer `index` under `factor` and all layers after it; return the evidence `(B, N)`."""
    spikes_BTN, membranes_BTN = _fire(network.layers[index], drive_BTN, factor)
    for at in range(index + 1, len(network.layers)):
        drive_BTN = _drive(network, at, spikes_BTN)
        spikes_BTN, membranes_BTN = _fire(network.layers[at], drive_BTN)
    if network.readout == "count":
        return np.asarray(spikes_BTN.sum(axis=1), np.float64)
    return np.asarray(membranes_BTN[:, -1], np.float64)


def _drive(network: HardSpikeNetwork, index: int, x_BTN: Array) -> Array:
    synapse = network.layers[index].synapse
    return synapse_product(synapse, x_BTN, network.shapes[index], synapse.weight.dtype)


def _fire(
    layer: Layer[LIF], drive_BTN: Array, factor: float = 1.0
) -> tuple[NDArray[np.uint8], Array]:
    neuron = replace(layer.neuron, threshold=layer.neuron.threshold * factor)
    bias_N = neuron_bias(layer.synapse, drive_BTN.shape[-1])
    spikes_BTN, membranes_BTN = float_layer(drive_BTN, bias_N, replace(layer, neuron=neuron))
    return delayed(spikes_BTN, layer.delay_N), membranes_BTN

"""Threshold tuning: what a factor means, that the objective never rises, and a known answer."""

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from export.network import (
    LIF,
    READOUTS,
    Conv,
    Dense,
    HardSpikeNetwork,
    Layer,
    Readout,
)
from hardware.reference import run_float
from pipeline import calibrate
from pipeline.calibrate import FACTORS, calibrate_thresholds

Spikes = NDArray[np.uint8]


def _network(seed: int, readout: Readout = "count", bias: bool = True) -> HardSpikeNetwork:
    random = np.random.default_rng(seed)
    weights = [random.normal(size=(3, 1, 2, 2)), random.normal(size=(4, 3 * 3 * 3)) * 0.5]
    biases = [random.normal(size=len(weight)) * 0.1 if bias else None for weight in weights]
    last = LIF(0.7, 1.0 if readout == "count" else math.inf)
    layers = (
        Layer("conv1", Conv(weights[0], biases[0]), LIF(0.9, 1.0)),
        Layer("dense2", Dense(weights[1], biases[1]), last),
    )
    return HardSpikeNetwork((1, 4, 4), layers, readout, 5, 0.01)


def _recordings(seed: int, count: int = 12) -> tuple[Spikes, NDArray[np.int64]]:
    random = np.random.default_rng(seed)
    spikes = (random.random((count, 5, 1, 4, 4)) < 0.5).astype(np.uint8)
    return spikes, random.integers(0, 4, count)


def _evidence(network: HardSpikeNetwork, spikes: Spikes) -> NDArray[np.float64]:
    trace = run_float(network, spikes)
    found = trace.last.sum(axis=1) if network.readout == "count" else trace.membranes_BTN[:, -1]
    return found.astype(np.float64)


def _cross_entropy(evidence_BN: NDArray[np.float64], labels_B: NDArray[np.int64]) -> float:
    shares_BN = np.exp(evidence_BN) / np.exp(evidence_BN).sum(axis=1, keepdims=True)
    return float(-np.log(shares_BN[np.arange(len(labels_B)), labels_B]).mean())


@given(
    seed=st.integers(0, 2**32 - 1),
    readout=st.sampled_from(READOUTS),
    bias=st.booleans(),
)
@settings(max_examples=20, deadline=None)
def test_the_objective_never_rises_and_is_that_of_the_network_returned(
    seed: int, readout: Readout, bias: bool
) -> None:
    network, (spikes, labels) = _network(seed, readout, bias), _recordings(seed + 1)
    found = calibrate_thresholds(network, spikes, labels)
    assert found.after.cross_entropy <= found.before.cross_entropy
    for objective, one in ((found.before, network), (found.after, found.network)):
        evidence = _evidence(one, spikes)
        assert objective.cross_entropy == pytest.approx(_cross_entropy(evidence, labels))
        assert objective.accuracy == (evidence.argmax(axis=1) == labels).mean()
    for before, after in zip(network.layers, found.network.layers, strict=True):
        factor = found.factors[before.name]
        assert factor in FACTORS
        assert after.neuron.threshold == before.neuron.threshold * factor
        assert after.synapse is before.synapse
    again = calibrate_thresholds(network, spikes, labels)
    assert (again.factors, again.after) == (found.factors, found.after)


def test_a_factor_is_the_inverse_on_weights_and_bias() -> None:
    """Powers of two, so that both give the same floats: every spike is the same."""
    network, (spikes, _) = _network(3), _recordings(4)
    first, last = network.layers
    raised = replace(first, neuron=LIF(0.9, 2.0))
    assert isinstance(first.synapse, Conv)
    assert first.synapse.bias_O is not None
    halved = replace(first, synapse=Conv(first.synapse.weight_OIHW / 2, first.synapse.bias_O / 2))
    one, other = (
        run_float(replace(network, layers=(layer, last)), spikes).spikes_BTN["conv1"]
        for layer in (raised, halved)
    )
    assert 0 < one.mean() < run_float(network, spikes).spikes_BTN["conv1"].mean()
    np.testing.assert_array_equal(one, other)


def test_thresholds_set_far_too_high_are_found() -> None:
    """Class i has its own pixel, lit at every step. The first layer's ϑ lies above all that ever
    arrives, 1/(1 − τ) = 2, and nothing fires; the tuned network tells all classes apart."""
    hidden = Layer("dense1", Dense(np.eye(4)), LIF(0.5, 2.5))
    last = Layer("dense2", Dense(np.eye(4)), LIF(0.5, 0.9))
    network = HardSpikeNetwork((1, 2, 2), (hidden, last), "count", 6, 0.01)
    labels = np.arange(8) % 4
    spikes = np.zeros((8, 6, 4), np.uint8)
    spikes[np.arange(8), :, labels] = 1
    found = calibrate_thresholds(network, spikes.reshape(8, 6, 1, 2, 2), labels)
    assert found.before.cross_entropy == pytest.approx(math.log(4))
    assert found.before.accuracy == 0.25
    assert found.after.accuracy == 1
    assert found.factors["dense1"] < 2 / 2.5


def test_a_readout_without_a_threshold_keeps_its_layer() -> None:
    network, (spikes, labels) = _network(5, "membrane"), _recordings(6)
    found = calibrate_thresholds(network, spikes, labels)
    assert found.factors["dense2"] == 1
    assert found.network.layers[1] is network.layers[1]


def test_chunks_change_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    network, (spikes, labels) = _network(7), _recordings(8)
    whole = calibrate_thresholds(network, spikes, labels)
    monkeypatch.setattr(calibrate, "chunk_size", lambda _: 5)
    parts = calibrate_thresholds(network, spikes, labels)
    assert (whole.factors, whole.after) == (parts.factors, parts.after)

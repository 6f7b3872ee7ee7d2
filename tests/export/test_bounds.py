"""Static bounds hold for every input that random networks meet."""

import numpy as np
from hypothesis import HealthCheck, assume, given, settings

from export.bounds import (
    activation_range,
    current_peak,
    current_wraps,
    largest_sum,
    membrane_clips,
)
from export.network import Dense, Layer, LoihiLIF
from hardware.arriving import neuron_bias, synapse_product
from tests.conformance.random_networks import Case, cases, within_limits


@given(cases())
@settings(
    max_examples=150,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.filter_too_much, HealthCheck.too_slow],
)
def test_no_sum_current_or_membrane_leaves_its_bound(case: Case) -> None:
    network, spikes_BTCHW = case
    assume(within_limits(network))
    layer, input_max = network.layers[0], network.input_max
    x_BTN = spikes_BTCHW.reshape(*spikes_BTCHW.shape[:2], -1)
    sums = synapse_product(layer.synapse, x_BTN, network.input_shape, np.float64).astype(np.int64)
    lowest, highest = activation_range(layer, input_max)
    assert lowest <= sums.min()
    assert sums.max() <= highest
    assert np.abs(sums).max() <= largest_sum(layer, input_max)
    bias_N = neuron_bias(layer.synapse, sums.shape[2]).astype(np.int64)
    u = np.zeros(sums[:, 0].shape, np.int64)
    v = np.zeros_like(u)
    for t in range(network.steps):
        kept = u * (4096 - layer.neuron.current_decay - 1)
        raw = np.sign(kept) * (np.abs(kept) >> 12) + (sums[:, t] << 6)
        assert np.abs(raw).max() <= current_peak(layer, input_max, network.steps)
        wrapped = (raw > 1 << 23) | (raw <= -(1 << 23))
        assert current_wraps(layer, input_max) or not wrapped.any()
        u = raw - (wrapped * np.sign(raw) << 24)
        kept = v * (4096 - layer.neuron.membrane_decay)
        v = np.sign(kept) * (np.abs(kept) >> 12) + u + (bias_N << 6)
        assert membrane_clips(layer, input_max) or v.min() >= 1 - (1 << 23)
        v = np.clip(v, 1 - (1 << 23), (1 << 23) - 1)
        v[v > layer.neuron.threshold << 6] = 0


def _dense(weight: int, neuron: LoihiLIF, bias: int = 0) -> Layer[LoihiLIF]:
    return Layer("dense", Dense(np.full((1, 512), weight), np.array([bias])), neuron)


def test_the_wrap_begins_one_past_the_end() -> None:
    """512 · 256 << 6 = 2^23: up to it above and short of it below nothing wraps."""
    neuron = LoihiLIF(1, 1)
    assert current_wraps(_dense(-256, neuron), 1)
    assert not current_wraps(_dense(256, neuron), 1)
    assert not current_wraps(_dense(-254, neuron), 1)
    assert current_wraps(_dense(254, LoihiLIF(1, 1, 0)), 1)


def test_a_leak_keeps_a_membrane_off_its_clip() -> None:
    """512 · 2 << 6 = 2^16 a step: 1/4 lost ends at 2^18; no leak ends nowhere."""
    assert not membrane_clips(_dense(-2, LoihiLIF(1024, 1)), 1)
    assert membrane_clips(_dense(-2, LoihiLIF(0, 1)), 1)
    assert not membrane_clips(_dense(2, LoihiLIF(0, 1)), 1)
    assert membrane_clips(_dense(2, LoihiLIF(0, 1), bias=-1), 1)

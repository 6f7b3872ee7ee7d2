"""The float network's neurons against a plain loop over Python floats, feature by feature."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from export.errors import HardspikeError
from export.network import LIF, Dense, HardSpikeNetwork, Layer, Reset
from hardware.loihi.discretize import discretize
from hardware.reference import float_layer, run_fixed, run_float

STEPS, NEURONS = 9, 3


def _plain(
    drive_TN: list[list[float]],
    bias: list[float],
    neuron: LIF,
    back: list[list[float]] | None,
    decays: list[tuple[float, float]],
) -> list[list[int]]:
    u, i, spikes = [0.0] * NEURONS, [0.0] * NEURONS, [0] * NEURONS
    fired, found = [-99] * NEURONS, []
    for t, row in enumerate(drive_TN):
        before, spikes = spikes, [0] * NEURONS
        for n in range(NEURONS):
            given = row[n] + sum(back[n][m] * before[m] for m in range(NEURONS)) if back else row[n]
            keeps_u, keeps_i = decays[n]
            early, late = (bias[n], 0.0) if neuron.bias_filtered else (0.0, bias[n])
            i[n] = keeps_i * i[n] + given + early
            u[n] = keeps_u * u[n] + i[n] + late
            if t - fired[n] <= neuron.refractory:
                u[n] = 0.0
            if u[n] > neuron.threshold:
                spikes[n], fired[n] = 1, t
                u[n] = 0.0 if neuron.reset == "zero" else u[n] - neuron.threshold
        found.append(spikes)
    return found


@pytest.mark.parametrize("reset", ["zero", "subtract"])
@given(
    decay=st.sampled_from([0.0, 0.5, 0.75, 1.0]),
    current=st.sampled_from([0.0, 0.25, 0.5]),
    recurrent=st.booleans(),
    filtered=st.booleans(),
    refractory=st.integers(0, 3),
    own=st.booleans(),
    seed=st.integers(0, 2**16),
)
@settings(max_examples=80, deadline=None, derandomize=True)
def test_neurons_are_those_of_a_plain_loop(
    reset: Reset,
    decay: float,
    current: float,
    recurrent: bool,
    filtered: bool,
    refractory: int,
    own: bool,
    seed: int,
) -> None:
    """Numbers in eighths: every sum is exact."""
    rng = np.random.default_rng(seed)
    drive_BTN = rng.integers(-8, 12, (1, STEPS, NEURONS)) / 8
    bias_N = rng.integers(-2, 3, NEURONS) / 8
    back = rng.integers(-8, 9, (NEURONS, NEURONS)) / 8 if recurrent else None
    rest = refractory if reset == "zero" else 0
    neuron = LIF(decay, 0.875, reset, current, filtered and current > 0, rest)
    decays_NS = np.tile([decay, current], (NEURONS, 1))
    if own:
        decays_NS *= np.array([[1.0, 0.5], [0.5, 1.0], [0.25, 0.0]])
    layer = Layer(
        "",
        Dense(np.zeros((NEURONS, 1))),
        neuron,
        recurrent=None if back is None else Dense(back),
        membrane_decay_O=decays_NS[:, 0] if own else None,
        current_decay_O=decays_NS[:, 1] if own else None,
    )
    spikes_BTN, _ = float_layer(drive_BTN, bias_N, layer)
    rows = None if back is None else back.tolist()
    pairs = [(one, other) for one, other in decays_NS.tolist()]
    plain = _plain(drive_BTN[0].tolist(), bias_N.tolist(), neuron, rows, pairs)
    assert spikes_BTN[0].tolist() == plain


def _network(reset: Reset) -> HardSpikeNetwork:
    """Weights that lie on the integers' grid, decays that the registers hold."""
    rng = np.random.default_rng(4)
    hidden = Layer(
        "hidden",
        Dense(rng.integers(-64, 65, (5, 4)) / 64, rng.integers(-8, 9, 5) / 64),
        LIF(0.75, 0.75, reset, 0.5),
        delay_N=np.array([0, 1, 2, 0, 3]),
        recurrent=Dense(rng.integers(-64, 65, (5, 5)) / 64),
    )
    out = Layer("out", Dense(rng.integers(-64, 65, (3, 5)) / 64), LIF(1.0, 0.5, reset))
    return HardSpikeNetwork((4, 1, 1), (hidden, out), "count", 12, 0.001)


@pytest.mark.parametrize("reset", ["zero", "subtract"])
def test_integers_follow_current_delays_recurrence_and_reset(reset: Reset) -> None:
    """8-bit weights on the grid keep nearly every spike; they part in how decays are rounded."""
    network = _network(reset)
    fixed = discretize(network)
    assert fixed.layers[0].neuron.current_decay == 4095 - 2048
    assert fixed.layers[0].neuron.reset == reset
    rng = np.random.default_rng(5)
    spikes = (rng.random((20, 12, 4, 1, 1)) < 0.4).astype(np.uint8)
    one, other = run_float(network, spikes), run_fixed(fixed, spikes)
    agreement = (one.last == other.last).mean()
    assert agreement > 0.97
    assert 0.05 < one.last.mean() < 0.95
    for change in (
        {"recurrent": None},
        {"delay_N": None},
        {"neuron": replace(network.layers[0].neuron, current_decay=0.0)},
    ):
        without = replace(network, layers=(replace(network.layers[0], **change), network.layers[1]))
        assert (run_float(without, spikes).last != one.last).mean() > 0.01, change


@pytest.mark.parametrize(
    ("change", "line"),
    [
        ({"decay": -0.1}, "decay: found -0.1, allowed from 0 to 1"),
        ({"reset": "soft"}, "reset: found 'soft', allowed zero, subtract"),
        ({"current_decay": 1.0}, "current_decay: found 1.0, allowed from 0 to below 1"),
        ({"bias_filtered": True}, "bias_filtered: found without a synaptic current"),
        ({"refractory": -1}, "refractory: found -1, allowed 0 to 65536 steps"),
        ({"refractory": 2, "reset": "subtract"}, "refractory: found 2 steps beside the reset"),
    ],
)
def test_what_no_neuron_is(change: dict[str, Any], line: str) -> None:
    with pytest.raises(HardspikeError, match=line):
        replace(LIF(0.9, 1.0), **change)


def test_a_neuron_without_memory_is_of_the_float_network_alone() -> None:
    layer = Layer("only", Dense(np.eye(2)), LIF(0.0, 0.5))
    network = HardSpikeNetwork((2, 1, 1), (layer,), "count", 3, 0.001)
    with pytest.raises(HardspikeError, match=r"layer only: decay 0\.0 needs dv 4096"):
        discretize(network)

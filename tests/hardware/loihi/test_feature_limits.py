"""What netx or Lava would not run, or run otherwise, is named before a run on loihi."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from export.errors import HardspikeError
from export.network import Conv, Dense, FixedPointNetwork, Layer, LoihiLIF
from hardware.arriving import synapse_product
from hardware.faults import Draw, dead_neurons
from hardware.loihi.limits import check_limits
from hardware.loihi_cost.mapping import map_network
from hardware.neurobench_measures import Tally
from hardware.reference import fixed_states
from hardware.synops import fan_out
from tests.conformance.feature_networks import feature_case

FULL = np.array([[254, -2], [4, -256]])
NEURON = LoihiLIF(100, 50)


def network(*layers: Layer[LoihiLIF]) -> FixedPointNetwork:
    named = tuple(replace(layer, name=f"l{at}") for at, layer in enumerate(layers))
    return FixedPointNetwork((2, 1, 1), named, "count", 5, 0.01)


def dense(weight: Any = FULL, **rest: Any) -> Layer[LoihiLIF]:
    return Layer("", Dense(weight), rest.pop("neuron", NEURON), **rest)


def conv(**rest: Any) -> Layer[LoihiLIF]:
    return Layer("", Conv(FULL[:, :, None, None]), NEURON, **rest)


ONES, LONG = np.array([1, 1]), np.array([40, 0])
REFUSED = {
    "subtract": (
        [dense(neuron=LoihiLIF(100, 50, reset="subtract"))],
        "layer l0: subtractive reset: allowed is 'zero'",
    ),
    "refractory": (
        [dense(neuron=LoihiLIF(100, 50, refractory=3))],
        "layer l0: refractory period: found 3 steps, allowed 0: Lava's fixed-point neuron has none",
    ),
    "filtered bias": (
        [Layer("", Dense(FULL, np.array([1, 2])), LoihiLIF(100, 50, 2047, bias_filtered=True))],
        "layer l0: filtered bias: allowed is one on the membrane",
    ),
    "conv delay": ([conv(dendrite_delay_N=ONES)], "layer l0: delay: allowed before a dense layer"),
    "conv recurrence": ([conv(recurrent=Dense(FULL))], "layer l0: recurrence: allowed in a dense"),
    "long": (
        [dense(delay_N=LONG), dense(dendrite_delay_N=LONG)],
        "layer l1: delay: found 80 steps, allowed up to 62",
    ),
    "axon before recurrence": (
        [dense(delay_N=ONES), dense(recurrent=Dense(FULL))],
        "layer l1: delay: allowed is no axonal delay before recurrence",
    ),
    "uneven": (
        [dense(np.full((3, 2), 254), recurrent=Dense(np.full((3, 3), 2)),
               dendrite_delay_N=np.array([0, 1, 2]))],
        "layer l0: delay: found 2 inputs of 3 recurrent neurons",
    ),
    "small": (
        [dense(FULL // 64 * 2, recurrent=Dense(FULL // 32 * 2), dendrite_delay_N=ONES)],
        "layer l0: delay: found small weights in a recurrent layer",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", REFUSED)
def test_what_lava_would_run_otherwise_is_named(name: str) -> None:
    layers, line = REFUSED[name]
    with pytest.raises(HardspikeError) as caught:
        check_limits(network(*layers))
    assert line in str(caught.value)


def test_an_axonal_delay_before_a_convolution_is_named() -> None:
    with pytest.raises(HardspikeError, match="layer l1: delay: allowed before a dense layer only"):
        check_limits(network(conv(delay_N=ONES), conv()))


def test_what_lava_runs_is_allowed() -> None:
    check_limits(network(dense(delay_N=ONES), dense(dendrite_delay_N=ONES)))
    check_limits(network(dense(recurrent=Dense(FULL), dendrite_delay_N=ONES)))
    check_limits(network(dense(recurrent=Dense(FULL // 64 * 2))))


def test_the_cost_model_names_what_it_does_not_count() -> None:
    with pytest.raises(HardspikeError, match="layer l0: found recurrence, axonal delay, allowed"):
        map_network(network(dense(recurrent=Dense(FULL), delay_N=ONES), dense()))


def test_faults_stop_at_recurrence() -> None:
    with pytest.raises(HardspikeError, match="layer l0: found recurrence, allowed are faults"):
        dead_neurons(network(dense(recurrent=Dense(FULL))), 0.5, Draw(1))


def test_operations_through_groups_dilation_and_recurrence() -> None:
    """Counted one spike at a time: what a spike alone makes of Σ|w| ≠ 0."""
    for seed in range(40):
        drawn, spikes_BTCHW = feature_case(seed)
        first, given = drawn.layers[0], drawn.input_shape
        if isinstance(first.synapse, Conv) and np.prod(given) < 60:
            weight = np.ones(first.synapse.weight.shape)
            ones = replace(first.synapse, weight_OIHW=weight, bias_O=None)
            singles = np.eye(int(np.prod(given)), dtype=np.uint8)[:, None]
            reached = synapse_product(ones, singles, given, np.float64).sum(axis=(1, 2))
            np.testing.assert_array_equal(fan_out(ones, given), reached)
        tally, expected = Tally(drawn), 0
        for index, state in enumerate(fixed_states(drawn, spikes_BTCHW)):
            tally.add(index, state.inputs_BTN, state.spikes_BTN, state.membranes_BTN)
            recurrent = state.layer.recurrent
            if recurrent is not None:
                sent_N = state.spikes_BTN[:, :-1].sum(axis=(0, 1))
                expected += int(sent_N @ (recurrent.weight_OI != 0).sum(axis=0))
        assert sum(counts.back for counts in tally._layers) == expected

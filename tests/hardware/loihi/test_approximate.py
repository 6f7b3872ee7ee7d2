"""What stands in for a subtractive reset: equal where it can be, never worse than a plain reset."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from export.errors import HardspikeError
from export.network import Conv, Dense, FixedPointNetwork, Layer, LoihiLIF
from export.netx_file import APPROXIMATED_FILE, read_approximates, read_netx, write_netx
from hardware.loihi import approximate, environment
from hardware.loihi.approximate import approximate_reset, disagreement, inhibiting
from hardware.loihi.approximate import plain_reset as plain
from hardware.loihi.limits import check_limits
from hardware.loihi.target import LoihiTarget, loihi_file
from hardware.reference import loihi_layer, run_fixed

UNAVAILABLE = environment.availability().reason
STEPS = 24


def even(random: np.random.Generator, *shape: int) -> NDArray[np.int32]:
    return (2 * random.integers(-50, 90, shape)).astype(np.int32)


def recordings(seed: int, count: int = 6, rate: float = 0.3) -> NDArray[np.uint8]:
    random = np.random.default_rng(seed)
    return (random.random((count, STEPS, 1, 5, 4)) < rate).astype(np.uint8)


def network(seed: int = 0, neuron: LoihiLIF | None = None) -> FixedPointNetwork:
    """A convolution and two dense layers, leaky and with biases, that reset by subtraction."""
    random = np.random.default_rng(seed)
    lif = neuron or LoihiLIF(300, 160, reset="subtract")
    bias = [random.integers(-4, 12, size).astype(np.int32) for size in (3, 8, 4)]
    layers = (
        Layer("conv", Conv(even(random, 3, 1, 3, 3), bias[0]), lif),
        Layer("hidden", Dense(even(random, 8, 18), bias[1]), lif),
        Layer("out", Dense(even(random, 4, 8), bias[2]), lif),
    )
    return FixedPointNetwork((1, 5, 4), layers, "count", STEPS, 0.01)


@settings(deadline=None, max_examples=60)
@given(seed=st.integers(0, 2**32 - 1), half=st.integers(1, 127), back=st.booleans())
def test_inhibition_is_the_reset_to_the_bit_without_a_leak(
    seed: int, half: int, back: bool
) -> None:
    random = np.random.default_rng(seed)
    own = Dense(2 * random.integers(0, 2, (6, 6)).astype(np.int32)) if back else None
    layer = Layer(
        "l", Dense(even(random, 6, 9)), LoihiLIF(0, 2 * half, reset="subtract"), recurrent=own
    )
    stand_in = inhibiting(layer)
    if stand_in is None:
        assert back  # a sum of both weights that no register holds
        return
    drive_BTN = random.integers(-200, 400, (3, 40, 6)).astype(np.float64)
    wanted, found = (loihi_layer(drive_BTN, 0, one) for one in (layer, stand_in))
    np.testing.assert_array_equal(found.spikes_BTN, wanted.spikes_BTN)
    # The membrane is the current, from which the spike's inhibition comes off a step later.
    taken = layer.neuron.threshold << 6
    after_BTN = found.currents_BTN.astype(np.int64) - taken * found.spikes_BTN.astype(np.int64)
    np.testing.assert_array_equal(after_BTN, wanted.membranes_BTN)


@settings(deadline=None, max_examples=40)
@given(
    seed=st.integers(0, 2**32 - 1),
    decay=st.integers(1, 4000),
    threshold=st.integers(1, 3000),
)
def test_inhibition_takes_off_the_threshold_within_a_step_of_the_weights(
    seed: int, decay: int, threshold: int
) -> None:
    """Without a spike the current is the membrane; a spike takes τ·ϑ off, to an even number."""
    weight = even(np.random.default_rng(seed), 3, 4)
    stand_in = inhibiting(Layer("l", Dense(weight), LoihiLIF(decay, threshold, reset="subtract")))
    assert stand_in is not None
    assert stand_in.recurrent is not None
    factor = stand_in.scale
    taken = -np.diag(stand_in.recurrent.weight_OI)
    assert np.abs(taken - factor * threshold * (4096 - decay) / 4096).max() <= 1
    assert abs(stand_in.neuron.threshold - factor * threshold) <= 0.5
    assert np.abs(stand_in.synapse.weight - factor * weight).max() <= 1
    assert stand_in.neuron == LoihiLIF(4096, stand_in.neuron.threshold, decay - 1)


@pytest.mark.parametrize(
    "layer",
    [
        Layer("conv", Conv(np.full((1, 1, 2, 2), 4)), LoihiLIF(9, 50, reset="subtract")),
        Layer("current", Dense(np.full((2, 3), 4)), LoihiLIF(9, 50, 3000, "subtract")),
        Layer(
            "bias", Dense(np.full((2, 3), 4), np.ones(2, int)), LoihiLIF(0, 50, reset="subtract")
        ),
        Layer(
            "large", Dense(np.full((2, 3), 4), np.full(2, 99)), LoihiLIF(9, 50, reset="subtract")
        ),
        Layer(
            "late",
            Dense(np.full((2, 3), 4)),
            LoihiLIF(9, 50, reset="subtract"),
            dendrite_delay_N=np.ones(2, int),
        ),
        Layer(
            "wide",
            Dense(np.full((approximate.WIDEST + 1, 1), 4)),
            LoihiLIF(9, 50, reset="subtract"),
        ),
    ],
    ids=lambda layer: layer.name,
)
def test_inhibition_is_not_to_be_had(layer: Layer[LoihiLIF]) -> None:
    assert inhibiting(layer) is None


@pytest.mark.parametrize("seed", range(4))
def test_it_is_no_further_than_a_plain_reset_and_lava_can_run_it(seed: int) -> None:
    true, spikes = network(seed), recordings(seed)
    found = approximate_reset(true, spikes)
    check_limits(found)
    assert {layer.neuron.reset for layer in found.layers} == {"zero"}
    ours, theirs = (disagreement(true, one, spikes).layers for one in (found, plain(true)))
    assert ours[0].differing <= theirs[0].differing  # both read the same input
    unseen = recordings(seed + 100, 20)
    apart = [disagreement(true, one, unseen).layers[-1] for one in (found, plain(true))]
    assert apart[0].differing < apart[1].differing
    assert apart[0].worst >= apart[0].differing > 0


def test_the_shares_are_those_of_the_spikes() -> None:
    true, spikes = network(), recordings(1)
    found = approximate_reset(true, spikes)
    again = approximate_reset(true, spikes)
    for one, other in zip(found.layers, again.layers, strict=True):
        np.testing.assert_array_equal(one.synapse.weight, other.synapse.weight)
        assert one.neuron == other.neuron
    traces = [run_fixed(each, spikes).spikes_BTN for each in (true, found)]
    apart = disagreement(true, found, spikes)
    for layer in apart.layers:
        differs_BTN = traces[0][layer.layer] != traces[1][layer.layer]
        assert layer.differing == pytest.approx(differs_BTN.mean(), rel=1e-12)
        assert layer.worst == pytest.approx(differs_BTN.mean(axis=(1, 2)).max(), rel=1e-12)
    np.testing.assert_array_equal(apart.outputs_BTN, traces[1]["out"])


def test_layers_before_the_first_such_reset_and_a_readout_keep_their_numbers() -> None:
    true = network()
    first = replace(true.layers[0], neuron=LoihiLIF(300, 160))
    last = replace(true.layers[2], neuron=LoihiLIF(300, 131071, reset="subtract"))
    true = replace(true, layers=(first, true.layers[1], last), readout="membrane")
    found = approximate_reset(true, recordings(2))
    assert found.layers[0] is first
    assert found.layers[2].neuron == LoihiLIF(300, 131071)
    assert disagreement(true, found, recordings(2)).layers[0].differing == 0


def test_what_it_does_not_help_with_is_named() -> None:
    with pytest.raises(HardspikeError, match="no layer has a subtractive reset; allowed is none"):
        approximate_reset(plain(network()), recordings(0))
    true = network()
    late = replace(true.layers[0], delay_N=np.full(18, 70))
    with pytest.raises(HardspikeError, match="layer hidden: delay: found 70 steps, allowed up to"):
        approximate_reset(replace(true, layers=(late, *true.layers[1:])), recordings(0))
    with pytest.raises(HardspikeError, match="approximated network: steps: found 3, allowed 24"):
        disagreement(true, replace(plain(true), steps=3), recordings(0))


def test_the_file_says_what_it_is(tmp_path: Path) -> None:
    write_netx(network(), tmp_path / "model.net")
    assert read_approximates(tmp_path / "model.net") == ()
    path = tmp_path / APPROXIMATED_FILE
    write_netx(plain(network()), path)
    with pytest.raises(HardspikeError, match=r"approximated\.net: approximates: found nothing"):
        LoihiTarget().run(tmp_path, recordings(0))
    write_netx(plain(network()), path, ("reset",))
    with pytest.raises(HardspikeError, match=r"approximated\.net: stands_in_for: found another"):
        LoihiTarget().run(tmp_path, recordings(0))
    write_netx(plain(network()), path, ("reset",), tmp_path / "model.net")
    assert loihi_file(tmp_path) == path
    write_netx(replace(network(), steps=3), tmp_path / "model.net")
    with pytest.raises(HardspikeError, match=r"approximated\.net: stands_in_for: found another"):
        loihi_file(tmp_path)
    assert read_approximates(path) == ("reset",)
    assert read_netx(path).layers[0].neuron == plain(network()).layers[0].neuron


@pytest.mark.loihi
@pytest.mark.timeout(120)
@pytest.mark.skipif(UNAVAILABLE is not None, reason=str(UNAVAILABLE))
def test_lava_runs_it_as_the_reference_does(tmp_path: Path) -> None:
    true = network()
    found = approximate_reset(true, recordings(3))
    ways = [layer.factor for layer in disagreement(true, found, recordings(3)).layers]
    assert ways[0] is not None  # netx has no recurrent convolution
    assert None in ways[1:]
    write_netx(true, tmp_path / "model.net")
    write_netx(found, tmp_path / APPROXIMATED_FILE, ("reset",), tmp_path / "model.net")
    spikes = recordings(4)
    run: Any = LoihiTarget().run(tmp_path, spikes, record_layers=True)
    assert run.approximates == ("reset",)
    for name, wanted_BTN in run_fixed(found, spikes).spikes_BTN.items():
        np.testing.assert_array_equal(run.layers_BTN[name], wanted_BTN)
        assert 0 < wanted_BTN.mean() < 1

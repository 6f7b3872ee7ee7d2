"""Faults: worked out by hand, drawn as they should be, and the same on every target."""

import math
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from export.contract_file import write_network
from export.errors import HardspikeError
from export.network import Conv, Dense, FixedPointNetwork, Layer, LoihiLIF, Readout
from export.netx_file import read_netx, write_netx
from export.onnx_model import write_sequence, write_step
from hardware.faults import Draw, bit_flips, dead_neurons, stuck_weights, threshold_drift
from hardware.loihi.limits import check_limits
from hardware.onnxruntime_cpu import OnnxRuntimeSequence, OnnxRuntimeStep
from hardware.reference import run_fixed
from hardware.reference_target import ReferenceTarget
from tests.conformance.random_networks import Case, cases, within_limits
from tests.export.networks import fixed_network

SIGMAS = 5
Break = Callable[[FixedPointNetwork], FixedPointNetwork]
FAULTS: dict[str, Break] = {
    "dead": lambda network: dead_neurons(network, 0.4, Draw(3)),
    "stuck": lambda network: stuck_weights(network, 0.2, 0.2, 8, Draw(3)),
    "flips": lambda network: bit_flips(network, 0.1, 8, Draw(3)),
    "drift of neurons": lambda network: threshold_drift(network, 0.5, Draw(3), by_neuron=True),
    "drift of layers": lambda network: threshold_drift(network, 0.5, Draw(3), by_neuron=False),
}


def one_layer(weight: Any, threshold: int = 10, readout: Readout = "count") -> FixedPointNetwork:
    """A dense layer of neurons without leak on inputs (1, 1, I) for two steps."""
    weight_OI = np.asarray(weight, np.int16)
    layer = Layer("only", Dense(weight_OI), LoihiLIF(0, threshold))
    return FixedPointNetwork((1, 1, weight_OI.shape[1]), (layer,), readout, 2, 0.01)


def ones(network: FixedPointNetwork) -> NDArray[np.uint8]:
    return np.ones((1, network.steps, *network.input_shape), np.uint8)


def weight_of(network: FixedPointNetwork, at: int = 0) -> NDArray[np.int64]:
    return np.asarray(network.layers[at].synapse.weight, np.int64)


def test_all_neurons_dead_is_silence_whatever_drives_them() -> None:
    conv = Layer(
        "conv",
        Conv(np.full((2, 1, 1, 1), 254, np.int16), np.array([4095, 4095], np.int16)),
        LoihiLIF(0, 1),
    )
    dense = Layer(
        "dense", Dense(np.full((3, 2), 254, np.int16), np.full(3, 9, np.int16)), LoihiLIF(0, 0)
    )
    network = FixedPointNetwork((1, 1, 1), (conv, dense), "membrane", 2, 0.01)
    assert run_fixed(network, ones(network)).spikes_BTN["dense"].all()
    trace = run_fixed(dead_neurons(network, 1.0, Draw(0)), ones(network))
    assert not any(spikes.any() for spikes in trace.spikes_BTN.values())
    assert not trace.membranes_BTN.any()


def test_a_dead_neuron_of_a_convolution_leaves_its_channel_alive() -> None:
    conv = Layer("conv", Conv(np.full((1, 1, 1, 1), 100, np.int16)), LoihiLIF(0, 50))
    network = FixedPointNetwork((1, 4, 5), (conv,), "count", 1, 0.01)
    faulty = dead_neurons(network, 0.5, Draw(1))
    alive_N = faulty.layers[0].alive_N
    assert alive_N is not None
    assert 0 < alive_N.sum() < 20
    assert np.array_equal(run_fixed(faulty, ones(network)).last[0, 0], alive_N)


def test_a_threshold_of_its_own_decides_when_a_neuron_fires() -> None:
    """Without leak 6 a step: above 5 at once, above 11 and not above 12 at the second."""
    network = one_layer(np.full((4, 1), 6))
    own = replace(network.layers[0], threshold_N=np.array([5, 6, 11, 12]))
    spikes_TN = run_fixed(replace(network, layers=(own,)), ones(network)).last[0]
    assert spikes_TN.tolist() == [[1, 0, 0, 0], [1, 1, 1, 0]]


def test_stuck_weights_are_zero_or_the_largest_level() -> None:
    network = one_layer(np.full((200, 300), -32))
    levels, counts = np.unique(
        weight_of(stuck_weights(network, 0.1, 0.2, 4, Draw(0))), return_counts=True
    )
    assert levels.tolist() == [-32, 0, 7 * 32]
    for found, share in zip(counts, (0.7, 0.1, 0.2), strict=True):
        assert abs(found - 60_000 * share) < SIGMAS * math.sqrt(60_000 * share * (1 - share))
    assert np.all(weight_of(stuck_weights(network, 0.0, 1.0, 8, Draw(0))) == 254)
    assert not weight_of(stuck_weights(network, 1.0, 0.0, 8, Draw(0))).any()


@pytest.mark.parametrize(
    ("bits", "before", "after"),
    [(8, 0, -2), (8, 254, -256), (8, 10, -12), (4, 32, -64), (2, -256, 128), (2, 0, -128)],
)
def test_all_bits_flipped_is_minus_the_level_minus_one(bits: int, before: int, after: int) -> None:
    """Two's complement: ~q = −q − 1, in steps of 2^(9 − bits)."""
    network = one_layer([[before]])
    assert weight_of(bit_flips(network, 1.0, bits, Draw(0))).item() == after


@pytest.mark.parametrize("bits", [2, 4, 8])
def test_flips_hit_every_bit_alike_and_stay_in_range(bits: int) -> None:
    step, half = 1 << (9 - bits), 1 << (bits - 1)
    levels = np.random.default_rng(0).integers(-half, half, (200, 300))
    after = weight_of(bit_flips(one_layer(levels * step), 0.05, bits, Draw(0))) // step
    assert after.min() >= -half
    assert after.max() < half
    changed = (levels ^ after) & ((1 << bits) - 1)
    for bit in range(bits):
        found = int((changed >> bit & 1).sum())
        assert abs(found - 3000) < SIGMAS * math.sqrt(60_000 * 0.05 * 0.95)


def test_dead_neurons_and_drift_have_their_share_and_spread() -> None:
    network = one_layer(np.full((40_000, 1), 2), threshold=1000)
    alive = weight_of(dead_neurons(network, 0.1, Draw(0)))[:, 0] != 0
    assert abs((~alive).sum() - 4000) < SIGMAS * math.sqrt(40_000 * 0.09)
    drifted = threshold_drift(network, 0.1, Draw(0), by_neuron=True).layers[0].threshold_N
    assert drifted is not None
    error = drifted / 1000 - 1
    assert abs(error.mean()) < SIGMAS * 0.1 / 200
    assert abs(error.std() - 0.1) < SIGMAS * 0.1 / math.sqrt(80_000)
    layers = [
        threshold_drift(network, 0.1, Draw(0, number), by_neuron=False).layers[0]
        for number in range(50)
    ]
    assert all(layer.threshold_N is None for layer in layers)
    assert 0.05 < np.std([layer.neuron.threshold / 1000 for layer in layers]) < 0.2


def test_drift_stays_in_its_register_and_off_a_membrane_readout() -> None:
    network = one_layer(np.full((500, 1), 2), threshold=131_071)
    drifted = threshold_drift(network, 3.0, Draw(0), by_neuron=True).layers[0].threshold_N
    assert drifted is not None
    assert (drifted.min(), drifted.max()) == (0, 131_071)
    readout = one_layer([[2]], readout="membrane")
    assert threshold_drift(readout, 3.0, Draw(0), by_neuron=True).layers == readout.layers


@pytest.mark.parametrize("name", FAULTS)
def test_a_fault_is_its_seeds_and_draws_and_none_is_none(name: str) -> None:
    network = fixed_network()

    def state(faulty: FixedPointNetwork) -> list[Any]:
        return [
            [
                layer.synapse.weight.tolist(),
                layer.neuron.threshold,
                None if layer.alive_N is None else layer.alive_N.tolist(),
                None if layer.threshold_N is None else layer.threshold_N.tolist(),
            ]
            for layer in faulty.layers
        ]

    assert state(FAULTS[name](network)) == state(FAULTS[name](network)) != state(network)
    makers: dict[str, Callable[[Draw], FixedPointNetwork]] = {
        "dead": lambda draw: dead_neurons(network, 0.4, draw),
        "stuck": lambda draw: stuck_weights(network, 0.2, 0.2, 8, draw),
        "flips": lambda draw: bit_flips(network, 0.1, 8, draw),
        "drift of neurons": lambda draw: threshold_drift(network, 0.5, draw, by_neuron=True),
        "drift of layers": lambda draw: threshold_drift(network, 0.5, draw, by_neuron=False),
    }
    first, again, other = (state(makers[name](draw)) for draw in (Draw(3), Draw(3, 1), Draw(4)))
    assert first != again != other != first


def test_a_severer_fault_breaks_what_a_milder_one_does() -> None:
    network = one_layer(np.full((60, 50), 2))
    makers: tuple[Callable[[float], NDArray[np.int64]], ...] = (
        lambda share: weight_of(dead_neurons(network, share, Draw(0))),
        lambda share: weight_of(stuck_weights(network, share, share, 8, Draw(0))),
    )
    for make in makers:
        mild, severe = (make(share) != 2 for share in (0.1, 0.3))
        assert np.all(severe[mild])
        assert severe.sum() > mild.sum() > 0


def test_weights_of_other_bits_are_refused_by_name() -> None:
    with pytest.raises(HardspikeError, match="layer only: weight: found 2, allowed at 4 bits are"):
        bit_flips(one_layer([[2]]), 0.1, 4, Draw(0))


@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(cases(), st.sampled_from(sorted(FAULTS)))
def test_faulty_files_are_the_same_on_reference_and_both_onnx_forms(
    tmp_path_factory: pytest.TempPathFactory, case: Case, fault: str
) -> None:
    network, spikes = case
    assume(within_limits(network))
    faulty = FAULTS[fault](network)
    folder = tmp_path_factory.mktemp("faulty")
    write_netx(faulty, folder / "model.net")
    try:
        write_sequence(faulty, folder / "model.sequence.onnx")
        write_step(faulty, folder / "model.step.onnx")
    except HardspikeError as error:
        assume("allowed up to" not in str(error))
        raise
    trace = run_fixed(faulty, spikes)
    expected = trace.last if faulty.readout == "count" else trace.membranes_BTN
    for target in (ReferenceTarget(), OnnxRuntimeSequence(1), OnnxRuntimeStep(1)):
        assert np.array_equal(target.run(folder, spikes).outputs_BTN, expected), target.name


def test_a_faulty_file_is_read_back_whole_and_unreadable_to_netx(tmp_path: Path) -> None:
    import h5py

    faulty = FAULTS["drift of neurons"](FAULTS["dead"](fixed_network()))
    write_netx(faulty, tmp_path / "model.net")
    again = read_netx(tmp_path / "model.net")
    for ours, theirs in zip(faulty.layers, again.layers, strict=True):
        for name in ("threshold_N", "alive_N"):
            one, other = getattr(ours, name), getattr(theirs, name)
            assert (one is None) == (other is None)
            assert one is None or np.array_equal(one, other)
    with h5py.File(tmp_path / "model.net") as file:
        assert file["layer/1/neuron/type"][0] == b"CUBA-FAULT"
    write_netx(fixed_network(), tmp_path / "whole.net")
    with h5py.File(tmp_path / "whole.net") as file:
        assert file["layer/1/neuron/type"][0] == b"CUBA"
        assert "thresholds" not in file["layer/1/neuron"]


def test_what_lavas_file_cannot_say_is_refused_by_name(tmp_path: Path) -> None:
    network = fixed_network()
    with pytest.raises(HardspikeError, match="layer conv: dead neurons: found "):
        check_limits(FAULTS["dead"](network))
    with pytest.raises(HardspikeError, match="layer hidden: threshold: found one a neuron"):
        check_limits(FAULTS["drift of neurons"](network))
    for name in ("stuck", "flips", "drift of layers"):
        check_limits(FAULTS[name](network))
    with pytest.raises(HardspikeError, match="found faulty neurons"):
        write_network(FAULTS["dead"](network), tmp_path / "network.safetensors")


def test_faults_of_single_neurons_must_fit_the_layer() -> None:
    network = one_layer([[2], [2]])
    wrong = np.ones(3, np.int64)
    whole = network.layers[0]
    for field, layer in (
        ("alive_N", replace(whole, alive_N=wrong)),
        ("threshold_N", replace(whole, threshold_N=wrong)),
    ):
        with pytest.raises(HardspikeError, match=rf"{field}: found shape \(3,\), allowed \(2,\)"):
            replace(network, layers=(layer,))

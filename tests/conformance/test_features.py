"""Delays, recurrence, subtractive reset and the rest: reference, both ONNX forms and Lava agree."""

from collections import Counter
from pathlib import Path

import h5py
import numpy as np
import pytest
from numpy.typing import NDArray

from export.errors import HardspikeError
from export.network import Dense, FixedPointNetwork, Layer, LoihiLIF
from export.netx_file import read_netx, write_netx
from export.onnx_model import write_sequence, write_step
from export.parity import netx_parity
from hardware.loihi import environment
from hardware.loihi.limits import check_limits
from hardware.loihi.target import Job, run_jobs
from hardware.onnxruntime_cpu import OnnxRuntimeSequence, OnnxRuntimeStep
from hardware.reference import fixed_states
from tests.conformance.feature_networks import FEATURES, feature_case, fits_32_bits

UNAVAILABLE = environment.availability().reason
NETWORKS, THROUGH_LAVA = 120, 12


def test_random_networks_equal_the_reference(tmp_path: Path) -> None:
    seen: Counter[str] = Counter()
    for seed in range(NETWORKS):
        network, spikes_BTCHW = feature_case(seed)
        if not fits_32_bits(network):
            continue
        states = list(fixed_states(network, spikes_BTCHW))
        write_sequence(network, tmp_path / "model.sequence.onnx")
        write_step(network, tmp_path / "model.step.onnx")
        sequence = OnnxRuntimeSequence(1).run(tmp_path, spikes_BTCHW, record_layers=True)
        step = OnnxRuntimeStep(1).run(tmp_path, spikes_BTCHW)
        count = network.readout == "count"
        wanted = states[-1].spikes_BTN if count else states[-1].membranes_BTN
        np.testing.assert_array_equal(sequence.outputs_BTN, wanted, f"seed {seed}")
        np.testing.assert_array_equal(step.outputs_BTN, wanted, f"seed {seed}")
        for state in states:
            found = sequence.layers_BTN[state.layer.name]
            np.testing.assert_array_equal(found, state.spikes_BTN, f"seed {seed}")
            if 0 < state.spikes_BTN.mean() < 1:
                seen.update(state.layer.features)
    assert all(seen[feature] >= 10 for feature in FEATURES), seen


def test_netx_files_keep_all_of_it(tmp_path: Path) -> None:
    for seed in range(40):
        network, _ = feature_case(seed)
        write_netx(network, tmp_path / "model.net")
        list(netx_parity(tmp_path / "model.net", network))


def test_a_delay_that_does_not_fit_the_axons_below_is_named(tmp_path: Path) -> None:
    layers = (
        Layer("a", Dense(np.array([[2], [4]])), LoihiLIF(0, 5), delay_N=np.array([1, 3])),
        Layer("b", Dense(np.array([[2, 4]])), LoihiLIF(0, 5)),
    )
    network = FixedPointNetwork((1, 1, 1), layers, "count", 3, 0.01)
    write_netx(network, tmp_path / "model.net")
    np.testing.assert_array_equal(read_netx(tmp_path / "model.net").layers[0].delay_N, [1, 3])
    with h5py.File(tmp_path / "model.net", "r+") as file:
        file["layer/3/delay"][0, 1] = 2
    with pytest.raises(HardspikeError, match="layer/3/delay: is not the axonDelay below"):
        read_netx(tmp_path / "model.net")


@pytest.mark.loihi
@pytest.mark.timeout(600)
@pytest.mark.skipif(UNAVAILABLE is not None, reason=str(UNAVAILABLE))
def test_lava_equals_the_reference_in_every_state(tmp_path: Path) -> None:
    """Of the networks that `check_limits` allows, which refuses the rest by name."""
    cases: list[tuple[FixedPointNetwork, NDArray[np.uint8]]] = []
    seed = 0
    while len(cases) < THROUGH_LAVA:
        network, spikes_BTCHW = feature_case(seed, resets=False)
        seed += 1
        try:
            check_limits(network)
        except HardspikeError:
            continue
        if any({"recurrence", "axonal delay"} & set(layer.features) for layer in network.layers):
            cases.append((network, spikes_BTCHW))
    jobs = []
    for index, (network, spikes_BTCHW) in enumerate(cases):
        write_netx(network, tmp_path / f"{index}.net")
        jobs.append(Job(tmp_path / f"{index}.net", spikes_BTCHW, True, True))
    results, _ = run_jobs(jobs, timeout_s=500)
    for (network, spikes_BTCHW), result in zip(cases, results, strict=True):
        for index, state in enumerate(fixed_states(network, spikes_BTCHW)):
            np.testing.assert_array_equal(result.layers_BTN[index], state.spikes_BTN)
            np.testing.assert_array_equal(result.currents_BTN[index], state.currents_BTN)
            np.testing.assert_array_equal(result.membranes_BTN[index], state.membranes_BTN)

"""Networks of 3, 4 and 6 bits, scaled and rounded by the membrane: every target to the bit."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from export.network import (
    LIF,
    Conv,
    Dense,
    FixedPointNetwork,
    HardSpikeNetwork,
    Layer,
    Readout,
)
from export.netx_file import write_netx
from export.onnx_model import write_sequence, write_step
from hardware.loihi import environment
from hardware.loihi.discretize import discretize
from hardware.loihi.target import Job, JobResult, run_jobs
from hardware.membrane_error import input_statistics
from hardware.onnxruntime_cpu import OnnxRuntimeSequence, OnnxRuntimeStep
from hardware.reference import Trace, run_fixed, run_float

UNAVAILABLE = environment.availability().reason
BITS = (3, 4, 6)
READOUTS: tuple[Readout, ...] = ("count", "membrane")
NAMES = tuple(f"{bits}-bits-{readout}" for bits in BITS for readout in READOUTS)


@dataclass(frozen=True, eq=False)
class Case:
    """A low-precision network, recordings for it, and what the reference says."""

    network: FixedPointNetwork
    spikes_BTCHW: NDArray[np.uint8]
    expected: Trace

    @property
    def outputs_BTN(self) -> NDArray[Any]:
        """What a target answers: spikes or membranes of the last layer."""
        counted = self.network.readout == "count"
        return self.expected.last if counted else self.expected.membranes_BTN


def _float_network(readout: Readout) -> HardSpikeNetwork:
    """A padded, strided convolution and two dense layers, with outliers that a few bits clip."""
    random = np.random.default_rng(11)
    shapes = ((6, 2, 3, 3), (12, 6 * 4 * 4), (5, 12))
    weights = [
        random.normal(size=shape) * gain
        for shape, gain in zip(shapes, (0.5, 0.3, 0.5), strict=True)
    ]
    for weight in weights:
        weight[random.random(weight.shape) < 0.03] *= 4
    biases = [random.normal(size=len(weight)) * 0.05 for weight in weights]
    last = LIF(0.95, 1.0 if readout == "count" else np.inf)
    layers = (
        Layer("conv", Conv(weights[0], biases[0], (2, 2), (1, 1)), LIF(0.9, 1.0)),
        Layer("hidden", Dense(weights[1], biases[1]), LIF(0.8, 1.0)),
        Layer("out", Dense(weights[2], biases[2]), last),
    )
    return HardSpikeNetwork((2, 8, 7), layers, readout, 8, 0.01)


def _case(bits: int, readout: Readout) -> Case:
    network = _float_network(readout)
    random = np.random.default_rng(12)
    spikes = (random.random((24, 8, 2, 8, 7)) < 0.2).astype(np.uint8)
    fitting, test = spikes[:18], spikes[18:]
    largest = float(np.abs(run_float(network, fitting).membranes_BTN).max())
    fixed = discretize(network, bits, largest, input_statistics(network, fitting))
    return Case(fixed, test, run_fixed(fixed, test))


@pytest.fixture(scope="module")
def cases() -> dict[str, Case]:
    pairs = ((bits, readout) for bits in BITS for readout in READOUTS)
    return {name: _case(*pair) for name, pair in zip(NAMES, pairs, strict=True)}


@pytest.fixture(scope="module")
def answers(
    cases: dict[str, Case], tmp_path_factory: pytest.TempPathFactory
) -> dict[str, JobResult]:
    folder = tmp_path_factory.mktemp("netx")
    jobs = []
    for name, case in cases.items():
        write_netx(case.network, folder / f"{name}.net")
        jobs.append(Job(folder / f"{name}.net", case.spikes_BTCHW, record_layers=True))
    results, _ = run_jobs(jobs, timeout_s=250)
    return dict(zip(cases, results, strict=True))


@pytest.mark.parametrize("name", NAMES)
def test_the_networks_fire_and_use_their_few_levels(name: str, cases: dict[str, Case]) -> None:
    bits, case = int(name[0]), cases[name]
    for layer in case.network.layers:
        levels = np.unique(layer.synapse.weight)
        assert len(levels) <= 1 << bits
        assert (levels % (1 << (9 - bits)) == 0).all()
    for key, spikes_BTN in case.expected.spikes_BTN.items():
        if key != "out" or case.network.readout == "count":
            assert 0 < spikes_BTN.mean() < 1, key


@pytest.mark.parametrize("name", NAMES)
def test_onnxruntime_equals_the_reference(
    name: str, cases: dict[str, Case], tmp_path: Path
) -> None:
    case = cases[name]
    write_sequence(case.network, tmp_path / "model.sequence.onnx")
    write_step(case.network, tmp_path / "model.step.onnx")
    sequence = OnnxRuntimeSequence(1).run(tmp_path, case.spikes_BTCHW, record_layers=True)
    step = OnnxRuntimeStep(1).run(tmp_path, case.spikes_BTCHW)
    np.testing.assert_array_equal(sequence.outputs_BTN, case.outputs_BTN)
    np.testing.assert_array_equal(step.outputs_BTN, case.outputs_BTN)
    for key, spikes_BTN in case.expected.spikes_BTN.items():
        np.testing.assert_array_equal(sequence.layers_BTN[key], spikes_BTN)


@pytest.mark.loihi
@pytest.mark.skipif(UNAVAILABLE is not None, reason=str(UNAVAILABLE))
@pytest.mark.parametrize("name", NAMES)
def test_lava_equals_the_reference(
    name: str, cases: dict[str, Case], answers: dict[str, JobResult]
) -> None:
    case, answer = cases[name], answers[name]
    np.testing.assert_array_equal(answer.outputs_BTN, case.outputs_BTN)
    recorded = zip(answer.layers_BTN, case.expected.spikes_BTN.values(), strict=True)
    for found_BTN, spikes_BTN in recorded:
        np.testing.assert_array_equal(found_BTN, spikes_BTN)

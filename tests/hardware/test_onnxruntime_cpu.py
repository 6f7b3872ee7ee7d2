"""The onnxruntime targets: batches, threads, progress, and damage in one line."""

from pathlib import Path

import numpy as np
import pytest

from export.errors import HardspikeError
from export.onnx_model import write_sequence, write_step
from hardware.onnxruntime_cpu import OnnxRuntimeSequence, OnnxRuntimeStep
from hardware.reference import run_fixed
from tests.export.networks import fixed_network

TARGETS = [OnnxRuntimeSequence, OnnxRuntimeStep]
Kind = type[OnnxRuntimeSequence] | type[OnnxRuntimeStep]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    write_sequence(fixed_network(), tmp_path / "model.sequence.onnx")
    write_step(fixed_network(), tmp_path / "model.step.onnx")
    return tmp_path


@pytest.mark.parametrize("kind", TARGETS)
@pytest.mark.parametrize("threads", [1, 2])
def test_batches_are_joined_in_order(kind: Kind, threads: int, folder: Path) -> None:
    rng = np.random.default_rng(0)
    spikes_BTCHW = rng.integers(0, 4, (37, 6, 2, 9, 7)).astype(np.uint8)
    target, seen = kind(threads), list[tuple[int, int]]()
    target.batch = 16
    run = target.run(folder, spikes_BTCHW, progress=lambda done, total: seen.append((done, total)))
    np.testing.assert_array_equal(run.outputs_BTN, run_fixed(fixed_network(), spikes_BTCHW).last)
    assert run.outputs_BTN.dtype == np.int32
    assert seen == [(16, 37), (32, 37), (37, 37)]
    assert run.details["threads"] == threads
    assert run.seconds > 0


@pytest.mark.parametrize("kind", TARGETS)
def test_a_target_is_available_and_names_its_version(kind: Kind) -> None:
    assert kind().availability().reason is None
    assert kind().availability().version.startswith("onnxruntime ")


@pytest.mark.parametrize("kind", TARGETS)
def test_a_missing_file_ends_in_one_line(kind: Kind, tmp_path: Path) -> None:
    with pytest.raises(HardspikeError, match=r"model\..*\.onnx: is missing"):
        kind().run(tmp_path, np.zeros((1, 6, 2, 9, 7), np.uint8))


@pytest.mark.parametrize("kind", TARGETS)
@pytest.mark.parametrize("share", [0.0, 0.5, 0.99])
def test_a_truncated_file_ends_in_one_line(kind: Kind, share: float, folder: Path) -> None:
    path = folder / kind.file
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * share)])
    with pytest.raises(HardspikeError) as caught:
        kind().run(folder, np.zeros((1, 6, 2, 9, 7), np.uint8))
    assert str(caught.value).startswith(f"{path}: onnxruntime cannot load it")
    assert len(str(caught.value).splitlines()) == 1


@pytest.mark.parametrize("kind", TARGETS)
def test_recordings_of_another_size_end_in_one_line(kind: Kind, folder: Path) -> None:
    with pytest.raises(HardspikeError) as caught:
        kind().run(folder, np.zeros((1, 6, 2, 8, 8), np.uint8))
    assert "onnxruntime failed" in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1


@pytest.mark.parametrize("kind", TARGETS)
def test_no_recordings_are_refused(kind: Kind, folder: Path) -> None:
    with pytest.raises(HardspikeError, match="no recordings to run"):
        kind().run(folder, np.zeros((0, 6, 2, 9, 7), np.uint8))


def test_both_forms_record_the_same_layers(folder: Path) -> None:
    spikes = np.random.default_rng(1).integers(0, 4, (3, 6, 2, 9, 7)).astype(np.uint8)
    sequence = OnnxRuntimeSequence(1).run(folder, spikes, record_layers=True)
    step = OnnxRuntimeStep(1).run(folder, spikes, record_layers=True)
    assert list(step.layers_BTN) == list(sequence.layers_BTN)
    assert step.layers_BTN["conv"].any()
    for name, spikes_BTN in sequence.layers_BTN.items():
        np.testing.assert_array_equal(step.layers_BTN[name], spikes_BTN)
    np.testing.assert_array_equal(step.outputs_BTN, sequence.outputs_BTN)
    assert OnnxRuntimeStep(1).run(folder, spikes).layers_BTN == {}

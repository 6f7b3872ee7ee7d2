"""`hardspike latency` on a small deployed run: the report, and faults in one line."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load_file

from hardware.onnxruntime_cpu import OnnxRuntimeSequence, OnnxRuntimeStep
from hardware.target import available_cores
from pipeline.cli import main
from pipeline.config import Config
from pipeline.data.sources import load_dataset
from pipeline.latency import ways
from pipeline.latency.command import thread_counts
from pipeline.latency.measure import subject_of
from pipeline.latency.ways import Subject
from pipeline.progress import Reporter
from pipeline.stages import run_stages
from tests.pipeline.tiny import tiny_config

KINDS = {"products", "network", "binning", "events_to_class", "step"}


@pytest.fixture(scope="module")
def config() -> Config:
    return tiny_config()


@pytest.fixture(scope="module")
def deployed(tmp_path_factory: pytest.TempPathFactory, config: Config) -> Path:
    folder = tmp_path_factory.mktemp("runs") / "tiny"
    run_stages(config, folder, ["train", "convert", "deploy"], Reporter(quiet=True))
    return folder


@pytest.fixture(scope="module")
def subject(deployed: Path, config: Config, tmp_path_factory: pytest.TempPathFactory) -> Subject:
    folder = tmp_path_factory.mktemp("products")
    return subject_of(config, deployed, folder / "products.onnx", lambda done, total: None)


def test_the_report_is_whole(deployed: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["latency", str(deployed), "--repeats", "12", "--threads", "1", "--quiet"]) == 0
    shown = capsys.readouterr().out
    folder = deployed / "latency"
    report = json.loads((folder / "latency.json").read_text())
    assert report["schema"] == "hardspike.latency/1"
    assert report["repeats"] == 12
    assert report["recordings"] == {"split": "test", "n": 10}
    assert report["machine"]["processor"]
    assert report["machine"]["onnxruntime"]
    (result,) = report["results"]
    assert set(result["times"]) == KINDS
    samples = load_file(folder / "samples.safetensors")
    assert set(samples) == {f"1.{kind}" for kind in KINDS}
    for kind, times in result["times"].items():
        kept = samples[f"1.{kind}"]
        assert len(kept) == times["calls"] == 12
        assert times["p95_ms"] == pytest.approx(float(np.percentile(kept, 95)))
        assert sum(times["histogram"]["counts"]) + times["histogram"]["above"] == 12
    ratio = result["network_over_products"]["p50"]
    medians = [np.median(samples[f"1.{kind}"]) for kind in ("network", "products")]
    assert ratio == pytest.approx(medians[0] / medians[1])
    batches = [entry["batch"] for entry in result["throughput"]["batches"]]
    assert batches == [1, 8, 32, 128, 512]
    assert result["throughput"]["best_batch"] in batches
    page = (folder / "latency.md").read_text()
    assert f"{ratio:.2f}×" in page
    assert f"{ratio:.2f}×" in shown
    assert (folder / "distribution.png").read_bytes().startswith(b"\x89PNG")
    assert not list(folder.glob(".*"))


def test_calls_give_what_the_targets_give(subject: Subject, config: Config, deployed: Path) -> None:
    test = load_dataset(config.data, "test")
    np.testing.assert_array_equal(subject.spikes_BTCHW, test.spikes_BTCHW)
    sequence = OnnxRuntimeSequence(1).run(deployed / "deploy", test.spikes_BTCHW)
    network: Any = ways.network_call(subject.deployed, subject.spikes_BTCHW, 1)
    classify: Any = ways.class_call(subject, 1)
    for index in (0, 7):
        (output,) = network(index)
        np.testing.assert_array_equal(output[0], sequence.outputs_BTN[index])
        (label,) = classify(index)
        assert label == output[0, -1].argmax()
    step: Any = ways.StepCall(subject, 1)
    steps = subject.network.steps
    found = np.stack([step(index)[0] for index in range(3 * steps)]).reshape(3, steps, -1)
    expected = OnnxRuntimeStep(1).run(deployed / "deploy", test.spikes_BTCHW[:3])
    np.testing.assert_array_equal(found, expected.outputs_BTN)


def test_the_floor_takes_the_spikes_that_the_network_fires(subject: Subject) -> None:
    feeds = ways.recorded_feeds(subject)
    first, second = (layer.name for layer in subject.network.layers)
    run = OnnxRuntimeSequence(1).run(subject.deployed, subject.spikes_BTCHW, record_layers=True)
    for index in (0, 9):
        given, spikes = feeds[index][f"{first}.input"], subject.spikes_BTCHW[index]
        np.testing.assert_array_equal(given, spikes)
        np.testing.assert_array_equal(feeds[index][f"{second}.input"], run.layers_BTN[first][index])
    density = ways.densities(subject, feeds)
    assert density[first] == pytest.approx(float(subject.spikes_BTCHW.mean()))
    assert density[second] == pytest.approx(float(run.layers_BTN[first].mean()))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--repeats", "9"], "--repeats: found 9, allowed 10 and more"),
        (["--threads", "0"], "--threads: found 0, allowed 1 to"),
        (["--threads", f"1,{available_cores() + 1}"], f"allowed 1 to {available_cores()}, the"),
        (["--threads", "one"], "--threads: found 'one', allowed are whole numbers"),
        (["--threads", ""], "--threads: found '', allowed are whole numbers"),
    ],
)
def test_faults_are_one_line(
    deployed: Path,
    tmp_path: Path,
    arguments: list[str],
    message: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    run = shutil.copytree(deployed, tmp_path / "run", ignore=shutil.ignore_patterns("latency"))
    assert main(["latency", str(run), *arguments]) == 2
    shown = capsys.readouterr().err
    assert message in shown
    assert shown.count("\n") == 1
    assert not (run / "latency").exists()


def test_a_run_that_is_not_deployed_is_refused(
    deployed: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["latency", str(tmp_path / "none")]) == 2
    assert "is not a run folder" in capsys.readouterr().err
    run = shutil.copytree(deployed, tmp_path / "run", ignore=shutil.ignore_patterns("latency"))
    (run / "deploy" / "model.step.onnx").write_bytes(b"other")
    assert main(["latency", str(run)]) == 2
    assert "model.step.onnx" in capsys.readouterr().err
    assert not (run / "latency").exists()


def test_threads_are_taken_once_each_in_order() -> None:
    assert thread_counts("2,1,2") == [2, 1]
    assert thread_counts(None) == [1, 2][: available_cores()]

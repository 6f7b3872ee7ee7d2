"""The pipeline end to end, with the real simulator in it."""

import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest
from safetensors.numpy import load_file

from tests.end_to_end.conftest import Command, in_process

STAGES = ("train", "convert", "deploy", "evaluate", "report")


def report(run: Path) -> dict[str, Any]:
    return dict(json.loads((run / "report" / "report.json").read_text()))


def test_every_target_ran_and_agrees_to_the_bit(smoke_run: Path) -> None:
    targets = report(smoke_run)["targets"]
    assert list(targets) == ["reference", "onnxruntime", "onnxruntime-step", "loihi"]
    for name, entry in targets.items():
        assert entry["status"] == "ok", (name, entry)
        assert entry["spike_agreement"] == 1.0, name
        assert entry["prediction_agreement"] == 1.0, name
        assert entry["n"] == (10 if name == "loihi" else 100)
        assert entry["samples_per_second"] > 0
        low, high = entry["ci95"]
        assert 0 <= low <= entry["accuracy"] <= high <= 1


def test_the_report_holds_what_was_measured(smoke_run: Path) -> None:
    found = report(smoke_run)
    assert found["schema"] == "hardspike.report/1"
    assert found["config"]["train"]["method"] == "sast"
    training = found["training"]
    assert training["method"] == "sast"
    assert training["device"] == "cpu"
    # 450 recordings in batches of 25 are 18; ρ is 0 for one epoch and takes two gradients in three.
    assert training["gradient_evaluations"] == 18 * (1 + 3 * 2)
    assert training["seconds"] > 0
    assert training["peak_memory_bytes"] > 1 << 20
    assert training["flops"] > 10**9
    assert training["joules"] == "no counter" or training["joules"] > 0
    steps = [rung["step"] for rung in found["ladder"]]
    assert steps[:4] == ["smooth", "hard_float", "fixed_point", "reference"]
    assert found["ladder"][2]["accuracy"] == found["ladder"][3]["accuracy"]
    assert found["ladder"][0]["accuracy"] > 0.4
    operations = found["neurobench"]["synaptic_operations"]
    assert operations["Effective_MACs"] == 0
    assert 0 < operations["Effective_ACs"] == found["synops_per_sample"] < operations["Dense"]
    assert {entry["path"] for entry in found["artifacts"]} == {
        "deploy/model.nir",
        "deploy/model.step.onnx",
        "deploy/model.sequence.onnx",
        "deploy/model.net",
    }
    for entry in found["artifacts"]:
        assert (smoke_run / entry["path"]).stat().st_size == entry["bytes"]
        assert re.fullmatch(r"[0-9a-f]{64}", entry["sha256"])


def test_the_page_and_its_pictures_are_there(smoke_run: Path) -> None:
    page = (smoke_run / "report" / "report.md").read_text()
    for picture in re.findall(r"!\[\w+\]\((.+?)\)", page):
        data = (smoke_run / "report" / picture).read_bytes()
        assert data.startswith(b"\x89PNG")
        assert len(data) > 5000
    for rung in report(smoke_run)["ladder"]:
        assert f"{100 * rung['accuracy']:.1f}%" in page
    measures = report(smoke_run)["neurobench"]
    assert f"| footprint | {measures['footprint']:,} | bytes |" in page
    assert f"| {report(smoke_run)['training']['flops']:.3g} |" in page


def test_manifests_name_inputs_outputs_versions_and_time(smoke_run: Path) -> None:
    for stage in STAGES:
        manifest = json.loads((smoke_run / stage / "manifest.json").read_text())
        assert manifest["schema"] == "hardspike.stage/1"
        assert manifest["stage"] == stage
        assert manifest["versions"]["torch"]
        assert manifest["seconds"] >= 0
        assert manifest["outputs"]
        assert manifest["inputs"]
        names = {entry["path"] for entry in manifest["outputs"]} | {"manifest.json"}
        assert {path.name for path in (smoke_run / stage).iterdir()} == names


def test_finished_stages_are_not_run_again(
    command: Command, smoke_run: Path, smoke_config: Path
) -> None:
    before = {stage: (smoke_run / stage / "manifest.json").stat().st_mtime_ns for stage in STAGES}
    done = command("run", smoke_config, "--out", smoke_run)
    assert done.returncode == 0
    assert done.stderr.count("up to date") == 5
    after = {stage: (smoke_run / stage / "manifest.json").stat().st_mtime_ns for stage in STAGES}
    assert before == after


def test_another_config_runs_what_depends_on_it_again_and_an_interrupted_stage_too(
    command: Command, smoke_run: Path, smoke_config: Path, tmp_path: Path
) -> None:
    run = tmp_path / "smoke"
    shutil.copytree(smoke_run, run)
    (run / "deploy" / "manifest.json").unlink()
    override = "evaluate.targets=[reference, onnxruntime]"
    done = command("run", smoke_config, "--out", run, "--set", override)
    assert done.returncode == 0, done.stderr
    lines = [line.split()[0] for line in done.stderr.splitlines() if "up to date" in line]
    assert lines == ["train", "convert"]
    assert list(report(run)["targets"]) == ["reference", "onnxruntime"]


def test_the_deployed_bytes_are_the_same_from_the_same_seed(
    command: Command, smoke_run: Path, smoke_config: Path, tmp_path: Path
) -> None:
    run = tmp_path / "again"
    for stage in ("train", "convert", "deploy"):
        done = command(stage, *((smoke_config, "--out", run) if stage == "train" else (run,)))
        assert done.returncode == 0, done.stderr
    for name in (
        "train/model.safetensors",
        "train/history.json",
        "convert/network.fixed.safetensors",
    ):
        assert (run / name).read_bytes() == (smoke_run / name).read_bytes(), name
    for name in ("model.net", "model.nir", "model.step.onnx", "model.sequence.onnx"):
        assert (run / "deploy" / name).read_bytes() == (smoke_run / "deploy" / name).read_bytes()


VARIANTS = {
    "counts into a biased membrane readout": (
        "data.binning.mode=count",
        "network.readout=membrane",
        "network.layers.2.bias=true",
    ),
    "dense alone, hard forward, no validation": (
        "network.layers=[{type: dense, units: 24, bias: true}, {type: dense, units: 10}]",
        "train.forward=hard",
        "data.validation_fraction=0",
        "network.surrogate=arctangent",
    ),
    "4 bits, no leak": ("convert.weight_bits=4", "network.tau=1"),
}


@pytest.mark.loihi
@pytest.mark.parametrize("overrides", VARIANTS.values(), ids=list(VARIANTS))
def test_other_networks_agree_to_the_bit_too(
    smoke_config: Path, tmp_path: Path, overrides: tuple[str, ...]
) -> None:
    changes = [part for override in overrides for part in ("--set", override)]
    done = in_process("run", smoke_config, "--out", tmp_path, "--set", "train.epochs=2", *changes)
    assert done.returncode == 0, done.stderr
    for name, entry in report(tmp_path)["targets"].items():
        assert entry["status"] == "ok", (name, entry)
        assert entry["spike_agreement"] == 1.0, name
    outputs = load_file(tmp_path / "evaluate" / "outputs.safetensors")["reference.outputs"]
    assert 0 < (outputs != 0).mean() <= 1


@pytest.mark.parametrize("flag", ["--json", "--quiet"])
def test_the_result_alone_goes_to_standard_output(
    command: Command, smoke_run: Path, flag: str
) -> None:
    done = command("report", smoke_run, flag)
    assert done.returncode == 0
    assert done.stderr == ""
    if flag == "--json":
        assert json.loads(done.stdout) == report(smoke_run)
    else:
        assert "loihi" in done.stdout

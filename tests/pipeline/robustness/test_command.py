"""`hardspike robustness` on a small deployed run: the matrix, kill and resume, bad input."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from export.errors import HardspikeError
from pipeline.beside import read_beside
from pipeline.cli import main
from pipeline.config import Config
from pipeline.metrics import wilson_interval
from pipeline.progress import Reporter
from pipeline.robustness.cells import Cell
from pipeline.robustness.section import robustness_section
from pipeline.robustness.settings import Suite
from pipeline.robustness.summary import build_report
from pipeline.stages import run_stages

ROOT = Path(__file__).resolve().parents[3]
CONFIG: dict[str, Any] = {
    "name": "tiny",
    "data": {
        "source": {"kind": "saccade-mnist", "train": 100, "test": 30},
        "binning": {"steps": 4, "downsample": 4},
        "validation_fraction": 0.0,
    },
    "network": {
        "layers": [
            {"type": "conv", "channels": 4, "kernel": 3, "stride": 2, "padding": 1, "bias": True},
            {"type": "dense", "units": 10},
        ],
        "readout": "membrane",
    },
    "train": {
        "method": "sast",
        "device": "cpu",
        "forward": "hard",
        "epochs": 6,
        "batch_size": 10,
        "rho": 0.0,
        "optimizer": {"kind": "adam", "learning_rate": 0.01},
    },
    "convert": {"weight_bits": 4},
}
SUITE = """
events:
  - {kind: drop, share: [0, 0.6, 1]}
  - {kind: contrast_threshold, shift_ln: [0, 0.5]}
faults:
  - {kind: dead_neurons, share: [0, 1]}
  - {kind: bit_flips, probability_per_bit: [0.05]}
  - {kind: threshold_drift, relative_sd: 0.3, each: layer}
fault_draws: 2
"""
CELLS = 1 + 3 + 2 + 2 * (2 + 1 + 1)


@pytest.fixture(scope="module")
def deployed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("runs") / "tiny"
    config = Config.model_validate_json(json.dumps(CONFIG))
    run_stages(config, folder, ["train", "convert", "deploy"], Reporter(quiet=True))
    return folder


@pytest.fixture(scope="module")
def suite(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("suite") / "suite.yaml"
    path.write_text(SUITE)
    return path


@pytest.fixture(scope="module")
def run(deployed: Path, suite: Path) -> Path:
    """A run whose robustness was measured without a break."""
    run = deployed.parent / "whole"
    shutil.copytree(deployed, run)
    assert main(["robustness", str(run), "--suite", str(suite), "--quiet"]) == 0
    return run


def report_of(run: Path) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((run / "robustness" / "robustness.json").read_text())
    return found


def files_of(run: Path) -> dict[str, bytes]:
    folder = run / "robustness"
    return {
        path.relative_to(folder).as_posix(): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def test_the_matrix_is_whole_and_its_numbers_follow_from_its_cells(run: Path) -> None:
    report = report_of(run)
    drop, contrast = report["events"]
    dead, flips, drift = report["faults"]
    clean = report["clean"]
    assert clean["n"] == 30
    assert clean["correct"] > 6, "better than chance, so that there is something to lose"
    for same in (drop["cells"][0], contrast["cells"][0]):
        assert (same["correct"], same["retained"]) == (clean["correct"], 1.0)
    assert dead["cells"][0]["correct_by_draw"] == [clean["correct"]] * 2
    # Without events or neurons every membrane is the bias's or 0: one class for all recordings.
    assert drop["cells"][2]["correct"] == dead["cells"][1]["correct"] == 3
    rows = [drop, contrast, dead, flips, drift]
    for row in rows:
        cells = row["cells"]
        for cell in cells:
            assert cell["accuracy"] == pytest.approx(cell["correct"] / 30)
            assert cell["retained"] == pytest.approx(cell["correct"] / clean["correct"])
            assert cell["ci95"] == list(wilson_interval(cell["correct"], 30))
        for mean, key in (("mean_accuracy", "accuracy"), ("mean_retained", "retained")):
            assert row[mean] == pytest.approx(sum(cell[key] for cell in cells) / len(cells))
    means = report["mean_retained"]
    assert means["events"] == pytest.approx((drop["mean_retained"] + contrast["mean_retained"]) / 2)
    assert means["faults"] == pytest.approx(sum(row["mean_retained"] for row in rows[2:]) / 3)
    assert len(list((run / "robustness" / "cells").iterdir())) == CELLS
    page = (run / "robustness" / "robustness.md").read_text()
    assert all(row["title"] in page for row in rows)
    assert (run / "robustness" / "robustness.png").read_bytes().startswith(b"\x89PNG")


def test_the_reference_gives_the_same_cells(run: Path, deployed: Path, suite: Path) -> None:
    other = deployed.parent / "reference"
    shutil.copytree(deployed, other)
    arguments = ["robustness", str(other), "--suite", str(suite), "--target", "reference"]
    assert main([*arguments, "--json"]) == 0
    ours, theirs = report_of(run), report_of(other)
    assert theirs["target"] == "reference"
    for part in ("clean", "events", "faults", "mean_retained"):
        assert ours[part] == theirs[part]


def test_a_killed_run_goes_on_and_ends_in_the_same_bytes(
    run: Path, deployed: Path, suite: Path
) -> None:
    killed = deployed.parent / "killed"
    shutil.copytree(deployed, killed)
    arguments = ["robustness", str(killed), "--suite", str(suite), "--quiet"]
    process = subprocess.Popen([sys.executable, "-m", "pipeline", *arguments], cwd=ROOT)
    cells = killed / "robustness" / "cells"
    while process.poll() is None:
        if cells.exists() and len(list(cells.glob("[!.]*.json"))) >= 3:
            os.kill(process.pid, signal.SIGKILL)
            break
        time.sleep(0.002)
    assert process.wait() == -signal.SIGKILL
    assert not (killed / "robustness" / "robustness.json").exists()
    kept = {path: path.stat().st_mtime_ns for path in cells.glob("[!.]*.json")}
    assert 3 <= len(kept) < CELLS
    (cells / ".drop-abc.json").write_text("half of a c")
    assert main(arguments) == 0
    assert all(path.stat().st_mtime_ns == before for path, before in kept.items())
    # A copy of a run is the same run but for its folder, which no file names.
    assert files_of(killed) == files_of(run)


def test_a_damaged_cell_is_measured_again_and_another_seed_beside_it(
    run: Path, suite: Path
) -> None:
    before = files_of(run)
    name = next(name for name in before if name.startswith("cells/bit_flips"))
    damaged = run / "robustness" / name
    damaged.write_text(before[name].decode()[:-30])
    arguments = ["robustness", str(run), "--suite", str(suite), "--quiet"]
    assert main(arguments) == 0
    assert files_of(run) == before
    first = report_of(run)
    assert main([*arguments, "--seed", "1", "--limit", "20"]) == 0
    other = report_of(run)
    assert (other["seed"], other["clean"]["n"]) == (1, 20)
    assert other["events"] != first["events"]
    assert main(arguments) == 0
    assert files_of(run)["robustness.json"] == before["robustness.json"]


def test_the_report_has_a_section_of_this_network_alone(run: Path, tmp_path: Path) -> None:
    found = read_beside(run)["robustness"]
    assert found is not None
    lines = "\n".join(robustness_section(found))
    assert all(row["title"] in lines for row in report_of(run)["events"])
    other = tmp_path / "other"
    shutil.copytree(run, other)
    (other / "deploy" / "model.net").write_bytes(b"another network")
    assert read_beside(other)["robustness"] is None
    (run / "robustness" / "robustness.json").rename(tmp_path / "kept.json")
    assert read_beside(run)["robustness"] is None
    assert robustness_section(None) == []
    (tmp_path / "kept.json").rename(run / "robustness" / "robustness.json")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--limit", "0"], "--limit: found 0, allowed 1 and more"),
        (["--seed", "-1"], "--seed: found -1"),
        (["--target", "brain"], "invalid choice: 'brain'"),
        (["--suite", "none.yaml"], "none.yaml: cannot be read"),
    ],
)
def test_bad_arguments_are_one_line(
    deployed: Path, arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["robustness", str(deployed), *arguments]) == 2
    shown = capsys.readouterr().err
    assert message in shown
    assert shown.count("\n") == 1
    assert not (deployed / "robustness").exists()


def test_a_run_that_is_not_deployed_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "config.json").write_text(json.dumps(CONFIG))
    assert main(["robustness", str(tmp_path)]) == 2
    assert "the stage is not finished" in capsys.readouterr().err
    assert not (tmp_path / "robustness").exists()


def test_a_network_that_recognises_nothing_retains_nothing(deployed: Path) -> None:
    config = Config.model_validate_json(json.dumps(CONFIG))
    nothing = {Cell(): {"n": 7, "correct": 0}}
    with pytest.raises(HardspikeError, match="none of 7 clean recordings is recognised"):
        build_report(config, deployed, Suite(), nothing, 0, {})

"""A run by ADMM shows how it converged; the same run by SAST afterwards has none of it left."""

import csv
import json
import math
from pathlib import Path

from pipeline.training.history_files import EVENTS
from tests.end_to_end.conftest import in_process

CONFIG = """
name: admm
data:
  source: {kind: saccade-mnist, train: 100, test: 20}
  binning: {steps: 6, mode: binary, downsample: 2}
  validation_fraction: 0.2
network:
  readout: membrane
  layers:
    - {type: conv, channels: 4, kernel: 5, stride: 3, bias: true}
    - {type: dense, units: 16}
    - {type: dense, units: 10}
train: {method: admm, passes: 3, device: cpu, tensorboard: true}
evaluate: {targets: [reference]}
"""
SAST = "train={method: sast, epochs: 1, device: cpu, rho: 0}"


def test_the_report_shows_convergence_and_only_of_admm(tmp_path: Path) -> None:
    config, run = tmp_path / "admm.yaml", tmp_path / "run"
    config.write_text(CONFIG)
    done = in_process("run", config, "--out", run)
    assert done.returncode == 0, done.stderr
    page = (run / "report" / "report.md").read_text()
    assert "![convergence](convergence.png)" in page
    assert "Of 3 passes, number" in page
    assert (run / "report" / "convergence.png").read_bytes().startswith(b"\x89PNG")
    history = json.loads((run / "train" / "history.json").read_text())
    keys = [f"{name}_{layer}" for layer in (1, 2) for name in ("residual", "slack", "condition")]
    assert all(math.isfinite(entry[key]) for entry in history for key in keys)
    rows = list(csv.DictReader((run / "train" / "history.csv").read_text().splitlines()))
    assert [float(row["residual_2"]) for row in rows] == [one["residual_2"] for one in history]
    files = ("history.json", "history.csv", EVENTS)
    before = {name: (run / "train" / name).read_bytes() for name in files}

    done = in_process("train", run, "--force")
    assert done.returncode == 0, done.stderr
    for name, data in before.items():
        assert (run / "train" / name).read_bytes() == data, name

    done = in_process("run", config, "--out", run, "--set", SAST)
    assert done.returncode == 0, done.stderr
    assert "onvergence" not in (run / "report" / "report.md").read_text()
    for stage, gone in (("train", EVENTS), ("report", "convergence.png")):
        manifest = json.loads((run / stage / "manifest.json").read_text())
        names = {entry["path"] for entry in manifest["outputs"]} | {"manifest.json"}
        assert {path.name for path in (run / stage).iterdir()} == names
        assert gone not in names

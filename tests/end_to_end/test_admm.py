"""Networks trained without a gradient go through every stage, and their files run everywhere."""

import json
from pathlib import Path

import pytest

from tests.end_to_end.conftest import hardspike, in_process

CONFIG = """
name: admm
data:
  source: {{kind: saccade-mnist, train: 200, test: 40}}
  binning: {{steps: 8, mode: binary, downsample: 2}}
network:
  readout: {readout}
  weight_gain: 2.6
  layers:
    - {{type: conv, channels: 6, kernel: 5, stride: 2, bias: true}}
    - {{type: dense, units: 24}}
    - {{type: dense, units: 10, bias: true}}
train: {{method: admm, passes: 4, device: cpu, batch: {{kind: stream, batch_size: 25}}}}
evaluate: {{loihi: {{recordings: 10, timeout_seconds: 120}}}}
"""


@pytest.mark.loihi
@pytest.mark.parametrize("readout", ["membrane", "count"])
def test_all_targets_agree_on_a_network_trained_by_admm(tmp_path: Path, readout: str) -> None:
    config, run = tmp_path / "admm.yaml", tmp_path / "run"
    config.write_text(CONFIG.format(readout=readout))
    done = hardspike("run", config, "--out", run)
    assert done.returncode == 0, done.stderr
    report = json.loads((run / "report" / "report.json").read_text())
    assert report["training"]["method"] == "admm"
    assert report["training"]["gradient_evaluations"] == 0
    assert set(report["targets"]) == {"reference", "onnxruntime", "onnxruntime-step", "loihi"}
    for name, target in report["targets"].items():
        assert target["status"] == "ok", (name, target)
        assert target["spike_agreement"] == target["prediction_agreement"] == 1.0
    assert "train     up to date" in hardspike("run", config, "--out", run).stderr


def test_what_a_hard_reset_costs_a_network_trained_with_a_soft_one_is_a_step_of_the_ladder(
    tmp_path: Path,
) -> None:
    config, run = tmp_path / "admm.yaml", tmp_path / "run"
    config.write_text(CONFIG.format(readout="membrane"))
    soft = ("--set", "train.reset=soft", "--set", "evaluate.targets=[reference]")
    done = in_process("run", config, "--out", run, *soft)
    assert done.returncode == 0, done.stderr
    ladder = json.loads((run / "report" / "report.json").read_text())["ladder"]
    assert [rung["step"] for rung in ladder][:3] == ["soft_reset", "hard_float", "fixed_point"]


@pytest.mark.parametrize(
    ("override", "words"),
    [
        ("train.batch={kind: stream, trust: 2}", ["train.batch.trust", "found 2"]),
        ("train.batch={kind: half}", ["train.batch.kind", "found 'half'", "full, stream"]),
        ("train.membrane={kind: ramp, window: 0}", ["train.membrane.window", "found 0"]),
        ("train.variant=published", ["train: batch: is a key of variant: resync"]),
        ("train.epochs=3", ["train.epochs", "unknown key", "passes"]),
        ("train.rho=0.1", ["train.rho", "unknown key"]),
    ],
)
def test_a_fault_is_one_line_that_names_it(tmp_path: Path, override: str, words: list[str]) -> None:
    config = tmp_path / "admm.yaml"
    config.write_text(CONFIG.format(readout="membrane"))
    done = in_process("train", config, "--out", tmp_path / "run", "--set", override)
    assert done.returncode == 2
    (line,) = done.stderr.splitlines()
    assert all(word in line for word in words), line
    assert not (tmp_path / "run").exists()

"""The convert stage on a small trained network: its rungs, its scales, its thresholds."""

import contextlib
import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from export.contract_file import read_fixed_network, read_float_network
from pipeline.config_file import load_config
from pipeline.progress import Reporter
from pipeline.stages import run_stages

ROOT = Path(__file__).resolve().parents[2]
SMALL = (
    "data.source.train=80",
    "data.source.test=30",
    "data.validation_fraction=0.25",
    "train.epochs=2",
)


def _converted(trained: Path, folder: Path, *settings: str) -> tuple[Path, dict[str, Any]]:
    """Convert a copy of the trained run; return its folder and the ladder's facts."""
    run = folder / "run"
    shutil.copytree(trained, run)
    with contextlib.chdir(ROOT):
        config = load_config(ROOT / "configs" / "smoke.yaml", [*SMALL, *settings])
        run_stages(config, run, ("convert",), Reporter(quiet=True))
    return run / "convert", json.loads((run / "convert" / "ladder.json").read_text())


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run that is trained and no more. Tests convert copies of it."""
    run = tmp_path_factory.mktemp("runs") / "small"
    with contextlib.chdir(ROOT):
        config = load_config(ROOT / "configs" / "smoke.yaml", SMALL)
        run_stages(config, run, ("train",), Reporter(quiet=True))
    return run


def test_scales_by_the_membrane_beat_those_by_the_largest_weight(
    trained: Path, tmp_path: Path
) -> None:
    folder, facts = _converted(trained, tmp_path, "convert.weight_bits=3")
    assert [rung["step"] for rung in facts["ladder"]] == ["smooth", "hard_float", "fixed_point"]
    assert facts["calibration"] is None
    assert facts["parting"]["between"] == ["hard_float", "fixed_point"]
    fixed = read_fixed_network(folder / "network.fixed.safetensors")
    assert [entry["layer"] for entry in facts["scales"]] == [layer.name for layer in fixed.layers]
    for entry, layer in zip(facts["scales"], fixed.layers, strict=True):
        assert entry["scale"] == layer.scale
        assert 0 <= entry["clipped"] < 0.5
        assert 0 < entry["membrane_error"] < entry["largest_weight_error"]


def test_the_largest_weight_needs_no_recordings(trained: Path, tmp_path: Path) -> None:
    settings = ("convert.scale_by=largest_weight", "convert.rounding=nearest")
    folder, facts = _converted(trained, tmp_path, *settings)
    fixed = read_fixed_network(folder / "network.fixed.safetensors")
    for entry, layer in zip(facts["scales"], fixed.layers, strict=True):
        assert entry["scale"] == entry["largest_weight_scale"] == layer.scale
        assert np.abs(layer.synapse.weight).max() == 254
        assert entry["membrane_error"] is None


def test_calibration_adds_a_rung_and_deploys_the_tuned_thresholds(
    trained: Path, tmp_path: Path
) -> None:
    folder, facts = _converted(trained, tmp_path, "convert.calibration=thresholds")
    steps = [rung["step"] for rung in facts["ladder"]]
    assert steps == ["smooth", "hard_float", "calibrated_float", "fixed_point"]
    assert facts["parting"]["between"] == ["calibrated_float", "fixed_point"]
    calibration = facts["calibration"]
    assert (calibration["n"], calibration["recordings"]) == (20, "validation")
    before, after = (calibration[when]["cross_entropy"] for when in ("before", "after"))
    assert after < before
    deployed = read_float_network(folder / "network.float.safetensors")
    assert {layer.name: layer.neuron.threshold for layer in deployed.layers} == pytest.approx(
        calibration["factors"]
    )


def test_the_same_run_gives_the_same_bytes(trained: Path, tmp_path: Path) -> None:
    settings = ("convert.calibration=thresholds", "convert.weight_bits=4")
    one, _ = _converted(trained, tmp_path / "one", *settings)
    other, _ = _converted(trained, tmp_path / "other", *settings)
    for name in ("network.float.safetensors", "network.fixed.safetensors", "ladder.json"):
        assert (one / name).read_bytes() == (other / name).read_bytes(), name

"""Corrupted recordings through the deployed files, from the config to the tables."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import load_file

from tests.end_to_end.conftest import in_process


def evaluation(run: Path) -> dict[str, Any]:
    return dict(json.loads((run / "evaluate" / "evaluation.json").read_text()))


def test_the_smoke_run_has_its_corruptions_in_every_table(smoke_run: Path) -> None:
    drop, noise = evaluation(smoke_run)["corruptions"]
    assert (drop["kind"], drop["share"], drop["name"]) == ("drop", 0.5, "drop 50%")
    assert (noise["kind"], noise["hz_per_pixel"], noise["name"]) == ("noise", 5.0, "noise 5 Hz")
    printed = in_process("report", smoke_run).stdout
    page = (smoke_run / "report" / "report.md").read_text()
    for entry in (drop, noise):
        assert (entry["target"], entry["n"]) == ("onnxruntime", 100)
        assert entry["ci95"][0] <= entry["accuracy"] <= entry["ci95"][1]
        for shown in (entry["name"], f"{100 * entry['accuracy']:.1f}%"):
            assert shown in page
            assert shown in printed
    report = json.loads((smoke_run / "report" / "report.json").read_text())
    assert report["corruptions"] == [drop, noise]


def test_the_reference_gives_the_same_figures_and_the_limits_are_exact(
    smoke_run: Path, tmp_path: Path
) -> None:
    run = tmp_path / "smoke"
    shutil.copytree(smoke_run, run)
    cases = (
        "{kind: drop, share: 0}, {kind: noise, hz_per_pixel: 0}, {kind: drop, share: 1}, "
        "{kind: drop, share: 0.5}, {kind: noise, hz_per_pixel: 5}"
    )
    overrides = ("evaluate.targets=[reference]", f"evaluate.corruptions=[{cases}]")
    done = in_process("run", run, *(part for text in overrides for part in ("--set", text)))
    assert done.returncode == 0, done.stderr
    found = evaluation(run)
    assert {entry["target"] for entry in found["corruptions"]} == {"reference"}
    accuracies = [entry["accuracy"] for entry in found["corruptions"]]
    clean = found["targets"]["reference"]["accuracy"]
    assert accuracies[:2] == [clean, clean]
    # Without a single event every recording looks the same, so one class gets them all: 10 of 100.
    labels = load_file(run / "evaluate" / "outputs.safetensors")["labels"]
    assert np.bincount(labels).tolist() == [10] * 10
    assert accuracies[2] == 0.1
    before = evaluation(smoke_run)["corruptions"]
    assert accuracies[3:] == [entry["accuracy"] for entry in before]

"""A real sweep: a run killed and resumed, a training shared, and a run that cannot be had."""

import json
import threading
import time
from pathlib import Path
from typing import Any

import psutil

from tests.end_to_end.conftest import ROOT, in_process

FIXED = (
    "data.source.train=50",
    "data.source.test=20",
    "data.binning.steps=4",
    "network.layers=[{type: dense, units: 10}]",
    "train.epochs=1",
    "train.rho=0",
    "evaluate={targets: [reference]}",
)
RUNS = [f"convert.weight_bits={bits}" for bits in (8, 4, 2)]


def sweep(parent: Path, bits: str, *more: str) -> list[str]:
    sets = [*FIXED, f"convert.weight_bits={bits}"]
    overrides = [part for value in sets for part in ("--set", value)]
    return ["sweep", str(ROOT / "configs" / "smoke.yaml"), *overrides, "--out", str(parent), *more]


def kill_the_worker_once_there_is(path: Path) -> None:
    """End the sweep's only worker by SIGKILL; Python's own helpers are children too."""
    deadline = time.monotonic() + 200
    while not path.exists() and time.monotonic() < deadline:
        time.sleep(0.005)
    for child in psutil.Process().children():
        if any("sweep_worker" in word for word in child.cmdline()):
            child.kill()


def manifest(run: Path, stage: str) -> bytes:
    return (run / stage / "manifest.json").read_bytes()


def entries(parent: Path) -> dict[str, dict[str, Any]]:
    runs = json.loads((parent / "sweep.json").read_text())["runs"]
    return {entry["run"]: entry for entry in runs}


def test_a_sweep_goes_on_after_failures_shares_its_training_and_is_resumed(tmp_path: Path) -> None:
    parent = tmp_path / "sweep"
    first, second, blocked = (parent / name for name in RUNS)
    parent.mkdir()
    (parent / "sweep.json").touch()
    blocked.mkdir()
    (blocked / "letter.txt").touch()
    trained = first / "train" / "manifest.json"
    killer = threading.Thread(target=kill_the_worker_once_there_is, args=(trained,))
    killer.start()
    done = in_process(*sweep(parent, "8,4,2"))
    killer.join()
    assert done.returncode == 2
    assert "Traceback" not in done.stderr
    faults = [line for line in done.stderr.splitlines() if line.startswith("hardspike: ")]
    assert len(faults) == 2, done.stderr
    assert f"hardspike: {first.name}: was ended by signal 9" in faults[0]
    assert f"hardspike: {blocked.name}: {blocked}: is no run folder" in faults[1]
    status = {name: entry["status"] for name, entry in entries(parent).items()}
    assert status == {first.name: "failed", second.name: "done", blocked.name: "failed"}
    assert entries(parent)[second.name]["figures"]["n"] == 20
    assert manifest(second, "train") == manifest(first, "train"), "the training is shared"
    assert f"taken from {first}" in (parent / "logs" / f"{second.name}.log").read_text()
    assert second.name in done.stdout

    before = [manifest(second, stage) for stage in ("train", "convert", "evaluate", "report")]
    again = in_process(*sweep(parent, "8,4", "--jobs", "2"))
    assert again.returncode == 0, again.stderr
    assert f"{second.name}  {100 * figure(parent, second):.1f}%  up to date" in again.stderr
    assert "train     up to date" in (parent / "logs" / f"{first.name}.log").read_text()
    assert {entry["status"] for entry in entries(parent).values()} == {"done"}
    after = [manifest(second, stage) for stage in ("train", "convert", "evaluate", "report")]
    assert after == before
    assert (first / "report" / "report.md").exists()

    one = in_process(*sweep(parent, "4", "--json"))
    assert one.returncode == 0, one.stderr
    assert [entry["run"] for entry in json.loads(one.stdout)["runs"]] == [second.name]

    shown = in_process("compare", parent, "--json", "--out", tmp_path / "c.png")
    assert shown.returncode == 0, shown.stderr
    compared = json.loads(shown.stdout)
    assert [run["bits"] for run in compared["runs"]] == [4, 8]
    assert compared["keys"] == ["convert.weight_bits"]
    assert (tmp_path / "c.png").read_bytes().startswith(b"\x89PNG")


def figure(parent: Path, run: Path) -> float:
    return float(entries(parent)[run.name]["figures"]["deployed"])

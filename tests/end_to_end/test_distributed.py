"""`torchrun … -m pipeline train`: two processes, the weights of one, whatever happens."""

import json
import os
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
import torch

from pipeline.training.checkpoint import read_tensors
from tests.end_to_end.conftest import ROOT, in_process

TORCHRUN = [
    *(sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2"),
    *("-m", "pipeline"),
]
# A kernel's sums depend on how many threads share them.
ONE_THREAD = {**os.environ, "OMP_NUM_THREADS": "1"}
PASSES = 60


def write(path: Path, tree: dict[str, Any]) -> Path:
    path.write_text(json.dumps(tree))
    return path


def experiment(source: dict[str, Any], **train: Any) -> dict[str, Any]:
    layers = [{"type": "dense", "units": 16, "bias": True}, {"type": "dense", "units": 2}]
    return {
        "name": "ranks",
        "data": {"source": source, "binning": {"steps": 5}, "validation_fraction": 0.25},
        "network": {"readout": "membrane", "layers": layers},
        "train": {"method": "admm", "device": "cpu", **train},
    }


def recordings(root: Path, seed: int, labels: str = "ab") -> Path:
    """Write a folder tree of random recordings, busier for one class than for another."""
    generator = np.random.default_rng(seed)
    for split in ("Train", "Test"):
        for count, label in enumerate(labels, 1):
            for number in range(16):
                x_E, y_E = generator.integers(0, 6, (2, 60 * count))
                time_E = np.sort(generator.integers(0, 315_000, 60 * count))
                events = np.stack([x_E, y_E, time_E, x_E % 2], 1)
                path = root / split / label / f"{number}.npy"
                path.parent.mkdir(parents=True, exist_ok=True)
                np.save(path, events)
    return root


def ranks(*arguments: str | Path) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [*TORCHRUN, *map(str, arguments)],
        cwd=ROOT,
        env=ONE_THREAD,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def kill_rank(number: int, torchrun: "subprocess.Popen[str]") -> None:
    for child in psutil.Process(torchrun.pid).children():
        if child.environ().get("RANK") == str(number):
            child.kill()
            return
    raise AssertionError(f"torchrun has no rank {number}")


def faults(errors: str) -> list[str]:
    return [line for line in errors.splitlines() if line.startswith("hardspike: ")]


def test_two_ranks_lose_one_go_on_and_end_in_the_weights_of_one_process(tmp_path: Path) -> None:
    source = {"kind": "folder", "sensor": [6, 6], "root": str(recordings(tmp_path / "data", 0))}
    stream = {"kind": "stream", "batch_size": 12}
    tree = experiment(source, passes=PASSES, batch=stream, chunk=4)
    config, run = write(tmp_path / "ranks.yaml", tree), tmp_path / "run"
    state = run / "train" / ".state.safetensors"
    first = ranks("train", config, "--out", run)
    while not state.exists():
        assert first.poll() is None, first.communicate()[1]
        time.sleep(0.005)
    kill_rank(1, first)
    errors = first.communicate(timeout=60)[1]
    assert first.returncode != 0
    (line,) = faults(errors)
    assert line.startswith("hardspike: train: a rank was lost")
    assert sorted(path.name for path in (run / "train").iterdir()) == [state.name]

    second = ranks("train", config, "--out", run, "--json")
    output, errors = second.communicate(timeout=60)
    assert second.returncode == 0, errors
    cost = json.loads(output)
    history = json.loads((run / "train" / "history.json").read_text())
    assert (cost["ranks"], cost["exchange"], cost["epochs"]) == (2, "recordings", PASSES)
    assert cost["bytes_sent"] == sum(entry["bytes_sent"] for entry in history) > 0
    assert cost["bytes_sent_per_pass"] == cost["bytes_sent"] / PASSES

    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    alone = in_process("train", config, "--out", tmp_path / "alone")
    torch.set_num_threads(threads)
    assert alone.returncode == 0, alone.stderr
    expected, found = (
        read_tensors(folder / "train" / "model.safetensors")[0]
        for folder in (tmp_path / "alone", run)
    )
    assert all(float((found[key] - expected[key]).abs().max()) <= 1e-5 for key in expected)
    assert "ranks" not in json.loads((tmp_path / "alone" / "train" / "cost.json").read_text())


def both_ranks(*arguments: str | Path) -> list[tuple[int, str, str]]:
    """Start two ranks by environment alone, as another launcher would; return how each ended."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = str(probe.getsockname()[1])
    place = {**ONE_THREAD, "WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
    started = [
        subprocess.Popen(
            [sys.executable, "-m", "pipeline", *map(str, arguments)],
            cwd=ROOT,
            env={**place, "RANK": str(rank)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for rank in range(2)
    ]
    outputs = [process.communicate(timeout=60) for process in started]
    return [(process.returncode, *output) for process, output in zip(started, outputs, strict=True)]


@pytest.fixture
def federated(tmp_path: Path) -> Path:
    """An experiment in which every rank has a folder of recordings of its own."""
    source = {"kind": "folder", "sensor": [6, 6], "root": str(tmp_path / "site-{rank}")}
    batch = {"kind": "full"}
    tree = experiment(source, passes=2, batch=batch, exchange="sums")
    return write(tmp_path / "federated.yaml", tree)


def test_ranks_train_on_folders_of_their_own_and_a_finished_run_lets_all_go(
    tmp_path: Path, federated: Path
) -> None:
    for rank in range(2):
        recordings(tmp_path / f"site-{rank}", rank)
    for word in ("best", "up to date"):
        (status, output, errors), other = both_ranks("train", federated, "--out", tmp_path / "run")
        assert status == 0, errors
        assert "gradient evaluations" in output
        assert word in errors
        assert other == (0, "", "")
    cost = json.loads((tmp_path / "run" / "train" / "cost.json").read_text())
    assert (cost["ranks"], cost["exchange"]) == (2, "sums")


def test_a_rank_with_bad_input_is_named_in_one_line_and_ends_all(
    tmp_path: Path, federated: Path
) -> None:
    recordings(tmp_path / "site-0", 0)
    (first, output, errors), other = both_ranks("train", federated, "--out", tmp_path / "run")
    assert (first, output) == (2, "")
    (line,) = faults(errors)
    assert line.startswith(f"hardspike: rank 1: {tmp_path}/site-1/Train: is missing")
    assert other == (2, "", "")
    assert not list((tmp_path / "run" / "train").iterdir())

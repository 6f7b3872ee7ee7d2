"""Kill −9 during training, start again: the same bytes as without the kill."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from tests.end_to_end.conftest import ROOT, Command


def test_a_killed_training_goes_on_and_ends_in_the_same_bytes(
    command: Command, smoke_run: Path, smoke_config: Path, tmp_path: Path
) -> None:
    run = tmp_path / "killed"
    state = run / "train" / ".state.safetensors"
    arguments = [sys.executable, "-m", "pipeline", "train", str(smoke_config), "--out", str(run)]
    kills = 0
    for _ in range(2):
        seen = state.stat().st_mtime_ns if state.exists() else 0
        process = subprocess.Popen(arguments, cwd=ROOT, stderr=subprocess.DEVNULL)
        while process.poll() is None:
            if state.exists() and state.stat().st_mtime_ns != seen:
                os.kill(process.pid, signal.SIGKILL)
                break
            time.sleep(0.005)
        kills += process.wait() == -signal.SIGKILL
    assert kills >= 1
    assert not (run / "train" / "manifest.json").exists()
    done = command("train", smoke_config, "--out", run)
    assert done.returncode == 0, done.stderr
    for name in ("model.safetensors", "history.json"):
        expected = (smoke_run / "train" / name).read_bytes()
        assert (run / "train" / name).read_bytes() == expected, name
    cost, whole = (
        json.loads((folder / "train" / "cost.json").read_text()) for folder in (run, smoke_run)
    )
    assert cost["gradient_evaluations"] == whole["gradient_evaluations"]
    assert not state.exists()

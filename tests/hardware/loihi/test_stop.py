"""Lava can hang when it is told to stop: results count once they are written."""

import json
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hardware.loihi import environment, process, target
from hardware.loihi.target import Job, run_jobs

UNAVAILABLE = environment.availability().reason

HANGING_WORKER = """
import json, signal, sys, time
import h5py

signal.signal(signal.SIGTERM, signal.SIG_IGN)
job = json.load(open(sys.argv[1] + "/jobs.json"))["jobs"][0]
with h5py.File(job["result"], "w") as file:
    file["outputs"] = [[[7]]]
print(json.dumps({"event": "started", "versions": {}}), flush=True)
print(json.dumps({"event": "result", "run_s": 1.0}), flush=True)
time.sleep(100)
"""

STOP_THAT_HANGS = """
import json, multiprocessing, time
import worker


class Network:
    def stop(self):
        time.sleep(100)


child = multiprocessing.Process(target=time.sleep, args=(100,))
child.start()
worker.STOP_LIMIT_S = 0.2
stopped = worker.stop(Network())
child.join(5)
print(json.dumps([stopped, child.exitcode]), flush=True)
"""


def test_written_results_count_though_the_worker_hangs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script = tmp_path / "worker.py"
    script.write_text(HANGING_WORKER)
    monkeypatch.setattr(process, "WORKER", script)
    monkeypatch.setattr(process, "END_LIMIT_S", 0.3)
    monkeypatch.setattr(target, "STOP_GRACE_S", 0.5)

    def prepare(announce: Any) -> tuple[Path, str]:
        return Path(sys.executable), ""

    monkeypatch.setattr(environment, "prepare", prepare)
    began = time.monotonic()
    spikes = np.zeros((1, 1, 1, 1, 1), np.uint8)
    results, details = run_jobs([Job(tmp_path / "model.net", spikes)])
    assert results[0].outputs_BTN.tolist() == [[[7]]]
    assert details["stopped_cleanly"] is False
    assert time.monotonic() - began < 20


@pytest.mark.loihi
@pytest.mark.skipif(UNAVAILABLE is not None, reason=str(UNAVAILABLE))
def test_worker_kills_what_does_not_stop() -> None:
    interpreter, _ = environment.prepare()
    done = subprocess.run(
        [interpreter, "-c", STOP_THAT_HANGS],
        cwd=environment.WORKER.parent,
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert json.loads(done.stdout) == [False, -9]

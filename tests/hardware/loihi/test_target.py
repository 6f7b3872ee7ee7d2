"""The worker's life: progress, failures in one line, and nothing left behind after any end."""

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import psutil  # type: ignore[import-untyped, unused-ignore]
import pytest

from export.errors import HardspikeError
from export.network import Dense, FixedPointNetwork, Layer, LoihiLIF
from export.netx_file import write_netx
from hardware.loihi import environment
from hardware.loihi.process import SHARED_MEMORY
from hardware.loihi.target import Job, LoihiTarget, run_jobs
from hardware.reference import run_fixed

UNAVAILABLE = environment.availability().reason

pytestmark = [
    pytest.mark.loihi,
    pytest.mark.timeout(120),
    pytest.mark.skipif(UNAVAILABLE is not None, reason=str(UNAVAILABLE)),
]

LONG = 20_000
"""More recordings than a test waits for."""


def recordings(count: int) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    random = np.random.default_rng(4)
    return (random.random((count, 5, 1, 3, 4)) < 0.3).astype(np.uint8)


@pytest.fixture
def network() -> FixedPointNetwork:
    weight = 2 * np.random.default_rng(5).integers(-40, 41, (3, 12))
    layers = (Layer("out", Dense(weight), LoihiLIF(300, 50)),)
    return FixedPointNetwork((1, 3, 4), layers, "count", steps=5, dt=0.01)


@pytest.fixture
def artefacts(tmp_path: Path, network: FixedPointNetwork) -> Path:
    write_netx(network, tmp_path / "model.net")
    return tmp_path


def workers() -> list[psutil.Process]:
    """Every live process that runs the worker's script, Lava's children included."""
    found = []
    for process in psutil.process_iter():
        try:
            alive = process.status() != psutil.STATUS_ZOMBIE
            if alive and str(environment.WORKER) in process.cmdline():
                found.append(process)
        except psutil.Error:
            continue
    return found


def leaders() -> list[psutil.Process]:
    """The workers that this process or a child of it started."""
    mine = {os.getpid(), *(child.pid for child in psutil.Process().children(recursive=True))}
    return [
        process
        for process in workers()
        if process.ppid() in mine and os.getpgid(process.pid) == process.pid
    ]


def segments() -> set[Path]:
    return set(SHARED_MEMORY.glob("hs*")) if SHARED_MEMORY.is_dir() else set()


@pytest.fixture(autouse=True)
def nothing_left() -> Iterator[None]:
    """No process and no shared memory of a worker outlives a test."""
    before = {process.pid for process in workers()}, segments()
    yield
    deadline = time.monotonic() + 10

    def left() -> tuple[set[int], set[Path]]:
        return {process.pid for process in workers()} - before[0], segments() - before[1]

    while any(left()) and time.monotonic() < deadline:
        time.sleep(0.1)
    assert left() == (set(), set())


def lava_process() -> int:
    """The last process that Lava started."""
    own = {process.pid for process in leaders()}
    return int(max(process.pid for process in workers() if process.ppid() in own))


def strike(number: signal.Signals, child: bool = False) -> Callable[[int, int], None]:
    """Return a progress function that signals the worker, or a child of it, once it is running."""
    struck: list[int] = []

    def progress(done: int, total: int) -> None:
        if done > 0 and not struck:
            struck.extend([lava_process()] if child else (one.pid for one in leaders()))
            for pid in struck:
                os.kill(pid, number)

    return progress


def test_run_reports_progress_times_and_layers(artefacts: Path, network: FixedPointNetwork) -> None:
    seen: list[tuple[int, int]] = []
    spikes = recordings(30)
    run = LoihiTarget().run(
        artefacts, spikes, record_layers=True, progress=lambda *done: seen.append(done)
    )
    expected = run_fixed(network, spikes)
    np.testing.assert_array_equal(run.outputs_BTN, expected.last)
    np.testing.assert_array_equal(run.layers_BTN["out"], expected.last)
    assert run.outputs_BTN.dtype == np.int32
    assert seen[-1] == (151, 151)
    assert run.seconds > 0
    assert run.startup_seconds > 0
    assert run.details["stopped_cleanly"]
    assert run.details["versions"]["lava-nc"] == "0.10.0"


def test_truncated_file_is_one_line(artefacts: Path) -> None:
    path = artefacts / "model.net"
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(HardspikeError, match=r"model\.net: .*truncated") as caught:
        LoihiTarget().run(artefacts, recordings(2))
    assert "\n" not in str(caught.value)


def test_failure_inside_the_worker_is_one_line(artefacts: Path) -> None:
    path = artefacts / "model.net"
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(HardspikeError, match=r"worker failed \(OSError: .*truncated") as caught:
        run_jobs([Job(path, recordings(2))])
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("shape", "value"),
    [((2, 4, 1, 3, 4), 1), ((2, 5, 1, 4, 3), 1), ((0, 5, 1, 3, 4), 1), ((1, 5, 1, 3, 4), 2)],
)
def test_recordings_must_fit(artefacts: Path, shape: tuple[int, ...], value: int) -> None:
    with pytest.raises(HardspikeError, match=r"recordings: found .*, allowed"):
        LoihiTarget().run(artefacts, np.full(shape, value, np.uint8))


def test_unwritable_temporary_folder_is_one_line(
    artefacts: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(artefacts / "absent"))
    with pytest.raises(HardspikeError, match="temporary files must be writable") as caught:
        LoihiTarget().run(artefacts, recordings(2))
    assert "\n" not in str(caught.value)


def test_network_beyond_lava_is_refused(tmp_path: Path) -> None:
    layers = (Layer("out", Dense(np.zeros((3, 12), np.int32)), LoihiLIF(300, 50)),)
    write_netx(FixedPointNetwork((1, 3, 4), layers, "count", 5, 0.01), tmp_path / "model.net")
    with pytest.raises(HardspikeError, match="layer out: dense weights"):
        LoihiTarget().run(tmp_path, recordings(2))


def test_killed_worker_is_one_line(artefacts: Path) -> None:
    with pytest.raises(HardspikeError, match=r"worker was killed by SIGKILL \(") as caught:
        LoihiTarget().run(artefacts, recordings(LONG), progress=strike(signal.SIGKILL))
    assert "\n" not in str(caught.value)


def test_killed_process_of_lava_is_one_line(artefacts: Path) -> None:
    with pytest.raises(HardspikeError, match="Lava's processes ended with status -9") as caught:
        LoihiTarget().run(artefacts, recordings(LONG), progress=strike(signal.SIGKILL, child=True))
    assert "\n" not in str(caught.value)


def test_hanging_worker_is_ended_in_time(artefacts: Path) -> None:
    began = time.monotonic()
    with pytest.raises(HardspikeError, match="no result within 12 s") as caught:
        LoihiTarget(timeout_s=12).run(artefacts, recordings(LONG), progress=strike(signal.SIGSTOP))
    assert "\n" not in str(caught.value)
    assert time.monotonic() - began < 25


SCRIPT = """
import sys
from pathlib import Path
import numpy as np
from hardware.loihi.target import LoihiTarget

spikes = np.zeros((20000, 5, 1, 3, 4), np.uint8)
LoihiTarget().run(
    Path(sys.argv[1]), spikes, progress=lambda done, total: print(done, flush=True)
)
"""


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_ended_parent_leaves_no_orphan(artefacts: Path, number: signal.Signals) -> None:
    parent = subprocess.Popen(
        [sys.executable, "-c", SCRIPT, artefacts],
        cwd=environment.WORKER.parents[2],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    assert parent.stdout is not None
    with parent, parent.stdout:
        while int(parent.stdout.readline() or -1) == 0:
            pass
        assert leaders()
        parent.send_signal(number)
        parent.wait(20)

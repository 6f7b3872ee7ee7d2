# /// script
# requires-python = "==3.10.*"
# dependencies = ["lava-nc==0.10.0", "lava-dl==0.6.0"]
# [tool.uv]
# override-dependencies = [
#     "torch; sys_platform == 'never'",
#     "torchvision; sys_platform == 'never'",
#     "opencv-python; sys_platform == 'never'",
#     "opencv-python-headless; sys_platform == 'never'",
#     "matplotlib; sys_platform == 'never'",
#     "pillow; sys_platform == 'never'",
#     "ninja; sys_platform == 'never'",
#     "pytest; sys_platform == 'never'",
#     "unittest2; sys_platform == 'never'",
# ]
# ///
"""Runs netx files on Lava's bit-accurate Loihi models, in an environment of its own.

    python worker.py FOLDER

FOLDER holds `jobs.json`: {"parent": pid, "shm_prefix": "hs-1a2b", "jobs": [{"net", "spikes",
"result", "record_layers", "record_states", "says"}, …]}. The worker reads nothing else: a netx file
says what its network is and how long a recording lasts, or `says` does for a file of lava-dl's own
({"readout", "steps", "input_max"}), and `spikes` is an HDF5 file with the dataset `spikes`,
(B, T, C, H, W) of uint8. `result` becomes an HDF5 file with `outputs` (B, T, N) of int32 and, when
asked for, `layers/<i>` (B, T, N) of uint8, `u/<i>` and `v/<i>` (B, T, N) of int32, neurons in
(C, H, W) order. Standard output carries one JSON object a line; everything that Lava prints goes to
standard error.

Axes: `B` recording, `T` step, `C` channel, `H` height, `W` width, `N` neuron.
"""

import ctypes
import importlib.metadata
import json
import multiprocessing
import os
import signal
import sys
import threading
import time
import traceback
from multiprocessing import shared_memory
from pathlib import Path
from typing import Any

import numpy as np
from lava_network import Streamed, load_netx
from lava_processes import keep_lava_out_of_this_folder

STOP_LIMIT_S = 5.0
POLL_S = 0.2
PR_SET_PDEATHSIG = 1


class Channel:
    """Standard output as it was at the start, one JSON object a line; Lava's goes to the log."""

    def __init__(self) -> None:
        self._fd = os.dup(1)
        os.dup2(2, 1)
        os.register_at_fork(after_in_child=lambda: os.close(self._fd))

    def send(self, event: str, **fields: Any) -> None:
        """Write one line in one piece."""
        os.write(self._fd, (json.dumps({"event": event, **fields}) + "\n").encode())


def die_with_parent(parent: int) -> None:
    """End this process, and every process it forks, when the process that started it ends.

    Linux's kernel does so, even to a process that hangs. Elsewhere a thread does, which waits until
    standard input closes.
    """
    if sys.platform == "linux":
        libc = ctypes.CDLL(None)

        def ask_kernel() -> None:
            libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)

        ask_kernel()
        os.register_at_fork(after_in_child=ask_kernel)
    if os.getppid() != parent:
        os._exit(1)

    def wait() -> None:
        os.read(0, 1)
        os.killpg(0, signal.SIGTERM)

    threading.Thread(target=wait, daemon=True).start()


def stop(network: Any) -> bool:
    """Stop Lava's processes; kill them when that hangs. Returns whether they stopped by themselves.

    A network whose stop hangs is kept for good: its destructor would hang too.
    """
    thread = threading.Thread(target=network.stop, daemon=True)
    thread.start()
    thread.join(STOP_LIMIT_S)
    hangs = thread.is_alive()
    if hangs:
        _HUNG.append(network)
        for child in multiprocessing.active_children():
            child.kill()
    return not hangs


_HUNG: list[Any] = []


def report_progress(
    streamed: Streamed, done: int, total: int, channel: Channel, over: threading.Event
) -> None:
    """Send the number of steps done until `over` is set; watch Lava's processes meanwhile."""
    clock = np.load(streamed.clock, mmap_mode="r")
    while not over.wait(POLL_S):
        channel.send("progress", done=done + int(clock[0]), total=total)
        status = next(filter(None, map(exit_status, actors(streamed.network))), 0)
        if status and not over.is_set():
            channel.send("error", message=f"one of Lava's processes ended with status {status}")


def actors(network: Any) -> list[Any]:
    """Return the processes that Lava started for `network`."""
    return getattr(getattr(network.runtime, "_messaging_infrastructure", None), "actors", [])


def exit_status(actor: Any) -> int:
    """Return 0 for a process that runs, is closed or ended by itself, its exit status otherwise."""
    try:
        return actor.exitcode or 0
    except ValueError:
        return 0


def failure(network: Any, error: BaseException) -> str:
    """Return the first error of Lava's processes, or `error` itself, as one line."""
    errors = [actor.exception for actor in actors(network)]
    first = next((found[0] for found in errors if found), error)
    return f"{type(first).__name__}: {first}"


def run_job(streamed: Streamed, done: int, total: int, channel: Channel) -> dict[str, Any]:
    """Run one job, write its result and return its times."""
    began = time.perf_counter()
    streamed.start()
    started, over = time.perf_counter(), threading.Event()
    args = (streamed, done, total, channel, over)
    reporter = threading.Thread(target=report_progress, args=args, daemon=True)
    reporter.start()
    try:
        channel.send("running")
        began_run = time.perf_counter()
        streamed.run()
        ran = time.perf_counter()
    finally:
        over.set()
        reporter.join()
    timing = {
        "run_s": ran - began_run,
        "start_s": started - began,
        "run_steps": streamed.total,
        "steps_per_s": streamed.total / (ran - began_run),
    }
    streamed.write(timing)
    return timing


def versions() -> dict[str, str]:
    """Return the versions that a result depends on."""
    packages = {name: importlib.metadata.version(name) for name in ("lava-nc", "lava-dl", "numpy")}
    return {"python": ".".join(map(str, sys.version_info[:3])), **packages}


def work(folder: Path, order: dict[str, Any], channel: Channel) -> None:
    """Do every job of `order`."""
    (folder / "empty").mkdir()
    keep_lava_out_of_this_folder(folder / "empty")
    netx = load_netx()
    streams = []
    for index, job in enumerate(order["jobs"]):
        place = folder / f"job-{index}"
        place.mkdir()
        streams.append(Streamed(netx, job, place))
    total, done = sum(streamed.total for streamed in streams), 0
    channel.send("started", total=total, versions=versions())
    for streamed in streams:
        try:
            timing = run_job(streamed, done, total, channel)
        except RuntimeError as error:
            raise RuntimeError(failure(streamed.network, error)) from error
        done += streamed.total
        channel.send("result", **timing)
        channel.send("progress", done=done, total=total)
        began = time.perf_counter()
        stopped = stop(streamed.network)
        channel.send("stopped", stop_s=time.perf_counter() - began, cleanly=stopped)


def main() -> None:
    """Do what `jobs.json` in the folder named by the first argument says."""
    folder, channel = Path(sys.argv[1]), Channel()
    order = json.loads((folder / "jobs.json").read_text())
    die_with_parent(order["parent"])
    shared_memory._SHM_NAME_PREFIX = f"/{order['shm_prefix']}"
    shared_memory._SHM_SAFE_NAME_LENGTH = len(order["shm_prefix"]) + 9
    status = 0
    try:
        work(folder, order, channel)
        channel.send("done")
    except BaseException as error:
        traceback.print_exc()
        channel.send("error", message=" ".join(f"{type(error).__name__}: {error}".split()))
        status = 1
    sys.stderr.flush()
    os._exit(status)


if __name__ == "__main__":
    main()

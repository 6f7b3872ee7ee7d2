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
"result", "record_layers"}, …]}. The worker reads nothing else: a netx file says what its network is
and how long a recording lasts, and `spikes` is an HDF5 file with the dataset `spikes`, (B, T, C, H,
W) of uint8. `result` becomes an HDF5 file with `outputs` (B, T, N) of int32 and, when asked for,
`layers/<i>` (B, T, N) of uint8, neurons in (C, H, W) order. Standard output carries one JSON object
a line; everything that Lava prints goes to standard error.

All recordings of a job pass one network in one run, back to back. Layer l (from 0) answers l + 1
steps late, since a synapse hands on what it summed a step before; its state is cleared when the
first input of a recording reaches it, which `reset_offset=1` makes netx do. The recorders drop the
lag, so row b·T + t of what they write belongs to step t of recording b.

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
import types
from multiprocessing import shared_memory
from pathlib import Path
from typing import Any

import h5py
import lava
import numpy as np
from lava.magma.core.run_conditions import RunSteps
from lava.magma.core.run_configs import Loihi2SimCfg
from lava_processes import (
    MODELS,
    MembraneRecorder,
    Recorder,
    SpikeSource,
    keep_lava_out_of_this_folder,
)

STOP_LIMIT_S = 5.0
POLL_S = 0.2
GRADED_BITS = 8
PR_SET_PDEATHSIG = 1


def load_netx() -> Any:
    """Import the module `lava.lib.dl.netx.hdf5` without PyTorch and return it.

    netx asks lava-dl's training package for one helper of resonate-and-fire neurons, and for
    PyTorch wrappers that nothing here uses. Empty modules stand in for both. Lava looks for process
    models beside a module's file, so theirs is said to lie in Lava's own folder.
    """
    folder = Path(next(iter(lava.__path__))) / "lib" / "dl" / "netx"
    for name in ("slayer", "slayer.neuron", "slayer.neuron.rf", "netx.sequential_modules"):
        module = types.ModuleType(f"lava.lib.dl.{name}")
        module.__file__ = str(folder / "__init__.py")
        module.__path__ = []
        sys.modules[module.__name__] = module
    sys.modules["lava.lib.dl.slayer.neuron.rf"].neuron_params = None
    from lava.lib.dl.netx import hdf5

    return hdf5


class Streamed:
    """One job: its network with a source and recorders around it, and the files they share."""

    def __init__(self, netx: Any, job: dict[str, Any], folder: Path) -> None:
        self.job, self._folder = job, folder
        with h5py.File(job["net"], "r") as file:
            self.readout, steps = file.attrs["readout"], int(file.attrs["steps"])
            bits = GRADED_BITS if int(file.attrs["input_max"]) > 1 else 0
        with h5py.File(job["spikes"], "r") as file:
            self.batch, self.steps = file["spikes"].shape[:2]
        if self.steps != steps:
            raise ValueError(f"{job['spikes']}: {self.steps} steps a recording, allowed {steps}")
        self.network = netx.Network(
            net_config=job["net"], reset_interval=steps, reset_offset=1, input_message_bits=bits
        )
        self.lag = len(self.network.layers)
        self.clock = self._file("clock", (1,), np.int64)
        self.source = SpikeSource(path=job["spikes"], shape=self.network.inp.shape)
        self.source.s_out.connect(self.network.inp)
        self.layers: list[Path] = []
        self.output = self._record_output()
        if job["record_layers"]:
            self.layers = [self._record(layer, at) for at, layer in enumerate(self.network.layers)]

    @property
    def total(self) -> int:
        """Steps of the run: every recording's, and the lag of the last layer."""
        return self.batch * self.steps + self.lag

    def _file(self, name: str, shape: tuple[int, ...], dtype: Any) -> Path:
        path = self._folder / f"{name}.npy"
        np.lib.format.open_memmap(path, "w+", dtype, shape).flush()
        return path

    def _rows(self, name: str, shape: tuple[int, ...], dtype: Any) -> Path:
        return self._file(name, (self.batch * self.steps, *shape), dtype)

    def _record_output(self) -> Path:
        layer, shape = self.network.out_layer, self.network.out.shape
        spikes = self._record(layer, self.lag - 1)
        if self.readout == "count":
            return spikes
        path = self._rows("membranes", shape, np.int32)
        probe = MembraneRecorder(path=str(path), lag=self.lag, shape=shape)
        probe.state.connect_var(layer.neuron.v)
        return path

    def _record(self, layer: Any, index: int) -> Path:
        path = self._folder / f"layer-{index}.npy"
        if not path.exists():
            self._rows(f"layer-{index}", layer.out.shape, np.uint8)
            recorder = Recorder(
                path=str(path), lag=index + 1, clock=str(self.clock), shape=layer.out.shape
            )
            layer.out.connect(recorder.a_in)
        return path

    def start(self) -> None:
        """Compile the network and start Lava's processes."""
        config = Loihi2SimCfg(select_tag="fixed_pt", exception_proc_model_map=MODELS)
        self.network.create_runtime(run_cfg=config)

    def run(self) -> None:
        """Run every step; returns when the last is done."""
        self.network.run(condition=RunSteps(num_steps=self.total))

    def write(self, timing: dict[str, Any]) -> None:
        """Write the result under a temporary name, then rename it."""
        result = Path(self.job["result"])
        temporary = result.with_suffix(".part")
        with h5py.File(temporary, "w") as file:
            file.attrs["timing"] = json.dumps(timing)
            self._put(file, "outputs", self.output, np.int32)
            for index, path in enumerate(self.layers):
                self._put(file, f"layers/{index}", path, np.uint8)
        temporary.replace(result)

    def _put(self, file: Any, name: str, path: Path, dtype: Any) -> None:
        rows = np.load(path, mmap_mode="r")
        if rows.ndim == 4:
            rows = rows.transpose(0, 3, 2, 1)
        data = rows.reshape(self.batch, self.steps, -1).astype(dtype)
        file.create_dataset(name, data=data, compression="lzf")


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
    """End this process, and every process it forks, when the process before it ends.

    Linux's kernel does so; elsewhere a thread waits until standard input closes.
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
    if thread.is_alive():
        _HUNG.append(network)
        for child in multiprocessing.active_children():
            child.kill()
    return not thread.is_alive()


_HUNG: list[Any] = []


def report_progress(
    streamed: Streamed, done: int, total: int, channel: Channel, over: threading.Event
) -> None:
    """Send the number of steps done until `over` is set."""
    clock = np.load(streamed.clock, mmap_mode="r")
    while not over.wait(POLL_S):
        channel.send("progress", done=done + int(clock[0]), total=total)


def failure(network: Any, error: BaseException) -> str:
    """Return the first error of Lava's processes, or `error` itself, as one line."""
    actors = getattr(getattr(network.runtime, "_messaging_infrastructure", None), "actors", [])
    errors = [actor.exception for actor in actors]
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

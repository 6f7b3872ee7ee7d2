"""The target `loihi`: Lava's bit-accurate models of Loihi, on this machine's processor.

Equal to Lava's CPU model; nothing here says what the chip does.

Axes: `B` recording, `T` time step, `C` channel, `H` height, `W` width, `N` neuron.
"""

import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from numpy.typing import NDArray

from export.errors import HardspikeError
from export.files import sha256
from export.network import FixedPointNetwork, Readout
from export.netx_file import APPROXIMATED_FILE, read_approximates, read_netx, stands_in_for
from hardware.loihi import environment
from hardware.loihi.environment import Announce, announce_on_stderr
from hardware.loihi.limits import check_limits
from hardware.loihi.process import Worker
from hardware.target import Availability, Progress, TargetRun, no_progress

STOP_GRACE_S = 10.0
"""How long the worker may take to end once every result is written."""


@dataclass(frozen=True)
class Says:
    """What netx has no field for: readout, steps of a recording, largest input."""

    readout: Readout
    steps: int
    input_max: int = 1


@dataclass(frozen=True, eq=False)
class Job:
    """A netx file and recordings for it.

    `record_layers` asks for the spikes of every layer, `record_states` for its currents and
    membranes. A file that lava-dl wrote itself does not say how its output is read: `says` does.
    """

    net: Path
    spikes_BTCHW: NDArray[np.uint8]
    record_layers: bool = False
    record_states: bool = False
    says: Says | None = None


@dataclass(frozen=True, eq=False)
class JobResult:
    """What Lava answered to one job, and its times in seconds and steps a second.

    `outputs_BTN` are spikes or membranes as the file's readout asks; `layers_BTN` the spikes of
    every layer in order, `currents_BTN` and `membranes_BTN` (after the reset) its states; empty
    unless asked for.
    """

    outputs_BTN: NDArray[np.int32]
    layers_BTN: tuple[NDArray[np.uint8], ...]
    timing: dict[str, float]
    currents_BTN: tuple[NDArray[np.int32], ...] = ()
    membranes_BTN: tuple[NDArray[np.int32], ...] = ()


@dataclass(eq=False)
class _Followed:
    """What the worker has said so far."""

    versions: dict[str, str] = field(default_factory=dict)
    timings: list[dict[str, float]] = field(default_factory=list)
    stops: list[dict[str, Any]] = field(default_factory=list)
    running_s: float = 0.0


def run_jobs(
    jobs: Sequence[Job],
    *,
    timeout_s: float = 900,
    progress: Progress = no_progress,
    announce: Announce = announce_on_stderr,
) -> tuple[list[JobResult], dict[str, Any]]:
    """Run every job in one worker process; return the results and details of the run.

    The details hold the worker's versions, `startup_s` (until the first network ran), and
    `stopped_cleanly`. `timeout_s` is for all jobs together and excludes making the environment.

    Raises:
        EnvironmentUnavailableError: Lava's environment cannot be had.
        HardspikeError: the worker failed, was killed, or ran out of time; one line.
    """
    interpreter, _ = environment.prepare(announce)
    try:
        with tempfile.TemporaryDirectory(prefix="hardspike-loihi-") as folder:
            return _run_in(Path(folder), interpreter, jobs, timeout_s, progress)
    except OSError as error:
        raise HardspikeError(
            f"loihi: the exchange with Lava's worker failed ({error}); "
            "the folder for temporary files must be writable and have room"
        ) from error


def _run_in(
    folder: Path, interpreter: Path, jobs: Sequence[Job], timeout_s: float, progress: Progress
) -> tuple[list[JobResult], dict[str, Any]]:
    began = time.monotonic()
    orders = [_order(folder, index, job) for index, job in enumerate(jobs)]
    with Worker(interpreter, folder, orders) as worker:
        followed = _follow(worker, len(jobs), began, timeout_s, progress)
    results = [
        _read_result(Path(order["result"]), timing)
        for order, timing in zip(orders, followed.timings, strict=True)
    ]
    details = {
        "versions": followed.versions,
        "startup_s": followed.running_s,
        "stop_s": sum(stop["stop_s"] for stop in followed.stops),
        "stopped_cleanly": len(followed.stops) == len(jobs)
        and all(stop["cleanly"] for stop in followed.stops),
    }
    return results, details


def _order(folder: Path, index: int, job: Job) -> dict[str, Any]:
    """Write the recordings of a job, compressed, and return its entry for the worker."""
    spikes = folder / f"spikes-{index}.h5"
    with h5py.File(spikes, "w") as file:
        chunks = (1, *job.spikes_BTCHW.shape[1:])
        data = np.asarray(job.spikes_BTCHW, np.uint8)
        file.create_dataset("spikes", data=data, chunks=chunks, compression="lzf")
    return {
        "net": str(job.net.resolve()),
        "spikes": str(spikes),
        "result": str(folder / f"result-{index}.h5"),
        "record_layers": job.record_layers,
        "record_states": job.record_states,
        "says": None if job.says is None else asdict(job.says),
    }


def _follow(
    worker: Worker, jobs: int, began: float, timeout_s: float, progress: Progress
) -> _Followed:
    """Follow the worker until it ends; once every result is written it may be slow to do so."""
    followed = _Followed()
    worker.allow(timeout_s)
    try:
        for event in worker.events():
            match event.pop("event"):
                case "started":
                    followed.versions = event["versions"]
                case "running":
                    followed.running_s = followed.running_s or time.monotonic() - began
                case "progress":
                    progress(event["done"], event["total"])
                case "stopped":
                    followed.stops.append(event)
                case "result":
                    followed.timings.append(event)
                    if len(followed.timings) == jobs:
                        worker.allow(STOP_GRACE_S)
                case "error":
                    raise HardspikeError(f"loihi: Lava's worker failed ({event['message']})")
    except TimeoutError as error:
        if len(followed.timings) < jobs:
            raise HardspikeError(
                f"loihi: Lava's worker gave no result within {timeout_s:g} s and was ended"
            ) from error
    if len(followed.timings) < jobs:
        raise HardspikeError(f"loihi: Lava's worker {worker.failure()}")
    return followed


def _read_result(path: Path, timing: dict[str, float]) -> JobResult:
    with h5py.File(path, "r") as file:
        layers, currents, membranes = (_recorded(file, name) for name in ("layers", "u", "v"))
        return JobResult(file["outputs"][()], layers, timing, currents, membranes)


def _recorded(file: Any, name: str) -> tuple[Any, ...]:
    found = file.get(name, {})
    return tuple(found[str(index)][()] for index in range(len(found)))


class LoihiTarget:
    """Runs `model.net` through the unmodified `lava.lib.dl.netx.hdf5.Network`, in its own process.

    Where `model.approximated.net` lies beside it, that one is run, and the run says so.
    `timeout_s` bounds one run, without making the environment on first use, which is announced.
    """

    name, unit = "loihi", "steps"

    def __init__(self, timeout_s: float = 900, announce: Announce = announce_on_stderr) -> None:
        self._timeout_s, self._announce = timeout_s, announce

    def availability(self) -> Availability:
        """Say which Lava this is and whether its environment can be had."""
        return environment.availability()

    def run(
        self,
        artefacts: Path,
        spikes_BTCHW: NDArray[np.uint8],
        *,
        record_layers: bool = False,
        progress: Progress = no_progress,
    ) -> TargetRun:
        """Run the network's file; see `hardware.target.Target`. Progress counts time steps."""
        path = loihi_file(artefacts)
        network, approximates = read_netx(path), read_approximates(path)
        check_limits(network)
        _check_recordings(network, spikes_BTCHW)
        job = Job(path, spikes_BTCHW, record_layers)
        results, details = run_jobs(
            [job], timeout_s=self._timeout_s, progress=progress, announce=self._announce
        )
        names = [layer.name for layer in network.layers]
        return TargetRun(
            outputs_BTN=results[0].outputs_BTN,
            seconds=results[0].timing["run_s"],
            startup_seconds=details["startup_s"],
            layers_BTN=dict(zip(names, results[0].layers_BTN, strict=False)),
            details=details | results[0].timing,
            approximates=approximates,
        )


def loihi_file(artefacts: Path) -> Path:
    """Return the file of a folder that runs here: the network's, or what stands in for it.

    Raises:
        HardspikeError: a file has the name of a stand-in and does not say that it is one, or stands
            in for another network than the one beside it.
    """
    stand_in, own = artefacts / APPROXIMATED_FILE, artefacts / "model.net"
    if not stand_in.exists():
        return own
    if not read_approximates(stand_in):
        raise HardspikeError(
            f"{stand_in}: approximates: found nothing, allowed is what the file approximates"
        )
    if stands_in_for(stand_in) != sha256(own):
        raise HardspikeError(
            f"{stand_in}: stands_in_for: found another network than {own.name}, allowed is the "
            "network beside it; deploy writes both"
        )
    return stand_in


def _check_recordings(network: FixedPointNetwork, spikes_BTCHW: NDArray[np.uint8]) -> None:
    allowed = (network.steps, *network.input_shape)
    if spikes_BTCHW.shape[1:] != allowed or len(spikes_BTCHW) == 0:
        raise HardspikeError(
            f"recordings: found shape {spikes_BTCHW.shape}, allowed at least one of {allowed}"
        )
    if spikes_BTCHW.max() > network.input_max:
        raise HardspikeError(
            f"recordings: found {spikes_BTCHW.max()}, allowed 0 to {network.input_max}"
        )

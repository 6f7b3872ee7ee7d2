"""The part `sinabs`: graphs that other toolkits wrote, imported, checked, deployed and run.

Every step is `hardspike` in a process of its own, as a user runs it. `cnn_sinabs.nir`, the N-MNIST
network of NIR's paper (Pedersen et al. 2024), runs on the test recordings of N-MNIST-1k; the other
files have no recordings and run on random spikes. Files and recordings are the user's own, beside
the checkout.

Axes: `B` recording, `T` time step, `C` channel, `H` height, `W` width.
"""

import json
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.interop_study.part_records import (
    ImportedFile,
    Measured,
    OnTarget,
    Score,
    SinabsPart,
)
from benchmarks.interop_study.settings import ROOT, SEED
from benchmarks.real_recordings import NMNIST_1K
from export.errors import HardspikeError
from export.files import sha256, write_json
from export.network import Reset
from export.netx_file import read_netx
from hardware.target import TargetUnavailableError
from hardware.targets import TARGETS, TargetOptions
from pipeline.metrics import agreement

Say = Callable[[str], None]
FOLDER = NMNIST_1K.parent / "nir"
STEPS, THROUGH_LAVA = 315, 10
_ALL = ("reference", "onnxruntime", "onnxruntime-step", "loihi")
_APPROXIMATED = {"subtract": ("--approximate", "reset")}
"""What an import says of resets that Lava's neuron does not have."""
_RANDOM_COUNT, _RANDOM_STEPS, _RATE = 4, 40, 0.3


@dataclass(frozen=True)
class File:
    """A file, its step in its own unit of time, and the resets that it is measured with."""

    name: str
    dt: float
    resets: tuple[Reset, ...] = ()


FILES = (
    File("cnn_sinabs.nir", 1.0, ("zero", "subtract")),
    File("lif_norse.nir", 1e-4),
    File("two_lif_neurons.nir", 1e-3),
)


def absent() -> str | None:
    """Return what is not there; None where the part can run."""
    for path in (*(FOLDER / file.name for file in FILES), NMNIST_1K):
        if not path.exists():
            return f"{path}: not found; the recordings and graphs are yours to provide"
    return None


def study(say: Say) -> SinabsPart:
    """Import, check, deploy and run all files.

    Raises:
        HardspikeError: a file cannot be measured.
    """
    files = tuple(_file(file, say) for file in FILES)
    return SinabsPart(recordings="N-MNIST-1k, test", steps=STEPS, files=files)


def _file(file: File, say: Say) -> ImportedFile:
    checked = check(FOLDER / file.name, file.dt)
    say(f"{file.name}: {checked.nodes} nodes, {'equal' if checked.all_equal else checked.cause}")
    if checked.cause:
        return checked
    with tempfile.TemporaryDirectory() as folder:
        if not file.resets:
            deploy(FOLDER / file.name, file.dt, Path(folder) / "run")
            random = tuple(run_random(Path(folder) / "run" / "deploy", _ALL))
            return checked.model_copy(update={"random": random})
        runs = []
        for reset in file.resets:
            runs.append(_with_reset(file, reset, Path(folder)))
            for line in in_words(runs[-1]):
                say(f"{file.name}  {line}")
    return checked.model_copy(update={"measured": tuple(runs)})


def _with_reset(file: File, reset: Reset, folder: Path) -> Measured:
    config = folder / f"{reset}.json"
    write_json(config, experiment(_ALL))
    return measure(FOLDER / file.name, file.dt, reset, config, folder / reset)


def experiment(targets: Sequence[str]) -> dict[str, Any]:
    """Return the experiment: all test recordings in binary bins of 1 ms."""
    return {
        "name": "cnn-sinabs",
        "data": {
            "source": {"kind": "folder", "root": str(NMNIST_1K)},
            "binning": {"steps": STEPS, "mode": "binary", "duration_ms": STEPS},
        },
        "evaluate": {"targets": list(targets), "loihi": {"recordings": THROUGH_LAVA}},
    }


def check(path: Path, dt: float) -> ImportedFile:
    """Return what `hardspike check` says of a file."""
    said = ("--dt", str(dt), "--reset", "zero", "--target", "loihi", "--json")
    done = hardspike("check", str(path), *said)
    found: dict[str, Any] = {"nodes": [], "compared": ""}
    if done.stdout:
        found = json.loads(done.stdout)
    return ImportedFile(
        file=path.name,
        sha256=sha256(path),
        dt=dt,
        nodes=len(found["nodes"]),
        all_equal=done.returncode == 0,
        rewrites={
            row["node"]: "; ".join([row["says"], *row["remarks"]])
            for row in found["nodes"]
            if row["status"] != "exact"
        },
        compared=found["compared"],
        cause=_last_line(done).replace(str(path), path.name) if done.returncode else "",
    )


def deploy(path: Path, dt: float, run: Path) -> None:
    """Import a file that has no recordings, and deploy it.

    Raises:
        HardspikeError: one of the commands stopped.
    """
    said = ("--dt", dt, "--reset", "zero", "--steps", _RANDOM_STEPS)
    _must("import", path, *said, "-o", run)
    _must("convert", run)
    _must("deploy", run)


def measure(path: Path, dt: float, reset: Reset, config: Path, run: Path) -> Measured:
    """Import a file with recordings, run every stage and return the figures.

    Raises:
        HardspikeError: one of the commands stopped.
    """
    said = ("--dt", dt, "--reset", reset, *_APPROXIMATED.get(reset, ()))
    _must("import", path, *said, "--data", config, "-o", run)
    return measured(_must("run", run), reset)


def measured(report: dict[str, Any], reset: Reset) -> Measured:
    """Return the figures of a run's report."""
    ladder = {rung["step"]: _score(rung) for rung in report["ladder"]}
    return Measured(
        reset=reset,
        hard_float=ladder["hard_float"],
        bits8=ladder["fixed_point"],
        targets=tuple(_on_target(name, one) for name, one in report["targets"].items()),
    )


def _score(found: dict[str, Any]) -> Score:
    low, high = (min(1.0, max(0.0, end)) for end in found["ci95"])
    return Score(accuracy=found["accuracy"], ci95=(low, high), n=found["n"])


def _on_target(name: str, found: dict[str, Any]) -> OnTarget:
    ran = "accuracy" in found
    return OnTarget(
        target=name,
        version=found["version"],
        status=found["status"],
        recordings=found["n"] if ran else 0,
        agreement=found.get("spike_agreement"),
        score=_score(found) if ran else None,
        reason=found.get("reason", ""),
    )


def run_random(deployed: Path, targets: Sequence[str]) -> Iterator[OnTarget]:
    """Yield what the deployed files do on random spikes, held to the reference."""
    network = read_netx(deployed / "model.net")
    shape = (_RANDOM_COUNT, _RANDOM_STEPS, *network.input_shape)
    spikes_BTCHW = (np.random.default_rng([SEED, 5]).random(shape) < _RATE).astype(np.uint8)
    wanted_BTN = TARGETS["reference"](TargetOptions()).run(deployed, spikes_BTCHW).outputs_BTN
    for name in targets:
        target = TARGETS[name](TargetOptions())
        version = target.availability().version
        try:
            found_BTN = target.run(deployed, spikes_BTCHW).outputs_BTN
        except TargetUnavailableError as error:
            yield OnTarget(
                target=name, version=version, status="not run", recordings=0, reason=str(error)
            )
            continue
        share = agreement(found_BTN, wanted_BTN)
        yield OnTarget(
            target=name,
            version=version,
            status="ok" if share == 1 else "differs",
            recordings=_RANDOM_COUNT,
            agreement=share,
        )


def in_words(found: Measured) -> Iterator[str]:
    """Yield the figures, a line a rung and a target."""
    for name, score in (("float", found.hard_float), ("8 bits", found.bits8)):
        yield f"reset {found.reset}  {name}: {100 * score.accuracy:.1f}%  n={score.n}"
    for one in found.targets:
        yield f"reset {found.reset}  {one.target}: {one.status}, {one.recordings} recordings"


def _must(*arguments: object) -> Any:
    done = hardspike(*map(str, arguments), "--json")
    if done.returncode:
        raise HardspikeError(_last_line(done) or f"{arguments[0]}: status {done.returncode}")
    return json.loads(done.stdout)


def hardspike(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a command in a process of its own."""
    return subprocess.run(
        [sys.executable, "-m", "pipeline", *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )


def _last_line(done: subprocess.CompletedProcess[str]) -> str:
    return (done.stderr.splitlines() or [""])[-1]

"""What the quickstart network's deployment costs on this machine, and what is modelled of Loihi.

Every command is a process of its own, as a user runs it. An entry counts as done when it is of the
network that `runs/quickstart` deploys now.
"""

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, ConfigDict, Field

from benchmarks.deployment_study.settings import QUICKSTART, RECORDS, SUITE, SUITE_ROWS
from benchmarks.records import Sha256
from benchmarks.study.entries import add_entry, read_entries
from benchmarks.study.parallel import Say
from export.errors import HardspikeError
from export.files import read_json, sha256, write_json
from hardware.target import available_cores
from pipeline.config_file import read_tree
from pipeline.latency.machine import machine

FOLDER, NAME = "quickstart", "quickstart"
_KILL_AFTER_CELLS = 20
_POLL_SECONDS = 0.05

Amount = Annotated[float, Field(ge=0)]
Positive = Annotated[float, Field(gt=0)]


class _Entry(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    network_sha256: Sha256
    processor: str
    processors: Annotated[int, Field(ge=1)]


class SuiteRun(_Entry):
    """Ten corruptions at every severity on all test recordings, in one go and killed on the way.

    `whole_seconds` is the time of the whole suite, faults of the chip and contrast included.
    """

    recordings: Annotated[int, Field(ge=1)]
    cells: Annotated[int, Field(ge=1)]
    seconds: Positive
    whole_cells: Annotated[int, Field(ge=1)]
    whole_seconds: Positive
    killed_after_cells: Annotated[int, Field(ge=1)]
    same_bytes_when_resumed: bool
    clean_accuracy: Amount
    mean_retained: dict[str, float]


class LatencyRun(_Entry):
    """Batch 1, medians in milliseconds by thread count; and the ratios to floor and torch eager."""

    onnxruntime: str
    repeats: Annotated[int, Field(ge=1)]
    network_ms: dict[str, Positive]
    floor_ms: dict[str, Positive]
    events_to_class_ms: dict[str, Positive]
    step_ms: dict[str, Positive]
    over_floor: dict[str, Positive]
    over_floor_of_minima: dict[str, Positive]
    ort_over_torch_eager: dict[str, Positive]
    ort_over_torch_batched: dict[str, Positive]
    load_average: Amount | None


class EnergyRun(_Entry):
    """Joules and seconds of one recording by part, by SANA-FE and by published constants."""

    recordings: Annotated[int, Field(ge=1)]
    cores: Annotated[int, Field(ge=1)]
    operations: dict[str, Amount]
    simulated_joules: dict[str, Amount]
    simulated_sd: Amount
    published_joules: dict[str, Amount]
    published_sd: Amount
    simulated_seconds: Amount
    published_seconds: Amount
    sanafe: str


Found = TypeVar("Found", bound=_Entry)


def schema(name: str) -> str:
    """Return the schema of an entry's file."""
    return f"hardspike.study-{name}/1"


def read_entry(folder: Path, name: str, model: type[Found]) -> Found | None:
    """Read `quickstart/<name>.json`; None where there is none.

    Raises:
        HardspikeError: the file has faults.
    """
    return read_entries(folder / FOLDER / f"{name}.json", model, schema(name)).get(NAME)


def measure_quickstart(jobs: int, only: str, say: Say) -> list[str]:
    """Measure what is not on record of the network in `runs/quickstart`, one thing at a time.

    Raises:
        HardspikeError: there is no such run, or a command fails.
    """
    network = QUICKSTART / "deploy" / "model.net"
    if not network.exists():
        raise HardspikeError(f"{network}: is not there; `make demo` makes it")
    deployed = sha256(network)
    for name, (model, measure) in _PARTS.items():
        found = read_entry(RECORDS, name, model)
        if found is not None and found.network_sha256 == deployed:
            continue
        if not all(text in name for text in only.split(",")):
            continue
        say(f"{name} of {QUICKSTART}")
        here = machine()
        about = {
            "network_sha256": deployed,
            "processor": here["processor"],
            "processors": available_cores(),
        }
        entry = model.model_validate(about | measure())
        add_entry(RECORDS / FOLDER / f"{name}.json", NAME, entry, schema(name))
        say(f"{name}: {entry.model_dump_json()}")
    return []


def _suite() -> dict[str, Any]:
    with _copy_of(QUICKSTART) as run, _copy_of(QUICKSTART) as killed:
        suite = run.parent / "suite.json"
        rows = [row for row in read_tree(SUITE)["events"] if row["kind"] in SUITE_ROWS]
        write_json(suite, {"events": rows})
        started = time.perf_counter()
        _hardspike("robustness", run, "--suite", suite)
        seconds = time.perf_counter() - started
        report = read_json(run / "robustness" / "robustness.json")
        cells = len(list((run / "robustness" / "cells").iterdir()))
        stopped = _killed_on_the_way(killed, suite)
        _hardspike("robustness", killed, "--suite", suite)
        same = _same_bytes(run / "robustness", killed / "robustness")
        shutil.rmtree(run / "robustness")
        started = time.perf_counter()
        _hardspike("robustness", run)
        whole = time.perf_counter() - started
        return {
            "recordings": report["clean"]["n"],
            "cells": cells,
            "seconds": seconds,
            "whole_cells": len(list((run / "robustness" / "cells").iterdir())),
            "whole_seconds": whole,
            "killed_after_cells": stopped,
            "same_bytes_when_resumed": same,
            "clean_accuracy": report["clean"]["accuracy"],
            "mean_retained": _mean_retained(run),
        }


def _mean_retained(run: Path) -> dict[str, float]:
    means = read_json(run / "robustness" / "robustness.json")["mean_retained"]
    return {part: float(share) for part, share in means.items() if share is not None}


def _killed_on_the_way(run: Path, suite: Path) -> int:
    """Start the suite, kill it once some cells are there, and return how many there are."""
    cells = run / "robustness" / "cells"
    process = subprocess.Popen(_words("robustness", run, "--suite", suite, "--quiet"))
    try:
        while process.poll() is None and len(list(cells.glob("*.json"))) < _KILL_AFTER_CELLS:
            time.sleep(_POLL_SECONDS)
    finally:
        process.send_signal(signal.SIGKILL)
        process.wait()
    if (run / "robustness" / "robustness.json").exists():
        raise HardspikeError("robustness: was done before it could be killed")
    return len(list(cells.glob("*.json")))


def _same_bytes(one: Path, other: Path) -> bool:
    """Return whether two folders have the same files directly in them, cells left out."""
    files = [
        {path.name: sha256(path) for path in at.iterdir() if path.is_file()} for at in (one, other)
    ]
    return bool(files[0]) and files[0] == files[1]


def _latency() -> dict[str, Any]:
    report = json.loads(_hardspike("latency", QUICKSTART, "--json"))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "eager.json"
        _run([sys.executable, "-m", "benchmarks.latency", str(QUICKSTART), "--json", str(path)])
        eager = read_json(path)["results"]
    results = {str(result["threads"]): result for result in report["results"]}

    def times(kind: str) -> dict[str, float]:
        return {threads: result["times"][kind]["p50_ms"] for threads, result in results.items()}

    def ratio(kind: str) -> dict[str, float]:
        return {threads: r["network_over_products"][kind] for threads, r in results.items()}

    def faster(than: str) -> dict[str, float]:
        return {str(entry["threads"]): entry["times_faster_than"][than] for entry in eager}

    load = report["load_average"]["before"]
    return {
        "onnxruntime": report["machine"]["onnxruntime"],
        "repeats": report["repeats"],
        "network_ms": times("network"),
        "floor_ms": times("products"),
        "events_to_class_ms": times("events_to_class"),
        "step_ms": times("step"),
        "over_floor": ratio("p50"),
        "over_floor_of_minima": ratio("min"),
        "ort_over_torch_eager": faster("torch eager"),
        "ort_over_torch_batched": faster("torch batched"),
        "load_average": None if load is None else load[0],
    }


def _energy() -> dict[str, Any]:
    report = json.loads(_hardspike("energy", QUICKSTART, "--json"))
    simulated, published = report["simulated"], report["published"]
    return {
        "recordings": report["recordings"]["n"],
        "cores": report["mapping"]["cores"],
        "operations": {name: entry["mean"] for name, entry in report["operations"].items()},
        "simulated_joules": {part: one["mean"] for part, one in simulated["joules"].items()},
        "simulated_sd": simulated["joules"]["total"]["sd"],
        "published_joules": {part: one["mean"] for part, one in published["joules"].items()},
        "published_sd": published["joules"]["total"]["sd"],
        "simulated_seconds": simulated["seconds"]["total"]["mean"],
        "published_seconds": published["seconds"]["total"]["mean"],
        "sanafe": report["versions"]["sanafe"],
    }


_PARTS: Mapping[str, tuple[type[_Entry], Callable[[], dict[str, Any]]]] = {
    "suite": (SuiteRun, _suite),
    "latency": (LatencyRun, _latency),
    "energy": (EnergyRun, _energy),
}


@contextmanager
def _copy_of(run: Path) -> Iterator[Path]:
    """Lend a copy of a run without what was measured beside its stages."""
    with tempfile.TemporaryDirectory() as folder:
        yield Path(
            shutil.copytree(
                run, Path(folder) / run.name, ignore=shutil.ignore_patterns("robustness")
            )
        )


def _words(*words: object) -> list[str]:
    return [sys.executable, "-m", "pipeline", *map(str, words)]


def _hardspike(*words: object) -> str:
    quiet = () if "--json" in words else ("--quiet",)
    return _run(_words(*words, *quiet))


def _run(words: Sequence[str]) -> str:
    done = subprocess.run(words, capture_output=True, text=True, check=False, env=os.environ)
    if done.returncode:
        lines = done.stderr.strip().splitlines() or [f"{words[2]} ended with {done.returncode}"]
        raise HardspikeError(lines[-1])
    return done.stdout

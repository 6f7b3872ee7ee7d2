"""`hardspike latency`: wall time of a run's deployed files on this machine's processor."""

import math
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import save

from export.errors import HardspikeError
from export.files import sha256, write_bytes, write_json
from export.netx_file import read_netx
from export.onnx_products import write_products
from hardware.target import available_cores, no_progress
from pipeline.config import Config
from pipeline.data.events import bin_events
from pipeline.data.sources import listing
from pipeline.latency import ways
from pipeline.latency.machine import load_average, machine
from pipeline.latency.page import markdown, threads_in_words
from pipeline.latency.picture import distribution_picture
from pipeline.latency.timing import Times, histogram, in_turn, ratios, summary
from pipeline.latency.ways import Subject
from pipeline.progress import Reporter
from pipeline.run_dir import git_commit, locked, versions
from pipeline.stages import check_current

SCHEMA = "hardspike.latency/1"
FOLDER, JSON, PAGE, PICTURE = "latency", "latency.json", "latency.md", "distribution.png"
PRODUCTS, SAMPLES = "products.onnx", "samples.safetensors"
FEWEST_REPEATS = 10
BATCHES = (1, 8, 32, 128, 512)
_RECORDINGS, _WARM_UP = 100, 30
_BATCH_CALLS, _BATCH_RECORDINGS, _BATCH_BYTES = 5, 512, 256 << 20

Samples = dict[str, Times]


def latency(
    config: Config, run: Path, repeats: int, threads: Sequence[int], reporter: Reporter
) -> dict[str, Any]:
    """Time the run's deployed files, write `latency/` in the run folder, return the report.

    Raises:
        HardspikeError: too few repeats, more threads than processors, or the run is not deployed
            or out of date.
    """
    if repeats < FEWEST_REPEATS:
        raise HardspikeError(f"--repeats: found {repeats}, allowed {FEWEST_REPEATS} and more")
    check_threads(threads)
    with locked(run):
        check_current("deploy", config, run)
        folder = run / FOLDER
        with reporter.bar("data", "recordings") as progress:
            subject = subject_of(config, run, folder / PRODUCTS, progress)
        report, samples = _measured(config, subject, repeats, threads, reporter)
        distribution_picture(samples, folder / PICTURE)
        write_bytes(folder / SAMPLES, save(samples))
        write_bytes(folder / PAGE, markdown(report).encode())
        write_json(folder / JSON, report)
    reporter.line(f"latency   {folder / PAGE}")
    return report


def check_threads(threads: Sequence[int]) -> None:
    """Refuse a count below 1, or above the processors that this process may use.

    Raises:
        HardspikeError: one line for the first fault.
    """
    cores = available_cores()
    for count in threads:
        if not 1 <= count <= cores:
            raise HardspikeError(
                f"--threads: found {count}, allowed 1 to {cores}, the processors that this "
                "process may use"
            )


def subject_of(
    config: Config, run: Path, products: Path, progress: Callable[[int, int], None]
) -> Subject:
    """Return the run's deployed network and its first test recordings, and write its products.

    Raises:
        HardspikeError: recordings are missing, or a file is damaged or cannot be written.
    """
    found = listing(config.data.source, "test", config.data.limit_test)
    positions = range(min(_RECORDINGS, len(found)))
    events = found.read(positions, progress)
    deployed = run / "deploy"
    network = read_netx(deployed / "model.net")
    write_products(network, products)
    return Subject(
        network,
        deployed,
        products,
        config.data,
        events,
        bin_events(events, config.data),
    )


def _measured(
    config: Config, subject: Subject, repeats: int, threads: Sequence[int], reporter: Reporter
) -> tuple[dict[str, Any], Samples]:
    load_before, samples = load_average(), Samples()
    feeds = ways.recorded_feeds(subject)
    results = []
    for count in threads:
        times = _times(subject, feeds, count, repeats, reporter)
        samples |= {f"{count}.{name}": values for name, values in times.items()}
        results.append(_result(subject, times, count, reporter))
    report = {
        "schema": SCHEMA,
        "name": config.name,
        "network_sha256": sha256(subject.deployed / "model.net"),
        "machine": machine(),
        "load_average": {"before": load_before, "after": load_average()},
        "recordings": {"split": "test", "n": len(subject)},
        "steps": subject.network.steps,
        "repeats": repeats,
        "warm_up": _WARM_UP,
        "products": {
            "what": "one Conv, MatMul or MatMulInteger a layer, over all time steps; no neurons, "
            "biases, casts or reshapes",
            "input_density": ways.densities(subject, feeds),
        },
        "results": results,
        "versions": versions(),
        "git_commit": git_commit(),
    }
    return report, samples


def _times(
    subject: Subject, feeds: Any, threads: int, repeats: int, reporter: Reporter
) -> dict[str, Times]:
    """Return the milliseconds of every call; what is compared is called in turn."""
    groups: list[tuple[dict[str, Any], int]] = [
        (
            {
                "products": ways.floor_call(subject, threads, feeds),
                "network": ways.network_call(subject.deployed, subject.spikes_BTCHW, threads),
            },
            len(subject),
        ),
        (
            {
                "binning": ways.binning_call(subject),
                "events_to_class": ways.class_call(subject, threads),
            },
            len(subject),
        ),
        ({"step": ways.StepCall(subject, threads)}, len(subject) * subject.network.steps),
    ]
    times: dict[str, Times] = {}
    for calls, items in groups:
        with reporter.bar(f"{threads_in_words(threads)}: {', '.join(calls)}", "calls") as progress:
            times |= in_turn(calls, items, repeats, _WARM_UP, progress)
    return times


def _result(
    subject: Subject, times: dict[str, Times], threads: int, reporter: Reporter
) -> dict[str, Any]:
    return {
        "threads": threads,
        "times": {
            name: summary(values) | {"histogram": histogram(values)}
            for name, values in times.items()
        },
        "network_over_products": ratios(times["network"], times["products"]),
        "throughput": _throughput(subject, threads, reporter),
    }


def _throughput(subject: Subject, threads: int, reporter: Reporter) -> dict[str, Any]:
    """Return recordings a second by batch size, from the median call, and the best batch.

    The batches take their calls one after the other: a call of the largest clears the caches.
    """
    batches = [batch for batch in BATCHES if _states_bytes(subject) * batch <= _BATCH_BYTES] or [1]
    found = []
    with reporter.bar(f"{threads_in_words(threads)}: batches", "batches") as progress:
        for done, batch in enumerate(batches, 1):
            call = ways.batch_call(subject, threads, batch)
            calls = max(_BATCH_CALLS, _BATCH_RECORDINGS // batch)
            times = in_turn({"batch": call}, 1, calls, 1, no_progress)["batch"]
            median_ms, least_ms = float(np.median(times)), float(times.min())
            found.append(
                {
                    "batch": batch,
                    "calls": calls,
                    "p50_ms": median_ms,
                    "min_ms": least_ms,
                    "recordings_per_second": 1000 * batch / median_ms,
                    "recordings_per_second_at_best": 1000 * batch / least_ms,
                }
            )
            progress(done, len(batches))
    best = max(found, key=lambda entry: float(entry["recordings_per_second"]))
    return {"batches": found, "best_batch": best["batch"]}


def _states_bytes(subject: Subject) -> int:
    """Return the bytes of one recording's largest float32 tensor over all steps."""
    largest = max(math.prod(shape) for shape in subject.network.shapes)
    return 4 * largest * subject.network.steps

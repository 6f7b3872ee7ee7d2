"""The tables of the quickstart network: suite, latency, energy."""

from benchmarks.deployment_study.found import Found
from benchmarks.deployment_study.settings import FLOOR_RATIO, SUITE_LIMIT_SECONDS
from benchmarks.study.tables import Row
from pipeline.energy.table import WHY

_PARTS = {
    "synapse": "synapses",
    "dendrite": "dendrites",
    "soma": "neurons",
    "network": "network on chip",
    "total": "energy an inference",
}


def suite_table(found: Found) -> list[Row]:
    """Return how long the suite took, and whether it survives being killed."""
    rows: list[Row] = [("what", "found")]
    run = found.suite_run
    if run is None:
        return rows
    asked = "met" if run.seconds <= SUITE_LIMIT_SECONDS else "missed"
    rows += [
        ("processor", f"{run.processor}, {run.processors} in use"),
        (
            f"ten corruptions, five severities and clean ({run.cells} cells), "
            f"{run.recordings:,} recordings, ONNX Runtime",
            f"{run.seconds:.0f} s ({SUITE_LIMIT_SECONDS:.0f} s asked: {asked})",
        ),
        (
            f"the whole suite, contrast and faults included ({run.whole_cells} cells)",
            f"{run.whole_seconds:.0f} s",
        ),
        (
            f"killed after {run.killed_after_cells} cells and started again: the same bytes",
            "yes" if run.same_bytes_when_resumed else "no",
        ),
        ("clean accuracy", f"{100 * run.clean_accuracy:.1f}%"),
        *(
            (f"mean accuracy retained, {part}", f"{100 * share:.1f}%")
            for part, share in run.mean_retained.items()
        ),
    ]
    return rows


def latency_table(found: Found) -> list[Row]:
    """Return times and ratios by thread count."""
    run = found.latency
    if run is None:
        return []
    counts = list(run.network_ms)
    head = ("batch 1, medians", *(f"{count} thread(s)" for count in counts))
    milliseconds = {
        "network, ms": run.network_ms,
        "synapse products alone (floor), ms": run.floor_ms,
        "events to class, binning included, ms": run.events_to_class_ms,
        "streaming form, one step, ms": run.step_ms,
    }
    ratios = {
        "network over floor": run.over_floor,
        "network over floor, of minima": run.over_floor_of_minima,
        "torch eager, step by step, over the network": run.ort_over_torch_eager,
        "torch, all steps' synapses as one product, over the network": run.ort_over_torch_batched,
    }
    return [
        head,
        *((name, *(f"{by[count]:.3f}" for count in counts)) for name, by in milliseconds.items()),
        *((name, *(_times(by.get(count)) for count in counts)) for name, by in ratios.items()),
    ]


def _times(ratio: float | None) -> str:
    return "–" if ratio is None else f"{ratio:.2f}×"


def latency_words(found: Found) -> str:
    """Say what was measured and whether the ratio that was asked for is met."""
    run = found.latency
    if run is None:
        return ""
    ratio = run.over_floor["1"]
    load = "" if run.load_average is None else f", load average {run.load_average:.2f} before"
    said = f"{ratio:.2f} times its floor at one thread; at most {FLOOR_RATIO} was asked: " + (
        "met." if ratio <= FLOOR_RATIO else "missed. [latency.md](../latency.md) says why."
    )
    return (
        f"{run.processor}, {run.processors} in use, ONNX Runtime {run.onnxruntime}, "
        f"{run.repeats} calls of each kind{load}. The network takes {said}\n\n"
    )


def energy_table(found: Found) -> list[Row]:
    """Return the two estimates of energy by part, and the factor between them."""
    run = found.energy
    rows: list[Row] = [("modelled, Loihi 1", "SANA-FE", "published constants", "factor")]
    if run is None:
        return rows
    spread = {"total": (run.simulated_sd, run.published_sd)}
    for part, name in _PARTS.items():
        one, other = run.simulated_joules.get(part), run.published_joules.get(part)
        deviations = spread.get(part, (None, None))
        factor = f"{one / other:.2f}" if one and other else ""
        rows.append(
            (
                name,
                _microjoules(one, deviations[0]),
                _microjoules(other, deviations[1]),
                factor,
            )
        )
    one, other = run.simulated_seconds, run.published_seconds
    times = (f"{1e6 * one:.0f} µs", f"{1e6 * other:.0f} µs", f"{one / other:.2f}")
    return [*rows, ("time an inference", *times)]


def _microjoules(joules: float | None, deviation: float | None) -> str:
    if joules is None:
        return "not priced"
    spread = "" if deviation is None else f" ± {1e6 * deviation:.2g}"
    return f"{1e6 * joules:.3g}{spread} µJ"


def energy_words(found: Found) -> str:
    """Say where the factor comes from."""
    run = found.energy
    if run is None:
        return ""
    lines = "\n".join(f"- {line}" for line in WHY)
    return (
        f"\n\nModelled (Loihi 1, SANA-FE {run.sanafe}; published error 12% in energy and 25% in "
        "latency, Boyle et al. 2025) and modelled (Loihi 1, constants of Davies et al. 2018, "
        f"pre-silicon), over the same {run.recordings} recordings on the same {run.cores} cores. "
        f"Where the factor comes from:\n\n{lines}"
    )

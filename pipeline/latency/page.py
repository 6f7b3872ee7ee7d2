"""The latency report as a table and as a page."""

from collections.abc import Mapping, Sequence
from typing import Any

NAMES = {
    "products": "synapse products alone (floor)",
    "network": "network: spikes to output",
    "binning": "binning: events to spikes",
    "events_to_class": "events to class",
    "step": "streaming form, one step",
}


def threads_in_words(count: int | str) -> str:
    """Return `1 thread` or `2 threads`."""
    return f"{count} thread" if str(count) == "1" else f"{count} threads"


def cells(report: Mapping[str, Any]) -> list[Sequence[str]]:
    """Return the times of batch 1 as text, header first."""
    lines: list[Sequence[str]] = [
        ("batch 1, milliseconds", "threads", "p50", "p95", "p99", "min", "over floor")
    ]
    for result in report["results"]:
        for name, times in result["times"].items():
            figures = [f"{times[key]:.3f}" for key in ("p50_ms", "p95_ms", "p99_ms", "min_ms")]
            over = f"{result['network_over_products']['p50']:.2f}×" if name == "network" else ""
            lines.append((NAMES[name], str(result["threads"]), *figures, over))
    return lines


def throughput_cells(report: Mapping[str, Any]) -> list[Sequence[str]]:
    """Return recordings a second by batch size as text, header first."""
    lines: list[Sequence[str]] = [
        ("batch", "threads", "p50, ms", "min, ms", "recordings a second at p50", "")
    ]
    for result in report["results"]:
        found = result["throughput"]
        lines += [
            (
                str(entry["batch"]),
                str(result["threads"]),
                f"{entry['p50_ms']:.2f}",
                f"{entry['min_ms']:.2f}",
                f"{entry['recordings_per_second']:,.0f}",
                "best" if entry["batch"] == found["best_batch"] else "",
            )
            for entry in found["batches"]
        ]
    return lines


def conditions(report: Mapping[str, Any]) -> str:
    """Say in a sentence or two what the times were taken on."""
    machine, load = report["machine"], report["load_average"]
    loads = [
        "not known" if load[when] is None else f"{load[when][0]:.2f}"
        for when in ("before", "after")
    ]
    return (
        f"{machine['processor']}, {machine['processors_allowed']} processor(s) allowed, "
        f"ONNX Runtime {machine['onnxruntime']}. {report['repeats']} calls of each kind after "
        f"{report['warm_up']} to warm up, over {report['recordings']['n']} test recordings of "
        f"{report['steps']} steps. Load average {loads[0]} before, {loads[1]} after."
    )


def markdown(report: Mapping[str, Any]) -> str:
    """Return the page of a report."""
    return "\n".join(
        [
            f"# Latency of {report['name']}",
            "",
            conditions(report),
            "",
            *_table(cells(report)),
            "",
            "Wall time of a call from Python. The floor is `products.onnx`: for each layer its "
            "Conv, MatMul or MatMulInteger alone, over all time steps at once, on the spikes that "
            "the layer takes in the same recording; no neurons, biases, casts or reshapes. "
            "Floor and network are called in turn. Their ratio of medians, of minima, and the "
            "median of the ratio call by call:",
            "",
            *(_ratio_line(result) for result in report["results"]),
            "",
            "![times](distribution.png)",
            "",
            *_table(throughput_cells(report)),
            "",
            "Throughput is that of the sequence form, binning left out: "
            f"{_calls(report)} calls by batch.",
            "",
        ]
    )


def _calls(report: Mapping[str, Any]) -> str:
    batches = report["results"][0]["throughput"]["batches"]
    return ", ".join(f"{entry['calls']} ({entry['batch']})" for entry in batches)


def _ratio_line(result: Mapping[str, Any]) -> str:
    found = result["network_over_products"]
    return (
        f"- {threads_in_words(result['threads'])}: {found['p50']:.2f}×, {found['min']:.2f}×, "
        f"{found['paired']:.2f}×"
    )


def _table(lines: Sequence[Sequence[str]]) -> list[str]:
    header, *body = lines
    rule = ["---", *["---:"] * (len(header) - 1)]
    return ["| " + " | ".join(line) + " |" for line in (header, rule, *body)]

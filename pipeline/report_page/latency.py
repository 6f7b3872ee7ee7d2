"""Wall time of the deployed files: the share of calls done within a time."""

from itertools import accumulate
from typing import NamedTuple

from pipeline.report_page.lines import Axes, Curve, Point, line_chart
from pipeline.report_page.numbers import Numbers, Path, significant
from pipeline.report_page.svg import Chart

NAMES = {
    "network": "network: spikes to output",
    "products": "floor: its synapse products alone",
    "events_to_class": "events to class",
    "binning": "binning: events to spikes",
    "step": "streaming form, one step",
}
_ROOT = "latency"
_PERCENTILES = {"min_ms": 0, "p50_ms": 50, "p95_ms": 95, "p99_ms": 99}


class LatencyChart(NamedTuple):
    """The distribution at one number of threads."""

    name: str
    chart: Chart


def latency_charts(numbers: Numbers) -> list[LatencyChart]:
    """Return a chart a thread count."""
    found = []
    for index, result in enumerate(numbers.at(_ROOT, "results")):
        threads = result["threads"]
        name = f"{threads} thread{'s' if threads > 1 else ''}"
        kinds = [kind for kind in NAMES if kind in result["times"]]
        kinds += [kind for kind in result["times"] if kind not in NAMES]
        path = (_ROOT, "results", index, "times")
        curves = [_curve(numbers, (*path, kind), kind) for kind in kinds]
        axes = Axes("milliseconds a call", "calls done within, %", (0, 100), log_x=True)
        label = f"Share of calls done within a time, {name}"
        found.append(LatencyChart(name, line_chart(curves, axes, label)))
    return found


def kind_name(kind: str) -> str:
    """Return what a kind of call is, in words."""
    return NAMES.get(kind, kind.replace("_", " "))


def _curve(numbers: Numbers, path: Path, kind: str) -> Curve:
    """Return share by time: the histogram's edges, and the least time and the percentiles.

    A few slow calls make bins wide, and the percentiles then have the shape that the bins hide.
    """
    times = numbers.at(*path)
    histogram, name = times["histogram"], kind_name(kind)
    total = sum(histogram["counts"]) + histogram["above"]
    done = [0, *accumulate(histogram["counts"])]
    found = {
        edge: (100 * count / total, dict[str, str]())
        for edge, count in zip(histogram["edges_ms"], done, strict=True)
    }
    for key, share in _PERCENTILES.items():
        found[times[key]] = (float(share), numbers.attributes(*path, key))
    points = [
        Point(
            edge,
            share,
            f"{name}: {share:.0f}% of calls within {significant(edge)} ms",
            attributes=attributes,
        )
        for edge, (share, attributes) in sorted(found.items())
    ]
    return Curve(name, points)

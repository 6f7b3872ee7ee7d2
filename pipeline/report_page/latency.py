"""Wall time of the deployed files: the share of calls done within a time."""

from collections.abc import Mapping
from itertools import accumulate
from typing import Any, NamedTuple

from pipeline.report_page.lines import Axes, Curve, Point, line_chart
from pipeline.report_page.numbers import Numbers, significant
from pipeline.report_page.svg import Chart

NAMES = {
    "network": "network: spikes to output",
    "products": "floor: its synapse products alone",
    "events_to_class": "events to class",
    "binning": "binning: events to spikes",
    "step": "streaming form, one step",
}
_ROOT = "latency"


class LatencyChart(NamedTuple):
    """The distribution at one number of threads."""

    name: str
    chart: Chart


def latency_charts(numbers: Numbers) -> list[LatencyChart]:
    """Return a chart a thread count."""
    found = []
    for result in numbers.at(_ROOT, "results"):
        threads = result["threads"]
        name = f"{threads} thread{'s' if threads > 1 else ''}"
        kinds = [kind for kind in NAMES if kind in result["times"]]
        kinds += [kind for kind in result["times"] if kind not in NAMES]
        curves = [_curve(kind, result["times"][kind]) for kind in kinds]
        axes = Axes("milliseconds a call", "calls done within, %", (0, 100), log_x=True, steps=True)
        label = f"Share of calls done within a time, {name}"
        found.append(LatencyChart(name, line_chart(curves, axes, label)))
    return found


def kind_name(kind: str) -> str:
    """Return what a kind of call is, in words."""
    return NAMES.get(kind, kind.replace("_", " "))


def _curve(kind: str, times: Mapping[str, Any]) -> Curve:
    histogram = times["histogram"]
    total = sum(histogram["counts"]) + histogram["above"]
    shares = [0.0, *(100 * done / total for done in accumulate(histogram["counts"]))]
    name = kind_name(kind)
    points = [
        Point(edge, share, f"{name}: {share:.0f}% of calls within {significant(edge)} ms")
        for edge, share in zip(histogram["edges_ms"], shares, strict=True)
    ]
    return Curve(name, points)

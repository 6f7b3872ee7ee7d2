"""The modelled cost of one recording on Loihi 1: energy and time by part, two estimates."""

from pipeline.report_page.bars import Bar, Part, bar_chart
from pipeline.report_page.numbers import Numbers
from pipeline.report_page.svg import Chart

_ROOT, _TOTAL, _MICRO = "energy", "total", 1e6
_ESTIMATES = ("simulated", "published")
_NAMES = {"synapse": "synapses", "dendrite": "dendrites", "soma": "neurons"}


def energy_charts(numbers: Numbers) -> list[Chart]:
    """Return the charts of joules and of seconds by part."""
    return [
        _chart(numbers, "joules", "µJ", "Modelled energy of one recording by part"),
        _chart(numbers, "seconds", "µs", "Modelled time of one recording by part"),
    ]


def _chart(numbers: Numbers, quantity: str, unit: str, label: str) -> Chart:
    bars = []
    for estimate in _ESTIMATES:
        figures = numbers.at(_ROOT, estimate, quantity)
        parts = [
            Part(_NAMES.get(part, part), (_ROOT, estimate, quantity, part, "mean"))
            for part in figures
            if part != _TOTAL
        ]
        total = f"{_MICRO * figures[_TOTAL]['mean']:.3g} {unit}"
        bars.append(Bar(numbers.at(_ROOT, estimate, "label"), parts, total))
    return bar_chart(numbers, bars, _MICRO, unit, label)

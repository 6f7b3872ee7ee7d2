"""What training did from epoch to epoch, as charts: one a measure, or a few of a kind."""

from collections.abc import Mapping, Sequence
from typing import NamedTuple

from pipeline.convergence_picture import PANELS, Panel, panel_curves
from pipeline.report_page.lines import Axes, Curve, Point, line_chart
from pipeline.report_page.svg import Chart
from pipeline.training.history_files import History, columns

_SAST = (
    Panel("loss", ("loss",)),
    Panel("validation accuracy, %", ("validation",), 100),
    Panel("perturbation ρ", ("rho",)),
    Panel("slope β", ("slope",)),
    Panel("learning rate", ("learning_rate",)),
)
_ADMM = "admm"
_NO_MEASURE = ("epoch",)


class HistoryChart(NamedTuple):
    """A chart, and the name by which it is chosen."""

    name: str
    chart: Chart


def history_charts(history: History, training: Mapping[str, object]) -> list[HistoryChart]:
    """Return a chart a panel; what no panel shows has a chart of its own.

    A measure that never changes has none.
    """
    admm = training["method"] == _ADMM
    keys = [key for key in columns(history) if key not in _NO_MEASURE and _changes(history, key)]
    panels = list(PANELS if admm else _SAST)
    shown = {curve.key for panel in panels for curve in panel_curves(panel, keys)}
    panels += [Panel(key.replace("_", " "), (key,)) for key in keys if key not in shown]
    unit, best = "pass" if admm else "epoch", training["best_epoch"]
    found = []
    for panel in panels:
        curves = _curves(panel, keys, history, unit)
        if curves:
            axes = Axes(
                unit,
                panel.title,
                zero=panel.axis == "zero",
                log_y=panel.axis == "log",
                whole_x=True,
                marked=float(str(best)),
            )
            label = f"{panel.title} by {unit}; {unit} {best} was the best"
            found.append(HistoryChart(panel.title, line_chart(curves, axes, label)))
    return found


def _changes(history: History, key: str) -> bool:
    return len({entry[key] for entry in history if key in entry}) > 1


def _curves(panel: Panel, keys: Sequence[str], history: History, unit: str) -> list[Curve]:
    found = []
    for curve in panel_curves(panel, keys):
        layer = "" if curve.layer is None else f", layer {curve.layer}"
        name = curve.name.replace("_", " ") + layer
        points = [
            Point(
                index,
                panel.factor * entry[curve.key],
                _tip(name, panel, entry, curve.key, index, unit),
            )
            for index, entry in enumerate(history, 1)
            if curve.key in entry
        ]
        found.append(Curve(name, points))
    return found


def _tip(
    name: str, panel: Panel, entry: Mapping[str, float], key: str, index: int, unit: str
) -> str:
    value = panel.factor * entry[key]
    text = f"{value:.1f}%" if panel.title.endswith("%") else f"{value:.4g}"
    return f"{unit} {index}, {name}: {text}"

"""Accuracy of the deployed network under corruptions and faults: a curve a row of the suite."""

from collections.abc import Mapping
from typing import Any, NamedTuple

from pipeline.report_page.lines import Axes, Curve, Point, line_chart
from pipeline.report_page.numbers import Numbers, percent
from pipeline.report_page.svg import Chart
from pipeline.robustness.table import PARTS

_ROOT = "robustness"


class RobustnessRow(NamedTuple):
    """A row of the suite: its part and place in the report, its name, and its curve."""

    part: str
    at: int
    title: str
    chart: Chart


def robustness_rows(numbers: Numbers) -> list[RobustnessRow]:
    """Return every row of the suite in order; one in which all was refused has an empty chart."""
    return [
        RobustnessRow(part, index, row["title"], _chart(numbers, part, index, row))
        for part in PARTS
        for index, row in enumerate(numbers.at(_ROOT, part))
    ]


def _chart(numbers: Numbers, part: str, index: int, row: Mapping[str, Any]) -> Chart:
    clean = numbers.at(_ROOT, "clean", "accuracy")
    points = [
        Point(
            place,
            100 * cell["accuracy"],
            f"{row['title']} {cell['severity']}: {percent(cell['accuracy'])}, 95% interval "
            f"{percent(cell['ci95'][0])} to {percent(cell['ci95'][1])}, "
            f"{percent(cell['retained'])} of clean",
            (100 * cell["ci95"][0], 100 * cell["ci95"][1]),
            numbers.attributes(_ROOT, part, index, "cells", place - 1, "accuracy"),
        )
        for place, cell in enumerate(row["cells"], 1)
        if cell.get("refused") is None
    ]
    names = {place: cell["severity"] for place, cell in enumerate(row["cells"], 1)}
    axes = Axes("", "accuracy, %", (0, 100), level=100 * clean, x_names=names)
    label = f"Accuracy under {row['title']} by severity"
    return line_chart([Curve(row["title"], points)] if points else [], axes, label)

"""The page of a comparison: every run's verdict, cost against accuracy, and one run to choose."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from export.files import write_bytes
from pipeline.compare import Comparison, Run
from pipeline.compare_table import Row, Rows, one_machine, table_rows
from pipeline.report import build_report
from pipeline.report_page.numbers import Numbers
from pipeline.report_page.page import render
from pipeline.report_page.scatter import Spot, scatter_chart
from pipeline.report_page.sections import ladder_chart, losses
from pipeline.report_page.svg import Chart
from pipeline.stages import load_run

_TEMPLATE = "compare.html"
COSTS: Mapping[str, str] = {
    "seconds": "training, seconds",
    "gradient_evaluations": "gradient evaluations in training",
    "flops": "FLOPs in training",
    "joules": "training, joules",
}


@dataclass(frozen=True)
class RunView:
    """A run to choose: its name, its report, and how the page writes its numbers."""

    name: str
    report: Mapping[str, Any]
    numbers: Numbers
    ladder: Chart
    losses: Sequence[float | None]


def write_compare_page(comparison: Comparison, rows: Rows, cost: str, path: Path) -> None:
    """Write the page; the chart of `cost` comes first.

    Raises:
        HardspikeError: a run's files are damaged, or the page cannot be written.
    """
    write_bytes(path, compare_page(comparison, rows, cost))


def compare_page(comparison: Comparison, rows: Rows, cost: str) -> bytes:
    """Return the page of a comparison."""
    views = [_view(index, run) for index, run in enumerate(comparison.runs)]
    header, *body = table_rows(rows)
    return render(
        _TEMPLATE,
        {
            "runs": views,
            "header": header,
            "rows": body,
            "over": rows.over,
            "charts": _charts(comparison, rows, cost),
            "machine": one_machine(rows),
            "faults": comparison.faults,
        },
    )


def _view(index: int, run: Run) -> RunView:
    report = build_report(load_run(run.path), run.path)
    numbers = Numbers(report, (index,))
    return RunView(str(run.path), report, numbers, ladder_chart(numbers), losses(report))


def _charts(comparison: Comparison, rows: Rows, cost: str) -> list[tuple[str, Chart]]:
    """Return name and chart of every cost that all rows have, the one asked for first."""
    order = [cost, *(name for name in COSTS if name != cost)]
    known = [name for name in order if all(name in row.values for row in rows.rows)]
    places = {run.path: index for index, run in enumerate(comparison.runs)}
    return [
        (
            COSTS[name],
            scatter_chart(
                [_spot(rows, row, name, places) for row in rows.rows],
                COSTS[name],
                f"Deployed accuracy against {COSTS[name]}",
            ),
        )
        for name in known
    ]


def _spot(rows: Rows, row: Row, cost: str, places: Mapping[Path, int]) -> Spot:
    low, high = row.interval
    spent, deployed = row.values[cost], row.values["deployed"]
    label = rows.label(row) if rows.over else row.runs[0].path.name
    tip = (
        f"{label}: {deployed.text('.1f')}% ({low:.1f} to {high:.1f}), {row.bits} bits, "
        f"{spent.text(',.3g' if spent.mean < 1000 else ',.0f')} {COSTS[cost]}"
    )
    alone = len(row.runs) == 1
    place = f"/{places[row.runs[0].path]}/targets/reference/accuracy"
    attributes = {"data_value": repr(row.runs[0].figures.deployed), "data_key": place}
    return Spot(spent.mean, deployed.mean, (low, high), tip, attributes if alone else {})

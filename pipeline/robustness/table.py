"""The matrix in words: a line a cell, a table for the terminal, a page."""

from collections.abc import Mapping, Sequence
from typing import Any

from pipeline.robustness.cells import Cell
from pipeline.robustness.settings import label

PARTS = {"events": "corrupted recordings", "faults": "faults of the chip"}
_REFUSED = "refused"


def row_line(cell: Cell, result: Mapping[str, Any], count: str) -> str:
    """Return what is said once a cell is measured."""
    name = "clean" if cell.asked is None else label(cell.asked)
    if cell.draw:
        name = f"{name}, draw {cell.draw + 1}"
    if _REFUSED in result:
        return f"robustness  {count:>7}  {name}: refused: {result[_REFUSED]}"
    accuracy = 100 * result["correct"] / result["n"]
    return f"robustness  {count:>7}  {name}: {accuracy:.1f}%"


def rows(report: Mapping[str, Any], part: str) -> list[Sequence[str]]:
    """Return the table of one part, header first: accuracy at each severity, and the means."""
    entries = report[part]
    columns = max((len(row["cells"]) for row in entries), default=0)
    table: list[Sequence[str]] = [
        (PARTS[part], *(f"severity {at + 1}" for at in range(columns)), "mean", "retained")
    ]
    for row in entries:
        cells = [_cell(entry) for entry in row["cells"]] + [""] * (columns - len(row["cells"]))
        table.append(
            (row["title"], *cells, _percent(row["mean_accuracy"]), _percent(row["mean_retained"]))
        )
    return table


def _cell(entry: Mapping[str, Any]) -> str:
    found = _REFUSED if _REFUSED in entry else _percent(entry["accuracy"])
    return f"{found} ({entry['severity']})"


def _percent(share: float | None) -> str:
    return "–" if share is None else f"{100 * share:.1f}%"


def conclusion(report: Mapping[str, Any]) -> str:
    """Return the clean accuracy and the two numbers in a sentence."""
    clean = report["clean"]
    low, high = clean["ci95"]
    parts = [
        f"{_percent(report['mean_retained'][part])} of it under {words}" + _how_many(report[part])
        for part, words in PARTS.items()
        if report[part]
    ]
    return (
        f"Clean: {_percent(clean['accuracy'])} ({100 * low:.1f}–{100 * high:.1f}%) of "
        f"{clean['n']:,} recordings on {report['target']}. Retained in the mean: "
        f"{'; '.join(parts) or 'nothing was asked'}."
    )


def _how_many(entries: Sequence[Mapping[str, Any]]) -> str:
    ran = sum(row["mean_retained"] is not None for row in entries)
    return "" if ran == len(entries) else f" ({ran} of {len(entries)} rows could be run)"


def refusals(report: Mapping[str, Any]) -> list[str]:
    """Return why cells were refused, each reason once."""
    found = [
        entry[_REFUSED]
        for part in PARTS
        for row in report[part]
        for entry in row["cells"]
        if _REFUSED in entry
    ]
    return list(dict.fromkeys(found))


def markdown(report: Mapping[str, Any]) -> str:
    """Return the page of a report."""
    lines = [
        f"# Robustness of {report['name']}",
        "",
        conclusion(report),
        "",
        f"Accuracy of the deployed files on {report['target']} ({report['version']}), seed "
        f"{report['seed']}. Recordings are corrupted before binning, each from a draw of its own "
        "that depends on the seed, the kind and its name alone. A fault is drawn "
        f"{report['suite']['fault_draws']} times and the accuracies meaned. Retained is accuracy "
        "over clean accuracy, in a row the mean over its severities.",
        "",
        "![curves](robustness.png)",
    ]
    for part in PARTS:
        if report[part]:
            lines += ["", f"## {PARTS[part].capitalize()}", *_table(rows(report, part))]
            lines += ["", *_intervals(report[part])]
    if refusals(report):
        lines += ["", "Refused:", "", *(f"- {reason}" for reason in refusals(report))]
    return "\n".join([*lines, ""])


def _intervals(entries: Sequence[Mapping[str, Any]]) -> list[str]:
    widest = max(
        (
            entry["ci95"][1] - entry["ci95"][0]
            for row in entries
            for entry in row["cells"]
            if _REFUSED not in entry
        ),
        default=None,
    )
    if widest is None:
        return []
    return [
        f"95% Wilson intervals over the recordings are up to ±{50 * widest:.1f} points wide; each "
        "is in robustness.json."
    ]


def _table(table: Sequence[Sequence[str]]) -> list[str]:
    header, *body = table
    dashes = ["---", *("---:" for _ in header[1:])]
    return ["", *("| " + " | ".join(cells) + " |" for cells in (header, dashes, *body))]

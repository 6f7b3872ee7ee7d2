"""What a report says of a run's robustness, where it was measured."""

from collections.abc import Mapping, Sequence
from typing import Any

from pipeline.robustness.table import PARTS


def robustness_section(found: Mapping[str, Any] | None) -> list[str]:
    """Return the lines of the page from what `robustness.json` holds; none of nothing."""
    if found is None:
        return []
    means, clean = found["mean_retained"], found["clean"]
    return [
        "",
        "## Robustness",
        "",
        f"Of the clean accuracy ({_percent(clean['accuracy'])}, n={clean['n']}, on "
        f"{found['target']}) {_percent(means['events'])} is retained in the mean under corrupted "
        f"recordings and {_percent(means['faults'])} under faults of the chip. The whole matrix is "
        "in robustness/robustness.md.",
        "",
        "| mean over severities | accuracy | retained |",
        "| --- | --- | --- |",
        *(_line(row) for part in PARTS for row in found[part]),
    ]


def _line(row: Mapping[str, Any]) -> str:
    cells: Sequence[str] = (
        row["title"],
        _percent(row["mean_accuracy"]),
        _percent(row["mean_retained"]),
    )
    return "| " + " | ".join(cells) + " |"


def _percent(share: float | None) -> str:
    return "–" if share is None else f"{100 * share:.1f}%"

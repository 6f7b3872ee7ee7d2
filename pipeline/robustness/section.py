"""What a report says of a run's robustness, where it was measured."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from export.errors import HardspikeError
from export.files import read_json, sha256
from pipeline.robustness.summary import FOLDER, JSON, SCHEMA

_KEYS = ("target", "version", "seed", "clean", "mean_retained")


def measured_robustness(run: Path) -> dict[str, Any] | None:
    """Return the numbers and the rows' means; None where nothing was measured on these files.

    A report does not depend on them: figures of another network are left out, and so is a file that
    cannot be read.
    """
    path = run / FOLDER / JSON
    if not path.exists():
        return None
    try:
        found = read_json(path)
        if found["schema"] != SCHEMA or found["network_sha256"] != sha256(
            run / "deploy" / "model.net"
        ):
            return None
        rows = [
            {key: row[key] for key in ("title", "mean_accuracy", "mean_retained")}
            for part in ("events", "faults")
            for row in found[part]
        ]
        return {key: found[key] for key in _KEYS} | {"rows": rows}
    except (HardspikeError, KeyError, TypeError):
        return None


def robustness_section(found: Mapping[str, Any] | None) -> list[str]:
    """Return the lines of the page; none where nothing was measured."""
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
        *(_line(row) for row in found["rows"]),
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

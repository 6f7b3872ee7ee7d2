"""The report's section on how a training by ADMM converged, and its picture."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from export.files import read_json
from pipeline.convergence_picture import convergence_picture
from pipeline.training.history_files import HISTORY, TABLE

PICTURE = "convergence.png"
_METHOD = "admm"


def draw_convergence(run: Path, training: Mapping[str, Any], folder: Path) -> list[str]:
    """Draw the picture of a training by ADMM into `folder`; return the names of what was drawn."""
    if training["method"] != _METHOD:
        (folder / PICTURE).unlink(missing_ok=True)  # of a run under another config
        return []
    history = read_json(run / "train" / HISTORY)
    convergence_picture(history, training["best_epoch"], folder / PICTURE)
    return [PICTURE]


def convergence_section(training: Mapping[str, Any]) -> list[str]:
    """Return the section's lines; none for another method."""
    if training["method"] != _METHOD:
        return []
    return [
        "",
        "## Convergence",
        "",
        f"![convergence]({PICTURE})",
        "",
        f"Of {training['epochs']} passes, number {training['best_epoch']} was the best. "
        f"`train/{TABLE}` has a row a pass. Only the accuracy of the hard network says how good "
        "it is: residuals and slack are those of the relaxed problem.",
    ]

"""The curves of a suite: accuracy over severity, one panel a row. Same input, same bytes."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from pipeline.pictures import save_picture

_COLUMNS = 4
_INK, _ACCENT, _MUTED = "#1f2933", "#0b6e99", "#b8c4ce"
_COLOURS = {"events": _ACCENT, "faults": "#d1495b"}


def curves_picture(report: Mapping[str, Any], path: Path) -> None:
    """Draw each row's accuracy with its 95% interval, and the clean accuracy as a dashed line."""
    rows = [(part, row) for part in _COLOURS for row in report[part]]
    lines = max(1, -(-len(rows) // _COLUMNS))
    figure = Figure(figsize=(3.1 * _COLUMNS, 2.3 * lines + 0.4), layout="constrained")
    panels = figure.subplots(lines, _COLUMNS, squeeze=False).reshape(-1)
    for panel in panels[len(rows) :]:
        panel.set_axis_off()
    for panel, (part, row) in zip(panels, rows, strict=False):
        _panel(panel, row, 100 * report["clean"]["accuracy"], _COLOURS[part])
    clean = f"dashed: clean, {100 * report['clean']['accuracy']:.1f}%"
    figure.suptitle(
        f"accuracy, % of {report['clean']['n']:,} recordings (band: 95% interval; {clean})",
        fontsize=10,
        color=_INK,
    )
    save_picture(figure, path)


def _panel(panel: Any, row: Mapping[str, Any], clean: float, colour: str) -> None:
    places = [at for at, cell in enumerate(row["cells"]) if "refused" not in cell]
    cells = [row["cells"][at] for at in places]
    low, high = (np.array([100 * cell["ci95"][end] for cell in cells]) for end in (0, 1))
    panel.axhline(clean, color=_MUTED, linestyle="--", linewidth=1)
    panel.fill_between(places, low, high, color=colour, alpha=0.2, linewidth=0)
    panel.plot(places, [100 * cell["accuracy"] for cell in cells], "o-", color=colour, ms=3.5)
    if not cells:
        panel.text(0.5, 0.4, "refused", transform=panel.transAxes, ha="center", color=_INK)
    words = [
        cell["severity"].replace(" at ", "\nat ").replace(", ", ",\n") for cell in row["cells"]
    ]
    panel.set_xticks(range(len(words)), words, fontsize=6.5)
    panel.set_xlim(-0.3, len(words) - 0.7)
    panel.set_ylim(0, 100)
    panel.set_title(row["title"], fontsize=9, loc="left", color=_INK)
    for side in ("top", "right"):
        panel.spines[side].set_visible(False)
    panel.tick_params(colors=_INK, labelsize=6.5)


def _broken(words: str) -> str:
    """Return a severity in the short lines that fit below a point."""
    return words.replace(", ", ",\n").replace(" at ", "\nat ")

"""The report's pictures: ladder, confusion matrix, raster. Same input, same bytes.

Axes: `T` time step, `N` neuron.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import ListedColormap
from matplotlib.figure import Figure
from numpy.typing import NDArray

from export.files import replacing

_DPI = 150
_INK, _ACCENT, _MUTED = "#1f2933", "#0b6e99", "#b8c4ce"
_PAIR = ("#0b6e99", "#d1495b")
_MAX_ROWS = 120
_LABEL = 18
_ROOM = 0.3


def ladder_picture(ladder: Sequence[Mapping[str, Any]], path: Path) -> None:
    """Draw the accuracy after each step with its 95% interval."""
    figure = Figure(figsize=(7.2, 0.9 + 0.5 * len(ladder)), layout="constrained")
    axes = figure.add_subplot()
    places = np.arange(len(ladder))[::-1]
    values = np.array([100 * rung["accuracy"] for rung in ladder])
    low, high = (100 * np.array([rung["ci95"][end] for rung in ladder]) for end in (0, 1))
    axes.barh(places, values, height=0.62, color=_ACCENT)
    errors = np.maximum([values - low, high - values], 0)
    axes.errorbar(values, places, xerr=errors, fmt="none", ecolor=_INK, elinewidth=1.2, capsize=3)
    for place, rung in zip(places, ladder, strict=True):
        text, inside = f"{100 * rung['accuracy']:.1f}%  n={rung['n']}", rung["accuracy"] > _ROOM
        start = 1.5 if inside else 100 * rung["ci95"][1] + 1.5
        colour = "white" if inside else _INK
        axes.text(start, place, text, va="center", color=colour, fontsize=9, fontweight="bold")
    marks = [" (approx.)" if rung.get("approximated") else "" for rung in ladder]
    names = [
        rung["step"].replace("_", " ") + mark for rung, mark in zip(ladder, marks, strict=True)
    ]
    axes.set_yticks(places, [_short(name) for name in names])
    axes.set_xlim(0, 100)
    axes.set_xlabel("accuracy on the test recordings, % (line: 95% Wilson interval)")
    _plain(axes)
    save_picture(figure, path)


def confusion_picture(counts: NDArray[np.int64], classes: Sequence[str], path: Path) -> None:
    """Draw the confusion matrix, rows the true class, columns the predicted one."""
    size = 2.2 + 0.42 * len(classes)
    figure = Figure(figsize=(size, size), layout="constrained")
    axes = figure.add_subplot()
    share = counts / np.maximum(counts.sum(axis=1, keepdims=True), 1)
    axes.imshow(share, cmap="Blues", vmin=0, vmax=1)
    for row, column in zip(*np.nonzero(counts), strict=True):
        colour = "white" if share[row, column] > 0.5 else _INK
        label = str(counts[row, column])
        axes.text(column, row, label, ha="center", va="center", color=colour, fontsize=8)
    labels = [_short(name) for name in classes]
    axes.set_xticks(range(len(classes)), labels, rotation=90 if max(map(len, labels)) > 2 else 0)
    axes.set_yticks(range(len(classes)), labels)
    axes.set_xlabel("predicted class")
    axes.set_ylabel("true class")
    save_picture(figure, path)


def raster_picture(
    grids_TN: Mapping[str, Mapping[str, NDArray[np.uint8]]],
    input_TN: NDArray[np.uint8],
    dt: float,
    title: str,
    path: Path,
) -> None:
    """Draw one recording's spikes by layer, one column a target.

    `grids_TN` is target → layer → spikes. Of a layer with many neurons the 120 most active on the
    first target are shown, the same on every target; where a target differs from the first, the
    cell is red.
    """
    targets = list(grids_TN)
    first = grids_TN[targets[0]]
    layers = {"input": input_TN, **first}
    figure = Figure(figsize=(4.4 * len(targets) + 0.6, 1.55 * len(layers) + 0.9))
    figure.set_layout_engine("constrained")
    axes = figure.subplots(len(layers), len(targets), sharex=True, squeeze=False)
    for row, (layer, expected_TN) in enumerate(layers.items()):
        rows = most_active(expected_TN)
        for column, target in enumerate(targets):
            shown_TN = input_TN if layer == "input" else grids_TN[target][layer]
            panel = axes[row][column]
            _grid(panel, shown_TN[:, rows], expected_TN[:, rows], dt)
            note = f"{int(np.count_nonzero(shown_TN))} spikes"
            if column and layer != "input":
                note += f", {int((shown_TN != expected_TN).sum())} differ"
            panel.set_title(f"{layer}: {note}", fontsize=8.5, loc="left", color=_INK)
            if column == 0:
                label = f"{len(rows)} of {expected_TN.shape[1]}\nneurons"
                panel.set_ylabel(label, fontsize=8, color=_INK)
    for column, target in enumerate(targets):
        axes[-1][column].set_xlabel(f"ms on {target}")
    figure.suptitle(_plain_text(title), fontsize=10, color=_INK)
    save_picture(figure, path)


def _short(name: str) -> str:
    """Return a label that fits: cut at 18 characters, and no mathematics in it."""
    return _plain_text(name if len(name) <= _LABEL else name[: _LABEL - 1] + "…")


def _plain_text(text: str) -> str:
    return text.replace("$", r"\$")


def most_active(spikes_TN: NDArray[np.uint8]) -> NDArray[np.int64]:
    """Return the 120 neurons with the most spikes, or all of fewer, by their index."""
    counts = np.count_nonzero(spikes_TN, axis=0)
    return np.sort(np.argsort(-counts, kind="stable")[:_MAX_ROWS])


def _grid(
    panel: Any, shown_TN: NDArray[np.uint8], expected_TN: NDArray[np.uint8], dt: float
) -> None:
    """Fill one cell a spike; a cell that differs from what is expected is red, spike or not."""
    steps, neurons = shown_TN.shape
    cells_NT = np.where(shown_TN != expected_TN, 2, shown_TN > 0).T
    panel.imshow(
        cells_NT,
        cmap=ListedColormap(["white", *_PAIR]),
        vmin=0,
        vmax=2,
        aspect="auto",
        interpolation="nearest",
        origin="lower",
        extent=(0, steps * dt * 1000, 0, neurons),
    )
    panel.set_yticks([])
    _plain(panel)


def _plain(axes: Any) -> None:
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    for side in ("left", "bottom"):
        axes.spines[side].set_color(_MUTED)
    axes.tick_params(colors=_INK, labelsize=8.5)


def save_picture(figure: Figure, path: Path) -> None:
    """Write a figure as PNG in one step."""
    FigureCanvasAgg(figure)
    with replacing(path) as temporary:
        figure.savefig(temporary, format="png", dpi=_DPI, metadata={"Software": None})

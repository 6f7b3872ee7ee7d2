"""Where spikes differ, layer by step, and the membranes of the neuron that parts first.

Same input, same bytes.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from pipeline.pictures import save_picture

_INK, _MUTED = "#1f2933", "#b8c4ce"
_PAIR = {"a": "#0b6e99", "b": "#d1495b"}
_NAME, _FILE = 22, 48


def diff_picture(report: Mapping[str, Any], path: Path) -> None:
    """Draw the matrix of disagreement, and where spikes part, both sides' membranes."""
    parting, layers = report["first_parting"], report["layers"]
    heights = [0.6 + 0.32 * len(layers), *([2.6] if parting else [])]
    figure = Figure(figsize=(8.4, sum(heights) + 1.1), layout="constrained")
    panels = figure.subplots(len(heights), 1, squeeze=False, height_ratios=heights)[:, 0]
    _matrix(figure, panels[0], report)
    if parting:
        _membranes(panels[1], report)
    names = [_cut(report[side]["given"], _FILE) for side in "ab"]
    figure.suptitle(f"A: {names[0]}     B: {names[1]}", fontsize=9.5, color=_INK)
    save_picture(figure, path)


def _matrix(figure: Figure, panel: Any, report: Mapping[str, Any]) -> None:
    """Draw the share of (recording, neuron) whose spikes differ; the first layer is at the top."""
    layers, parting = report["layers"], report["first_parting"]
    shares_LT = 100 * np.array([entry["share_by_step"] for entry in layers])
    largest = float(shares_LT.max())
    image = panel.imshow(
        shares_LT,
        cmap="Reds",
        vmin=0,
        vmax=largest or 1,
        aspect="auto",
        interpolation="nearest",
        extent=(-0.5, shares_LT.shape[1] - 0.5, len(layers) - 0.5, -0.5),
    )
    panel.set_yticks(range(len(layers)), [_cut(entry["layer"]) for entry in layers])
    panel.set_xlabel("time step")
    if parting:
        row = [entry["layer"] for entry in layers].index(parting["layer"])
        panel.plot(parting["step"], row, "o", mfc="none", mec=_INK, ms=9, mew=1.3)
    title = f"spikes that differ, % of recording and neuron, up to {largest:.3g}%" + (
        " (circle: the first)" if parting else ": none"
    )
    panel.set_title(title, fontsize=9, loc="left", color=_INK)
    panel.tick_params(colors=_INK, labelsize=8)
    if largest:
        figure.colorbar(image, ax=panel, pad=0.01).ax.tick_params(labelsize=7.5)


def _membranes(panel: Any, report: Mapping[str, Any]) -> None:
    found = report["first_parting"]
    trace = found["trace"]
    for side, colour in _PAIR.items():
        steps, values = np.array(trace["steps"]), np.array(trace[side])
        label = f"{side.upper()}: {_cut(report[side]['given'])}"
        style = "-" if side == "a" else "--"
        panel.plot(steps, values, f"{style}o", ms=3, lw=1.4, color=colour, label=label)
        fired = np.array(trace[f"spikes_{side}"]) > 0
        marker = "^" if side == "a" else "v"
        panel.plot(steps[fired], values[fired], marker, ms=8, mfc="none", mec=colour)
    panel.axvline(found["step"], color=_MUTED, lw=6, alpha=0.4, zorder=0)
    if trace["unit"] == "threshold":
        panel.axhline(1, color=_INK, lw=0.9, ls=":")
    panel.set_ylabel(f"membrane before reset,\nin units of the {trace['unit']}", fontsize=8)
    panel.set_xlabel("time step")
    panel.set_title(
        f"layer {_cut(found['layer'])}, neuron {found['neuron']}, recording {found['recording']} "
        "(triangles: spikes; dotted: threshold)",
        fontsize=9,
        loc="left",
        color=_INK,
    )
    panel.legend(fontsize=7.5, frameon=False)
    panel.tick_params(colors=_INK, labelsize=8)
    for side in ("top", "right"):
        panel.spines[side].set_visible(False)


def _cut(text: str, length: int = _NAME) -> str:
    """Return the end of a long name, without mathematics in it."""
    short = text if len(text) <= length else "…" + text[1 - length :]
    return short.replace("$", r"\$")

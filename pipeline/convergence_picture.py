"""The picture of a training's convergence: small panels over the passes. Same input, same bytes.

A panel shows the keys of the history that begin with its words, and is left out where there are
none; `NAME_1` is of layer 1. What the keys mean is said where they are measured.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import LogLocator, MaxNLocator, NullLocator, StrMethodFormatter

from pipeline.pictures import save_picture
from pipeline.training.history_files import History, columns, split_layer

_INK, _MUTED = "#1f2933", "#b8c4ce"
_COLOURS = ("#0b6e99", "#d1495b", "#e09f3e", "#4f772d", "#7d5ba6")
_DASHES = ("-", "--", ":", "-.")
_WIDE, _VERY_WIDE = 20, 200
"""Values further apart than these, largest to smallest, need a logarithmic axis, with ticks at
1, 2, 5 or at powers of ten alone.
"""
_FEW = 12
"""Passes up to which every one has a marker."""


@dataclass(frozen=True)
class Panel:
    """A panel: its title, the words its keys begin with, what its values are multiplied by.

    `axis`: from zero, around the values, or logarithmic; positive values that are wide apart make
    the first two logarithmic too.
    """

    title: str
    words: tuple[str, ...]
    factor: float = 1.0
    axis: Literal["zero", "around", "log"] = "zero"


@dataclass(frozen=True)
class HistoryCurve:
    """One key of the history; `name` is the key without its layer's number."""

    key: str
    name: str
    layer: int | None


PANELS = (
    Panel("accuracy of the hard network, %", ("training_hard", "validation_hard"), 100),
    Panel("objective, a recording", ("objective", "mismatch")),
    Panel("primal residual", ("residual",)),
    Panel("step size", ("step",)),
    Panel("agreement of relaxed and true spikes, %", ("agreement", "overlap"), 100, "around"),
    Panel("slack of the spikes", ("slack",)),
    Panel("steps at which a neuron fires, %", ("rate",), 100),
    Panel("condition of the Gram matrix", ("condition",), axis="log"),
)


def convergence_picture(history: History, best_epoch: int, path: Path) -> None:
    """Draw what is known of every pass; `best_epoch`, counted from 1, is marked."""
    keys = columns(history)
    found = [(panel, curves) for panel in PANELS if (curves := panel_curves(panel, keys))]
    rows = -(-len(found) // 2)
    figure = Figure(figsize=(7.4, 0.6 + 1.75 * rows), layout="constrained")
    places = figure.subplots(rows, 2, sharex=True, squeeze=False).flatten()
    for axes, (panel, curves) in zip(places, found, strict=False):
        _draw(axes, panel, curves, history, best_epoch)
    for axes in places[len(found) :]:
        axes.remove()
    for axes in places[max(0, len(found) - 2) : len(found)]:
        axes.tick_params(labelbottom=True)
        axes.set_xlabel("pass", fontsize=8.5, color=_INK)
    layers = sorted({curve.layer for _, curves in found for curve in curves if curve.layer})
    _legend(figure, layers)
    save_picture(figure, path)


def panel_curves(panel: Panel, keys: Iterable[str]) -> list[HistoryCurve]:
    """Return those of a history's keys that a panel shows."""
    curves = []
    for key in keys:
        name, layer = split_layer(key)
        if any(name == word or name.startswith(f"{word}_") for word in panel.words):
            curves.append(HistoryCurve(key, name, layer))
    return curves


def _draw(
    axes: Any, panel: Panel, curves: Sequence[HistoryCurve], history: History, best_epoch: int
) -> None:
    names = list(dict.fromkeys(curve.name for curve in curves))
    axes.axvline(best_epoch, color=_MUTED, linewidth=1.0)
    values: list[float] = []
    marker = "o" if len(history) <= _FEW else ""
    for curve in curves:
        points = _points(curve.key, history, panel.factor)
        values += points.values()
        look = _look(curve, names)
        axes.plot(*zip(*points.items(), strict=True), **look, marker=marker, markersize=3.5)
    _scale(axes, panel, min(values), max(values))
    if len(names) > 1:
        _names(axes, curves, names)
    axes.set_title(panel.title, fontsize=8.5, loc="left", color=_INK)
    axes.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    axes.set_xlim(0.5, len(history) + 0.5)
    _plain(axes)


def _scale(axes: Any, panel: Panel, low: float, high: float) -> None:
    wide = low > 0 and high / low > _WIDE
    if not wide and panel.axis != "log":
        if panel.axis == "zero" and low >= 0:
            axes.set_ylim(0, 1.06 * high or 1)
        return
    axes.set_yscale("log")
    axes.set_ylim(low / 1.5, high * 1.5)
    subs = (1.0,) if high / low > _VERY_WIDE else (1.0, 2.0, 5.0)
    axes.yaxis.set_major_locator(LogLocator(subs=subs, numticks=6))
    axes.yaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
    axes.yaxis.set_minor_locator(NullLocator())


def _points(key: str, history: History, factor: float) -> dict[int, float]:
    """Return pass, from 1 → value; passes that lack the key are left out."""
    return {index: factor * entry[key] for index, entry in enumerate(history, 1) if key in entry}


def _look(curve: HistoryCurve, names: Sequence[str]) -> dict[str, Any]:
    """Return colour and dashes: of layers, the colour is the layer and the dashes are the name."""
    place = names.index(curve.name)
    if curve.layer is None:
        return {"color": _COLOURS[place % len(_COLOURS)], "linestyle": "-", "linewidth": 1.5}
    dashes = _DASHES[place % len(_DASHES)]
    return {"color": _colour(curve.layer), "linestyle": dashes, "linewidth": 1.5}


def _colour(layer: int) -> str:
    return _COLOURS[(layer - 1) % len(_COLOURS)]


def _names(axes: Any, curves: Sequence[HistoryCurve], names: Sequence[str]) -> None:
    """Say which line is which, in the panel; a layer's colour is said above all panels."""
    first = {curve.name: curve for curve in reversed(curves)}
    entries = []
    for name in names:
        look = _look(first[name], names)
        if first[name].layer is not None:
            look["color"] = _INK
        entries.append(Line2D([], [], label=name.replace("_", " "), **look))
    box = axes.legend(handles=entries, fontsize=7.5, labelcolor=_INK, handlelength=1.8)
    box.get_frame().set(facecolor="white", edgecolor="none", alpha=0.8)


def _legend(figure: Figure, layers: Sequence[int]) -> None:
    entries = [
        Line2D([], [], color=_colour(layer), linewidth=2, label=f"layer {layer}")
        for layer in layers
    ]
    entries.append(Line2D([], [], color=_MUTED, linewidth=1.0, label="best pass"))
    figure.legend(
        handles=entries,
        loc="outside upper center",
        ncols=min(len(entries), 6),
        frameon=False,
        fontsize=8.5,
        labelcolor=_INK,
    )


def _plain(axes: Any) -> None:
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    for side in ("left", "bottom"):
        axes.spines[side].set_color(_MUTED)
    axes.grid(axis="y", color=_MUTED, linewidth=0.5, alpha=0.5)
    axes.set_axisbelow(True)
    axes.tick_params(which="both", colors=_INK, labelsize=8)

"""The study's pictures: accuracy, robustness, the published iteration, the race, scaling."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullFormatter, NullLocator

from benchmarks.admm_study.found import Found
from benchmarks.admm_study.published import Iteration
from benchmarks.admm_study.scaling_table import NAMES, Curve, curves
from benchmarks.admm_study.settings import ARMS, NETWORKS, NMNIST, SHORT
from benchmarks.admm_study.tables import COLUMNS, arms_of
from benchmarks.statistics import summary
from benchmarks.study.tables import Column, deployed
from pipeline.pictures import save_picture

_COLOURS: Mapping[str, str] = {
    "admm": "#0b6e99",
    "surrogate": "#d1495b",
    "random-hidden": "#8a949e",
    "equal-seconds": "#e8a0a9",
    "sast": "#edae49",
    "warm-start": "#3d8361",
    "readout-refit": "#7a5c99",
    "asked-reset": "#6fb7d6",
}
_ROBUST = COLUMNS[:6]
_ROBUST_HEADS = [
    column.head.replace(", ", "\n").replace("half of the events", "half").replace("of 1 Hz", "")
    for column in _ROBUST
]
Draw = Callable[[Found, Path], None]


def pictures(found: Found) -> dict[str, Draw]:
    """Return file name → what draws it, of all pictures that there are records for."""
    drawn: dict[str, Draw] = {}
    if found.records.by_file:
        drawn |= {"accuracy.png": accuracy_picture, "robustness.png": robustness_picture}
    if any(found.iterations.values()):
        drawn["published.png"] = published_picture
    if any(found.laps.values()):
        drawn["race.png"] = race_picture
    return drawn | {f"scaling-{one.grows}.png": _scaling_of(one) for one in curves(found)}


def accuracy_picture(found: Found, path: Path) -> None:
    """Draw 8-bit accuracy of every arm on every network, mean and standard deviation."""
    figure = Figure(figsize=(9.6, 3.8), layout="constrained")
    networks = _networks_with_runs(found)
    sizes = [len(architectures) for architectures in networks.values()]
    panels = figure.subplots(1, len(networks), width_ratios=sizes, squeeze=False)[0]
    for axes, (dataset, architectures) in zip(panels, networks.items(), strict=True):
        for place, architecture in enumerate(architectures):
            arms = arms_of(found.records, dataset, architecture)
            for index, arm in enumerate(arms):
                values = found.records.values(dataset, f"{architecture}-{arm}", deployed)
                _point(axes, place + (index - (len(arms) - 1) / 2) * 0.1, arm, values.values())
        axes.set_xticks(range(len(architectures)), list(architectures))
        axes.set_xlim(-0.6, len(architectures) - 0.4)
        axes.set_title(dataset, fontsize=10)
        _tidy(axes, "y")
    panels[0].set_ylabel("deployed accuracy at 8 bits, %")
    _legend(figure, panels)
    save_picture(figure, path)


def _networks_with_runs(found: Found) -> dict[str, list[str]]:
    run = {
        dataset: [name for name in architectures if arms_of(found.records, dataset, name)]
        for dataset, architectures in NETWORKS.items()
    }
    return {dataset: names for dataset, names in run.items() if names}


def robustness_picture(found: Found, path: Path) -> None:
    """Draw accuracy at 8 and 4 bits, whole and with corrupted events, a panel a network."""
    figure = Figure(figsize=(10.4, 4.2), layout="constrained")
    panels = figure.subplots(1, len(SHORT), sharey=True, squeeze=False)[0]
    for axes, architecture in zip(panels, SHORT, strict=True):
        arms = arms_of(found.records, NMNIST, architecture)
        for index, arm in enumerate(arms):
            for place, column in enumerate(_ROBUST):
                values = _values(found, architecture, arm, column)
                _point(axes, place + (index - (len(arms) - 1) / 2) * 0.1, arm, values)
        axes.set_xticks(range(len(_ROBUST)), _ROBUST_HEADS, fontsize=8)
        axes.set_xlim(-0.6, len(_ROBUST) - 0.4)
        axes.set_title(f"{NMNIST}, {architecture}", fontsize=10)
        _tidy(axes, "y")
    panels[0].set_ylabel("deployed accuracy, %")
    _legend(figure, panels)
    save_picture(figure, path)


def _values(found: Found, architecture: str, arm: str, column: Column) -> list[float]:
    name = f"{architecture}-{arm}"
    return list(found.records.values(NMNIST, name, column.figure, column.bits).values())


def _point(axes: Axes, x: float, arm: str, values: Iterable[float]) -> None:
    numbers = list(values)
    if numbers:
        entry, colour = summary(numbers), _COLOURS[arm]
        axes.errorbar(
            x,
            entry.mean,
            yerr=entry.sd or 0.0,
            fmt="o",
            capsize=2,
            color=colour,
            label=ARMS[arm].title,
        )


def _legend(figure: Figure, panels: Sequence[Axes]) -> None:
    known = {
        label: handle
        for axes in panels
        for handle, label in zip(*axes.get_legend_handles_labels(), strict=True)
    }
    figure.legend(
        known.values(), known.keys(), loc="outside right center", frameon=False, fontsize=8
    )


def published_picture(found: Found, path: Path) -> None:
    """Draw what the published iteration's objective does, and what its network does."""
    figure = Figure(figsize=(9.6, 3.4), layout="constrained")
    left, right = figure.subplots(1, 2)
    styles = ("-", "--", ":")
    for (architecture, iterations), style in zip(found.iterations.items(), styles, strict=False):
        if not iterations:
            continue
        left.plot(_mean_curve(iterations, "objective"), style, color="#1f2933", label=architecture)
        lines = (
            ("agreement of spikes", "agreement_true", "#0b6e99"),
            ("agreement where one fires", "overlap_true", "#edae49"),
            ("training accuracy, hard", "training_hard", "#d1495b"),
            ("validation accuracy, hard", "validation_hard", "#3d8361"),
        )
        for label, curve, colour in lines:
            values = _mean_curve(iterations, curve, 100)
            right.plot(values, style, color=colour, label=f"{label}, {architecture}")
    left.set_yscale("log")
    left.set_ylabel("objective a recording")
    right.set_ylabel("%")
    for axes in (left, right):
        axes.set_xlabel("pass")
        _tidy(axes, "both")
    figure.legend(
        *right.get_legend_handles_labels(), loc="outside right center", frameon=False, fontsize=8
    )
    left.legend(frameon=False, fontsize=8)
    save_picture(figure, path)


def _mean_curve(iterations: Sequence[Iteration], curve: str, scale: float = 1.0) -> list[float]:
    values = [one.curves.get(curve) or one.of_layers(curve) for one in iterations]
    return [scale * sum(column) / len(column) for column in zip(*values, strict=True)]


def race_picture(found: Found, path: Path) -> None:
    """Draw validation accuracy against seconds of training, a line a training."""
    raced = {network: laps for network, laps in found.laps.items() if laps}
    figure = Figure(figsize=(4.8 * len(raced) + 2.0, 3.6), layout="constrained")
    panels = figure.subplots(1, len(raced), squeeze=False)[0]
    for axes, (network, laps) in zip(panels, raced.items(), strict=True):
        for lap in laps:
            best = np.maximum.accumulate(100 * np.asarray(lap.validation))
            colour, label = _COLOURS[lap.method], ARMS[lap.method].title
            axes.step(lap.seconds, best, where="post", color=colour, label=label, lw=1, alpha=0.7)
        axes.set_xscale("log")
        _plain(axes.xaxis)
        axes.set_xlabel("seconds of training")
        axes.set_ylabel("best validation accuracy so far, %")
        axes.set_title(" ".join(network), fontsize=10)
        _tidy(axes, "both")
    _legend(figure, panels)
    save_picture(figure, path)


def _scaling_of(curve: Curve) -> Draw:
    return lambda found, path: scaling_picture(curve, path)


def scaling_picture(curve: Curve, path: Path) -> None:
    """Draw seconds a pass and memory against what grows, both axes logarithmic."""
    figure = Figure(figsize=(7.2, 2.9), layout="constrained")
    panels = figure.subplots(1, 2)
    lines = (("seconds a pass", curve.seconds), ("memory, MiB", curve.memory))
    for axes, (label, values), found in zip(panels, lines, curve.slopes(), strict=True):
        axes.loglog(curve.sizes, values, "o-", color="#0b6e99")
        axes.set_xticks(curve.sizes, [f"{size:g}" for size in curve.sizes])
        axes.xaxis.set_minor_locator(NullLocator())
        _plain(axes.yaxis)
        axes.set_xlabel(NAMES[curve.grows])
        axes.set_ylabel(label)
        axes.set_title(f"slope {found:.2f}".replace("-", "−"), fontsize=10)
        _tidy(axes, "both")
    save_picture(figure, path)


def _plain(axis: Axis) -> None:
    """Number a logarithmic axis 0.5, 1, 20 and not in powers of ten, without a crowd."""
    axis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
    axis.set_major_formatter("{x:g}")
    axis.set_minor_formatter(NullFormatter())


def _tidy(axes: Axes, grid: str) -> None:
    axes.grid(axis=grid, alpha=0.3)  # type: ignore[arg-type]
    axes.spines[["top", "right"]].set_visible(False)

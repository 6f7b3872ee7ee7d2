"""The study's pictures: accuracy under everything, and accuracy against seconds of training."""

import math
from collections.abc import Callable, Mapping
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from benchmarks.deployment_study.found import Found
from benchmarks.deployment_study.settings import ARMS
from benchmarks.deployment_study.tables import PARTS, arms, in_words, kinds, rows_of, seconds
from benchmarks.statistics import summary
from benchmarks.study.tables import deployed
from pipeline.pictures import save_picture

_COLOURS: Mapping[str, str] = {
    "plain": "#8a949e",
    "sast": "#edae49",
    "slope": "#7a5c99",
    "hard-forward": "#d1495b",
    "admm": "#0b6e99",
    "recipe": "#3d8361",
}
_COLUMNS = 4
Draw = Callable[[Found, Path], None]


def pictures(found: Found) -> dict[str, Draw]:
    """Return file name → what draws it, of all pictures that there are records for."""
    drawn: dict[str, Draw] = {}
    if any(kinds(found, part) for part in PARTS):
        drawn["curves.png"] = curves_picture
    if arms(found):
        drawn["cost.png"] = cost_picture
    return drawn


def curves_picture(found: Found, path: Path) -> None:
    """Draw mean accuracy over severity, a panel a corruption or fault."""
    panels = [(part, kind) for part in PARTS for kind in kinds(found, part)]
    lines = math.ceil(len(panels) / _COLUMNS)
    figure = Figure(figsize=(11.0, 2.3 * lines), layout="constrained")
    grid = figure.subplots(lines, _COLUMNS, sharey=True, squeeze=False)
    for axes, (part, kind) in zip(grid.flat, panels, strict=False):
        for arm in arms(found):
            _curve(axes, found, arm, (part, kind))
        places = ["clean", *found.suite[part][kind]]
        axes.set_xticks(range(len(places)), [_short(text) for text in places], fontsize=6)
        axes.set_title(in_words(kind), fontsize=9)
        axes.grid(alpha=0.3)
        axes.spines[["top", "right"]].set_visible(False)
    for axes in grid.flat[len(panels) :]:
        axes.set_axis_off()
    for axes in grid[:, 0]:
        axes.set_ylabel("accuracy, %", fontsize=8)
    handles, labels = grid.flat[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=len(labels), frameon=False)
    save_picture(figure, path)


def _curve(axes: Axes, found: Found, arm: str, row: tuple[str, str]) -> None:
    entries = found.withstood(arm).values()
    if entries:
        part, kind = row
        severities = range(len(found.suite[part][kind]))
        means = [summary([100 * entry.clean / entry.n for entry in entries]).mean] + [
            summary([100 * rows_of(entry, part)[kind][at] / entry.n for entry in entries]).mean
            for at in severities
        ]
        axes.plot(means, "o-", ms=2.5, lw=1.2, color=_COLOURS[arm], label=ARMS[arm].title)


def _short(severity: str) -> str:
    """Return a severity without what its axis cannot hold."""
    first, *_ = severity.split(",")
    return first.partition(" at ")[0].replace(" a bit", "")


def cost_picture(found: Found, path: Path) -> None:
    """Draw deployed accuracy against seconds of training, mean and standard deviation."""
    figure = Figure(figsize=(6.4, 3.6), layout="constrained")
    axes = figure.add_subplot()
    for arm in arms(found):
        runs = found.runs(arm).values()
        x, y = (summary([figure_(run) for run in runs]) for figure_ in (seconds, deployed))
        axes.errorbar(
            x.mean,
            y.mean,
            xerr=x.sd or 0.0,
            yerr=y.sd or 0.0,
            fmt="o",
            capsize=2,
            color=_COLOURS[arm],
            label=ARMS[arm].title,
        )
    axes.set_xlim(left=0)
    axes.set_xlabel("seconds of training, one thread")
    axes.set_ylabel("deployed accuracy at 8 bits, %")
    axes.grid(alpha=0.3)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(loc="lower right", frameon=False, fontsize=8)
    save_picture(figure, path)

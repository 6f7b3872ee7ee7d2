"""The study's pictures: points lost over slope and ρ, every arm, accuracy against cost."""

import itertools
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.figure import Figure

from benchmarks.sast_study.plan import ARMS, GRID_RHOS, GRID_SLOPES, NMNIST
from benchmarks.sast_study.tables import grid_runs, lost, smooth
from benchmarks.statistics import summary
from benchmarks.study.tables import Figure as RunFigure
from benchmarks.study.tables import Records, deployed
from pipeline.pictures import save_picture

_STEPS: tuple[tuple[str, RunFigure, int, str, str], ...] = (
    ("smooth", smooth, 8, "o", "#b8c4ce"),
    ("deployed, 8 bit", deployed, 8, "D", "#0b6e99"),
    ("deployed, 4 bit", deployed, 4, "s", "#d1495b"),
)
_INK = "#1f2933"
_NEAR, _LINE = 0.1, 1.1
"""Thousands of gradients within which labels would meet, and the points of accuracy of a line."""


def grid_picture(records: Records, path: Path) -> None:
    """Draw the points lost at the swap, and the accuracy at 8 bits, over slope and ρ."""
    figure = Figure(figsize=(9.0, 2.9), layout="constrained")
    panels: tuple[tuple[RunFigure, str, str], ...] = (
        (lost, "points lost at the swap", "Reds"),
        (deployed, "deployed accuracy at 8 bits, %", "Blues"),
    )
    for axes, (value, title, colours) in zip(figure.subplots(1, 2), panels, strict=True):
        cells = np.full((len(GRID_SLOPES), len(GRID_RHOS)), np.nan)
        for row, slope in enumerate(GRID_SLOPES):
            for column, rho in enumerate(GRID_RHOS):
                runs = grid_runs(records, slope, rho, 8)
                if runs:
                    cells[row, column] = np.mean([value(run) or 0.0 for run in runs])
        axes.imshow(cells, cmap=colours, aspect="auto")
        middle = (np.nanmin(cells) + np.nanmax(cells)) / 2
        for (row, column), cell in np.ndenumerate(cells):
            if not np.isnan(cell):
                colour = "white" if cell > middle else _INK
                axes.text(column, row, f"{cell:.1f}", ha="center", va="center", color=colour)
        axes.set_xticks(range(len(GRID_RHOS)), [f"{rho:g}" for rho in GRID_RHOS])
        axes.set_yticks(range(len(GRID_SLOPES)), [f"{slope:g}" for slope in GRID_SLOPES])
        axes.set_xlabel("ρ")
        axes.set_ylabel("slope β")
        axes.set_title(title, fontsize=10)
    save_picture(figure, path)


def arms_picture(records: Records, path: Path) -> None:
    """Draw smooth, 8-bit and 4-bit accuracy of every arm, mean and standard deviation."""
    arms = records.arms(NMNIST, ARMS)
    figure = Figure(figsize=(8.4, 1.2 + 0.42 * len(arms)), layout="constrained")
    axes = figure.add_subplot()
    for shift, (label, value, bits, marker, colour) in zip((0.2, 0.0, -0.2), _STEPS, strict=True):
        found = [
            (place, summary(list(values.values())))
            for place, arm in enumerate(reversed(arms))
            if (values := records.values(NMNIST, arm, value, bits))
        ]
        axes.errorbar(
            [entry.mean for _, entry in found],
            [place + shift for place, _ in found],
            xerr=[entry.sd or 0.0 for _, entry in found],
            fmt=marker,
            color=colour,
            ecolor=colour,
            capsize=2,
            label=label,
        )
    axes.set_yticks(range(len(arms)), [ARMS[arm][0] for arm in reversed(arms)])
    axes.set_ylim(-0.7, len(arms) - 0.3)
    axes.set_xlabel("accuracy on N-MNIST-1k, % (line: standard deviation over runs)")
    axes.grid(axis="x", alpha=0.3)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(loc="lower left", frameon=False, fontsize=8)
    save_picture(figure, path)


def cost_picture(records: Records, path: Path) -> None:
    """Draw deployed accuracy against gradient evaluations, a panel a bit width, a point an arm."""
    figure = Figure(figsize=(10.4, 5.4), layout="constrained")
    arms = records.arms(NMNIST, ARMS)
    panels = figure.subplots(1, 2, sharey=True)
    for axes, (label, value, bits, marker, colour) in zip(panels, _STEPS[1:], strict=True):
        points = []
        for number, arm in enumerate(arms, 1):
            accuracy = summary(list(records.values(NMNIST, arm, value, bits).values())).mean
            runs = records.runs(NMNIST, arm, bits)
            cost = [run.figures.training.gradient_evaluations / 1000 for run in runs]
            points.append((sum(cost) / len(cost), accuracy, str(number)))
        axes.plot([x for x, _, _ in points], [y for _, y, _ in points], marker, color=colour)
        for (x, y, text), height in zip(points, _apart(points), strict=True):
            axes.annotate(
                text,
                (x, y),
                (x + 0.06, height),
                fontsize=8,
                va="center",
                arrowprops={"arrowstyle": "-", "lw": 0.5, "color": "#b8c4ce"},
            )
        axes.set_title(label, fontsize=10)
        axes.set_xlabel("gradient evaluations of training (10³)")
        axes.grid(alpha=0.3)
        axes.spines[["top", "right"]].set_visible(False)
    panels[0].set_ylabel("accuracy on N-MNIST-1k, %")
    names = "\n".join(f"{number}  {ARMS[arm][0]}" for number, arm in enumerate(arms, 1))
    panels[1].text(1.08, 1.0, names, transform=panels[1].transAxes, va="top", fontsize=8)
    save_picture(figure, path)


def _apart(points: Sequence[tuple[float, float, str]]) -> list[float]:
    """Return a height for each label, near its point and clear of others of about the same cost."""
    heights = [y for _, y, _ in points]
    for group in _of_like_cost([x for x, _, _ in points]):
        group.sort(key=lambda index: heights[index])
        for before, after in itertools.pairwise(group):
            heights[after] = max(heights[after], heights[before] + _LINE)
    return heights


def _of_like_cost(costs: Sequence[float]) -> list[list[int]]:
    """Return the indices in groups, each a chain of costs whose neighbours are near."""
    order = sorted(range(len(costs)), key=lambda index: costs[index])
    groups = [order[:1]]
    for before, after in itertools.pairwise(order):
        if costs[after] - costs[before] >= _NEAR:
            groups.append([])
        groups[-1].append(after)
    return groups

"""Deployed accuracy against training cost: one marker a row of a comparison, and the Pareto front.

Same input, same bytes.
"""

import itertools
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.patheffects import withStroke
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter
from matplotlib.transforms import Bbox

from export.files import replacing
from pipeline.compare_table import Row, Rows, one_machine

Cost = Literal["seconds", "gradient_evaluations", "flops", "joules"]
_DPI = 150
_INK, _ACCENT, _MUTED, _FAINT = "#1f2933", "#0b6e99", "#7b8794", "#b8c4ce"
_MARKERS = {8: "o", 7: "h", 6: "D", 5: "p", 4: "s", 3: "^", 2: "v"}
_MIXED = "X"
_LOG_RATIO = 10
_LARGE = 1e9
_LABEL = 44
_MANY = 14
_DISTANCES = (7, 16, 28, 42, 60)
"""From a label to its marker, in points."""
_BESIDE = 12
_SIDES = (
    (0.6, 0.6, "left", "bottom"),
    (-0.6, 0.6, "right", "bottom"),
    (-1, 0, "right", "center"),
    (0.6, -0.6, "left", "top"),
    (-0.6, -0.6, "right", "top"),
    (1, 0, "left", "center"),
    (0, 1, "center", "bottom"),
    (0, -1, "center", "top"),
)


def pareto_front(points: Sequence[tuple[float, float]]) -> list[int]:
    """Return the indices of the (cost, accuracy) points that no other beats, by rising cost.

    A point is beaten by one that costs no more and is as accurate, and better in one of the two.
    """
    order = sorted(range(len(points)), key=lambda index: (points[index][0], -points[index][1]))
    front: list[int] = []
    for index in order:
        cost, accuracy = points[index]
        last = points[front[-1]] if front else None
        if last is None or accuracy > last[1] or (cost, accuracy) == last:
            front.append(index)
    return front


def pareto_picture(rows: Rows, cost: Cost, path: Path) -> None:
    """Draw deployed accuracy with its interval against training cost; markers are weight bits."""
    figure = Figure(figsize=(8.0, 5.0), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    points = [(row.values[cost].mean, row.values["deployed"].mean) for row in rows.rows]
    front = pareto_front(points)
    _scales(axes, rows, points)
    _front_line(axes, [points[index] for index in front])
    for index, row in enumerate(rows.rows):
        _marker(axes, row, points[index], cost, index in front, len(points) > _MANY)
    axes.set_xlabel(_cost_in_words(rows, cost))
    axes.set_ylabel("deployed accuracy, %")
    _legend(axes, rows)
    _plain(axes)
    order = front + [index for index in range(len(points)) if index not in front]
    chosen = order if len(points) <= _MANY else front
    figure.draw_without_rendering()
    radius = 4 * figure.dpi / 72
    marks = [_around(axes.transData.transform(point), radius) for point in points]
    lines = _line_boxes(axes, rows, [points[index] for index in front], cost)
    labels = [(points[index], rows.label(rows.rows[index])) for index in chosen]
    _labels(axes, labels, marks, lines)
    with replacing(path) as temporary:
        figure.savefig(temporary, format="png", dpi=_DPI, metadata={"Software": None})


def _scales(axes: Any, rows: Rows, points: Sequence[tuple[float, float]]) -> None:
    """Set the axes' ranges; the cost is on a logarithmic scale where it spans more than 1 to 10."""
    costs = [cost for cost, _ in points]
    low, high = min(costs), max(costs)
    if low > 0 and high > _LOG_RATIO * low:
        axes.set_xscale("log")
        axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
        axes.xaxis.set_major_formatter(FuncFormatter(_number))
        axes.xaxis.set_minor_formatter(NullFormatter())
        axes.set_xlim(low / 1.5, high * 1.8)
    else:
        room = 0.12 * (high - low) or 0.1 * high or 1.0
        axes.set_xlim(max(0.0, low - room), high + 1.6 * room)
    ends = [end for row in rows.rows for end in row.interval]
    room = max(1.0, 0.08 * (max(ends) - min(ends)))
    axes.set_ylim(max(0.0, min(ends) - room), min(100.0, max(ends) + room) + 0.2)


def _number(value: float, _: int) -> str:
    return f"{value:.3g}" if value >= _LARGE else f"{value:,.12g}"


def _front_line(axes: Any, front: Sequence[tuple[float, float]]) -> None:
    costs, accuracies = zip(*front, strict=True)
    axes.step(costs, accuracies, where="post", color=_ACCENT, linewidth=2.2, alpha=0.35, zorder=1)


def _marker(
    axes: Any, row: Row, point: tuple[float, float], cost: Cost, in_front: bool, many: bool
) -> None:
    colour = _ACCENT if in_front else _MUTED
    low, high = row.interval
    spread = row.values[cost].deviation
    axes.errorbar(
        [point[0]],
        [point[1]],
        xerr=None if spread is None else [[min(spread, point[0])], [spread]],
        yerr=[[max(0.0, point[1] - low)], [max(0.0, high - point[1])]],
        fmt=_shape(row),
        color=(colour, 0.75 if many and not in_front else 1.0),
        ecolor=(_ACCENT, 0.5) if in_front else (_FAINT, 0.7),
        elinewidth=0.9,
        markersize=6 if many else 8,
        markeredgecolor="white",
        markeredgewidth=0.7,
        zorder=4 if in_front else 3,
    )


def _shape(row: Row) -> str:
    bits = {run.figures.bits for run in row.runs}
    return _MARKERS[bits.pop()] if len(bits) == 1 else _MIXED


def _cost_in_words(rows: Rows, cost: Cost) -> str:
    if cost == "gradient_evaluations":
        return "gradient evaluations in training"
    if cost == "flops":
        return "FLOPs in training"
    machine, unit = one_machine(rows), "s" if cost == "seconds" else "J"
    return f"training, {unit} ({'on different machines' if machine is None else f'on {machine}'})"


def _legend(axes: Any, rows: Rows) -> None:
    shapes = {row.bits: _shape(row) for row in rows.rows}
    entries = [
        Line2D([], [], color=_MUTED, marker=shapes[bits], linestyle="", label=f"{bits} bits")
        for bits in sorted(shapes)
    ]
    interval = "mean ± standard deviation" if rows.over else "95% Wilson interval"
    entries += [
        Line2D([], [], color=_ACCENT, linewidth=2.2, alpha=0.35, label="Pareto front"),
        Line2D([], [], color=_MUTED, marker="|", linestyle="", markersize=11, label=interval),
    ]
    axes.figure.legend(
        handles=entries, loc="outside upper center", ncols=len(entries), frameon=False, fontsize=8.5
    )


def _plain(axes: Any) -> None:
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    for side in ("left", "bottom"):
        axes.spines[side].set_color(_FAINT)
    axes.grid(axis="y", color=_FAINT, linewidth=0.5, alpha=0.5)
    axes.set_axisbelow(True)
    axes.tick_params(colors=_INK, labelsize=8.5)


def _labels(
    axes: Any,
    labels: Sequence[tuple[tuple[float, float], str]],
    marks: Sequence[Bbox],
    lines: Sequence[Bbox],
) -> None:
    """Write the labels, the first ones first, each at the first free place about its marker.

    Markers and labels are never written over, lines only where there is no other place. A label
    for which there is none at all is left out: the table has them all.
    """
    taken = list(marks)
    for point, label in labels:
        text = axes.annotate(
            _cut(label),
            point,
            (0, 0),
            textcoords="offset points",
            fontsize=7.5,
            color=_INK,
            zorder=5,
        )
        text.set_in_layout(False)
        text.set_path_effects([withStroke(linewidth=2.5, foreground="white")])
        box = _settle(text, axes.get_window_extent(), [*taken, *lines]) or _settle(
            text, axes.get_window_extent(), taken
        )
        if box is None:
            text.remove()
        else:
            taken.append(box)
            _lead(axes, point, box)


def _lead(axes: Any, point: tuple[float, float], box: Bbox) -> None:
    """Draw a thin line from a marker to its label where that is not right beside it."""
    place = axes.transData.transform(point)
    end = np.clip(place, box.min, box.max)
    if np.linalg.norm(end - place) > _BESIDE * axes.figure.dpi / 72:
        ends = axes.transData.inverted().transform([place, end])
        axes.plot(*ends.T, color=_MUTED, linewidth=0.5, zorder=2)


def _settle(text: Any, frame: Bbox, taken: Sequence[Bbox]) -> Bbox | None:
    """Move a label to a free place; return the box that it fills, None where there is none."""
    for distance, (right, up, horizontal, vertical) in itertools.product(_DISTANCES, _SIDES):
        text.set(position=(distance * right, distance * up), ha=horizontal, va=vertical)
        box = text.get_window_extent()
        inside = frame.x0 <= box.x0 and box.x1 <= frame.x1
        inside &= frame.y0 <= box.y0 and box.y1 <= frame.y1
        if inside and not box.count_overlaps(taken):
            return Bbox(box.get_points())
    return None


def _line_boxes(
    axes: Any, rows: Rows, front: Sequence[tuple[float, float]], cost: Cost
) -> list[Bbox]:
    """Return the boxes, in pixels, of the front's line and of all intervals."""
    corners = [
        point for pair in itertools.pairwise(front) for point in (pair[0], (pair[1][0], pair[0][1]))
    ]
    segments = list(itertools.pairwise([*corners, *front[-1:]]))
    for row in rows.rows:
        place = row.values[cost].mean
        segments.append(((place, row.interval[0]), (place, row.interval[1])))
    ends = [axes.transData.transform(segment) for segment in segments]
    return [Bbox([end.min(axis=0) - 1, end.max(axis=0) + 1]) for end in ends]


def _around(centre: Any, radius: float) -> Bbox:
    x, y = centre
    return Bbox([[x - radius, y - radius], [x + radius, y + radius]])


def _cut(label: str) -> str:
    """Return a label that fits, with no mathematics in it."""
    text = label if len(label) <= _LABEL else label[: _LABEL - 1] + "…"
    return text.replace("$", r"\$")

"""Curves: what training did, accuracy under corruption, a distribution."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from pipeline.report_page.svg import WIDTH, Chart, Drawing, Scale, grid, number, spread

_HEIGHT, _LEFT, _RIGHT, _TOP, _BOTTOM = 210.0, 44.0, 12.0, 22.0, 34.0
_WIDE = 20
"""Positive values further apart than this, largest to smallest, need a logarithmic axis."""
_FEW, _RADIUS = 12, 3.5
"""Points up to which each has a dot, and a dot's size."""
LOOKS = 8
"""Series that the style sheet tells apart."""


@dataclass(frozen=True)
class Point:
    """A point of a curve: what is said of it, an interval about it, attributes of its mark.

    Attributes are written as `Drawing.add` takes them.
    """

    x: float
    y: float
    tip: str
    ends: tuple[float, float] | None = None
    attributes: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Curve:
    """A named row of points, by rising x."""

    name: str
    points: Sequence[Point]


@dataclass(frozen=True)
class Axes:
    """Labels and ranges. `y_range` fixes the vertical axis; else `zero` has it start there.

    `log` makes both logarithmic where that is asked, the vertical one also where positive values
    are wide apart and it need not start at zero. `marked` draws a line at one x.
    """

    x: str
    y: str
    y_range: tuple[float, float] | None = None
    zero: bool = False
    log_x: bool = False
    log_y: bool = False
    marked: float | None = None
    level: float | None = None
    x_names: Mapping[int, str] | None = None
    whole_x: bool = False


def line_chart(curves: Sequence[Curve], axes: Axes, label: str) -> Chart:
    """Draw curves over one another; points of short curves, and figures of the report, have dots.

    Without any curve the axes need a `y_range` and `x_names`.
    """
    points = [point for curve in curves for point in curve.points]
    x = _x_scale(points, axes)
    y = _y_scale(points, axes)
    drawing = Drawing(_HEIGHT, label)
    grid(drawing, x, y, axes.x, axes.y, axes.x_names)
    if axes.level is not None:
        drawing.add(
            "line", class_="marked", x1=x.start, x2=x.end, y1=y(axes.level), y2=y(axes.level)
        )
    if axes.marked is not None:
        at = x(axes.marked)
        drawing.add("line", class_="marked", x1=at, x2=at, y1=y.end, y2=y.start)
    for place, curve in enumerate(curves):
        _draw(drawing, curve, f"s{place % LOOKS + 1}", x, y)
    legend = [(f"s{place % LOOKS + 1}", curve.name) for place, curve in enumerate(curves)]
    return Chart(drawing.markup(), legend if len(curves) > 1 else ())


def _x_scale(points: Sequence[Point], axes: Axes) -> Scale:
    if axes.x_names is not None:
        return Scale(min(axes.x_names) - 0.4, max(axes.x_names) + 0.4, _LEFT, WIDTH - _RIGHT)
    values = [point.x for point in points]
    low, high = min(values), max(values)
    if low == high:
        low, high = (low / 2, high * 2) if axes.log_x else (low - 0.5, high + 0.5)
    return Scale(low, high, _LEFT, WIDTH - _RIGHT, axes.log_x, axes.whole_x)


def _y_scale(points: Sequence[Point], axes: Axes) -> Scale:
    if axes.y_range is not None:
        return Scale(*axes.y_range, _HEIGHT - _BOTTOM, _TOP)
    values = [end for point in points for end in (point.y, *(point.ends or ()))]
    low, high = min(values), max(values)
    log = low > 0 and (axes.log_y or high / low > _WIDE)
    if log:
        low, high = low / 1.3, high * 1.3
    else:
        low, high = spread(values, axes.zero)
    return Scale(low, high, _HEIGHT - _BOTTOM, _TOP, log)


def _draw(drawing: Drawing, curve: Curve, look: str, x: Scale, y: Scale) -> None:
    places = [(x(point.x), y(point.y)) for point in curve.points]
    drawing.add("path", class_=f"curve {look}", d=_path(places))
    for point, (at, height) in zip(curve.points, places, strict=True):
        if point.ends is not None:
            low, high = (y(end) for end in point.ends)
            drawing.add("line", class_=f"range thin {look}", x1=at, x2=at, y1=low, y2=high)
        drawing.mark(
            "circle",
            point.tip,
            class_=f"dot {look}{' few' if len(places) <= _FEW or point.attributes else ''}",
            cx=at,
            cy=height,
            r=_RADIUS,
            **point.attributes,
        )


def _path(places: Sequence[tuple[float, float]]) -> str:
    return "M" + "L".join(f"{number(x)} {number(y)}" for x, y in places)

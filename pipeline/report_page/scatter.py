"""Deployed accuracy against a cost of training, and which runs no other beats."""

from collections.abc import Sequence
from dataclasses import dataclass

from pipeline.pareto_picture import pareto_front
from pipeline.report_page.svg import WIDTH, Chart, Drawing, Scale, grid, number, spread

_HEIGHT, _LEFT, _RIGHT, _TOP, _BOTTOM = 260.0, 44.0, 12.0, 22.0, 34.0
_LOG_RATIO = 10


@dataclass(frozen=True)
class Spot:
    """A point with its interval, in percent, and what is said of it.

    Attributes are written as `Drawing.add` takes them.
    """

    cost: float
    accuracy: float
    ends: tuple[float, float]
    tip: str
    attributes: dict[str, str]


def scatter_chart(spots: Sequence[Spot], cost: str, label: str) -> Chart:
    """Draw all points with their intervals, those that none beats in a colour of their own."""
    x, y = _x_scale(spots), _y_scale(spots)
    drawing = Drawing(_HEIGHT, label)
    grid(drawing, x, y, cost, "deployed accuracy, %")
    front = pareto_front([(spot.cost, spot.accuracy) for spot in spots])
    places = [(x(spots[index].cost), y(spots[index].accuracy)) for index in front]
    (first, height), *others = places
    path = "".join(f"H{number(at)}V{number(up)}" for at, up in others)
    drawing.add("path", class_="front s1", d=f"M{number(first)} {number(height)}{path}")
    for index, spot in enumerate(spots):
        look, at = "s1" if index in front else "s8", x(spot.cost)
        low, high = (y(end) for end in spot.ends)
        drawing.add("line", class_=f"range thin {look}", x1=at, x2=at, y1=low, y2=high)
        drawing.mark(
            "circle",
            spot.tip,
            class_=f"dot few {look}",
            cx=at,
            cy=y(spot.accuracy),
            r=4.5,
            **spot.attributes,
        )
    return Chart(drawing.markup(), [("s1", "beaten by none"), ("s8", "beaten by another")])


def _x_scale(spots: Sequence[Spot]) -> Scale:
    costs = [spot.cost for spot in spots]
    low, high = min(costs), max(costs)
    if low > 0 and high > _LOG_RATIO * low:
        return Scale(low / 1.3, high * 1.3, _LEFT, WIDTH - _RIGHT, True)
    low, high = spread(costs, room=0.12)
    return Scale(max(0.0, low), high, _LEFT, WIDTH - _RIGHT)


def _y_scale(spots: Sequence[Spot]) -> Scale:
    low, high = spread([end for spot in spots for end in spot.ends])
    return Scale(max(0.0, low), min(100.0, high), _HEIGHT - _BOTTOM, _TOP)

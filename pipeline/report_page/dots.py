"""Accuracies with their intervals, one under the other."""

from collections.abc import Sequence
from dataclasses import dataclass

from pipeline.report_page.numbers import Numbers, Path, percent
from pipeline.report_page.svg import WIDTH, Chart, Drawing, Scale, bottom_ticks, spread

_ROW, _LEFT, _RIGHT, _BELOW = 30.0, 12.0, 12.0, 36.0
_LEAST = 4.0
"""Percentage points that the axis spans at least."""


@dataclass(frozen=True)
class Dot:
    """One accuracy: its name, the place of its entry in the report, the class of its mark."""

    name: str
    entry: Path
    look: str = "s1"


def dot_chart(numbers: Numbers, dots: Sequence[Dot], label: str, axis: str) -> Chart:
    """Draw a row a dot: name and figure above, 95% Wilson interval and dot below."""
    entries = [numbers.at(*dot.entry) for dot in dots]
    ends = [100 * end for entry in entries for end in (*entry["ci95"], entry["accuracy"])]
    x = Scale(*_range(ends), _LEFT, WIDTH - _RIGHT)
    height = _ROW * len(dots) + _BELOW
    drawing = Drawing(height, label)
    bottom_ticks(drawing, x, height - _BELOW + 4, axis)
    for value in x.ticks(6):
        drawing.add("line", class_="grid", x1=x(value), x2=x(value), y1=2.0, y2=height - _BELOW + 4)
    for row, (dot, entry) in enumerate(zip(dots, entries, strict=True)):
        top = row * _ROW
        low, high = (x(100 * end) for end in entry["ci95"])
        middle = top + 22
        drawing.add("text", dot.name, class_="name", x=_LEFT, y=top + 13)
        shown = percent(entry["accuracy"])
        drawing.add("text", shown, class_="name end", x=WIDTH - _RIGHT, y=top + 13)
        drawing.add("line", class_=f"range {dot.look}", x1=low, x2=high, y1=middle, y2=middle)
        drawing.mark(
            "circle",
            f"{dot.name}: {shown}, 95% interval {percent(entry['ci95'][0])} to "
            f"{percent(entry['ci95'][1])}, {entry['n']:,} recordings",
            class_=f"dot {dot.look}",
            cx=x(100 * entry["accuracy"]),
            cy=middle,
            r=4.5,
            **numbers.attributes(*dot.entry, "accuracy"),
        )
    return Chart(drawing.markup())


def _range(ends: Sequence[float]) -> tuple[float, float]:
    low, high = spread(ends)
    missing = max(0.0, _LEAST - (high - low)) / 2
    return max(0.0, low - missing), min(100.0, high + missing)

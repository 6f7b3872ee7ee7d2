"""Stacked bars: a whole and its parts, one bar under the other."""

from collections.abc import Sequence
from dataclasses import dataclass

from pipeline.report_page.numbers import Numbers, Path
from pipeline.report_page.svg import WIDTH, Chart, Drawing, Scale, bottom_ticks

_ROW, _BAR, _LEFT, _RIGHT, _BELOW = 46.0, 20.0, 12.0, 12.0, 36.0


@dataclass(frozen=True)
class Part:
    """A part of a bar: the place of its value in the report, and the series it belongs to."""

    name: str
    value: Path


@dataclass(frozen=True)
class Bar:
    """A bar, its parts, and the text at its right end."""

    name: str
    parts: Sequence[Part]
    total: str


def bar_chart(numbers: Numbers, bars: Sequence[Bar], factor: float, unit: str, label: str) -> Chart:
    """Draw bars of values times `factor`, in `unit`."""
    names = list(dict.fromkeys(part.name for bar in bars for part in bar.parts))
    sums = [sum(factor * numbers.at(*part.value) for part in bar.parts) for bar in bars]
    x = Scale(0.0, 1.04 * max(sums) or 1.0, _LEFT, WIDTH - _RIGHT)
    height = _ROW * len(bars) + _BELOW
    drawing = Drawing(height, label)
    bottom_ticks(drawing, x, height - _BELOW, unit)
    for row, bar in enumerate(bars):
        top, done = row * _ROW, 0.0
        drawing.add("text", bar.name, class_="name", x=_LEFT, y=top + 13)
        drawing.add("text", bar.total, class_="name end", x=WIDTH - _RIGHT, y=top + 13)
        for part in bar.parts:
            value = factor * numbers.at(*part.value)
            drawing.mark(
                "rect",
                f"{bar.name}, {part.name}: {value:.3g} {unit}",
                class_=f"bar s{names.index(part.name) + 1}",
                x=x(done),
                y=top + 19,
                width=x(done + value) - x(done),
                height=_BAR,
                **numbers.attributes(*part.value),
            )
            done += value
    legend = [(f"s{place}", name) for place, name in enumerate(names, 1)]
    return Chart(drawing.markup(), legend)

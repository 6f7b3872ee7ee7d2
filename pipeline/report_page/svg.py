"""Charts' common parts: a drawing, scales with round ticks, axes.

Lengths are in the drawing's own units, about one CSS pixel on a phone. Colours are the style
sheet's: a mark carries a class, so that light, dark and paper need no second drawing.
"""

import math
import textwrap
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple
from xml.etree import ElementTree

from markupsafe import Markup

WIDTH = 360.0
_TICK_STEPS = (1, 2, 5, 10)
_NAME_WIDTH, _NAME_LINES = 10, 3
"""Letters in a line of a name below an axis, and its lines."""


class Chart(NamedTuple):
    """A drawing, and its legend: class and name of every series."""

    svg: Markup
    legend: Sequence[tuple[str, str]] = ()


class Drawing:
    """An SVG under construction. Text and attributes are escaped by the XML writer.

    `label` is what a screen reader says of it. A drawing with marks to read (`data-tip`) takes the
    keyboard's focus.
    """

    def __init__(self, height: float, label: str, width: float = WIDTH) -> None:
        self.root = ElementTree.Element(
            "svg",
            {
                "viewBox": f"0 0 {number(width)} {number(height)}",
                "role": "img",
                "aria-label": label,
            },
        )

    def add(
        self,
        tag: str,
        text: str | None = None,
        parent: ElementTree.Element | None = None,
        /,
        **attributes: object,
    ) -> ElementTree.Element:
        """Add an element. `class_` is class, `data_tip` is data-tip; floats are rounded."""
        found = {
            key.rstrip("_").replace("_", "-"): number(value)
            if isinstance(value, float)
            else str(value)
            for key, value in attributes.items()
        }
        target = self.root if parent is None else parent
        element = ElementTree.SubElement(target, tag, found)
        element.text = text
        return element

    def mark(self, tag: str, tip: str, **attributes: object) -> ElementTree.Element:
        """Add an element that says `tip` under the pointer or the keyboard's cursor."""
        self.root.set("tabindex", "0")
        return self.add(tag, data_tip=tip, **attributes)

    def markup(self) -> Markup:
        """Return the drawing as text."""
        return Markup(ElementTree.tostring(self.root, encoding="unicode"))


def number(value: float) -> str:
    """Return a coordinate with two decimals at most."""
    return f"{value:.2f}".rstrip("0").rstrip(".")


@dataclass(frozen=True)
class Scale:
    """From values to the drawing: `low` lies at `start`, `high` at `end`.

    `whole` keeps ticks at whole numbers.
    """

    low: float
    high: float
    start: float
    end: float
    log: bool = False
    whole: bool = False

    def __call__(self, value: float) -> float:
        """Return the place of a value."""
        low, high, at = self.low, self.high, value
        if self.log:
            low, high, at = math.log(low), math.log(high), math.log(value)
        return self.start + (at - low) / (high - low) * (self.end - self.start)

    def ticks(self, most: int = 5) -> list[float]:
        """Return round values within the scale, `most` or somewhat fewer."""
        if self.log:
            return log_ticks(self.low, self.high, most)
        found = ticks(self.low, self.high, most)
        return [value for value in found if value.is_integer()] if self.whole else found


def ticks(low: float, high: float, most: int = 5) -> list[float]:
    """Return multiples of 1, 2 or 5 times a power of ten within [low, high]."""
    raw = (high - low) / max(most, 1)
    power = 10.0 ** math.floor(math.log10(raw))
    step = next(power * factor for factor in _TICK_STEPS if power * factor >= raw * (1 - 1e-9))
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    return [round(place * step, 12) for place in range(first, last + 1)]


def log_ticks(low: float, high: float, most: int = 5) -> list[float]:
    """Return 1, 2 and 5 times powers of ten within [low, high]; powers alone where those are many.

    Where even the powers are many, every second or third of them.
    """
    exponents = range(math.floor(math.log10(low)), math.ceil(math.log10(high)) + 1)
    for factors in ((1, 2, 5), (1,)):
        found = [factor * 10.0**exponent for exponent in exponents for factor in factors]
        inside = [value for value in found if low * (1 - 1e-9) <= value <= high * (1 + 1e-9)]
        if len(inside) <= most + 1:
            return inside
    return inside[:: math.ceil(len(inside) / most)]


def tick_text(value: float) -> str:
    """Return a tick's label."""
    if value and not 1e-3 <= abs(value) < 1e6:
        return f"{value:.0e}".replace("e+0", "e").replace("e-0", "e−")
    return f"{value:,.12g}".replace("-", "−")


def spread(values: Sequence[float], zero: bool = False, room: float = 0.06) -> tuple[float, float]:
    """Return a range about values, from zero where asked and possible, never empty."""
    low, high = min(values), max(values)
    if zero and low >= 0:
        return 0.0, high * (1 + room) or 1.0
    margin = room * (high - low) or 0.05 * abs(high) or 1.0
    return low - margin, high + margin


def grid(
    drawing: Drawing,
    x: Scale,
    y: Scale,
    x_label: str,
    y_label: str,
    x_names: Mapping[int, str] | None = None,
) -> None:
    """Draw axes: lines across at the ticks of `y`, labels below and to the left.

    `x_names`, place → words, stand in for ticks below.
    """
    for value in y.ticks():
        place = y(value)
        drawing.add("line", class_="grid", x1=x.start, x2=x.end, y1=place, y2=place)
        drawing.add("text", tick_text(value), class_="tick end", x=x.start - 5, y=place + 3.5)
    if x_names is None:
        bottom_ticks(drawing, x, y.start, x_label)
    else:
        _bottom_names(drawing, x, y.start, x_names)
    drawing.add("text", y_label, class_="axis", x=4.0, y=11.0)


def _bottom_names(drawing: Drawing, x: Scale, place: float, names: Mapping[int, str]) -> None:
    drawing.add("line", class_="base", x1=x.start, x2=x.end, y1=place, y2=place)
    for at, name in names.items():
        for row, line in enumerate(textwrap.wrap(name, _NAME_WIDTH)[:_NAME_LINES]):
            y = place + 12 + 10 * row
            drawing.add("text", line, class_="tick middle", x=x(at), y=y)


def bottom_ticks(drawing: Drawing, x: Scale, place: float, label: str, most: int = 6) -> None:
    """Draw the horizontal axis at `place`."""
    drawing.add("line", class_="base", x1=x.start, x2=x.end, y1=place, y2=place)
    for value in x.ticks(most):
        at = x(value)
        drawing.add("line", class_="base", x1=at, x2=at, y1=place, y2=place + 3)
        drawing.add("text", tick_text(value), class_="tick middle", x=at, y=place + 14)
    drawing.add("text", label, class_="axis end", x=x.end, y=place + 28)

"""Numbers on the page: each is looked up in the report, so that the page cannot say another.

A number stands in a `<data>` element, or on a mark of a chart, with its exact value and, as a JSON
pointer (RFC 6901), its place in `report.json`.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from markupsafe import Markup

Path = Sequence[str | int]

_ALL_BUT = 99.9999
_THOUSAND = 1000
_BYTES = ("B", "kB", "MB", "GB")


def _tenths(value: float) -> float:
    """Round to one decimal; nothing has no sign."""
    return round(value, 1) or 0.0


def percent(value: float) -> str:
    """A share with one decimal."""
    return f"{100 * value:.1f}%"


def fine_percent(value: float) -> str:
    """A small share with two decimals."""
    return f"{100 * value:.2f}%"


def points(value: float) -> str:
    """A difference of shares in percentage points, with its sign."""
    return f"{_tenths(100 * value):+.1f}".replace("-", "−")


def lost(value: float) -> str:
    """A share lost in percentage points; a gain is negative."""
    return f"{_tenths(100 * value):.1f}".replace("-", "−")


def micro(value: float) -> str:
    """Millionths with three significant digits."""
    return f"{1e6 * value:.3g}"


def milliseconds(value: float) -> str:
    """Milliseconds to the microsecond."""
    return f"{value:.3f}"


def scientific(value: float) -> str:
    """Three significant digits, by a power of ten where that is shorter."""
    return f"{value:.3g}".replace("e+", "e")


def agreement(value: float) -> str:
    """A share that is not all never reads as all."""
    return "all" if value == 1 else f"{min(100 * value, _ALL_BUT):.4f}%"


def count(value: float) -> str:
    """A whole number, or one rounded to it."""
    return f"{value:,.0f}"


def significant(value: float) -> str:
    """Three significant digits, thousands divided by commas."""
    return f"{value:,.0f}" if abs(value) >= _THOUSAND else f"{value:.3g}"


def size(value: float) -> str:
    """Bytes in powers of 1,000."""
    for unit in _BYTES:
        if value < _THOUSAND or unit == _BYTES[-1]:
            break
        value /= _THOUSAND
    return f"{value:.0f} {unit}" if unit == "B" else f"{value:.3g} {unit}"


FORMS: Mapping[str, Callable[[float], str]] = {
    form.__name__: form
    for form in (
        percent,
        fine_percent,
        points,
        lost,
        micro,
        milliseconds,
        scientific,
        agreement,
        count,
        significant,
        size,
    )
}


def pointer(path: Path) -> str:
    """Return a path as a JSON pointer."""
    parts = (str(part).replace("~", "~0").replace("/", "~1") for part in path)
    return "".join(f"/{part}" for part in parts)


class Numbers:
    """The figures of a report tree, and how they are written."""

    def __init__(self, tree: Any, root: Path = ()) -> None:
        self.tree = tree
        self.root = root

    def at(self, *path: str | int) -> Any:
        """Return what stands at a path."""
        found = self.tree
        for part in path:
            found = found[part]
        return found

    def attributes(self, *path: str | int) -> dict[str, str]:
        """Return value and place as attributes of a chart's mark, `data_…` for `data-…`."""
        return {
            "data_value": json.dumps(self.at(*path)),
            "data_key": pointer([*self.root, *path]),
        }

    def show(self, path: Path, form: str) -> Markup:
        """Return a `<data>` element; a dash where there is no value."""
        value = self.at(*path)
        if value is None:
            return Markup("–")
        return Markup('<data value="{}" data-key="{}">{}</data>').format(
            json.dumps(value), pointer([*self.root, *path]), FORMS[form](value)
        )

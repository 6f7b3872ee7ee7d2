"""Results on standard output: a table for people, JSON for programs."""

import json
from collections.abc import Sequence
from typing import Any, Literal

from rich import box
from rich.console import Console
from rich.measure import Measurement
from rich.table import Table

_ENDLESS = 100_000


def print_json(value: Any) -> None:
    """Print `value` as indented JSON."""
    print(json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False))


def print_table(title: str, rows: Sequence[Sequence[str]], wide: bool = False) -> None:
    """Print a table, header first: the first column to the left, numbers to the right.

    A `wide` table is printed whole, whatever its width: a narrow terminal wraps its lines.
    """
    header, *body = rows
    table = Table(
        title=title,
        title_justify="left",
        header_style="bold",
        box=box.SIMPLE_HEAD,
        padding=(0, 1, 0, 0),
        pad_edge=False,
    )
    for index, name in enumerate(header):
        last_text = len(header) <= 3 and index == len(header) - 1
        align: Literal["left", "right"] = "right" if index and not last_text else "left"
        table.add_column(name, justify=align, no_wrap=wide or not last_text)
    for row in body:
        table.add_row(*row)
    console = Console(highlight=False, markup=False)
    if wide:
        endless = console.options.update(max_width=_ENDLESS)
        console.width = max(console.width, Measurement.get(console, endless, table).maximum)
    console.print(table)

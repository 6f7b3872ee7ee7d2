"""`hardspike check`: what becomes of every node of a file from elsewhere."""

import argparse
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, get_args

from export.errors import HardspikeError
from pipeline.config import TargetName
from pipeline.imported.import_command import add_file_arguments, options_of
from pipeline.printing import print_json, print_table

if TYPE_CHECKING:
    from export.imported.checking import Row

_NAMED = 5


def add_arguments(command: argparse.ArgumentParser) -> None:
    """Declare the arguments of `hardspike check`."""
    add_file_arguments(command)
    command.add_argument(
        "--target",
        action="append",
        choices=get_args(TargetName),
        default=[],
        dest="targets",
        help="say too what the chip's integers or that target cannot have; may be given again",
    )


def carry_out(arguments: argparse.Namespace) -> None:
    """Print a line a node.

    Raises:
        HardspikeError: the file cannot be read at all, or says other than the command line; or,
            after the table, nodes that are neither exact nor equivalent.
    """
    from pipeline.imported.check_file import check_file

    path: Path = arguments.file
    if arguments.approximate and "loihi" not in arguments.targets:
        raise HardspikeError(
            "--approximate reset: is for loihi, and --target loihi was not given; allowed is both"
        )
    checked = check_file(
        path, options_of(arguments), arguments.targets, bool(arguments.approximate)
    )
    rows = checked.rows
    others = [row.node for row in rows if not row.is_equal]
    if arguments.json:
        print_json(
            {
                "file": str(path),
                "equal": not others,
                "compared": checked.compared,
                "nodes": [asdict(row) for row in rows],
            }
        )
    else:
        print_table(f"{path.name}: {len(rows)} nodes", _table(rows), wide=True)
        print(f"{checked.compared}.")
    if others:
        raise HardspikeError(
            f"{path}: {len(others)} of {len(rows)} nodes are neither exact nor equivalent: "
            f"{', '.join(others[:_NAMED])}{', …' if len(others) > _NAMED else ''}"
        )


def _table(rows: "Sequence[Row]") -> list[Sequence[str]]:
    lines: list[Sequence[str]] = [("node", "kind", "what becomes of it")]
    lines += [(row.node, row.kind, row_text(row)) for row in rows]
    return lines


def row_text(row: "Row") -> str:
    """Return what a row says besides its node: what becomes of it, then remarks."""
    says = f"{row.status}: {row.says}" if row.says else row.status
    return "; ".join([says, *row.remarks])

"""`hardspike check`: what becomes of every node of a file from elsewhere."""

import argparse
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path

import numpy as np

from export.errors import HardspikeError
from export.imported.checking import Checked, Row, check_graph
from export.imported.nir_reader import read_nir_graph
from export.imported.reading import shaped
from export.network import Array, HardSpikeNetwork
from hardware.reference import run_float
from hardware.targets import TARGETS
from pipeline.imported.fixed_point import fixed_point_rows
from pipeline.imported.formats import format_of
from pipeline.imported.import_command import add_file_arguments, options_of
from pipeline.printing import print_json, print_table

_BITS, _NAMED = 8, 5


def add_arguments(command: argparse.ArgumentParser) -> None:
    """Declare the arguments of `hardspike check`."""
    add_file_arguments(command)
    command.add_argument(
        "--target",
        action="append",
        choices=list(TARGETS),
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
    path: Path = arguments.file
    checked = check_file(arguments)
    rows = checked.rows
    equal = all(row.is_equal for row in rows)
    if arguments.json:
        print_json(
            {
                "file": str(path),
                "equal": equal,
                "compared": checked.compared,
                "nodes": [asdict(row) for row in rows],
            }
        )
    else:
        print_table(f"{path.name}: {len(rows)} nodes", _table(rows), wide=True)
        print(f"{checked.compared}.")
    if not equal:
        others = [row.node for row in rows if not row.is_equal]
        raise HardspikeError(
            f"{path}: {len(others)} of {len(rows)} nodes are neither exact nor equivalent: "
            f"{', '.join(others[:_NAMED])}{', …' if len(others) > _NAMED else ''}"
        )


def check_file(arguments: argparse.Namespace) -> Checked:
    """Return what becomes of every node of the file, and of every layer on the targets named."""
    path: Path = arguments.file
    found = format_of(path)
    if found != "nir":
        raise HardspikeError(f"{path}: found {found}, allowed is NIR: check takes graphs")
    options = options_of(arguments)
    graph = shaped(read_nir_graph(path), options.input_shape)
    try:
        checked = check_graph(graph, options, _run)
    except HardspikeError as error:
        raise HardspikeError(*(f"{path}: {line}" for line in str(error).splitlines())) from error
    if checked.network is None or not arguments.targets:
        return checked
    rows = fixed_point_rows(checked.rows, checked.network, _BITS, arguments.targets)
    return replace(checked, rows=rows)


def _run(network: HardSpikeNetwork, spikes_BTCHW: Array) -> dict[str, Array]:
    """Return what every layer's neurons give."""
    trace = run_float(network, np.asarray(spikes_BTCHW, np.uint8))
    given: dict[str, Array] = dict(trace.spikes_BTN)
    if not network.layers[-1].neuron.fires:
        given[network.layers[-1].name] = trace.membranes_BTN
    return given


def _table(rows: Sequence[Row]) -> list[Sequence[str]]:
    lines: list[Sequence[str]] = [("node", "kind", "what becomes of it")]
    for row in rows:
        says = f"{row.status}: {row.says}" if row.says else row.status
        lines.append((row.node, row.kind, "; ".join([says, *row.remarks])))
    return lines

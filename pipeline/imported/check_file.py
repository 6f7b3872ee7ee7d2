"""What becomes of every node of a file, in the contract and on the targets."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from export.errors import HardspikeError
from export.imported.checking import Checked, check_graph
from export.imported.nir_reader import read_nir_graph
from export.imported.reading import Options, shaped
from export.network import Array, HardSpikeNetwork
from hardware.reference import run_float
from pipeline.imported.check_integers import check_integers_of
from pipeline.imported.fixed_point import fixed_point_rows
from pipeline.imported.formats import format_of

_BITS = 8


def check_file(
    path: Path, options: Options, targets: Sequence[str], approximate_reset: bool = False
) -> Checked:
    """Return what becomes of every node of the file, and of every layer on the targets named.

    `approximate_reset` lets `loihi` run what comes nearest to a subtractive reset.

    Raises:
        HardspikeError: the file cannot be read, is no graph, or says other than `options`.
    """
    found = format_of(path)
    if found != "nir":
        return check_integers_of(path, found, options, targets, approximate_reset)
    graph = shaped(read_nir_graph(path), options.input_shape)
    try:
        checked = check_graph(graph, options, _run)
    except HardspikeError as error:
        raise HardspikeError(*(f"{path}: {line}" for line in str(error).splitlines())) from error
    if checked.network is None or not targets:
        return checked
    rows = fixed_point_rows(checked.rows, checked.network, _BITS, targets, approximate_reset)
    return replace(checked, rows=rows)


def _run(network: HardSpikeNetwork, spikes_BTCHW: Array) -> dict[str, Array]:
    """Return what every layer's neurons give."""
    trace = run_float(network, np.asarray(spikes_BTCHW, np.uint8))
    given: dict[str, Array] = dict(trace.spikes_BTN)
    if not network.layers[-1].neuron.fires:
        given[network.layers[-1].name] = trace.membranes_BTN
    return given

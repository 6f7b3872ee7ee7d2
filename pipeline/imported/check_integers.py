"""What becomes of the layers of a file that is in Loihi's integers already: netx and ONNX."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np

from export.errors import HardspikeError
from export.imported.checking import GRAPH, Checked, Row
from export.imported.reading import Options
from export.network import Conv, FixedPointNetwork, Layer, LoihiLIF, Readout
from hardware.loihi.netx_import import inspect_lava_netx
from pipeline.imported.cores import Cores, cores_of
from pipeline.imported.fixed_point import by_layer, check_targets
from pipeline.imported.formats import Format, is_ours
from pipeline.imported.reading import import_network

_CHIP, _ANY_TARGET = "loihi", "reference"
_KINDS = ("input", "conv", "dense", "denserec")
"""What layers of lava-dl's files are named after, before their group's number."""
_ANY_STEPS = 16
_ANY_READOUT: Readout = "count"
"""For lava-dl's files, which say neither and whose layers depend on neither."""


def check_integers_of(
    path: Path,
    found: Format,
    options: Options,
    targets: Sequence[str],
    approximate_reset: bool = False,
) -> Checked:
    """Return a row a layer; nothing is converted, so a layer is exact or the file is refused.

    A layer over the limits of a core is equivalent to its parts.

    Raises:
        HardspikeError: the file cannot be read or holds what the contract has no place for.
    """
    notes: list[tuple[str, str]] = []
    if found == "netx" and not is_ours(path):
        options = replace(
            options,
            steps=options.steps or _ANY_STEPS,
            readout=options.readout or _ANY_READOUT,
        )
        inspected = inspect_lava_netx(path, options.input_shape)
        notes = [(note.where, note.what) for note in inspected.notes]
    network = import_network(path, options).fixed_network
    assert network is not None
    faults, approximated = _target_faults(network, targets or (_ANY_TARGET,), approximate_reset)
    cores = cores_of(network) if _CHIP in targets and not approximated else Cores()
    rows = [
        cores.said_of(_row(layer, notes, faults, approximated.get(layer.name)), layer.name)
        for layer in network.layers
    ]
    if GRAPH in cores.remarks:
        rows.append(Row(GRAPH, "", "exact", "", (cores.remarks[GRAPH],)))
    known = {layer.name for layer in network.layers}
    rows += [Row(GRAPH, "", "unsupported", says) for name, says in faults if name not in known]
    rows += [
        Row(GRAPH, "", "exact", "", (f"{where}: {what}",))
        for where, what in notes
        if not any(_is_of(where, layer) for layer in network.layers)
    ]
    return Checked(tuple(rows), None, "Not compared: the file is in Loihi's integers, as they are")


def _target_faults(
    network: FixedPointNetwork, targets: Sequence[str], approximate_reset: bool
) -> tuple[list[tuple[str, str]], Mapping[str, str]]:
    """Return layer and fault of all that a target would not run, or run otherwise.

    And layer → how far it is from what stands in for it, where that was asked for.
    """
    try:
        approximated = check_targets(network, targets, approximate_reset)
    except HardspikeError as error:
        return by_layer(error), {}
    return [], approximated


def _row(
    layer: Layer[LoihiLIF],
    notes: Sequence[tuple[str, str]],
    faults: Sequence[tuple[str, str]],
    approximated: str | None,
) -> Row:
    kind = "conv" if isinstance(layer.synapse, Conv) else "dense"
    remarks = [what for where, what in notes if _is_of(where, layer)]
    remarks += _oddities(layer)
    said = "; ".join(says for name, says in faults if name == layer.name)
    return Row(
        layer.name,
        ", ".join((kind, *layer.features)),
        "unsupported" if said else "exact" if approximated is None else "approximated",
        said or approximated or "",
        tuple(remarks),
    )


def _oddities(layer: Layer[LoihiLIF]) -> Iterator[str]:
    if not np.any(layer.synapse.weight):
        yield "all weights are zero: nothing passes"


def _is_of(where: str, layer: Layer[LoihiLIF]) -> bool:
    """Whether a group of the file, `layer/3`, is the one that a layer is named after, `dense3`."""
    index = where.rpartition("/")[2]
    return index.isdecimal() and layer.name in {f"{kind}{index}" for kind in _KINDS}

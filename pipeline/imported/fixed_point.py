"""What the chip's integers and the targets make of a network that was imported."""

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from export.errors import HardspikeError
from export.imported.checking import GRAPH, Row
from export.network import FixedPointNetwork, HardSpikeNetwork, Layer
from export.onnx_model import check_exact
from hardware.loihi.approximate import FACTORS, approximate_reset, disagreement
from hardware.loihi.discretize import discretize
from hardware.loihi.layer_integers import Demands, at_largest_weight
from hardware.loihi.limits import check_integers, check_limits
from pipeline.approximate import RANDOM_RECORDINGS, random_spikes
from pipeline.imported.cores import Cores, cores_of

_FEW_LEVELS = 16
"""Levels of the largest weight below which a layer's weights count as lost: 4 bits and the sign."""
_MANY_ZEROED = 0.5
_SUFFIX, _CHIP = ".neuron", "loihi"
_PROBE_STEPS, _MOST_PRODUCTS, _NEURON_PRODUCTS = 16, 1 << 31, 32
"""Of a check on stand-ins: a few seconds. A neuron's step takes as long as so many products."""
_ONNX = ("onnxruntime", "onnxruntime-step")


def fixed_point_rows(
    rows: Sequence[Row],
    network: HardSpikeNetwork,
    bits: int,
    targets: Sequence[str],
    may_approximate: bool = False,
) -> tuple[Row, ...]:
    """Return the rows with what the integers of `bits` bits and `targets` say of each layer."""
    faults, remarks, cores = dict[str, list[str]](), dict[str, list[str]](), Cores()
    approximated: Mapping[str, str] = {}
    try:
        fixed = discretize(network, bits)
        cores = cores_of(fixed) if _CHIP in targets else cores
        approximated = check_targets(fixed, targets, may_approximate)
        cores = Cores() if approximated else cores  # the true network's, not the stand-in's
    except HardspikeError as error:
        for name, says in by_layer(error):
            _note(faults, name, [says])
    else:
        for index, layer in enumerate(network.layers):
            demands = Demands(bits, 1 if index else network.input_max, 0.0)
            _note(remarks, layer.name, _losses(layer, demands))
    known = {row.node for row in rows}
    stood_in = {_node(name, known): says for name, says in approximated.items()}
    marked = [_marked(_approximated(row, stood_in.get(row.node)), faults, remarks) for row in rows]
    layer_of = {_node(layer.name, known): layer.name for layer in network.layers}
    marked = [cores.said_of(row, layer_of.get(row.node, "")) for row in marked]
    lost = [says for name, lines in faults.items() for says in lines if _node(name, known) is None]
    about = [Row(GRAPH, "", "exact", "", (cores.remarks[GRAPH],))] if GRAPH in cores.remarks else []
    return (*marked, *(Row(GRAPH, "", "unsupported", says) for says in lost), *about)


def by_layer(error: HardspikeError) -> list[tuple[str, str]]:
    """Return layer and fault of each line; the graph where a line names no layer."""
    parts = [line.removeprefix("layer ").partition(": ") for line in str(error).splitlines()]
    return [(name, says) if says else (GRAPH, name) for name, _, says in parts]


def check_targets(
    fixed: FixedPointNetwork, targets: Sequence[str], may_approximate: bool = False
) -> Mapping[str, str]:
    """Hold a network to what `targets` can run; return layer → how `loihi` approximates it.

    Raises:
        HardspikeError: one line a fault, `layer NAME: …` where it is a layer's.
    """
    faults: list[str] = []
    approximated: Mapping[str, str] = {}
    if may_approximate:
        try:
            approximated = approximated_layers(fixed)
        except HardspikeError as error:
            faults += str(error).splitlines()
        targets = [target for target in targets if target != _CHIP]  # held to what stands in
    checks = {_CHIP: check_limits, **dict.fromkeys(_ONNX, check_exact)}
    for target in targets:
        try:
            checks.get(target, check_integers)(fixed)
        except HardspikeError as error:
            faults += str(error).splitlines()
    if faults:
        raise HardspikeError(*dict.fromkeys(faults))
    return approximated


def approximated_layers(fixed: FixedPointNetwork) -> Mapping[str, str]:
    """Return layer → what stands in for it on `loihi`, and how far that is from it.

    Both are run on random spikes, and every layer behind a stand-in is told of too.

    Raises:
        HardspikeError: as `approximate_reset`.
    """
    if _products(fixed) > _MOST_PRODUCTS:
        says = "approximated on loihi; not measured, for it takes too many products for a check"
        return {layer.name: says for layer in fixed.layers if layer.neuron.reset == "subtract"}
    steps = min(fixed.steps, _PROBE_STEPS)
    probe = replace(fixed, steps=steps)
    spikes = random_spikes(probe)
    found = disagreement(probe, approximate_reset(probe, spikes), spikes)
    return {
        one.layer: f"{one.says}; up to {100 * one.worst:.3g}% of a recording's spikes differ "
        f"({len(spikes)} random recordings of {steps} steps)"
        for one, layer in zip(found.layers, fixed.layers, strict=True)
        if layer.neuron.reset == "subtract"
    }


def _products(fixed: FixedPointNetwork) -> int:
    """Return a bound on what a check takes: products and neurons of all steps and candidates."""
    sizes = [math.prod(shape) for shape in fixed.shapes[1:]]
    fans = [layer.synapse.weight[0].size for layer in fixed.layers]
    own = [
        size if layer.recurrent is not None else 0
        for size, layer in zip(sizes, fixed.layers, strict=True)
    ]
    once = sum(
        size * (fan + len(FACTORS) * (_NEURON_PRODUCTS + back))
        for size, fan, back in zip(sizes, fans, own, strict=True)
    )
    return int(once) * min(fixed.steps, _PROBE_STEPS) * RANDOM_RECORDINGS


def _note(notes: dict[str, list[str]], name: str, says: Iterable[str]) -> None:
    notes.setdefault(name, []).extend(says)


def _node(layer: str, known: set[str]) -> str | None:
    """Return the node that a layer is named after."""
    return next((name for name in (layer, f"{layer}{_SUFFIX}") if name in known), None)


def _marked(row: Row, faults: dict[str, list[str]], remarks: dict[str, list[str]]) -> Row:
    name = row.node.removesuffix(_SUFFIX)
    said = [*faults.get(row.node, ()), *(faults.get(name, ()) if name != row.node else ())]
    noted = [*remarks.get(row.node, ()), *(remarks.get(name, ()) if name != row.node else ())]
    if said and row.is_equal:
        row = replace(row, status="unsupported", says="; ".join(dict.fromkeys(said)))
    return replace(row, remarks=(*row.remarks, *noted))


def _approximated(row: Row, says: str | None) -> Row:
    """Return the row of a layer with what stands in for it, behind what else becomes of it."""
    if says is None or row.status == "unsupported":
        return row
    return replace(row, status="approximated", says="; ".join(filter(None, (row.says, says))))


def _losses(layer: Layer[Any], demands: Demands) -> Iterable[str]:
    """Say what 8 bits take from a layer's weights."""
    fixed = at_largest_weight(layer, demands)
    weight, whole = layer.synapse.weight, fixed.synapse.weight
    levels = int(np.abs(whole).max()) // demands.step
    if levels < _FEW_LEVELS:
        yield (
            f"{demands.weight_bits} bits: its largest weight keeps {levels} levels of 127, for its "
            "threshold, bias or sums reach the end of their registers"
        )
    nonzero = weight != 0
    zeroed = float((whole[nonzero] == 0).mean()) if nonzero.any() else 0.0
    if zeroed > _MANY_ZEROED:
        yield (
            f"{demands.weight_bits} bits: {100 * zeroed:.0f}% of its weights round to zero beside "
            "its largest; calibration recordings choose another scale"
        )

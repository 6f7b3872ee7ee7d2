"""Why spikes part, in plain language: rules over what was compared, the likeliest cause first.

The layer that parts first, at the earliest step of all, had read the same on both sides until then.
So the cause lies in that layer: a lag, the target, or a parameter. Where several parameters differ,
the one that alone changes most of the layer's spikes (`pipeline.diff.effects`) comes first.
"""

import itertools
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from export.network import Readout
from pipeline.diff.compare import Lag
from pipeline.diff.parameters import LayerParameters

_PART_OF = {
    "weights-turned": "weights",
    "structure": "weights",
    "weights": "weights",
    "rounding": "weights",
}


@dataclass(frozen=True)
class Cause:
    """A rule that held: its `kind`, and a sentence."""

    kind: str
    sentence: str


@dataclass(frozen=True)
class Facts:
    """What the rules read.

    `parting` is (layer, step) or None; `parameters` are the parting layer's, `below` those of the
    pair below. `departing` has the sides whose target fires otherwise than the reference from the
    same inputs, each with its target; `stand_ins` those that run what only approximates a network,
    each with what of it. `gap_steps` is how far the membranes lie apart there, in
    steps of the weights' grid.
    """

    layers: tuple[str, ...]
    steps: int
    recordings: int
    parting: tuple[str, int] | None
    lags: tuple[Lag | None, ...]
    departing: Mapping[str, str]
    stand_ins: Mapping[str, Sequence[str]]
    inputs_agree: bool
    below: LayerParameters | None
    parameters: LayerParameters | None
    effects: Mapping[str, int] | None
    gap_steps: float | None
    readouts: tuple[Readout, Readout]
    changed_predictions: int | None
    outputs_equal: bool | None


def find_causes(facts: Facts) -> list[Cause]:
    """Return every rule that holds, the likeliest cause first; there is at least one."""
    if facts.parting is None:
        return [_readouts(facts) or _membranes(facts) or _equal(facts)]
    found = [rule(facts) for rule in (_stand_in, _lag, _target, _unpaired)]
    causes = [cause for cause in found if cause is not None]
    if facts.inputs_agree and facts.parameters is not None:
        causes += _parameter_causes(facts, facts.parameters)
    return causes or [_unexplained(facts)]


def _equal(facts: Facts) -> Cause:
    many = f"{len(facts.layers)} layers, {facts.steps} steps, {facts.recordings} recordings"
    return Cause("equal", f"The spikes are the same everywhere: {many}.")


def _readouts(facts: Facts) -> Cause | None:
    one, other = facts.readouts
    if one == other:
        return None
    changed = facts.changed_predictions
    what = "" if changed is None else f": {changed} of {facts.recordings} predictions differ"
    return Cause(
        "readout",
        f"The spikes are the same everywhere, but the readouts differ: A's is {one}, B's "
        f"{other}{what}.",
    )


def _membranes(facts: Facts) -> Cause | None:
    if not facts.changed_predictions and facts.outputs_equal is not False:
        return None
    changed = facts.changed_predictions or 0
    return Cause(
        "membrane-readout",
        "The spikes are the same everywhere, but the membranes that are read are not: "
        f"{changed} of {facts.recordings} predictions differ.",
    )


def _stand_in(facts: Facts) -> Cause | None:
    """Hold where one side is a stand-in, and spikes part where it differs from the other's."""
    if len(facts.stand_ins) != 1:
        return None
    alike = facts.parameters is not None and not facts.parameters.differing
    if facts.inputs_agree and alike:
        return None
    ((side, what),) = facts.stand_ins.items()
    return Cause(
        "stand-in",
        f"{side} is not the network itself but a stand-in, made on request, with an approximated "
        f"{' and '.join(what)}.",
    )


def _lag(facts: Facts) -> Cause | None:
    """Hold where the first layer that differs does so by a shift in time alone, or nearly so."""
    lags = [lag for lag in facts.lags if lag is not None]
    if not lags or lags[0].steps == 0:
        return None
    shifts = [lag.steps for lag in lags if lag.steps]
    late = "later" if shifts[0] > 0 else "earlier"
    sizes = [abs(shift) for shift in shifts]
    rises = {after - before for before, after in itertools.pairwise(sizes)}
    if len(sizes) > 1 and len(rises) == 1 and rises != {0}:
        (rise,) = rises
        how = f"{_steps(rise)} {late} a layer ({', '.join(map(str, sizes))})"
    elif len(set(sizes)) == 1:
        how = f"{_steps(sizes[0])} {late}"
    else:
        how = f"{', '.join(map(str, sizes))} steps {late} from layer to layer"
    left = max(lag.left for lag in lags if lag.steps)
    rest = "" if left == 0 else f" (which leaves up to {100 * left:.0f}% of the differences)"
    return Cause(
        "lag", f"B's spikes are A's, {how}{rest}: shifted in time, not computed otherwise."
    )


def _steps(count: int) -> str:
    return f"{count} step" if count == 1 else f"{count} steps"


def _target(facts: Facts) -> Cause | None:
    if not facts.departing or facts.parting is None:
        return None
    layer, step = facts.parting
    names = " and ".join(f"{side} ({target})" for side, target in facts.departing.items())
    return Cause(
        "target",
        f"{names} fires otherwise than the reference does from the same inputs, first in layer "
        f"{layer} at step {step}: the target departs from the network it was given.",
    )


def _unpaired(facts: Facts) -> Cause | None:
    if facts.inputs_agree or facts.parting is None:
        return None
    if facts.below is not None and facts.below.structural:
        return Cause("structure", _structure(facts, facts.below))  # such as its delays
    layer, step = facts.parting
    return Cause(
        "inputs",
        f"Layer {layer} reads other inputs on both sides by step {step}, from layers that have no "
        "partner: the cause lies below it.",
    )


def _parameter_causes(facts: Facts, compared: LayerParameters) -> list[Cause]:
    """Return a cause for everything that differs, by what it does alone; rounding last."""
    counts = facts.effects or {}

    def rank(kind: str) -> tuple[bool, int]:
        return kind == "rounding", -counts.get(_PART_OF.get(kind, kind), 0)

    kinds = sorted(compared.differing, key=rank)
    causes = [Cause(kind, _SENTENCES[kind](facts, compared)) for kind in kinds]
    if not causes and compared.a.is_float != compared.b.is_float:
        causes.append(Cause("arithmetic", _arithmetic(compared)))
    return causes


def _where(compared: LayerParameters) -> str:
    return f"layer {compared.name}"


def _turned(facts: Facts, compared: LayerParameters) -> str:
    return (
        f"Weights turned over in {_where(compared)}: B's are A's with {compared.turned}."
        if compared.turned != "negated"
        else f"Weights turned over in {_where(compared)}: B's are A's with the sign changed."
    )


def _reset(facts: Facts, compared: LayerParameters) -> str:
    return (
        f"Reset kinds differ in {_where(compared)}: {compared.a.reset} in A, "
        f"{compared.b.reset} in B."
    )


def _refractory(facts: Facts, compared: LayerParameters) -> str:
    return (
        f"Refractory periods differ in {_where(compared)}: a spike holds the membrane for "
        f"{_steps(compared.a.refractory)} in A, {_steps(compared.b.refractory)} in B."
    )


def _bias_filtered(facts: Facts, compared: LayerParameters) -> str:
    places = [
        "in the synaptic current" if side.bias_filtered else "on the membrane"
        for side in (compared.a, compared.b)
    ]
    return f"The bias acts elsewhere in {_where(compared)}: {places[0]} in A, {places[1]} in B."


def _structure(facts: Facts, compared: LayerParameters) -> str:
    names = compared.structural
    return f"The layers are built otherwise in {_where(compared)}: {'; '.join(names)}."


def _decay(facts: Facts, compared: LayerParameters) -> str:
    return (
        f"Decay differs in {_where(compared)}: the membrane keeps {compared.a.decay:.5g} a step "
        f"in A, {compared.b.decay:.5g} in B."
    )


def _current_decay(facts: Facts, compared: LayerParameters) -> str:
    return (
        f"Decay of the synaptic current differs in {_where(compared)}: "
        f"{compared.a.current_decay:.5g} is kept a step in A, {compared.b.current_decay:.5g} in B."
    )


def _threshold(facts: Facts, compared: LayerParameters) -> str:
    return (
        f"Threshold differs in {_where(compared)}: {compared.a.threshold:.5g} in A, "
        f"{compared.b.threshold:.5g} in B, in A's unit of weight."
    )


def _bias(facts: Facts, compared: LayerParameters) -> str:
    return f"Bias differs in {_where(compared)}: relative error {100 * compared.bias_error:.3g}%."


def _weights(facts: Facts, compared: LayerParameters) -> str:
    error = compared.weight_error or 0.0
    beyond = "" if compared.grid_rms is None else ", more than rounding to the grid explains"
    return f"Weights differ in {_where(compared)}: relative error {100 * error:.3g}%{beyond}."


def _rounding(facts: Facts, compared: LayerParameters) -> str:
    """Say how far the membranes lie apart where spikes part, in steps of the weights' grid."""
    gap, largest = facts.gap_steps or 0.0, compared.grid_max or 0.0
    if gap < 1:
        how = "less than one quantisation step"
        return (
            f"Spikes part first where membranes differ by {how} ({gap:.2g}), in "
            f"{_where(compared)}: rounding of weights."
        )
    return (
        f"Spikes part first where membranes differ by {gap:.2g} quantisation steps, in "
        f"{_where(compared)}, whose weights differ by up to {largest:.2g} each: rounding of "
        "weights, added up over inputs and steps."
    )


def _arithmetic(compared: LayerParameters) -> str:
    return (
        f"Weights, decay, threshold, bias and reset are the same in {_where(compared)} but for "
        "what registers round off: integer against floating-point arithmetic."
    )


def _unexplained(facts: Facts) -> Cause:
    layer, step = facts.parting or ("", 0)
    return Cause(
        "unexplained",
        f"Spikes part first in layer {layer} at step {step}, where all compared parameters are "
        "the same and the inputs were: sums of floats in another order, or what no rule here "
        "looks at.",
    )


_SENTENCES: dict[str, Callable[[Facts, LayerParameters], str]] = {
    "weights-turned": _turned,
    "reset": _reset,
    "refractory": _refractory,
    "bias-filtered": _bias_filtered,
    "structure": _structure,
    "decay": _decay,
    "current-decay": _current_decay,
    "threshold": _threshold,
    "bias": _bias,
    "weights": _weights,
    "rounding": _rounding,
}
KINDS: Sequence[str] = (
    *("equal", "readout", "membrane-readout", "stand-in", "lag", "target", "inputs"),
    *_SENTENCES,
    *("arithmetic", "unexplained"),
)
"""Every cause that can be named."""

"""The first parting looked at closely: membranes, inputs, thresholds of both sides.

Axes: `T` time step, `N` neuron. Membranes and inputs are in the unit of a side's own weights (of a
fixed-point layer v / 64); what compares both sides is in thresholds, or in steps of the weights'
grid.
"""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hardware.layer_states import LayerStates
from pipeline.diff.compare import Parting, first_differences, inputs_agree
from pipeline.diff.pairs import Pair
from pipeline.diff.parameters import LayerParameters, Parameters
from pipeline.diff.sides import Side

NEAR = 0.05
"""A membrane is near its threshold within this share of it."""
_BEFORE, _AFTER = 12, 6
_ORACLE = "reference"


def describe_parting(
    a: Side, b: Side, pair: Pair, compared: LayerParameters, parting: Parting, names: Sequence[str]
) -> dict[str, Any]:
    """Return where the spikes part first, and both sides of that neuron there and around it."""
    states = [side.states(place, parting.recording) for side, place in _sides(a, b, pair)]
    agree = bool(inputs_agree(a, b, pair)[parting.recording, parting.step])
    shape = a.subject.network.shapes[pair.a + 1]
    entries = [
        _at(state, parameters, parting, int(_fired(side, place, parting)))
        for state, parameters, (side, place) in zip(
            states, (compared.a, compared.b), _sides(a, b, pair), strict=True
        )
    ]
    return {
        "layer": pair.name,
        "step": parting.step,
        "recording": parting.recording,
        "recording_name": names[parting.recording],
        "neuron": parting.neuron,
        "place": [int(at) for at in np.unravel_index(parting.neuron, shape)],
        "differing_there": parting.spikes,
        "recordings_there": parting.recordings,
        "inputs_agree": agree,
        "a": entries[0],
        "b": entries[1],
        **_gaps(entries, compared),
        "trace": _trace(states, compared, parting, (a, b), pair),
    }


def _sides(a: Side, b: Side, pair: Pair) -> tuple[tuple[Side, int], tuple[Side, int]]:
    return (a, pair.a), (b, pair.b)


def _fired(side: Side, place: int, parting: Parting) -> Any:
    return side.spikes_BTN[place][parting.recording, parting.step, parting.neuron]


def _at(state: LayerStates, parameters: Parameters, parting: Parting, spike: int) -> dict[str, Any]:
    """Return one side's numbers at the parting; `previous` and `after` are behind the reset."""
    t, n = parting.step, parting.neuron
    threshold = _threshold(parameters, n) / parameters.factor
    membrane, drive = float(state.before_BTN[0, t, n]), float(state.drive_BTN[0, t, n])
    previous = _after(state, parameters, t - 1, n, threshold) if t else 0.0
    return {
        "spike": spike,
        "previous": previous,
        "drive": drive,
        "carried": membrane - drive,
        "membrane": membrane,
        "after": _after(state, parameters, t, n, threshold),
        "threshold": threshold if math.isfinite(threshold) else None,
        "distance": _share(membrane - threshold, threshold),
        "unit": 1 / parameters.factor,
    }


def _threshold(parameters: Parameters, neuron: int) -> float:
    """Return a neuron's threshold in the common unit."""
    one = parameters.threshold_N.size == 1
    return float(parameters.threshold_N[0 if one else neuron])


def _after(state: LayerStates, parameters: Parameters, t: int, n: int, threshold: float) -> float:
    membrane = float(state.before_BTN[0, t, n])
    if not state.spikes_BTN[0, t, n]:
        return membrane
    return membrane - threshold if parameters.reset == "subtract" else 0.0


def _share(part: float, whole: float) -> float | None:
    return part / whole if whole and math.isfinite(whole) else None


def _gaps(entries: Sequence[dict[str, Any]], compared: LayerParameters) -> dict[str, Any]:
    """Return B's membrane, input and what it carried over less A's, in thresholds and in steps.

    What the input differs by, the weights and the bias make, where both had read the same.
    """
    grid = max(compared.a.grid, compared.b.grid)
    threshold = compared.a.threshold
    found = {}
    for name in ("membrane", "drive", "carried"):
        gap = entries[1][name] / entries[1]["unit"] - entries[0][name] / entries[0]["unit"]
        found[f"{name}_gap"] = {
            "thresholds": _share(gap, threshold),
            "grid_steps": _share(gap, grid),
        }
    return found


def _trace(
    states: Sequence[LayerStates],
    compared: LayerParameters,
    parting: Parting,
    sides: tuple[Side, Side],
    pair: Pair,
) -> dict[str, Any]:
    """Return both membranes before the reset around the parting, in thresholds where there is one.

    `unit` says `threshold`, or `weight` for the unit of A's weights.
    """
    window = slice(max(0, parting.step - _BEFORE), parting.step + _AFTER + 1)
    steps = range(states[0].before_BTN.shape[1])[window]
    levels = [_threshold(side, parting.neuron) for side in (compared.a, compared.b)]
    by_threshold = all(level and math.isfinite(level) for level in levels)
    trace: dict[str, Any] = {
        "steps": list(steps),
        "unit": "threshold" if by_threshold else "weight",
    }
    places = (pair.a, pair.b)
    for name, state, parameters, level, side, place in zip(
        "ab", states, (compared.a, compared.b), levels, sides, places, strict=True
    ):
        scale = parameters.factor / level if by_threshold else parameters.factor
        values_T = state.before_BTN[0, window, parting.neuron] * scale
        spikes_T = side.spikes_BTN[place][parting.recording, window, parting.neuron]
        trace[name] = [float(value) for value in values_T]
        trace[f"spikes_{name}"] = [int(spike) for spike in spikes_T]
    return trace


def near_threshold(
    a: Side, b: Side, pair: Pair, compared: LayerParameters
) -> dict[str, Any] | None:
    """Return of how many differing neurons both membranes were near the threshold as they parted.

    Counted are (recording, neuron) of the layer at their first difference, as long as the layer had
    read the same until then. None where that is none, or a threshold is zero or infinite.
    """
    found = first_differences(a, b, pair)
    thresholds = compared.a.threshold_N, compared.b.threshold_N
    if not len(found) or any(not np.isfinite(t).all() or not t.all() for t in thresholds):
        return None
    distances: list[NDArray[np.float64]] = []
    for recording in np.unique(found[:, 0]):
        _, steps, neurons = found[found[:, 0] == recording].T
        both = [
            _distances(side.states(place, int(recording)), parameters, steps, neurons)
            for (side, place), parameters in zip(
                _sides(a, b, pair), (compared.a, compared.b), strict=True
            )
        ]
        distances.append(np.maximum(*both))
    furthest = np.concatenate(distances)
    return {
        "neurons": len(furthest),
        "near": int((furthest <= NEAR).sum()),
        "within": NEAR,
        "median": float(np.median(furthest)),
    }


def _distances(
    state: LayerStates, parameters: Parameters, steps: Any, neurons: Any
) -> NDArray[np.float64]:
    membranes = state.before_BTN[0, steps, neurons] * parameters.factor
    level = np.broadcast_to(parameters.threshold_N, state.before_BTN.shape[2:])[neurons]
    return np.asarray(np.abs(membranes - level) / np.abs(level), np.float64)


def departs(side: Side, place: int, parting: Parting, recordings: Sequence[int]) -> bool:
    """Whether a target fires otherwise than the reference from its own inputs until then."""
    if side.subject.target == _ORACLE:
        return False
    until = parting.step + 1
    return any(
        (
            side.states(place, recording).spikes_BTN[0, :until]
            != side.spikes_BTN[place][recording, :until]
        ).any()
        for recording in recordings
    )

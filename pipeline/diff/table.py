"""The figures of a comparison as cells, for the terminal and the page."""

import math
from collections.abc import Mapping, Sequence
from typing import Any

from pipeline.diff.parameters import LayerParameters, Parameters

Rows = list[Sequence[str]]


def parameter_entry(compared: LayerParameters) -> dict[str, Any]:
    """Return what `diff.json` has of a pair's parameters, in the unit of A's weights."""
    return {
        "layer": compared.name,
        "differing": list(compared.differing),
        "weight_error": compared.weight_error,
        "weight_grid_rms": compared.grid_rms,
        "weight_grid_max": compared.grid_max,
        "turned": compared.turned,
        "bias_error": compared.bias_error,
        "structure": compared.structural,
        "a": _side_entry(compared.a),
        "b": _side_entry(compared.b),
    }


def _side_entry(side: Parameters) -> dict[str, Any]:
    never = not math.isfinite(side.threshold)
    return {
        "decay": side.decay,
        "current_decay": side.current_decay,
        "threshold": None if never else side.threshold,
        "reset": side.reset,
        "weight_step": side.grid,
    }


def layer_rows(report: Mapping[str, Any]) -> Rows:
    """Return what each layer fired and how much of it differs, header first."""
    rows: Rows = [
        ("layer", "neurons", "spikes A", "spikes B", "differ", "first at", "recordings", "lag")
    ]
    for entry in report["layers"]:
        first, lag = entry["first_step"], entry["lag"]
        rows.append(
            (
                entry["layer"],
                f"{entry['neurons']:,}",
                f"{entry['spikes_a']:,}",
                f"{entry['spikes_b']:,}",
                _percent(entry["share"]),
                "–" if first is None else f"step {first}",
                f"{entry['recordings']} of {report['recordings']['n']}",
                "" if lag is None else f"{lag:+d}",
            )
        )
    return rows


def parameter_rows(report: Mapping[str, Any]) -> Rows:
    """Return both networks' parameters by layer, header first: A / B, once where they agree."""
    rows: Rows = [
        ("layer", "kept a step", "current kept", "threshold", "reset", "weights", "bias", "differ")
    ]
    for entry in report["parameters"]:
        a, b = entry["a"], entry["b"]
        rows.append(
            (
                entry["layer"],
                _both(_number(a["decay"]), _number(b["decay"])),
                _both(_number(a["current_decay"]), _number(b["current_decay"])),
                _both(_number(a["threshold"]), _number(b["threshold"])),
                _both(a["reset"], b["reset"]),
                _weights(entry),
                _percent(entry["bias_error"]),
                ", ".join(entry["differing"]) or "–",
            )
        )
    return rows


def parting_rows(report: Mapping[str, Any]) -> Rows:
    """Return both sides' numbers where the spikes part first, header first."""
    found = report["first_parting"]
    a, b = found["a"], found["b"]
    rows: Rows = [("at the first parting", "A", "B", "B − A, thresholds", "B − A, weight steps")]
    rows.append(("spike", str(a["spike"]), str(b["spike"]), "", ""))
    for key, words in (
        ("previous", "membrane after the step before"),
        ("carried", "… what the step keeps of it"),
        ("drive", "input of the step, bias included"),
        ("membrane", "membrane before the reset"),
        ("threshold", "threshold"),
        ("after", "membrane after the reset"),
    ):
        gap = found.get(f"{key}_gap", {"thresholds": None, "grid_steps": None})
        rows.append(
            (
                words,
                _number(a[key]),
                _number(b[key]),
                _signed(gap["thresholds"]),
                _signed(gap["grid_steps"]),
            )
        )
    distances = [_signed(side["distance"]) for side in (a, b)]
    rows.append(("distance to the threshold, of it", *distances, "", ""))
    return rows


def _weights(entry: Mapping[str, Any]) -> str:
    if entry["weight_error"] is None:
        return "other shapes"
    largest = entry["weight_grid_max"]
    steps = "" if largest is None or not entry["weight_error"] else f", up to {largest:.2g} steps"
    return _percent(entry["weight_error"]) + steps


def _both(one: str, other: str) -> str:
    return one if one == other else f"{one} / {other}"


def _number(value: float | None) -> str:
    return "never" if value is None else f"{value:.6g}"


def _signed(value: float | None) -> str:
    return "" if value is None else f"{value:+.3g}"


def _percent(share: float) -> str:
    if share == 0:
        return "0"
    return f"{100 * share:.2g}%" if share < 0.1 else f"{100 * share:.1f}%"

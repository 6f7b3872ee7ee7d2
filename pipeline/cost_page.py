"""The table of a training's cost. Figures that an older run lacks are a dash."""

from collections.abc import Mapping, Sequence
from typing import Any


def cost_rows(cost: Mapping[str, Any]) -> list[Sequence[str]]:
    """Return the table of `cost.json`, header first."""
    header = (
        *("method", "device", "seconds", "samples/s", "gradient evaluations", "FLOPs", "joules"),
        "peak memory",
    )
    flops = cost.get("flops")
    return [
        header,
        (
            cost["method"],
            cost["device"],
            f"{cost['seconds']:.1f}",
            f"{cost['samples_per_second']:,.0f}",
            f"{cost['gradient_evaluations']:,}",
            "–" if flops is None else f"{flops:.3g}",
            _joules(cost),
            f"{cost['peak_memory_bytes'] / 2**20:,.0f} MiB",
        ),
    ]


def _joules(cost: Mapping[str, Any]) -> str:
    joules = cost.get("joules", "–")
    if isinstance(joules, str):
        return joules
    return f"{joules:,.0f} ({cost['energy_counter']})"


def cost_note(cost: Mapping[str, Any]) -> list[str]:
    """Say what the figures are of; nothing of a run that lacks them."""
    if "flops_not_counted" not in cost:
        return []
    return [
        "",
        "Training alone, without validation and writing. FLOPs by torch's counter, with two for a "
        f"multiplication and its addition; not counted: {cost['flops_not_counted']}. Joules are "
        "those of the whole processor or GPU, other processes included.",
    ]

"""What a report says of conversion: the thresholds that were tuned, the scales of the integers."""

from collections.abc import Mapping, Sequence
from typing import Any

SCALE_NOTE = (
    "Scale: integer weight per float weight. Membrane error: root mean square over calibration "
    "recordings, as a share of the threshold."
)


def calibration_lines(calibration: Mapping[str, Any] | None) -> list[str]:
    """Say how the thresholds were tuned; nothing where they were not."""
    if calibration is None:
        return []
    factors = ", ".join(f"{name} × {factor:.2f}" for name, factor in calibration["factors"].items())
    before, after = (calibration[when]["cross_entropy"] for when in ("before", "after"))
    return [
        "",
        f"Thresholds were tuned on {calibration['n']} {calibration['recordings']} recordings "
        f"(cross-entropy {before:.3f} → {after:.3f}): {factors}.",
    ]


def scale_rows(scales: Sequence[Mapping[str, Any]]) -> list[Sequence[str]]:
    """Return the table of scales, header first."""
    header = (
        "layer",
        "scale",
        "weights clipped",
        "membrane error",
        "largest-weight scale",
        "its membrane error",
    )
    return [header] + [
        (
            entry["layer"],
            f"{entry['scale']:.1f}",
            _percent(entry["clipped"]),
            _percent(entry["membrane_error"]),
            f"{entry['largest_weight_scale']:.1f}",
            _percent(entry["largest_weight_error"]),
        )
        for entry in scales
    ]


def _percent(share: float | None) -> str:
    return "–" if share is None else f"{100 * share:.2f}%"

"""Deployed accuracy that a training gained over a guess, for every second and joule it took."""

from typing import Any


def guess(classes: int) -> float:
    """Return the accuracy of a guess among so many classes."""
    return 1 / classes


def per(gained: float, cost: float | str | None) -> float | None:
    """Return percentage points for a unit of cost; None where the cost was not counted, or is 0."""
    return 100 * gained / cost if isinstance(cost, int | float) and cost > 0 else None


def accuracy_gain(deployed: float, classes: int, cost: dict[str, Any]) -> dict[str, Any]:
    """Return the gain as shares, and points for a second and a joule of `cost.json`'s training.

    The whole training counts as spent, also what an early stop would have saved.
    """
    gained = deployed - guess(classes)
    return {
        "guess": guess(classes),
        "gained": gained,
        "points_per_second": per(gained, cost["seconds"]),
        "points_per_joule": per(gained, cost.get("joules")),
    }


def gain_note(gain: dict[str, Any]) -> str:
    """Say the gain in a sentence."""
    joule = gain["points_per_joule"]
    if gain["points_per_second"] is None:
        return f"Not trained here; a guess is right in {100 * gain['guess']:.1f}%."
    return (
        f"Deployed accuracy gained over a guess ({100 * gain['guess']:.1f}%): "
        f"{100 * gain['gained']:.1f} points, {gain['points_per_second']:.3g} for every second "
        f"of training and {'none that could be counted' if joule is None else f'{joule:.3g}'} for "
        "every joule."
    )

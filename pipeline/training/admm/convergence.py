"""How far ADMM has come, on a fixed set of recordings: residuals, slack, agreement, conditioning.

Axes: `T` time step, `B` recording.
"""

from pipeline.training.admm.steps import Batch, Steps


def convergence(steps: Steps, probe: Batch) -> dict[str, float]:
    """Return the measures by name."""
    return {}

"""What the study compares: one network on N-MNIST-1k, trained by several methods.

All arms have the same layers, readout, training recordings and shifts, and keep all weights, but
for the recommended recipe, which is its experiment file as it stands: two fifths are pruned.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

Tree = Mapping[str, Any]

ROOT = Path(__file__).resolve().parents[2]
CONFIGS = ROOT / "configs"
RECORDS = ROOT / "docs" / "studies" / "deployment"
RUNS = Path("runs/study-deployment")
QUICKSTART = Path("runs/quickstart")
SUITE = CONFIGS / "robustness.yaml"

NMNIST = "nmnist-1k"
FOLDS, SEEDS = 5, 2
SHIFT_PIXELS = 1


@dataclass(frozen=True)
class Arm:
    """A training: what the tables call it, its file below `configs/`, and what is laid over it."""

    title: str
    file: str
    changes: Tree = field(default_factory=dict)


_ALL_WEIGHTS: Tree = {"train": {"prune": 0.0, "select_by": "hard"}}
_PLAIN: Tree = {"train": {"prune": 0.0, "select_by": "hard", "rho": 0.0}}

ARMS: Mapping[str, Arm] = {
    "plain": Arm("plain surrogate-forward", "controls/recipe-smooth.yaml", _PLAIN),
    "sast": Arm("SAST", "controls/recipe-smooth.yaml", _ALL_WEIGHTS),
    "slope": Arm("slope schedule", "controls/recipe-without-sast.yaml", _ALL_WEIGHTS),
    "hard-forward": Arm("hard forward", "controls/recipe-hard-without-sast.yaml", _ALL_WEIGHTS),
    "admm": Arm("ADMM", "admm.yaml"),
    "recipe": Arm("recommended recipe", "controls/recipe-hard.yaml"),
}
BASELINE = "hard-forward"
"""The arm that the others are held against."""

EVALUATE = {"targets": ["reference", "onnxruntime"], "threads": 1}

SUITE_ROWS = (
    "drop",
    "drop_time",
    "drop_area",
    "noise",
    "hot_pixels",
    "time_jitter",
    "spatial_jitter",
    "polarity_flip",
    "time_stretch",
    "refractory",
)
"""The ten corruptions of events that are timed on the quickstart network's recordings."""
SUITE_LIMIT_SECONDS, FLOOR_RATIO = 600.0, 1.5
"""What was asked: the suite on two cores within these seconds, the network within this ratio."""

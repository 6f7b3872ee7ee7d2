"""What the study compares: one network on N-MNIST-1k, trained by several methods.

All arms but the recipe have the same layers, readout, passes over the recordings, shifts and
validation recordings. The recipe is an experiment file as it stands.
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

NMNIST, ARCHITECTURE = "nmnist-1k", "conv"
FOLDS, SEEDS = 5, 2

_BASE = "controls/admm-surrogate.yaml"


@dataclass(frozen=True)
class Arm:
    """A training: what the tables call it, its file below `configs/`, and what is laid over it.

    `tuned_as` names a method whose settings come from the study of ADMM, found on validation
    recordings of the same network.
    """

    title: str
    file: str
    changes: Tree = field(default_factory=dict)
    tuned_as: str | None = None


def _smooth(slope: Tree, **train: Any) -> Tree:
    return {"train": {"forward": "smooth", "slope": slope, **train}}


ARMS: Mapping[str, Arm] = {
    "plain": Arm("plain surrogate-forward", _BASE, _smooth({"start": 1.8})),
    "sast": Arm(
        "SAST",
        _BASE,
        _smooth({"start": 1.8}, rho=0.3, rho_warmup={"zero_epochs": 5, "ramp_epochs": 5}),
    ),
    "slope": Arm("slope schedule", _BASE, _smooth({"start": 2.0, "end": 12.0})),
    "hard-forward": Arm("hard forward", _BASE, tuned_as="surrogate"),
    "admm": Arm("ADMM", "admm.yaml", tuned_as="admm"),
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

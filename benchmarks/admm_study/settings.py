"""What the study compares and how it tunes: networks, recordings, arms and grids.

Everything here is meant to be changed; what has a record of another config is then due again.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pipeline.config_file import extended

Tree = Mapping[str, Any]

ROOT = Path(__file__).resolve().parents[2]
CONFIGS = ROOT / "configs"
RECORDS = ROOT / "docs" / "studies" / "admm"
RUNS = Path("runs/study-admm")

NMNIST, SACCADE = "nmnist-1k", "saccade-mnist"
FOLDS, SEEDS = 5, 3
SHIFT_PIXELS = {NMNIST: 2, SACCADE: 1}
SACCADE_TRAIN = 4000
SACCADE_EPOCHS = 20
"""Passes and epochs there, half of the files': there are four times as many recordings."""


def _dense(*widths: int) -> list[dict[str, Any]]:
    return [{"type": "dense", "units": width} for width in (*widths, 10)]


def _conv(*layers: tuple[int, int]) -> list[dict[str, Any]]:
    below = [{"type": "conv", "channels": c, "kernel": k, "stride": 2} for c, k in layers]
    return [*below, {"type": "dense", "units": 10}]


NETWORKS: Mapping[str, Mapping[str, list[dict[str, Any]]]] = {
    NMNIST: {
        "dense-1": _dense(100),
        "dense-2": _dense(100, 100),
        "dense-3": _dense(100, 100, 100),
        "conv": _conv((12, 5), (24, 3), (32, 3)),
    },
    SACCADE: {"dense-1": _dense(100), "conv": _conv((12, 5), (24, 3))},
}
"""Layers by recordings and architecture. saccade-mnist has a convolution less, for its seconds."""
SHORT = ("dense-1", "conv")
"""Architectures that get SAST and 4 bits too; the others get the first arms and equal seconds."""
RESET_TERMS_ON = ("dense-2", "conv")
"""Architectures that are trained with the published reset term too."""


@dataclass(frozen=True)
class Arm:
    """A training: what the tables call it, its file below `configs/`, whose settings it takes."""

    title: str
    file: str
    tuned: str


ARMS: Mapping[str, Arm] = {
    "admm": Arm("ADMM", "admm.yaml", "admm"),
    "surrogate": Arm("surrogate", "controls/admm-surrogate.yaml", "surrogate"),
    "random-hidden": Arm(
        "random hidden weights", "controls/admm-random-hidden.yaml", "random-hidden"
    ),
    "equal-seconds": Arm("surrogate, ADMM's seconds", "controls/admm-surrogate.yaml", "surrogate"),
    "sast": Arm("SAST", "controls/admm-sast.yaml", "surrogate"),
    "warm-start": Arm("SAST from ADMM", "controls/admm-warm-start.yaml", "surrogate"),
    "asked-reset": Arm("ADMM, resets as asked for", "controls/admm-asked-reset.yaml", "admm"),
    "readout-refit": Arm("SAST, ADMM's readout", "controls/admm-readout-refit.yaml", "surrogate"),
}
FIRST = ("admm", "surrogate", "random-hidden")
CONTROLS = ("equal-seconds", "sast")
HYBRIDS = ("warm-start", "readout-refit")
OLD_RESET = "asked-reset"

# Tuning: every method has as many settings. Passes and epochs are fewer than in the main runs.
TUNING_FRACTION, TUNING_EPOCHS = 0.2, 20
TUNING_FOLDS = (0, 1)

GRIDS: Mapping[str, Sequence[Tree]] = {
    "admm": [
        {"train": {"ridge": ridge, "batch": {"trust": trust}}}
        for ridge in (1.0, 10.0)
        for trust in (0.01, 0.02)
    ],
    "surrogate": [
        {"train": {"optimizer": {"learning_rate": rate}, "slope": {"start": slope}}}
        for rate in (2e-3, 5e-3)
        for slope in (2.0, 5.0)
    ],
    "random-hidden": [
        {"train": {"output_ridge": ridge}, "network": {"weight_gain": gain}}
        for ridge in (0.03, 0.3)
        for gain in (5.0, 10.0)
    ],
}
"""Method → settings, each laid over the method's file."""
TUNED_ON: Mapping[tuple[str, str], tuple[str, str]] = {
    (SACCADE, "dense-1"): (NMNIST, "dense-1"),
    (SACCADE, "conv"): (NMNIST, "conv"),
}
"""Networks that take the settings found on another, for every method alike."""
CONV_ADMM: Tree = {"train": {"output_ridge": 0.3, "batch": {"batch_size": 25}}}
"""Laid below ADMM's settings on convolutions: smaller minibatches, a smoother readout."""


def grid(method: str, architecture: str) -> list[Tree]:
    """Return the settings that a method is tuned over on an architecture."""
    below = CONV_ADMM if (method, architecture) == ("admm", "conv") else {}
    return [extended(dict(below), dict(setting)) for setting in GRIDS[method]]


EVALUATE = {
    "targets": ["reference", "onnxruntime"],
    "threads": 1,
    "corruptions": [{"kind": "drop", "share": 0.5}, {"kind": "noise", "hz_per_pixel": 1.0}],
}

RACES = ((SACCADE, "dense-1"),)
RACE_SCHEDULES = (5, 10, 20, 40)
"""Passes and epochs of the trainings that race."""

PUBLISHED = {"dense-1": FOLDS, "dense-2": 3}
"""Architectures of the published iteration, and on how many folds of N-MNIST-1k; seed 0."""

RANKS, RANK_PASSES, RANK_CHUNK = (1, 2), (1, 5, 20), 10
"""Ranks that train the same network, for how many passes, and the recordings a rank gets in a go.

A minibatch must have three such parts or more: the sum of two is the same in either order.
"""

SCALING_BASE = {"samples": 1000, "steps": 10, "width": 100}
SCALING = {
    "samples": (250, 500, 1000, 2000, 4000),
    "steps": (5, 10, 20, 40),
    "width": (50, 100, 200, 400, 800),
}
"""What grows, one at a time, from a network of two hidden layers at the base."""

WITHIN_POINTS, OVER_POINTS, SECONDS_RATIO = 1.0, 5.0, 0.5
"""What ADMM was asked for: so near the surrogate, so far over random hidden weights, so fast."""

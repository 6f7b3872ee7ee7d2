"""What the study trains: every arm over five folds and two seeds, as ordinary configs."""

from typing import Any

from benchmarks.admm_study.trees import split_name
from benchmarks.admm_study.tuning import chosen
from benchmarks.deployment_study.settings import (
    ARMS,
    CONFIGS,
    EVALUATE,
    FOLDS,
    NMNIST,
    SEEDS,
    SHIFT_PIXELS,
    Arm,
)
from benchmarks.study.runs import Planned
from pipeline.config_file import extended, parse_config, read_tree


def plan() -> list[Planned]:
    """Return all runs, one seed of all arms and folds first.

    Raises:
        HardspikeError: an experiment file has faults, or a tuning is not complete.
    """
    return [
        _planned(name, arm, fold, seed)
        for seed in range(SEEDS)
        for fold in range(FOLDS)
        for name, arm in ARMS.items()
    ]


def _planned(name: str, arm: Arm, fold: int, seed: int) -> Planned:
    file = f"{NMNIST}-{name}"
    run = f"{file}-{split_name(fold, seed)}"
    own = {"name": run, "convert": {"weight_bits": 8, "rounding": "nearest"}}
    whole = extended(_tree(arm, fold, seed), own) | {"evaluate": EVALUATE}
    return Planned(file, run, parse_config(whole, run))


def _tree(arm: Arm, fold: int, seed: int) -> dict[str, Any]:
    tree = extended(dict(read_tree(CONFIGS / arm.file)), dict(arm.changes))
    source = {"source": {"folds": FOLDS, "fold": fold}}
    tree = extended(tree, {"seed": seed, "data": source})
    if tree["train"]["method"] != "admm":
        return tree
    setting = chosen(NMNIST, "conv", "admm").setting
    alike = {"data": {"validation_fraction": 0.0}, "train": {"shift_pixels": SHIFT_PIXELS}}
    return extended(extended(tree, dict(setting)), alike)

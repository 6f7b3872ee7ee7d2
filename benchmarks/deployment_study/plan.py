"""What the study trains: every arm over five folds and two seeds, as ordinary configs."""

from typing import Any

from benchmarks.admm_study.trees import on_recordings, split_name
from benchmarks.admm_study.tuning import chosen
from benchmarks.deployment_study.settings import (
    ARCHITECTURE,
    ARMS,
    CONFIGS,
    EVALUATE,
    FOLDS,
    NMNIST,
    SEEDS,
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
    if arm.file.endswith("recipe-hard.yaml"):
        source = {"source": {"folds": FOLDS, "fold": fold}}
        return extended(dict(read_tree(CONFIGS / arm.file)), {"seed": seed, "data": source})
    tree = on_recordings(arm.file, NMNIST, ARCHITECTURE, fold, seed)
    if arm.tuned_as is not None:
        setting = chosen(NMNIST, ARCHITECTURE, arm.tuned_as).setting
        tree = extended(tree, dict(setting))
    return extended(tree, dict(arm.changes))

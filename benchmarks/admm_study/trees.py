"""Experiments of the study as trees: a file, a network, recordings, a split and a setting."""

import functools
from collections.abc import Mapping
from typing import Any

from benchmarks.admm_study.settings import (
    ARMS,
    CONFIGS,
    FOLDS,
    NETWORKS,
    NMNIST,
    SACCADE,
    SACCADE_EPOCHS,
    SACCADE_TRAIN,
    SHIFT_PIXELS,
    Tree,
)
from pipeline.config_file import extended, read_tree


def experiment(
    arm: str, dataset: str, architecture: str, fold: int | None, seed: int
) -> dict[str, Any]:
    """Return an arm's file with the network and the recordings in place, and no setting yet.

    Raises:
        HardspikeError: the file has faults.
    """
    return on_recordings(ARMS[arm].file, dataset, architecture, fold, seed)


def on_recordings(
    file: str, dataset: str, architecture: str, fold: int | None, seed: int
) -> dict[str, Any]:
    """Return a file of `configs/` with the network and the recordings in place."""
    tree = dict(_read(file))
    if dataset == NMNIST:
        data = extended(tree["data"], {"source": {"folds": FOLDS, "fold": fold}})
    else:
        source = {"kind": dataset, "train": SACCADE_TRAIN}
        data = {**tree["data"], "source": source}
    tree |= {"seed": seed, "data": data}
    tree["network"] = {**tree["network"], "layers": NETWORKS[dataset][architecture]}
    if dataset == SACCADE:
        tree["train"] = shorter(tree["train"], SACCADE_EPOCHS)
    return _shifted(tree, SHIFT_PIXELS[dataset])


def shorter(train: Tree, epochs: int) -> dict[str, Any]:
    """Return a `train` section with no more passes or epochs than these."""
    length = "passes" if train["method"] == "admm" else "epochs"
    return {**train, length: min(train[length], epochs)}


@functools.cache
def _read(file: str) -> Tree:
    return read_tree(CONFIGS / file)


def _shifted(tree: dict[str, Any], pixels: int) -> dict[str, Any]:
    """Put the recordings' own shift where a file shifts at all."""
    train = dict(tree["train"])
    if train.get("shift_pixels"):
        train["shift_pixels"] = pixels
    if "warm_start" in train:
        train["warm_start"] = {**train["warm_start"], "shift_pixels": pixels}
    return {**tree, "train": train}


def with_setting(tree: Tree, setting: Tree) -> dict[str, Any]:
    """Lay a setting over a tree."""
    return extended(dict(tree), dict(setting))


def named(setting: Tree) -> str:
    """Return a setting as a part of a file name, `ridge1-trust0.01`."""
    return "-".join(f"{key}{value:g}" for key, value in leaves(setting))


def in_words(setting: Tree) -> str:
    """Return a setting for a table, `ridge 1, trust 0.01`."""
    return ", ".join(f"{key} {value:g}" for key, value in leaves(setting))


def leaves(setting: Tree) -> list[tuple[str, float]]:
    """Return the keys of a setting with their values; of a `start` the key above it."""
    found = []
    for key, value in setting.items():
        if isinstance(value, Mapping):
            below = leaves(value)
            found += [(key if name == "start" else name, number) for name, number in below]
        else:
            found.append((key, value))
    return found


def split_name(fold: int | None, seed: int) -> str:
    """Return how a run's name says its split."""
    return f"seed{seed}" if fold is None else f"fold{fold}-seed{seed}"

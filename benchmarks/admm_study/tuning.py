"""Tuning on validation recordings alone: the train stage over a small grid, and what it chose.

A fifth of a fold's training recordings is held out; its test recordings are never loaded. An entry
is the accuracy of the best pass or epoch there. The setting with the best mean over folds is used
for all folds and seeds; of equal ones the first of the grid.
"""

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import median
from typing import Any

from benchmarks.admm_study.settings import (
    FOLDS,
    GRIDS,
    NETWORKS,
    NMNIST,
    RECORDS,
    RUNS,
    TUNED_ON,
    TUNING_EPOCHS,
    TUNING_FOLDS,
    TUNING_FRACTION,
    Tree,
    grid,
)
from benchmarks.admm_study.trees import experiment, named, shorter, split_name, with_setting
from benchmarks.study.entries import add_entry, read_entries
from benchmarks.study.parallel import Say, side_by_side
from benchmarks.study.runs import is_of_config
from export.errors import HardspikeError
from export.files import read_json
from pipeline.config import Config
from pipeline.config_file import config_tree, extended, parse_config
from pipeline.progress import Reporter
from pipeline.schema import Model
from pipeline.stages import run_stages

SCHEMA = "hardspike.study-tuning/1"
TUNING = RECORDS / "tuning"


class Tried(Model):
    """What a setting reached on a split, with its best pass or epoch, which counts from 1."""

    config: dict[str, Any]
    setting: dict[str, Any]
    fold: int | None
    seed: int
    validation: float
    best: int
    epochs: int
    seconds: float


@dataclass(frozen=True)
class Trial:
    """A training to try: the file of its entry (without suffix), its name, setting and config."""

    file: str
    name: str
    setting: Tree
    config: Config

    def is_of(self, tried: Tried | None) -> bool:
        """Return whether an entry is of this very config."""
        return tried is not None and is_of_config(tried.config, self.config)


@dataclass(frozen=True)
class Choice:
    """The setting chosen for a method on a network, its validation accuracy and median seconds."""

    setting: Tree
    validation: float
    trials: int
    seconds: float


def trials() -> list[Trial]:
    """Return all that is tried, network by network.

    Raises:
        HardspikeError: an experiment file has faults.
    """
    return [
        trial
        for dataset, networks in NETWORKS.items()
        for architecture in networks
        if (dataset, architecture) not in TUNED_ON
        for method in GRIDS
        for trial in of_method(dataset, architecture, method)
    ]


def of_method(dataset: str, architecture: str, method: str) -> Iterator[Trial]:
    """Yield what is tried of a method on a network."""
    for fold in TUNING_FOLDS if dataset == NMNIST else (None,):
        assert fold is None or fold < FOLDS
        base = experiment(method, dataset, architecture, fold, 0)
        data = {"validation_fraction": TUNING_FRACTION}
        base = extended(base, {"data": data, "train": shorter(base["train"], TUNING_EPOCHS)})
        for setting in grid(method, architecture):
            file = f"{dataset}-{architecture}-{method}"
            name = f"tuning-{file}-{named(setting)}-{split_name(fold, 0)}"
            tree = with_setting(base, setting) | {"name": name}
            yield Trial(file, name, setting, parse_config(tree, name))


def tune(jobs: int, only: str, say: Say) -> list[str]:
    """Try what has no entry yet and `only` in its name; return a line for each that failed."""
    due = [trial for trial in trials() if only in trial.name and not is_tried(trial)]
    say(f"{len(due)} trainings of the tuning are due")
    return side_by_side([(trial.name, partial(_try, trial)) for trial in due], jobs, say)


def is_tried(trial: Trial, folder: Path = TUNING) -> bool:
    """Return whether a trial has an entry of the same config."""
    return trial.is_of(read_tried(folder, trial.file).get(trial.name))


def read_tried(folder: Path, file: str) -> dict[str, Tried]:
    """Return the entries of a method on a network by name."""
    return read_entries(folder / f"{file}.json", Tried, SCHEMA)


def _try(trial: Trial) -> str:
    """Train, keep the entry and drop the run folder."""
    run, source = RUNS / trial.name, trial.config.data.source
    run_stages(trial.config, run, ["train"], Reporter(quiet=True))
    cost = read_json(run / "train" / "cost.json")
    history = read_json(run / "train" / "history.json")
    entry = Tried(
        config=config_tree(trial.config),
        setting=dict(trial.setting),
        fold=getattr(source, "fold", None),
        seed=trial.config.seed,
        validation=history[cost["best_epoch"] - 1]["validation_hard"],
        best=cost["best_epoch"],
        epochs=cost["epochs"],
        seconds=round(cost["seconds"], 3),
    )
    add_entry(TUNING / f"{trial.file}.json", trial.name, entry, SCHEMA)
    shutil.rmtree(run)
    return f"{100 * entry.validation:.1f}% in {entry.seconds:.1f} s"


def chosen(dataset: str, architecture: str, method: str, folder: Path = TUNING) -> Choice:
    """Return the setting with the best mean validation accuracy, of the network it is tuned on.

    Raises:
        HardspikeError: a trial of the grid has no entry of the same config.
    """
    dataset, architecture = TUNED_ON.get((dataset, architecture), (dataset, architecture))
    tried = read_tried(folder, f"{dataset}-{architecture}-{method}")
    results: dict[str, list[Tried]] = {}
    for trial in of_method(dataset, architecture, method):
        entry = tried.get(trial.name)
        if entry is None or not trial.is_of(entry):
            raise HardspikeError(
                f"{folder.name}: {trial.name} is not on record; "
                "`python -m benchmarks.admm_study --part tuning` tries it"
            )
        results.setdefault(named(trial.setting), []).append(entry)
    means = {name: _mean(entries) for name, entries in results.items()}
    best = results[max(means, key=lambda name: means[name])]
    seconds = median(entry.seconds for entry in best)
    return Choice(best[0].setting, _mean(best), len(best), seconds)


def _mean(entries: list[Tried]) -> float:
    return sum(entry.validation for entry in entries) / len(entries)

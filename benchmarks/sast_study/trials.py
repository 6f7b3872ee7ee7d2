"""Settings of SAST tried for a smaller loss at the swap, judged by validation recordings alone.

    python -m benchmarks.sast_study.trials [--jobs N] [--only TEXT]

A fifth of a fold's training recordings is held out; its test recordings are never loaded. Folds and
seed are such that no run of the study shares both. What is sought is a smaller gap between smooth
and hard accuracy, averaged over the last epochs, for one epoch of 160 recordings says little.
"""

import argparse
import shutil
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.sast_study.plan import CONFIGS, FOLDS, RECORDS
from benchmarks.statistics import plus_minus, summary
from benchmarks.study.entries import add_entry, read_entries
from benchmarks.study.parallel import Say, side_by_side
from benchmarks.study.runs import is_of_config
from benchmarks.study.tables import Row
from benchmarks.training_step import at_least_one
from export.errors import EXIT_STATUS, HardspikeError
from export.files import read_json
from pipeline.config import Config
from pipeline.config_file import config_tree, extended, parse_config, read_tree
from pipeline.progress import Reporter
from pipeline.schema import Model
from pipeline.stages import run_stages

SCHEMA = "hardspike.study-trial/1"
TRIALS = Path("tuning/trials.json")
"""Below the records' folder."""
RUNS = Path("runs/study-sast-trials")
TRIAL_FOLDS, TRIAL_SEED, HELD_OUT = (0, 1), 10, 0.2
LATE = 10
"""Epochs at the end of training over which a trial's accuracies are averaged."""
AS_IT_IS = "as the study has it"

_SLOW = {"schedule": "cosine"}
_FAST = {"optimizer": {"learning_rate": 4.0e-3}}
_LONG = {"epochs": 70, "slope": {"start": 1.5}}
_LAYER = {"perturbation": {"scope": "layer"}}
_ADAPTIVE = {"perturbation": {"adaptive": True}}

SETTINGS: Mapping[str, Mapping[str, Any]] = {
    AS_IT_IS: {},
    "ρ 0.5": {"rho": 0.5},
    "ρ 0.4 a layer": {"rho": 0.4, **_LAYER},
    "ρ 2, adaptive": {"rho": 2.0, **_ADAPTIVE},
    "ρ 0.4, cosine": {"rho": 0.4, **_SLOW},
    "ρ 0.5, learning rate 0.004": {"rho": 0.5, **_FAST},
    "ρ 0.5, β 1.5, 70 epochs": {"rho": 0.5, **_LONG},
    "plain, β 1.5, 70 epochs": {"rho": 0.0, **_LONG},
    "plain": {"rho": 0.0},
}
"""What is tried, as changes to the `train` section of `configs/controls/sast-hard-pick.yaml`."""


class Tried(Model):
    """What a setting reached on a fold: means over the last epochs, and the picked epoch's."""

    config: dict[str, Any]
    setting: str
    fold: int
    seed: int
    late_smooth: float
    late_hard: float
    best: int
    best_smooth: float
    best_hard: float
    gradient_evaluations: int

    @property
    def late_gap(self) -> float:
        """Points of accuracy between the smooth and the hard network, over the last epochs."""
        return 100 * (self.late_smooth - self.late_hard)


@dataclass(frozen=True)
class Trial:
    """A training to try."""

    name: str
    setting: str
    fold: int
    config: Config


def trials(settings: Mapping[str, Mapping[str, Any]] = SETTINGS) -> list[Trial]:
    """Return all that is tried, every setting on every fold.

    Raises:
        HardspikeError: a setting has faults.
    """
    base = read_tree(CONFIGS / "controls" / "sast-hard-pick.yaml")
    return [
        Trial(name, setting, fold, parse_config(_tree(base, changes, name, fold), name))
        for number, (setting, changes) in enumerate(settings.items())
        for fold in TRIAL_FOLDS
        for name in [f"trial{number:02d}-fold{fold}-seed{TRIAL_SEED}"]
    ]


def _tree(base: dict[str, Any], changes: Mapping[str, Any], name: str, fold: int) -> dict[str, Any]:
    data = {"validation_fraction": HELD_OUT, "source": {"folds": FOLDS, "fold": fold}}
    own = {"name": name, "seed": TRIAL_SEED, "data": data, "train": dict(changes)}
    return extended(base, own)


def read_trials(folder: Path) -> dict[str, Tried]:
    """Return the entries below the records' folder by name."""
    return read_entries(folder / TRIALS, Tried, SCHEMA)


def trial_table(tried: Mapping[str, Tried]) -> list[Row]:
    """Return a row a setting, means over its folds, in the order tried; the head comes first."""
    rows: list[Row] = [("setting", "folds", "smooth", "hard", "lost", "lost at the picked epoch")]
    for setting in dict.fromkeys(one.setting for one in tried.values()):
        found = [one for one in tried.values() if one.setting == setting]
        figures = (
            [100 * one.late_smooth for one in found],
            [100 * one.late_hard for one in found],
            [one.late_gap for one in found],
            [100 * (one.best_smooth - one.best_hard) for one in found],
        )
        texts = (plus_minus(summary(values)) for values in figures)
        rows.append((setting, str(len(found)), *texts))
    return rows


def _try(trial: Trial) -> str:
    """Train, keep the entry and drop the run folder."""
    run = RUNS / trial.name
    run_stages(trial.config, run, ["train"], Reporter(quiet=True))
    cost = read_json(run / "train" / "cost.json")
    history = read_json(run / "train" / "history.json")
    best, late = history[cost["best_epoch"] - 1], history[-LATE:]
    entry = Tried(
        config=config_tree(trial.config),
        setting=trial.setting,
        fold=trial.fold,
        seed=trial.config.seed,
        late_smooth=round(summary([epoch["validation_smooth"] for epoch in late]).mean, 6),
        late_hard=round(summary([epoch["validation_hard"] for epoch in late]).mean, 6),
        best=cost["best_epoch"],
        best_smooth=best["validation_smooth"],
        best_hard=best["validation_hard"],
        gradient_evaluations=cost["gradient_evaluations"],
    )
    add_entry(RECORDS / TRIALS, trial.name, entry, SCHEMA)
    shutil.rmtree(run)
    return f"{trial.setting}: {100 * entry.late_hard:.1f}% hard, {entry.late_gap:.1f} lost"


def try_missing(jobs: int, only: str, say: Say) -> list[str]:
    """Try what has no entry yet and `only` in its name; return a line for each that failed."""
    done = read_trials(RECORDS)
    due = [trial for trial in trials() if only in trial.name and not _is_in(trial, done)]
    return side_by_side([(trial.name, partial(_try, trial)) for trial in due], jobs, say)


def main() -> int:
    """Try what has no entry yet."""
    parser = argparse.ArgumentParser(prog="sast_study.trials", description=__doc__)
    parser.add_argument("--jobs", type=at_least_one, default=1)
    parser.add_argument("--only", default="", help="try only what has this text in its name")
    options = parser.parse_args()
    try:
        failed = try_missing(options.jobs, options.only, lambda line: print(line, flush=True))
    except HardspikeError as error:
        failed = str(error).splitlines()
    for line in failed:
        print(f"sast_study.trials: {line}", file=sys.stderr)
    return EXIT_STATUS if failed else 0


def _is_in(trial: Trial, done: Mapping[str, Tried]) -> bool:
    found = done.get(trial.name)
    return found is not None and is_of_config(found.config, trial.config)


if __name__ == "__main__":
    sys.exit(main())

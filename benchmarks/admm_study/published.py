"""The published iteration beside ours: what its objective says, and what its network does.

The train stage alone. The test accuracy is that of the weights which validation picked, of the
network they were trained for (soft reset) and of the one that is deployed (hard reset).
"""

import shutil
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.admm_study.settings import (
    NMNIST,
    PUBLISHED,
    RECORDS,
    RUNS,
)
from benchmarks.admm_study.trees import on_recordings, split_name
from benchmarks.run_figures import Score
from benchmarks.study.entries import add_entry, read_entries
from benchmarks.study.parallel import Say, side_by_side
from benchmarks.study.runs import Planned, is_of_config
from export.errors import HardspikeError
from export.files import read_json
from pipeline.config_file import config_tree, parse_config
from pipeline.data.sources import load_dataset
from pipeline.progress import Reporter
from pipeline.schema import Model
from pipeline.stages import run_stages
from pipeline.train import load_trained
from pipeline.training.admm.settings import Reset
from pipeline.training.admm.stack import predicted

SCHEMA = "hardspike.study-published/1"
FOLDER = RECORDS / "published"
_FILE = "controls/admm-published.yaml"
_CURVES = ("objective", "training_hard", "validation_hard", "agreement_true", "overlap_true")
_DIGITS = 5


class Iteration(Model):
    """One training by the published iteration. `curves` have one value a pass."""

    config: dict[str, Any]
    architecture: str
    fold: int
    seed: int
    seconds: float
    best: int
    test: dict[Reset, Score]
    curves: dict[str, tuple[float, ...]]

    def of_layers(self, curve: str) -> list[float]:
        """Return a curve that every hidden layer has, as its mean over them."""
        layers = [values for name, values in self.curves.items() if name.startswith(f"{curve}_")]
        return [sum(values) / len(values) for values in zip(*layers, strict=True)]


def planned() -> Iterator[Planned]:
    """Yield what is trained; the file is the architecture."""
    for architecture, folds in PUBLISHED.items():
        for fold in range(folds):
            tree = on_recordings(_FILE, NMNIST, architecture, fold, 0)
            name = f"published-{NMNIST}-{architecture}-{split_name(fold, 0)}"
            yield Planned(architecture, name, parse_config(tree | {"name": name}, name))


def run_published(jobs: int, only: str, say: Say) -> list[str]:
    """Train what has no entry yet and `only` in its name."""
    due = [run for run in planned() if only in run.name and not _is_done(run)]
    say(f"{len(due)} trainings of the published iteration are due")
    return side_by_side([(run.name, partial(_run, run)) for run in due], jobs, say)


def read_iterations(folder: Path, architecture: str) -> dict[str, Iteration]:
    """Return the trainings of an architecture by name."""
    return read_entries(folder / f"{architecture}.json", Iteration, SCHEMA)


def _is_done(run: Planned) -> bool:
    entry = read_iterations(FOLDER, run.file).get(run.name)
    return entry is not None and is_of_config(entry.config, run.config)


def _run(run: Planned) -> str:
    folder, config = RUNS / run.name, run.config
    run_stages(config, folder, ["train"], Reporter(quiet=True))
    history = read_json(folder / "train" / "history.json")
    cost = read_json(folder / "train" / "cost.json")
    test = load_dataset(config.data, "test")
    network, _ = load_trained(config, test, folder / "train")
    resets: tuple[Reset, Reset] = ("soft", "hard")
    scores = {
        reset: Score(
            correct=int((predicted(network, test.spikes_BTCHW, reset) == test.labels_B).sum()),
            n=len(test),
        )
        for reset in resets
    }
    entry = Iteration(
        config=config_tree(config),
        architecture=run.file,
        fold=getattr(config.data.source, "fold", 0),
        seed=config.seed,
        seconds=round(cost["seconds"], 3),
        best=cost["best_epoch"],
        test=scores,
        curves=curves_of(history),
    )
    add_entry(FOLDER / f"{run.file}.json", run.name, entry, SCHEMA)
    shutil.rmtree(folder)
    return f"{100 * scores['soft'].accuracy:.1f}% soft, {100 * scores['hard'].accuracy:.1f}% hard"


def curves_of(history: list[dict[str, float]]) -> dict[str, tuple[float, ...]]:
    """Return what is kept of a history, five digits a pass.

    Raises:
        HardspikeError: it is not that of the published iteration.
    """
    names = [name for name in history[0] if name.rstrip("0123456789").rstrip("_") in _CURVES]
    if "agreement_true_1" not in names:
        raise HardspikeError(
            f"train/history.json: found {', '.join(history[0])}; the published iteration has "
            "agreement_true_1"
        )
    return {name: tuple(round(entry[name], _DIGITS) for entry in history) for name in names}

"""ADMM against the surrogate on the clock: seconds of training until a validation accuracy.

Both train in one process, on one thread, an ADMM pass and a surrogate epoch in turn, so that a
change of the machine's speed meets both. The clock is training's own cost: validation, writing and
resuming are outside of it. Each method runs with schedules of several lengths, because a cosine of
forty epochs is late where one of ten may do; what counts is the schedule that gets there first.
"""

import json
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.admm_study.plan import tuned
from benchmarks.admm_study.settings import RACE_SCHEDULES, RACES, RECORDS, SEEDS
from benchmarks.admm_study.trees import experiment, with_setting
from benchmarks.admm_study.tuning import TUNING
from benchmarks.study.entries import add_entry, read_entries
from benchmarks.study.parallel import Say, side_by_side
from benchmarks.study.runs import is_of_config
from export.errors import HardspikeError
from pipeline.config import Config, Imported
from pipeline.config_file import config_tree, extended, parse_config
from pipeline.data.events import Dataset
from pipeline.data.sources import load_dataset
from pipeline.data.splits import split_validation
from pipeline.schema import Model
from pipeline.train import build_network
from pipeline.training.admm.settings import ADMM
from pipeline.training.admm.train import train_admm
from pipeline.training.checkpoint import Progress, read_tensors
from pipeline.training.loop import TrainResult, train

SCHEMA = "hardspike.study-race/1"
FOLDER = RECORDS / "race"
METHODS = ("admm", "surrogate")


class Lap(Model):
    """One training: seconds spent, and validation accuracy, after every pass or epoch."""

    config: dict[str, Any]
    seed: int
    method: str
    seconds: tuple[float, ...]
    validation: tuple[float, ...]


@dataclass(frozen=True)
class Heat:
    """One ADMM and one surrogate training of the same length, run in turn."""

    file: str
    name: str
    configs: tuple[Config, Config]

    def entry(self, method: str) -> str:
        """Return the name of a method's entry."""
        return f"{self.name}-{method}"


def heats(tuning: Path = TUNING) -> Iterator[Heat]:
    """Yield all heats.

    Raises:
        HardspikeError: a network of the race is not tuned.
    """
    for seed in range(SEEDS):
        for dataset, architecture in RACES:
            for epochs in RACE_SCHEDULES:
                file = f"{dataset}-{architecture}"
                name = f"race-{file}-epochs{epochs}-seed{seed}"
                one, other = (
                    _config((dataset, architecture), method, epochs, seed, name, tuning)
                    for method in METHODS
                )
                yield Heat(file, name, (one, other))


def _config(
    network: tuple[str, str], method: str, epochs: int, seed: int, name: str, tuning: Path
) -> Config:
    tree = experiment(method, *network, 0, seed)
    tree = with_setting(tree, tuned(*network, method, tuning))
    length = {("passes" if tree["train"]["method"] == "admm" else "epochs"): epochs}
    return parse_config(extended(tree, {"name": name, "train": length}), name)


def race(jobs: int, only: str, say: Say) -> list[str]:
    """Run the heats that have no entries yet, one at a time whatever `jobs` says."""
    due = [heat for heat in heats() if only in heat.name and not _is_run(heat)]
    say(f"{len(due)} heats of the race are due")
    return side_by_side([(heat.name, partial(_run, heat)) for heat in due], 1, say)


def read_laps(folder: Path, file: str) -> dict[str, Lap]:
    """Return the laps of a network by name."""
    return read_entries(folder / f"{file}.json", Lap, SCHEMA)


def _is_run(heat: Heat) -> bool:
    laps = read_laps(FOLDER, heat.file)
    return all(
        (lap := laps.get(heat.entry(method))) is not None and is_of_config(lap.config, config)
        for method, config in zip(METHODS, heat.configs, strict=True)
    )


def _run(heat: Heat) -> str:
    data = load_dataset(heat.configs[0].data, "train")
    with tempfile.TemporaryDirectory(prefix="hardspike-race-") as folder:
        runners = [
            InTurns(config, data, Path(folder) / f"{index}.safetensors")
            for index, config in enumerate(heat.configs)
        ]
        turn = 0
        while not all(runner.done for runner in runners):
            for runner in runners if turn % 2 else reversed(runners):
                runner.go_on()
            turn += 1
    for method, config, runner in zip(METHODS, heat.configs, runners, strict=True):
        lap = Lap(
            config=config_tree(config),
            seed=config.seed,
            method=method,
            seconds=tuple(round(value, 4) for value in runner.seconds),
            validation=tuple(runner.validation),
        )
        add_entry(FOLDER / f"{heat.file}.json", heat.entry(method), lap, SCHEMA)
    return "  ".join(
        f"{method} {100 * max(runner.validation):.1f}% in {runner.seconds[-1]:.1f} s"
        for method, runner in zip(METHODS, runners, strict=True)
    )


class _TurnOverError(Exception):
    """The next epoch has begun; it is given up, and taken again from the state on disk."""


class InTurns:
    """A training that stops after every epoch (of ADMM, pass) and goes on from its state.

    A killed training goes on bit for bit, so that neither weights nor the seconds counted are other
    than those of a training in one go.
    """

    def __init__(self, config: Config, data: Dataset, state: Path) -> None:
        self.config, self.state = config, state
        fit, held = split_validation(data.labels_B, config.data.validation_fraction, config.seed)
        if not len(held):
            raise HardspikeError("data.validation_fraction: found 0; a race needs more")
        self._fit, self._held = data.take(fit), data.take(held)
        self._network = build_network(config, data)
        self.seconds: list[float] = []
        self.validation: list[float] = []
        self.done = False

    def go_on(self) -> None:
        """Train one epoch more, if there is one."""
        if self.done:
            return
        try:
            progress = self._method()(report=self._stop_at_next).progress
            self.done = True
        except _TurnOverError:
            progress = _progress(self.state)
        self.seconds.append(progress.seconds)
        self.validation.append(progress.history[-1]["validation_hard"])

    def _stop_at_next(self, done: int, total: int) -> None:
        train = self.config.train
        assert not isinstance(train, Imported)
        epochs = train.passes if isinstance(train, ADMM) else train.epochs
        if done > (len(self.seconds) + 1) * total // epochs:
            raise _TurnOverError

    def _method(self) -> Callable[..., TrainResult]:
        settings = self.config.train
        shared: dict[str, Any] = {
            "network": self._network,
            "training": self._fit,
            "validation": self._held,
            "seed": self.config.seed,
            "state_path": self.state,
            "fingerprint": "race",
        }
        if isinstance(settings, ADMM):
            return partial(train_admm, settings=settings, **shared)
        assert not isinstance(settings, Imported)
        return partial(train, settings=settings, **shared)


def _progress(state: Path) -> Progress:
    return Progress(**json.loads(read_tensors(state)[1]["progress"]))


def seconds_to(laps: Sequence[Lap], level: float) -> float | None:
    """Return the least seconds after which any of the trainings had reached a level, if one did."""
    reached = [
        next(
            (
                spent
                for spent, found in zip(lap.seconds, lap.validation, strict=True)
                if found >= level
            ),
            None,
        )
        for lap in laps
    ]
    return min((spent for spent in reached if spent is not None), default=None)

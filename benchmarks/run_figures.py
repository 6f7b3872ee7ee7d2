"""Every figure of a finished run, from its stages' files; recordings are counted, not averaged."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import Field, model_validator

from export.errors import HardspikeError
from export.files import read_json
from pipeline.schema import Model

COST, HISTORY = "train/cost.json", "train/history.json"
LADDER, EVALUATION = "convert/ladder.json", "evaluate/evaluation.json"
ORACLE = "reference"
_SMOOTH, _HARD, _CALIBRATED = "smooth", "hard_float", "calibrated_float"
_SCORE = ("accuracy", "ci95", "n")
_VALIDATION = "validation_"

Count = Annotated[int, Field(ge=0)]
Positive = Annotated[int, Field(ge=1)]
Share = Annotated[float, Field(ge=0, le=1)]
Amount = Annotated[float, Field(ge=0)]


class Score(Model):
    """So many of n recordings were given their own class."""

    correct: Count
    n: Positive

    @property
    def accuracy(self) -> float:
        """The share, as the run's own files have it."""
        return self.correct / self.n

    @model_validator(mode="after")
    def _no_more_than_all(self) -> Self:
        if self.correct > self.n:
            raise ValueError(f"correct is {self.correct} of n {self.n}; at most n is allowed")
        return self


class TargetFigures(Model):
    """How a target did; one that did not run has its status alone."""

    status: Literal["ok", "approximated", "differs", "failed", "not run"]
    version: str
    score: Score | None
    spike_agreement: Share | None
    prediction_agreement: Share | None


class CorruptionFigures(Model):
    """The deployed network on recordings with one corruption of one severity."""

    name: str
    kind: str
    severity: dict[str, float]
    target: str
    score: Score


class TrainingFigures(Model):
    """What training cost, evaluation excluded. `best_epoch` counts from 1.

    `joules` is None where nothing counted them, both it and `flops` in records of before they were.
    `validation` has the accuracies that picked the epoch; it is empty without such recordings.
    """

    method: str
    device: str
    threads: Positive
    seconds: Amount
    gradient_evaluations: Count
    epochs: Positive
    best_epoch: Positive
    peak_memory_bytes: Count
    validation: dict[str, Share]
    flops: Count | None = None
    joules: Amount | None = None


class Figures(Model):
    """Accuracy at every step from the smooth to the deployed network, and its cost.

    `transfer_gap` is the share lost at the hard threshold, smooth − hard. `smooth` is absent after
    training with hard spikes, `calibrated` without calibration.
    """

    smooth: Score | None
    hard: Score
    calibrated: Score | None
    deployed: Score
    weight_bits: Positive
    transfer_gap: float | None
    synops_per_sample: Amount
    corruptions: tuple[CorruptionFigures, ...]
    targets: dict[str, TargetFigures]
    training: TrainingFigures


def figures_of(run: Path, weight_bits: int) -> dict[str, Any]:
    """Return the tree of `Figures` of a run whose files are known to be whole.

    Raises:
        HardspikeError: a file lacks a figure; the line names both.
    """
    ladder, evaluation = _File.read(run / LADDER), _File.read(run / EVALUATION)
    rungs = {rung["step"]: rung for rung in ladder.entries("ladder")}
    smooth, hard, calibrated = (
        _score(rungs[step]) if step in rungs else None for step in (_SMOOTH, _HARD, _CALIBRATED)
    )
    targets = evaluation.below("targets")
    return {
        "smooth": smooth,
        "hard": hard,
        "calibrated": calibrated,
        "deployed": _score(targets.below(ORACLE)),
        "weight_bits": weight_bits,
        "transfer_gap": _gap(smooth, hard) if smooth and hard else None,
        "synops_per_sample": evaluation["synops_per_sample"],
        "corruptions": [_corruption(entry) for entry in evaluation.entries("corruptions")],
        "targets": {name: _target(targets.below(name)) for name in targets.tree},
        "training": _training(_File.read(run / COST), read_json(run / HISTORY), run / HISTORY),
    }


@dataclass(frozen=True)
class _File:
    """A mapping in a JSON file, whose faults name the file."""

    path: Path
    tree: dict[str, Any]

    @classmethod
    def read(cls, path: Path) -> "_File":
        return cls(path, read_json(path))

    def __getitem__(self, key: str) -> Any:
        if not isinstance(self.tree, dict) or key not in self.tree:
            raise HardspikeError(f"{self.path}: lacks {key}, which a record needs")
        return self.tree[key]

    def below(self, key: str) -> "_File":
        return _File(self.path, self[key])

    def entries(self, key: str) -> list["_File"]:
        return [_File(self.path, entry) for entry in self[key]]


def _score(entry: _File) -> dict[str, int]:
    accuracy, n = entry["accuracy"], entry["n"]
    correct = round(accuracy * n)
    if correct / n != accuracy:
        raise HardspikeError(
            f"{entry.path}: accuracy {accuracy} is no whole number of {n} recordings"
        )
    return {"correct": correct, "n": n}


def _gap(smooth: Mapping[str, int], hard: Mapping[str, int]) -> float:
    """Return smooth − hard as one quotient, so that 3 of 100 recordings are 0.03."""
    if smooth["n"] == hard["n"]:
        return (smooth["correct"] - hard["correct"]) / hard["n"]
    return smooth["correct"] / smooth["n"] - hard["correct"] / hard["n"]


def _target(entry: _File) -> dict[str, Any]:
    """Reasons and details stay behind: they speak of the machine."""
    ran = "accuracy" in entry.tree
    return {
        "status": entry["status"],
        "version": entry["version"],
        "score": _score(entry) if ran else None,
        "spike_agreement": entry["spike_agreement"] if ran else None,
        "prediction_agreement": entry["prediction_agreement"] if ran else None,
    }


def _corruption(entry: _File) -> dict[str, Any]:
    fixed = {key: entry[key] for key in ("name", "kind", "target")}
    severity = {key: entry[key] for key in entry.tree if key not in (*fixed, *_SCORE)}
    return {**fixed, "severity": severity, "score": _score(entry)}


def _training(cost: _File, history: Sequence[Any], path: Path) -> dict[str, Any]:
    fields = TrainingFigures.model_fields.items()
    names = [name for name, field in fields if field.is_required() and name != "validation"]
    costs = {name: cost[name] for name in names}
    joules = cost.tree.get("joules")
    counted = {
        "flops": cost.tree.get("flops"),
        "joules": joules if isinstance(joules, int | float) else None,
    }
    epochs = {epoch["epoch"] + 1: epoch.tree for epoch in (_File(path, one) for one in history)}
    if costs["best_epoch"] not in epochs:
        raise HardspikeError(f"{path}: lacks the best epoch, {costs['best_epoch']}")
    accuracies = {
        key.removeprefix(_VALIDATION): value
        for key, value in epochs[costs["best_epoch"]].items()
        if key.startswith(_VALIDATION)
    }
    return {**costs, **counted, "validation": accuracies}

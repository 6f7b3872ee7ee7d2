"""Running what is planned and not recorded yet.

A run counts as done when its record has the planned config; the run folder may be gone.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.records import STAGES, RunRecord, read_records, write_record
from benchmarks.study.parallel import Say, side_by_side
from export.errors import HardspikeError
from pipeline.config import Config
from pipeline.config_file import parse_config
from pipeline.progress import Reporter
from pipeline.stages import lineage, run_stages


@dataclass(frozen=True)
class Planned:
    """One run: the name of the file of its record (without suffix), its name and its config."""

    file: str
    name: str
    config: Config


@dataclass(frozen=True)
class Study:
    """Where a study keeps its records, and its run folders (relative to the checkout's root)."""

    records: Path
    runs: Path


def by_training(runs: Iterable[Planned]) -> list[list[Planned]]:
    """Return runs that share a training together, in the order in which the first of them comes."""
    trainings: dict[str, list[Planned]] = {}
    for run in runs:
        trainings.setdefault(lineage(run.config)[0], []).append(run)
    return list(trainings.values())


def recorded(folder: Path) -> dict[tuple[str, str], RunRecord]:
    """Return (file, run name) → record of all that was run so far."""
    if not any(folder.glob("*.json")):
        return {}
    return {(record.arm, record.name): record for record in read_records(folder)}


def missing(
    trainings: Sequence[Sequence[Planned]], done: Mapping[tuple[str, str], RunRecord]
) -> list[list[Planned]]:
    """Return what is planned and has no record of the same config."""
    left = [[run for run in runs if not _is_done(run, done)] for runs in trainings]
    return [runs for runs in left if runs]


def _is_done(run: Planned, done: Mapping[tuple[str, str], RunRecord]) -> bool:
    record = done.get((run.file, run.name))
    return record is not None and is_of_config(record.config, run.config)


def is_of_config(tree: Mapping[str, Any], config: Config) -> bool:
    """Return whether a recorded config is this one; a key added since has its default there."""
    try:
        return parse_config(tree, config.name) == config
    except HardspikeError:  # written when a key was called otherwise
        return False


def bring_up_to_date(
    study: Study, trainings: Sequence[Sequence[Planned]], jobs: int, only: str, say: Say
) -> list[str]:
    """Run what is missing and has all of `only`'s texts in its name, `jobs` trainings at a time.

    Returns a line for every training that failed.
    """
    left = missing(trainings, recorded(study.records))
    texts = only.split(",")
    left = [[run for run in runs if all(text in run.name for text in texts)] for runs in left]
    left = [runs for runs in left if runs]
    say(f"{sum(map(len, left))} runs of {len(left)} trainings are due")
    tasks = [(runs[0].name, partial(_run, study, runs)) for runs in left]
    return side_by_side(tasks, jobs, say)


def _run(study: Study, runs: Sequence[Planned]) -> str:
    """Train once, then convert, deploy, evaluate and record every run of the training."""
    texts = []
    finished = sorted(path for path in study.runs.glob("*") if (path / "train").is_dir())
    folders = [study.runs / run.name for run in runs]
    for run, folder in zip(runs, folders, strict=True):
        siblings = [*folders, *(path for path in finished if path not in folders)]
        run_stages(run.config, folder, STAGES, Reporter(quiet=True), siblings=siblings)
        record = write_record(folder, study.records / f"{run.file}.json")
        bits, deployed = record.figures.weight_bits, record.figures.deployed
        texts.append(f"{bits} bit {100 * deployed.accuracy:.1f}%")
    return "  ".join(texts)

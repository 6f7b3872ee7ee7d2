"""What each stage does once it is due: a job in, the names of its files and facts about it out."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from export.files import read_json
from pipeline.config import Config, Imported
from pipeline.progress import Reporter

if TYPE_CHECKING:
    from pipeline.team import Team


@dataclass(frozen=True)
class Job:
    """What a stage's work is given: the config, the run, the stage's key and its folder.

    `team` are the ranks of a training in several processes, None where there is one.
    """

    config: Config
    run: Path
    key: str
    folder: Path
    reporter: Reporter
    team: "Team | None" = None


Outcome = tuple[list[str], dict[str, Any]]
"""The names of a stage's outputs, and facts for its manifest."""


def _train(job: Job) -> Outcome:
    if isinstance(job.config.train, Imported):
        from pipeline.imported.stage import import_stage

        return import_stage(job.config, job.folder, job.reporter), {}
    from pipeline.train import COST, train_stage

    names = train_stage(job.config, job.key, job.folder, job.reporter, job.team)
    return names, {"device": read_json(job.folder / COST)["device"]}


def _convert(job: Job) -> Outcome:
    from pipeline.convert import convert_stage

    return convert_stage(job.config, job.run / "train", job.folder, job.reporter), {}


def _deploy(job: Job) -> Outcome:
    from pipeline.deploy import deploy_stage

    return deploy_stage(job.run / "convert", job.folder, job.reporter), {}


def _evaluate(job: Job) -> Outcome:
    from pipeline.evaluate import RESULTS, evaluate_stage

    names = evaluate_stage(job.config, job.run / "deploy", job.folder, job.reporter)
    targets = read_json(job.folder / RESULTS)["targets"]
    finished = ("ok", "approximated")
    incomplete = [name for name in targets if targets[name]["status"] not in finished]
    return names, {"incomplete": incomplete}


def _report(job: Job) -> Outcome:
    from pipeline.report import report_stage

    return report_stage(job.config, job.run, job.folder, job.reporter), {}


# The stages' own modules load torch, onnxruntime or matplotlib; each is imported when it is due.
WORK: Mapping[str, Callable[[Job], Outcome]] = {
    "train": _train,
    "convert": _convert,
    "deploy": _deploy,
    "evaluate": _evaluate,
    "report": _report,
}

"""The five stages of a run: when each is due, what it reads, and how it is recorded.

A stage's key is a digest of its config, its inputs' hashes and the source of the code it runs. The
same key and untouched outputs mean that the stage is done.
"""

import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from export.errors import HardspikeError
from export.files import read_json, write_json
from pipeline.config import Config
from pipeline.config_file import config_tree, parse_config
from pipeline.progress import Reporter
from pipeline.run_dir import StageFolder, digest, locked, source_digest, versions

CONFIG_FILE = "config.json"
_DATA = ("pipeline/data",)
_TRAIN = (
    *_DATA,
    "pipeline/train.py",
    "pipeline/training",
    "pipeline/model.py",
    "pipeline/neuron.py",
    "pipeline/surrogate.py",
)


@dataclass(frozen=True)
class Stage:
    """A stage: the stages whose outputs it reads, its config sections, and its code."""

    name: str
    reads: tuple[str, ...]
    sections: tuple[str, ...]
    sources: tuple[str, ...]


STAGES = (
    Stage("train", (), ("seed", "data", "network", "train"), _TRAIN),
    Stage(
        "convert",
        ("train",),
        ("seed", "data", "network", "convert"),
        (*_TRAIN, "pipeline/convert.py", "hardware", "export"),
    ),
    Stage("deploy", ("convert",), (), ("pipeline/deploy.py", "hardware", "export")),
    Stage(
        "evaluate",
        ("deploy",),
        ("seed", "data", "evaluate"),
        (*_DATA, "pipeline/evaluate.py", "hardware", "export"),
    ),
    Stage(
        "report",
        ("train", "convert", "deploy", "evaluate"),
        ("name",),
        ("pipeline/report.py", "pipeline/pictures.py", "pipeline/metrics.py"),
    ),
)
STAGE_NAMES = tuple(stage.name for stage in STAGES)


def run_stages(
    config: Config, run: Path, names: Sequence[str], reporter: Reporter, force: bool = False
) -> None:
    """Bring the named stages of a run up to date, in order; `force` does them again in any case.

    Raises:
        HardspikeError: an earlier stage is missing or was changed, or a stage fails.
    """
    with locked(run):
        write_json(run / CONFIG_FILE, config_tree(config))
        for stage in STAGES:
            if stage.name in names:
                _bring_up_to_date(stage, config, run, reporter, force)


def _bring_up_to_date(
    stage: Stage, config: Config, run: Path, reporter: Reporter, force: bool
) -> None:
    folder = StageFolder(run, stage.name)
    inputs = {
        f"{name}/{path}": sha
        for name in stage.reads
        for path, sha in StageFolder(run, name).outputs().items()
    }
    inputs |= _data_inputs(config) if "data" in stage.sections else {}
    tree = config_tree(config)
    sections = {name: tree[name] for name in stage.sections}
    key = digest([sections, inputs, source_digest(stage.sources), versions()["torch"]])
    if not force and folder.is_done(key):
        reporter.line(f"{stage.name:<9} up to date")
        return
    folder.begin()
    if force and stage.name == "train":
        (folder.path / ".state.safetensors").unlink(missing_ok=True)
    started = time.time()
    outputs = _WORK[stage.name](config, run, key, folder.path, reporter)
    facts = {"seed": config.seed, **_facts(stage, folder.path)}
    folder.finish(key, sections, inputs, outputs, started, facts)


def _facts(stage: Stage, folder: Path) -> dict[str, Any]:
    """Return the device a stage computed on: the trainer's own for train, else the processor."""
    return {"device": read_json(folder / "cost.json")["device"] if stage.name == "train" else "cpu"}


def _data_inputs(config: Config) -> dict[str, str]:
    """Return a fingerprint of the user's recordings: names, sizes and times of change."""
    root = getattr(config.data.source, "root", None)
    if root is None:
        return {}
    files = []
    for folder, folders, names in os.walk(root):
        folders.sort()
        for name in sorted(names):
            path = Path(folder) / name
            facts = path.stat()
            relative = path.relative_to(root).as_posix()
            files.append([relative, facts.st_size, facts.st_mtime_ns])
    return {f"data:{root}": digest(files)}


def _train(config: Config, run: Path, key: str, folder: Path, reporter: Reporter) -> list[str]:
    from pipeline.train import train_stage

    return train_stage(config, key, folder, reporter)


def _convert(config: Config, run: Path, key: str, folder: Path, reporter: Reporter) -> list[str]:
    from pipeline.convert import convert_stage

    return convert_stage(config, run / "train", folder, reporter)


def _deploy(config: Config, run: Path, key: str, folder: Path, reporter: Reporter) -> list[str]:
    from pipeline.deploy import deploy_stage

    return deploy_stage(run / "convert", folder, reporter)


def _evaluate(config: Config, run: Path, key: str, folder: Path, reporter: Reporter) -> list[str]:
    from pipeline.evaluate import evaluate_stage

    return evaluate_stage(config, run / "deploy", folder, reporter)


def _report(config: Config, run: Path, key: str, folder: Path, reporter: Reporter) -> list[str]:
    from pipeline.report import report_stage

    return report_stage(config, run, folder, reporter)


# The stages' own modules load torch, onnxruntime or matplotlib; each is imported when it is due.
_WORK: Mapping[str, Callable[[Config, Path, str, Path, Reporter], list[str]]] = {
    "train": _train,
    "convert": _convert,
    "deploy": _deploy,
    "evaluate": _evaluate,
    "report": _report,
}


def load_run(run: Path) -> Config:
    """Read the config of a run folder.

    Raises:
        HardspikeError: the folder holds no run, or its config has faults.
    """
    path = run / CONFIG_FILE
    if not path.exists():
        raise HardspikeError(f"{run}: is not a run folder (no {CONFIG_FILE})")
    return parse_config(read_json(path), str(path))

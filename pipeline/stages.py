"""The five stages of a run: when each is due, what it reads, and how it is recorded.

A stage's key is a digest of its config, its inputs' hashes, the source of the code it runs and the
versions of the packages that matter to it. The same key and untouched outputs mean that the stage
is done. A stage refuses to read another that is of another config or of other inputs.
"""

import functools
import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from export.errors import HardspikeError
from export.files import read_json, sha256, write_json
from pipeline.config import Config
from pipeline.config_file import config_tree, parse_config
from pipeline.data.paths import digits_file, expanded
from pipeline.progress import Reporter
from pipeline.run_dir import (
    CONFIG_FILE,
    STATE,
    StageFolder,
    digest,
    locked,
    package_versions,
    source_digest,
)

_RECORDINGS = "recordings"
_DATA = ("pipeline/data", "export/network.py")
_TRAIN = (
    *_DATA,
    "pipeline/train.py",
    "pipeline/training",
    "pipeline/model.py",
    "pipeline/neuron.py",
    "pipeline/surrogate.py",
)
_DEPLOYED = ("hardware", "export", "hardware/loihi/worker.py.lock")


@dataclass(frozen=True)
class Stage:
    """A stage: the stages whose outputs it reads, its config sections, its code, and the packages
    that its result depends on.
    """

    name: str
    reads: tuple[str, ...]
    sections: tuple[str, ...]
    sources: tuple[str, ...]
    packages: tuple[str, ...]


STAGES = (
    Stage("train", (), ("seed", "data", "network", "train"), _TRAIN, ("torch", "numpy", "tonic")),
    Stage(
        "convert",
        ("train",),
        ("seed", "data", "network", "convert"),
        (*_TRAIN, "pipeline/convert.py", "pipeline/metrics.py", "hardware", "export"),
        ("torch", "numpy"),
    ),
    Stage(
        "deploy",
        ("convert",),
        (),
        ("pipeline/deploy.py", *_DEPLOYED),
        ("onnx", "onnxruntime", "nir", "h5py"),
    ),
    Stage(
        "evaluate",
        ("deploy",),
        ("seed", "data", "evaluate"),
        (*_DATA, "pipeline/evaluate.py", "pipeline/metrics.py", *_DEPLOYED),
        ("numpy", "onnxruntime", "h5py"),
    ),
    Stage(
        "report",
        ("train", "convert", "deploy", "evaluate"),
        ("name", "data"),
        (*_DATA, "pipeline/report.py", "pipeline/pictures.py", "pipeline/metrics.py"),
        (),
    ),
)
STAGE_NAMES = tuple(stage.name for stage in STAGES)
_STAGE = {stage.name: stage for stage in STAGES}


def run_stages(
    config: Config, run: Path, names: Sequence[str], reporter: Reporter, force: bool = False
) -> None:
    """Bring the named stages of a run up to date, in order; `force` does them again in any case.

    Raises:
        HardspikeError: an earlier stage is missing, out of date or was changed, or a stage fails.
    """
    with locked(run):
        path, tree = run / CONFIG_FILE, config_tree(config)
        if not path.exists():
            write_json(path, tree)
        for stage in STAGES:
            if stage.name in names:
                _bring_up_to_date(stage, config, run, reporter, force)
                write_json(path, tree)


def _bring_up_to_date(
    stage: Stage, config: Config, run: Path, reporter: Reporter, force: bool
) -> None:
    for name in stage.reads:
        _check_current(_STAGE[name], config, run)
    folder = StageFolder(run, stage.name)
    folder.recover()
    inputs, key = _inputs(stage, config, run), _key(stage, config, run)
    if not force and folder.is_done(key):
        reporter.line(f"{stage.name:<9} up to date")
        return
    if folder.manifest_path.exists() and not force:
        reporter.line(f"{stage.name:<9} due again: {_why(stage, config, inputs, folder)}")
    state = folder.path / STATE
    if force:
        state.unlink(missing_ok=True)
    started = time.time()
    with folder.replaced(keep=not force):
        outputs, facts = _WORK[stage.name](_Job(config, run, key, folder.path, reporter))
        facts = {"seed": config.seed, "device": "cpu", **facts}
        folder.finish(key, _sections(stage, config), inputs, outputs, started, facts)
    state.unlink(missing_ok=True)


def _why(stage: Stage, config: Config, inputs: Mapping[str, str], folder: StageFolder) -> str:
    """Say what has changed since a stage was finished."""
    manifest, sections = folder.manifest(), _sections(stage, config)
    changed = [name for name in sections if manifest["config"].get(name) != sections[name]]
    if changed:
        return f"config changed ({', '.join(changed)})"
    if manifest["inputs"] != inputs:
        return "inputs changed"
    if manifest.get("incomplete"):
        return f"{', '.join(manifest['incomplete'])} did not run to the end"
    return "code or package versions changed"


def _check_current(stage: Stage, config: Config, run: Path) -> None:
    """Refuse a stage that is missing, was changed, or is of another config or other inputs.

    One that older code made is still read; `run` makes it again.

    Raises:
        HardspikeError: one line that names the stage to run.
    """
    for name in stage.reads:
        _check_current(_STAGE[name], config, run)
    folder = StageFolder(run, stage.name)
    folder.recover()
    manifest = folder.verify()
    files = {name: sha for name, sha in manifest["inputs"].items() if name != _RECORDINGS}
    if manifest["config"] != _sections(stage, config) or files != _files(stage, run):
        raise HardspikeError(
            f"{folder.path}: is out of date with the config or its inputs; "
            f"run `hardspike {stage.name} {run}` first"
        )


def _sections(stage: Stage, config: Config) -> dict[str, Any]:
    tree = config_tree(config)
    return {name: tree[name] for name in stage.sections}


def _inputs(stage: Stage, config: Config, run: Path) -> dict[str, str]:
    """Return the hashes of all that a stage reads: files of earlier stages, and recordings."""
    recordings = {_RECORDINGS: _recordings(config)} if "data" in stage.sections else {}
    return _files(stage, run) | recordings


def _files(stage: Stage, run: Path) -> dict[str, str]:
    return {
        f"{name}/{path}": sha
        for name in stage.reads
        for path, sha in StageFolder(run, name).outputs().items()
    }


def _key(stage: Stage, config: Config, run: Path) -> str:
    inputs = _inputs(stage, config, run)
    sources = source_digest(stage.sources)
    versions = package_versions(stage.packages)
    return digest([_sections(stage, config), inputs, sources, versions])


def _recordings(config: Config) -> str:
    """Return a fingerprint of the recordings: the user's files, or the digits behind them."""
    root = getattr(config.data.source, "root", None)
    return sha256(digits_file()) if root is None else _tree_digest(expanded(root))


@functools.cache
def _tree_digest(root: Path) -> str:
    files = []
    for folder, folders, names in os.walk(root, followlinks=True):
        folders.sort()
        for path in (Path(folder) / name for name in sorted(names)):
            facts = path.stat()
            relative = path.relative_to(root).as_posix()
            files.append([relative, facts.st_size, facts.st_mtime_ns])
    return digest(files)


@dataclass(frozen=True)
class _Job:
    """What a stage's work is given."""

    config: Config
    run: Path
    key: str
    folder: Path
    reporter: Reporter


Outcome = tuple[list[str], dict[str, Any]]
"""The names of a stage's outputs, and facts for its manifest."""


def _train(job: _Job) -> Outcome:
    from pipeline.train import COST, train_stage

    names = train_stage(job.config, job.key, job.folder, job.reporter)
    return names, {"device": read_json(job.folder / COST)["device"]}


def _convert(job: _Job) -> Outcome:
    from pipeline.convert import convert_stage

    return convert_stage(job.config, job.run / "train", job.folder, job.reporter), {}


def _deploy(job: _Job) -> Outcome:
    from pipeline.deploy import deploy_stage

    return deploy_stage(job.run / "convert", job.folder, job.reporter), {}


def _evaluate(job: _Job) -> Outcome:
    from pipeline.evaluate import RESULTS, evaluate_stage

    names = evaluate_stage(job.config, job.run / "deploy", job.folder, job.reporter)
    targets = read_json(job.folder / RESULTS)["targets"]
    return names, {"incomplete": [name for name in targets if targets[name]["status"] != "ok"]}


def _report(job: _Job) -> Outcome:
    from pipeline.report import report_stage

    return report_stage(job.config, job.run, job.folder, job.reporter), {}


# The stages' own modules load torch, onnxruntime or matplotlib; each is imported when it is due.
_WORK: Mapping[str, Callable[[_Job], Outcome]] = {
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

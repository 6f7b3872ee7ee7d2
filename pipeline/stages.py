"""The five stages of a run: when each is due, what it reads, and how it is recorded.

A stage's key is a digest of its config, its inputs' hashes, the source of the code it runs and the
versions of the packages that matter to it. The same key and untouched outputs mean that the stage
is done. A stage refuses to read another that is of another config or of other inputs.
"""

import functools
import os
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from export.errors import HardspikeError
from export.files import read_json, sha256, write_json
from pipeline.beside import beside_hashes
from pipeline.config import Config
from pipeline.config_file import config_tree, parse_config
from pipeline.data.paths import digits_file, expanded
from pipeline.data.settings import NoRecordings
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
from pipeline.stage_work import WORK, Job

if TYPE_CHECKING:
    from pipeline.team import Team

_RECORDINGS = "recordings"
_REPORT = "report"
_DATA = ("pipeline/data", "export/network.py")
_TRAIN = (
    *_DATA,
    "pipeline/train.py",
    "pipeline/training",
    "pipeline/distributed.py",
    "pipeline/team.py",
    "pipeline/model.py",
    "pipeline/neuron.py",
    "pipeline/fused_neuron.py",
    "pipeline/neuron_kernels.py",
    "pipeline/surrogate.py",
    "pipeline/weight_grid.py",
    "pipeline/imported",
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
    Stage(
        "train",
        (),
        ("seed", "data", "network", "train"),
        _TRAIN,
        ("torch", "numpy", "numba", "tonic"),
    ),
    Stage(
        "convert",
        ("train",),
        ("seed", "data", "network", "train", "convert"),
        (
            *_TRAIN,
            "pipeline/convert.py",
            "pipeline/accuracy_loss.py",
            "pipeline/calibrate.py",
            "pipeline/approximate.py",
            "pipeline/metrics.py",
            "hardware",
            "export",
        ),
        ("torch", "numpy", "numba"),
    ),
    Stage(
        "deploy",
        ("convert",),
        (),
        ("pipeline/deploy.py", "pipeline/approximate.py", *_DEPLOYED),
        ("onnx", "onnxruntime", "nir", "h5py"),
    ),
    Stage(
        "evaluate",
        ("deploy",),
        ("seed", "data", "evaluate"),
        (
            *_DATA,
            "pipeline/evaluate.py",
            "pipeline/approximate.py",
            "pipeline/metrics.py",
            *_DEPLOYED,
        ),
        ("numpy", "onnxruntime", "h5py"),
    ),
    Stage(
        "report",
        ("train", "convert", "deploy", "evaluate"),
        ("name", "data"),
        (
            *_DATA,
            "export",
            "pipeline/report.py",
            "pipeline/report_markdown.py",
            "pipeline/accuracy_gain.py",
            "pipeline/report_page",
            "pipeline/report_page/templates/*",
            "pipeline/beside.py",
            "pipeline/verdict.py",
            "pipeline/accuracy_loss.py",
            "pipeline/layer_facts.py",
            "pipeline/robustness/section.py",
            "pipeline/robustness/table.py",
            "pipeline/energy/table.py",
            "pipeline/conversion_page.py",
            "pipeline/cost_page.py",
            "pipeline/neurobench_page.py",
            "pipeline/pictures.py",
            "pipeline/convergence_page.py",
            "pipeline/convergence_picture.py",
            "pipeline/training/history_files.py",
            "pipeline/metrics.py",
        ),
        (),
    ),
)
STAGE_NAMES = tuple(stage.name for stage in STAGES)
_STAGE = {stage.name: stage for stage in STAGES}


def run_stages(
    config: Config,
    run: Path,
    names: Sequence[str],
    reporter: Reporter,
    force: bool = False,
    siblings: Iterable[Path] = (),
    team: "Team | None" = None,
) -> None:
    """Bring the named stages of a run up to date, in order; `force` does them again in any case.

    A stage that one of `siblings`, other run folders, finished under the same key is copied. With
    a `team`, training calls its other ranks.

    Raises:
        HardspikeError: an earlier stage is missing, out of date or was changed, or a stage fails.
    """
    with locked(run):
        path, tree = run / CONFIG_FILE, config_tree(config)
        if not path.exists():
            write_json(path, tree)
        for name in STAGE_NAMES:
            StageFolder(run, name).recover()
        for stage in STAGES:
            if stage.name in names:
                _bring_up_to_date(stage, config, run, reporter, force, siblings, team)
                write_json(path, tree)


def _bring_up_to_date(
    stage: Stage,
    config: Config,
    run: Path,
    reporter: Reporter,
    force: bool,
    siblings: Iterable[Path],
    team: "Team | None",
) -> None:
    for name in stage.reads:
        check_current(name, config, run)
    folder = StageFolder(run, stage.name)
    inputs, key = _inputs(stage, config, run), _key(stage, config, run)
    if not force and folder.is_done(key):
        reporter.line(f"{stage.name:<9} up to date")
        return
    if folder.manifest_path.exists() and not force:
        reporter.line(f"{stage.name:<9} due again: {_why(stage, config, inputs, folder)}")
    state = folder.path / STATE
    if force:
        state.unlink(missing_ok=True)
    with folder.replaced(keep=not force):
        # A report holds the whole config, of which its key knows a part.
        shared = () if force or stage.name == _REPORT else siblings
        source = folder.copied(key, shared)
        if source is None:
            _carry_out(stage, inputs, Job(config, run, key, folder.path, reporter, team))
        else:
            reporter.line(f"{stage.name:<9} taken from {source}")
    state.unlink(missing_ok=True)


def _carry_out(stage: Stage, inputs: Mapping[str, str], job: Job) -> None:
    started = time.time()
    outputs, facts = WORK[stage.name](job)
    facts = {"seed": job.config.seed, "device": "cpu", **facts}
    folder = StageFolder(job.run, stage.name)
    folder.finish(job.key, _sections(stage, job.config), inputs, outputs, started, facts)


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


def check_current(name: str, config: Config, run: Path) -> None:
    """Refuse a stage that is missing, was changed, or is of another config or other inputs.

    One that older code made is still read; `run` makes it again. Nothing is written.

    Raises:
        HardspikeError: one line that names the stage to run.
    """
    stage = _STAGE[name]
    for earlier in stage.reads:
        check_current(earlier, config, run)
    folder = StageFolder(run, stage.name)
    manifest = folder.verify()
    files = {name: sha for name, sha in manifest["inputs"].items() if name != _RECORDINGS}
    if manifest["config"] != _sections(stage, config) or files != _files(stage, run):
        raise HardspikeError(
            f"{folder.path}: is out of date with the config or its inputs; "
            f"run `hardspike {stage.name} {run}` first"
        )


def due_stage(config: Config, run: Path) -> str | None:
    """Return the first stage that `run_stages` would work at, None if all are done.

    A stage with a fault in it counts as due. Nothing is written.
    """
    for stage in STAGES:
        try:
            done = StageFolder(run, stage.name).is_done(_key(stage, config, run))
        except HardspikeError:
            done = False
        if not done:
            return stage.name
    return None


def lineage(config: Config) -> tuple[str, ...]:
    """Return a digest a stage of all config sections that it and the stages before it read.

    Two runs can share their stages up to where their lineages part. The report is left out.
    """
    tree, names, digests = config_tree(config), set[str](), []
    for stage in STAGES[:-1]:
        names |= set(stage.sections)
        digests.append(digest({name: tree[name] for name in names}))
    return tuple(digests)


def require_targets(run: Path) -> None:
    """Refuse an evaluation in which a target did not run or failed.

    Raises:
        HardspikeError: one line a target.
    """
    from pipeline.report_markdown import missing_targets

    missing = missing_targets(read_json(run / "evaluate" / "evaluation.json"))
    if missing:
        again = f"`hardspike run {run}` tries again"
        raise HardspikeError(*(f"{name} {reason}; {again}" for name, reason in missing))


def _sections(stage: Stage, config: Config) -> dict[str, Any]:
    tree = config_tree(config)
    return {name: tree[name] for name in stage.sections}


def _inputs(stage: Stage, config: Config, run: Path) -> dict[str, str]:
    """Return the hashes of all that a stage reads: files of earlier stages, and recordings."""
    recordings = {_RECORDINGS: recordings_digest(config)} if "data" in stage.sections else {}
    return _files(stage, run) | recordings


def _files(stage: Stage, run: Path) -> dict[str, str]:
    files = {
        f"{name}/{path}": sha
        for name in stage.reads
        for path, sha in StageFolder(run, name).outputs().items()
    }
    return files | (beside_hashes(run) if stage.name == _REPORT else {})


def _key(stage: Stage, config: Config, run: Path) -> str:
    inputs = _inputs(stage, config, run)
    sources = source_digest(stage.sources)
    versions = package_versions(stage.packages)
    return digest([_sections(stage, config), inputs, sources, versions])


def recordings_digest(config: Config) -> str:
    """Return a fingerprint of the recordings: the user's files, or the digits behind them."""
    if isinstance(config.data.source, NoRecordings):
        return digest(None)
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


def load_run(run: Path) -> Config:
    """Read the config of a run folder.

    Raises:
        HardspikeError: the folder holds no run, or its config has faults.
    """
    path = run / CONFIG_FILE
    if not path.exists():
        raise HardspikeError(f"{run}: is not a run folder (no {CONFIG_FILE})")
    return parse_config(read_json(path), str(path))

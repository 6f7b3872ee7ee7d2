"""Records of a study's runs: what is kept of a run when its folder is gone.

A record holds the config, what the stages' manifests say and every figure; a few kB.
`docs/studies/<study>/<arm>.json` holds the records of an arm, one a line, sorted by name, which is
that of the run folder. Nothing in a record depends on where the run lay.
"""

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self, TypeVar

from pydantic import BaseModel, Field, ValidationError, model_validator

from benchmarks.run_figures import Figures, figures_of
from benchmarks.statistics import Match
from benchmarks.study.entries import alone_in, one_a_line
from export.errors import HardspikeError
from export.files import read_json, write_bytes
from pipeline.data.settings import Folder
from pipeline.run_dir import CONFIG_FILE, StageFolder
from pipeline.schema import Model
from pipeline.stages import load_run

RUN_SCHEMA, ARM_SCHEMA = "hardspike.study-run/1", "hardspike.study-arm/1"
StageName = Literal["train", "convert", "deploy", "evaluate"]
STAGES: tuple[StageName, ...] = ("train", "convert", "deploy", "evaluate")
_RECORDINGS = "recordings"
_PLATFORM = "platform"
"""Left out of the versions: it names the host's kernel."""
_ABSOLUTE_PATH = re.compile(r"(?:^|[\s\"'(=])(?:[~/]|[A-Za-z]:[\\/])")

Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Name = Annotated[str, Field(min_length=1)]
Checked = TypeVar("Checked", bound=BaseModel)


class StageRecord(Model):
    """What a stage's manifest says. `outputs` maps a file's name to its SHA-256."""

    key: Sha256
    started: str
    seconds: Annotated[float, Field(ge=0)]
    device: str
    git_commit: str | None
    versions: Annotated[dict[str, str], Field(min_length=1)]
    outputs: Annotated[dict[str, Sha256], Field(min_length=1)]


class RunRecord(Model):
    """One run of an arm. `fold` is None where the recordings are not dealt in folds."""

    schema_name: Annotated[Literal["hardspike.study-run/1"], Field(alias="schema")]
    arm: Name
    name: Name
    fold: int | None
    seed: int
    config: dict[str, Any]
    stages: dict[StageName, StageRecord]
    figures: Figures

    @property
    def match(self) -> Match:
        """What pairs this run with one of another arm."""
        return Match(self.fold, self.seed)

    @model_validator(mode="after")
    def _has_every_stage(self) -> Self:
        missing = [stage for stage in STAGES if stage not in self.stages]
        if missing:
            raise ValueError(f"stages lacks {', '.join(missing)}; all of {', '.join(STAGES)}")
        return self

    @model_validator(mode="after")
    def _names_no_path_of_a_machine(self) -> Self:
        for path, text in _texts(self.model_dump(mode="json", by_alias=True)):
            if _ABSOLUTE_PATH.search(text):
                raise ValueError(
                    f"{path} is {text!r}, a path of one machine; allowed are relative paths"
                )
        return self


class _ArmFile(Model):
    """What a file of an arm holds."""

    schema_name: Annotated[Literal["hardspike.study-arm/1"], Field(alias="schema")]
    runs: dict[str, RunRecord]


def make_record(run: Path, arm: str) -> RunRecord:
    """Gather the record of a finished run; its name is the folder's.

    Raises:
        HardspikeError: a stage is missing, was changed or is of another config, a file lacks a
            figure, or a text holds an absolute path; one line each.
    """
    experiment, config = load_run(run), read_json(run / CONFIG_FILE)
    source = experiment.data.source
    tree = {
        "schema": RUN_SCHEMA,
        "arm": arm,
        "name": run.resolve().name,
        "fold": source.fold if isinstance(source, Folder) and source.folds else None,
        "seed": experiment.seed,
        "config": config,
        "stages": _stages(run, config),
        "figures": figures_of(run, experiment.convert.weight_bits),
    }
    return _checked(RunRecord, tree, str(run))


def _stages(run: Path, config: Mapping[str, Any]) -> dict[str, Any]:
    """Return the manifests' facts after holding every stage to the config and to its inputs."""
    manifests = {stage: StageFolder(run, stage).verify() for stage in STAGES}
    written = {
        f"{stage}/{entry['path']}": entry["sha256"]
        for stage, manifest in manifests.items()
        for entry in manifest["outputs"]
    }
    for stage, manifest in manifests.items():
        read = {name: sha for name, sha in manifest["inputs"].items() if name != _RECORDINGS}
        of_config = all(config.get(name) == part for name, part in manifest["config"].items())
        if not of_config or any(written.get(name) != sha for name, sha in read.items()):
            raise HardspikeError(
                f"{run / stage}: is out of date with the config or its inputs; "
                f"run `hardspike run {run}` first"
            )
    return {stage: _facts(manifest) for stage, manifest in manifests.items()}


def _facts(manifest: Mapping[str, Any]) -> dict[str, Any]:
    names = ("key", "started", "seconds", "device", "git_commit")
    found = manifest.get("versions", {}).items()
    versions = {name: version for name, version in found if name != _PLATFORM}
    outputs = {entry["path"]: entry["sha256"] for entry in manifest["outputs"]}
    facts = {name: manifest.get(name) for name in names}
    return facts | {"versions": versions, "outputs": outputs}


def write_record(run: Path, path: Path) -> RunRecord:
    """Add the record of a finished run to an arm's file, in place of one of its name.

    The arm is the file's name without its suffix. Two processes may write to one file.

    Raises:
        HardspikeError: as `make_record`; or the file is there and is not an arm's.
    """
    record = make_record(run, path.stem)
    with alone_in(path.parent):
        records = _read_arm(path) if path.exists() else {}
        trees = {name: _tree(one) for name, one in {**records, record.name: record}.items()}
        write_bytes(path, one_a_line(ARM_SCHEMA, "runs", trees).encode())
    return record


def _tree(record: RunRecord) -> dict[str, Any]:
    return record.model_dump(mode="json", by_alias=True)


def read_records(folder: Path) -> tuple[RunRecord, ...]:
    """Read every `<arm>.json` of a study, sorted by arm and name.

    Raises:
        HardspikeError: the folder holds no such file, or one has faults; a line a fault with the
            file, the field, what was found and what is allowed.
    """
    # A name with a dot in front is a file that is being written.
    paths = sorted(folder.glob("[!.]*.json"))
    if not paths:
        raise HardspikeError(f"{folder}: holds no records; expected is one <arm>.json an arm")
    return tuple(record for path in paths for record in _read_arm(path).values())


def by_match(
    records: Iterable[RunRecord], figure: Callable[[RunRecord], float]
) -> dict[Match, float]:
    """Return the figure of every run by its fold and seed, for `benchmarks.statistics`.

    Raises:
        HardspikeError: two runs have the same fold and seed.
    """
    found: dict[Match, RunRecord] = {}
    for record in records:
        other = found.setdefault(record.match, record)
        if other is not record:
            raise HardspikeError(
                f"{other.arm}/{other.name} and {record.arm}/{record.name} have the same fold "
                f"{record.fold} and seed {record.seed}; allowed is one run of each"
            )
    return {match: figure(record) for match, record in found.items()}


def _read_arm(path: Path) -> dict[str, RunRecord]:
    runs = _checked(_ArmFile, read_json(path), str(path)).runs
    for name, record in runs.items():
        if (record.arm, record.name) != (path.stem, name):
            raise HardspikeError(
                f"{path}: runs.{name} is the record of {record.arm}, {record.name}; "
                f"here it is of {path.stem}, {name}"
            )
    return {name: runs[name] for name in sorted(runs)}


def _checked(model: type[Checked], tree: Any, source: str) -> Checked:
    try:
        return model.model_validate_json(json.dumps(tree))
    except ValidationError as error:
        faults = error.errors()
    raise HardspikeError(
        *(
            f"{source}: {'.'.join(map(str, fault['loc'])) or '(top)'}: "
            f"found {_short(fault['input'])}; {fault['msg']}"
            for fault in faults
        )
    )


def _short(value: Any) -> str:
    text = json.dumps(value, ensure_ascii=False, default=str)
    return text if len(text) <= 60 else text[:57] + "..."


def _texts(tree: Any, path: str = "") -> Iterator[tuple[str, str]]:
    """Yield every text of a tree with its dotted path."""
    if isinstance(tree, str):
        yield path, tree
    elif isinstance(tree, Mapping):
        for key, value in tree.items():
            yield from _texts(value, f"{path}.{key}" if path else key)
    elif isinstance(tree, list):
        for index, value in enumerate(tree):
            yield from _texts(value, f"{path}.{index}")

"""What the deployed network of every run withstands, an entry a run.

An entry counts as done when it is of the network that the run's record names, and of this suite.
The run's folder is made again where it is gone; the same seed gives the same network.
"""

from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from benchmarks.deployment_study.plan import plan
from benchmarks.deployment_study.settings import RECORDS, RUNS, SUITE
from benchmarks.records import STAGES, Sha256
from benchmarks.study.entries import add_entry, read_entries
from benchmarks.study.parallel import Say, side_by_side
from benchmarks.study.runs import Planned, recorded
from export.files import sha256
from export.network import Synapse
from export.netx_file import read_netx
from pipeline.config_file import config_tree
from pipeline.progress import Reporter
from pipeline.robustness.measure import robustness
from pipeline.robustness.settings import load_suite
from pipeline.run_dir import digest
from pipeline.stages import run_stages

SCHEMA = "hardspike.study-withstood/1"
FOLDER = "withstood"
TARGET, SEED = "onnxruntime", 0

Count = Annotated[int, Field(ge=0)]


class Withstood(BaseModel):
    """How many of n recordings a deployed network gives their class, severity by severity.

    Counts of faults are means over their draws. A row that was refused is absent. `mean_weights` is
    the mean magnitude of each layer's integer weights over the largest that it has.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    network_sha256: Sha256
    suite_sha256: Sha256
    fold: int
    seed: int
    n: Annotated[int, Field(ge=1)]
    clean: Count
    events: dict[str, tuple[float, ...]]
    faults: dict[str, tuple[float, ...]]
    mean_weights: tuple[float, ...]


def read_withstood(folder: Path, arm: str) -> dict[str, Withstood]:
    """Read an arm's entries by the run's name.

    Raises:
        HardspikeError: the file has faults.
    """
    return read_entries(folder / FOLDER / f"{arm}.json", Withstood, SCHEMA)


def withstand(jobs: int, only: str, say: Say) -> list[str]:
    """Measure the runs that have a record and no entry, `jobs` at a time; return what failed."""
    records, suite = recorded(RECORDS), suite_digest()
    due = []
    for run in plan():
        record = records.get((run.file, run.name))
        if record is None or not all(text in run.name for text in only.split(",")):
            continue
        network = record.stages["deploy"].outputs["model.net"]
        entry = read_withstood(RECORDS, run.file).get(run.name)
        if entry is None or (entry.network_sha256, entry.suite_sha256) != (network, suite):
            due.append(run)
    say(f"{len(due)} of {len(records)} recorded runs are to be put to the suite")
    return side_by_side([(run.name, partial(_measure, run)) for run in due], jobs, say)


def suite_digest() -> str:
    """Return what names the suite as it is now."""
    return digest(config_tree(load_suite(SUITE)))


def _measure(run: Planned) -> str:
    folder, quiet = RUNS / run.name, Reporter(quiet=True)
    run_stages(run.config, folder, STAGES, quiet)
    suite = load_suite(SUITE)
    report = robustness(run.config, folder, suite, TARGET, None, SEED, quiet)
    entry = entry_of(report, run, folder / "deploy" / "model.net")
    add_entry(RECORDS / FOLDER / f"{run.file}.json", run.name, entry, SCHEMA)
    means = report["mean_retained"]
    return f"keeps {100 * means['events']:.1f}% of events, {100 * means['faults']:.1f}% of faults"


def entry_of(report: Mapping[str, Any], run: Planned, network: Path) -> Withstood:
    """Return the entry of a run from its report of robustness and its deployed netx file."""
    source = run.config.data.source
    return Withstood(
        network_sha256=sha256(network),
        suite_sha256=digest(report["suite"]),
        fold=getattr(source, "fold", 0),
        seed=run.config.seed,
        n=report["clean"]["n"],
        clean=report["clean"]["correct"],
        events=_rows(report["events"]),
        faults=_rows(report["faults"]),
        mean_weights=tuple(_mean_weight(layer.synapse) for layer in read_netx(network).layers),
    )


def _mean_weight(synapse: Synapse) -> float:
    weights = np.abs(synapse.weight.astype(np.int64))
    return float(weights.mean() / weights.max())


def _rows(rows: Sequence[Mapping[str, Any]]) -> dict[str, tuple[float, ...]]:
    return {
        row["kind"]: tuple(cell["correct"] for cell in row["cells"])
        for row in rows
        if not any("refused" in cell for cell in row["cells"])
    }

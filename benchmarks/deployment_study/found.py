"""All records of the study, read and checked."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.deployment_study.quickstart import EnergyRun, LatencyRun, SuiteRun, read_entry
from benchmarks.deployment_study.settings import ARMS, NMNIST, SUITE
from benchmarks.deployment_study.withstand import Withstood, read_withstood, suite_digest
from benchmarks.records import RunRecord, read_records
from benchmarks.statistics import Match
from benchmarks.study.tables import check_agreement
from export.errors import HardspikeError
from pipeline.robustness.settings import load_suite, severity


@dataclass(frozen=True)
class Found:
    """What is on record; what was not run is empty. `suite` is part → kind → severities."""

    by_arm: Mapping[str, Mapping[Match, RunRecord]]
    entries: Mapping[str, Mapping[Match, Withstood]]
    suite: Mapping[str, Mapping[str, Sequence[str]]]
    suite_run: SuiteRun | None = None
    latency: LatencyRun | None = None
    energy: EnergyRun | None = None

    def runs(self, arm: str) -> Mapping[Match, RunRecord]:
        """Return an arm's runs by fold and seed."""
        return self.by_arm.get(arm, {})

    def withstood(self, arm: str) -> Mapping[Match, Withstood]:
        """Return what an arm's runs withstand, by fold and seed."""
        return self.entries.get(arm, {})


def read_all(folder: Path) -> Found:
    """Read the records of a study's folder.

    Raises:
        HardspikeError: a record has faults, deployed files did not run like the reference, or what
            a run withstands was measured on another network or by another suite.
    """
    runs = read_records(folder) if any(folder.glob("*.json")) else ()
    check_agreement(runs)
    by_name = {run.name: run for run in runs}
    entries, faults = dict[str, dict[Match, Withstood]](), list[str]()
    for arm in ARMS:
        for name, entry in read_withstood(folder, f"{NMNIST}-{arm}").items():
            run = by_name.get(name)
            if run is None or run.stages["deploy"].outputs["model.net"] != entry.network_sha256:
                faults.append(f"{name}: what it withstands is of a network without a record")
            elif entry.suite_sha256 != suite_digest():
                faults.append(f"{name}: was measured by another suite than {SUITE.name} has now")
            else:
                entries.setdefault(arm, {})[run.match] = entry
    if faults:
        raise HardspikeError(*faults)
    by_arm = {arm: {run.match: run for run in runs if run.arm == f"{NMNIST}-{arm}"} for arm in ARMS}
    return Found(
        by_arm,
        entries,
        _suite(),
        read_entry(folder, "suite", SuiteRun),
        read_entry(folder, "latency", LatencyRun),
        read_entry(folder, "energy", EnergyRun),
    )


def _suite() -> dict[str, dict[str, list[str]]]:
    suite = load_suite(SUITE)
    parts = {"events": suite.events, "faults": suite.faults}
    return {
        part: {row[0].kind: [severity(one) for one in row] for row in rows}
        for part, rows in parts.items()
    }

"""A sweep: every combination of some values is an ordinary run folder below one parent.

What is finished is not started again, and one failed run does not stop the rest. A folder below the
parent that holds the same experiment already, under whatever name, is the combination's run. Runs
that have their first stages in common do them once: while one is at work on them the others wait,
and then take the finished stages from it.
"""

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from export.errors import HardspikeError
from export.files import write_json
from pipeline.compare_figures import Figures, read_figures
from pipeline.config_file import config_tree
from pipeline.progress import Reporter
from pipeline.run_dir import CONFIG_FILE, digest, locked
from pipeline.stages import STAGE_NAMES, due_stage
from pipeline.sweep_plan import Combination, placed, relatives, runs_below, shared_stages
from pipeline.sweep_process import RunProcess, stop_all, thread_limits

INDEX, SCHEMA = "sweep.json", "hardspike.sweep/1"
_LOGS = "logs"
_POLL_SECONDS = 0.05
_LOOK_SECONDS = 0.5


def run_sweep(
    planned: Sequence[Combination], parent: Path, jobs: int, reporter: Reporter
) -> dict[str, Any]:
    """Bring every combination up to date, `jobs` at once; return the index, also in `sweep.json`.

    A run that fails has the status "failed" and a reason.

    Raises:
        HardspikeError: the parent is a run or cannot be written, or another sweep is at work in it.
    """
    if (parent / CONFIG_FILE).exists():
        raise HardspikeError(f"{parent}: is a run folder; allowed is a sweep, or a new folder")
    with locked(parent, "sweep", INDEX), reporter.bar("sweep", "runs") as progress:
        there = runs_below(parent)
        runs = placed(planned, there)
        sweep = _Sweep(runs, parent, jobs, reporter, relatives(runs, there, parent))
        try:
            sweep.write_index()
            while sweep.waiting or sweep.running:
                sweep.collect()
                sweep.start()
                progress(len(sweep.entries), len(runs))
                if sweep.running:
                    time.sleep(_POLL_SECONDS)
        finally:
            stop_all(list(sweep.running.values()))
            sweep.write_index()
        return sweep.index()


@dataclass
class _Sweep:
    """The state of a sweep: who waits, who runs, and what became of the others."""

    planned: Sequence[Combination]
    parent: Path
    jobs: int
    reporter: Reporter
    relatives: Mapping[str, Sequence[Path]]
    running: dict[str, RunProcess] = field(default_factory=dict)
    entries: dict[str, dict[str, Any]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.waiting = list(self.planned)
        self._by_name = {combination.name: combination for combination in self.planned}
        self._environment = thread_limits(self.jobs)
        self._axes = _axes(self.planned)
        self._next_look = 0.0

    def start(self) -> None:
        """Start what may start, in order; note what is up to date already."""
        if len(self.running) >= self.jobs or time.monotonic() < self._next_look:
            return
        held: list[Combination] = []
        finished: dict[str, int] = {}
        for place, combination in enumerate(self.waiting):
            if len(self.running) >= self.jobs:
                held += self.waiting[place:]
                break
            if self._held(combination, finished):
                held.append(combination)
            elif due_stage(combination.config, self.parent / combination.name) is None:
                self._note(combination, None, None)
            else:
                self._launch(combination)
        self.waiting = held
        self._next_look = time.monotonic() + _LOOK_SECONDS

    def _held(self, combination: Combination, finished: dict[str, int]) -> bool:
        """Whether a run is at work on a stage that this one needs too.

        `finished` keeps how many stages each running run has finished, looked up once.
        """
        for name in self.running:
            other = self._by_name[name]
            shared = shared_stages(combination, other)
            if shared:
                if name not in finished:
                    due = due_stage(other.config, self.parent / name)
                    finished[name] = len(STAGE_NAMES) if due is None else STAGE_NAMES.index(due)
                if finished[name] < shared:
                    return True
        return False

    def _launch(self, combination: Combination) -> None:
        run = self.parent / combination.name
        siblings = [path for path in self.relatives[combination.lineage[0]] if path.is_dir()]
        siblings.sort(key=lambda path: self._distance(combination, path))
        self.running[combination.name] = RunProcess(
            config_tree(combination.config),
            run,
            siblings,
            self.parent / _LOGS / f"{combination.name}.log",
            self._environment,
        )

    def _distance(self, combination: Combination, path: Path) -> int:
        other = self._by_name.get(path.name)
        return 0 if other is None else -shared_stages(combination, other)

    def collect(self) -> None:
        """Note what became of the runs that have ended."""
        for name in [name for name, process in self.running.items() if process.ended]:
            process = self.running.pop(name)
            self._note(self._by_name[name], process.seconds, process.close())
            self._next_look = 0.0

    def _note(self, combination: Combination, seconds: float | None, reason: str | None) -> None:
        run = self.parent / combination.name
        figures = None
        if reason is None:
            try:
                figures = read_figures(run, combination.config)
            except HardspikeError as error:
                reason = str(error)
        entry: dict[str, Any] = {"status": "done" if reason is None else "failed"}
        entry |= {} if reason is None else {"reason": reason}
        entry |= {} if seconds is None else {"seconds": round(seconds, 1)}
        entry |= {} if figures is None else {"figures": figures.as_json()}
        self.entries[combination.name] = entry
        count = f"[{len(self.entries)}/{len(self.planned)}]"
        self.reporter.line(f"{count} {combination.name}  {_outcome(figures, seconds, reason)}")
        if seconds is not None:
            self.write_index()

    def index(self) -> dict[str, Any]:
        """Return what `sweep.json` holds."""
        runs = [
            {"run": entry.name, "set": entry.settings}
            | self.entries.get(entry.name, {"status": "pending"})
            for entry in self.planned
        ]
        return {"schema": SCHEMA, "axes": self._axes, "runs": runs}

    def write_index(self) -> None:
        """Write `sweep.json`."""
        write_json(self.parent / INDEX, self.index())


def _outcome(figures: Figures | None, seconds: float | None, reason: str | None) -> str:
    if figures is None:
        return f"failed: {reason}"
    took = "up to date" if seconds is None else f"{seconds:.1f} s"
    return f"{100 * figures.deployed:.1f}%  {took}"


def _axes(planned: Sequence[Combination]) -> dict[str, list[Any]]:
    """Return key → its values, in the order of the command line."""
    axes: dict[str, dict[str, Any]] = {}
    for combination in planned:
        for key, value in combination.settings.items():
            axes.setdefault(key, {}).setdefault(digest(value), value)
    return {key: list(values.values()) for key, values in axes.items()}


def failures(index: Mapping[str, Any]) -> list[str]:
    """Return one line a failed run of an index."""
    return [
        f"{entry['run']}: {entry['reason']}"
        for entry in index["runs"]
        if entry["status"] == "failed"
    ]

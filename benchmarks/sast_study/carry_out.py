"""Running what is planned and not recorded yet, several trainings at a time.

A run counts as done when its record has the planned config; the run folder may be gone. Every
training has one thread, because two trainings side by side get nearly twice as much done as one on
two threads.
"""

import multiprocessing
import os
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from pathlib import Path

from benchmarks.records import STAGES, RunRecord, read_records, write_record
from benchmarks.sast_study.plan import RECORDS, RUNS, Planned
from export.errors import HardspikeError
from pipeline.config_file import parse_config
from pipeline.progress import Reporter
from pipeline.stages import run_stages

Say = Callable[[str], None]


def recorded(folder: Path = RECORDS) -> dict[tuple[str, str], RunRecord]:
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
    if record is None:
        return False
    try:
        return parse_config(record.config, run.name) == run.config
    except HardspikeError:  # written when a key was called otherwise
        return False


def carry_out(trainings: Sequence[Sequence[Planned]], jobs: int, say: Say) -> list[str]:
    """Run what is given, `jobs` trainings at a time; return a line for every one that failed."""
    failed = []
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(jobs, context, initializer=_one_thread) as pool:
        waiting = {pool.submit(_run, list(runs)): runs for runs in trainings}
        try:
            for count, future in enumerate(as_completed(waiting), 1):
                name = waiting[future][0].name
                error = future.exception()
                if error is not None:
                    failed.append(f"{name}: {error}")
                text = future.result() if error is None else "failed"
                say(f"[{count}/{len(waiting)}] {name}  {text}")
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    return failed


def _one_thread() -> None:
    for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"):
        os.environ[name] = "1"


def _run(runs: Sequence[Planned]) -> str:
    """Train once, then convert, deploy, evaluate and record every run of the training."""
    import torch

    torch.set_num_threads(1)
    os.chdir(Path(__file__).resolve().parents[2])
    texts = []
    finished = sorted(path for path in RUNS.glob("*") if (path / "train").is_dir())
    folders = [RUNS / run.name for run in runs]
    for run, folder in zip(runs, folders, strict=True):
        siblings = [*folders, *(path for path in finished if path not in folders)]
        run_stages(run.config, folder, STAGES, Reporter(quiet=True), siblings=siblings)
        record = write_record(folder, run.record)
        bits, deployed = record.figures.weight_bits, record.figures.deployed
        texts.append(f"{bits} bit {100 * deployed.accuracy:.1f}%")
    return "  ".join(texts)

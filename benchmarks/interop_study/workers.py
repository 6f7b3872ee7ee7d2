"""A toolkit's worker as a process: jobs in, one answer a job out."""

import json
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from safetensors.numpy import load_file

from benchmarks.interop_study.settings import COUNT, SEED, STEPS, Toolkit
from benchmarks.study.packages import PackagesUnavailableError
from export.files import write_json
from export.network import Array

WORKER_LIMIT_S = 900.0


@dataclass(frozen=True)
class Job:
    """What a worker is to do; see `toolkits/exchange.py`. `file` is a stem in the job's folder."""

    kind: Literal["export", "run"]
    name: str
    file: str
    dt: float = 0.0


@dataclass(frozen=True)
class Answer:
    """What came of a job; `cause` is one line where the toolkit refused, at `stage`."""

    job: Job
    folder: Path
    status: str
    stage: str
    cause: str

    @property
    def graph_path(self) -> Path:
        """The file of NIR."""
        return self.folder / f"{self.job.file}.nir"

    def tensors(self) -> tuple[Array, dict[str, Array]]:
        """Return the input and what every module of neurons put out, (B, T, ...)."""
        found = load_file(self.folder / f"{self.job.file}.spikes")
        return found.pop("input"), found


def run_jobs(
    toolkit: Toolkit, folder: Path, jobs: Sequence[Job]
) -> tuple[dict[str, str], list[Answer]]:
    """Let a toolkit do jobs in `folder`; return its packages' versions and the answers, in order.

    A worker that dies or takes over `WORKER_LIMIT_S` refuses the jobs it has not answered.

    Raises:
        PackagesUnavailableError: its packages cannot be had, or do not import.
    """
    plan = {"steps": STEPS, "count": COUNT, "seed": SEED, "jobs": [job.__dict__ for job in jobs]}
    write_json(folder / "jobs.json", plan)
    lines, ended = _converse(toolkit, folder)
    if not lines:
        raise PackagesUnavailableError(f"{toolkit.name}: its worker cannot start ({ended})")
    said = {line["file"]: line for line in lines[1:]}
    lost = {"status": "refused", "stage": "process", "cause": ended}
    answers = [
        Answer(job, folder, **_outcome(said.get(job.file, {"file": job.file, **lost})))
        for job in jobs
    ]
    return dict(lines[0]["versions"]), answers


def _outcome(line: Mapping[str, Any]) -> dict[str, str]:
    return {key: line[key] for key in ("status", "stage", "cause")}


def _converse(toolkit: Toolkit, folder: Path) -> tuple[list[dict[str, Any]], str]:
    """Run the worker; return its lines, and how it ended where that was not well."""
    try:
        done = subprocess.run(
            [sys.executable, str(toolkit.worker), str(folder)],
            env=toolkit.packages.environment(),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=WORKER_LIMIT_S,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        text = error.stdout.decode() if isinstance(error.stdout, bytes) else ""
        return _lines(text), f"no answer within {WORKER_LIMIT_S:g} s"
    last = next((line for line in reversed(done.stderr.splitlines()) if line.strip()), "no word")
    return _lines(done.stdout), f"ended with status {done.returncode}: {last.strip()}"


def _lines(text: str) -> list[dict[str, Any]]:
    """Return the whole lines; a killed worker leaves a part of one behind."""
    return [json.loads(line) for line in text.splitlines(keepends=True) if line.endswith("\n")]

"""Every file through both commands, and what came of it."""

import json
import os
import select
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.interop_study.hostile.files import HostileFile, Maker, hostile_files
from benchmarks.interop_study.hostile.whole import SAID, SAID_IMPORT, WHOLE
from export.errors import EXIT_STATUS, HardspikeError

LONGEST_SECONDS, MOST_BYTES, LONGEST_LINE = 10.0, 1 << 30, 2000
"""What one command may take, all of its process together, and how long its line may be."""
_START_SECONDS = 300.0
_COMMANDS = ("import", "check")
_REFUSED, _LEGAL, _WHOLE = "refused in one line", "legal network", "whole"


@dataclass
class Tally:
    """Counts by kind of file, one for each of the two commands, and what failed by name."""

    by_kind: dict[str, Counter[str]] = field(default_factory=dict)
    failures: dict[str, str] = field(default_factory=dict)
    files: int = 0
    largest_seconds: tuple[float, str] = (0.0, "")
    largest_bytes: tuple[int, str] = (0, "")
    largest_grown_bytes: tuple[int, str] = (0, "")

    def add(self, kind: str, label: str, answer: dict[str, Any], fault: str) -> None:
        """Count one command."""
        counts = self.by_kind.setdefault(kind, Counter())
        counts["tried"] += 1
        counts["failed" if fault else _LEGAL if answer["status"] == 0 else _REFUSED] += 1
        if fault:
            self.failures[label] = fault
        self.largest_seconds = max(self.largest_seconds, (answer["seconds"], label))
        self.largest_bytes = max(self.largest_bytes, (answer["peak_bytes"], label))
        self.largest_grown_bytes = max(self.largest_grown_bytes, (answer["grown_bytes"], label))


def run_hostile(count: int, seed: int, say: Callable[[str], None] = lambda line: None) -> Tally:
    """Put at least `count` files through `import` and `check`, the whole ones first.

    Raises:
        HardspikeError: a whole file is refused, so that refusals would prove nothing.
    """
    tally = Tally()
    with tempfile.TemporaryDirectory(prefix="hostile-") as name, _Process() as process:
        folder = Path(name)
        maker = Maker(folder, seed)
        for kind in WHOLE:
            for command in _COMMANDS:
                answer = _put(process, command, maker.whole(kind), kind, folder / "run")
                if answer["status"] != 0:
                    raise HardspikeError(f"{command} of the whole {kind} file: {answer['said']}")
        wanted = hostile_files(count)
        for index, one in enumerate(wanted):
            before = len(tally.failures)
            _try(process, maker, one, folder, tally)
            for label in list(tally.failures)[before:]:
                say(f"{label}: {tally.failures[label][:300]!r}")
            if not (index + 1) % 100:
                say(f"{index + 1} of {len(wanted)} files, {len(tally.failures)} failures")
    return tally


def _try(process: "_Process", maker: Maker, one: HostileFile, folder: Path, tally: Tally) -> None:
    path = maker.make(one)
    tally.files += 1
    for command in _COMMANDS:
        there = set(folder.iterdir())
        answer = _put(process, command, path, one.format, folder / "run")
        fault = fault_of(answer, one.may_hold) or _left(answer, folder, there)
        tally.add(one.kind, f"{command} {one.name}", answer, fault)
    shutil.rmtree(path) if path.is_dir() and not path.is_symlink() else path.unlink(missing_ok=True)


def arguments_of(command: str, path: Path, kind: str, run: Path) -> list[str]:
    """Return the command line for a file of that format."""
    arguments = [command, str(path), *SAID[kind], "--quiet"]
    if command == "import":
        arguments += [*SAID_IMPORT.get(kind, ()), "-o", str(run)]
    return arguments


def _put(process: "_Process", command: str, path: Path, kind: str, run: Path) -> dict[str, Any]:
    return process.ask(arguments_of(command, path, kind, run))


def fault_of(answer: dict[str, Any], may_hold: bool) -> str:
    """Return what is wrong with how a command ended, "" where nothing is."""
    said, status = answer["said"], answer["status"]
    lines = said.split("\n")[:-1]
    if answer.get("died"):
        return str(answer["died"])
    if "Traceback" in said or status not in (0, EXIT_STATUS):
        return f"traceback, or exit status {status}: {said[-500:]}"
    if answer["seconds"] > LONGEST_SECONDS:
        return f"too slow: {answer['seconds']:.1f} s"
    if answer["peak_bytes"] > MOST_BYTES or "out of memory" in said:
        return f"too big: {answer['peak_bytes'] >> 20} MiB, {said[:200]}"
    if status == 0:
        return "" if may_hold and not said else f"accepted, and said {said[:200]!r}"
    if len(lines) != 1 or not lines[0].startswith("hardspike: ") or len(said) > LONGEST_LINE:
        return f"{len(lines)} lines, {len(said)} characters: {said[:300]!r}"
    shown = [letter for letter in lines[0] + answer["printed"].replace("\n", "") if _hidden(letter)]
    return f"control characters: {shown[:5]} in {said[:200]!r}" if shown else ""


def _hidden(letter: str) -> bool:
    return not letter.isprintable()


def _left(answer: dict[str, Any], folder: Path, there: set[Path]) -> str:
    """Return what a command left behind though it refused; what it may leave is taken away."""
    found = sorted(path.name for path in set(folder.iterdir()) - there)
    for name in found:
        shutil.rmtree(folder / name, ignore_errors=True)
    return f"written: {', '.join(found)}" if found and answer["status"] != 0 else ""


class _Process:
    """A worker, started anew where it died or was stopped."""

    def __init__(self) -> None:
        self._worker: subprocess.Popen[str] | None = None
        self._answers = -1

    def __enter__(self) -> "_Process":
        return self

    def __exit__(self, *raised: object) -> None:
        self._stop()

    def ask(self, arguments: Sequence[str]) -> dict[str, Any]:
        """Return what the worker says of a command, or that it died or took too long."""
        if self._worker is None:
            self._start()
        assert self._worker is not None
        assert self._worker.stdin is not None
        self._worker.stdin.write(json.dumps(list(arguments)) + "\n")
        self._worker.stdin.flush()
        answer = self._answer(LONGEST_SECONDS)
        if "died" in answer:
            self._stop()
        return answer

    def _start(self) -> None:
        mine, theirs = os.pipe()
        module = "benchmarks.interop_study.hostile.worker"
        environment = {**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
        self._worker = subprocess.Popen(
            [sys.executable, "-m", module, str(theirs)],
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            pass_fds=[theirs],
            text=True,
            env=environment,
        )
        os.close(theirs)
        self._answers = mine
        if "died" in self._answer(_START_SECONDS):
            self._stop()
            raise HardspikeError("the worker that carries out the commands did not start")

    def _answer(self, seconds: float) -> dict[str, Any]:
        line = b""
        while not line.endswith(b"\n"):
            ready, _, _ = select.select([self._answers], [], [], seconds)
            if not ready:
                return _ended(f"too slow: stopped after {seconds:g} s", seconds)
            if not (more := os.read(self._answers, 1 << 20)):
                return _ended("died", 0.0)
            line += more
        found: dict[str, Any] = json.loads(line)
        return found

    def _stop(self) -> None:
        if self._worker is not None:
            self._worker.kill()
            self._worker.communicate()
            os.close(self._answers)
        self._worker = None


def _ended(why: str, seconds: float) -> dict[str, Any]:
    answer = {"status": 1, "said": "", "printed": "", "seconds": seconds, "died": why}
    return {**answer, "peak_bytes": 0, "grown_bytes": 0}

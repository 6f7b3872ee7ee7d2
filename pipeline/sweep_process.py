"""The processes of a sweep: start one run, see how it ended, stop all of them in order."""

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from export.errors import HardspikeError
from hardware.target import available_cores

_ROOT = Path(__file__).resolve().parents[1]
# `-P` and this path: the worker is this checkout's, whatever lies in the current folder.
_WORKER = (
    f"import sys; sys.path.insert(0, {str(_ROOT)!r}); "
    "from pipeline.sweep_worker import main; sys.exit(main())"
)
_THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
_STOP_SECONDS = 30.0
_TAIL_BYTES = 1 << 16


def thread_limits(jobs: int) -> dict[str, str]:
    """Return the environment that shares the cores among `jobs` runs; nothing for a single one.

    Runs that each spin on every core slow one another down many times over. What the user has set
    stays.
    """
    if jobs == 1:
        return {}
    share = str(max(1, available_cores() // jobs))
    return {name: share for name in _THREADS if name not in os.environ}


class RunProcess:
    """One run at work. What it prints goes to `log`."""

    def __init__(
        self,
        config: Mapping[str, Any],
        run: Path,
        siblings: Sequence[Path],
        log: Path,
        environment: Mapping[str, str],
    ) -> None:
        self._log = log
        self._started = time.monotonic()
        order = {"config": config, "run": str(run), "siblings": list(map(str, siblings))}
        try:
            log.parent.mkdir(parents=True, exist_ok=True)
            with log.open("wb") as file:
                self._process = subprocess.Popen(
                    [sys.executable, "-P", "-c", _WORKER],
                    stdin=subprocess.PIPE,
                    stdout=file,
                    stderr=subprocess.STDOUT,
                    env={**os.environ, **environment},
                    start_new_session=True,  # Ctrl-C reaches the sweep alone, which stops the runs
                )
        except OSError as error:
            raise HardspikeError(f"{run}: cannot be started ({error.strerror or error})") from error
        assert self._process.stdin is not None
        with contextlib.suppress(BrokenPipeError):  # it has ended already; its log says why
            self._process.stdin.write((json.dumps(order) + "\n").encode())
            self._process.stdin.flush()

    @property
    def ended(self) -> bool:
        """Whether the process has ended."""
        return self._process.poll() is not None

    @property
    def seconds(self) -> float:
        """Seconds since the start."""
        return time.monotonic() - self._started

    def close(self) -> str | None:
        """Let go of an ended process; return None where all went well, else why not."""
        status = self._process.wait()
        self._let_go()
        if status == 0:
            return None
        said = _last_words(self._log)
        if status < 0:
            return f"was ended by signal {-status} ({signal.strsignal(-status)}); last line: {said}"
        return said

    def ask_to_end(self) -> None:
        """Ask the process to end in order."""
        if not self.ended:
            self._process.terminate()

    def end_by(self, deadline: float) -> None:
        """Wait until `deadline` (monotonic seconds); kill what is left of it then."""
        try:
            self._process.wait(max(0.0, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()
        self._let_go()

    def _let_go(self) -> None:
        assert self._process.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.close()


def stop_all(processes: Sequence[RunProcess]) -> None:
    """End the processes in order; those still there after half a minute, or after a second
    interrupt, are killed.
    """
    for process in processes:
        process.ask_to_end()
    deadline = time.monotonic() + _STOP_SECONDS
    try:
        for process in processes:
            process.end_by(deadline)
    except BaseException:
        for process in processes:
            process.end_by(0.0)
        raise


def _last_words(log: Path) -> str:
    """Return the faults that a run named, or else the last line that it printed."""
    with log.open("rb") as file:
        file.seek(max(0, log.stat().st_size - _TAIL_BYTES))
        lines = file.read().decode(errors="replace").splitlines()
    faults = [line.removeprefix("hardspike: ") for line in lines if line.startswith("hardspike: ")]
    spoken = [line.strip() for line in lines if line.strip()]
    return "; ".join(faults) or (spoken[-1] if spoken else "nothing was printed")

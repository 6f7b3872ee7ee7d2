"""Starts the worker, follows it, and ends it with everything it started.

The worker leads a process group of its own, so Lava's processes can be signalled together and
Ctrl-C reaches only the parent. They are asked to end first, which Python's resource tracker ignores
so as to remove their shared memory; then they are killed, and on Linux, where shared memory is
listed, what bears this worker's prefix is removed. A parent that is killed takes the worker along
(`die_with_parent` in `worker.py`), and the resource tracker cleans up.
"""

import contextlib
import json
import math
import os
import secrets
import selectors
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Any

from hardware.loihi.environment import SINGLE_THREADED, WORKER

END_LIMIT_S = 3.0
SHARED_MEMORY = Path("/dev/shm")


class Worker:
    """The worker's process, as a context manager: on leaving, nothing of it is left."""

    def __init__(
        self,
        interpreter: Path,
        folder: Path,
        jobs: list[dict[str, Any]],
        script: Path | None = None,
    ) -> None:
        """Start `script` (None: Lava's worker) in its folder, with `jobs.json` in `folder`."""
        script = script or WORKER
        self._prefix = f"hs{secrets.token_hex(4)}-"
        self._log, self._deadline = folder / "worker.log", math.inf
        order = {"parent": os.getpid(), "shm_prefix": self._prefix, "jobs": jobs}
        (folder / "jobs.json").write_text(json.dumps(order))
        with self._log.open("wb") as log:
            self._process = subprocess.Popen(
                [interpreter, "-E", "-s", script, folder],
                cwd=script.parent,
                env={**os.environ, **SINGLE_THREADED},
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                start_new_session=True,
            )

    @property
    def pid(self) -> int:
        """The worker's process, which is also its group."""
        return self._process.pid

    def __enter__(self) -> "Worker":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._end()

    def allow(self, limit_s: float) -> None:
        """Give the worker `limit_s` seconds from now."""
        self._deadline = time.monotonic() + limit_s

    def events(self) -> Iterator[dict[str, Any]]:
        """Yield what the worker says, until it ends.

        Raises:
            TimeoutError: the time it was allowed is over.
        """
        rest = b""
        assert self._process.stdout is not None
        with selectors.DefaultSelector() as selector:
            selector.register(self._process.stdout, selectors.EVENT_READ)
            while True:
                if not selector.select(max(0.0, self._deadline - time.monotonic())):
                    raise TimeoutError
                if not (chunk := os.read(self._process.stdout.fileno(), 1 << 16)):
                    return
                *lines, rest = (rest + chunk).split(b"\n")
                yield from map(json.loads, lines)

    def failure(self) -> str:
        """Return in a few words how the worker ended, with the last line of its log."""
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(END_LIMIT_S)
        status = self._process.poll()
        how = "hangs" if status is None else f"ended with status {status}"
        if status is not None and status < 0:
            how = f"was killed by {_signal_name(-status)}"
        lines = self._log.read_text(errors="replace").splitlines()
        telling = [line.strip() for line in lines if line.strip() and not _is_warning(line)]
        last = telling[-1] if telling else "its log is empty"
        return f"{how} ({last})"

    def _end(self) -> None:
        if self._process.poll() is None:
            self._signal(signal.SIGTERM)
            self._signal(signal.SIGCONT)
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(END_LIMIT_S)
        self._signal(signal.SIGKILL)
        self._process.wait()
        for pipe in (self._process.stdin, self._process.stdout):
            if pipe is not None:
                pipe.close()
        if SHARED_MEMORY.is_dir():
            for left in SHARED_MEMORY.glob(f"{self._prefix}*"):
                left.unlink(missing_ok=True)

    def _signal(self, number: signal.Signals) -> None:
        with contextlib.suppress(ProcessLookupError, PermissionError):
            os.killpg(self._process.pid, number)


def _is_warning(line: str) -> bool:
    """Whether Python's warnings wrote this line: `file:7: UserWarning: …` or the code beneath."""
    return "Warning: " in line or line.strip().startswith("warnings.warn(")


def _signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"

"""How a process of hardspike ends: a fault is one line and exit status 2, never a traceback."""

import signal
import sys
import threading
from collections.abc import Callable, Iterable
from types import FrameType
from typing import NoReturn

from export.errors import EXIT_STATUS, HardspikeError, one_line

_INTERRUPTED = 130


def guarded(work: Callable[[], int | None]) -> int:
    """Do `work` and return the exit status; faults go to standard error, one line each."""
    status, lines = outcome(work)
    say(lines)
    return status


def outcome(work: Callable[[], int | None]) -> tuple[int, list[str]]:
    """Do `work`; return the exit status and the faults, one line each.

    The status is what `work` returns, 0 for None, where it does not fail.
    """
    try:
        _end_in_order()
        return work() or 0, []
    except HardspikeError as error:
        return EXIT_STATUS, str(error).splitlines()
    except BrokenPipeError:
        sys.stdout = None  # the reader went away; nothing is left to flush
        return EXIT_STATUS, []
    except OSError as error:
        name = error.filename or "a file"
        return EXIT_STATUS, [f"{name}: {error.strerror or error}"]
    except MemoryError as error:
        return EXIT_STATUS, [f"out of memory ({error}); fewer steps or recordings"]
    except KeyboardInterrupt:
        return _INTERRUPTED, ["interrupted; run it again to go on"]


def say(lines: Iterable[str]) -> None:
    """Print faults to standard error."""
    for line in lines:
        print(f"hardspike: {one_line(line)}", file=sys.stderr)


def _end_in_order() -> None:
    """Let a request to end (SIGTERM, a closed terminal) unwind, so that no process stays behind."""
    if threading.current_thread() is threading.main_thread():
        for number in (signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, _ended)


def _ended(number: int, frame: FrameType | None) -> NoReturn:
    sys.exit(128 + number)

"""How a process of hardspike ends: a fault is one line and exit status 2, never a traceback."""

import signal
import sys
import threading
from collections.abc import Callable
from types import FrameType
from typing import NoReturn

from export.errors import EXIT_STATUS, HardspikeError

_INTERRUPTED = 130


def guarded(work: Callable[[], None]) -> int:
    """Do `work` and return the exit status; faults go to standard error, one line each."""
    try:
        _end_in_order()
        work()
    except HardspikeError as error:
        for line in str(error).splitlines():
            print(f"hardspike: {line}", file=sys.stderr)
        return EXIT_STATUS
    except BrokenPipeError:
        sys.stdout = None  # the reader went away; nothing is left to flush
        return EXIT_STATUS
    except OSError as error:
        name = error.filename or "a file"
        print(f"hardspike: {name}: {error.strerror or error}", file=sys.stderr)
        return EXIT_STATUS
    except MemoryError as error:
        print(f"hardspike: out of memory ({error}); fewer steps or recordings", file=sys.stderr)
        return EXIT_STATUS
    except KeyboardInterrupt:
        print("hardspike: interrupted; run it again to go on", file=sys.stderr)
        return _INTERRUPTED
    return 0


def _end_in_order() -> None:
    """Let a request to end (SIGTERM, a closed terminal) unwind, so that no process stays behind."""
    if threading.current_thread() is threading.main_thread():
        for number in (signal.SIGTERM, signal.SIGHUP):
            signal.signal(number, _ended)


def _ended(number: int, frame: FrameType | None) -> NoReturn:
    sys.exit(128 + number)

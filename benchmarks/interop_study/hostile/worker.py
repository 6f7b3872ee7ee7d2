"""Carries out commands one after the other in one process, and says what each took.

Reads a JSON list of arguments a line from standard input, writes a JSON object a line to the file
descriptor that is its argument: the standard output stays the command's own.
"""

import contextlib
import json
import os
import resource
import sys
import tempfile
import time
import traceback
from pathlib import Path
from typing import Any

_SPACE_BYTES = 3 << 30
"""Address space beyond that of the loaded program: what asks for more dies here."""
_RESET_PEAK = "5"


def main() -> None:
    """Serve until the input ends."""
    from pipeline.cli import main as hardspike

    _warm(hardspike)
    held = _status("VmSize")
    resource.setrlimit(resource.RLIMIT_AS, (held + _SPACE_BYTES,) * 2)
    with os.fdopen(int(sys.argv[1]), "w") as answers:
        print(json.dumps({"ready": True}), file=answers, flush=True)
        for line in sys.stdin:
            print(json.dumps(_carried_out(hardspike, json.loads(line))), file=answers, flush=True)


def _warm(hardspike: Any) -> None:
    """Load what a first command loads, so that no file is charged for it."""
    with contextlib.redirect_stderr(None), contextlib.redirect_stdout(None):
        hardspike(["check", os.devnull])

    import pipeline.imported.check_file
    import pipeline.imported.reading  # noqa: F401


def _carried_out(hardspike: Any, arguments: list[str]) -> dict[str, Any]:
    with contextlib.suppress(OSError):
        Path("/proc/self/clear_refs").write_text(_RESET_PEAK)
    before, began = _status("VmRSS"), time.perf_counter()
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as err:
        with _redirected(1, out), _redirected(2, err):
            status = _status_of(hardspike, arguments)
            sys.stdout.flush()
            sys.stderr.flush()
        seconds, peak = time.perf_counter() - began, _status("VmHWM")
        said, printed = _content(err), _content(out)
    return {
        "status": status,
        "said": said,
        "printed": printed,
        "seconds": seconds,
        "peak_bytes": peak,
        "grown_bytes": max(0, peak - before),
    }


def _status_of(hardspike: Any, arguments: list[str]) -> int:
    """Return the exit status; 1 where an exception gets out, as the interpreter does."""
    try:
        return int(hardspike(arguments))
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else 1
    except BaseException:
        traceback.print_exc()
        return 1


@contextlib.contextmanager
def _redirected(number: int, file: Any) -> Any:
    """Send what any library prints to a file, C code included."""
    kept = os.dup(number)
    os.dup2(file.fileno(), number)
    try:
        yield
    finally:
        os.dup2(kept, number)
        os.close(kept)


def _content(file: Any) -> str:
    file.seek(0)
    return bytes(file.read()).decode("utf-8", "backslashreplace")


def _status(key: str) -> int:
    """Return a size of this process in bytes."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(f"{key}:"):
            return int(line.split()[1]) << 10
    raise KeyError(key)


if __name__ == "__main__":
    main()

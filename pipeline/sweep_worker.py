"""One run of a sweep, in a process of its own.

The order comes as one line of JSON on standard input: `config`, `run` and `siblings`, the runs
whose finished stages may be taken. The pipe stays open as long as the sweep lives; when it closes,
the run ends in order, so that a sweep that was killed leaves nothing at work.
"""

import json
import os
import signal
import sys
import threading
from pathlib import Path

from export.errors import HardspikeError
from pipeline.config_file import parse_config
from pipeline.exits import guarded
from pipeline.progress import Reporter
from pipeline.stages import STAGE_NAMES, require_targets, run_stages


def main() -> int:
    """Carry out the order on standard input and return the exit status of `hardspike run`."""
    return guarded(lambda: _work(sys.stdin.buffer.readline()))


def _work(line: bytes) -> None:
    try:
        order = json.loads(line)
        run, siblings = Path(order["run"]), [Path(path) for path in order["siblings"]]
        tree = order["config"]
    except (ValueError, KeyError, TypeError) as error:
        raise HardspikeError(f"standard input: is not a sweep's order ({error})") from error
    threading.Thread(target=_end_with_the_sweep, daemon=True).start()
    run_stages(parse_config(tree, str(run)), run, STAGE_NAMES, Reporter(), siblings=siblings)
    require_targets(run)


def _end_with_the_sweep() -> None:
    while os.read(sys.stdin.fileno(), 1):
        pass
    os.kill(os.getpid(), signal.SIGTERM)


if __name__ == "__main__":
    sys.exit(main())

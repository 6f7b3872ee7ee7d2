"""The study's parts: each takes what stands and returns it with its own share anew."""

import json
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from benchmarks.interop_study import imported_files, netx_equality
from benchmarks.interop_study.hostile.run import Tally, run_hostile
from benchmarks.interop_study.part_records import Ended, HostilePart, NetxPart
from benchmarks.interop_study.record import Study
from benchmarks.interop_study.study import Say, run_toolkits

NETX_FILES, NETX_THROUGH_LAVA = 200, 40
HOSTILE_FILES, HOSTILE_SEED = 600, 0

Part = Callable[[Sequence[str], Study, Say], Study]


def _netx(_names: Sequence[str], before: Study, say: Say) -> Study:
    say(f"netx: {NETX_FILES} files, {NETX_THROUGH_LAVA} of them through Lava")
    with tempfile.TemporaryDirectory() as folder:
        found = netx_equality.study(NETX_FILES, NETX_THROUGH_LAVA, Path(folder))
    part = NetxPart.model_validate_json(json.dumps(found))
    for name, held in (("onnxruntime", part.onnxruntime), ("lava", part.lava)):
        say(f"netx: {name}: {held.equal} of {held.files} files equal, {held.numbers:,} numbers")
    return before.model_copy(update={"netx": part})


def _sinabs(_names: Sequence[str], before: Study, say: Say) -> Study:
    if why := imported_files.absent():
        say(f"sinabs: skipped, what stands on record is kept ({why})")
        return before
    return before.model_copy(update={"sinabs": imported_files.study(say)})


def _hostile(_names: Sequence[str], before: Study, say: Say) -> Study:
    tally = run_hostile(HOSTILE_FILES, HOSTILE_SEED, lambda line: say(f"hostile: {line}"))
    return before.model_copy(update={"hostile": hostile_part(tally, HOSTILE_SEED)})


def hostile_part(tally: Tally, seed: int) -> HostilePart:
    """Return the record of a tally."""
    return HostilePart(
        files=tally.files,
        seed=seed,
        by_kind={
            kind: Ended(
                tried=found["tried"],
                refused=found["refused in one line"],
                legal=found["legal network"],
                failed=found["failed"],
            )
            for kind, found in sorted(tally.by_kind.items())
        },
        seconds=tally.largest_seconds[0],
        peak_bytes=tally.largest_bytes[0],
        failures=tally.failures,
    )


PARTS: Mapping[str, Part] = {
    "toolkits": run_toolkits,
    "netx": _netx,
    "sinabs": _sinabs,
    "hostile": _hostile,
}

"""Put damaged and hostile files through `hardspike import` and `hardspike check`.

    python -m benchmarks.interop_study.hostile [--count N] [--seed S]

Prints counts by kind as JSON; exit status 2 where a file did not end as it should.
"""

import argparse
import json
import sys

from benchmarks.interop_study.hostile.run import Tally, run_hostile
from export.errors import EXIT_STATUS, HardspikeError


def main() -> int:
    """Run and print."""
    parser = argparse.ArgumentParser(prog="interop_study.hostile", description=__doc__)
    parser.add_argument("--count", type=int, default=600, help="files at least")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    try:
        tally = run_hostile(
            options.count, options.seed, lambda line: print(line, file=sys.stderr, flush=True)
        )
    except HardspikeError as error:
        print(f"interop_study.hostile: {error}", file=sys.stderr)
        return EXIT_STATUS
    print(json.dumps(as_json(tally), indent=2))
    return EXIT_STATUS if tally.failures else 0


def as_json(tally: Tally) -> dict[str, object]:
    """Return what is printed; counts are of commands, two a file."""
    return {
        "files": tally.files,
        "commands": sum(counts["tried"] for counts in tally.by_kind.values()),
        "by_kind": {kind: dict(counts) for kind, counts in sorted(tally.by_kind.items())},
        "largest_seconds": tally.largest_seconds,
        "largest_peak_bytes": tally.largest_bytes,
        "largest_grown_bytes": tally.largest_grown_bytes,
        "failures": tally.failures,
    }


if __name__ == "__main__":
    sys.exit(main())

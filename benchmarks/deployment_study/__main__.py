"""Bring the study of deployment up to date and write its page.

    python -m benchmarks.deployment_study [--part PART] [--jobs N] [--only TEXT] [--page]

Runs what has no record yet, then writes `docs/studies/deployment.md`, its `.json` beside it and the
pictures from all records. It may be stopped at any time: what was run stays recorded.
"""

import argparse
import os
import sys
from collections.abc import Callable, Mapping

from benchmarks.deployment_study.plan import plan
from benchmarks.deployment_study.quickstart import measure_quickstart
from benchmarks.deployment_study.settings import RECORDS, RUNS
from benchmarks.deployment_study.withstand import withstand
from benchmarks.deployment_study.write import write_study
from benchmarks.study.parallel import Say
from benchmarks.study.runs import Study, bring_up_to_date, by_training
from benchmarks.training_step import at_least_one
from export.errors import EXIT_STATUS, HardspikeError

Part = Callable[[int, str, Say], list[str]]


def _train(jobs: int, only: str, say: Say) -> list[str]:
    return bring_up_to_date(Study(RECORDS, RUNS), by_training(plan()), jobs, only, say)


PARTS: Mapping[str, Part] = {
    "train": _train,
    "withstand": withstand,
    "quickstart": measure_quickstart,
}


def main() -> int:
    """Run what is missing and write the page."""
    parser = argparse.ArgumentParser(prog="deployment_study", description=__doc__)
    parser.add_argument("--part", choices=PARTS, help="one part alone, and no page")
    parser.add_argument("--jobs", type=at_least_one, default=max(1, (os.cpu_count() or 1)))
    parser.add_argument(
        "--only",
        default="",
        help="run only what has all of these texts, parted by commas, in its name",
    )
    parser.add_argument("--page", action="store_true", help="run nothing, write the page alone")
    options = parser.parse_args()
    failed: list[str] = []
    try:
        for name, part in PARTS.items():
            if not options.page and options.part in (None, name):
                failed += part(options.jobs, options.only, lambda line: print(line, flush=True))
        if options.part is None:
            write_study(RECORDS)
    except HardspikeError as error:
        failed += str(error).splitlines()
    for line in failed:
        print(f"deployment_study: {line}", file=sys.stderr)
    return EXIT_STATUS if failed else 0


if __name__ == "__main__":
    sys.exit(main())

"""Bring the study of SAST up to date and write its page.

    python -m benchmarks.sast_study [--jobs N] [--only PART] [--page]

Runs what has no record yet, then writes `docs/studies/sast.md`, `docs/studies/sast.json` and the
pictures from all records. It may be stopped at any time: what was run stays recorded.
"""

import argparse
import os
import sys

from benchmarks.sast_study.plan import CONFIGS, RECORDS, RUNS, plan
from benchmarks.sast_study.theory import measure_missing
from benchmarks.sast_study.trials import try_missing
from benchmarks.sast_study.write import STEPS, write_study
from benchmarks.study.runs import Study, bring_up_to_date
from benchmarks.training_step import at_least_one, measure_steps
from export.errors import EXIT_STATUS, HardspikeError


def main() -> int:
    """Run what is missing and write the page."""
    parser = argparse.ArgumentParser(prog="sast_study", description=__doc__)
    parser.add_argument("--jobs", type=at_least_one, default=max(1, (os.cpu_count() or 1)))
    parser.add_argument(
        "--only",
        default="",
        help="run only what has all of these texts, parted by commas, in its name",
    )
    parser.add_argument("--page", action="store_true", help="run nothing, write the page alone")
    options = parser.parse_args()
    try:
        if not (RECORDS / STEPS).exists():
            measure_steps(CONFIGS / "nmnist-1k.yaml", RECORDS / STEPS)
        failed = [] if options.page else _run(options.jobs, options.only)
        write_study(RECORDS)
    except HardspikeError as error:
        failed = str(error).splitlines()
    for line in failed:
        print(f"sast_study: {line}", file=sys.stderr)
    return EXIT_STATUS if failed else 0


def _run(jobs: int, only: str) -> list[str]:
    def say(line: str) -> None:
        print(line, flush=True)

    failed = bring_up_to_date(Study(RECORDS, RUNS), plan(), jobs, only, say)
    if not only:
        failed += [*try_missing(jobs, only, say), *measure_missing(jobs, say)]
    return failed


if __name__ == "__main__":
    sys.exit(main())

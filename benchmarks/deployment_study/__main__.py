"""Bring the study of deployment up to date and write its page.

    python -m benchmarks.deployment_study [--part PART] [--jobs N] [--only TEXT] [--page]

Runs what has no record yet, then writes `docs/studies/deployment.md`, its `.json` beside it and the
pictures from all records. It may be stopped at any time: what was run stays recorded.
"""

import sys
from collections.abc import Mapping

from benchmarks.deployment_study.plan import plan
from benchmarks.deployment_study.quickstart import measure_quickstart
from benchmarks.deployment_study.settings import RECORDS, RUNS
from benchmarks.deployment_study.withstand import withstand
from benchmarks.deployment_study.write import write_study
from benchmarks.study.command import Part, carry_out
from benchmarks.study.parallel import Say
from benchmarks.study.runs import Study, bring_up_to_date, by_training


def _train(jobs: int, only: str, say: Say) -> list[str]:
    return bring_up_to_date(Study(RECORDS, RUNS), by_training(plan()), jobs, only, say)


PARTS: Mapping[str, Part] = {
    "train": _train,
    "withstand": withstand,
    "quickstart": measure_quickstart,
}


def main() -> int:
    """Run what is missing and write the page."""
    return carry_out("deployment_study", __doc__, PARTS, lambda: write_study(RECORDS))


if __name__ == "__main__":
    sys.exit(main())

"""Bring the study of SAST up to date and write its page.

    python -m benchmarks.sast_study [--part PART] [--jobs N] [--only TEXT] [--page]

Runs what has no record yet, then writes `docs/studies/sast.md`, `docs/studies/sast.json` and the
pictures from all records. It may be stopped at any time: what was run stays recorded.
"""

import sys

from benchmarks.sast_study.plan import CONFIGS, RECORDS, RUNS, plan
from benchmarks.sast_study.theory import measure_missing
from benchmarks.sast_study.trials import try_missing
from benchmarks.sast_study.write import STEPS, write_study
from benchmarks.study.command import carry_out
from benchmarks.study.parallel import Say
from benchmarks.study.runs import Study, bring_up_to_date
from benchmarks.training_step import measure_steps


def main() -> int:
    """Run what is missing and write the page."""
    parts = {"runs": _runs, "trials": _trials, "theory": _theory}
    return carry_out("sast_study", __doc__, parts, lambda: write_study(RECORDS))


def _runs(jobs: int, only: str, say: Say) -> list[str]:
    if not (RECORDS / STEPS).exists():
        measure_steps(CONFIGS / "nmnist-1k.yaml", RECORDS / STEPS)
    return bring_up_to_date(Study(RECORDS, RUNS), plan(), jobs, only, say)


def _trials(jobs: int, only: str, say: Say) -> list[str]:
    return [] if only else try_missing(jobs, only, say)


def _theory(jobs: int, only: str, say: Say) -> list[str]:
    return [] if only else measure_missing(jobs, say)


if __name__ == "__main__":
    sys.exit(main())

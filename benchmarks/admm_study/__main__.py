"""Bring the study of ADMM up to date and write its page.

    python -m benchmarks.admm_study [--part PART] [--jobs N] [--only TEXT] [--page]

Runs what has no record yet, then writes `docs/studies/admm.md`, `docs/studies/admm.json` and the
pictures from all records. It may be stopped at any time: what was run stays recorded.
"""

import sys
from collections.abc import Mapping

from benchmarks.admm_study.plan import plan
from benchmarks.admm_study.published import run_published
from benchmarks.admm_study.race import race
from benchmarks.admm_study.ranks import compare_ranks
from benchmarks.admm_study.scaling import scale
from benchmarks.admm_study.settings import RECORDS, RUNS
from benchmarks.admm_study.tuning import tune
from benchmarks.admm_study.write import write_study
from benchmarks.study.command import Part, carry_out
from benchmarks.study.parallel import Say
from benchmarks.study.runs import Study, bring_up_to_date


def _main_runs(jobs: int, only: str, say: Say) -> list[str]:
    trainings, untuned = plan()
    lines = [f"not tuned yet: {', '.join(untuned)}; --part tuning comes first"] if untuned else []
    return lines + bring_up_to_date(Study(RECORDS, RUNS), trainings, jobs, only, say)


PARTS: Mapping[str, Part] = {
    "tuning": tune,
    "main": _main_runs,
    "published": run_published,
    "race": race,
    "ranks": compare_ranks,
    "scaling": scale,
}


def main() -> int:
    """Run what is missing and write the page."""
    return carry_out("admm_study", __doc__, PARTS, lambda: write_study(RECORDS))


if __name__ == "__main__":
    sys.exit(main())

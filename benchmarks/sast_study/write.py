"""Writing the study: page, headline and pictures from the records and the timed steps."""

from functools import partial
from pathlib import Path

from benchmarks.records import read_records
from benchmarks.sast_study.headline import best_arms, gaps_of, headline, headline_intervals
from benchmarks.sast_study.page import PICTURES, TUNED_ON, Aside, Headline, page
from benchmarks.sast_study.pictures import arms_picture, cost_picture, grid_picture
from benchmarks.sast_study.plan import BY_VALIDATION, FOLDS
from benchmarks.sast_study.theory import read_measured
from benchmarks.sast_study.trials import read_trials
from benchmarks.study.files import SCHEMA, write_files
from benchmarks.study.tables import Records, check_agreement
from benchmarks.training_step import read_steps

STEPS = Path("step/pairs.json")
"""Below the records' folder: what `benchmarks.training_step` measured."""


def write_study(folder: Path) -> None:
    """Write `<study>.md` and `<study>.json` beside the records' folder, and pictures in it.

    Raises:
        HardspikeError: a record or the timed steps are missing or have faults.
    """
    text, figures, records = build_study(folder)
    draw = zip(PICTURES, (grid_picture, arms_picture, cost_picture), strict=True)
    write_files(folder, text, figures, {name: partial(one, records) for name, one in draw})


def build_study(folder: Path) -> tuple[str, dict[str, object], Records]:
    """Return the page, the figures for `<study>.json`, and the records behind both."""
    found = read_records(folder)
    check_agreement(found)
    records, steps = Records.of(found), read_steps(folder / STEPS)
    arms, rest = best_arms(records), records.on_folds(set(range(FOLDS)) - set(TUNED_ON))
    whole = Headline(
        arms,
        headline(records, steps, arms),
        headline_intervals(records, steps, arms),
        headline(rest, steps, arms),
        gaps_of(records, BY_VALIDATION),
    )
    figures: dict[str, object] = {
        "schema": SCHEMA,
        "headline": whole.found,
        "headline_95": whole.intervals,
        "headline_on_folds_not_tuned_on": whole.untouched,
        "headline_arms": arms._asdict(),
        "gaps_of_the_setting_by_validation": whole.by_validation,
        "runs": {name: len(runs) for name, runs in sorted(records.by_file.items())},
    }
    aside = Aside(steps, read_trials(folder), read_measured(folder))
    return page(records, whole, aside), figures, records

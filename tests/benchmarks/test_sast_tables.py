"""The study's tables, sentences and headline on made-up records, worked out by hand."""

import functools
import json
from collections.abc import Mapping
from typing import Any

import pytest

from benchmarks.records import RunRecord, read_records
from benchmarks.sast_study.comparisons import ROBUSTNESS, comparison_table
from benchmarks.sast_study.headline import (
    BestArms,
    best,
    best_arms,
    gaps_of,
    headline,
    headline_intervals,
)
from benchmarks.sast_study.in_short import in_short, what_is_shown
from benchmarks.sast_study.plan import BY_VALIDATION, GRID, NMNIST, RECOMMENDED, RECORDS, SWAPPED
from benchmarks.sast_study.sentences import conclusions
from benchmarks.sast_study.tables import (
    arm_table,
    best_of_grid,
    grid_table,
    lost,
    shown_in_grid,
    smooth,
)
from benchmarks.study.tables import Records, deployed, difference
from export.errors import HardspikeError

STEPS = {"plain_ms": [10.0, 20.0], "sast_ms": [18.0, 38.0]}


@functools.cache
def template() -> str:
    """Return a committed record as JSON."""
    return read_records(RECORDS)[0].model_dump_json(by_alias=True)


def record(arm: str, fold: int, bits: int, figures: Mapping[str, Any], seed: int = 0) -> RunRecord:
    """Return a committed record with other figures, of 100 recordings."""
    tree = json.loads(template())
    scores = {
        name: None if value is None else {"correct": value, "n": 100}
        for name, value in figures.items()
        if name in ("smooth", "hard", "calibrated", "deployed")
    }
    own = {"calibrated": None, "weight_bits": bits, "transfer_gap": None} | scores
    own |= {"synops_per_sample": figures.get("synops", 1000.0)}
    if figures.get("smooth") is not None:
        own["transfer_gap"] = (figures["smooth"] - figures["hard"]) / 100
    name = f"{arm}-fold{fold}-seed{seed}-{bits}bit"
    tree |= {"arm": arm, "name": name, "fold": fold, "seed": seed}
    tree["figures"] |= own
    tree["config"]["name"], tree["config"]["seed"] = name, seed
    tree["config"]["data"]["source"]["fold"] = fold
    tree["config"]["convert"]["weight_bits"] = bits
    tree["config"]["train"]["select_by"] = figures.get("pick", "smooth")
    return RunRecord.model_validate_json(json.dumps(tree))


def arm(name: str, folds: list[dict[str, Any]], seed: int = 0) -> list[RunRecord]:
    """Return an arm's runs at both bit widths; 4 bits have one right answer fewer."""
    return [
        record(
            f"{NMNIST}-{name}", fold, bits, {**one, "deployed": one["deployed"] - (bits == 4)}, seed
        )
        for fold, one in enumerate(folds)
        for bits in (8, 4)
    ]


def made_up() -> Records:
    plain = [
        {"smooth": 90, "hard": 70, "deployed": 70 + step, "synops": 2000.0} for step in (0, 1, 2)
    ]
    sast = [{"smooth": 91, "hard": 90, "deployed": 90 + 2 * step} for step in (0, 1, 2)]
    recipe = [{"smooth": None, "hard": 95, "deployed": 95} for _ in range(3)]
    swapped = [*arm(SWAPPED[0], plain), *arm(SWAPPED[1], sast)]
    named = [*arm("plain", plain), *arm("sast", sast), *arm(RECOMMENDED, recipe)]
    return Records.of([*named, *swapped])


def test_the_headline_by_hand() -> None:
    found = headline(made_up(), STEPS, best_arms(made_up()))
    assert found["gap_plain_points"] == {"mean": 20.0, "sd": 0.0, "n": 3}
    assert found["gap_sast_points"] == {"mean": 1.0, "sd": 0.0, "n": 3}
    assert found["smooth_change_points"] == {"mean": 1.0, "sd": 0.0, "n": 3}
    assert found["int8_minus_best_smooth_points"] == {"mean": 4.0, "sd": 0.0, "n": 3}
    assert found["int4_minus_best_smooth_points"] == {"mean": 3.0, "sd": 0.0, "n": 3}
    assert found["synops_ratio"] == {"mean": 0.5, "sd": 0.0, "n": 3}
    assert found["step_ratio"] == {"mean": 1.85, "sd": 0.0707, "n": 2}


def test_a_difference_is_first_minus_second_over_folds() -> None:
    """d = 20, 21, 22: mean 21, sd 1, and t(0.975; 2) = 4.3027 over √3."""
    found = difference(made_up(), NMNIST, ("sast", "plain"), deployed)
    assert found is not None
    assert (found.mean, found.n, found.unit) == (21.0, 3, "folds")
    assert (found.low, found.high) == pytest.approx((21 - 2.48414, 21 + 2.48414), abs=1e-4)
    rows = comparison_table(made_up(), NMNIST)
    assert rows[1][:4] == (
        "SAST − plain surrogate-forward",
        "smooth",
        "3 folds",
        "+21.0 (95% +18.5 to +23.5)",
    )
    rows = comparison_table(made_up(), NMNIST, ROBUSTNESS)
    assert rows[1][3] == "−19.0 (95% −19.0 to −19.0)"


def test_a_seed_that_one_fold_lacks_is_left_out_of_a_difference() -> None:
    extra = [{"smooth": 50, "hard": 50, "deployed": 10}]
    records = [run for runs in made_up().by_file.values() for run in runs]
    more = Records.of([*records, *arm("plain", extra, seed=1), *arm("sast", extra, seed=1)])
    found = difference(more, NMNIST, ("sast", "plain"), deployed)
    assert found is not None
    assert found.mean == 21.0
    assert len(more.runs(NMNIST, "plain", 8)) == 4


def test_sentences_follow_the_interval() -> None:
    text = "\n".join(conclusions(made_up()))
    assert "SAST minus plain surrogate-forward. nmnist-1k: 8 bits more, +21.0" in text
    assert "accuracy: 20.0 ± 0.0 points without SAST, 1.0 ± 0.0 with it (less, −19.0" in text
    two = made_up().on_folds({0, 1})
    assert "nmnist-1k: 8 bits too few runs to tell" in "\n".join(conclusions(two))
    swapped = [
        record(run.arm, run.fold or 0, run.figures.weight_bits, figures)
        for run in made_up().by_file[f"{NMNIST}-sast"]
        for figures in [{"smooth": 91, "hard": 60, "deployed": 50}]
    ]
    worse = Records({**made_up().by_file, f"{NMNIST}-sast": tuple(swapped)})
    assert "nmnist-1k: 8 bits less, " in "\n".join(conclusions(worse))


def test_an_arm_without_a_smooth_network_has_a_dash_and_is_never_the_best_smooth_one() -> None:
    rows = arm_table(made_up(), NMNIST)
    recipe = next(row for row in rows if row[0].startswith("recipe, hard forward"))
    assert (recipe[3], recipe[5]) == ("–", "–")
    assert recipe[6:8] == ("95.0 ± 0.0", "94.0 ± 0.0")
    assert best(made_up(), smooth) == "sast"
    assert best(made_up(), deployed) == RECOMMENDED


def test_the_best_is_chosen_among_arms_that_have_all_folds() -> None:
    """SAST's only fold is an easy one."""
    easy = arm("sast", [{"smooth": 93, "hard": 90, "deployed": 90}])
    plain = arm(
        "plain",
        [{"smooth": 96, "hard": 70, "deployed": 70}, {"smooth": 80, "hard": 70, "deployed": 70}],
    )
    assert best(Records.of([*easy, *plain]), smooth) == "plain"


def test_missing_runs_are_one_line() -> None:
    with pytest.raises(HardspikeError, match="found no arm with every fold and seed"):
        best_arms(Records({}))
    without = {k: v for k, v in made_up().by_file.items() if not k.endswith(SWAPPED[0])}
    with pytest.raises(HardspikeError, match="found no runs for gap_plain_points"):
        headline(Records(without), STEPS, BestArms("sast", "sast"))


def test_the_best_arms_stay_the_same_on_other_folds() -> None:
    """SAST deploys best over all folds, the plain network on fold 2 alone."""
    sast = [{"smooth": 90, "hard": 90, "deployed": value} for value in (95, 95, 80)]
    plain = [{"smooth": 92, "hard": 70, "deployed": value} for value in (70, 70, 90)]
    found = [run for runs in made_up().by_file.values() for run in runs]
    found = [run for run in found if run.arm.rpartition("-")[2] not in ("plain", "sast")]
    recipe = arm(RECOMMENDED, [{"smooth": None, "hard": 60, "deployed": 60}] * 3)
    others = [run for run in found if not run.arm.endswith(RECOMMENDED)]
    records = Records.of([*others, *arm("sast", sast), *arm("plain", plain), *recipe])
    swapped = set(SWAPPED)
    low = [{"smooth": 80, "hard": 60, "deployed": 60}] * 3
    records = Records.of(
        [run for runs in records.by_file.values() for run in runs if run.arm[10:] not in swapped]
        + [run for name in sorted(swapped) for run in arm(name, low)]
    )
    arms = best_arms(records)
    assert arms == BestArms("sast", "plain")
    fold = records.on_folds({2})
    assert best_arms(fold) == BestArms("plain", "plain")
    assert headline(fold, STEPS, arms)["int8_minus_best_smooth_points"]["mean"] == 80 - 92


def test_intervals_are_over_folds_each_the_mean_of_its_seeds() -> None:
    """SAST's gaps are 1 and 5 on the seeds of fold 0, 3 and 3, 5 and 7: means 3, 3, 6."""
    gaps = {0: (1, 3, 5), 1: (5, 3, 7)}
    runs = [
        run
        for seed, found in gaps.items()
        for name in ("plain", "sast", *SWAPPED, RECOMMENDED)
        for run in arm(
            name, [{"smooth": 90, "hard": 90 - gap, "deployed": 80} for gap in found], seed
        )
    ]
    records = Records.of(runs)
    found = headline_intervals(records, STEPS, best_arms(records))
    margin = 4.30265 * 3**0.5 / 3**0.5
    assert found["gap_sast_points"] == {
        "low": pytest.approx(4 - margin, abs=1e-3),
        "high": pytest.approx(4 + margin, abs=1e-3),
        "n": 3,
        "unit": "folds",
    }
    assert (found["step_ratio"]["n"], found["step_ratio"]["unit"]) == (2, "pairs")


def test_what_is_shown_follows_the_interval() -> None:
    records, arms = made_up(), best_arms(made_up())
    found = headline(records, STEPS, arms)
    intervals = headline_intervals(records, STEPS, arms)
    text = what_is_shown(records, found, intervals, found, {})
    assert "plain network loses 20 points or more is shown" in text
    assert "SAST loses 3 points or fewer is shown" in text
    wide = intervals | {"gap_sast_points": intervals["gap_sast_points"] | {"high": 3.5}}
    text = what_is_shown(records, found, wide, found, {})
    assert "SAST loses 3 points or fewer holds for the mean and is not shown" in text
    worse = found | {"gap_sast_points": {"mean": 3.2, "sd": 0.0, "n": 3}}
    text = what_is_shown(records, worse, wide, found, {})
    assert "SAST loses 3 points or fewer is not met" in text
    assert "trials by validation recordings alone" not in text


def test_the_setting_by_validation_stands_beside_the_headline() -> None:
    """Plain loses 10, 12 and 14 there, SAST 2 in each fold; smooth accuracy is the same."""
    plain = [{"smooth": 90, "hard": 90 - gap, "deployed": 70} for gap in (10, 12, 14)]
    sast = [{"smooth": 90, "hard": 88, "deployed": 88}] * 3
    runs = [*arm(BY_VALIDATION[0], plain), *arm(BY_VALIDATION[1], sast)]
    records = Records.of([*(run for one in made_up().by_file.values() for run in one), *runs])
    arms, other = best_arms(records), gaps_of(records, BY_VALIDATION)
    assert [value["mean"] for value in other.values()] == [12, 2, 0]
    assert other["gap_plain_points"]["interval_95"]["low"] == pytest.approx(12 - 4.96828, abs=1e-4)
    found, intervals = (
        headline(records, STEPS, arms),
        headline_intervals(records, STEPS, arms),
    )
    assert found["gap_plain_points"]["mean"] == 20
    text = what_is_shown(records, found, intervals, found, other)
    assert "plain network loses 20 points or more is not met (mean 12.00" in text
    assert "trials by validation recordings alone" in text


def test_epochs_that_were_picked_otherwise_are_named() -> None:
    hard = [{"smooth": 90, "hard": 80, "deployed": 85, "pick": "hard"}] * 3
    smooth_ = [{"smooth": 90, "hard": 80, "deployed": 80}] * 3
    unlike = Records.of([*arm("slope", hard), *arm("sast-hard-pick", smooth_)])
    assert "(epoch: hard against smooth)" in "\n".join(conclusions(unlike))
    alike = Records.of([*arm("slope", hard), *arm("sast-hard-pick", hard)])
    assert "(epoch:" not in "\n".join(conclusions(alike))


def test_a_calibrated_network_loses_what_its_calibrated_hard_network_does() -> None:
    run = record("x", 0, 8, {"smooth": 90, "hard": 60, "calibrated": 85, "deployed": 84})
    assert run.figures.transfer_gap == 0.3
    assert lost(run) == 5


@pytest.mark.parametrize(("without", "says"), [(95, "no gain in accuracy"), (90, "is worth its")])
def test_the_recommendation_says_what_sast_does_in_it(without: int, says: str) -> None:
    more = [{"smooth": None, "hard": 95, "deployed": without} for _ in range(3)]
    names = ("recipe-hard-matched", "recipe-hard-without-sast")
    runs = [run for name in names for run in arm(name, more)]
    found = [run for runs in made_up().by_file.values() for run in runs]
    assert says in in_short(Records.of([*found, *runs]))[-1]


def grid_records(
    points: Mapping[tuple[float, float], tuple[int, float]],
) -> Records:
    """Return the grid of (slope, ρ) → right answers of the hard network, its validation's share."""
    runs = []
    for (slope, rho), (hard, validation) in points.items():
        tree = record(GRID, 0, 8, {"smooth": 90, "hard": hard, "deployed": 80}).model_dump(
            mode="json", by_alias=True
        )
        tree["config"]["train"] |= {"rho": rho, "slope": {"start": slope, "end": None}}
        tree["figures"]["training"]["validation"] = {"hard": validation, "smooth": 0.9}
        runs.append(RunRecord.model_validate_json(json.dumps(tree)))
    return Records.of(runs)


def test_the_grids_best_sast_is_that_of_its_validation_recordings() -> None:
    """Test accuracy would choose β = 2, and ρ = 0 has the best validation accuracy."""
    points = {(5.0, 0.0): (88, 0.95), (5.0, 0.1): (70, 0.93), (2.0, 0.1): (89, 0.91)}
    assert best_of_grid(grid_records(points)) == (5.0, 0.1)
    with pytest.raises(HardspikeError, match="no run of the grid"):
        best_of_grid(grid_records({(5.0, 0.0): (88, 0.95)}))


def test_the_grid_shows_an_effect_where_both_halves_hold() -> None:
    points = {(1.0, 0.0): (65, 0.9), (1.0, 0.3): (80, 0.9), (2.0, 0.0): (80, 0.9)}
    points |= {(2.0, 0.3): (89, 0.9)}
    assert shown_in_grid(grid_records(points), 20, 3) == []
    assert shown_in_grid(grid_records(points | {(1.0, 0.3): (87, 0.9)}), 20, 3) == [(1.0, 0.3)]


def test_the_grid_has_a_row_a_slope_and_rho() -> None:
    runs = []
    for bits in (8, 4):
        for seed in (0, 1):
            one = record(GRID, 0, bits, {"smooth": 90 + seed, "hard": 80, "deployed": 81}, seed)
            tree = one.model_dump(mode="json", by_alias=True)
            tree["config"]["train"] |= {"rho": 0.2, "slope": {"start": 5.0, "end": None}}
            runs.append(RunRecord.model_validate_json(json.dumps(tree)))
    rows = grid_table(Records.of(runs))
    assert len(rows) == 2
    assert rows[1][:3] == ("5", "0.2", "2")
    assert rows[1][3:6] == ("90.5 ± 0.7", "80.0 ± 0.0", "10.5 ± 0.7")
    assert rows[1][6:8] == ("81.0 ± 0.0", "81.0 ± 0.0")

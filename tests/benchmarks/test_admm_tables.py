"""The tables, sentences and headline of the ADMM study on made-up records, worked out by hand."""

import functools
import json

import pytest

from benchmarks.admm_study.found import Found, levels, ratios
from benchmarks.admm_study.page import conclusions, page
from benchmarks.admm_study.published import Iteration
from benchmarks.admm_study.race import Lap, seconds_to
from benchmarks.admm_study.ranks import Pair
from benchmarks.admm_study.scaling import Point
from benchmarks.admm_study.scaling_table import ranks_table, scaling_table
from benchmarks.admm_study.settings import NMNIST, SACCADE
from benchmarks.admm_study.tables import (
    arm_table,
    asked_table,
    comparison_table,
    headline,
    published_table,
    race_table,
)
from benchmarks.records import RunRecord, read_records
from benchmarks.run_figures import Score
from benchmarks.sast_study.plan import RECORDS as OTHER_RECORDS
from benchmarks.study.tables import Records

N = 200


@functools.cache
def template() -> str:
    """Return a committed record as JSON."""
    return read_records(OTHER_RECORDS)[0].model_dump_json(by_alias=True)


def record(arm: str, fold: int | None, correct: int, bits: int = 8, seed: int = 0) -> RunRecord:
    """Return a committed record with other figures, of 200 recordings."""
    tree = json.loads(template())
    name = f"{arm}-fold{fold}-seed{seed}-{bits}bit"
    tree |= {"arm": arm, "name": name, "fold": fold, "seed": seed}
    tree["figures"] |= {"deployed": {"correct": correct, "n": N}, "weight_bits": bits}
    for corruption in tree["figures"]["corruptions"]:
        corruption["score"] = {"correct": correct - 20, "n": N}
    return RunRecord.model_validate_json(json.dumps(tree))


def runs(arm: str, correct: list[int]) -> list[RunRecord]:
    return [
        record(f"{NMNIST}-{arm}", fold, right - (bits == 4), bits)
        for fold, right in enumerate(correct)
        for bits in (8, 4)
    ]


def lap(method: str, seed: int, seconds: list[float], validation: list[float]) -> Lap:
    return Lap(
        config={},
        seed=seed,
        method=method,
        seconds=tuple(seconds),
        validation=tuple(validation),
    )


LAPS = (
    lap("admm", 0, [2.0, 4.0], [0.9, 0.95]),
    lap("admm", 0, [1.0, 2.0, 3.0], [0.5, 0.94, 0.945]),
    lap("surrogate", 0, [4.0, 8.0], [0.8, 0.94]),
    lap("admm", 1, [6.0], [0.9]),
    lap("surrogate", 1, [2.0, 4.0], [0.9, 0.96]),
)


def iteration(fold: int, correct: int) -> Iteration:
    return Iteration(
        config={},
        architecture="dense-1",
        fold=fold,
        seed=0,
        seconds=10.0,
        best=2,
        test={"soft": Score(correct=correct, n=N), "hard": Score(correct=correct - 20, n=N)},
        curves={
            "objective": (20.0, 0.25),
            "training_hard": (0.1, 0.5),
            "validation_hard": (0.1, 0.4),
            "agreement_true_1": (0.5, 0.9),
            "agreement_true_2": (0.5, 0.8),
            "overlap_true_1": (0.2, 0.1),
            "overlap_true_2": (0.2, 0.3),
        },
    )


def pair(seed: int, passes: int, difference: float) -> Pair:
    return Pair(
        config={},
        seed=seed,
        passes=passes,
        ranks=(1, 2),
        seconds=(8.0, 4.0),
        peak_bytes=(2**30, 2**30),
        max_difference=difference,
        largest_weight=0.5,
    )


def point(samples: int, seconds: float) -> Point:
    return Point(
        grows="samples",
        samples=samples,
        steps=10,
        width=100,
        first_seconds=9.0,
        pass_seconds=seconds,
        peak_bytes=400 * 2**20,
    )


def made_up() -> Found:
    """ADMM is right on 180, 182, 184, the surrogate on 181 a fold, random features on 160."""
    records = [
        *runs("dense-1-admm", [180, 182, 184]),
        *runs("dense-1-surrogate", [181, 181, 181]),
        *runs("dense-1-random-hidden", [160, 160, 160]),
    ]
    return Found(
        Records.of(records),
        laps={(SACCADE, "dense-1"): LAPS},
        iterations={"dense-1": [iteration(0, 40), iteration(1, 44)]},
        pairs=[pair(0, 1, 0.0), pair(0, 5, 1e-7), pair(1, 5, 3e-7)],
        points=[point(100, 1.0), point(400, 4.0), point(200, 2.0)],
    )


def test_the_headline_by_hand() -> None:
    """Points over the surrogate: −0.5, 0.5, 1.5; over random features 10, 11, 12."""
    assert headline(made_up()) == {
        "admm_minus_surrogate_points": {f"{NMNIST}-dense-1": {"mean": 0.5, "sd": 1.0, "n": 3}},
        "admm_minus_random_hidden_points": {f"{NMNIST}-dense-1": {"mean": 11.0, "sd": 1.0, "n": 3}},
        "seconds_ratio": {"mean": 1.625, "sd": 1.9445, "n": 2},
        "ranks_max_weight_difference": {
            "passes_1": {"mean": 0.0, "sd": None, "n": 1},
            "passes_5": {"mean": 2e-7, "sd": 1.41e-7, "n": 2},
        },
        "published_hard_accuracy": {"dense-1": {"mean": 11.0, "sd": 1.4142, "n": 2}},
    }


def test_a_level_counts_from_the_schedule_that_gets_there_first() -> None:
    ours = [one for one in LAPS if (one.seed, one.method) == (0, "admm")]
    assert seconds_to(ours, 0.94) == 2.0
    assert seconds_to(ours, 0.95) == 4.0
    assert seconds_to(ours, 0.96) is None
    assert next(levels(LAPS)) == (0, 0.94, 2.0, 8.0)
    assert ratios(LAPS) == [0.25, 3.0]
    assert race_table(made_up())[1][1:] == ("0", "94.0%", "2.0", "8.0", "0.25")


def test_what_was_asked_is_met_missed_or_open_by_the_interval() -> None:
    """t(0.975; 2)/√3 = 2.484: −2.0 to 3.0 over the surrogate, 8.5 to 13.5 over random features."""
    rows = asked_table(made_up())
    near, over, seconds = rows[1:]
    assert near[0] == "ADMM − surrogate at least −1 points"
    assert near[2:] == ("+0.5 (95% −2.0 to +3.0)", "met by the mean, the interval has both")
    assert over[2:] == ("+11.0 (95% +8.5 to +13.5)", "met")
    assert seconds[3] == "missed by 1.12 by the mean, the interval has both"
    worse = [
        *runs("dense-1-admm", [170, 171, 172]),
        *runs("dense-1-surrogate", [181, 181, 181]),
    ]
    (told,) = asked_table(Found(Records.of(worse)))[1:]
    assert told[2:] == ("−5.0 (95% −6.2 to −3.8)", "missed by 4.0")


def test_tables_have_a_row_an_arm_and_a_row_a_pair() -> None:
    rows = arm_table(made_up().records, NMNIST)
    assert [row[:5] for row in rows[1:]] == [
        ("dense-1", "ADMM", "3", "91.0 ± 1.0", "90.5 ± 1.0"),
        ("dense-1", "surrogate", "3", "90.5 ± 0.0", "90.0 ± 0.0"),
        ("dense-1", "random hidden weights", "3", "80.0 ± 0.0", "79.5 ± 0.0"),
    ]
    assert rows[1][5] == "81.0 ± 1.0"
    compared = comparison_table(made_up().records, NMNIST)
    assert [row[1] for row in compared[1:]] == [
        "ADMM − surrogate",
        "ADMM − random hidden weights",
    ]
    assert compared[2][2:4] == ("3 folds", "+11.0 (95% +8.5 to +13.5)")


def test_sentences_follow_the_interval() -> None:
    text = "\n".join(conclusions(made_up()))
    assert f"ADMM minus surrogate: {NMNIST} dense-1 no difference shown, +0.5" in text
    assert f"ADMM minus random hidden weights: {NMNIST} dense-1 more, +11.0" in text
    assert "the lower of their best validation accuracies: 1.62 ± 1.94 over 2 seeds" in text
    assert "reaches 21.0 ± 1.4% on test recordings" in text
    assert "85.0 ± 0.0% of all steps, but only 20.0 ± 0.0%" in text


def test_the_published_iteration_beside_ours() -> None:
    (row,) = published_table(made_up())[1:]
    assert row == (
        *("dense-1", "2", "20.0 → 0.25", "50.0 ± 0.0", "21.0 ± 1.4", "11.0 ± 1.4"),
        *("85.0 ± 0.0", "20.0 ± 0.0", "91.0 ± 1.0", "10 ± 0"),
    )


def test_a_pass_that_grows_with_its_recordings_has_the_slope_one() -> None:
    recordings, processes = scaling_table(made_up())[1:]
    assert recordings == (
        *("recordings", "100, 200, 400", "1.00, 2.00, 4.00", "1.00"),
        *("400, 400, 400", "0.00"),
    )
    assert processes[2:4] == ("1.60, 0.80", "−1.00")
    assert ranks_table(made_up())[2] == ("5", "2", "3e−07", "0.50", "8.0 ± 0.0", "4.0 ± 0.0")


@pytest.mark.parametrize("found", [Found(Records.of([])), made_up()], ids=["nothing", "some"])
def test_a_page_can_be_written_before_everything_is_run(found: Found) -> None:
    text = page(found, headline(found))
    assert text.startswith("# Can a spiking network")
    assert "Not run yet." in text
    assert "\n\n\n" not in text

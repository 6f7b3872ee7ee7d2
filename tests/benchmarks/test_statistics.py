"""Means, spreads and paired intervals against published numbers and by hand."""

import math
from functools import partial

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.statistics import (
    Difference,
    Match,
    Summary,
    by_unit,
    paired_difference,
    plus_minus,
    summary,
    with_interval,
)
from export.errors import HardspikeError

# Hours of sleep gained by ten patients on two drugs (Student 1908, "The probable error of a mean").
FIRST = (0.7, -1.6, -0.2, -1.2, -0.1, 3.4, 3.7, 0.8, 0.0, 2.0)
SECOND = (1.9, 0.8, 1.1, 0.1, -0.1, 4.4, 5.5, 1.6, 4.6, 3.4)
# Student's t at 0.975, from printed tables.
T_1, T_4 = 12.7062, 2.7764

figures = st.floats(-100, 100)


def over_seeds(values: tuple[float, ...]) -> dict[Match, float]:
    return {Match(None, seed): value for seed, value in enumerate(values)}


def test_a_summary_by_hand() -> None:
    """1, 2, 3, 4: mean 2.5, squares 2.25 + 0.25 + 0.25 + 2.25 = 5 over 3."""
    assert summary([1, 2, 3, 4]) == Summary(2.5, math.sqrt(5 / 3), 4)
    assert summary([7.0]) == Summary(7.0, None, 1)
    with pytest.raises(HardspikeError, match="no values"):
        summary([])


def test_students_own_example() -> None:
    """R's `t.test(extra ~ group, paired = TRUE)` on these: 0.7001142 to 2.4598858."""
    found = paired_difference(over_seeds(SECOND), over_seeds(FIRST))
    assert (found.n, found.unit) == (10, "seeds")
    assert found.mean == pytest.approx(1.58, abs=1e-12)
    assert (found.low, found.high) == pytest.approx((0.7001142, 2.4598858), abs=5e-8)


@pytest.mark.parametrize("apart", [0.0, 0.5, 40.0])
def test_seeds_of_a_fold_count_once(apart: float) -> None:
    """Five folds with differences 1 to 5: 3 ± t · √2.5/√5, however far apart their seeds lie."""
    other = {Match(fold, seed): 10.0 * fold for fold in range(5) for seed in range(2)}
    one = {
        match: value + match.fold + 1 + (apart if match.seed else -apart)
        for match, value in other.items()
        if match.fold is not None
    }
    found = paired_difference(one, other)
    assert (found.n, found.unit) == (5, "folds")
    margin = T_4 * math.sqrt(2.5 / 5)
    assert (found.low, found.mean, found.high) == pytest.approx((3 - margin, 3, 3 + margin), 1e-4)


def test_two_units_have_a_wide_interval() -> None:
    """Differences 0 and 2: sd √2, so 1 ± t · √2/√2."""
    found = paired_difference(over_seeds((5, 9)), over_seeds((5, 7)))
    assert (found.low, found.high) == pytest.approx((1 - T_1, 1 + T_1), rel=1e-5)


def test_the_interval_covers_what_it_says() -> None:
    """5 normal differences, 2,000 times: 95% of the intervals hold the mean; of z's, 88% would."""
    draws = np.random.default_rng(0).normal(2.0, 3.0, (2000, 5))
    nothing = over_seeds((0.0,) * 5)
    found = [paired_difference(over_seeds(tuple(row)), nothing) for row in draws.tolist()]
    covered = sum(one.low <= 2.0 <= one.high for one in found) / len(found)
    assert abs(covered - 0.95) < 4 * math.sqrt(0.95 * 0.05 / 2000)


@given(st.lists(st.tuples(figures, figures), min_size=2, max_size=8), figures)
def test_turning_the_arms_round_turns_the_interval_and_a_shift_moves_it(
    pairs: list[tuple[float, float]], shift: float
) -> None:
    ones, others = (over_seeds(tuple(column)) for column in zip(*pairs, strict=True))
    found, turned = paired_difference(ones, others), paired_difference(others, ones)
    near = partial(pytest.approx, rel=1e-9, abs=1e-9)
    assert (found.mean, found.low, found.high) == near((-turned.mean, -turned.high, -turned.low))
    moved = paired_difference({match: value + shift for match, value in ones.items()}, others)
    assert (moved.mean, moved.low, moved.high) == near(
        (found.mean + shift, found.low + shift, found.high + shift)
    )


def test_units_are_folds_where_there_are_folds_and_else_seeds() -> None:
    values = {Match(1, 0): 4.0, Match(0, 1): 3.0, Match(0, 0): 1.0, Match(1, 1): 8.0}
    assert by_unit(values) == {0: 2.0, 1: 6.0}
    assert by_unit({Match(None, 3): 1.0, Match(None, 2): 5.0}) == {2: 5.0, 3: 1.0}


@pytest.mark.parametrize(
    ("one", "other", "says"),
    [
        ({Match(0, 0): 1.0}, {Match(0, 1): 1.0}, "fold 0, seed 0 is in one arm alone"),
        ({Match(0, 0): 1.0}, {Match(0, 0): 2.0}, "found 1 of folds"),
        ({Match(None, 0): 1.0}, {Match(None, 0): 2.0}, "found 1 of seeds"),
        ({}, {}, "no values"),
        (
            {Match(0, 0): 1.0, Match(0, 1): 1.0, Match(1, 0): 1.0},
            {Match(0, 0): 1.0, Match(0, 1): 1.0, Match(1, 0): 1.0},
            "fold 1 has the seeds 0, others 0, 1",
        ),
        (
            {Match(None, 0): 1.0, Match(1, 0): 1.0},
            {Match(None, 0): 1.0, Match(1, 0): 1.0},
            "runs with a fold and runs without",
        ),
    ],
)
def test_what_does_not_pair_is_one_line(
    one: dict[Match, float], other: dict[Match, float], says: str
) -> None:
    with pytest.raises(HardspikeError) as caught:
        paired_difference(one, other)
    (line,) = str(caught.value).splitlines()
    assert says in line


def test_figures_in_words() -> None:
    assert plus_minus(Summary(94.349, 1.25, 5)) == "94.3 ± 1.2"
    assert plus_minus(Summary(-0.04, None, 1)) == "0.0 ± –"
    assert plus_minus(Summary(-1.0, 0.125, 3), digits=2) == "−1.00 ± 0.12"
    found = Difference(2.06, -0.44, 4.56, 5, "folds")
    assert with_interval(found) == "+2.1 (95% −0.4 to +4.6)"
    assert with_interval(Difference(0.04, -0.04, 0.12, 5, "folds")) == "+0.0 (95% +0.0 to +0.1)"

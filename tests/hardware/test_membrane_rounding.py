"""Rounding by the membrane: by hand, against every choice there is, and never worse."""

import itertools

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from hardware.membrane_error import damped, mean_square_error
from hardware.membrane_rounding import Lattice, MembraneRounding

Array = NDArray[np.float64]


def _lattice(synapses: int, unit: float = 1.0, levels: tuple[int, int] = (-2, 1)) -> Lattice:
    """Synapses that may move, and a bias and a threshold that may not."""
    lowest, highest = levels
    unit_J = np.append(np.full(synapses, unit), [0.0, 0.0])
    bounds = (np.append(np.full(synapses, end), [0, 0]) for end in (lowest, highest))
    return Lattice(unit_J, *bounds)


def round_to_membrane(
    target_OJ: Array, start_OJ: Array, lattice: Lattice, form_JJ: Array
) -> NDArray[np.float64]:
    return MembraneRounding(form_JJ, lattice)(target_OJ, start_OJ, lattice)


def _rows(*rows: list[float]) -> NDArray[np.float64]:
    """Add a bias and a threshold without an error."""
    return np.array([[*row, 0.0, 0.0] for row in rows])


def _form(seen_SK: NDArray[np.float64]) -> NDArray[np.float64]:
    """The damped Gram matrix of inputs z beside c = 1 and −1."""
    ones = np.ones(len(seen_SK))
    terms_SJ = np.column_stack([seen_SK, ones, -ones])
    return damped(terms_SJ.T @ terms_SJ / len(terms_SJ))


def test_two_inputs_that_always_come_together_by_hand() -> None:
    """0.4 + 0.4 of the same input: nearest gives 0 + 0, off by 0.8; one of them rounds up."""
    form_JJ = _form(np.ones((1, 2)))
    found = round_to_membrane(_rows([0.4, 0.4]), _rows([0, 0]), _lattice(2), form_JJ)
    assert sorted(found[0, :2]) == [0, 1]


def test_the_error_of_the_threshold_is_made_up_for() -> None:
    """The threshold is 1 too high (its target is minus its error): the weight follows it up."""
    target_OJ = np.array([[0.0, 0.0, -1.0]])
    found = round_to_membrane(target_OJ, _rows([0]), _lattice(1), _form(np.ones((1, 1))))
    assert found.tolist() == [[1, 0, 0]]


def test_silent_inputs_leave_the_nearest() -> None:
    start = _rows([1, -2])
    found = round_to_membrane(_rows([0.6, -2.4]), start, _lattice(2), _form(np.zeros((1, 2))))
    assert found.tolist() == start.tolist()


@given(
    seed=st.integers(0, 2**32 - 1),
    terms=st.integers(1, 12),
    rank=st.integers(1, 12),
    unit=st.sampled_from((0.01, 0.3, 2.0)),
    levels=st.sampled_from(((-2, 1), (-8, 7), (-128, 127))),
)
@settings(max_examples=150, deadline=None)
def test_no_output_gets_worse_and_every_integer_is_a_level(
    seed: int, terms: int, rank: int, unit: float, levels: tuple[int, int]
) -> None:
    random = np.random.default_rng(seed)
    seen = random.normal(size=(rank, terms)) * random.choice([0, 1, 100], terms)
    form_JJ, target_OJ = _form(seen), _rows(*random.normal(size=(4, terms)).tolist())
    lattice = _lattice(terms, unit, levels)
    start_OJ = np.clip(np.rint(target_OJ / unit), *levels)
    start_OJ[:, terms:] = 0
    found_OJ = round_to_membrane(target_OJ, start_OJ, lattice, form_JJ)
    np.testing.assert_array_equal(found_OJ, np.rint(found_OJ))
    assert found_OJ.min() >= levels[0]
    assert found_OJ.max() <= levels[1]
    before_O = mean_square_error(lattice.unit_J * start_OJ - target_OJ, form_JJ)
    after_O = mean_square_error(lattice.unit_J * found_OJ - target_OJ, form_JJ)
    assert (after_O <= before_O).all()
    again_OJ = round_to_membrane(target_OJ, start_OJ, lattice, form_JJ)
    np.testing.assert_array_equal(found_OJ, again_OJ)


def test_small_problems_end_near_the_best_of_all_choices() -> None:
    """Over 200 random problems of 4 terms and 4 levels: the error above the best choice's is at
    most a fifth of nearest rounding's, in the mean."""
    random, above_nearest, above_found = np.random.default_rng(5), 0.0, 0.0
    choices = _rows(*([*map(float, row)] for row in itertools.product(range(-2, 2), repeat=4)))
    for _ in range(200):
        seen = random.random((6, 4))
        form_JJ, target_OJ = _form(seen), _rows(random.uniform(-2, 1, 4).tolist())
        start_OJ = np.rint(target_OJ)
        found_OJ = round_to_membrane(target_OJ, start_OJ, _lattice(4), form_JJ)
        best, nearest, found = (
            float(mean_square_error(rows - target_OJ, form_JJ).min())
            for rows in (choices, start_OJ, found_OJ)
        )
        assert best <= found + 1e-12
        above_nearest, above_found = above_nearest + nearest - best, above_found + found - best
    assert above_found < above_nearest / 5

"""Measures by hand."""

import numpy as np
import pytest

from pipeline.metrics import agreement, confusion, first_parting, wilson_interval


def test_the_wilson_interval_of_a_known_case() -> None:
    """81 of 263: 0.2553 to 0.3662 (Newcombe 1998, table I)."""
    assert wilson_interval(81, 263) == pytest.approx((0.2553, 0.3662), abs=5e-5)
    assert wilson_interval(0, 10)[0] == 0
    assert wilson_interval(10, 10)[1] == pytest.approx(1)


def test_the_confusion_matrix_counts_true_rows_and_predicted_columns() -> None:
    found = confusion(np.array([0, 1, 1, 2]), np.array([0, 1, 2, 2]), 3)
    assert found.tolist() == [[1, 0, 0], [0, 1, 0], [0, 1, 1]]


def test_agreement_is_the_share_of_equal_entries() -> None:
    assert agreement(np.array([[1, 0], [1, 1]]), np.array([[1, 0], [0, 1]])) == 0.75


def test_the_first_parting_names_layer_step_and_share() -> None:
    one = {"a": np.zeros((2, 3, 4), np.uint8), "b": np.zeros((2, 3, 2), np.uint8)}
    other = {key: grid.copy() for key, grid in one.items()}
    assert first_parting(one, other) is None
    other["b"][1, 2, 0] = 1
    assert first_parting(one, other) == {"layer": "b", "step": 2, "recordings": 0.5}

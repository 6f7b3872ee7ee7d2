"""Choices of recordings are stratified, disjoint and seeded."""

import numpy as np
import pytest

from pipeline.data.splits import fold_split, limited, split_validation, stratified_order

LABELS_B = np.repeat(np.arange(3), [60, 30, 10])


def test_every_prefix_holds_the_classes_in_proportion() -> None:
    order_B = stratified_order(LABELS_B, seed=4)
    assert sorted(order_B) == list(range(100))
    for size in range(1, 101):
        counts = np.bincount(LABELS_B[order_B[:size]], minlength=3)
        assert np.all(np.abs(counts - size * np.array([0.6, 0.3, 0.1])) <= 1.5)


def test_folds_partition_and_are_stratified() -> None:
    inside = [fold_split(LABELS_B, 5, fold, seed=0)[1] for fold in range(5)]
    assert sorted(np.concatenate(inside)) == list(range(100))
    assert all(np.bincount(LABELS_B[part]).tolist() == [12, 6, 2] for part in inside)
    outside, first = fold_split(LABELS_B, 5, 0, seed=0)
    assert not set(outside) & set(first)


def test_validation_is_stratified_seeded_and_disjoint() -> None:
    train, validation = split_validation(LABELS_B, 0.1, seed=1)
    assert sorted([*train, *validation]) == list(range(100))
    assert np.bincount(LABELS_B[validation]).tolist() == [6, 3, 1]
    assert np.array_equal(validation, split_validation(LABELS_B, 0.1, seed=1)[1])
    assert not np.array_equal(validation, split_validation(LABELS_B, 0.1, seed=2)[1])


@pytest.mark.parametrize(("fraction", "size"), [(0.0, 0), (0.01, 1), (0.99, 9)])
def test_neither_part_is_emptied_by_rounding(fraction: float, size: int) -> None:
    train, validation = split_validation(np.arange(10) % 2, fraction, seed=0)
    assert len(validation) == size
    assert len(train) == 10 - size


def test_a_limit_of_none_keeps_everything() -> None:
    assert limited(LABELS_B, None).tolist() == list(range(100))
    assert np.bincount(LABELS_B[limited(LABELS_B, 10)]).tolist() == [6, 3, 1]

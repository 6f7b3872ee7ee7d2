"""Stratified, seeded choices of recordings: limits, folds and a validation part.

Axes: B recording, N chosen recording.
"""

import numpy as np

from pipeline.data.events import I64


def stratified_order(labels_B: I64, seed: int) -> I64:
    """Return a seeded permutation each of whose runs holds the classes in their proportions.

    Recording r of a class of n, in a random order, stands at (r + ½)/n; sort by that. A prefix of
    N recordings of B then holds n·N/B of the class, to within one.
    """
    shuffled_B = np.random.default_rng(seed).permutation(len(labels_B))
    by_class_B = shuffled_B[np.argsort(labels_B[shuffled_B], kind="stable")]
    _, sizes = np.unique(labels_B, return_counts=True)
    place_B = np.concatenate([(np.arange(size) + 0.5) / size for size in sizes])
    return by_class_B[np.argsort(place_B, kind="stable")].astype(np.int64)


def limited(labels_B: I64, limit: int | None, seed: int = 0) -> I64:
    """Return the sorted indices of at most `limit` recordings (all of them for None)."""
    return np.sort(stratified_order(labels_B, seed)[:limit])


def fold_split(labels_B: I64, folds: int, fold: int, seed: int) -> tuple[I64, I64]:
    """Return the sorted indices outside and inside fold `fold` of `folds`."""
    order_B = stratified_order(labels_B, seed)
    count = len(labels_B)
    first, last = fold * count // folds, (fold + 1) * count // folds
    outside_N = np.concatenate([order_B[:first], order_B[last:]])
    return np.sort(outside_N), np.sort(order_B[first:last])


def split_validation(labels_B: I64, fraction: float, seed: int) -> tuple[I64, I64]:
    """Return the sorted indices of the training and the validation part.

    A fraction above zero gives both parts at least one recording, where there are two.
    """
    count = len(labels_B)
    size = min(max(round(fraction * count), int(fraction > 0)), max(count - 1, 0))
    order_B = stratified_order(labels_B, seed)
    return np.sort(order_B[size:]), np.sort(order_B[:size])

"""What is said of times, against numbers worked out by hand."""

import numpy as np
import pytest

from pipeline.latency.timing import histogram, in_turn, ratios, summary


def test_percentiles_lie_between_the_two_nearest_times() -> None:
    found = summary(np.array([4.0, 1.0, 3.0, 2.0, 5.0]))
    assert found["p50_ms"] == 3.0
    assert found["p95_ms"] == pytest.approx(4 + 0.8)
    assert found["p99_ms"] == pytest.approx(4 + 0.96)
    assert (found["min_ms"], found["mean_ms"], found["calls"]) == (1.0, 3.0, 5)


def test_ratios_of_medians_of_minima_and_of_pairs() -> None:
    found = ratios(np.array([2.0, 9.0, 4.0]), np.array([2.0, 3.0, 1.0]))
    assert found == {"p50": 4.0 / 2.0, "min": 2.0 / 1.0, "paired": 3.0}


def test_a_histogram_counts_every_time_once() -> None:
    times = np.append(np.linspace(1.0, 2.0, 999), 1000.0)
    found = histogram(times)
    assert sum(found["counts"]) + found["above"] == 1000
    assert found["above"] == 5
    assert found["edges_ms"][0] == 1.0
    assert found["edges_ms"][-1] < 2.0


def test_ways_are_called_in_turn_on_the_items_in_order() -> None:
    calls: list[tuple[str, int]] = []
    done: list[tuple[int, int]] = []
    ways = {name: lambda item, name=name: calls.append((name, item)) for name in "ab"}
    times = in_turn(ways, 3, 4, 2, lambda *counts: done.append(counts))
    items = [1, 2, 0, 1, 2, 0]
    assert calls == [(name, item) for item in items for name in "ab"]
    assert {name: len(values) for name, values in times.items()} == {"a": 4, "b": 4}
    assert all((values >= 0).all() for values in times.values())
    assert done[-1] == (4, 4)

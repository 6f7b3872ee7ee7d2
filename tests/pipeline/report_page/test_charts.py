"""Scales and ticks, and that a raster draws every spike once."""

import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipeline.report_page.raster import raster_chart
from pipeline.report_page.svg import Scale, log_ticks, ticks


@given(st.floats(-1e6, 1e6), st.floats(1e-6, 1e6), st.integers(2, 8))
def test_ticks_are_round_and_within(low: float, width: float, most: int) -> None:
    found = ticks(low, low + width, most)
    assert len(found) <= most + 1
    slack = 1e-6 * (abs(low) + width)
    assert all(low - slack <= value <= low + width + slack for value in found)


def test_ticks_by_hand() -> None:
    assert ticks(0, 100, 5) == [0, 20, 40, 60, 80, 100]
    assert ticks(93.2, 96.1, 6) == [93.5, 94, 94.5, 95, 95.5, 96]
    assert log_ticks(9, 210, 6) == [10, 20, 50, 100, 200]
    assert log_ticks(1e-3, 1e3, 5) == [1e-3, 1e-1, 1e1, 1e3]
    assert Scale(1, 4, 0, 30, whole=True).ticks(6) == [1, 2, 3, 4]


def test_scales_meet_their_ends() -> None:
    assert [Scale(2, 4, 10, 20)(value) for value in (2, 3, 4)] == [10, 15, 20]
    assert Scale(1, 100, 0, 10, log=True)(10) == pytest.approx(5)


def cells(svg: str, look: str) -> int:
    """Return how many cells the paths of a class fill."""
    paths = re.findall(f'class="{look}" d="([^"]+)"', svg)
    return sum(int(length) for path in paths for length in re.findall(r"h(\d+)v1", path))


def test_a_raster_fills_a_cell_a_spike_and_marks_what_differs() -> None:
    spikes_TN = (np.random.default_rng(0).random((12, 30)) < 0.3).astype(np.uint8)
    other_TN = spikes_TN.copy()
    other_TN[2, 3] ^= 1
    other_TN[7, 11] ^= 1
    same = str(raster_chart("loihi", {"a": spikes_TN}, {"a": spikes_TN}, 10.0).svg)
    assert cells(same, "spike") == spikes_TN.sum()
    assert cells(same, "differs") == 0
    differs = str(raster_chart("loihi", {"a": other_TN}, {"a": spikes_TN}, 10.0).svg)
    assert cells(differs, "differs") == 2
    assert "2 differ" in differs

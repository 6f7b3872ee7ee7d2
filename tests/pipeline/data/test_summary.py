"""Figures by hand, and a sheet whose bytes repeat."""

from pathlib import Path

import numpy as np
import pytest
from matplotlib.image import imread

from pipeline.data.events import Dataset, checked, gather
from pipeline.data.settings import Binning, DataSettings
from pipeline.data.summary import contact_sheet, describe


def test_figures_of_two_recordings() -> None:
    rows = [[(0, 0, 0, 1), (1, 0, 1000, 0), (2, 0, 400_000, 1)], [(3, 3, 200_000, 1)]]
    parts = []
    for events in rows:
        x, y, t, p = np.array(events).T
        parts.append(checked(x, y, p, t, sensor=(34, 34), name="by hand"))
    recordings = gather(parts, np.array([2, 0]), ("a", "b", "c"), (34, 34), ("one", "two"))
    found = describe(recordings, DataSettings(binning=Binning(steps=2)))
    assert found.per_class == {"a": 1, "b": 0, "c": 1}
    assert (found.events_mean, found.events_sd) == (2.0, 1.0)
    assert (found.events_min, found.events_max) == (1, 3)
    assert found.on_fraction == 0.75
    assert (found.duration_mean_ms, found.duration_max_ms) == (300.0, 400.0)
    assert (found.window_ms, found.step_ms, found.in_window) == (315.0, 157.5, 0.75)
    cells = 2 * 34 * 34
    assert found.rate_per_step == pytest.approx((2 / cells / 2, 1 / cells / 2))
    assert found.density == pytest.approx(3 / cells / 4)


def test_the_sheet_repeats_its_bytes_and_shows_both_colours(tmp_path: Path) -> None:
    spikes_BTCHW = np.zeros((5, 4, 2, 12, 16), np.uint8)
    spikes_BTCHW[:, :, 1, 2:6, 2:8] = 1
    spikes_BTCHW[:, :, 0, 7:11, 2:8] = 1
    names = tuple("abcde")
    dataset = Dataset(spikes_BTCHW, np.array([0, 0, 2, 2, 2]), ("x", "none", "long name"), names)
    for name in ("one.png", "two.png"):
        contact_sheet(dataset, tmp_path / name, columns=3)
    assert (tmp_path / "one.png").read_bytes() == (tmp_path / "two.png").read_bytes()
    picture = imread(tmp_path / "one.png")[..., :3]
    red, blue = picture[..., 0], picture[..., 2]
    assert (red - blue > 0.5).sum() > 1000
    assert (blue - red > 0.3).sum() > 1000


def test_recordings_without_spikes_can_be_drawn(tmp_path: Path) -> None:
    empty = Dataset(np.zeros((1, 2, 2, 8, 8), np.uint8), np.array([0]), ("a",), ("one",))
    contact_sheet(empty, tmp_path / "empty.png")
    assert (tmp_path / "empty.png").stat().st_size > 0

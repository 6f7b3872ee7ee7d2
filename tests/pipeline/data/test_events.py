"""Binning by hand-made events; faults of a recording."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from export.errors import HardspikeError
from pipeline.data.events import Dataset, Events, bin_events, checked, gather
from pipeline.data.settings import Binning, DataSettings

Row = tuple[int, int, int, int]


def recording(rows: list[Row]) -> Events:
    x, y, time, on = np.array(rows).T
    return checked(x, y, on, time, sensor=(34, 34), name="by hand")


def data(**binning: object) -> DataSettings:
    return DataSettings(binning=Binning.model_validate(binning))


def test_an_event_falls_in_its_bin_polarity_row_and_column() -> None:
    spikes_BTCHW = bin_events(
        [recording([(5, 7, 0, 0), (33, 33, 314_999, 1)]), recording([(5, 7, 31_500, 1)])], data()
    )
    assert spikes_BTCHW.shape == (2, 10, 2, 34, 34)
    assert spikes_BTCHW.dtype == np.uint8
    assert np.argwhere(spikes_BTCHW).tolist() == [
        [0, 0, 0, 7, 5],
        [0, 9, 1, 33, 33],
        [1, 1, 1, 7, 5],
    ]


def test_events_after_the_window_are_left_out() -> None:
    assert bin_events([recording([(0, 0, 315_000, 1)])], data()).sum() == 0


def test_binary_is_or_and_count_is_sum_clipped_at_255() -> None:
    part = recording([(1, 1, t, 1) for t in range(300)] + [(2, 2, 0, 0)] * 3)
    binary, count = bin_events([part], data()), bin_events([part], data(mode="count"))
    assert binary[0, 0, 1, 1, 1] == 1
    assert binary[0, 0, 0, 2, 2] == 1
    assert count[0, 0, 1, 1, 1] == 255
    assert count[0, 0, 0, 2, 2] == 3


@pytest.mark.parametrize(("mode", "expected"), [("binary", 1), ("count", 4)])
def test_downsampling_joins_squares(mode: str, expected: int) -> None:
    part = recording([(2, 4, 0, 1), (3, 4, 0, 1), (2, 5, 0, 1), (3, 5, 0, 1), (4, 4, 0, 1)])
    spikes_BTCHW = bin_events([part], data(mode=mode, downsample=2))
    assert spikes_BTCHW.shape[-2:] == (17, 17)
    assert spikes_BTCHW[0, 0, 1, 2, 1] == expected
    assert spikes_BTCHW[0, 0, 1, 2, 2] == 1


@settings(max_examples=30, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.integers(0, 33), st.integers(0, 33), st.integers(0, 400_000), st.integers(0, 1)
        ),
        min_size=1,
        max_size=40,
    ),
    st.integers(1, 20),
    st.integers(1, 5),
)
def test_counts_agree_with_a_loop(rows: list[Row], steps: int, factor: int) -> None:
    settings_ = data(mode="count", steps=steps, downsample=factor)
    spikes_TCHW = bin_events([recording(rows)], settings_)[0]
    expected_TCHW = np.zeros_like(spikes_TCHW)
    for x, y, time, on in rows:
        if time < 315_000:
            expected_TCHW[time * steps // 315_000, on, y // factor, x // factor] += 1
    assert np.array_equal(spikes_TCHW, expected_TCHW)
    assert np.array_equal(
        bin_events([recording(rows)], data(steps=steps, downsample=factor))[0], expected_TCHW > 0
    )


def test_many_recordings_are_binned_in_blocks_to_the_same_spikes() -> None:
    generator = np.random.default_rng(0)
    parts = [
        recording([(x, y, 1000 * x, 1) for x, y in generator.integers(0, 34, (5, 2)).tolist()])
        for _ in range(50)
    ]
    many = bin_events(parts, data(steps=1000))
    assert all(
        np.array_equal(many[i], bin_events([part], data(steps=1000))[0])
        for i, part in enumerate(parts)
    )


def test_events_are_sorted_by_time_and_gathered() -> None:
    late_first = recording([(1, 1, 9, 1), (2, 2, 3, 0)])
    assert late_first.time_E.tolist() == [3, 9]
    assert late_first.x_E.tolist() == [2, 1]
    together = gather(
        [late_first, recording([(3, 3, 1, 1)])],
        np.array([0, 1]),
        ("a", "b"),
        (34, 34),
        ("one", "two"),
    )
    assert together.offsets.tolist() == [0, 2, 3]
    assert [len(part) for part in together] == [2, 1]
    assert together[1].x_E.tolist() == [3]


@pytest.mark.parametrize(
    ("row", "says"),
    [
        ((34, 0, 0, 1), "x 34; allowed is 0 to 33"),
        ((0, -1, 0, 1), "y -1; allowed is 0 to 33"),
        ((0, 0, -5, 1), "time in µs -5; allowed is 0 to 1099511627776"),
        ((0, 0, 0, 2), "polarity 2; allowed is 0 to 1"),
    ],
)
def test_a_wrong_event_is_named(row: Row, says: str) -> None:
    with pytest.raises(HardspikeError) as caught:
        recording([(0, 0, 0, 0), row])
    assert str(caught.value) == f"by hand: event 1 has {says}"


def test_a_recording_without_events_is_a_fault() -> None:
    none = np.zeros(0, np.int64)
    with pytest.raises(HardspikeError, match="holds no events"):
        checked(none, none, none, none, sensor=(34, 34), name="by hand")


def test_take_keeps_spikes_labels_and_names_together() -> None:
    spikes_BTCHW = np.arange(3, dtype=np.uint8).reshape(3, 1, 1, 1, 1)
    dataset = Dataset(spikes_BTCHW, np.array([0, 1, 0]), ("a", "b"), ("x", "y", "z"))
    taken = dataset.take(np.array([2, 1]))
    assert taken.spikes_BTCHW.ravel().tolist() == [2, 1]
    assert taken.labels_B.tolist() == [0, 1]
    assert taken.names == ("z", "y")

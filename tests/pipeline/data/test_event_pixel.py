"""The event pixel, by numbers that can be derived by hand."""

import itertools
import math

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.data import event_pixel


def pixel(value: int) -> event_pixel.I16:
    return np.full((1, 1, 1), value, np.int16)


def test_the_table_is_the_logarithm_of_the_mixed_intensity() -> None:
    table = event_pixel.log_table()
    assert len(table) == 4081
    assert table[0] == round(8192 * math.log(0.2))
    assert table[2040] == round(8192 * math.log(0.6))
    assert table[-1] == 0


def test_the_image_follows_the_saccades() -> None:
    assert event_pixel.position(0) == (-128, 192)
    # Halfway between 10 and 80 ms smoothstep is at one half.
    assert event_pixel.position(45_000) == (256, 1024)
    assert event_pixel.position(80_000) == event_pixel.position(114_999) == (640, 1856)
    assert event_pixel.position(290_000) == event_pixel.position(315_000) == (-128, 192)


def test_a_rise_of_three_and_a_half_thresholds_is_three_off_events() -> None:
    reference_BHW = pixel(0)
    events = event_pixel.cross(pixel(350), pixel(0), reference_BHW, pixel(100), start_us=10_000)
    assert events.time_E.tolist() == [10_000 + 2500 * k * 100 // 350 for k in (1, 2, 3)]
    assert events.on_E.tolist() == [0, 0, 0]
    assert reference_BHW.item() == 300


def test_a_fall_is_on_events_and_the_residual_counts() -> None:
    reference_BHW = pixel(60)
    events = event_pixel.cross(pixel(-150), pixel(0), reference_BHW, pixel(100), start_us=0)
    # From 60 the crossings lie at −40 and −140, on a line from 0 to −150.
    assert events.time_E.tolist() == [2500 * 40 // 150, 2500 * 140 // 150]
    assert events.on_E.tolist() == [1, 1]
    assert reference_BHW.item() == -140


def test_less_than_a_threshold_is_no_event() -> None:
    events = event_pixel.cross(pixel(99), pixel(0), pixel(0), pixel(100), start_us=0)
    assert len(events.time_E) == 0


@settings(max_examples=50, deadline=None)
@given(
    st.lists(st.integers(-13185, 0), min_size=2, max_size=8),
    st.integers(1966, 3932),
    st.floats(-0.99, 0.99),
)
def test_events_account_for_every_threshold(path: list[int], threshold: int, part: float) -> None:
    reference_BHW = pixel(path[0] + int(part * threshold))
    start = reference_BHW.item()
    net = 0
    for step, (previous, level) in enumerate(itertools.pairwise(path)):
        begin = step * event_pixel.STEP_US
        events = event_pixel.cross(
            pixel(level), pixel(previous), reference_BHW, pixel(threshold), start_us=begin
        )
        net += int((1 - 2 * events.on_E).sum())
        assert np.all(events.time_E >= begin)
        assert np.all(events.time_E <= begin + event_pixel.STEP_US)
        assert abs(level - reference_BHW.item()) < threshold
    assert start + net * threshold == reference_BHW.item()


def test_on_falls_on_the_trailing_edge_of_a_bright_bar() -> None:
    images_BHW = np.zeros((1, 28, 28), np.uint8)
    images_BHW[:, :, 13:16] = 255
    flat_BHW = np.zeros((1, 34, 34), np.int16)
    events = event_pixel.simulate(images_BHW, flat_BHW + np.int16(2700), flat_BHW)
    leg_E, x_E = events.time_E // event_pixel.LEG_US, events.pixel_E % event_pixel.SIDE
    for leg, direction in enumerate((1, 1, -1)):
        on = x_E[(leg_E == leg) & (events.on_E == 1)].mean()
        off = x_E[(leg_E == leg) & (events.on_E == 0)].mean()
        assert (off - on) * direction > 1


def test_nothing_moves_on_a_black_image() -> None:
    flat_BHW = np.zeros((1, 34, 34), np.int16)
    dark_BHW = np.zeros((1, 28, 28), np.uint8)
    events = event_pixel.simulate(dark_BHW, flat_BHW + np.int16(2700), flat_BHW)
    assert len(events.time_E) == 0

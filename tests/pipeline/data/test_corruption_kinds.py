"""Each kind of corruption: its statistics in its own unit, and what it leaves alone."""

import math
from collections import Counter
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
import tonic.functional
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter

from export.errors import HardspikeError
from pipeline.config_file import load_config
from pipeline.data import event_pixel, saccade
from pipeline.data.corrupted import load_corrupted
from pipeline.data.corruptions import ContrastThreshold, Corruption, corrupted, label
from pipeline.data.event_loss import refractory
from pipeline.data.events import Events
from pipeline.data.settings import DataSettings, Folder, SaccadeMnist
from pipeline.data.sources import load

SMOKE = Path(__file__).resolve().parents[3] / "configs" / "smoke.yaml"
WIDTH, HEIGHT, WINDOW_US = 40, 20, 315_000
DATA = DataSettings(
    source=Folder.model_validate({"kind": "folder", "root": "unread", "sensor": (WIDTH, HEIGHT)})
)
SACCADES = DataSettings(source=SaccadeMnist(train=10, test=50))
SIGMAS = 5
ADAPTER: TypeAdapter[Corruption] = TypeAdapter(Corruption)
# One of every kind but drop and noise, which have a file of their own, and one that is simulated.
DRAWN: tuple[dict[str, Any], ...] = (
    {"kind": "drop_time", "lost_ms": 60.0},
    {"kind": "drop_area", "side_pixels": 7},
    {"kind": "hot_pixels", "share_of_pixels": 0.1, "hz": 50.0},
    {"kind": "time_jitter", "sd_us": 900.0},
    {"kind": "spatial_jitter", "sd_pixels": 1.5},
    {"kind": "polarity_flip", "share": 0.3},
)
FIXED: tuple[dict[str, Any], ...] = (
    {"kind": "time_stretch", "factor": 1.5},
    {"kind": "refractory", "period_us": 5000},
)
Rows = list[tuple[int, int, int, int]]


def rows(recording: Events) -> Rows:
    columns = (recording.x_E, recording.y_E, recording.time_E, recording.on_E)
    return [(int(x), int(y), int(t), int(p)) for x, y, t, p in zip(*columns, strict=True)]


def recording_of(count: int, seed: int = 0, until_us: int = WINDOW_US) -> Events:
    draw = np.random.default_rng(seed).integers
    return Events(
        draw(WIDTH, size=count).astype(np.uint16),
        draw(HEIGHT, size=count).astype(np.uint16),
        draw(2, size=count).astype(np.bool_),
        np.sort(draw(until_us, size=count)),
    )


def at_one_place(x: int, y: int, time_us: int, count: int) -> Events:
    return Events(
        np.full(count, x, np.uint16),
        np.full(count, y, np.uint16),
        np.ones(count, np.bool_),
        np.full(count, time_us, np.int64),
    )


def change(recording: Events, name: str = "a", seed: int = 0, **settings_: Any) -> Events:
    return corrupted(recording, ADAPTER.validate_python(settings_), DATA, seed, name)


def near(found: float, mean: float, spread: float) -> bool:
    return abs(found - mean) < SIGMAS * spread


@pytest.mark.parametrize("lost_ms", [0.001, 40.0, 314.9, 315.0, 9e4])
def test_drop_time_loses_one_interval_of_its_length_and_nothing_else(lost_ms: float) -> None:
    zeros = np.zeros(WINDOW_US + 50, np.uint16)
    every_us = Events(zeros, zeros, zeros.astype(np.bool_), np.arange(WINDOW_US + 50))
    left = change(every_us, kind="drop_time", lost_ms=lost_ms).time_E
    lost = np.setdiff1d(every_us.time_E, left)
    assert len(lost) == min(round(lost_ms * 1000), WINDOW_US)
    assert lost[-1] - lost[0] == len(lost) - 1
    assert lost[-1] < WINDOW_US


def test_the_lost_interval_is_as_likely_at_every_place() -> None:
    ticks = recording_of(2000)
    starts = []
    for name in range(400):
        left = change(ticks, str(name), kind="drop_time", lost_ms=115.0).time_E
        starts.append(np.setdiff1d(ticks.time_E, left)[0])
    # Even over 0 to 200 ms: mean 100 ms, standard deviation 200/√12.
    assert near(float(np.mean(starts)), 100_000, 200_000 / math.sqrt(12 * 400))
    assert min(starts) < 10_000
    assert max(starts) > 190_000


@pytest.mark.parametrize("side", [1, 7, 20, 30, 99])
def test_drop_area_loses_a_square_on_the_sensor(side: int) -> None:
    x, y = (axis.reshape(-1) for axis in np.meshgrid(np.arange(WIDTH), np.arange(HEIGHT)))
    everywhere = Events(
        x.astype(np.uint16), y.astype(np.uint16), np.ones(len(x), np.bool_), np.arange(len(x))
    )
    seen = set()
    for name in "abcdefgh":
        left = change(everywhere, name, kind="drop_area", side_pixels=side)
        lost = {(x, y) for x, y, _, _ in rows(everywhere)} - {(x, y) for x, y, _, _ in rows(left)}
        columns, lines = {x for x, _ in lost}, {y for _, y in lost}
        assert (len(columns), len(lines)) == (min(side, WIDTH), min(side, HEIGHT))
        assert len(lost) == len(columns) * len(lines)
        assert max(columns) - min(columns) == len(columns) - 1
        seen.add(min(lost))
    assert len(seen) > 1 or side >= WIDTH


def test_the_lost_square_reaches_every_corner() -> None:
    """Of 22 × 2 places one holds a corner: 400 squares miss none but once in 2,000 times."""
    x, y = np.array([0, WIDTH - 1, 0, WIDTH - 1]), np.array([0, 0, HEIGHT - 1, HEIGHT - 1])
    corners = Events(x.astype(np.uint16), y.astype(np.uint16), np.ones(4, np.bool_), np.arange(4))
    left = [
        set(rows(change(corners, str(name), kind="drop_area", side_pixels=19)))
        for name in range(400)
    ]
    assert set.union(*(set(rows(corners)) - some for some in left)) == set(rows(corners))


def test_hot_pixels_are_a_share_of_pixels_that_fire_at_their_rate() -> None:
    hot, events = [], 0
    for name in range(60):
        noise = change(
            recording_of(0), str(name), kind="hot_pixels", share_of_pixels=0.05, hz=400.0
        )
        pixels = set(zip(noise.x_E.tolist(), noise.y_E.tolist(), strict=True))
        hot.append(len(pixels))
        events += len(noise)
        assert len(noise) == 0 or noise.time_E.max() < WINDOW_US
        assert np.all(np.diff(noise.time_E) >= 0)
    pixels_all, mean = WIDTH * HEIGHT * 60, 400 * 0.315
    # A pixel without an event in 315 ms at 400 Hz does not occur: e^−126.
    assert near(sum(hot), 0.05 * pixels_all, math.sqrt(pixels_all * 0.05 * 0.95))
    assert near(events, sum(hot) * mean, math.sqrt(sum(hot) * mean))
    assert 0.48 < float(noise.on_E.mean()) < 0.52


def test_time_jitter_has_its_standard_deviation_in_us_and_no_bias() -> None:
    moved = change(at_one_place(3, 4, 100_000, 40_000), kind="time_jitter", sd_us=5000.0)
    error = moved.time_E - 100_000.0
    assert len(moved) == 40_000
    assert near(float(error.mean()), 0, 5000 / math.sqrt(40_000))
    assert near(float(error.std()), 5000, 5000 / math.sqrt(80_000))
    early = change(at_one_place(3, 4, 0, 10_000), kind="time_jitter", sd_us=5000.0)
    assert near(len(early), 5000, 50)
    assert early.time_E.min() >= 0


def test_spatial_jitter_has_its_standard_deviation_in_pixels_and_no_bias() -> None:
    moved = change(at_one_place(20, 10, 5, 40_000), kind="spatial_jitter", sd_pixels=1.5)
    assert len(moved) == 40_000
    # Rounding to a pixel adds a variance of 1/12 (Sheppard).
    spread = math.sqrt(1.5**2 + 1 / 12)
    for error in (moved.x_E - 20.0, moved.y_E - 10.0):
        assert near(float(error.mean()), 0, spread / 200)
        assert near(float(error.std()), spread, spread / math.sqrt(80_000))
    corner = change(at_one_place(0, HEIGHT - 1, 5, 10_000), kind="spatial_jitter", sd_pixels=50.0)
    assert 0 < len(corner) < 10_000
    assert corner.x_E.max() < WIDTH
    assert corner.y_E.max() < HEIGHT


def test_polarity_flip_turns_a_share_of_single_events() -> None:
    before = recording_of(40_000)
    after = change(before, kind="polarity_flip", share=0.3)
    flipped = before.on_E != after.on_E
    assert near(int(flipped.sum()), 12_000, math.sqrt(40_000 * 0.3 * 0.7))
    assert [row[:3] for row in rows(before)] == [row[:3] for row in rows(after)]


@pytest.mark.parametrize("factor", [0.1, 0.7, 1.0, 1.25, 3.0])
def test_time_stretch_is_tonics_time_skew(factor: float) -> None:
    before = recording_of(500)
    columns = np.zeros(500, [("x", "i8"), ("y", "i8"), ("t", "i8"), ("p", "i8")])
    columns["t"] = before.time_E
    skewed = tonic.functional.time_skew_numpy(columns, factor)
    assert np.array_equal(change(before, kind="time_stretch", factor=factor).time_E, skewed["t"])


def plain_refractory(recording: Events, period_us: int) -> Rows:
    last: dict[tuple[int, int], int] = {}
    left = []
    for x, y, t, p in rows(recording):
        if (x, y) not in last or t - last[x, y] >= period_us:
            last[x, y] = t
            left.append((x, y, t, p))
    return left


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 300), st.integers(0, 2**32 - 1), st.integers(0, 300), st.integers(1, 400))
def test_refractory_is_a_walk_through_the_events(
    count: int, seed: int, period_us: int, until_us: int
) -> None:
    crowded = recording_of(count, seed, until_us)
    few = Events(crowded.x_E % 3, crowded.y_E % 2, crowded.on_E, crowded.time_E)
    assert rows(refractory(few, period_us)) == plain_refractory(few, period_us)


def test_a_lost_event_starts_no_period() -> None:
    """Events 6 µs apart under 10 µs: every other one stays. tonic's transform keeps one."""
    train = Events(
        np.zeros(9, np.uint16), np.zeros(9, np.uint16), np.ones(9, np.bool_), np.arange(9) * 6
    )
    assert refractory(train, 10).time_E.tolist() == [0, 12, 24, 36, 48]


@cache
def digits(shift: float) -> tuple[Events, ...]:
    recordings = load(SACCADES.source, "test", limit=20)
    names = recordings.names
    asked = ContrastThreshold(kind="contrast_threshold", shift_ln=shift)
    return tuple(
        corrupted(part, asked, SACCADES, 0, name)
        for part, name in zip(recordings, names, strict=True)
    )


def test_no_shift_of_the_contrast_threshold_is_the_recording_itself() -> None:
    for again, before in zip(digits(0.0), load(SACCADES.source, "test", limit=20), strict=True):
        assert rows(again) == rows(before)


def test_a_higher_contrast_threshold_has_fewer_events_by_its_ratio() -> None:
    """A pixel that sees a change of d answers with about |d|/θ events."""
    counts = [sum(map(len, digits(shift))) for shift in (-0.1, 0.0, 0.1, 0.3)]
    assert counts == sorted(counts, reverse=True)
    noise = 20 * saccade.NOISE_HZ * 34 * 34 * 0.315
    ratio = (counts[0] - noise) / (counts[1] - noise)
    assert ratio == pytest.approx(0.33 / 0.23, rel=0.15)


def test_the_shift_is_in_natural_logarithms_and_added_after_the_range() -> None:
    normals = np.array([-9.0, 0.0, 9.0])
    usual = event_pixel.threshold_units(normals)
    shifted = event_pixel.threshold_units(normals, 0.25)
    assert usual.tolist() == [round(value * 8192) for value in (0.21, 0.33, 0.45)]
    assert shifted.tolist() == [round(value * 8192) for value in (0.46, 0.58, 0.70)]


def test_a_block_of_recordings_anew_is_each_alone() -> None:
    asked = ContrastThreshold(kind="contrast_threshold", shift_ln=0.2)
    data = SACCADES.model_copy(update={"limit_test": 12})
    whole, part = (
        load_corrupted(settings_, "test", asked, 3)
        for settings_ in (SACCADES, data)
    )  # fmt: skip
    index_B = np.array([whole.names.index(name) for name in part.names])
    assert np.array_equal(part.spikes_BTCHW, whole.take(index_B).spikes_BTCHW)


def test_another_source_cannot_be_recorded_anew() -> None:
    with pytest.raises(HardspikeError, match="found source folder, whose recordings are made"):
        change(recording_of(1), kind="contrast_threshold", shift_ln=0.1)
    asked = ContrastThreshold(kind="contrast_threshold", shift_ln=0.1)
    with pytest.raises(HardspikeError, match="found source folder"):
        load_corrupted(DATA, "test", asked, 0)
    overrides = [
        "data.source={kind: nmnist, root: here}",
        "evaluate.corruptions=[{kind: contrast_threshold, shift_ln: 0.1}]",
    ]
    with pytest.raises(HardspikeError, match="found source nmnist"):
        load_config(SMOKE, overrides)


@pytest.mark.parametrize("asked", [*DRAWN, *FIXED], ids=lambda asked: str(asked["kind"]))
def test_a_corruption_keeps_order_types_sensor_and_its_own_numbers(asked: dict[str, Any]) -> None:
    before = recording_of(3000, until_us=2 * WINDOW_US)
    copies = {name: column.copy() for name, column in vars(before).items()}
    after = change(before, **asked)
    for name, column in vars(after).items():
        assert column.dtype == vars(before)[name].dtype
        assert np.array_equal(vars(before)[name], copies[name]), (
            "the recording itself is left alone"
        )
    assert np.all(np.diff(after.time_E) >= 0)
    assert after.x_E.max() < WIDTH
    assert after.y_E.max() < HEIGHT
    assert rows(change(before, **asked)) == rows(after)
    others = [rows(change(before, name="b", **asked)), rows(change(before, seed=1, **asked))]
    assert all((other != rows(after)) == (asked in DRAWN) for other in others)
    assert len(change(recording_of(0), **asked)) == 0 or asked["kind"] == "hot_pixels"


@pytest.mark.parametrize(
    ("less", "more"),
    [
        ({"kind": "drop_time", "lost_ms": 20.0}, {"lost_ms": 120.0}),
        ({"kind": "drop_area", "side_pixels": 3}, {"side_pixels": 8}),
    ],
    ids=["time", "area"],
)
def test_a_severer_loss_takes_what_a_milder_one_does(
    less: dict[str, Any], more: dict[str, Any]
) -> None:
    before = recording_of(5000)
    for name in "abcdefghij":
        mild, severe = (change(before, name, **asked) for asked in (less, less | more))
        assert Counter(rows(severe)) < Counter(rows(mild))


@pytest.mark.parametrize(
    "asked",
    [
        {"kind": "drop_time", "lost_ms": 0.0},
        {"kind": "drop_area", "side_pixels": 0},
        {"kind": "hot_pixels", "share_of_pixels": 0.0, "hz": 9.0},
        {"kind": "hot_pixels", "share_of_pixels": 1.0, "hz": 0.0},
        {"kind": "time_jitter", "sd_us": 0.0},
        {"kind": "spatial_jitter", "sd_pixels": 0.0},
        {"kind": "polarity_flip", "share": 0.0},
        {"kind": "time_stretch", "factor": 1.0},
        {"kind": "refractory", "period_us": 0},
    ],
    ids=lambda asked: str(asked["kind"]),
)
def test_the_least_of_a_corruption_is_none(asked: dict[str, Any]) -> None:
    before = recording_of(400, until_us=2 * WINDOW_US)
    assert rows(change(before, **asked)) == rows(before)


def test_the_numbers_stay_what_they_were() -> None:
    """Another stream of random numbers, by us or by NumPy, would change figures in silence."""
    found = {asked["kind"]: digest(change(recording_of(1000), **asked)) for asked in DRAWN}
    assert found == EXPECTED


def digest(recording: Events) -> tuple[int, int]:
    weights: npt.NDArray[np.int64] = np.arange(len(recording)) % 97
    x, y, t, p = (vars(recording)[key].astype(np.int64) for key in ("x_E", "y_E", "time_E", "on_E"))
    return len(recording), int((weights * (x + 50 * y + 3 * t + p)).sum() % 1_000_003)


EXPECTED = {
    "drop_time": (799, 581_296),
    "drop_area": (946, 800_677),
    "hot_pixels": (2286, 27_557),
    "time_jitter": (999, 279_072),
    "spatial_jitter": (912, 547_938),
    "polarity_flip": (1000, 973_951),
}


def test_labels_say_kind_severity_and_unit() -> None:
    found = [label(ADAPTER.validate_python(asked)) for asked in (*DRAWN, *FIXED)]
    assert found == [
        "drop time 60 ms",
        "drop area 7 px",
        "hot pixels 10% at 50 Hz",
        "time jitter 900 µs",
        "spatial jitter 1.5 px",
        "polarity flip 30%",
        "time stretch ×1.5",
        "refractory 5000 µs",
    ]
    assert label(ContrastThreshold(kind="contrast_threshold", shift_ln=0.2)) == (
        "contrast threshold +0.2 ln"
    )


@pytest.mark.parametrize(
    ("value", "parts"),
    [
        ("{kind: drop_time, lost_ms: -1}", ["0.lost_ms", "-1", "greater than or equal to 0"]),
        ("{kind: drop_area, side_pixels: 2.5}", ["0.side_pixels", "2.5", "integer"]),
        ("{kind: hot_pixels, share_of_pixels: 0.1}", ["0.hz", "this key is needed"]),
        ("{kind: time_stretch, factor: 0}", ["0.factor", "found 0", "0.1"]),
        ("{kind: contrast_threshold, shift_ln: 2}", ["0.shift_ln", "less than or equal to 1"]),
        ("{kind: refractory, us: 2}", ["0.us", "unknown key", "period_us"]),
    ],
)
def test_a_fault_is_a_line_with_path_found_and_allowed(value: str, parts: list[str]) -> None:
    with pytest.raises(HardspikeError) as caught:
        load_config(SMOKE, [f"evaluate.corruptions=[{value}]"])
    lines = str(caught.value).splitlines()
    assert any(all(part in line for part in parts) for line in lines), lines

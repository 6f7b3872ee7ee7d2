"""Sources: the real recordings, small trees, and folders that are not as they should be."""

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest

from export.errors import HardspikeError
from pipeline.data.events import bin_events
from pipeline.data.settings import Binning, DataSettings, DVSGesture, Folder, NMnist
from pipeline.data.sources import load, load_dataset

Event = tuple[int, int, int, int]
WriteEvents = Callable[[Path, Sequence[Event]], Path]


@pytest.fixture
def tree(tmp_path: Path, write_events: WriteEvents) -> Path:
    """Three recordings a class in training and one in test; the x of the one event tells which."""
    for label in ("2", "10", "1"):
        for i in range(3):
            write_events(tmp_path / "Train" / label / f"{i}.bin", [(i, int(label), 100, 1)])
        write_events(tmp_path / "Test" / label / "0.bin", [(9, int(label), 100, 0)])
    return tmp_path


def folder(root: Path, **others: object) -> Folder:
    return Folder.model_validate({"kind": "folder", "root": str(root), **others})


def test_nmnist_1k_has_the_figures_of_its_description(shared_data: Path) -> None:
    source = folder(shared_data / "nmnist-1k")
    train, test = load(source, "train"), load(source, "test")
    assert (len(train), len(test)) == (800, 200)
    assert train.classes == tuple("0123456789")
    counts = np.concatenate([np.diff(train.offsets), np.diff(test.offsets)])
    assert counts.mean() == pytest.approx(4133, abs=0.5)
    assert (counts.min(), counts.max()) == (1112, 7152)
    assert np.concatenate([train.on_E, test.on_E]).mean() == pytest.approx(0.50, abs=0.005)


def test_nmnist_1k_in_five_folds(shared_data: Path) -> None:
    names = set()
    for fold in range(5):
        source = folder(shared_data / "nmnist-1k", folds=5, fold=fold)
        dataset = load_dataset(DataSettings(source=source), "test")
        assert dataset.spikes_BTCHW.shape == (200, 10, 2, 34, 34)
        names |= set(dataset.names)
    assert len(names) == 1000


def test_gesture_clips_are_read_and_need_a_longer_window(shared_data: Path, tmp_path: Path) -> None:
    for split, number in (("Train", 1), ("Train", 2), ("Test", 1)):
        target = tmp_path / split / f"gesture {number}" / f"{number}.bs2"
        target.parent.mkdir(parents=True)
        target.symlink_to(shared_data / "gesture-clips" / f"{number}.bs2")
    source = folder(tmp_path, sensor=(128, 128))
    recordings = load(source, "train")
    assert recordings.classes == ("gesture 1", "gesture 2")
    assert np.all(np.diff(recordings.offsets) > 60_000)
    assert recordings.time_E.max() / 1000 == pytest.approx(1450, abs=5)
    settings = DataSettings(source=source, binning=Binning(duration_ms=1450.0, downsample=4))
    assert load_dataset(settings, "test").spikes_BTCHW.shape == (1, 10, 2, 32, 32)
    with pytest.raises(HardspikeError, match=r"duration_ms: is not set"):
        load_dataset(DataSettings(source=source), "test")


def test_numeric_labels_sort_by_number_and_files_by_name(tree: Path) -> None:
    recordings = load(folder(tree), "train")
    assert recordings.classes == ("1", "2", "10")
    assert recordings.labels_B.tolist() == [0, 0, 0, 1, 1, 1, 2, 2, 2]
    assert recordings.x_E.tolist() == [0, 1, 2] * 3
    assert recordings.names[:2] == ("Train/1/0.bin", "Train/1/1.bin")


def test_other_labels_sort_by_letter(tmp_path: Path, write_events: WriteEvents) -> None:
    for label in ("wave", "10", "clap"):
        write_events(tmp_path / "Train" / label / "a.bin", [(0, 0, 0, 1)])
    assert load(folder(tmp_path), "train").classes == ("10", "clap", "wave")


def test_folds_pool_both_splits_and_each_is_tested_once(tree: Path) -> None:
    tested: list[str] = []
    for fold in range(4):
        source = folder(tree, folds=4, fold=fold)
        train, test = load(source, "train"), load(source, "test")
        assert (len(train), len(test)) == (9, 3)
        assert sorted(test.labels_B) == [0, 1, 2]
        assert not set(train.names) & set(test.names)
        tested += test.names
    assert len(set(tested)) == 12


def test_a_limit_keeps_the_proportions_and_progress_reaches_it(tree: Path) -> None:
    seen: list[tuple[int, int]] = []
    settings = DataSettings(source=folder(tree), limit_train=6)
    dataset = load_dataset(settings, "train", lambda done, total: seen.append((done, total)))
    assert np.bincount(dataset.labels_B).tolist() == [2, 2, 2]
    assert seen[-1] == (6, 6)


def test_a_dataset_is_its_recordings_binned(tree: Path) -> None:
    settings = DataSettings(source=folder(tree))
    recordings, dataset = load(settings.source, "train"), load_dataset(settings, "train")
    assert np.array_equal(dataset.spikes_BTCHW, bin_events(list(recordings), settings))
    assert dataset.classes == recordings.classes
    assert dataset.names == recordings.names


def test_the_default_source_is_stratified() -> None:
    settings = DataSettings.model_validate_json(
        '{"source": {"kind": "saccade-mnist", "train": 100, "test": 50}}'
    )
    train, test = load_dataset(settings, "train"), load_dataset(settings, "test")
    assert np.bincount(train.labels_B).tolist() == [10] * 10
    assert np.bincount(test.labels_B).tolist() == [5] * 10
    assert not set(train.names) & set(test.names)
    assert 0.02 < train.spikes_BTCHW.mean() < 0.15


def test_missing_folders_are_named(tmp_path: Path) -> None:
    with pytest.raises(HardspikeError, match=r"Train: is missing or not a folder"):
        load(folder(tmp_path / "absent"), "train")
    (tmp_path / "Train").mkdir()
    with pytest.raises(HardspikeError, match=r"Train: has no label folders"):
        load(folder(tmp_path), "train")


def test_a_missing_test_split_is_named_and_folds_do_without(
    tmp_path: Path, write_events: WriteEvents
) -> None:
    for i in range(4):
        write_events(tmp_path / "Train" / "a" / f"{i}.bin", [(0, 0, 0, 1)])
    with pytest.raises(HardspikeError, match=r"Test: is missing or not a folder"):
        load(folder(tmp_path), "test")
    assert len(load(folder(tmp_path, folds=2), "test")) == 2
    with pytest.raises(HardspikeError, match="holds 4 recordings; 5 folds"):
        load(folder(tmp_path, folds=5), "test")


def test_what_does_not_belong_is_named(tree: Path, write_events: WriteEvents) -> None:
    (tree / "Train" / "1" / ".hidden").touch()
    assert len(load(folder(tree), "train")) == 9
    write_events(tree / "Test" / "7" / "0.bin", [(0, 0, 0, 1)])
    with pytest.raises(HardspikeError, match=r"label folders 7, which .* allowed are 1, 2, 10"):
        load(folder(tree), "test")
    (tree / "Train" / "1" / "notes.txt").touch()
    with pytest.raises(HardspikeError, match=r"notes\.txt: is not a recording; allowed"):
        load(folder(tree), "train")
    (tree / "Train" / "1" / "notes.txt").unlink()
    (tree / "Train" / "99").mkdir()
    with pytest.raises(HardspikeError, match=r"99: holds no recordings"):
        load(folder(tree), "train")


def test_nmnist_by_tonic(tmp_path: Path, write_events: WriteEvents) -> None:
    base = tmp_path / "NMNIST"
    write_events(base / "Train" / "3" / "00002.bin", [(33, 1, 5, 1), (2, 3, 9, 0)])
    write_events(base / "Train" / "0" / "00001.bin", [(7, 8, 1, 0)])
    write_events(base / "Test" / "9" / "00003.bin", [(4, 5, 6, 1)])
    source = NMnist(kind="nmnist", root=str(tmp_path))
    recordings = load(source, "train")
    assert recordings.names == ("NMNIST/Train/0/00001.bin", "NMNIST/Train/3/00002.bin")
    assert recordings.labels_B.tolist() == [0, 3]
    assert recordings.classes == tuple("0123456789")
    assert recordings.time_E.tolist() == [1, 5, 9]
    assert recordings.on_E.tolist() == [False, True, False]
    assert load(source, "test").labels_B.tolist() == [9]
    (base / "Test" / "9" / "00003.bin").write_bytes(bytes(7))
    with pytest.raises(HardspikeError, match=r"00003\.bin: has 7 bytes"):
        load(source, "test")


def test_gesture_by_tonic_is_sorted_and_in_microseconds(tmp_path: Path) -> None:
    user = tmp_path / "DVSGesture" / "ibmGestureTrain" / "user01_fluorescent"
    user.mkdir(parents=True)
    np.save(user / "10.npy", np.array([[1, 2, 1, 30], [127, 4, 0, 20]], np.float64))
    np.save(user / "0.npy", np.array([[5, 6, 1, 7]], np.float64))
    source = DVSGesture(kind="dvsgesture", root=str(tmp_path))
    recordings = load(source, "train")
    assert recordings.labels_B.tolist() == [0, 10]
    assert len(recordings.classes) == 11
    assert recordings.time_E.tolist() == [7_000, 20_000, 30_000]
    assert recordings.x_E.tolist() == [5, 127, 1]
    assert recordings.on_E.tolist() == [True, False, True]
    (user / "0.npy").write_bytes(b"no array")
    with pytest.raises(HardspikeError, match=r"0\.npy: starts with"):
        load(source, "train")


@pytest.mark.parametrize("kind", ["nmnist", "dvsgesture"])
def test_absent_data_is_one_line_and_no_download(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import tonic.dataset

    monkeypatch.setattr(tonic.dataset.Dataset, "download", lambda self: pytest.fail("download"))
    source = (
        NMnist(kind="nmnist", root=str(tmp_path))
        if kind == "nmnist"
        else DVSGesture(kind="dvsgesture", root=str(tmp_path))
    )
    with pytest.raises(HardspikeError, match=r"is missing; with the root .* expected is <root>/"):
        load(source, "train")


def test_names_that_tonic_cannot_read_are_one_line(tmp_path: Path) -> None:
    user = tmp_path / "DVSGesture" / "ibmGestureTest" / "somebody"
    user.mkdir(parents=True)
    np.save(user / "0.npy", np.zeros((1, 4)))
    with pytest.raises(HardspikeError, match="has names that tonic's DVSGesture cannot read"):
        load(DVSGesture(kind="dvsgesture", root=str(tmp_path)), "test")

"""From the settings of a source to its recordings, and to binned spikes.

Axes: B recording of a split, N chosen recording.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Literal, assert_never

import numpy as np

from export.errors import HardspikeError
from pipeline.data import saccade
from pipeline.data.events import (
    I64,
    Dataset,
    Events,
    Progress,
    Recordings,
    bin_events,
    gather,
)
from pipeline.data.files import SUFFIXES, read_file
from pipeline.data.paths import expanded
from pipeline.data.settings import (
    DIGIT_CLASSES,
    DataSettings,
    DVSGesture,
    Folder,
    NMnist,
    NoRecordings,
    SaccadeMnist,
    Source,
    duration_us,
    sensor_of,
    shape_TCHW,
)
from pipeline.data.splits import fold_split, limited
from pipeline.data.tonic_sources import open_gesture, open_nmnist

Split = Literal["train", "test"]
Reader = Callable[[Sequence[int], Progress | None], list[Events]]

# Recordings are read and binned so many at a time, which bounds the memory for events.
_BLOCK = 500
_FOLDERS: dict[Split, str] = {"train": "Train", "test": "Test"}


@dataclass(frozen=True)
class Listing:
    """A split before its recordings are read; `read` takes positions in it."""

    names: tuple[str, ...]
    labels_B: I64
    classes: tuple[str, ...]
    read: Reader

    def __len__(self) -> int:
        return len(self.names)

    def take(self, index_N: I64) -> "Listing":
        """Return the part at `index_N`."""
        names = tuple(self.names[i] for i in index_N)

        def read(positions: Sequence[int], progress: Progress | None) -> list[Events]:
            return self.read([int(index_N[i]) for i in positions], progress)

        return Listing(names, self.labels_B[index_N], self.classes, read)


def listing(source: Source, split: Split, limit: int | None = None) -> Listing:
    """Return what a split of a source holds, in an order that depends on names alone.

    Raises:
        HardspikeError: a folder is missing, or holds what does not belong there.
    """
    match source:
        case SaccadeMnist():
            found = _saccade_listing(source, split)
        case NMnist() | DVSGesture():
            found = _tonic_listing(source, split)
        case Folder(folds=None):
            found = _folder_listing(source, split)
        case Folder():
            found = _fold_listing(source, split)
        case NoRecordings():
            raise HardspikeError(
                "data.source: found kind none, which has no recordings; "
                "`hardspike import FILE --data CONFIG.yaml` takes those of an experiment"
            )
        case _:
            assert_never(source)
    return found.take(limited(found.labels_B, limit))


def load(
    source: Source, split: Split, progress: Progress | None = None, limit: int | None = None
) -> Recordings:
    """Read a split's recordings; all of their events are held in memory.

    Raises:
        HardspikeError: a file or folder is missing or not what it should be.
    """
    found = listing(source, split, limit)
    parts = found.read(range(len(found)), progress)
    return gather(parts, found.labels_B, found.classes, sensor_of(source), found.names)


def load_dataset(settings: DataSettings, split: Split, progress: Progress | None = None) -> Dataset:
    """Read a split and bin it, block by block.

    Raises:
        HardspikeError: as `load`; or the source's own window holds under half of the events.
    """
    limit = settings.limit_train if split == "train" else settings.limit_test
    found = listing(settings.source, split, limit)
    spikes_BTCHW = np.empty((len(found), *shape_TCHW(settings)), np.uint8)
    inside = total = 0
    for start in range(0, len(found), _BLOCK):
        positions = range(start, min(start + _BLOCK, len(found)))
        parts = found.read(positions, _shifted(progress, start, len(found)))
        spikes_BTCHW[start : positions.stop] = bin_events(parts, settings)
        inside += sum(int(np.searchsorted(p.time_E, duration_us(settings))) for p in parts)
        total += sum(len(part) for part in parts)
    if settings.binning.duration_ms is None and 2 * inside < total:
        raise HardspikeError(
            f"data.binning.duration_ms: is not set, and {inside} of {total} events ({split}) lie "
            f"in this source's window of {duration_us(settings) / 1000:g} ms; set it to the "
            "length of the recordings in ms"
        )
    return Dataset(spikes_BTCHW, found.labels_B, found.classes, found.names)


def _shifted(progress: Progress | None, start: int, total: int) -> Progress | None:
    if progress is None:
        return None
    report = progress
    return lambda done, _: report(start + done, total)


def _one_by_one(
    read: Callable[[int], Events], positions: Sequence[int], progress: Progress | None
) -> list[Events]:
    parts = []
    for position in positions:
        parts.append(read(position))
        if progress:
            progress(len(parts), len(positions))
    return parts


def _saccade_listing(source: SaccadeMnist, split: Split) -> Listing:
    digit_B = saccade.split_digits(source.train, source.test, split)
    names = tuple(saccade.name_of(digit) for digit in digit_B)
    classes = tuple(str(digit) for digit in range(DIGIT_CLASSES))

    def read(positions: Sequence[int], progress: Progress | None) -> list[Events]:
        return saccade.read([int(digit_B[i]) for i in positions], source.seed, progress)

    return Listing(names, saccade.digits()[1][digit_B], classes, read)


def _tonic_listing(source: NMnist | DVSGesture, split: Split) -> Listing:
    opened = open_nmnist if isinstance(source, NMnist) else open_gesture
    names, labels_B, classes, read = opened(expanded(source.root), split == "train")
    return Listing(names, labels_B, classes, partial(_one_by_one, read))


def _folder_listing(source: Folder, split: Split) -> Listing:
    paths, labels, classes = _list_tree(source, split)
    return _of_paths(source, paths, np.array(labels, np.int64), classes)


def _fold_listing(source: Folder, split: Split) -> Listing:
    """Pool both splits (the test split may be missing) and deal them again."""
    assert source.folds is not None
    root = expanded(source.root)
    paths, labels, classes = _list_tree(source, "train")
    if (root / _FOLDERS["test"]).is_dir():
        test_paths, test_labels, _ = _list_tree(source, "test")
        paths, labels = paths + test_paths, labels + test_labels
    if len(labels) < source.folds:
        raise HardspikeError(
            f"{root}: holds {len(labels)} recordings; {source.folds} folds need one or more each"
        )
    labels_B = np.array(labels, np.int64)
    outside_N, inside_N = fold_split(labels_B, source.folds, source.fold, source.fold_seed)
    pooled = _of_paths(source, paths, labels_B, classes)
    return pooled.take(outside_N if split == "train" else inside_N)


def _labels(folder: Path) -> tuple[str, ...]:
    """Return the label folders' names: by number where all are numbers, else by letter."""
    if not folder.is_dir():
        raise HardspikeError(
            f"{folder}: is missing or not a folder; expected is <root>/{{Train,Test}}/<label>/*"
        )
    labels = [p.name for p in folder.iterdir() if p.is_dir() and not p.name.startswith(".")]
    if not labels:
        raise HardspikeError(
            f"{folder}: has no label folders; expected is one a class, {folder}/<label>/*"
        )
    numeric = all(label.isdecimal() for label in labels)
    return tuple(sorted(labels, key=lambda label: (int(label) if numeric else 0, label)))


def _list_tree(source: Folder, split: Split) -> tuple[list[Path], list[int], tuple[str, ...]]:
    """Return a split's paths and labels, and the classes, which are the training split's."""
    root = expanded(source.root)
    folder = root / _FOLDERS[split]
    classes = _labels(root / _FOLDERS["train"])
    present = _labels(folder)
    unknown = [label for label in present if label not in classes]
    if unknown:
        raise HardspikeError(
            f"{folder}: has the label folders {', '.join(unknown)}, which the training split "
            f"lacks; allowed are {', '.join(classes)}"
        )
    paths: list[Path] = []
    labels: list[int] = []
    for label in present:
        inside = _recordings(folder / label)
        paths += inside
        labels += [classes.index(label)] * len(inside)
    return paths, labels, classes


def _recordings(folder: Path) -> list[Path]:
    paths = sorted(path for path in folder.iterdir() if not path.name.startswith("."))
    allowed = f"allowed are files of {', '.join(SUFFIXES)}"
    if not paths:
        raise HardspikeError(f"{folder}: holds no recordings; {allowed}")
    for path in paths:
        if path.suffix not in SUFFIXES or path.is_dir():
            raise HardspikeError(f"{path}: is not a recording; {allowed}")
    return paths


def _of_paths(
    source: Folder, paths: list[Path], labels_B: I64, classes: tuple[str, ...]
) -> Listing:
    root = expanded(source.root)

    def read(position: int) -> Events:
        return read_file(paths[position], source.sensor)

    names = tuple(path.relative_to(root).as_posix() for path in paths)
    return Listing(names, labels_B, classes, partial(_one_by_one, read))

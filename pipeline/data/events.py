"""Events and spike tensors.

Axes: B recording, E event (all recordings one after the other), T time step,
C polarity (0 OFF, 1 ON, N-MNIST's bit), H row, W column. Times are µs from the recording's start.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from export.errors import HardspikeError
from pipeline.data.settings import DataSettings, duration_us, shape_TCHW

U8 = npt.NDArray[np.uint8]
U16 = npt.NDArray[np.uint16]
I64 = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]
Progress = Callable[[int, int], None]

COUNT_MAX = 255
# 12 days. Times since 1970 lie far above; times this long by a million steps fit 64 bits.
_TIME_MAX = 1 << 40
# Bounds the index and count arrays of one product to some 100 MB.
_MAX_CELLS = 1 << 23


@dataclass(frozen=True)
class Events:
    """One recording in the order of its times."""

    x_E: U16
    y_E: U16
    on_E: Bools
    time_E: I64

    def __len__(self) -> int:
        return len(self.time_E)


@dataclass(frozen=True)
class Recordings:
    """Many recordings: flat arrays; recording b is events offsets[b] to offsets[b + 1]."""

    x_E: U16
    y_E: U16
    on_E: Bools
    time_E: I64
    offsets: I64
    labels_B: I64
    classes: tuple[str, ...]
    sensor: tuple[int, int]
    names: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.labels_B)

    def __getitem__(self, index: int) -> Events:
        part = slice(self.offsets[index], self.offsets[index + 1])
        return Events(self.x_E[part], self.y_E[part], self.on_E[part], self.time_E[part])

    def __iter__(self) -> Iterator[Events]:
        return (self[index] for index in range(len(self)))


@dataclass(frozen=True)
class Dataset:
    """A split as a network reads it. Spikes are 0 or 1, or counts up to 255."""

    spikes_BTCHW: U8
    labels_B: I64
    classes: tuple[str, ...]
    names: tuple[str, ...]

    def __len__(self) -> int:
        return len(self.labels_B)

    def take(self, index_B: I64) -> "Dataset":
        """Return the recordings at `index_B`, in that order."""
        names = tuple(self.names[i] for i in index_B)
        return Dataset(self.spikes_BTCHW[index_B], self.labels_B[index_B], self.classes, names)


def checked(
    x_E: npt.NDArray[Any],
    y_E: npt.NDArray[Any],
    on_E: npt.NDArray[Any],
    time_E: npt.NDArray[Any],
    *,
    sensor: tuple[int, int],
    name: str,
) -> Events:
    """Build a recording from what a file holds; events out of order are sorted by time.

    Raises:
        HardspikeError: no events, or an event outside the sensor, before time zero or with a
            polarity other than 0 and 1. The line names `name`.
    """
    if len(time_E) == 0:
        raise HardspikeError(f"{name}: holds no events; a recording has at least one")
    _within(x_E, sensor[0] - 1, name, "x")
    _within(y_E, sensor[1] - 1, name, "y")
    _within(on_E, 1, name, "polarity")
    _within(time_E, _TIME_MAX, name, "time in µs")
    time = time_E.astype(np.int64)
    order: Any = slice(None)
    if np.any(time[1:] < time[:-1]):
        order = np.argsort(time, kind="stable")
    return Events(
        x_E[order].astype(np.uint16),
        y_E[order].astype(np.uint16),
        on_E[order].astype(np.bool_),
        time[order],
    )


def _within(values_E: npt.NDArray[Any], highest: int, name: str, field: str) -> None:
    inside = (values_E >= 0) & (values_E <= highest)
    if not np.all(inside):
        first = int(np.argmin(inside))
        raise HardspikeError(
            f"{name}: event {first} has {field} {values_E[first]}; allowed is 0 to {highest}"
        )


def gather(
    parts: Sequence[Events],
    labels_B: I64,
    classes: tuple[str, ...],
    sensor: tuple[int, int],
    names: tuple[str, ...],
) -> Recordings:
    """Join recordings into flat arrays."""
    offsets = np.concatenate([[0], np.cumsum([len(part) for part in parts], dtype=np.int64)])
    return Recordings(
        np.concatenate([part.x_E for part in parts]),
        np.concatenate([part.y_E for part in parts]),
        np.concatenate([part.on_E for part in parts]),
        np.concatenate([part.time_E for part in parts]),
        offsets.astype(np.int64),
        labels_B,
        classes,
        sensor,
        names,
    )


def bin_events(parts: Sequence[Events], settings: DataSettings) -> U8:
    """Return spikes_BTCHW: step = ⌊time · T / duration⌋; events after the window are left out.

    Expects checked events of the settings' sensor. Binary mode takes the OR over a bin and over
    the pixels that `downsample` joins, count mode the sum, clipped at 255.
    """
    shape = shape_TCHW(settings)
    spikes_BTCHW = np.zeros((len(parts), *shape), np.uint8)
    block = max(1, _MAX_CELLS // int(np.prod(shape)))
    for start in range(0, len(parts), block):
        _bin_block(parts[start : start + block], settings, spikes_BTCHW[start : start + block])
    return spikes_BTCHW


def _bin_block(parts: Sequence[Events], settings: DataSettings, out_BTCHW: U8) -> None:
    _, steps, _, height, width = out_BTCHW.shape
    factor = settings.binning.downsample
    time_E = np.concatenate([part.time_E for part in parts])
    x_E = np.concatenate([part.x_E for part in parts]).astype(np.int64) // factor
    y_E = np.concatenate([part.y_E for part in parts]).astype(np.int64) // factor
    on_E = np.concatenate([part.on_E for part in parts])
    recording_E = np.repeat(np.arange(len(parts)), [len(part) for part in parts])
    step_E = time_E * steps // duration_us(settings)
    cell_E = (((recording_E * steps + step_E) * 2 + on_E) * height + y_E) * width + x_E
    cell_E = cell_E[step_E < steps]
    flat = out_BTCHW.reshape(-1)
    if settings.binning.mode == "binary":
        flat[cell_E] = 1
    else:
        flat[:] = np.minimum(np.bincount(cell_E, minlength=flat.size), COUNT_MAX)

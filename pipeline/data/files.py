"""Recordings in files: N-MNIST's five bytes an event, NumPy arrays, and AEDAT 4.

Axes: E event.
"""

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from export.errors import HardspikeError
from pipeline.data.events import Events, checked

SUFFIXES = (".bin", ".bs2", ".npy", ".aedat4")

_EVENT_BYTES = 5
_OVERFLOW_Y = 240
_OVERFLOW_US = 1 << 13
_FIELDS = ("x", "y", "t", "p")
Array = npt.NDArray[Any]


def read_file(path: Path, sensor: tuple[int, int]) -> Events:
    """Read one recording; its suffix names the format.

    Raises:
        HardspikeError: the suffix is unknown, the file unreadable, truncated or empty, or an
            event lies outside the sensor.
    """
    match path.suffix:
        case ".bin":
            x_E, y_E, time_E, on_E = _without_overflows(*five_bytes(path))
        case ".bs2":
            x_E, y_E, time_E, on_E = five_bytes(path)
        case ".npy":
            x_E, y_E, time_E, on_E = _from_numpy(path)
        case ".aedat4":
            x_E, y_E, time_E, on_E = _from_aedat4(path)
        case _:
            raise HardspikeError(
                f"{path}: has the suffix '{path.suffix}'; allowed are {', '.join(SUFFIXES)}"
            )
    return checked(x_E, y_E, on_E, time_E, sensor=sensor, name=str(path))


def check_five_bytes(path: Path) -> None:
    """Raise HardspikeError unless the file is a whole number of five-byte events, one or more."""
    try:
        size = path.stat().st_size
    except OSError as error:
        raise HardspikeError(f"{path}: cannot be read ({error.strerror})") from error
    if size == 0 or size % _EVENT_BYTES:
        raise HardspikeError(
            f"{path}: has {size} bytes; allowed is a multiple of {_EVENT_BYTES}, five an event"
        )


def five_bytes(path: Path) -> tuple[Array, Array, Array, Array]:
    """Return x, y, time, polarity: a byte x, a byte y, one bit polarity, 23 bits time in µs."""
    check_five_bytes(path)
    try:
        bytes_E5 = np.fromfile(path, np.uint8).reshape(-1, _EVENT_BYTES).astype(np.int64)
    except OSError as error:
        raise HardspikeError(f"{path}: cannot be read ({error.strerror})") from error
    x_E, y_E, high_E, middle_E, low_E = bytes_E5.T
    return x_E, y_E, (high_E & 0x7F) << 16 | middle_E << 8 | low_E, high_E >> 7


def _without_overflows(
    x_E: Array, y_E: Array, time_E: Array, on_E: Array
) -> tuple[Array, Array, Array, Array]:
    """Apply N-MNIST's overflow events: y = 240 adds 2¹³ µs to every time after it."""
    overflow_E = y_E == _OVERFLOW_Y
    time_E = time_E + np.cumsum(overflow_E) * _OVERFLOW_US
    real_E = ~overflow_E
    return x_E[real_E], y_E[real_E], time_E[real_E], on_E[real_E]


def _from_numpy(path: Path) -> tuple[Array, Array, Array, Array]:
    try:
        with path.open("rb") as file:
            array = np.lib.format.read_array(file, allow_pickle=False)
    except (OSError, ValueError) as error:
        raise HardspikeError(
            f"{path}: is not a NumPy array of numbers ({error}); expected are columns or fields "
            "x, y, t in µs, p"
        ) from error
    names = array.dtype.names
    if names is None and array.ndim == 2 and array.shape[1] == len(_FIELDS):
        columns = list(array.T)
    elif names is not None and set(_FIELDS) <= set(names) and array.ndim == 1:
        columns = [array[name] for name in _FIELDS]
    else:
        found = f"fields {', '.join(names)}" if names else f"shape {array.shape}"
        raise HardspikeError(
            f"{path}: holds {found}; expected is shape (events, 4) with the columns x, y, t in "
            "µs, p, or an array with fields of these names"
        )
    for name, column in zip(_FIELDS, columns, strict=True):
        if column.dtype.kind not in "biuf" or not np.all(
            np.isfinite(column) & (column == np.floor(column))
        ):
            raise HardspikeError(
                f"{path}: {name} holds {column.dtype} values; expected are whole numbers"
            )
    x_E, y_E, time_E, on_E = columns
    return x_E, y_E, time_E, on_E


def _from_aedat4(path: Path) -> tuple[Array, Array, Array, Array]:
    """Read AEDAT 4 by tonic; its absolute times are counted from the first event."""
    try:
        import tonic.io

        events = tonic.io.read_aedat4(str(path))
    except ImportError as error:
        raise HardspikeError(
            f"{path}: reading .aedat4 needs the package 'aedat' ({error}); convert the recording "
            "to .npy, or install it"
        ) from error
    except Exception as error:  # the decoder raises its own, undocumented types
        raise HardspikeError(f"{path}: is not a readable AEDAT 4 file ({error})") from error
    time_E = events["t"].astype(np.int64)
    start = time_E.min() if len(time_E) else 0
    on_E = events["on"] if "on" in events.dtype.names else events["p"]
    return events["x"], events["y"], time_E - start, on_E

"""N-MNIST and DVS128 Gesture by tonic's own classes, on folders that the user has.

tonic downloads a data set that looks incomplete. Here nothing is ever downloaded: the classes are
derived with their own check, which passes, after a check that the folder is there.

Axes: B recording, E event.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from export.errors import HardspikeError
from pipeline.data.events import I64, Events, checked
from pipeline.data.files import check_five_bytes

_NUMPY_MAGIC = b"\x93NUMPY"
Opened = tuple[tuple[str, ...], I64, tuple[str, ...], Callable[[int], Events]]


def open_nmnist(root: Path, train: bool) -> Opened:
    """Return names, labels_B, classes and a reader of `<root>/NMNIST/{Train,Test}/<digit>/*.bin`.

    Raises:
        HardspikeError: the folder is missing or holds no recordings in that layout.
    """
    folder = root / "NMNIST" / ("Train" if train else "Test")
    layout = "<root>/NMNIST/{Train,Test}/<digit>/*.bin"
    dataset = _open("NMNIST", root, folder, "*/*.bin", layout, train)
    classes = tuple(str(digit) for digit in range(len(dataset.classes)))
    return _opened(dataset, classes, folder, check_five_bytes)


def open_gesture(root: Path, train: bool) -> Opened:
    """Return names, labels_B, classes and a reader of tonic's copy of DVS128 Gesture.

    The files hold x, y, p and t in ms, out of order; tonic turns ms to µs and `checked` sorts.

    Raises:
        HardspikeError: the folder is missing or holds no recordings in tonic's layout.
    """
    folder = root / "DVSGesture" / ("ibmGestureTrain" if train else "ibmGestureTest")
    layout = "<root>/DVSGesture/ibmGesture{Train,Test}/userNN_<light>/<label>.npy"
    dataset = _open("DVSGesture", root, folder, "*/*.npy", layout, train)
    return _opened(dataset, tuple(dataset.classes), folder, _check_numpy)


def _check_numpy(path: Path) -> None:
    with path.open("rb") as file:
        start = file.read(len(_NUMPY_MAGIC))
    if start != _NUMPY_MAGIC:
        raise HardspikeError(
            f"{path}: starts with {start!r}; a NumPy array starts with {_NUMPY_MAGIC!r}"
        )


def _open(name: str, root: Path, folder: Path, pattern: str, layout: str, train: bool) -> Any:
    if not any(folder.glob(pattern)):
        state = "holds no recordings" if folder.is_dir() else "is missing"
        raise HardspikeError(
            f"{folder}: {state}; with the root {root} expected is {layout}, which tonic's "
            f"{name} unpacks; nothing is downloaded here"
        )
    import numpy.lib.recfunctions  # noqa: F401  (tonic uses it without importing it)
    import tonic.datasets

    # tonic derives the folder's name from the class's, hence a class of the same name.
    derived = type(name, (getattr(tonic.datasets, name),), {"_check_exists": lambda self: True})
    try:
        return derived(str(root), train=train)
    except (ValueError, IndexError) as error:
        raise HardspikeError(
            f"{folder}: has names that tonic's {name} cannot read ({error}); expected is {layout}"
        ) from error


def _opened(
    dataset: Any, classes: tuple[str, ...], folder: Path, check: Callable[[Path], None]
) -> Opened:
    # tonic walks folders in an order that the file system decides.
    order = sorted(range(len(dataset.data)), key=lambda i: Path(dataset.data[i]))
    labels_B = np.array([dataset.targets[i] for i in order], np.int64)
    outside = labels_B[(labels_B < 0) | (labels_B >= len(classes))]
    if outside.size:
        raise HardspikeError(
            f"{folder}: has the label {outside[0]}; allowed is 0 to {len(classes) - 1}"
        )
    names = tuple(Path(dataset.data[i]).relative_to(folder.parents[1]).as_posix() for i in order)

    def read(position: int) -> Events:
        index = order[position]
        path = Path(dataset.data[index])
        try:
            check(path)
            events = dataset[index][0]
        except (OSError, ValueError, IndexError, EOFError) as error:
            raise HardspikeError(
                f"{path}: is not a recording of this data set ({error})"
            ) from error
        x_E, y_E, time_E, on_E = (events[field] for field in ("x", "y", "t", "p"))
        return checked(
            x_E, y_E, on_E, time_E, sensor=tuple(dataset.sensor_size[:2]), name=str(path)
        )

    return names, labels_B, classes, read

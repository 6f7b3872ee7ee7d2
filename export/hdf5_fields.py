"""Reading HDF5 so that a damaged file ends in one line that names the field."""

import json
from typing import Any

import h5py
import numpy as np

from export.errors import HardspikeError

_INT32 = np.iinfo(np.int32)
MOST_NUMBERS = 1 << 24
"""Of one field: more synapses than a chip holds."""

LONGEST_NAME = 200
"""Characters of a layer's or a class's name."""


def name_of(group: Any) -> str:
    """Return the path of a group inside its file."""
    return str(group.name).lstrip("/")


def group(file: Any, key: str) -> Any:
    """Return the group `key`; raises HardspikeError where there is none."""
    found = file.get(key)
    if not isinstance(found, h5py.Group):
        raise HardspikeError(f"{key}: the group is missing")
    return found


def _dataset(group: Any, key: str) -> Any:
    found = group.get(key)
    if not isinstance(found, h5py.Dataset):
        raise HardspikeError(f"{name_of(group)}/{key}: the field is missing")
    return found


def integers(group: Any, key: str, shape: tuple[int | None, ...]) -> Any:
    """Return an integer array whose sizes are `shape`; None stands for any size above 0."""
    data = _dataset(group, key)
    wanted = tuple("any" if size is None else size for size in shape)
    fits = len(data.shape or ()) == len(shape) and all(
        found > 0 if size is None else found == size
        for found, size in zip(data.shape or (), shape, strict=False)
    )
    if data.dtype.kind not in "iu" or not fits:
        raise HardspikeError(
            f"{name_of(group)}/{key}: found {data.dtype} of shape {data.shape}, "
            f"allowed integers of shape {wanted}"
        )
    values = data[()]
    if values.min() < _INT32.min or values.max() > _INT32.max:
        raise HardspikeError(f"{name_of(group)}/{key}: found {values.max()}, allowed 32 bits")
    return values.astype(np.int32)


def whole_numbers(group: Any, key: str, ranks: tuple[int, ...]) -> Any:
    """Return an array of whole numbers of one of `ranks` axes, none empty, from any number type."""
    data = _dataset(group, key)
    shape = data.shape or ()
    if data.dtype.kind not in "iufb" or len(shape) not in ranks or 0 in shape:
        raise HardspikeError(
            f"{name_of(group)}/{key}: found {data.dtype} of shape {data.shape}, "
            f"allowed numbers of {' or '.join(map(str, ranks))} axes"
        )
    if data.size > MOST_NUMBERS:
        raise HardspikeError(
            f"{name_of(group)}/{key}: found {data.size} numbers, allowed up to {MOST_NUMBERS}"
        )
    values = np.asarray(data[()])
    wrong = ~((values > _INT32.min) & (values < _INT32.max))  # of NaN too
    if values.dtype.kind == "f":
        wrong |= values != np.rint(values)
    if wrong.any():
        raise HardspikeError(
            f"{name_of(group)}/{key}: found {values[wrong].flat[0]}, allowed whole numbers, 32 bits"
        )
    return values.astype(np.int32)


def word(group: Any, key: str) -> str:
    """Return text of fixed or of any length, a scalar or an array of one."""
    data = _dataset(group, key)
    if not (data.dtype.kind == "S" or h5py.check_string_dtype(data.dtype)) or data.size != 1:
        raise HardspikeError(f"{name_of(group)}/{key}: found {data.dtype}, allowed text")
    found = np.asarray(data[()]).reshape(())[()]
    return bytes(found).decode("ascii", "replace") if isinstance(found, bytes) else str(found)


def scalar(group: Any, key: str) -> int:
    """Return one integer."""
    return int(integers(group, key, ()))


def ascii_text(group: Any, key: str) -> str:
    """Return fixed-length ASCII text, a scalar or an array of one."""
    data = _dataset(group, key)
    if data.dtype.kind != "S" or data.size != 1:
        raise HardspikeError(f"{name_of(group)}/{key}: found {data.dtype}, allowed ASCII text")
    return bytes(np.asarray(data[()]).reshape(())[()]).decode("ascii", "replace")


def attribute(file: Any, key: str) -> Any:
    """Return an attribute of the file as an array."""
    if key not in file.attrs:
        raise HardspikeError(f"{key}: the attribute is missing")
    return np.asarray(file.attrs[key])


def text(file: Any, key: str) -> str:
    """Return an attribute that holds text."""
    value = attribute(file, key).tolist()
    if not isinstance(value, str):
        raise HardspikeError(f"{key}: found {value!r}, allowed text")
    return str(value)


def names(file: Any, key: str) -> tuple[str, ...]:
    """Return an attribute that holds a JSON list of text."""
    try:
        found = json.loads(text(file, key))
    except (ValueError, RecursionError) as error:
        raise HardspikeError(f"{key}: is not a JSON list ({error})") from error
    if not isinstance(found, list) or not all(isinstance(name, str) for name in found):
        raise HardspikeError(f"{key}: found {found!r}, allowed a list of names")
    for name in found:
        if len(name) > LONGEST_NAME or not name.isprintable():
            raise HardspikeError(
                f"{key}: found {name[:40]!r}, allowed up to {LONGEST_NAME} characters that print"
            )
    return tuple(found)


def whole(file: Any, key: str) -> int:
    """Return an attribute that holds one integer."""
    value = attribute(file, key)
    if value.shape != () or value.dtype.kind not in "iu":
        raise HardspikeError(f"{key}: found {value}, allowed one integer")
    return int(value)


def all_positive(values: Any) -> bool:
    """Whether every number is finite and above zero."""
    return values.dtype.kind in "iuf" and bool((np.isfinite(values) & (values > 0)).all())

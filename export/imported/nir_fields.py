"""The fields of a NIR node in a file that nobody vouches for."""

from typing import Any

import h5py
import numpy as np

from export.errors import HardspikeError
from export.network import Array, Shape

LARGEST = 1 << 20


class Fields:
    """The datasets of one node, with faults that name it; `ours` where hardspike wrote the file."""

    def __init__(self, group: Any, name: str, ours: bool = False) -> None:
        self.group, self.name, self.ours = group, name, ours

    def data(self, key: str) -> Any:
        """Return the data set `key`, or None."""
        found = self.group.get(key)
        return found if isinstance(found, h5py.Dataset) else None

    def numbers(self, key: str) -> Array:
        """Return a floating-point array: float32 as it is, all else as float64."""
        found = self.data(key)
        if found is None:
            raise HardspikeError(f"node {self.name}: {key}: the field is missing")
        if found.dtype.kind not in "iufb" or found.size == 0:
            raise HardspikeError(
                f"node {self.name}: {key}: found {found.dtype} of shape {found.shape}, "
                "allowed numbers"
            )
        values = np.asarray(found[()])
        return values if values.dtype == np.float32 else values.astype(np.float64)

    def integers(self, key: str, count: int, lowest: int) -> Shape:
        """Return so many integers; one stands for all."""
        values = np.atleast_1d(self.numbers(key)).ravel()
        whole = np.isfinite(values).all() and (values == np.rint(values)).all()
        if not whole or len(values) not in (1, count) or not _within(values, lowest):
            raise HardspikeError(
                f"node {self.name}: {key}: found {short(values)}, "
                f"allowed {count} integers from {lowest} to {LARGEST}"
            )
        spread = values if len(values) == count else np.repeat(values, count)
        return tuple(int(value) for value in spread)

    def text(self, key: str) -> str | None:
        """Return text, or None where the field is none."""
        found = self.data(key)
        if found is None or found.dtype.kind not in "OS" or found.size != 1:
            return None
        return decoded(np.asarray(found[()]).reshape(())[()])

    def metadata(self) -> dict[str, str]:
        """Return the node's metadata as far as it is text."""
        found = self.group.get("metadata")
        if not isinstance(found, h5py.Group):
            return {}
        fields = Fields(found, "metadata")
        return {key: text for key in found if (text := fields.text(key)) is not None}

    def said(self, key: str) -> str | None:
        """Return what our own files say beside NIR's fields; others' metadata means nothing here.

        Raises:
            HardspikeError: it is no text.
        """
        if not self.ours or f"metadata/{key}" not in self.group:
            return None
        text = self.metadata().get(key)
        if text is None:
            raise HardspikeError(f"node {self.name}: metadata: {key}: found no text, allowed text")
        return text


def _within(values: Array, lowest: int) -> bool:
    return bool(values.min() >= lowest and values.max() <= LARGEST)


def short(values: Array) -> str:
    """Return the first few of some numbers, on one line."""
    return " ".join(str(values.tolist()[:4]).split())


def decoded(value: Any) -> str:
    """Return text from HDF5 as Python's."""
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)

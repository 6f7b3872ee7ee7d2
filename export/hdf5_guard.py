"""Opening an HDF5 file that nobody vouches for.

HDF5 lets a small file ask for much: links into other files, storage outside of it, shapes without
data, compressed chunks that inflate without end, groups that contain themselves. `open_guarded`
walks the whole tree before anything is read, so that what follows reads from a plain tree of
bounded size: numbers and text, every object behind one hard link, nothing outside of the file.
"""

import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import h5py
import numpy as np
from h5py import h5a, h5d, h5o, h5t, h5z

from export.errors import HardspikeError

LIMIT_BYTES = 256 << 20
"""Bytes that all data of a file may take in memory, and the file on disk."""
NETX_BYTES = 32 << 20
"""The same of a netx file, whose numbers are held in 32 and looked at in 64 bits."""
MOST_OBJECTS, MOST_CHUNKS, MOST_DEPTH = 20_000, 65_536, 32
MOST_TEXTS, TEXT_BYTES = 65_536, 8 << 20
"""Elements of text of any length, and their bytes, in the whole file."""
MOST_ATTRIBUTES, ATTRIBUTE_BYTES = 64, 1 << 20
"""Of one object."""
_FILTERS = {h5z.FILTER_DEFLATE: "gzip", h5z.FILTER_SHUFFLE: "shuffle", h5z.FILTER_FLETCHER32: "sum"}
_NUMBERS = (h5t.INTEGER, h5t.FLOAT, h5t.ENUM)


@contextmanager
def open_guarded(path: Path, limit_bytes: int = LIMIT_BYTES) -> Iterator[Any]:
    """Open `path` for reading, all of it checked first.

    What goes wrong inside of the `with` with HDF5 itself ends in the same one line.

    Raises:
        HardspikeError: the file is absent, no HDF5 or damaged; holds a soft or external link, data
            outside of the file, two links to one object, a type that is neither number nor text, a
            filter that is not gzip, shuffle or fletcher32; or asks for more than `limit_bytes`.
            One line that names the file, the object, what was found and what is allowed.
    """
    try:
        if not path.is_file():
            raise HardspikeError("found no file there, allowed an HDF5 file")
        if (found := path.stat().st_size) > limit_bytes:
            raise HardspikeError(f"found {found} bytes, allowed up to {limit_bytes}")
        with h5py.File(path, "r") as file:
            _Walk(limit_bytes).check(file)
            yield file
    except HardspikeError as error:
        raise HardspikeError(*(f"{path}: {line}" for line in str(error).splitlines())) from error
    except (OSError, KeyError, RuntimeError, TypeError, ValueError, MemoryError) as error:
        said = " ".join(str(error).split())
        raise HardspikeError(f"{path}: cannot be read as HDF5 ({said})") from error


class _Walk:
    """Visits every object of a file once and adds up what reading it would take."""

    def __init__(self, limit_bytes: int) -> None:
        self._limit, self._bytes, self._chunks = limit_bytes, 0, 0
        self._texts, self._text_bytes = 0, 0
        self._seen: set[tuple[int, int]] = set()

    def check(self, file: Any) -> None:
        """Check the tree below the root."""
        self._once(file, "/")
        waiting = [(file, "", 0)]
        while waiting:
            group, above, depth = waiting.pop()
            if depth > MOST_DEPTH:
                raise HardspikeError(f"{above}: found groups deeper than {MOST_DEPTH}")
            self._attributes(group, above or "/")
            if len(group) + len(self._seen) > MOST_OBJECTS:
                raise HardspikeError(f"{above or '/'}: found more than {MOST_OBJECTS} objects")
            for key in group:
                name = f"{above}/{key}".lstrip("/")
                link = group.get(key, getlink=True)
                if not isinstance(link, h5py.HardLink):
                    raise HardspikeError(f"{name}: found a link elsewhere, allowed is the data")
                found = group[key]
                self._once(found, name)
                if isinstance(found, h5py.Group):
                    waiting.append((found, name, depth + 1))
                elif isinstance(found, h5py.Dataset):
                    self._attributes(found, name)
                    self._dataset(found.id, name)
                else:
                    raise HardspikeError(f"{name}: found a type, allowed groups and data")

    def _once(self, found: Any, name: str) -> None:
        info = h5o.get_info(found.id)
        if (info.fileno, info.addr) in self._seen:
            raise HardspikeError(f"{name}: found a second link to one object, allowed one")
        self._seen.add((info.fileno, info.addr))

    def _dataset(self, data: Any, name: str) -> None:
        settings = data.get_create_plist()
        layout = settings.get_layout()
        if layout == h5d.VIRTUAL or settings.get_external_count():
            raise HardspikeError(f"{name}: found data in another file, allowed in this one")
        kind, size = data.get_type(), _count(data.get_space())
        self._add(size * kind.get_size(), name)
        if layout == h5d.CHUNKED:
            self._check_chunks(data, settings, kind.get_size(), name)
        if is_text(kind) and kind.is_variable_str():
            self._texts += size
            if self._texts > MOST_TEXTS:
                raise HardspikeError(f"{name}: found {size} texts, allowed up to {MOST_TEXTS}")
            for index in np.ndindex(*data.shape):
                self._text(h5py.Dataset(data)[index], name)
        elif kind.get_class() not in _NUMBERS and not is_text(kind):
            raise HardspikeError(f"{name}: found {kind.dtype}, allowed numbers and text")

    def _text(self, value: Any, name: str) -> None:
        """Count one text: many elements may point at one that is long."""
        self._text_bytes += len(value)
        if self._text_bytes > TEXT_BYTES:
            raise HardspikeError(f"{name}: found texts longer than {TEXT_BYTES} bytes together")

    def _add(self, size: int, name: str) -> None:
        self._bytes += size
        if self._bytes > self._limit:
            raise HardspikeError(
                f"{name}: found data of {size} bytes, {self._bytes} in all, "
                f"allowed up to {self._limit} in a file"
            )

    def _check_chunks(self, data: Any, settings: Any, item: int, name: str) -> None:
        """Check that chunks are few, within the limit, and inflate to no more than they should."""
        chunk = item * int(np.prod(settings.get_chunk(), dtype=object))
        if chunk > self._limit:
            raise HardspikeError(f"{name}: found chunks of {chunk} bytes, allowed {self._limit}")
        filters = [settings.get_filter(index)[0] for index in range(settings.get_nfilters())]
        if not set(filters) <= set(_FILTERS) or len(set(filters)) < len(filters):
            raise HardspikeError(
                f"{name}: found filters {filters}, allowed gzip, shuffle and fletcher32 once each"
            )
        stored = data.get_num_chunks()
        self._chunks += stored
        if self._chunks > MOST_CHUNKS:
            raise HardspikeError(f"{name}: found {stored} chunks, allowed up to {MOST_CHUNKS}")
        if h5z.FILTER_DEFLATE in filters:
            at = filters.index(h5z.FILTER_DEFLATE)
            # A checksum of 4 bytes is added before or after the compression.
            extra = 4 * (h5z.FILTER_FLETCHER32 in filters[:at])
            for index in range(stored):
                self._inflate(data, data.get_chunk_info(index), at, chunk + extra, name)

    def _inflate(self, data: Any, info: Any, at: int, allowed: int, name: str) -> None:
        """Inflate one chunk, no further than a byte beyond what it may be."""
        if info.size > self._limit:
            raise HardspikeError(f"{name}: found a chunk of {info.size} bytes")
        mask, raw = data.read_direct_chunk(info.chunk_offset)
        if mask & (1 << at):
            return
        try:
            inflated = zlib.decompressobj().decompress(raw, allowed + 1)
        except zlib.error as error:
            raise HardspikeError(f"{name}: a chunk is damaged ({error})") from error
        if len(inflated) > allowed:
            raise HardspikeError(f"{name}: found a chunk that inflates beyond {allowed} bytes")

    def _attributes(self, found: Any, name: str) -> None:
        count = h5a.get_num_attrs(found.id)
        if count > MOST_ATTRIBUTES:
            raise HardspikeError(f"{name}: found {count} attributes, allowed {MOST_ATTRIBUTES}")
        for index in range(count):
            attribute = h5a.open(found.id, index=index)
            kind, size = attribute.get_type(), _count(attribute.get_space())
            label = f"{name}: attribute {index}"
            if size * kind.get_size() > ATTRIBUTE_BYTES:
                raise HardspikeError(f"{label}: found more than {ATTRIBUTE_BYTES} bytes")
            if kind.get_class() not in _NUMBERS and not is_text(kind):
                raise HardspikeError(f"{label}: found {kind.dtype}, allowed numbers and text")
            if is_text(kind) and kind.is_variable_str() and size > 1:
                raise HardspikeError(f"{label}: found {size} texts, allowed one")


def is_text(kind: Any) -> bool:
    """Whether an HDF5 type is a string, of fixed length or not."""
    return bool(kind.get_class() == h5t.STRING)


def _count(space: Any) -> int:
    """Return the number of elements, without the overflow of 64 bits."""
    return int(np.prod(space.shape, dtype=object)) if space.shape is not None else 0

"""What may be wrong or hostile inside of an HDF5 file, NIR or netx."""

import io
import pickle
import zlib
from collections.abc import Callable
from typing import Any

import h5py
import numpy as np
from h5py import h5g, h5p

Random = np.random.Generator
Edit = Callable[[Any, Random], None]
_DEEP, _MANY, _HUGE = 10_000, 25_000, 1 << 40
_NAMES = (
    b"../../../etc/passwd",
    b"two\nlines",
    b"\x1b[2J\x1b[31mred\x07",
    "turned \u202egnp.exe".encode(),
    b"not utf-8 \xff\xfe",
    b"n" * 30_000,
    b"\r\x0b\x0c\x85",
    b"%s%n{0}[bold]",
)


def data_of(file: Any, kinds: str = "iufbOS") -> list[str]:
    """Return the names of all data sets whose type is one of `kinds`."""
    found: list[str] = []

    def note(name: str, item: Any) -> None:
        if isinstance(item, h5py.Dataset) and item.dtype.kind in kinds:
            found.append(name)

    file.visititems(note)
    return found


def _numbers(file: Any) -> str:
    """Return the largest array of numbers, a weight in every format."""
    return max(data_of(file, "iuf"), key=lambda name: file[name].size)


def _replaced(make: Callable[[Any, str], Any]) -> Edit:
    """Put what `make` gives of a weight in its place: other numbers, or a link."""

    def edit(file: Any, random: Random) -> None:
        name = _numbers(file)
        value = make(file, name)
        del file[name]
        file[name] = value

    return edit


def _declared(**settings: Any) -> Edit:
    """Declare a weight anew, with nothing in it."""

    def edit(file: Any, random: Random) -> None:
        name = _numbers(file)
        del file[name]
        file.create_dataset(name, dtype="f4", **settings)

    return edit


def _filled(file: Any, name: str, value: float) -> Any:
    changed = np.array(file[name][()], np.float64)
    changed.flat[changed.size // 2] = value
    return changed.astype(np.float32)


def _lost(file: Any, random: Random) -> None:
    """Delete a group that nothing can do without."""
    groups = [key for key in ("node/nodes", "node", "layer/1", "layer") if key in file]
    del file[str(random.choice(groups))]


def _loop(file: Any, random: Random) -> None:
    top = file["node/nodes" if "node" in file else "layer"]
    top["again"] = file["/"]


def _twice(file: Any, random: Random) -> None:
    file["twice"] = file[_numbers(file)]


def _nested(file: Any, random: Random) -> None:
    group = file["node/nodes" if "node" in file else "layer"].id
    for _ in range(_DEEP):
        group = h5g.create(group, b"g")


def _nested_graphs(file: Any, random: Random) -> None:
    """Nest graphs in graphs, as deep as the format lets itself be read."""
    group = file["node" if "node" in file else "layer"]
    for _ in range(12):
        group = group.require_group("nodes").create_group("inner")
        group["type"] = "NIRGraph"
        group["edges"] = np.array([[b"a", b"b"]])


def _many(file: Any, random: Random) -> None:
    group = file["node/nodes" if "node" in file else "layer"].id
    for index in range(_MANY):
        h5g.create(group, b"more %d" % index)


def _many_data(file: Any, random: Random) -> None:
    """Declare data that are small one by one and much together."""
    for index in range(200):
        file.create_dataset(f"more/{index}", (1 << 20,), "f4")


def _named(name: bytes) -> Edit:
    """Add a node or layer of that name."""

    def edit(file: Any, random: Random) -> None:
        group = file["node/nodes" if "node" in file else "layer"].id
        made = h5g.create(group, name, lcpl=_parents())
        inside = h5py.Group(made)
        inside["type"] = "Softmax"

    return edit


def _parents() -> Any:
    settings = h5p.create(h5p.LINK_CREATE)
    settings.set_create_intermediate_group(True)
    return settings


def _typed(text: Any) -> Edit:
    """Write text, or something else, where a type is expected: of a node, of a block."""

    def edit(file: Any, random: Random) -> None:
        name = str(random.choice([name for name in data_of(file, "OS") if name.endswith("/type")]))
        del file[name]
        file[name] = np.bytes_(text) if isinstance(text, bytes) else text

    return edit


def _attribute(value: Any) -> Edit:
    """Add an attribute to a weight, written anew so that the attribute may be large."""

    def edit(file: Any, random: Random) -> None:
        name = _numbers(file)
        stored = file[name][()]
        del file[name]
        file[name] = stored
        file[name].attrs["hostile"] = file.ref if value is None else value

    return edit


def _attributes(file: Any, random: Random) -> None:
    for index in range(1000):
        file.attrs[f"a{index}"] = index


def _raw_chunk(raw: bytes) -> Edit:
    """Store a compressed chunk that is not what it should be."""

    def edit(file: Any, random: Random) -> None:
        name = _numbers(file)
        shape = file[name].shape
        del file[name]
        data = file.create_dataset(name, shape, "f4", chunks=shape, compression="gzip")
        data.id.write_direct_chunk((0,) * len(shape), raw)

    return edit


def _pickle(file: Any, name: str) -> Any:
    stream = io.BytesIO()
    pickle.dump({"weight": [1, 2, 3]}, stream)
    return np.void(stream.getvalue())


def _vlen(file: Any, random: Random) -> None:
    name = _numbers(file)
    del file[name]
    data = file.create_dataset(name, (3,), h5py.vlen_dtype(np.int32))
    for index in range(3):
        data[index] = np.arange(index + 1)


def _virtual(file: Any, random: Random) -> None:
    name = _numbers(file)
    shape = file[name].shape
    layout = h5py.VirtualLayout(shape, "f4")
    layout[...] = h5py.VirtualSource("/etc/passwd", "data", shape)
    del file[name]
    file.create_virtual_dataset(name, layout)


_COMPOUND = np.zeros(4, [("a", "f4"), ("b", "i4")])

EDITS: dict[str, Edit] = {
    "missing group": _lost,
    "NaN": _replaced(lambda file, name: _filled(file, name, np.nan)),
    "infinity": _replaced(lambda file, name: _filled(file, name, -np.inf)),
    "1e300": _replaced(lambda file, name: np.full(file[name].shape, 1e300)),
    "1e20": _replaced(lambda file, name: np.full(file[name].shape, 1e20, np.float32)),
    "text for numbers": _replaced(lambda file, name: "heavy"),
    "bytes for numbers": _replaced(lambda file, name: np.bytes_(b"\x00" * 64)),
    "numbers for text": _typed(np.arange(6.0)),
    "complex": _replaced(lambda file, name: np.full(file[name].shape, 1j)),
    "compound": _replaced(lambda file, name: _COMPOUND),
    "object reference": _replaced(lambda file, name: file["/"].ref),
    "region reference": _replaced(lambda file, name: file[name].regionref[...]),
    "opaque": _replaced(_pickle),
    "variable length": _vlen,
    "no space": _replaced(lambda file, name: h5py.Empty("f4")),
    "no elements": _replaced(lambda file, name: np.zeros((0, 4), np.float32)),
    "one element": _replaced(lambda file, name: np.float32(1)),
    "32 axes": _replaced(lambda file, name: np.zeros((1,) * 32, np.float32)),
    "transposed": _replaced(lambda file, name: np.zeros((*file[name].shape[::-1], 2), "f4")),
    "date": _replaced(lambda file, name: np.zeros((4, 4), "V8")),
    "group for data": _replaced(lambda file, name: file.create_group("other")),
    "type for data": _replaced(lambda file, name: np.dtype("f8")),
    "huge shape": _declared(shape=(_HUGE, 1 << 20), chunks=(1 << 8, 1 << 8)),
    "huge shape, contiguous": _declared(shape=(1 << 20, 1 << 12)),
    "endless": _declared(shape=(1 << 29, 4), maxshape=(None, 4), chunks=(1 << 20, 4)),
    "huge chunks": _declared(shape=(4, 4), maxshape=(None, None), chunks=(1 << 14, 1 << 14)),
    "gzip bomb": _declared(
        shape=(40_000, 40_000), chunks=(4000, 4000), compression="gzip", fillvalue=1.0
    ),
    "chunk that inflates": _raw_chunk(zlib.compress(b"\x00" * (80 << 20), 9)),
    "chunk of nonsense": _raw_chunk(b"nonsense"),
    "lzf": _declared(shape=(64, 64), chunks=(8, 8), compression="lzf"),
    "external link": _replaced(lambda file, name: h5py.ExternalLink("/etc/passwd", "/")),
    "external link to itself": _replaced(
        lambda file, name: h5py.ExternalLink(file.filename, "/" + name)
    ),
    "soft link": _replaced(lambda file, name: h5py.SoftLink("/")),
    "soft link to itself": _replaced(lambda file, name: h5py.SoftLink("/" + name)),
    "soft link to nothing": _replaced(lambda file, name: h5py.SoftLink("/nothing")),
    "external storage": _declared(shape=(100,), external=[("/etc/passwd", 0, 400)]),
    "virtual": _virtual,
    "group in itself": _loop,
    "two links": _twice,
    "10000 deep": _nested,
    "graphs in graphs": _nested_graphs,
    "many objects": _many,
    "much data": _many_data,
    "many attributes": _attributes,
    "huge attribute": _attribute(np.zeros(1 << 20)),
    "attribute of a reference": _attribute(None),
    "attribute of texts": _attribute(["x" * 100] * 50),
    "huge text": _typed("T" * (10 << 20)),
    "huge fixed text": _typed(b"T" * (10 << 20)),
    "escapes in text": _typed("\x1b[2J\x1b]0;owned\x07 \u202e\u2028 Dense"),
    "lines in text": _typed("Affine\nhardspike: all is well\r\n"),
    "not UTF-8 in text": _typed(b"\xff\xfe\xc0\x80LIF"),
    "empty text": _typed(""),
    **{f"name {index}": _named(name) for index, name in enumerate(_NAMES)},
}

"""What a hostile HDF5 file may not do; each in one line that names the object."""

import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest

from export.errors import HardspikeError
from export.hdf5_guard import open_guarded


def _bomb(file: Any) -> None:
    """A chunk of a thousand bytes that inflates to 8 MB."""
    data = file.create_dataset("a", (1000,), dtype="u1", chunks=(1000,), compression="gzip")
    data.id.write_direct_chunk((0,), zlib.compress(bytes(8 << 20)))


def _twice_inflated(file: Any) -> None:
    settings = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    settings.set_chunk((10,))
    settings.set_deflate(1)
    settings.set_deflate(1)
    space = h5py.h5s.create_simple((10,))
    h5py.h5d.create(file.id, b"a", h5py.h5t.STD_I32LE, space, settings)


def _one_long_text_many_times(file: Any) -> None:
    kind = h5py.string_dtype()
    data = file.create_dataset("a", (9,), dtype=kind)
    for index in range(9):
        data[index] = "x" * (1 << 20)


HOSTILE: dict[str, tuple[Callable[[Any], Any], str]] = {
    "soft": (lambda f: f.__setitem__("a", h5py.SoftLink("/b")), "a: found a link"),
    "external": (lambda f: f.__setitem__("a", h5py.ExternalLink("/etc/passwd", "/")), "a: found a"),
    "outside": (
        lambda f: f.create_dataset("a", (9,), "u1", external=[("/etc/passwd", 0, 9)]),
        "a: found data in another file",
    ),
    "virtual": (
        lambda f: f.create_virtual_dataset("a", h5py.VirtualLayout((9,), "u1")),
        "a: found data in another file",
    ),
    "huge": (
        lambda f: f.create_dataset("a", (1 << 40, 1 << 20), "i8", chunks=(1, 1)),
        "a: found data of 9223372036854775808 bytes",
    ),
    "chunk": (
        lambda f: f.create_dataset("a", (1,), "i8", maxshape=(None,), chunks=(1 << 26,)),
        "a: found chunks of 536870912 bytes",
    ),
    "cycle": (lambda f: f.create_group("a").__setitem__("b", f["/"]), "a/b: found a second link"),
    "ragged": (lambda f: f.create_dataset("a", (3,), h5py.vlen_dtype("i4")), "a: found object"),
    "compound": (lambda f: f.create_dataset("a", (3,), [("x", "i4")]), "allowed numbers and text"),
    "type": (lambda f: f.__setitem__("a", np.dtype("i4")), "a: found a type"),
    "filter": (lambda f: f.create_dataset("a", (30,), "u1", compression="lzf"), "found filters"),
    "twice": (_twice_inflated, "once each"),
    "bomb": (_bomb, "a: found a chunk that inflates beyond 1000 bytes"),
    "text": (_one_long_text_many_times, "a: found texts longer than"),
    "deep": (lambda f: f.create_group("/".join("a" * 50)), "deeper than 32"),
    "attribute": (
        lambda f: f.attrs.create("x", np.array(["a"] * 20, object), dtype=h5py.string_dtype()),
        "attribute 0: found 20 texts",
    ),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_files_end_in_one_line(name: str, tmp_path: Path) -> None:
    make, line = HOSTILE[name]
    path = tmp_path / "file.h5"
    with h5py.File(path, "w") as file:
        make(file)
    with pytest.raises(HardspikeError) as caught, open_guarded(path):
        pass
    assert str(caught.value).startswith(f"{path}: ")
    assert line in str(caught.value)
    assert len(str(caught.value).splitlines()) == 1


def test_a_plain_tree_opens(tmp_path: Path) -> None:
    path = tmp_path / "file.h5"
    with h5py.File(path, "w") as file:
        file.create_dataset("g/numbers", data=np.arange(9000.0), compression="gzip", shuffle=True)
        file.create_dataset("g/checked", data=np.arange(99), fletcher32=True, compression="gzip")
        file.create_dataset("g/flag", data=True)
        file.create_dataset("g/text", data="CUBA")
        file.create_dataset("g/edges", data=[["a", "b"]], dtype=h5py.string_dtype())
        file.create_dataset("g/fixed", data=np.array([b"input"], "S10"))
        file.attrs["version"] = "1.0"
    with open_guarded(path) as file:
        assert file["g/numbers"][()].sum() == 9000 * 8999 / 2


def test_no_file_a_folder_and_junk_are_named(tmp_path: Path) -> None:
    (tmp_path / "junk").write_bytes(b"junk")
    for path in (tmp_path / "absent", tmp_path, tmp_path / "junk"):
        with pytest.raises(HardspikeError, match=str(path)), open_guarded(path):
            pass


def test_what_fails_while_reading_is_one_line(tmp_path: Path) -> None:
    path = tmp_path / "file.h5"
    h5py.File(path, "w").close()
    with pytest.raises(HardspikeError, match="cannot be read as HDF5"), open_guarded(path) as file:
        file["absent"]

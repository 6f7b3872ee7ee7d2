"""Which reader a file from elsewhere needs, by what is in it and not by its name."""

from pathlib import Path
from typing import Literal

from export.errors import HardspikeError
from export.files import check_regular
from export.hdf5_guard import open_guarded
from export.imported.nir_reader import MOST_BYTES

Format = Literal["nir", "netx", "onnx"]
_HDF5 = b"\x89HDF\r\n\x1a\n"
_USER_BLOCKS = (0, 512, 1024, 2048)
"""Where HDF5 may begin; a later place is one that no toolkit writes."""


def is_ours(path: Path) -> bool:
    """Whether hardspike wrote a netx file; lava-dl's says less.

    Raises:
        HardspikeError: the file cannot be read, or asks for too much.
    """
    with open_guarded(path, MOST_BYTES) as file:
        return "schema" in file.attrs


def format_of(path: Path) -> Format:
    """Return the format of a file.

    Raises:
        HardspikeError: the file is absent, or of none of the formats.
    """
    check_regular(path, MOST_BYTES)
    try:
        with path.open("rb") as file:
            head = file.read(_USER_BLOCKS[-1] + len(_HDF5))
    except OSError as error:
        raise HardspikeError(f"{path}: cannot be read ({error.strerror})") from error
    if any(head[start : start + len(_HDF5)] == _HDF5 for start in _USER_BLOCKS):
        with open_guarded(path, MOST_BYTES) as file:
            found = [key for key in ("node", "layer") if key in file]
        if found:
            return "nir" if found[0] == "node" else "netx"
        raise HardspikeError(f"{path}: found HDF5 with neither 'node' (NIR) nor 'layer' (netx)")
    # ONNX is a protocol buffer that begins with field 1, the version of its format.
    if head[:1] == b"\x08":
        return "onnx"
    raise HardspikeError(
        f"{path}: found neither HDF5 nor ONNX, allowed are NIR, netx and ONNX files"
    )

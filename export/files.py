"""Writing and naming files: temporary name first, then a rename; hashes by SHA-256."""

import contextlib
import hashlib
import json
import os
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from export.errors import HardspikeError

_CHUNK_BYTES = 1 << 20


@contextlib.contextmanager
def replacing(path: Path) -> Iterator[Path]:
    """Yield a temporary path beside `path`; rename it to `path` when the block ends well.

    A block that raises, or a killed process, leaves `path` as it was.

    Raises:
        HardspikeError: the folder cannot be written, or the disk is full.
    """
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        handle, name = tempfile.mkstemp(path.suffix, f".{path.stem}-", path.parent)
        os.close(handle)
    except OSError as error:
        raise _unwritable(path, error) from error
    temporary = Path(name)
    try:
        yield temporary
        temporary.chmod(0o644)
        with temporary.open("rb") as file:
            os.fsync(file.fileno())
        temporary.replace(path)
    except OSError as error:
        raise _unwritable(path, error) from error
    finally:
        temporary.unlink(missing_ok=True)


def _unwritable(path: Path, error: OSError) -> HardspikeError:
    reason = error.strerror or str(error)
    return HardspikeError(f"{path}: cannot be written ({reason}); a writable folder is needed")


def write_bytes(path: Path, data: bytes) -> None:
    """Write `data` to `path` in one step."""
    with replacing(path) as temporary:
        temporary.write_bytes(data)


def write_json(path: Path, value: Any) -> None:
    """Write `value` as indented JSON with a final newline, in one step. NaN is refused."""
    text = json.dumps(value, indent=2, ensure_ascii=False, allow_nan=False)
    write_bytes(path, (text + "\n").encode())


def read_json(path: Path) -> Any:
    """Read a JSON file.

    Raises:
        HardspikeError: the file is absent, unreadable or not JSON.
    """
    try:
        return json.loads(path.read_bytes())
    except OSError as error:
        raise HardspikeError(f"{path}: cannot be read ({error.strerror})") from error
    except ValueError as error:
        raise HardspikeError(f"{path}: is not JSON ({error})") from error


def check_regular(path: Path, limit_bytes: int) -> None:
    """Check that `path` is a file of bounded size: a pipe or a device may have no end.

    Raises:
        HardspikeError: it is absent, something else than a file, or too long.
    """
    try:
        found = path.stat()
    except OSError as error:
        raise HardspikeError(f"{path}: cannot be read ({error.strerror})") from error
    except ValueError as error:
        raise HardspikeError(f"{path}: cannot be read ({error})") from error
    if not stat.S_ISREG(found.st_mode):
        raise HardspikeError(f"{path}: found no regular file, allowed is one")
    if found.st_size > limit_bytes:
        raise HardspikeError(f"{path}: found {found.st_size} bytes, allowed up to {limit_bytes}")


def read_regular(path: Path, limit_bytes: int) -> bytes:
    """Return what a file of bounded size holds.

    Raises:
        HardspikeError: as `check_regular`, or it cannot be read.
    """
    check_regular(path, limit_bytes)
    try:
        with path.open("rb") as file:
            content = file.read(limit_bytes + 1)
    except OSError as error:
        raise HardspikeError(f"{path}: cannot be read ({error.strerror})") from error
    if len(content) > limit_bytes:
        raise HardspikeError(f"{path}: found more than {limit_bytes} bytes, allowed up to those")
    return content


def sha256(path: Path) -> str:
    """Return the SHA-256 of a file in hexadecimal."""
    digest = hashlib.sha256()
    try:
        with path.open("rb") as file:
            while chunk := file.read(_CHUNK_BYTES):
                digest.update(chunk)
    except OSError as error:
        raise HardspikeError(f"{path}: cannot be read ({error.strerror})") from error
    return digest.hexdigest()

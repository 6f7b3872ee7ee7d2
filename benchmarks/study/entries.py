"""JSON files with one named entry a line, sorted, so that a diff shows one entry a line."""

import contextlib
import fcntl
import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Generic, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from export.errors import HardspikeError
from export.files import read_json, write_bytes

Entry = TypeVar("Entry", bound=BaseModel)


class _File(BaseModel, Generic[Entry]):
    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)

    schema_name: str = Field(alias="schema")
    entries: dict[str, Entry]


def read_entries(path: Path, model: type[Entry], schema: str) -> dict[str, Entry]:
    """Read a file of entries, sorted by name; none where there is no file.

    Raises:
        HardspikeError: the file is damaged or of another schema, a line a fault.
    """
    if not path.exists():
        return {}
    try:
        text = json.dumps(read_json(path))
        found = _File[model].model_validate_json(text)  # type: ignore[valid-type]
    except ValidationError as error:
        raise HardspikeError(
            *(f"{path}: {'.'.join(map(str, one['loc']))}: {one['msg']}" for one in error.errors())
        ) from error
    if found.schema_name != schema:
        raise HardspikeError(f"{path}: schema: found {found.schema_name}, allowed {schema}")
    return {name: found.entries[name] for name in sorted(found.entries)}


def add_entry(path: Path, name: str, entry: BaseModel, schema: str) -> None:
    """Write an entry into a file, in place of one of its name. Two processes may do so at once.

    Raises:
        HardspikeError: the file is there and is damaged or of another schema.
    """
    with alone_in(path.parent):
        entries = {**read_entries(path, type(entry), schema), name: entry}
        trees = {key: value.model_dump(mode="json") for key, value in entries.items()}
        write_bytes(path, one_a_line(schema, "entries", trees).encode())


def one_a_line(schema: str, key: str, trees: Mapping[str, Any]) -> str:
    """Return JSON with a schema and, below `key`, the trees by name."""
    lines = [f"{_line(name)}: {_line(trees[name])}" for name in sorted(trees)]
    return f'{{"schema": {_line(schema)}, {_line(key)}: {{\n' + ",\n".join(lines) + "\n}}\n"


def _line(value: Any) -> str:
    return json.dumps(value, sort_keys=True, ensure_ascii=False, allow_nan=False)


@contextlib.contextmanager
def alone_in(folder: Path) -> Iterator[None]:
    """Hold a folder against other writers; the lock is the folder's own and leaves no file."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        handle = os.open(folder, os.O_RDONLY)
    except OSError as error:
        raise HardspikeError(f"{folder}: cannot be written ({error.strerror})") from error
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)

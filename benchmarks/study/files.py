"""The files of a study: its page, its figures and its pictures."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from export.files import write_bytes, write_json

SCHEMA = "hardspike.study/1"


def write_files(
    folder: Path, text: str, figures: Mapping[str, Any], draw: Mapping[str, Callable[[Path], None]]
) -> None:
    """Write `<study>.md` and `<study>.json` beside the records' folder, and pictures in it."""
    write_bytes(folder.with_suffix(".md"), text.encode())
    write_json(folder.with_suffix(".json"), figures)
    for name, picture in draw.items():
        picture(folder / name)

"""Writing the study: page, headline and pictures from the records."""

from pathlib import Path
from typing import Any

from benchmarks.deployment_study.found import Found, read_all
from benchmarks.deployment_study.page import page
from benchmarks.deployment_study.pictures import pictures
from benchmarks.deployment_study.tables import headline
from export.files import write_bytes, write_json

SCHEMA = "hardspike.study/1"


def write_study(folder: Path) -> None:
    """Write `<study>.md` and `<study>.json` beside the records' folder, and pictures in it.

    Raises:
        HardspikeError: a record has faults.
    """
    text, figures, found = build_study(folder)
    write_bytes(folder.with_suffix(".md"), text.encode())
    write_json(folder.with_suffix(".json"), figures)
    for name, draw in pictures(found).items():
        draw(found, folder / name)


def build_study(folder: Path) -> tuple[str, dict[str, Any], Found]:
    """Return the page, the figures for `<study>.json`, and the records behind both."""
    found = read_all(folder)
    figures = headline(found)
    counts = {arm: len(runs) for arm, runs in found.by_arm.items()}
    return page(found, figures), {"schema": SCHEMA, "headline": figures, "runs": counts}, found

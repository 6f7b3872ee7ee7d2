"""Writing the study: page, headline and pictures from all records."""

from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.admm_study.found import Found, read_all
from benchmarks.admm_study.page import page
from benchmarks.admm_study.pictures import pictures
from benchmarks.admm_study.tables import headline
from benchmarks.study.files import SCHEMA, write_files


def write_study(folder: Path) -> None:
    """Write `<study>.md` and `<study>.json` beside the records' folder, and pictures in it.

    Raises:
        HardspikeError: a record has faults.
    """
    text, figures, found = build_study(folder)
    drawn = {name: partial(draw, found) for name, draw in pictures(found).items()}
    write_files(folder, text, figures, drawn)


def build_study(folder: Path) -> tuple[str, dict[str, Any], Found]:
    """Return the page, the figures for `<study>.json`, and the records behind both."""
    found = read_all(folder)
    figures = headline(found)
    counts = {name: len(runs) for name, runs in sorted(found.records.by_file.items())}
    return page(found, figures), {"schema": SCHEMA, "headline": figures, "runs": counts}, found

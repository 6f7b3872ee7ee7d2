"""What the study found, as it stands in `docs/studies/interop.json`."""

import json
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, ValidationError

from benchmarks.interop_study.part_records import (
    HostilePart,
    NetxPart,
    Record,
    SinabsPart,
    hostile_headline,
    netx_headline,
    sinabs_headline,
)
from export.errors import HardspikeError
from export.files import read_json, write_json

SCHEMA = "hardspike.interop/1"

Status = Literal["equal", "explained", "refused", "unexplained"]
Direction = Literal["theirs to ours", "ours to theirs"]
COUNTED = ("equal", "explained", "equal_with_options", "refused", "refused_here", "unexplained")
HERE = "hardspike: "
"""What the cause of a refusal begins with that is not the toolkit's."""


class Cell(Record):
    """One network, one toolkit, one direction.

    `equal`: every spike is, under NIR's plain reading. `explained`: not so, but with `changes`, the
    smallest set of known departures, all but `rounded` decisions, which lie within `margin` of the
    threshold; where it has a cause too, that is the import's refusal unless `told`. `refused`:
    `cause` says by whom, at what stage and why. `unexplained` is a fault of this study. `places`
    were compared and `differing` of them differ, first at `first`.
    `prepared` is the rewrite of the file, where it is not as written.

    A toolkit's file is imported a second time, `told` who wrote it: `--from`, and what its user
    knows. `options` are the same where every spike is then the toolkit's. Where not,
    `told_differing` places differ, first at `told_first` (None: refused), and `check` is what
    `hardspike check` prints of that node.
    """

    toolkit: str
    direction: Direction
    network: str
    status: Status
    prepared: str = ""
    changes: tuple[str, ...] = ()
    told: str = ""
    options: str = ""
    told_differing: int | None = None
    told_first: str = ""
    check: str = ""
    rounded: int = 0
    margin: float = 0.0
    places: int = 0
    differing: int = 0
    first: str = ""
    cause: str = ""


class Study(Record):
    """All cells with the versions they were found with, and the other parts, None until run."""

    versions: dict[str, dict[str, str]] = Field(default_factory=dict)
    absent: dict[str, str] = Field(default_factory=dict)
    cells: tuple[Cell, ...] = ()
    netx: NetxPart | None = None
    sinabs: SinabsPart | None = None
    hostile: HostilePart | None = None


def count(cells: tuple[Cell, ...]) -> dict[str, int]:
    """Return how many cells there are of each status, and of two kinds within them."""
    found = dict.fromkeys(COUNTED, 0)
    for cell in cells:
        found[cell.status] += 1
        found["equal_with_options"] += bool(cell.options) and cell.status != "equal"
        found["refused_here"] += cell.status == "refused" and cell.cause.startswith(HERE)
    return found


def counts(study: Study) -> dict[str, Any]:
    """Return toolkit → direction → status → number of cells."""
    return {
        toolkit: {
            direction: count(_of(study, toolkit, direction))
            for direction in ("theirs to ours", "ours to theirs")
        }
        for toolkit in study.versions
    }


def told_from_headline(cells: tuple[Cell, ...]) -> dict[str, int]:
    """Return how many files were imported with `--from`, and how many gave the toolkit's spikes."""
    told = [cell for cell in cells if cell.told]
    return {"files": len(told), "equal": sum(bool(cell.options) for cell in told)}


def headline(study: Study) -> dict[str, Any]:
    """Return the figures of the whole study; None for a part that has not been run."""
    return {
        "matrix": {"cells": len(study.cells), **count(study.cells)},
        "told_from": told_from_headline(study.cells),
        "netx_files": netx_headline(study.netx),
        "hostile_files": hostile_headline(study.hostile),
        "cnn_sinabs": sinabs_headline(study.sinabs),
    }


def _of(study: Study, toolkit: str, direction: str) -> tuple[Cell, ...]:
    return tuple(
        cell for cell in study.cells if (cell.toolkit, cell.direction) == (toolkit, direction)
    )


def write_study(study: Study, path: Path) -> None:
    """Write a study, its headline and its counts."""
    derived = {"headline": headline(study), "counts": counts(study)}
    write_json(path, {"schema": SCHEMA, **derived, **study.model_dump(mode="json")})


def read_study(path: Path) -> Study | None:
    """Read a study; None where there is no file.

    Raises:
        HardspikeError: the file is damaged or of another schema, a line a fault.
    """
    if not path.exists():
        return None
    tree = read_json(path)
    found = tree.pop("schema", None) if isinstance(tree, dict) else None
    if found != SCHEMA:
        raise HardspikeError(f"{path}: schema: found {found!r}, allowed {SCHEMA!r}")
    for derived in ("headline", "counts"):
        tree.pop(derived, None)
    try:
        return Study.model_validate_json(json.dumps(tree))
    except ValidationError as error:
        raise HardspikeError(
            *(f"{path}: {'.'.join(map(str, one['loc']))}: {one['msg']}" for one in error.errors())
        ) from error

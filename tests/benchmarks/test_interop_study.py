"""What stands on record of the toolkits: complete, named, and the page made from it to the byte."""

import json
from pathlib import Path

import pytest

from benchmarks.interop_study.ours import NETWORKS, PREPARATIONS
from benchmarks.interop_study.page import page, verdict
from benchmarks.interop_study.record import (
    COUNTED_ELSEWHERE,
    SCHEMA,
    Cell,
    Study,
    counts,
    read_study,
    write_study,
)
from benchmarks.interop_study.settings import FIGURES, PAGE, TOOLKITS, WORKERS
from benchmarks.interop_study.study import their_networks
from export.errors import HardspikeError


@pytest.fixture(scope="module")
def study() -> Study:
    found = read_study(FIGURES)
    assert found is not None
    return found


def test_page_is_made_from_the_record_and_the_counts_are_those_of_its_cells(study: Study) -> None:
    assert PAGE.read_text(encoding="utf-8") == page(study)
    assert json.loads(FIGURES.read_text(encoding="utf-8"))["counts"] == counts(study)
    assert set(study.elsewhere) == set(COUNTED_ELSEWHERE)


def test_every_toolkit_has_both_directions_of_every_network(study: Study) -> None:
    for toolkit in TOOLKITS:
        assert toolkit.name in study.versions or toolkit.name in study.absent
        if toolkit.name in study.absent:
            continue
        ours = {(name, "") for name in NETWORKS}
        ours |= {(name, one.name) for one in PREPARATIONS[toolkit.name] for name in one.networks}
        wanted = {("ours to theirs", *pair) for pair in ours}
        wanted |= {("theirs to ours", name, "") for name in their_networks(toolkit)}
        cells = [cell for cell in study.cells if cell.toolkit == toolkit.name]
        assert {(cell.direction, cell.network, cell.prepared) for cell in cells} == wanted
        assert len(cells) == len(wanted)


def test_no_difference_is_silent(study: Study) -> None:
    known = {toolkit.name: {one.name for one in toolkit.changes} for toolkit in TOOLKITS}
    for cell in study.cells:
        assert cell.status != "unexplained", cell
        assert set(cell.changes) <= known[cell.toolkit]
        if cell.status == "refused":
            assert cell.cause
        else:
            assert cell.places
            assert (cell.status == "equal") == (cell.differing == 0)
            assert (cell.status == "explained") == bool(cell.changes or cell.rounded)


def test_the_worked_versions_are_those_that_are_pinned(study: Study) -> None:
    for name, versions in study.versions.items():
        pinned = (WORKERS / f"{name}.requirements.txt").read_text(encoding="utf-8")
        for package in (name, "nir", "nirtorch"):
            assert f"{package}=={versions[package]} " in pinned


def test_a_record_is_read_back_and_a_damaged_one_is_one_line(tmp_path: Path) -> None:
    path = tmp_path / "interop.json"
    assert read_study(path) is None
    cell = Cell(toolkit="norse", direction="theirs to ours", network="a", status="refused")
    elsewhere: dict[str, float | None] = dict.fromkeys(COUNTED_ELSEWHERE) | {"netx_files_tried": 3}
    study = Study(versions={"norse": {"nir": "1"}}, absent={}, cells=(cell,), elsewhere=elsewhere)
    write_study(study, path)
    assert read_study(path) == study
    assert json.loads(path.read_text())["schema"] == SCHEMA
    path.write_text(path.read_text().replace('"refused"', '"lost"', 1).replace("1", "2", 1))
    with pytest.raises(HardspikeError, match=r"schema: found|cells\.0\.status"):
        read_study(path)


def test_a_toolkits_words_cannot_break_the_table() -> None:
    cell = Cell(
        toolkit="norse",
        direction="theirs to ours",
        network="a",
        status="refused",
        cause="a | b ` c",
    )
    assert verdict(cell) == "refused – `a / b ' c`"

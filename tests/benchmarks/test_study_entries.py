"""Files of one entry a line: what goes in comes out, and faults are one line."""

from functools import partial
from pathlib import Path

import pytest

from benchmarks.study.entries import add_entry, read_entries
from benchmarks.study.parallel import side_by_side
from export.errors import HardspikeError
from pipeline.schema import Model

SCHEMA = "hardspike.test/1"


class Number(Model):
    """An entry."""

    value: float
    parts: tuple[int, ...] = ()


def test_entries_are_added_replaced_and_read_back_sorted(tmp_path: Path) -> None:
    path = tmp_path / "below" / "numbers.json"
    assert read_entries(path, Number, SCHEMA) == {}
    for name, value in (("b", 2.0), ("a", 1.0), ("b", 3.0)):
        add_entry(path, name, Number(value=value, parts=(1, 2)), SCHEMA)
    found = read_entries(path, Number, SCHEMA)
    assert list(found) == ["a", "b"]
    assert found["b"] == Number(value=3.0, parts=(1, 2))
    assert len(path.read_text().splitlines()) == 4


def test_a_file_of_another_schema_and_a_damaged_one_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "numbers.json"
    add_entry(path, "a", Number(value=1.0), SCHEMA)
    before = path.read_bytes()
    with pytest.raises(HardspikeError, match=r"schema: found hardspike\.test/1, allowed other/1"):
        add_entry(path, "b", Number(value=1.0), "other/1")
    assert path.read_bytes() == before
    path.write_text('{"schema": "hardspike.test/1", "entries": {"a": {"value": "much"}}}')
    with pytest.raises(HardspikeError, match=r"numbers\.json: entries\.a\.value: "):
        read_entries(path, Number, SCHEMA)


def refuse(name: str) -> str:
    raise HardspikeError(f"{name} cannot be done")


def test_tasks_run_side_by_side_and_one_that_fails_is_a_line() -> None:
    said: list[str] = []
    tasks = [("one", partial(str.upper, "done")), ("two", partial(refuse, "two"))]
    failed = side_by_side(tasks, 2, said.append)
    assert failed == ["two: two cannot be done"]
    assert sorted(line.split("] ")[1] for line in said) == ["one  DONE", "two  failed"]

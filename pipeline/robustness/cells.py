"""One measurement of a suite, kept in a small file as soon as it is there.

A cell's name ends in a digest of all that its result depends on: the deployed files, the
recordings, what is asked, the seed, the target, and the code. A killed run so goes on where it
was, and nothing old is ever taken for new.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from export.errors import HardspikeError
from export.files import read_json, write_json
from pipeline.data.corruptions import Corruption
from pipeline.robustness.settings import Fault, Suite
from pipeline.run_dir import digest

SCHEMA = "hardspike.robustness-cell/1"
_DIGITS = 20


@dataclass(frozen=True)
class Cell:
    """What is measured: clean recordings (None), a corruption, or one draw of a fault."""

    asked: Corruption | Fault | None = None
    draw: int = 0

    @property
    def facts(self) -> dict[str, Any]:
        """What is asked, in plain values."""
        if self.asked is None:
            return {"kind": "clean"}
        return {**self.asked.model_dump(mode="json"), "draw": self.draw}


def cells_of(suite: Suite) -> Iterator[Cell]:
    """Yield every cell of a suite, the clean one first."""
    yield Cell()
    for row in suite.events:
        yield from (Cell(corruption) for corruption in row)
    for faults in suite.faults:
        yield from (Cell(fault, draw) for fault in faults for draw in range(suite.fault_draws))


@dataclass(frozen=True)
class CellFiles:
    """The files of cells in a folder; `depends` is what all of them depend on."""

    folder: Path
    depends: Mapping[str, Any]

    def _named(self, cell: Cell) -> tuple[Path, str]:
        key = digest([cell.facts, self.depends])
        return self.folder / f"{cell.facts['kind']}-{key[:_DIGITS]}.json", key

    def read(self, cell: Cell) -> dict[str, Any] | None:
        """Return a finished cell's `result`; None where there is none, or its file is damaged."""
        path, key = self._named(cell)
        try:
            found = read_json(path)
        except HardspikeError:
            return None
        if not isinstance(found, dict) or found.get("key") != key:
            return None
        result = found.get("result")
        return result if isinstance(result, dict) and _is_result(result) else None

    def write(self, cell: Cell, result: Mapping[str, Any]) -> None:
        """Keep a result, in one step."""
        path, key = self._named(cell)
        write_json(path, {"schema": SCHEMA, "key": key, "cell": cell.facts, "result": result})

    def clean_up(self) -> None:
        """Take away what a killed run had begun to write."""
        for leftover in self.folder.glob(".*-*.json"):
            leftover.unlink(missing_ok=True)


def _is_result(result: Mapping[str, Any]) -> bool:
    if "refused" in result:
        return isinstance(result["refused"], str)
    n, correct = result.get("n"), result.get("correct")
    return type(n) is int and type(correct) is int and 0 <= correct <= n > 0

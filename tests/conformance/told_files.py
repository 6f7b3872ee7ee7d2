"""A toolkit's own networks, exported by it and imported here with `--from`, without a search."""

import tempfile
from pathlib import Path

import pytest

from benchmarks.interop_study.record import Cell
from benchmarks.interop_study.settings import TOOLKITS
from benchmarks.interop_study.study import their_networks, told_from
from benchmarks.interop_study.workers import Job, run_jobs
from benchmarks.study.packages import PackagesUnavailableError


def told_cells(name: str) -> dict[str, Cell]:
    """Return a cell for every network that the toolkit exports, from one process of it."""
    toolkit = next(toolkit for toolkit in TOOLKITS if toolkit.name == name)
    jobs = [Job("export", network, network) for network in their_networks(toolkit)]
    with tempfile.TemporaryDirectory() as folder:
        try:
            _, answers = run_jobs(toolkit, Path(folder), jobs)
        except PackagesUnavailableError as error:
            pytest.skip(str(error))
        return {
            answer.job.name: told_from(_cell(name, answer.job.name), answer, toolkit)
            for answer in answers
            if answer.status == "ok"
        }


def _cell(toolkit: str, network: str) -> Cell:
    return Cell(toolkit=toolkit, direction="theirs to ours", network=network, status="explained")


def assert_ours(cell: Cell, toolkit: str) -> None:
    """Every spike is the toolkit's where the import is told who wrote the file."""
    assert cell.told_differing == 0, cell
    assert cell.options.startswith(f"--from {toolkit} --reset ")


def assert_named(cell: Cell, words: str) -> None:
    """Spikes differ whatever is told, and `check` says why at the node that parts first."""
    assert cell.told_differing
    assert not cell.options
    assert words in cell.check

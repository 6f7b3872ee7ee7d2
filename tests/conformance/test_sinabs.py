"""sinabs itself: its files imported with `--from sinabs`, every spike equal or the reason named."""

import pytest

from benchmarks.interop_study.record import Cell
from tests.conformance.told_files import assert_named, assert_ours, told_cells

EQUAL = (
    *("dense-lif", "dense-lif-whole-input", "dense-lif-subtract", "dense-if", "cuba", "cuba-if"),
    "readout",
)
APART = {
    "dense-lif-many-spikes": "approximated: many-spikes",
    "dense-if-many-spikes": "approximated: many-spikes",
    "conv-pool-inferred": "approximated: many-spikes",
    "dense-if-floor": "floor (min_v_mem is not in the file",
}


@pytest.fixture(scope="module")
def cells() -> dict[str, Cell]:
    return told_cells("sinabs")


@pytest.mark.parametrize("network", EQUAL)
def test_its_spikes_are_ours(network: str, cells: dict[str, Cell]) -> None:
    assert_ours(cells[network], "sinabs")


@pytest.mark.parametrize("network", APART)
def test_what_differs_is_named_by_check(network: str, cells: dict[str, Cell]) -> None:
    assert_named(cells[network], APART[network])


def test_no_file_is_left_out(cells: dict[str, Cell]) -> None:
    assert cells.keys() == {*EQUAL, *APART}

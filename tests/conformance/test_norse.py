"""Norse itself: its files imported with `--from norse`, every spike equal or the reason named."""

import pytest

from benchmarks.interop_study.record import Cell
from tests.conformance.told_files import assert_named, assert_ours, told_cells

EQUAL = (
    "dense-lif",
    "dense-lif-batched",
    "dense-lif-subtract",
    "dense-if",
    "conv-inferred",
    "cuba",
    "readout",
)
APART = {
    "dense-lif-leak": "approximated: start-at-leak",
    "dense-lif-v-reset": "unwritten-reset (v_reset is not in the file",
}


@pytest.fixture(scope="module")
def cells() -> dict[str, Cell]:
    return told_cells("norse")


@pytest.mark.parametrize("network", EQUAL)
def test_its_spikes_are_ours(network: str, cells: dict[str, Cell]) -> None:
    assert_ours(cells[network], "norse")


@pytest.mark.parametrize("network", APART)
def test_what_differs_is_named_by_check(network: str, cells: dict[str, Cell]) -> None:
    assert_named(cells[network], APART[network])


def test_no_file_is_left_out(cells: dict[str, Cell]) -> None:
    assert cells.keys() == {*EQUAL, *APART}

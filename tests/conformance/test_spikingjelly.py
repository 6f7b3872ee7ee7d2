"""SpikingJelly: its files imported with `--from spikingjelly`, every spike equal."""

import pytest

from benchmarks.interop_study.record import Cell
from tests.conformance.told_files import assert_ours, told_cells

EQUAL = (
    "dense-lif",
    "dense-lif-whole-input",
    "dense-lif-learned-tau",
    "dense-if",
    "conv-pool",
    "cuba",
    "cuba-bias",
    "readout",
)


@pytest.fixture(scope="module")
def cells() -> dict[str, Cell]:
    return told_cells("spikingjelly")


@pytest.mark.parametrize("network", EQUAL)
def test_its_spikes_are_ours(network: str, cells: dict[str, Cell]) -> None:
    assert_ours(cells[network], "spikingjelly")


def test_no_file_is_left_out(cells: dict[str, Cell]) -> None:
    assert cells.keys() == set(EQUAL)

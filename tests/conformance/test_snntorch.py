"""snnTorch itself: its networks here and ours there, every spike equal or the reason named."""

import pytest

from benchmarks.interop_study.record import Cell
from benchmarks.interop_study.settings import TOOLKITS
from benchmarks.interop_study.study import run_toolkit
from benchmarks.study.packages import PackagesUnavailableError


@pytest.fixture(scope="module")
def cells() -> dict[tuple[str, str, str], Cell]:
    """All of snnTorch's cells, from one process of it."""
    toolkit = next(toolkit for toolkit in TOOLKITS if toolkit.name == "snntorch")
    try:
        _, found = run_toolkit(toolkit)
    except PackagesUnavailableError as error:
        pytest.skip(str(error))
    return {(cell.direction, cell.network, cell.prepared): cell for cell in found}


def test_no_difference_is_silent(cells: dict[tuple[str, str, str], Cell]) -> None:
    assert len(cells) > 20
    for cell in cells.values():
        assert cell.status in ("equal", "explained", "refused"), cell


@pytest.mark.parametrize("network", ["dense-lif", "conv-pool", "cuba-at-once", "recurrent-at-once"])
def test_resets_to_zero_at_once_are_equal_as_they_are(
    network: str, cells: dict[tuple[str, str, str], Cell]
) -> None:
    cell = cells["theirs to ours", network, ""]
    assert (cell.status, cell.differing, cell.rounded) == ("equal", 0, 0)
    assert cell.places >= 1800


@pytest.mark.parametrize(
    ("network", "reasons"),
    [
        ("dense-lif-subtract", ("late-reset",)),
        ("dense-lif-subtract-at-once", ("subtract", "left-over")),
        ("dense-lif-no-reset", ("no-reset",)),
        ("cuba", ("lost-input",)),
        ("recurrent", ("lost-input-in-cycles",)),
    ],
)
def test_what_its_files_do_not_say_is_named(
    network: str, reasons: tuple[str, ...], cells: dict[tuple[str, str, str], Cell]
) -> None:
    cell = cells["theirs to ours", network, ""]
    assert (cell.status, cell.changes, cell.rounded) == ("explained", reasons, 0)
    assert cell.differing > 0


@pytest.mark.parametrize(
    "network",
    [
        *("dense-lif", "dense-lif-subtract", "dense-if", "dense-if-subtract", "conv-pool", "cuba"),
        *("cuba-at-once", "cuba-bias", "recurrent", "recurrent-subtract", "recurrent-at-once"),
    ],
)
def test_told_who_wrote_it_its_spikes_are_ours(
    network: str, cells: dict[tuple[str, str, str], Cell]
) -> None:
    cell = cells["theirs to ours", network, ""]
    assert cell.told_differing == 0, cell
    assert cell.options.startswith("--from snntorch --reset ")


@pytest.mark.parametrize(
    ("network", "says"),
    [
        ("dense-lif-subtract-at-once", "approximated: left-over"),
        ("dense-lif-no-reset", 'no-reset (reset_mechanism="none" is not in the file'),
        ("conv-pool-subtract", "approximated: late-reset"),
        ("cuba-subtract", "approximated: late-reset"),
    ],
)
def test_what_differs_even_so_is_named_by_check(
    network: str, says: str, cells: dict[tuple[str, str, str], Cell]
) -> None:
    cell = cells["theirs to ours", network, ""]
    assert cell.told_differing
    assert not cell.options
    assert says in cell.check


@pytest.mark.parametrize("network", ["dense-lif", "conv"])
def test_it_reads_our_files_with_a_step_of_its_own(
    network: str, cells: dict[tuple[str, str, str], Cell]
) -> None:
    assert cells["ours to theirs", network, ""].changes == ("fixed-step-0.0001",)
    assert cells["ours to theirs", network, "0.1 ms"].status == "equal"

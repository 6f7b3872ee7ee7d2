"""Energy counters on trees of real files laid out as Linux has them, and the clock that reads them.

What a counter counts is written to its file; no figure depends on the time that passes.
"""

import os
import shutil
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from pipeline.training.checkpoint import Progress
from pipeline.training.clock import Clock, energy_counter
from pipeline.training.energy import Nvml, Rapl

CPU = torch.device("cpu")
NOBODY = 65534


class Tree:
    """A powercap folder; `domains` is folder → (name, microjoules, range)."""

    def __init__(self, root: Path, domains: dict[str, tuple[str, int, int]]) -> None:
        self.root = root
        for folder, (name, energy, span) in domains.items():
            (root / folder).mkdir(parents=True)
            (root / folder / "name").write_text(f"{name}\n")
            (root / folder / "max_energy_range_uj").write_text(f"{span}\n")
            self.put(folder, energy)

    def put(self, folder: str, energy: int) -> None:
        """Set a counter; a reader sees the old value or the new one."""
        path = self.root / folder / "energy_uj"
        temporary = path.with_name("new")
        temporary.write_text(f"{energy}\n")
        temporary.rename(path)


def two_packages(root: Path) -> Tree:
    span = 262_143_328_850
    return Tree(
        root,
        {
            "intel-rapl:0": ("package-0", 5_000_000, span),
            "intel-rapl:0:0": ("core", 1_000_000, span),
            "intel-rapl:0:1": ("dram", 2_000_000, 65_712_999_613),
            "intel-rapl:1": ("package-1", 7_000_000, span),
            "intel-rapl:2": ("psys", 9_000_000, span),
            "intel-rapl-mmio:0": ("package-0", 3_000_000, span),
        },
    )


def found(root: Path) -> Rapl:
    counter = Rapl.found(root)
    assert counter is not None
    return counter


def test_packages_and_memory_are_added_up_and_nothing_twice(tmp_path: Path) -> None:
    tree = two_packages(tmp_path)
    counter = found(tmp_path)
    assert counter.name == "RAPL package-0, dram, package-1"
    assert counter.read() == 0
    for folder, energy in (
        ("intel-rapl:0", 5_500_000),
        ("intel-rapl:0:0", 90_000_000),
        ("intel-rapl:0:1", 2_000_250),
        ("intel-rapl:1", 8_000_000),
        ("intel-rapl:2", 90_000_000),
        ("intel-rapl-mmio:0", 90_000_000),
    ):
        tree.put(folder, energy)
    assert counter.read() == 1.50025
    assert counter.longest == pytest.approx(65_712.999613 / 1000 / 2)


def test_a_counter_that_starts_again_loses_nothing(tmp_path: Path) -> None:
    tree = Tree(tmp_path, {"intel-rapl:0": ("package-0", 900_000, 1_000_000)})
    counter = found(tmp_path)
    for energy, joules in ((950_000, 0.05), (100_000, 0.2), (99_999, 1.199999), (99_999, 1.199999)):
        tree.put("intel-rapl:0", energy)
        assert counter.read() == joules


@pytest.mark.parametrize("domains", [{}, {"intel-rapl:0": ("psys", 1, 100)}], ids=["none", "psys"])
def test_without_a_package_there_is_no_counter(
    tmp_path: Path, domains: dict[str, tuple[str, int, int]]
) -> None:
    Tree(tmp_path, domains)
    assert Rapl.found(tmp_path) is None
    assert Rapl.found(tmp_path / "absent") is None


def test_a_counter_of_which_a_part_is_damaged_is_none(tmp_path: Path) -> None:
    two_packages(tmp_path)
    (tmp_path / "intel-rapl:1" / "energy_uj").write_text("many")
    assert Rapl.found(tmp_path) is None


@pytest.fixture
def root_only_tree() -> Iterator[Path]:
    """A tree that anyone can look into, whose counters only their owner can read."""
    folder = Path(tempfile.mkdtemp())
    two_packages(folder)
    for path in (folder, *folder.iterdir()):
        path.chmod(0o755)
    for path in folder.glob("*/energy_uj"):
        path.chmod(0o400)
    yield folder
    shutil.rmtree(folder)


def test_permission_denied_is_no_counter(root_only_tree: Path) -> None:
    """As Linux has it since 2020: `energy_uj` is for root alone."""
    if os.geteuid():
        for path in root_only_tree.glob("*/energy_uj"):
            path.chmod(0)
        assert Rapl.found(root_only_tree) is None
        return
    assert Rapl.found(root_only_tree) is not None
    os.seteuid(NOBODY)
    try:
        with pytest.raises(PermissionError):
            (root_only_tree / "intel-rapl:0" / "energy_uj").read_text()
        assert Rapl.found(root_only_tree) is None
    finally:
        os.seteuid(0)


def test_without_a_driver_there_is_no_counter_of_a_gpu() -> None:
    assert Nvml.found("GPU-0", "libabsent.so.1") is None
    assert Nvml.found("GPU-0", "libc.so.6") is None, "a library without NVML in it"


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA GPU")
def test_a_gpu_at_work_takes_energy() -> None:
    counter = energy_counter(torch.device("cuda"))
    assert counter is not None
    before = counter.read()
    matrix = torch.rand(4096, 4096, device="cuda")
    for _ in range(300):
        matrix = matrix @ matrix / 2048
    torch.cuda.synchronize()
    time.sleep(0.3)
    assert counter.read() > before


def test_only_what_runs_inside_of_the_clock_costs(tmp_path: Path) -> None:
    tree = Tree(tmp_path, {"intel-rapl:0": ("package-0", 0, 10**12)})
    clock, progress = Clock(CPU, found(tmp_path)), Progress("")
    for part in range(3):
        with clock.running(progress):
            tree.put("intel-rapl:0", (10 * part + 4) * 10**6)
        tree.put("intel-rapl:0", (10 * part + 10) * 10**6)  # as validation would
    assert progress.joules == 12
    assert progress.energy_counter == "RAPL package-0"
    assert progress.seconds > 0
    assert progress.peak_memory_bytes > 1 << 20


def test_the_clock_follows_a_counter_that_goes_round_while_it_runs(tmp_path: Path) -> None:
    """Six times round between the clock's own two readings: a thread keeps up with it."""
    tree = Tree(tmp_path, {"intel-rapl:0": ("package-0", 0, 20_000)})
    counter, progress = found(tmp_path), Progress("")
    until = time.monotonic() + 60
    with Clock(CPU, counter).running(progress):
        for step in range(1, 13):
            energy = step * 10_001 % 20_000
            tree.put("intel-rapl:0", energy)
            while counter._domains[0].last != energy:
                assert time.monotonic() < until
                time.sleep(0.001)
    assert progress.joules == pytest.approx(12 * 0.010001, abs=1e-9)


def test_a_part_without_a_counter_leaves_none_for_the_whole(tmp_path: Path) -> None:
    tree = Tree(tmp_path, {"intel-rapl:0": ("package-0", 0, 10**12)})
    progress = Progress("")
    with Clock(CPU, found(tmp_path)).running(progress):
        tree.put("intel-rapl:0", 10**6)
    assert vars(progress)["joules"] == 1
    with Clock(CPU, None).running(progress):
        pass
    assert vars(progress)["joules"] is None
    assert progress.energy_counter is None
    with Clock(CPU, found(tmp_path)).running(progress):
        pass
    assert progress.joules is None


def test_joules_of_two_different_counters_are_not_added(tmp_path: Path) -> None:
    one = Tree(tmp_path / "one", {"intel-rapl:0": ("package-0", 0, 10**12)})
    two = two_packages(tmp_path / "two")
    progress = Progress("")
    for tree in (one, two):
        with Clock(CPU, found(tree.root)).running(progress):
            pass
    assert progress.joules is None


def test_a_counter_that_is_lost_while_the_clock_runs_is_none(tmp_path: Path) -> None:
    tree = Tree(tmp_path, {"intel-rapl:0": ("package-0", 0, 10**12)})
    counter, progress = found(tmp_path), Progress("")
    with Clock(CPU, counter).running(progress):
        (tmp_path / "intel-rapl:0" / "energy_uj").unlink()
    assert progress.joules is None
    tree.put("intel-rapl:0", 5)
    with pytest.raises(OSError, match="energy_uj"):
        counter.read()

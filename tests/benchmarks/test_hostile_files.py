"""Hostile files: some of every kind here, all of them in `benchmarks.interop_study.hostile`."""

from pathlib import Path

import pytest

from benchmarks.interop_study.hostile.files import (
    CUT,
    FLIPPED,
    OTHER,
    HostileFile,
    Maker,
    hostile_files,
)
from benchmarks.interop_study.hostile.run import arguments_of, fault_of
from benchmarks.interop_study.hostile.whole import WHOLE
from tests.end_to_end.conftest import in_process

COMMANDS = ("import", "check")
EVERY_TENTH = [one for one in hostile_files(0) if one.done not in (CUT, FLIPPED)][::10]
DAMAGED = [HostileFile(name, done, 1) for name in WHOLE for done in (CUT, FLIPPED)]
PLACES = [HostileFile(OTHER, done) for done in ("pipe", "folder", "socket", "links in a circle")]


@pytest.fixture(scope="module")
def maker(tmp_path_factory: pytest.TempPathFactory) -> Maker:
    return Maker(tmp_path_factory.mktemp("hostile"), 1)


@pytest.mark.filterwarnings("default")
@pytest.mark.parametrize(
    "one", [*EVERY_TENTH, *DAMAGED, *PLACES], ids=lambda one: one.name.replace(" ", "-")
)
def test_one_line_or_a_legal_network(one: HostileFile, maker: Maker, tmp_path: Path) -> None:
    path = maker.make(one)
    for command in COMMANDS:
        run = tmp_path / "run" / command
        done = in_process(*arguments_of(command, path, one.format, run))
        answer = {
            "status": done.returncode,
            "said": done.stderr,
            "printed": done.stdout,
            "seconds": 0.0,
            "peak_bytes": 0,
        }
        assert fault_of(answer, one.may_hold) == ""
        assert done.returncode == 0 or not run.exists()


@pytest.mark.parametrize("name", WHOLE)
def test_the_whole_files_are_taken(name: str, maker: Maker, tmp_path: Path) -> None:
    """Else every refusal would prove nothing."""
    for command in COMMANDS:
        done = in_process(*arguments_of(command, maker.whole(name), name, tmp_path / "run"))
        assert done.returncode == 0, done.stderr


def test_the_same_seed_gives_the_same_bytes(tmp_path: Path) -> None:
    wanted = [HostileFile(name, FLIPPED, 2) for name in ("netx", "onnx")]
    found = []
    for again in ("one", "two"):
        (tmp_path / again).mkdir()
        maker = Maker(tmp_path / again, 3)
        found.append([maker.make(one).read_bytes() for one in wanted])
    assert found[0] == found[1]


def test_there_are_as_many_as_asked_for() -> None:
    files = hostile_files(900)
    assert len(files) == len({one.name for one in files}) == 900


@pytest.mark.parametrize(
    ("changed", "fault"),
    [
        ({"said": "hardspike: a\nhardspike: b\n"}, "2 lines"),
        ({"said": 'Traceback (most recent call last):\n  File "a"\n'}, "traceback"),
        ({"status": 1}, "traceback, or exit status 1"),
        ({"status": 0, "said": ""}, "accepted"),
        ({"seconds": 11.0}, "too slow"),
        ({"peak_bytes": 2 << 30}, "too big"),
        ({"said": "hardspike: \x1b[2J\n"}, "control characters"),
        ({"said": "hardspike: out of memory (); fewer steps\n"}, "too big"),
        ({"died": "died"}, "died"),
    ],
)
def test_every_other_end_is_a_fault(changed: dict[str, object], fault: str) -> None:
    answer = {"status": 2, "said": "hardspike: a\n", "printed": "", "seconds": 0.1}
    assert fault_of({**answer, "peak_bytes": 1}, may_hold=False) == ""
    assert fault_of({**answer, "peak_bytes": 1, **changed}, may_hold=False).startswith(fault)

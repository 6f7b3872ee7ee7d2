"""File formats: what is read, and one line for each thing that is wrong."""

import sys
import types
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import pytest

from export.errors import HardspikeError
from pipeline.data.files import read_file

Event = tuple[int, int, int, int]
WriteEvents = Callable[[Path, Sequence[Event]], Path]

SENSOR = (34, 34)
ROWS = [(1, 2, 10, 1), (33, 0, 70_000, 0), (5, 6, 300_000, 1)]


def rows_of(path: Path, sensor: tuple[int, int] = SENSOR) -> list[Event]:
    events = read_file(path, sensor)
    columns = (events.x_E, events.y_E, events.time_E, events.on_E)
    return [(int(x), int(y), int(t), int(p)) for x, y, t, p in zip(*columns, strict=True)]


@pytest.mark.parametrize("suffix", ["bin", "bs2"])
def test_five_bytes_an_event(tmp_path: Path, write_events: WriteEvents, suffix: str) -> None:
    assert rows_of(write_events(tmp_path / f"a.{suffix}", ROWS)) == ROWS


def test_overflow_events_of_bin_are_read_as_tonic_reads_them(
    tmp_path: Path, write_events: WriteEvents
) -> None:
    import tonic.io

    path = write_events(
        tmp_path / "a.bin",
        [(1, 1, 8000, 1), (0, 240, 0, 0), (2, 2, 5, 0), (0, 240, 0, 0), (3, 3, 9, 1)],
    )
    assert rows_of(path) == [(1, 1, 8000, 1), (2, 2, 8197, 0), (3, 3, 16393, 1)]
    theirs = tonic.io.read_mnist_file(
        str(path), dtype=np.dtype([(name, np.int64) for name in "xytp"])
    )
    assert [tuple(event) for event in theirs.tolist()] == rows_of(path)


def test_row_240_is_a_pixel_in_bs2(tmp_path: Path, write_events: WriteEvents) -> None:
    path = write_events(tmp_path / "a.bs2", [(0, 240, 7, 1)])
    assert rows_of(path, (256, 256)) == [(0, 240, 7, 1)]


def test_numpy_columns_and_fields(tmp_path: Path) -> None:
    np.save(tmp_path / "columns.npy", np.array(ROWS, np.float64))
    fields = np.array(
        [(p, t, x, y) for x, y, t, p in ROWS],
        [("p", bool), ("t", np.int64), ("x", np.uint16), ("y", np.uint16)],
    )
    np.save(tmp_path / "fields.npy", fields)
    assert rows_of(tmp_path / "columns.npy") == ROWS
    assert rows_of(tmp_path / "fields.npy") == ROWS


def test_aedat4_counts_from_its_first_event(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import tonic.io

    events = np.array(
        [(10**15 + t, x, y, p) for x, y, t, p in ROWS],
        [("t", np.uint64), ("x", np.uint16), ("y", np.uint16), ("on", bool)],
    )
    monkeypatch.setattr(tonic.io, "read_aedat4", lambda path: events)
    (tmp_path / "a.aedat4").touch()
    assert rows_of(tmp_path / "a.aedat4") == [(x, y, t - 10, p) for x, y, t, p in ROWS]


def test_aedat4_without_its_package_says_which(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "aedat", None)
    (tmp_path / "a.aedat4").touch()
    with pytest.raises(HardspikeError, match="needs the package 'aedat'"):
        read_file(tmp_path / "a.aedat4", SENSOR)


def test_a_broken_aedat4_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def decoder(path: str) -> None:
        raise RuntimeError("the file does not contain\na header")

    aedat = types.ModuleType("aedat")
    monkeypatch.setattr(aedat, "Decoder", decoder, raising=False)
    monkeypatch.setitem(sys.modules, "aedat", aedat)
    (tmp_path / "a.aedat4").touch()
    with pytest.raises(HardspikeError) as caught:
        read_file(tmp_path / "a.aedat4", SENSOR)
    assert "\n" not in str(caught.value)


def test_truncated_and_empty_files_name_their_size(tmp_path: Path) -> None:
    (tmp_path / "cut.bin").write_bytes(bytes(12))
    (tmp_path / "empty.bs2").touch()
    with pytest.raises(HardspikeError, match=r"cut\.bin: has 12 bytes; allowed is a multiple of 5"):
        read_file(tmp_path / "cut.bin", SENSOR)
    with pytest.raises(HardspikeError, match=r"empty\.bs2: has 0 bytes"):
        read_file(tmp_path / "empty.bs2", SENSOR)
    with pytest.raises(HardspikeError, match=r"absent\.bin: cannot be read"):
        read_file(tmp_path / "absent.bin", SENSOR)


def test_an_event_outside_the_sensor_names_the_file(
    tmp_path: Path, write_events: WriteEvents
) -> None:
    path = write_events(tmp_path / "a.bin", [(34, 0, 0, 1)])
    with pytest.raises(HardspikeError, match=r"a\.bin: event 0 has x 34; allowed is 0 to 33"):
        read_file(path, SENSOR)


@pytest.mark.parametrize(
    ("array", "says"),
    [
        (np.zeros((3, 3)), r"shape \(3, 3\); expected is shape \(events, 4\)"),
        (np.zeros(3, [("x", int), ("y", int)]), "fields x, y; expected"),
        (np.array([[0, 0, 0.5, 1]]), "t holds float64 values; expected are whole numbers"),
        (np.array([[0, 0, np.nan, 1]]), "expected are whole numbers"),
        (np.array([[0, 0, np.inf, 1]]), "expected are whole numbers"),
        (np.array([[0, 0, 1.7e15, 1]]), "allowed is 0 to 1099511627776"),
        (np.array([[0, 0, 1, 900]]), "polarity 900; allowed is 0 to 1"),
        (np.array([[0, 0, -1, 1]]), "time in µs -1"),
        (np.zeros((0, 4)), "holds no events"),
        (np.array([{}], dtype=object), "not a NumPy array of numbers"),
    ],
)
def test_wrong_arrays(tmp_path: Path, array: np.ndarray, says: str) -> None:
    np.save(tmp_path / "a.npy", array, allow_pickle=True)
    with pytest.raises(HardspikeError, match=says):
        read_file(tmp_path / "a.npy", SENSOR)


@pytest.mark.parametrize("content", [b"", b"not numpy", b"PK\x03\x04"])
def test_bytes_that_are_no_array(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "a.npy").write_bytes(content)
    with pytest.raises(HardspikeError, match=r"a\.npy: is not a NumPy array"):
        read_file(tmp_path / "a.npy", SENSOR)


def test_an_unknown_suffix_lists_the_known(tmp_path: Path) -> None:
    with pytest.raises(HardspikeError, match=r"allowed are \.bin, \.bs2, \.npy, \.aedat4"):
        read_file(tmp_path / "a.txt", SENSOR)

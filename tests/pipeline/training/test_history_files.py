"""The history as a table and as an event file, each read back by other code than wrote it."""

import csv
import struct
from pathlib import Path

import pytest
from tensorboardX.proto.event_pb2 import Event

from export.errors import HardspikeError
from pipeline.training.history_files import (
    EVENTS,
    HISTORY,
    TABLE,
    split_layer,
    write_events,
    write_history,
    write_table,
)

HYBRID: list[dict[str, float]] = [
    {"epoch": 0, "loss": 2.25, "validation_hard": 0.5},
    {"epoch": 1, "loss": 0.1, "residual_1": 1e-7, "residual_12": 3.0},
    {"epoch": 2, "validation_hard": 1.0, "bytes_sent": 123456789},
]
PUBLISHED: list[dict[str, float]] = [
    {"epoch": 0, "objective_labels": 1.5, "agreement_true_1": 0.25, "residual_membranes_2": 4.0}
]


def crc32c(data: bytes) -> int:
    """Castagnoli's CRC, a bit at a time."""
    value = 0xFFFFFFFF
    for byte in data:
        value ^= byte
        for _ in range(8):
            value = value >> 1 ^ (0x82F63B78 if value & 1 else 0)
    return value ^ 0xFFFFFFFF


def masked(data: bytes) -> int:
    """The CRC as TensorFlow's records have it: rotated, and moved by a constant."""
    value = crc32c(data)
    return ((value >> 15 | value << 17) + 0xA282EAD8) & 0xFFFFFFFF


def events_of(path: Path) -> list[Event]:
    """Read records of length, CRC of the length, data, CRC of the data."""
    data, place, events = path.read_bytes(), 0, []
    while place < len(data):
        header = data[place : place + 8]
        size = struct.unpack("<Q", header)[0]
        assert struct.unpack("<I", data[place + 8 : place + 12])[0] == masked(header)
        body = data[place + 12 : place + 12 + size]
        assert len(body) == size
        end = place + 12 + size
        assert struct.unpack("<I", data[end : end + 4])[0] == masked(body)
        events.append(Event.FromString(body))
        place = end + 4
    return events


def test_the_crc_of_this_test_is_castagnolis() -> None:
    assert crc32c(b"123456789") == 0xE3069283


def test_the_table_has_all_keys_as_they_come_and_is_empty_where_one_is_absent(
    tmp_path: Path,
) -> None:
    write_table(HYBRID, tmp_path / TABLE)
    text = (tmp_path / TABLE).read_bytes().decode()
    assert "\r" not in text
    header, *rows = csv.reader(text.splitlines())
    names = ["epoch", "loss", "validation_hard", "residual_1", "residual_12", "bytes_sent"]
    assert header == names
    assert rows[0] == ["0", "2.25", "0.5", "", "", ""]
    found = [{name: float(x) for name, x in zip(header, row, strict=True) if x} for row in rows]
    assert found == HYBRID  # to the last bit


@pytest.mark.parametrize("history", [HYBRID, PUBLISHED])
def test_the_event_file_has_every_value_at_its_epoch(
    history: list[dict[str, float]], tmp_path: Path
) -> None:
    write_events(history, tmp_path / EVENTS)
    first, *events = events_of(tmp_path / EVENTS)
    assert first.file_version == "brain.Event:2"
    found = [
        (event.step, value.tag, value.simple_value)
        for event in events
        for value in event.summary.value
    ]
    tags = {
        "residual_1": "residual/1",
        "residual_12": "residual/12",
        "agreement_true_1": "agreement_true/1",
        "residual_membranes_2": "residual_membranes/2",
    }
    expected = [
        (entry["epoch"], tags.get(key, key), pytest.approx(value, rel=1e-7))
        for entry in history
        for key, value in entry.items()
        if key != "epoch"
    ]
    assert found == expected
    assert [event.wall_time for event in events] == [event.step for event in events]


def test_the_same_history_is_the_same_bytes_wherever_and_whenever(tmp_path: Path) -> None:
    for name in ("a", "b"):
        write_history(HYBRID, tmp_path / name, True)
    for name in (HISTORY, TABLE, EVENTS):
        assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


def test_an_event_file_that_is_not_asked_for_goes(tmp_path: Path) -> None:
    assert write_history(HYBRID, tmp_path, True) == [HISTORY, TABLE, EVENTS]
    assert {path.name for path in tmp_path.iterdir()} == {HISTORY, TABLE, EVENTS}
    assert write_history(HYBRID, tmp_path, False) == [HISTORY, TABLE]
    assert {path.name for path in tmp_path.iterdir()} == {HISTORY, TABLE}


def test_nothing_is_left_half_written(tmp_path: Path) -> None:
    write_events(HYBRID, tmp_path / EVENTS)
    before = (tmp_path / EVENTS).read_bytes()
    with pytest.raises(TypeError):
        write_events([*HYBRID, {"epoch": 3, "loss": "none"}], tmp_path / EVENTS)  # type: ignore[dict-item]
    assert [path.name for path in tmp_path.iterdir()] == [EVENTS]
    assert (tmp_path / EVENTS).read_bytes() == before
    (tmp_path / "file").touch()
    with pytest.raises(HardspikeError, match="cannot be written"):
        write_events(HYBRID, tmp_path / "file" / EVENTS)


def test_a_number_at_the_end_is_a_layer() -> None:
    assert split_layer("residual_2") == ("residual", 2)
    assert split_layer("residual_spikes_10") == ("residual_spikes", 10)
    assert split_layer("validation_hard") == ("validation_hard", None)
    assert split_layer("rho") == ("rho", None)

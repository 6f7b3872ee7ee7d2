"""What training did from epoch to epoch, as files: a table for any program, and TensorBoard.

A history has one entry an epoch (of ADMM, a pass); its keys are the method's own and may come and
go. `NAME_1` is a measure of layer 1.
"""

import csv
import io
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

from export.files import replacing, write_bytes, write_json

HISTORY, TABLE = "history.json", "history.csv"
EVENTS = "events.out.tfevents.0.hardspike"
"""TensorBoard knows an event file by the middle of its name; a time and a host usually follow."""
_EPOCH = "epoch"
_LAYER = re.compile(r"(?P<name>.+)_(?P<number>\d+)")

History = Sequence[Mapping[str, float]]


def write_history(history: History, folder: Path, tensorboard: bool) -> list[str]:
    """Write a history in all its forms; return the names of the files."""
    write_json(folder / HISTORY, history)
    write_table(history, folder / TABLE)
    if not tensorboard:
        (folder / EVENTS).unlink(missing_ok=True)  # of a training under another config
        return [HISTORY, TABLE]
    write_events(history, folder / EVENTS)
    return [HISTORY, TABLE, EVENTS]


def columns(history: History) -> list[str]:
    """Return all keys of a history in the order in which they first come."""
    return list(dict.fromkeys(key for entry in history for key in entry))


def write_table(history: History, path: Path) -> None:
    """Write a history as CSV in one step: a row an epoch, empty where an entry lacks a key."""
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, columns(history), restval="", lineterminator="\n")
    writer.writeheader()
    writer.writerows(history)
    write_bytes(path, text.getvalue().encode())


def write_events(history: History, path: Path) -> None:
    """Write a history as a TensorBoard event file in one step. Same history, same bytes.

    A scalar's step is its epoch, and so is its wall time, in seconds since 1970: what happened
    when is none of a history. `NAME_1` becomes NAME/1, so that layers share a group.
    """
    # Loaded only where it is asked for: it takes a quarter of a second, and few ask.
    from tensorboardX.proto.event_pb2 import Event
    from tensorboardX.record_writer import RecordWriter
    from tensorboardX.summary import scalar

    with replacing(path) as temporary:
        writer = RecordWriter(str(temporary))
        try:
            writer.write(Event(wall_time=0, file_version="brain.Event:2").SerializeToString())
            for index, entry in enumerate(history):
                epoch = int(entry.get(_EPOCH, index))
                for key, value in entry.items():
                    if key != _EPOCH:
                        event = Event(wall_time=epoch, step=epoch, summary=scalar(_tag(key), value))
                        writer.write(event.SerializeToString())
        finally:
            writer.close()


def split_layer(key: str) -> tuple[str, int | None]:
    """Return the name and the layer of a key: `residual_2` is of layer 2, `rho` of none."""
    found = _LAYER.fullmatch(key)
    return (found["name"], int(found["number"])) if found is not None else (key, None)


def _tag(key: str) -> str:
    name, layer = split_layer(key)
    return name if layer is None else f"{name}/{layer}"

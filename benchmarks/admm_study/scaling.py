"""Seconds and memory of a pass of ADMM against recordings, steps and width, on random spikes.

Every point is a fresh process on one thread: two trainings of one pass, the first of which pays for
compiled kernels, then one of three passes. A pass costs half of what the third takes longer than
the second, so that the first Gram matrices are left out. Memory is the peak of the process less
what it held with the recordings in place.
"""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np

from benchmarks.admm_study.settings import RECORDS, ROOT, SCALING, SCALING_BASE
from benchmarks.study.entries import add_entry, read_entries
from benchmarks.study.parallel import Say, side_by_side
from export.errors import HardspikeError
from pipeline.data.events import Dataset
from pipeline.schema import Model

SCHEMA = "hardspike.study-scaling/1"
FOLDER, FILE = RECORDS / "scaling", "dense-2"
_SHAPE_CHW, _CLASSES, _BUSY = (2, 34, 34), 10, 0.05
_PASSES = (1, 1, 3)


class Point(Model):
    """What one size cost. `grows` is what differs from the base.

    Seconds are of a training of one pass, and of each later pass.
    """

    grows: str
    samples: int
    steps: int
    width: int
    first_seconds: float
    pass_seconds: float
    peak_bytes: int

    @property
    def size(self) -> int:
        """The size of what grows."""
        return int(getattr(self, self.grows))


def sizes() -> Iterator[tuple[str, dict[str, int]]]:
    """Yield what grows, and samples, steps and width."""
    for grows, values in SCALING.items():
        for value in values:
            yield grows, {**SCALING_BASE, grows: value}


def scale(jobs: int, only: str, say: Say) -> list[str]:
    """Measure the points without an entry, one at a time whatever `jobs` says."""
    points = read_points(FOLDER)
    due = [
        (f"scaling-{grows}{size[grows]}", grows, size)
        for grows, size in sizes()
        if not _is_measured(points.get(f"scaling-{grows}{size[grows]}"), size)
    ]
    due = [one for one in due if only in one[0]]
    say(f"{len(due)} points of the scaling are due")
    tasks = [(name, partial(_measure, grows, size)) for name, grows, size in due]
    return side_by_side(tasks, 1, say)


def read_points(folder: Path) -> dict[str, Point]:
    """Return the points by name."""
    return read_entries(folder / f"{FILE}.json", Point, SCHEMA)


def _is_measured(point: Point | None, size: dict[str, int]) -> bool:
    return point is not None and all(getattr(point, key) == value for key, value in size.items())


def _measure(grows: str, size: dict[str, int]) -> str:
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.admm_study.scaling", json.dumps(size)],
        cwd=ROOT,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise HardspikeError(f"scaling {size}: {done.stderr[-300:]}")
    point = Point(grows=grows, **size, **json.loads(done.stdout))
    add_entry(FOLDER / f"{FILE}.json", f"scaling-{grows}{size[grows]}", point, SCHEMA)
    return f"{point.pass_seconds:.2f} s a pass, {point.peak_bytes / 2**20:.0f} MiB"


def measured(samples: int, steps: int, width: int) -> dict[str, float]:
    """Train in this process and return what it cost."""
    import torch

    from pipeline.config import DenseSettings, NetworkSettings
    from pipeline.model import SpikingNetwork
    from pipeline.training.admm.settings import ADMM
    from pipeline.training.admm.train import train_admm
    from pipeline.training.clock import peak_memory_bytes

    torch.set_num_threads(1)
    data = random_recordings(samples, steps)
    hidden = DenseSettings(type="dense", units=width)
    layers = (hidden, hidden, DenseSettings(type="dense", units=_CLASSES))
    before, seconds = peak_memory_bytes(torch.device("cpu")), []
    for passes in _PASSES:
        network = SpikingNetwork(
            NetworkSettings(layers=layers, readout="membrane"), _SHAPE_CHW, data.classes
        )
        with tempfile.TemporaryDirectory(prefix="hardspike-scaling-") as folder:
            done = train_admm(
                network,
                data,
                data.take(np.arange(0)),
                ADMM(method="admm", passes=passes),
                seed=0,
                state_path=Path(folder) / "state.safetensors",
                fingerprint="scaling",
                report=lambda done, total: None,
            )
        seconds.append(done.progress.seconds)
    peak = peak_memory_bytes(torch.device("cpu")) - before
    each = (seconds[2] - seconds[1]) / (_PASSES[2] - _PASSES[1])
    return {
        "first_seconds": round(seconds[1], 4),
        "pass_seconds": round(each, 4),
        "peak_bytes": peak,
    }


def random_recordings(samples: int, steps: int) -> Dataset:
    """Return recordings in which every pixel fires at a twentieth of the steps, drawn from 0."""
    generator = np.random.default_rng(0)
    shape = (steps, *_SHAPE_CHW)
    spikes_BTCHW = np.empty((samples, *shape), np.uint8)
    for index in range(samples):
        spikes_BTCHW[index] = generator.random(shape, np.float32) < _BUSY
    labels_B = np.arange(samples, dtype=np.int64) % _CLASSES
    classes = tuple(map(str, range(_CLASSES)))
    return Dataset(spikes_BTCHW, labels_B, classes, tuple(map(str, range(samples))))


if __name__ == "__main__":
    print(json.dumps(measured(**json.loads(sys.argv[1]))))

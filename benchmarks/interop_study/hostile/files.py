"""The files, in an order that a seed decides."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np

from benchmarks.interop_study.hostile.by_field import BY_FORMAT
from benchmarks.interop_study.hostile.elsewhere import ELSEWHERE
from benchmarks.interop_study.hostile.in_hdf5 import EDITS, Edit, Random
from benchmarks.interop_study.hostile.in_onnx import ONNX_EDITS, edit_onnx
from benchmarks.interop_study.hostile.whole import WHOLE, write_whole

CUT, FLIPPED, OTHER = "cut", "flipped", "other"
LEGAL_YET = {
    *("1e20", "1e300", "threshold infinite", "delay of half a step", "unknown field", FLIPPED),
    *("names with a slash", "name upwards", "no neuron", "delay without end", "graded spike"),
}
"""What may leave a network that is legal, though it is not the one that was written."""


@dataclass(frozen=True)
class HostileFile:
    """One file: what it was made from, what was done to it, and which of several it is."""

    format: str
    done: str
    number: int = 0

    @property
    def name(self) -> str:
        """Its name in words, the same in every run."""
        return f"{self.format}: {self.done}" + (f" {self.number}" if self.number else "")

    @property
    def kind(self) -> str:
        """The kind that it is counted under: its format, and how it was damaged."""
        if self.format == OTHER or self.done in (CUT, FLIPPED):
            return f"{self.format}, {self.done}" if self.format != OTHER else "no network file"
        return f"{self.format}, edited"

    @property
    def may_hold(self) -> bool:
        """Whether it may be a legal network."""
        return self.done in LEGAL_YET


def hostile_files(count: int) -> list[HostileFile]:
    """Return every edit of every format, then cuts and flips in turn until there are `count`."""
    made = [HostileFile(OTHER, done) for done in ELSEWHERE]
    for name in WHOLE:
        edits = ONNX_EDITS if name.startswith("onnx") else {**EDITS, **BY_FORMAT[name]}
        made += [HostileFile(name, done) for done in edits]
    return made + list(_damaged(count - len(made)))


def _damaged(count: int) -> Iterator[HostileFile]:
    kinds = [(name, done) for done in (CUT, FLIPPED) for name in WHOLE]
    for index in range(max(count, 4 * len(kinds))):
        name, done = kinds[index % len(kinds)]
        yield HostileFile(name, done, 1 + index // len(kinds))


class Maker:
    """Writes files into a folder, each from its own seed."""

    def __init__(self, folder: Path, seed: int) -> None:
        self._folder, self._seed = folder, seed
        self._whole = {
            name: write_whole(folder / f"whole-{name}", name).read_bytes() for name in WHOLE
        }

    def whole(self, name: str) -> Path:
        """Return the whole file of a format."""
        return self._folder / f"whole-{name}"

    def make(self, wanted: HostileFile) -> Path:
        """Write the file and return where; the name of the file says nothing of it."""
        random = np.random.default_rng([self._seed, *wanted.name.encode()])
        path = self._folder / f"file-{random.integers(1 << 62):x}"
        if wanted.format == OTHER:
            ELSEWHERE[wanted.done](path, self._whole["nir"])
            return path
        whole = self._whole[wanted.format]
        if wanted.done == CUT:
            path.write_bytes(whole[: int(random.integers(len(whole)))])
        elif wanted.done == FLIPPED:
            path.write_bytes(_flipped(whole, random))
        elif wanted.format.startswith("onnx"):
            path.write_bytes(edit_onnx(whole, ONNX_EDITS[wanted.done], random))
        else:
            path.write_bytes(whole)
            _edit(path, {**EDITS, **BY_FORMAT[wanted.format]}[wanted.done], random)
        return path


def _flipped(whole: bytes, random: Random) -> bytes:
    """Flip 1 to 8 bits, half of the times among the first bytes, which say what follows."""
    data = bytearray(whole)
    end = len(data) if random.random() < 0.5 else min(len(data), 4096)
    for place in random.integers(0, end, int(random.integers(1, 9))):
        data[place] ^= 1 << int(random.integers(8))
    return bytes(data)


def _edit(path: Path, edit: Edit, random: Random) -> None:
    with h5py.File(path, "r+", libver="latest") as file:
        edit(file, random)

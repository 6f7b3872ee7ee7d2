"""Counters of energy: RAPL for the processor, NVML for a GPU; where neither can be read, none.

RAPL (Linux, Intel and AMD) counts microjoules of whole processor packages, and of memory where it
has a domain of its own: with what idles and with all other processes in it. A counter goes back to
zero at its `max_energy_range_uj`. Reading it takes root, or `chmod a+r` on `energy_uj`. NVML counts
millijoules of one whole GPU since its driver was loaded (Volta and later); it comes with the driver
and is called here without a package in between.
"""

import ctypes
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

POWERCAP = Path("/sys/class/powercap")
NO_COUNTER = "no counter"
_MOST_WATTS = 1000.0
"""No package draws more; so often must its counter be read that none goes round twice."""
_NVML = "libnvidia-ml.so.1"


class EnergyCounter(Protocol):
    """Counts joules. `name` says of what; `longest` is how many seconds may lie between readings,
    None where that does not matter.
    """

    @property
    def name(self) -> str:
        """What is counted, and by which counter."""

    @property
    def longest(self) -> float | None:
        """How many seconds may lie between two readings."""

    def read(self) -> float:
        """Return the joules since some moment in the past.

        Raises:
            OSError: the counter cannot be read, or could not be read before.
        """


@dataclass
class _Domain:
    """One RAPL counter: its file, the microjoules at which it starts again, and the last value."""

    name: str
    path: Path
    range: int
    last: int

    @classmethod
    def at(cls, folder: Path) -> "_Domain":
        path = folder / "energy_uj"
        name, span = ((folder / file).read_text().strip() for file in ("name", _RANGE))
        return cls(name, path, int(span), int(path.read_text()))

    def advanced(self) -> int:
        """Return the microjoules since the last reading."""
        now = int(self.path.read_text())
        grown = now - self.last if now >= self.last else now - self.last + self.range
        self.last = now
        return grown


_RANGE = "max_energy_range_uj"


class Rapl:
    """The sum of some RAPL domains; may be read from several threads."""

    def __init__(self, domains: Sequence[_Domain]) -> None:
        self._domains, self._lock = domains, threading.Lock()
        self._total, self._fault = 0, ""

    @classmethod
    def found(cls, powercap: Path | None = None) -> "Rapl | None":
        """Return the counter of all packages and their memory, None unless all can be read.

        A package's cores and graphics are in its own figure; `psys` has the packages in it.
        """
        folders = sorted((powercap or POWERCAP).glob("intel-rapl:*"))
        try:
            domains = [_Domain.at(folder) for folder in folders if _counts(folder)]
        except (OSError, ValueError):
            return None
        return cls(domains) if domains else None

    @property
    def name(self) -> str:
        """The domains."""
        return f"RAPL {', '.join(domain.name for domain in self._domains)}"

    @property
    def longest(self) -> float:
        """Half the time in which the first counter can go round."""
        return min(domain.range for domain in self._domains) / 1e6 / _MOST_WATTS / 2

    def read(self) -> float:
        """Return the joules since the counter was made."""
        with self._lock:
            try:
                if not self._fault:
                    self._total += sum(domain.advanced() for domain in self._domains)
            except (OSError, ValueError) as error:
                self._fault = str(error)
            if self._fault:
                raise OSError(self._fault)
            return self._total / 1e6


def _counts(folder: Path) -> bool:
    """Whether a domain is a package, or the memory of one."""
    name, depth = (folder / "name").read_text().strip(), folder.name.count(":")
    return name.startswith("package") if depth == 1 else name == "dram"


class Nvml:
    """The energy counter of one GPU."""

    longest = None

    def __init__(self, library: Any, handle: ctypes.c_void_p) -> None:
        self._library, self._handle = library, handle

    @classmethod
    def found(cls, uuid: str, library: str = _NVML) -> "Nvml | None":
        """Return the counter of the GPU of this UUID (as `GPU-…`), None where it has none."""
        try:
            loaded = ctypes.CDLL(library)
            handle = ctypes.c_void_p()
            if loaded.nvmlInit_v2():
                return None
            if loaded.nvmlDeviceGetHandleByUUID(uuid.encode(), ctypes.byref(handle)):
                return None
            counter = cls(loaded, handle)
            counter.read()
        except (OSError, AttributeError):  # no driver, an old one, or a GPU that does not count
            return None
        return counter

    @property
    def name(self) -> str:
        """One whole GPU, without the processor that feeds it."""
        return "NVML, GPU alone"

    def read(self) -> float:
        """Return the joules since the driver was loaded."""
        millijoules = ctypes.c_ulonglong()
        status = self._library.nvmlDeviceGetTotalEnergyConsumption(
            self._handle, ctypes.byref(millijoules)
        )
        if status:
            raise OSError(f"NVML answered {status}")
        return millijoules.value / 1000

"""The clock of training: what runs inside of it costs seconds, joules and memory.

What is outside of it, validation, measures of convergence and writing, costs nothing.
"""

import resource
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import torch

from pipeline.training.checkpoint import Progress
from pipeline.training.energy import EnergyCounter, Nvml, Rapl


def energy_counter(device: torch.device) -> EnergyCounter | None:
    """Return the energy counter of a device: a GPU's own, or the processor's; None without one."""
    if device.type == "cuda":
        return Nvml.found(f"GPU-{torch.cuda.get_device_properties(device).uuid}")
    return Rapl.found()


class Clock:
    """Adds to a training's progress what passes while it runs."""

    def __init__(self, device: torch.device, counter: EnergyCounter | None) -> None:
        self.device, self.counter = device, counter

    @contextmanager
    def running(self, progress: Progress) -> Iterator[None]:
        """Count seconds and joules up to the end of the block, and the peak of memory."""
        with _kept_up(self.counter):
            before, started = self._joules(), time.perf_counter()
            yield
            if self.device.type == "cuda":
                torch.cuda.synchronize(self.device)
            seconds, after = time.perf_counter() - started, self._joules()
        spent = None if before is None or after is None else after - before
        name = self.counter.name if self.counter is not None and spent is not None else None
        progress.add_cost(seconds, spent, name, peak_memory_bytes(self.device))

    def _joules(self) -> float | None:
        try:
            return None if self.counter is None else self.counter.read()
        except OSError:
            return None


@contextmanager
def _kept_up(counter: EnergyCounter | None) -> Iterator[None]:
    """Read a counter that goes round as often as it must be, from a thread that mostly sleeps."""
    if counter is None or counter.longest is None:
        yield
        return
    stop, longest = threading.Event(), counter.longest

    def keep_up() -> None:
        try:
            while not stop.wait(longest):
                counter.read()
        except OSError:
            return  # every later reading raises it again

    thread = threading.Thread(target=keep_up, name="energy", daemon=True)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def peak_memory_bytes(device: torch.device) -> int:
    """Return the peak of GPU memory by torch's own count, or of this process's resident memory."""
    if device.type == "cuda":
        return int(torch.cuda.max_memory_allocated(device))
    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit

"""What a target is: something that runs the deployed files of one folder over recordings.

Axes: `B` recording, `T` time step, `C` channel (polarity), `H` height, `W` width, `N` neuron.
"""

import os
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from export.errors import HardspikeError

Progress = Callable[[int, int], None]
"""Called with (done, all of them), counted in the target's `unit`."""


def available_cores() -> int:
    """Return how many processors this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def no_progress(done: int, total: int) -> None:
    """Report nothing."""


@dataclass(frozen=True)
class Availability:
    """Whether a target can run here. `reason` is None when it can, otherwise one line."""

    version: str
    reason: str | None = None


@dataclass(frozen=True, eq=False)
class TargetRun:
    """What a target gave back.

    `outputs_BTN` holds the last layer at every step of every recording: spikes (0 or 1) for a
    `count` readout, membranes (Loihi's v, after its reset) for `membrane`. `seconds` is the time of
    the network's steps alone, `startup_seconds` that of everything before them. `layers_BTN` holds
    the spikes of every layer by name when they were asked for. `approximates` names what a file
    that stands in for the network, on a user's request, does not have of it.
    """

    outputs_BTN: NDArray[np.int32]
    seconds: float
    startup_seconds: float = 0.0
    layers_BTN: dict[str, NDArray[np.uint8]] = field(default_factory=dict)
    details: dict[str, Any] = field(default_factory=dict)
    approximates: tuple[str, ...] = ()


class TargetUnavailableError(HardspikeError):
    """What a target needs cannot be had on this machine; the target is then not run."""


class Target(Protocol):
    """A place where deployed files run. `unit` is what its progress counts."""

    name: str
    unit: str

    def availability(self) -> Availability:
        """Say which version this is and whether it can run here."""
        ...

    def run(
        self,
        artefacts: Path,
        spikes_BTCHW: NDArray[np.uint8],
        *,
        record_layers: bool = False,
        progress: Progress = no_progress,
    ) -> TargetRun:
        """Run the files in the folder `artefacts` over every recording, in order.

        Raises:
            TargetUnavailableError: what the target needs turns out not to be had here.
            HardspikeError: a file is absent or damaged, or the target failed; one line.
        """
        ...

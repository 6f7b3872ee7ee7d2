"""The reference as a target: the deployed netx file, read by our own reader and run in NumPy."""

import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from export.netx_file import read_netx
from hardware.neurobench_measures import Tally
from hardware.reference import FixedStates, chunk_size, fixed_states, traced
from hardware.target import Availability, Progress, TargetRun, no_progress


class ReferenceTarget:
    """Reads `model.net` with hardspike's own reader and runs it in NumPy."""

    name, unit = "reference", "recordings"

    def availability(self) -> Availability:
        """NumPy is always there."""
        return Availability(f"numpy {np.__version__}")

    def run(
        self,
        artefacts: Path,
        spikes_BTCHW: NDArray[np.uint8],
        *,
        record_layers: bool = False,
        progress: Progress = no_progress,
    ) -> TargetRun:
        """Run `model.net`; see `hardware.target.Target`."""
        network = read_netx(artefacts / "model.net")
        chunk, total, outputs, layers = chunk_size(network), len(spikes_BTCHW), [], []
        counts, tally = {"wrapped_currents": 0, "readout_resets": 0}, Tally(network)
        watch = _Watch()
        for start in range(0, total, chunk):
            states = watch.times(fixed_states(network, spikes_BTCHW[start : start + chunk]))
            trace = traced(_tallied(states, tally))
            outputs.append(trace.last if network.readout == "count" else trace.membranes_BTN)
            layers.append(trace.spikes_BTN if record_layers else {})
            counts["wrapped_currents"] += trace.wrapped_currents
            counts["readout_resets"] += int(trace.last.sum()) * (network.readout == "membrane")
            progress(min(start + chunk, total), total)
        recorded = {key: np.concatenate([part[key] for part in layers]) for key in layers[0]}
        result = np.concatenate(outputs).astype(np.int32)
        details = {"synops": tally.operations, **counts, "neurobench": tally.measures()}
        return TargetRun(result, watch.seconds, layers_BTN=recorded, details=details)


@dataclass
class _Watch:
    """Seconds that it takes to make values, without those of what is done with them."""

    seconds: float = 0.0

    def times(self, states: Iterator[FixedStates]) -> Iterator[FixedStates]:
        """Yield the states as they are made."""
        while True:
            started = time.perf_counter()
            state = next(states, None)
            self.seconds += time.perf_counter() - started
            if state is None:
                return
            yield state


def _tallied(states: Iterable[FixedStates], tally: Tally) -> Iterator[FixedStates]:
    for index, state in enumerate(states):
        tally.add(index, state.inputs_BTN, state.spikes_BTN, state.membranes_BTN)
        yield state

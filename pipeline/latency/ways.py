"""The calls that are timed: on a run's deployed files, its recordings and one number of threads.

Axes: `B` recording, `T` time step, `C` channel, `H` height, `W` width, `N` neuron.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from export.network import FixedPointNetwork, decide
from export.onnx_products import product_inputs
from hardware.onnxruntime_cpu import (
    SEQUENCE_FILE,
    STEP_FILE,
    OnnxRuntimeSequence,
    open_session,
    run_session,
)
from pipeline.data.events import Events, bin_events
from pipeline.data.settings import DataSettings
from pipeline.latency.timing import Call

Array = NDArray[Any]


@dataclass(frozen=True, eq=False)
class Subject:
    """A deployed network, its files, and test recordings as events and as spikes."""

    network: FixedPointNetwork
    deployed: Path
    products: Path
    settings: DataSettings
    events: Sequence[Events]
    spikes_BTCHW: NDArray[np.uint8]

    def __len__(self) -> int:
        return len(self.events)


def network_call(deployed: Path, spikes_BTCHW: NDArray[np.uint8], threads: int) -> Call:
    """The sequence form on one recording's spikes."""
    path = deployed / SEQUENCE_FILE
    session = open_session(path, threads)

    def call(index: int) -> object:
        feeds = {"spikes": spikes_BTCHW[index : index + 1]}
        return run_session(session, path, ["output"], feeds)

    return call


def floor_call(subject: Subject, threads: int, feeds: Sequence[dict[str, Array]]) -> Call:
    """The synapse products alone, on the spikes that each layer took from that recording."""
    session = open_session(subject.products, threads)

    def call(index: int) -> object:
        return run_session(session, subject.products, None, feeds[index])

    return call


def binning_call(subject: Subject) -> Call:
    """One recording's events to its spikes."""

    def call(index: int) -> object:
        return bin_events([subject.events[index]], subject.settings)

    return call


def class_call(subject: Subject, threads: int) -> Call:
    """One recording's events to its class: binning, the sequence form, the decision."""
    path, readout = subject.deployed / SEQUENCE_FILE, subject.network.readout
    session = open_session(path, threads)

    def call(index: int) -> object:
        spikes_BTCHW = bin_events([subject.events[index]], subject.settings)
        (output_BTN,) = run_session(session, path, ["output"], {"spikes": spikes_BTCHW})
        return decide(output_BTN, readout)

    return call


class StepCall:
    """One time step of the step form; its states go on to the next step, and start at zero."""

    def __init__(self, subject: Subject, threads: int) -> None:
        self._path = subject.deployed / STEP_FILE
        self._session = open_session(self._path, threads)
        self._spikes_BTCHW = subject.spikes_BTCHW
        sizes = {value.name: value.shape[1] for value in self._session.get_inputs()[1:]}
        self._zeros = {name: np.zeros((1, size), np.int32) for name, size in sizes.items()}
        self._names = ["output", *(f"{name}.next" for name in sizes)]
        self._states: dict[str, Array] = self._zeros

    def __call__(self, index: int) -> object:
        """Run step `index` of all recordings one after the other; the 0th of each starts anew."""
        recording, step = divmod(index, self._spikes_BTCHW.shape[1])
        states = self._states if step else self._zeros
        feeds = {"spikes": self._spikes_BTCHW[recording : recording + 1, step], **states}
        output, *following = run_session(self._session, self._path, self._names, feeds)
        self._states = dict(zip(self._zeros, following, strict=True))
        return output


def batch_call(subject: Subject, threads: int, batch: int) -> Call:
    """The sequence form on `batch` recordings at once, taken again from the first if too few."""
    path = subject.deployed / SEQUENCE_FILE
    session = open_session(path, threads)
    index_B = np.arange(batch) % len(subject)
    spikes_BTCHW = np.ascontiguousarray(subject.spikes_BTCHW[index_B])

    def call(index: int) -> object:
        return run_session(session, path, ["output"], {"spikes": spikes_BTCHW})

    return call


def recorded_feeds(subject: Subject) -> list[dict[str, Array]]:
    """Return the products' inputs, a recording each, from the spikes the deployed network fires."""
    run = OnnxRuntimeSequence(1).run(subject.deployed, subject.spikes_BTCHW, record_layers=True)
    names = [layer.name for layer in subject.network.layers]
    taken = dict(
        zip(names, [subject.spikes_BTCHW, *(run.layers_BTN[name] for name in names)], strict=False)
    )
    return [
        product_inputs(
            subject.network, {name: values[index : index + 1] for name, values in taken.items()}
        )
        for index in range(len(subject))
    ]


def densities(subject: Subject, feeds: Sequence[dict[str, Array]]) -> dict[str, float]:
    """Return by layer the share of its product's inputs that are not zero."""
    return {
        layer.name: float(np.mean([np.mean(feed[f"{layer.name}.input"] != 0) for feed in feeds]))
        for layer in subject.network.layers
    }

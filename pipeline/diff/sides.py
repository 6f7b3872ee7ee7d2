"""Each side run on its target: the spikes of every layer, and membranes by the reference.

Axes: `B` recording, `T` time step, `N` neuron, `C` channel, `H` height, `W` width.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from export.errors import HardspikeError
from export.network import Array, decide
from hardware.arriving import delayed
from hardware.layer_states import LayerStates, layer_states
from hardware.reference import run_fixed, run_float
from hardware.targets import TARGETS, TargetOptions
from pipeline.diff.subject import Subject
from pipeline.progress import Reporter

U8 = NDArray[np.uint8]


@dataclass(frozen=True, eq=False)
class Side:
    """What a subject's target gave: the spikes of every layer in order, and the last's output."""

    subject: Subject
    version: str
    input_BTN: U8
    spikes_BTN: tuple[U8, ...]
    outputs_BTN: Array

    @property
    def predictions_B(self) -> NDArray[np.int64]:
        """The class of every recording by the network's own readout."""
        return decide(self.outputs_BTN, self.subject.network.readout)

    def inputs(self, index: int) -> U8:
        """Return what layer `index` read on this side's target, `(B, T, N)`."""
        if index == 0:
            return self.input_BTN
        below = self.subject.network.layers[index - 1]
        return delayed(self.spikes_BTN[index - 1], below.delay_N)

    def states(self, index: int, recording: int) -> LayerStates:
        """Return what the reference makes of layer `index` from this side's own inputs.

        Of one recording, axes `(1, T, N)`: arrays over all of them would be large.
        """
        network = self.subject.network
        return layer_states(
            network.layers[index],
            self.inputs(index)[recording : recording + 1],
            network.shapes[index],
            1 if index else network.input_max,
        )


def run_side(
    subject: Subject, spikes_BTCHW: U8, options: TargetOptions, reporter: Reporter
) -> Side:
    """Run a subject on its target over every recording.

    Raises:
        HardspikeError: the target cannot run here, refuses the file or fails; one line.
    """
    target = TARGETS[subject.target](options)
    here = target.availability()
    if here.reason is not None:
        raise HardspikeError(f"{subject.given}: {subject.target} cannot run here ({here.reason})")
    flat = spikes_BTCHW.reshape(*spikes_BTCHW.shape[:2], -1)
    if subject.runs_in_memory:
        layers, outputs = _run_here(subject, spikes_BTCHW)
        return Side(subject, here.version, flat, layers, outputs)
    with subject.artefacts() as folder, reporter.bar(subject.given, target.unit) as progress:
        run = target.run(folder, spikes_BTCHW, record_layers=True, progress=progress)
    names = [layer.name for layer in subject.network.layers]
    recorded = tuple(run.layers_BTN[name].astype(np.uint8) for name in names)
    return Side(subject, here.version, flat, recorded, run.outputs_BTN)


def _run_here(subject: Subject, spikes_BTCHW: U8) -> tuple[tuple[U8, ...], Array]:
    """Run one recording at a time: sums of floats then have the same order as in `Side.states`."""
    network: Any = subject.network
    run = run_float if subject.is_float else run_fixed
    traces = [run(network, spikes_BTCHW[at : at + 1]) for at in range(len(spikes_BTCHW))]
    layers = tuple(
        np.concatenate([trace.spikes_BTN[layer.name] for trace in traces])
        for layer in network.layers
    )
    ends = [trace.last if network.readout == "count" else trace.membranes_BTN for trace in traces]
    return layers, np.concatenate(ends).astype(np.float64 if subject.is_float else np.int32)

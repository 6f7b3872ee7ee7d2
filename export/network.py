"""The hard-spike network: the one artefact that every file and every target must agree with.

Axes: `T` time steps, `B` batch, `C` channel, `H` height, `W` width, `N` neuron (C·H·W, in that
order), `O` output, `I` input of a weight.

Two networks share one shape. In the float network a neuron is a `LIF`,

    u[t] = τ · u[t−1] · (1 − s[t−1]) + W x[t] + b        hard reset to zero by the previous spike
    s[t] = 1 if u[t] > ϑ else 0                          strictly greater

(under the reset `subtract`, τ · (u[t−1] − ϑ·s[t−1]) is what is kept; with a synaptic current that
keeps the share c a step, i[t] = c·i[t−1] + W x[t] stands in the place of W x[t], or with a filtered
bias i[t] = c·i[t−1] + W x[t] + b in that of W x[t] + b)

and in the fixed-point network a `LoihiLIF`, whose integers are those of Lava's `fixed_pt` CPU
model (`lava/proc/lif/models.py`, lava-nc 0.10.0):

    u[t] = wrap24(trunc(u[t−1] · (4096 − du − 1) / 4096) + (Σ w·s << 6))
    v[t] = clip24(trunc(v[t−1] · (4096 − dv) / 4096) + u[t] + (bias << 6))
    s[t] = v[t] > (vth << 6);    v[t] ← 0 where s[t]        (`subtract`: v[t] − (vth << 6))

with a filtered bias inside of wrap24 instead.

A refractory period of R steps holds the membrane of a neuron that fired at t at zero, without leak,
input or spike, from t + 1 to t + R; its synaptic current goes on. That is Lava's `LIFRefractory`,
which has no fixed-point model.

`x` of a layer is `s` of the layer before at the same step: no layer delay in this time base.
"""

import math
from dataclasses import dataclass
from typing import Any, Generic, Literal, TypeVar

import numpy as np
from numpy.typing import NDArray

from export.errors import HardspikeError
from export.neurons import LIF, RESETS, LoihiLIF, Reset
from export.synapses import Array, Conv, Dense, Shape, Synapse

__all__ = [
    "LIF",
    "READOUTS",
    "RESETS",
    "Array",
    "Conv",
    "Dense",
    "FixedPointNetwork",
    "HardSpikeNetwork",
    "Layer",
    "LoihiLIF",
    "Network",
    "Readout",
    "Reset",
    "Shape",
    "Synapse",
    "decide",
]

Readout = Literal["count", "membrane"]
READOUTS: tuple[Readout, ...] = ("count", "membrane")

NeuronT = TypeVar("NeuronT", LIF, LoihiLIF)


@dataclass(frozen=True, eq=False)
class Layer(Generic[NeuronT]):
    """Synapses and the neurons behind them. `scale` is integer weight per float weight.

    `threshold_N` and `alive_N` are a faulty chip's, and None in a network that was trained: a
    threshold of each neuron's own in the place of `neuron`'s, and 0 for a neuron that takes neither
    input nor bias (its states stay 0, so it never fires), 1 for the others.

    `delay_N` is an axonal delay: neuron n's spike of step t reaches what follows at t + delay.
    `recurrent` adds Wᵣ s[t−1], the layer's own spikes of the step before, to its input; the delay
    is not in it.

    `current_decay_O` and `membrane_decay_O` are c and τ (fixed point: du and dv) of each channel or
    neuron in the place of `neuron`'s, which are then those that keep most: the largest share, the
    least decay.

    A fixed-point layer has one more, which Lava's netx runs: `dendrite_delay_N` holds up what
    neuron n sums (its recurrent part too, its bias not): Σ w·s of step t acts at t + delay.
    """

    name: str
    synapse: Synapse
    neuron: NeuronT
    scale: float = 1.0
    threshold_N: Array | None = None
    alive_N: Array | None = None
    delay_N: Array | None = None
    recurrent: Dense | None = None
    dendrite_delay_N: Array | None = None
    current_decay_O: Array | None = None
    membrane_decay_O: Array | None = None

    @property
    def features(self) -> tuple[str, ...]:
        """What the layer has beyond a synapse and a neuron that a spike resets to zero."""
        conv = self.synapse if isinstance(self.synapse, Conv) else None
        found = {
            "subtractive reset": self.neuron.reset != "zero",
            "refractory period": self.neuron.refractory > 0,
            "filtered bias": self.neuron.bias_filtered,
            "dilation": conv is not None and conv.dilation != (1, 1),
            "groups": conv is not None and conv.groups != 1,
            "recurrence": self.recurrent is not None,
            "axonal delay": self.delay_N is not None,
            "dendritic delay": self.dendrite_delay_N is not None,
            "decays of each channel": self.current_decay_O is not None
            or self.membrane_decay_O is not None,
        }
        return tuple(name for name, there in found.items() if there)

    @property
    def is_faulty(self) -> bool:
        """Whether single neurons differ from the layer's."""
        return self.threshold_N is not None or self.alive_N is not None


@dataclass(frozen=True, eq=False)
class Network(Generic[NeuronT]):
    """A stack of layers over binary (or small integer) input spikes.

    `input_shape` is (C, H, W). `steps` is T and `dt` the length of a step in seconds. A readout of
    `count` sums the spikes of the last layer over the steps; `membrane` takes the last layer's
    membrane after the last step. The class is the index of the largest value; ties go to the lower
    index. `input_max` is the largest input value: 1 for spikes, up to 255 for counts.

    Raises:
        HardspikeError: no layer, shapes that do not meet, two layers of one name, or an unknown
            readout.
    """

    input_shape: tuple[int, int, int]
    layers: tuple[Layer[NeuronT], ...]
    readout: Readout
    steps: int
    dt: float
    classes: tuple[str, ...] = ()
    input_max: int = 1

    def __post_init__(self) -> None:
        if self.readout not in READOUTS:
            raise HardspikeError(f"readout: found {self.readout!r}, allowed {', '.join(READOUTS)}")
        if not self.layers:
            raise HardspikeError("layers: found none, at least one is needed")
        names = [layer.name for layer in self.layers]
        if len(set(names)) != len(names):
            raise HardspikeError(f"layers: names must differ, found {', '.join(names)}")
        if not 1 <= self.input_max <= 255:
            raise HardspikeError(f"input_max: found {self.input_max}, allowed 1 to 255")
        if self.steps < 1 or not 0 < self.dt < math.inf:
            raise HardspikeError(
                f"steps and dt: found {self.steps} and {self.dt}, both must be positive"
            )
        self._check_single_neurons()
        self._check_delays_and_recurrence()
        outputs = math.prod(self.shapes[-1])
        if self.classes and len(self.classes) != outputs:
            raise HardspikeError(
                f"classes: found {len(self.classes)}, the last layer has {outputs} neurons"
            )

    def _check_single_neurons(self) -> None:
        for layer, shape in zip(self.layers, self.shapes[1:], strict=True):
            for name, values_N in (("threshold_N", layer.threshold_N), ("alive_N", layer.alive_N)):
                if values_N is None:
                    continue
                if not isinstance(layer.neuron, LoihiLIF):
                    raise HardspikeError(
                        f"layer {layer.name}: {name}: allowed in a fixed-point network only"
                    )
                if values_N.shape != (math.prod(shape),):
                    raise HardspikeError(
                        f"layer {layer.name}: {name}: found shape {values_N.shape}, "
                        f"allowed ({math.prod(shape)},)"
                    )

    def _check_delays_and_recurrence(self) -> None:
        for layer, shape in zip(self.layers, self.shapes[1:], strict=True):
            neurons, fixed = math.prod(shape), isinstance(layer.neuron, LoihiLIF)
            if layer.neuron.bias_filtered and layer.synapse.bias_O is None:
                raise HardspikeError(
                    f"layer {layer.name}: bias_filtered: found without a bias, allowed with one"
                )
            _check_whole(layer, "delay_N", neurons)
            recurrent = layer.recurrent
            if recurrent is not None and recurrent.weight_OI.shape != (neurons, neurons):
                raise HardspikeError(
                    f"layer {layer.name}: recurrent: found weights of shape "
                    f"{recurrent.weight_OI.shape}, allowed ({neurons}, {neurons})"
                )
            _check_decays(layer, "current_decay")
            _check_decays(layer, "membrane_decay")
            if not fixed:
                if layer.dendrite_delay_N is not None:
                    raise HardspikeError(
                        f"layer {layer.name}: dendrite_delay_N: allowed in a fixed-point network "
                        "only"
                    )
                continue
            if recurrent is not None and layer.alive_N is not None:
                raise HardspikeError(
                    f"layer {layer.name}: alive_N: allowed only without recurrent synapses"
                )
            if recurrent is not None and recurrent.bias_O is not None:
                raise HardspikeError(
                    f"layer {layer.name}: recurrent: found a bias, allowed only in the synapse"
                )
            _check_whole(layer, "dendrite_delay_N", neurons)

    @property
    def shapes(self) -> tuple[Shape, ...]:
        """The shape of the input and of every layer's output, in order."""
        shapes: list[Shape] = [self.input_shape]
        for layer in self.layers:
            try:
                shapes.append(layer.synapse.output_shape(shapes[-1]))
            except HardspikeError as error:
                raise HardspikeError(f"layer {layer.name}: {error}") from error
        return tuple(shapes)


def _check_whole(layer: Layer[Any], field: str, size: int) -> None:
    """Raise unless the field is None or integers from 0, `size` of them."""
    values = getattr(layer, field)
    if values is None:
        return
    if values.shape != (size,) or values.dtype.kind not in "iu" or values.min() < 0:
        raise HardspikeError(
            f"layer {layer.name}: {field}: found {values.dtype} of shape {values.shape}, "
            f"allowed integers from 0 of shape ({size},)"
        )


def _check_decays(layer: Layer[Any], field: str) -> None:
    """Raise unless the decay that keeps most is the neuron's, by which states are bounded."""
    values, neuron, outputs = getattr(layer, f"{field}_O"), layer.neuron, len(layer.synapse.weight)
    if values is None:
        return
    fixed = isinstance(neuron, LoihiLIF)
    own = getattr(neuron, "decay" if field == "membrane_decay" and not fixed else field)
    kinds, numbers, most = ("iu", "integers", "least") if fixed else ("f", "floats", "largest")
    fits = values.shape == (outputs,) and values.dtype.kind in kinds
    fits = fits and (fixed or values.min() >= 0)
    if not fits or own != (values.min() if fixed else values.max()):
        raise HardspikeError(
            f"layer {layer.name}: {field}_O: found {values.dtype} of shape {values.shape}, "
            f"allowed {numbers} of shape ({outputs},), the {most} of them {own}"
        )


HardSpikeNetwork = Network[LIF]
FixedPointNetwork = Network[LoihiLIF]


def decide(outputs_BTN: Array, readout: Readout) -> NDArray[np.int64]:
    """Return the class of each sample, `(B,)`, from the last layer's output at every step.

    For `count` the outputs are spikes and their sum decides, for `membrane` they are membranes and
    the last step decides. Ties go to the lower class index.
    """
    evidence_BN = outputs_BTN.sum(axis=1) if readout == "count" else outputs_BTN[:, -1]
    return np.asarray(evidence_BN.argmax(axis=1), dtype=np.int64)

"""The hard-spike network: the one artefact that every file and every target must agree with.

Axes: `T` time steps, `B` batch, `C` channel, `H` height, `W` width, `N` neuron (C·H·W, in that
order), `O` output, `I` input of a weight.

Two networks share one shape. In the float network a neuron is a `LIF`,

    u[t] = τ · u[t−1] · (1 − s[t−1]) + W x[t] + b        hard reset to zero by the previous spike
    s[t] = 1 if u[t] > ϑ else 0                          strictly greater

(under the reset `subtract`, τ · (u[t−1] − ϑ·s[t−1]) is what is kept; with a synaptic current that
keeps the share c a step, i[t] = c·i[t−1] + W x[t] stands in the place of W x[t])

and in the fixed-point network a `LoihiLIF`, whose integers are those of Lava's `fixed_pt` CPU
model (`lava/proc/lif/models.py`, lava-nc 0.10.0):

    u[t] = wrap24(trunc(u[t−1] · (4096 − du − 1) / 4096) + (Σ w·s << 6))
    v[t] = clip24(trunc(v[t−1] · (4096 − dv) / 4096) + u[t] + (bias << 6))
    s[t] = v[t] > (vth << 6);    v[t] ← 0 where s[t]        (`subtract`: v[t] − (vth << 6))

`x` of a layer is `s` of the layer before at the same step: no layer delay in this time base.
"""

import math
from dataclasses import dataclass
from typing import Any, Generic, Literal, TypeVar

import numpy as np
from numpy.typing import NDArray

from export.errors import HardspikeError

Readout = Literal["count", "membrane"]
READOUTS: tuple[Readout, ...] = ("count", "membrane")
Reset = Literal["zero", "subtract"]
RESETS: tuple[Reset, ...] = ("zero", "subtract")
Array = NDArray[Any]
Shape = tuple[int, ...]


@dataclass(frozen=True)
class LIF:
    """A leaky integrate-and-fire neuron of the float network.

    `decay` is τ, the share of the membrane kept a step, in [0, 1]; 0 is a threshold without memory,
    which only the float network has. `threshold` is ϑ, in units of the membrane; infinity makes an
    integrator that never fires (the `membrane` readout). A spike takes the membrane to zero, or ϑ
    off it (`reset`). `current_decay` is the share of the synaptic current kept a step, in [0, 1);
    0 leaves a step's input alone. The bias acts on the membrane, behind that filter.
    """

    decay: float
    threshold: float
    reset: Reset = "zero"
    current_decay: float = 0.0

    def __post_init__(self) -> None:
        if not 0 <= self.decay <= 1:
            raise HardspikeError(f"decay: found {self.decay}, allowed from 0 to 1")
        if not self.threshold > 0:
            raise HardspikeError(f"threshold: found {self.threshold}, allowed above 0")
        if self.reset not in RESETS:
            raise HardspikeError(f"reset: found {self.reset!r}, allowed {', '.join(RESETS)}")
        if not 0 <= self.current_decay < 1:
            raise HardspikeError(
                f"current_decay: found {self.current_decay}, allowed from 0 to below 1"
            )

    @property
    def fires(self) -> bool:
        """Whether the neuron has a threshold at all."""
        return math.isfinite(self.threshold)


@dataclass(frozen=True)
class LoihiLIF:
    """A neuron of the fixed-point network, in the registers of Loihi.

    `current_decay` is du and `membrane_decay` is dv, both in 1/4096 a step (du gets +1, dv does
    not); `threshold` is vth, compared after a shift by 6 bits. du = 4095 removes the synaptic
    current filter: the current of a step is then that step's input alone. A spike takes the
    membrane to zero, or vth << 6 off it (`reset`).
    """

    membrane_decay: int
    threshold: int
    current_decay: int = 4095
    reset: Reset = "zero"


NeuronT = TypeVar("NeuronT", LIF, LoihiLIF)


@dataclass(frozen=True, eq=False)
class Dense:
    """Every input to every neuron: `weight_OI`, and `bias_O` or None."""

    weight_OI: Array
    bias_O: Array | None = None

    @property
    def weight(self) -> Array:
        """The weights, output first."""
        return self.weight_OI

    def output_shape(self, input_shape: Shape) -> Shape:
        """Return `(O,)`.

        Raises:
            HardspikeError: the inputs do not number I.
        """
        found, expected = math.prod(input_shape), self.weight_OI.shape[1]
        if found != expected:
            raise HardspikeError(f"dense weight: takes {expected} inputs, found {found}")
        return (self.weight_OI.shape[0],)


@dataclass(frozen=True, eq=False)
class Conv:
    """A two-dimensional cross-correlation, as `torch.nn.functional.conv2d` has it.

    `weight_OIHW`, `bias_O` (one a channel) or None; `stride`, `padding` and `dilation` are (H, W).
    Of `groups`, each has an equal share of the input's and of the output's channels; I of the
    weight is the share of one.
    """

    weight_OIHW: Array
    bias_O: Array | None = None
    stride: tuple[int, int] = (1, 1)
    padding: tuple[int, int] = (0, 0)
    dilation: tuple[int, int] = (1, 1)
    groups: int = 1

    @property
    def weight(self) -> Array:
        """The weights, output first."""
        return self.weight_OIHW

    def output_shape(self, input_shape: Shape) -> Shape:
        """Return (C, H, W) after the convolution: (size + 2·padding − reach) // stride + 1.

        A kernel reaches over dilation·(kernel − 1) + 1.

        Raises:
            HardspikeError: the input is not (C, H, W), has other channels, or is too small; the
                groups do not divide the output's channels.
        """
        outputs, share = self.weight_OIHW.shape[:2]
        if self.groups < 1 or outputs % self.groups:
            raise HardspikeError(
                f"conv groups: found {self.groups}, allowed a divisor of {outputs} output channels"
            )
        channels = share * self.groups
        kernel = tuple(
            gap * (taps - 1) + 1
            for gap, taps in zip(self.dilation, self.weight_OIHW.shape[2:], strict=True)
        )
        if len(input_shape) != 3 or input_shape[0] != channels:
            raise HardspikeError(
                f"conv weight: takes ({channels}, H, W), found an input of {input_shape}"
            )
        size = tuple(
            (input_shape[1 + axis] + 2 * self.padding[axis] - kernel[axis]) // self.stride[axis] + 1
            for axis in (0, 1)
        )
        if min(size) < 1:
            raise HardspikeError(
                f"conv kernel: {kernel[0]}×{kernel[1]} does not fit an input of "
                f"{input_shape[1]}×{input_shape[2]} with padding {self.padding}"
            )
        return (self.weight_OIHW.shape[0], *size)


Synapse = Dense | Conv


@dataclass(frozen=True, eq=False)
class Layer(Generic[NeuronT]):
    """Synapses and the neurons behind them. `scale` is integer weight per float weight.

    `threshold_N` and `alive_N` are a faulty chip's, and None in a network that was trained: a
    threshold of each neuron's own in the place of `neuron`'s, and 0 for a neuron that takes neither
    input nor bias (its states stay 0, so it never fires), 1 for the others.

    `delay_N` is an axonal delay: neuron n's spike of step t reaches what follows at t + delay.
    `recurrent` adds Wᵣ s[t−1], the layer's own spikes of the step before, to its input; the delay
    is not in it.

    A fixed-point layer has three more, all of which Lava's netx runs. `dendrite_delay_N` holds up
    what neuron n sums (its recurrent part too, its bias not): Σ w·s of step t acts at t + delay.
    `current_decay_O` and `membrane_decay_O` are du and dv of each channel or neuron in the place of
    `neuron`'s, which are then the least of them.
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
            _check_whole(layer, "delay_N", neurons)
            recurrent = layer.recurrent
            if recurrent is not None and recurrent.weight_OI.shape != (neurons, neurons):
                raise HardspikeError(
                    f"layer {layer.name}: recurrent: found weights of shape "
                    f"{recurrent.weight_OI.shape}, allowed ({neurons}, {neurons})"
                )
            if not fixed:
                _refuse(layer, "dendrite_delay_N", "current_decay_O", "membrane_decay_O")
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
            _check_decays(layer, "current_decay")
            _check_decays(layer, "membrane_decay")

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
    """Raise unless the least decay of a channel is the neuron's, by which states are bounded."""
    values, own = getattr(layer, f"{field}_O"), getattr(layer.neuron, field)
    outputs = len(layer.synapse.weight)
    if values is None:
        return
    if values.shape != (outputs,) or values.dtype.kind not in "iu" or values.min() != own:
        raise HardspikeError(
            f"layer {layer.name}: {field}_O: found {values.dtype} of shape {values.shape}, "
            f"allowed integers of shape ({outputs},), the least of them {own}"
        )


def _refuse(layer: Layer[Any], *fields: str) -> None:
    for field in fields:
        if getattr(layer, field) is not None:
            raise HardspikeError(
                f"layer {layer.name}: {field}: allowed in a fixed-point network only"
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

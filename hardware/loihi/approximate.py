"""The nearest network that Lava's neuron runs in the place of one with subtractive reset.

Lava's neuron resets to zero alone. Each layer with a subtractive reset gets a stand-in of one of
two ways:

    threshold    a reset to zero takes off what lies above ϑ too, so that the layer fires too
                 rarely; at ϑ′ = k·ϑ, k ≤ 1, it fires about as often. Spikes in successive steps
                 from one large input are lost in any case.
    inhibition   the membrane is kept in the synaptic current, which no spike resets, and a spike
                 takes ϑ off it through a synapse of the neuron's own:

                     u[t] = τ·u[t−1] + Σ w·x[t] − r·s[t−1],   r = τ·ϑ
                     v[t] = u[t] + bias′,   bias′ = bias / (1 − τ)      (dv = 4096: v keeps nothing)

                 which is the subtractive neuron itself but for rounding. r is an even weight of at
                 most 254, and a layer with a larger ϑ is scaled down to it; a bias acts as if it
                 had done so for ever; u wraps at its register's end, where v is clipped.

`inhibition` needs a dense layer without a synaptic current or a dendritic delay, of at most
`WIDEST` neurons, and a leak where it has a bias: netx has no recurrent convolution.

From the input on, each layer takes the stand-in (of `FACTORS` and, where it can be had,
inhibition) that gives the fewest spikes other than the true layer's on the recordings, the stand-
ins of the layers before giving the input of the one and the true layers that of the other. That is
greedy, no search over all layers together, and says nothing of recordings of another kind.

Axes: `B` recording, `T` time step, `C` channel, `H` height, `W` width, `N` neuron, `O` output.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from export.bounds import DECAY_ONE, largest_sum
from export.errors import HardspikeError
from export.network import Array, Dense, FixedPointNetwork, Layer, LoihiLIF, Shape
from export.neurons import NO_CURRENT
from export.registers import BIAS
from hardware.arriving import delayed, neuron_bias, synapse_product
from hardware.loihi.limits import check_limits
from hardware.reference import chunk_size, fixed_states, loihi_layer
from hardware.target import Progress, no_progress

Approximation = Literal["reset"]
"""What may be approximated on request."""
FACTORS = tuple(2.0 ** (-eighth / 8) for eighth in range(25))
"""k, from 1 to 1/8, 9% apart."""
WIDEST = 1024
"""Neurons of a layer up to which its own synapses, a square matrix, are written."""
_LARGEST_INHIBITION = 254
U8 = NDArray[np.uint8]


def subtracts(network: FixedPointNetwork) -> bool:
    """Whether a layer has a subtractive reset."""
    return any(layer.neuron.reset == "subtract" for layer in network.layers)


def plain_reset(network: FixedPointNetwork) -> FixedPointNetwork:
    """Return the network with every reset to zero and all else as it is, to measure against."""
    layers = (
        replace(layer, neuron=replace(layer.neuron, reset="zero")) for layer in network.layers
    )
    return replace(network, layers=tuple(layers))


def approximate_reset(
    network: FixedPointNetwork, spikes_BTCHW: U8, progress: Progress = no_progress
) -> FixedPointNetwork:
    """Return `network` with a stand-in for every layer that resets by subtraction.

    The recordings choose the stand-ins; the same ones give the same network. Progress counts
    layers.

    Raises:
        HardspikeError: no layer has a subtractive reset, or Lava cannot run the network for other
            reasons (one line each).
    """
    if not subtracts(network):
        raise HardspikeError(
            "approximate: found reset, and no layer has a subtractive reset; allowed is none"
        )
    size, flat_BTN = chunk_size(network), spikes_BTCHW.reshape(*spikes_BTCHW.shape[:2], -1)
    true_x = given_x = [flat_BTN[at : at + size] for at in range(0, len(flat_BTN), size)]
    found = network
    for index, layer in enumerate(network.layers):
        work = _Work(network.shapes[index], 1 if index else network.input_max)
        true_s = given_s = [work.spikes(layer, x_BTN) for x_BTN in true_x]
        if layer.neuron.reset == "subtract":
            found = _with(found, index, work.nearest(_candidates(found, index), given_x, true_s))
        if found is not network:
            given_s = [work.spikes(found.layers[index], x_BTN) for x_BTN in given_x]
        true_x = [delayed(s_BTN, layer.delay_N) for s_BTN in true_s]
        given_x = [delayed(s_BTN, layer.delay_N) for s_BTN in given_s]
        progress(index + 1, len(network.layers))
    check_limits(found)
    return found


@dataclass(frozen=True)
class _Work:
    """Runs layers that read an input of `shape`, its values up to `largest`."""

    shape: Shape
    largest: int

    def drive(self, layer: Layer[LoihiLIF], x_BTN: Array) -> Array:
        """Return Σ w·x, `(B, T, N)`, exact."""
        dtype = np.float32 if largest_sum(layer, self.largest) < (1 << 24) else np.float64
        return synapse_product(layer.synapse, x_BTN, self.shape, dtype)

    def spikes(self, layer: Layer[LoihiLIF], x_BTN: Array) -> U8:
        """Return the spikes of a layer, `(B, T, N)`."""
        return _fired(layer, self.drive(layer, x_BTN))

    def nearest(
        self, candidates: Iterable[Layer[LoihiLIF]], inputs: Sequence[U8], wanted: Sequence[U8]
    ) -> Layer[LoihiLIF]:
        """Return the candidate with the fewest spikes that are not as wanted, the first of them."""
        layers = tuple(candidates)
        differing = [0] * len(layers)
        for x_BTN, wanted_BTN in zip(inputs, wanted, strict=True):
            synapse, drive_BTN = None, np.zeros(0)
            for index, layer in enumerate(layers):
                if layer.synapse is not synapse:  # thresholds share it
                    synapse, drive_BTN = layer.synapse, self.drive(layer, x_BTN)
                differing[index] += int((_fired(layer, drive_BTN) != wanted_BTN).sum())
        return layers[differing.index(min(differing))]


def _fired(layer: Layer[LoihiLIF], drive_BTN: Array) -> U8:
    bias_N = neuron_bias(layer.synapse, drive_BTN.shape[-1])
    return loihi_layer(drive_BTN, bias_N, layer).spikes_BTN


def _candidates(network: FixedPointNetwork, index: int) -> Iterator[Layer[LoihiLIF]]:
    """Yield stand-ins for a layer; the first one keeps its threshold."""
    layer, vth = network.layers[index], network.layers[index].neuron.threshold
    factors = FACTORS
    if network.readout == "membrane" and index == len(network.layers) - 1:
        factors = (1.0,)  # it is read and not meant to fire
    for threshold in dict.fromkeys(max(min(vth, 1), round(vth * factor)) for factor in factors):
        yield replace(layer, neuron=replace(layer.neuron, reset="zero", threshold=threshold))
    inhibited = inhibiting(layer) if len(factors) > 1 else None
    if inhibited is not None and _runs(_with(network, index, inhibited), layer.name):
        yield inhibited


def inhibiting(layer: Layer[LoihiLIF]) -> Layer[LoihiLIF] | None:
    """Return the layer with its reset as inhibition of its own; None where that cannot be had."""
    neuron, synapse, kept = layer.neuron, layer.synapse, DECAY_ONE - layer.neuron.membrane_decay
    plain = (
        isinstance(synapse, Dense)
        # Anything else that a neuron may have is the membrane's, which is kept elsewhere here.
        and neuron == LoihiLIF(neuron.membrane_decay, neuron.threshold, NO_CURRENT, "subtract")
        and layer.current_decay_O is None
        and layer.membrane_decay_O is None
        and layer.dendrite_delay_N is None
        and not layer.is_faulty
    )
    if not plain or not isinstance(synapse, Dense) or len(synapse.weight_OI) > WIDEST or kept == 0:
        return None
    taken = neuron.threshold * kept / DECAY_ONE
    factor = min(1.0, _LARGEST_INHIBITION / taken) if taken else 1.0
    bias_O = synapse.bias_O
    if bias_O is not None and bias_O.any():
        if kept == DECAY_ONE:
            return None  # without a leak it would grow for ever
        bias_O = np.rint(bias_O * (factor * DECAY_ONE / (DECAY_ONE - kept))).astype(np.int32)
        if BIAS.fault(bias_O) is not None:
            return None
    own_OO = -2 * round(taken * factor / 2) * np.eye(len(synapse.weight_OI), dtype=np.int32)
    if layer.recurrent is not None:
        own_OO += _even(layer.recurrent.weight_OI, factor)
    return replace(
        layer,
        synapse=Dense(_even(synapse.weight_OI, factor), bias_O),
        neuron=LoihiLIF(DECAY_ONE, round(neuron.threshold * factor), DECAY_ONE - kept - 1),
        scale=layer.scale * factor,
        recurrent=Dense(own_OO),
    )


def _even(weight: Array, factor: float) -> Array:
    return weight if factor == 1 else (2 * np.rint(weight * (factor / 2))).astype(np.int32)


def _runs(network: FixedPointNetwork, name: str) -> bool:
    """Whether netx and Lava have all that the layer of a name is made of."""
    try:
        check_limits(network)
    except HardspikeError as error:
        return not any(line.startswith(f"layer {name}: ") for line in str(error).splitlines())
    return True


def _with(network: FixedPointNetwork, index: int, layer: Layer[LoihiLIF]) -> FixedPointNetwork:
    layers = (*network.layers[:index], layer, *network.layers[index + 1 :])
    return replace(network, layers=layers)


@dataclass(frozen=True)
class StandIn:
    """What stands for a layer, and the share of its spikes that differ from the true layer's.

    `factor` is the threshold's, None for inhibition; `worst` is the share in the recording in which
    most differ.
    """

    layer: str
    factor: float | None
    differing: float
    worst: float

    @property
    def says(self) -> str:
        """The way, in words."""
        if self.factor is None:
            return "a spike takes the threshold off through a synapse of its own"
        if self.factor == 1:
            return "a spike resets to zero, at the same threshold"
        return f"a spike resets to zero, at {self.factor:.3g} of the threshold"


@dataclass(frozen=True, eq=False)
class Disagreement:
    """How far a network with stand-ins is from the true one, by the reference.

    `layers` has every layer that a stand-in reaches, `outputs_BTN` what the network gives.
    """

    layers: tuple[StandIn, ...]
    outputs_BTN: NDArray[np.int32]


def disagreement(
    network: FixedPointNetwork, stand_in: FixedPointNetwork, spikes_BTCHW: U8
) -> Disagreement:
    """Run both networks over recordings and compare every layer's spikes, recording by recording.

    A layer without a stand-in of its own, behind one that has, is there with a factor of 1.

    Raises:
        HardspikeError: the networks are not of the same layers.
    """
    for what, one, other in (
        ("layers", *([layer.name for layer in each.layers] for each in (network, stand_in))),
        ("shapes", network.shapes, stand_in.shapes),
        ("readout", network.readout, stand_in.readout),
        ("steps", network.steps, stand_in.steps),
    ):
        if one != other:
            raise HardspikeError(f"approximated network: {what}: found {other}, allowed {one}")
    size, differing, outputs = chunk_size(network), [], []
    for start in range(0, len(spikes_BTCHW), size):
        part = spikes_BTCHW[start : start + size]
        shares: list[Array] = []
        last: Array = np.zeros(0)
        states = zip(fixed_states(network, part), fixed_states(stand_in, part), strict=True)
        for true, given in states:
            shares.append((true.spikes_BTN != given.spikes_BTN).mean(axis=(1, 2)))
            last = given.spikes_BTN if network.readout == "count" else given.membranes_BTN
        differing.append(np.stack(shares))
        outputs.append(last)
    share_LB = np.concatenate(differing, axis=1)
    layers = tuple(
        StandIn(true.name, _factor(true, given), float(share_B.mean()), float(share_B.max()))
        for true, given, share_B in zip(network.layers, stand_in.layers, share_LB, strict=True)
    )
    return Disagreement(layers, np.concatenate(outputs).astype(np.int32))


def _factor(true: Layer[LoihiLIF], given: Layer[LoihiLIF]) -> float | None:
    own: Any = given.recurrent is not None and given.neuron.membrane_decay == DECAY_ONE
    if own and true.neuron.membrane_decay != DECAY_ONE:
        return None
    return given.neuron.threshold / true.neuron.threshold if true.neuron.threshold else 1.0

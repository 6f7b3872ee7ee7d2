"""Faults of a chip, put into a deployed fixed-point network.

Axes: `N` neuron of a layer (C·H·W, in that order), `O` output, `I` input of a weight.

A fault is drawn for every weight or neuron on its own, from a seed, the number of the draw, the
fault's name and the layer's, so that networks of one shape get the same faults. One fault at
several severities draws the same numbers: what a small share breaks, a larger one breaks too.

What a file can say. Stuck and flipped weights are weights, and a threshold a layer is a threshold:
such networks run on every target. A dead neuron of a dense layer is a row of zeros, and runs
everywhere too. A dead neuron of a convolution shares its kernel with those beside it, and a
threshold of each neuron's own has no place in Lava's neuron: `export.network.Layer` has fields for
these, which `reference` and both ONNX forms run and `loihi` refuses by name.

Weights. A stored integer weight is step · level, step = 2^(9 − bits), with levels in two's
complement of `weight_bits` bits, −2^(bits−1) to 2^(bits−1) − 1: the range that conversion fills,
of which 8 bits are Loihi's. A flipped bit is one of these bits, the sign's included. A pruned
weight is stored as 0, and flips like any other. A kernel is stored once, so its fault is one of all
of its channel's neurons.
"""

import hashlib
import math
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from export.errors import HardspikeError
from export.network import Array, Conv, Dense, FixedPointNetwork, Layer, LoihiLIF, Shape, Synapse
from export.registers import THRESHOLD

FixedLayer = Layer[LoihiLIF]


@dataclass(frozen=True)
class Draw:
    """Which draw of a fault: `seed`, and `number` among several draws of one seed."""

    seed: int
    number: int = 0

    def generator(self, fault: str, layer: str) -> np.random.Generator:
        """Return the random numbers of one fault in one layer."""
        identity = hashlib.sha256(f"{fault}\n{layer}".encode()).digest()
        return np.random.default_rng([self.seed, self.number, int.from_bytes(identity)])


def dead_neurons(network: FixedPointNetwork, share: float, draw: Draw) -> FixedPointNetwork:
    """Kill each neuron with probability `share`: its states stay 0 and it never fires.

    Of a `membrane` readout the neurons can die too; 0 is then what is read from them.
    """

    def broken(layer: FixedLayer, shape: Shape) -> FixedLayer:
        dead_N = draw.generator("dead_neurons", layer.name).random(math.prod(shape)) < share
        if not dead_N.any():
            return layer
        if isinstance(layer.synapse, Conv):
            return replace(layer, alive_N=(~dead_N).astype(np.uint8))
        return replace(layer, synapse=_without_rows(layer.synapse, dead_N))

    return _each_layer(network, broken)


def _without_rows(synapse: Dense, dead_O: NDArray[np.bool_]) -> Dense:
    weight_OI = np.where(dead_O[:, None], 0, synapse.weight_OI).astype(synapse.weight_OI.dtype)
    bias_O = synapse.bias_O
    if bias_O is not None:
        bias_O = np.where(dead_O, 0, bias_O).astype(bias_O.dtype)
    return Dense(weight_OI, bias_O)


def stuck_weights(
    network: FixedPointNetwork, at_zero: float, at_largest: float, weight_bits: int, draw: Draw
) -> FixedPointNetwork:
    """Fix each weight at 0 with probability `at_zero`, at the largest level with `at_largest`.

    The largest level is 2^(bits−1) − 1, positive. The two shares exclude each other.

    Raises:
        HardspikeError: a layer's weights are not of `weight_bits` bits.
    """
    top = (1 << (weight_bits - 1)) - 1

    def broken(layer: FixedLayer, shape: Shape) -> FixedLayer:
        levels = _levels(layer, weight_bits)
        fate = draw.generator("stuck_weights", layer.name).random(levels.shape)
        stuck = np.where(fate < at_zero, 0, levels)
        return _with_levels(layer, np.where(fate >= 1 - at_largest, top, stuck), weight_bits)

    return _each_layer(network, broken)


def bit_flips(
    network: FixedPointNetwork, probability: float, weight_bits: int, draw: Draw
) -> FixedPointNetwork:
    """Flip each of the `weight_bits` bits of every weight with this probability.

    Raises:
        HardspikeError: a layer's weights are not of `weight_bits` bits.
    """

    def broken(layer: FixedLayer, shape: Shape) -> FixedLayer:
        levels = _levels(layer, weight_bits)
        generator = draw.generator("bit_flips", layer.name)
        flipped = np.zeros(levels.shape, np.int64)
        for bit in range(weight_bits):
            flipped |= (generator.random(levels.shape) < probability).astype(np.int64) << bit
        return _with_levels(layer, _signed(levels ^ flipped, weight_bits), weight_bits)

    return _each_layer(network, broken)


def _signed(words: NDArray[np.int64], bits: int) -> NDArray[np.int64]:
    """Return the numbers whose lowest `bits` bits, in two's complement, are those of `words`."""
    half = 1 << (bits - 1)
    return ((words + half) & ((1 << bits) - 1)) - half


def threshold_drift(
    network: FixedPointNetwork, relative_sd: float, draw: Draw, *, by_neuron: bool
) -> FixedPointNetwork:
    """Multiply thresholds by 1 + `relative_sd` · n, n standard normal: of each neuron or layer.

    Rounded, and kept within 0 and the register's 131071. A `membrane` readout's neurons never fire:
    their layer is left alone.
    """

    def broken(layer: FixedLayer, shape: Shape) -> FixedLayer:
        if network.readout == "membrane" and layer is network.layers[-1]:
            return layer
        generator = draw.generator("threshold_drift", layer.name)
        normal_N = generator.standard_normal(math.prod(shape) if by_neuron else 1)
        drifted_N = np.rint(layer.neuron.threshold * (1 + relative_sd * normal_N))
        threshold_N = np.clip(drifted_N, THRESHOLD.minimum, THRESHOLD.maximum).astype(np.int64)
        if by_neuron:
            return replace(layer, threshold_N=threshold_N)
        return replace(layer, neuron=replace(layer.neuron, threshold=int(threshold_N[0])))

    return _each_layer(network, broken)


def _each_layer(
    network: FixedPointNetwork, broken: Callable[[FixedLayer, Shape], FixedLayer]
) -> FixedPointNetwork:
    for layer in network.layers:
        if layer.recurrent is not None:
            raise HardspikeError(
                f"layer {layer.name}: found recurrence, allowed are faults in layers without"
            )
    pairs = zip(network.layers, network.shapes[1:], strict=True)
    return replace(network, layers=tuple(broken(layer, shape) for layer, shape in pairs))


def _levels(layer: FixedLayer, bits: int) -> NDArray[np.int64]:
    """Return the layer's weights in units of their step."""
    step, half = 1 << (9 - bits), 1 << (bits - 1)
    levels, rest = np.divmod(layer.synapse.weight.astype(np.int64), step)
    wrong = (rest != 0) | (levels < -half) | (levels >= half)
    if wrong.any():
        raise HardspikeError(
            f"layer {layer.name}: weight: found {layer.synapse.weight[wrong].flat[0]}, allowed at "
            f"{bits} bits are multiples of {step} from {-half * step} to {(half - 1) * step}"
        )
    return levels


def _with_levels(layer: FixedLayer, levels: Array, bits: int) -> FixedLayer:
    weight = (levels << (9 - bits)).astype(layer.synapse.weight.dtype)
    synapse: Synapse = (
        replace(layer.synapse, weight_OIHW=weight)
        if isinstance(layer.synapse, Conv)
        else replace(layer.synapse, weight_OI=weight)
    )
    return replace(layer, synapse=synapse)

"""From the hard float network to Loihi's integers.

Axes: `O` output, `I` input. Per layer one scale k (integer weight per float weight):

    step = 2^(9 − bits)                                weights are even at 8 bits, coarser below
    W′ = step · round(k·W / step)                      in −256 … 256 − step
    bias′ = round(k·b)                                 the mantissa; its exponent of 6 is the
                                                       alignment that Σ W′s gets too
    vth = round(k·ϑ)                                   compared after the same alignment
    dv = round(4096 · (1 − τ)),  du = 4095             no synaptic current filter

k is the largest that keeps the largest weight, the bias, the threshold and the accumulator Σ|W′|x
inside their registers. The current, Σ W′x shifted left by 6, may still wrap on rare inputs; the
evaluation counts how often it did.
"""

import numpy as np

from export.bounds import DECAY_ONE
from export.errors import HardspikeError
from export.network import (
    LIF,
    Array,
    Conv,
    Dense,
    FixedPointNetwork,
    HardSpikeNetwork,
    Layer,
    LoihiLIF,
    Synapse,
)
from export.registers import BIAS, MEMBRANE_DECAY, THRESHOLD, WEIGHT
from hardware.loihi.limits import ACCUMULATOR_MAX, check_limits

_READOUT_HEADROOM = 4


def discretize(
    network: HardSpikeNetwork, weight_bits: int = 8, largest_readout: float = 0.0
) -> FixedPointNetwork:
    """Return the fixed-point network of `network`, with weights of `weight_bits` bits.

    `largest_readout` is the largest |membrane| that a `membrane` readout showed on recordings: its
    layer has no threshold of its own, so the register's largest stands for it, and the scale leaves
    four times that membrane below it.

    Raises:
        HardspikeError: a layer cannot be represented; one line a violation with layer and limit.
    """
    layers, faults = [], []
    for index, layer in enumerate(network.layers):
        input_max = 1 if index else network.input_max
        try:
            layers.append(_discretize_layer(layer, weight_bits, largest_readout, input_max))
        except HardspikeError as error:
            faults.append(f"layer {layer.name}: {error}")
    if faults:
        raise HardspikeError(*faults)
    fixed = FixedPointNetwork(
        network.input_shape,
        tuple(layers),
        network.readout,
        network.steps,
        network.dt,
        network.classes,
        network.input_max,
    )
    check_limits(fixed)
    return fixed


def _discretize_layer(
    layer: Layer[LIF], weight_bits: int, largest_readout: float, input_max: int
) -> Layer[LoihiLIF]:
    step = 1 << (9 - weight_bits)
    scale, limit = _scale(layer, step, largest_readout, input_max)
    weight = _rounded(layer.synapse.weight, scale, step)
    while (total := _largest_sum(weight) * input_max) > ACCUMULATOR_MAX:
        scale *= min(0.99, ACCUMULATOR_MAX / total)  # rounding took the sum over its bound
        weight = _rounded(layer.synapse.weight, scale, step)
    if not weight.any():
        raise HardspikeError(
            f"{limit} is reached at a scale of {scale:.3g}, where every weight "
            f"(largest {np.abs(layer.synapse.weight).max():.3g}) rounds to zero"
        )
    bias = layer.synapse.bias_O
    scaled_bias = (
        None if bias is None else np.rint(bias.astype(np.float64) * scale).astype(np.int32)
    )
    dv = round(DECAY_ONE * (1 - layer.neuron.decay))
    if dv > MEMBRANE_DECAY.maximum:
        raise HardspikeError(
            f"decay {layer.neuron.decay} needs dv {dv}, allowed up to {MEMBRANE_DECAY.maximum}"
        )
    vth = round(layer.neuron.threshold * scale) if layer.neuron.fires else THRESHOLD.maximum
    synapse = _with_integers(layer.synapse, weight.astype(np.int32), scaled_bias)
    return Layer(layer.name, synapse, LoihiLIF(dv, vth), scale)


def _rounded(weight: Array, scale: float, step: int) -> Array:
    return np.asarray(step * np.rint(weight.astype(np.float64) * scale / step))


def _largest_sum(weight: Array) -> float:
    """Return the largest Σ|w| over the outputs."""
    return float(np.abs(weight).reshape(len(weight), -1).sum(axis=1).max())


def _scale(
    layer: Layer[LIF], step: int, largest_readout: float, input_max: int
) -> tuple[float, str]:
    """Return the largest k that every register of the layer allows, and the limit that sets it."""
    weight = np.abs(layer.synapse.weight.astype(np.float64))
    bias = 0.0 if layer.synapse.bias_O is None else float(np.abs(layer.synapse.bias_O).max())
    if not np.isfinite(weight).all() or not np.isfinite(bias):
        raise HardspikeError("found a weight or bias that is not finite")
    if not weight.any():
        raise HardspikeError("all weights are zero, nothing to represent")
    bounds = [
        (
            (-WEIGHT.minimum - step) / float(weight.max()),
            f"weight (up to {-WEIGHT.minimum - step})",
        ),
        (
            ACCUMULATOR_MAX / (_largest_sum(weight) * input_max),
            f"accumulator (up to {ACCUMULATOR_MAX})",
        ),
    ]
    if bias > 0:
        bounds.append((BIAS.maximum / bias, f"bias mantissa (up to {BIAS.maximum})"))
    if layer.neuron.fires:
        bounds.append(
            (THRESHOLD.maximum / layer.neuron.threshold, f"threshold (up to {THRESHOLD.maximum})")
        )
    elif largest_readout > 0:
        room = THRESHOLD.maximum / (_READOUT_HEADROOM * largest_readout)
        bounds.append((room, f"membrane of the readout (up to {THRESHOLD.maximum})"))
    return min(bounds)


def _with_integers(synapse: Synapse, weight: Array, bias: Array | None) -> Synapse:
    if isinstance(synapse, Conv):
        return Conv(weight, bias, synapse.stride, synapse.padding)
    return Dense(weight, bias)

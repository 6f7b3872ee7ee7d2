"""One layer in Loihi's integers under a given scale, and the scales that its registers allow."""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from export.bounds import ALIGN, DECAY_ONE, STATE_END, largest_sum
from export.errors import HardspikeError
from export.network import LIF, Array, Conv, Dense, Layer, LoihiLIF, Synapse
from export.registers import BIAS, MEMBRANE_DECAY, THRESHOLD, WEIGHT
from hardware.loihi.dense_loader import loader_fault
from hardware.loihi.limits import ACCUMULATOR_MAX

_READOUT_HEADROOM = 4
_DRIVE_HEADROOM = 4


@dataclass(frozen=True)
class Demands:
    """What the integers of a layer must leave room for.

    `largest_readout` is the largest |membrane| of a readout without a threshold, in units of the
    float membrane; zero where it is not known.
    """

    weight_bits: int
    input_max: int
    largest_readout: float

    @property
    def step(self) -> int:
        """The distance of two neighbouring weights: 2 at 8 bits."""
        return 1 << (9 - self.weight_bits)


def level_range(step: int) -> tuple[int, int]:
    """Return the least and the largest weight in units of `step`: −128 and 127 at 8 bits."""
    return WEIGHT.minimum // step, -WEIGHT.minimum // step - 1


def at_scale(layer: Layer[LIF], scale: float, step: int) -> Layer[LoihiLIF]:
    """Return the layer under scale k, every weight and bias rounded to the nearest, then clipped.

    Raises:
        HardspikeError: the decay has no register value.
    """
    steps = np.rint(layer.synapse.weight.astype(np.float64) * scale / step)
    weight = step * np.clip(steps, *level_range(step))
    bias = layer.synapse.bias_O
    scaled_bias = (
        None if bias is None else np.rint(bias.astype(np.float64) * scale).astype(np.int32)
    )
    vth = round(layer.neuron.threshold * scale) if layer.neuron.fires else THRESHOLD.maximum
    dv, du = _membrane_decay(layer.neuron.decay), _current_decay(layer.neuron.current_decay)
    synapse = with_numbers(layer.synapse, weight.astype(np.int32), scaled_bias)
    return Layer(
        layer.name,
        synapse,
        LoihiLIF(
            int(dv),
            vth,
            int(du),
            layer.neuron.reset,
            bias_filtered=layer.neuron.bias_filtered,
            refractory=layer.neuron.refractory,
        ),
        scale,
        delay_N=layer.delay_N,
        recurrent=_recurrent(layer.recurrent, scale, step),
        current_decay_O=None
        if layer.current_decay_O is None
        else _current_decay(layer.current_decay_O),
        membrane_decay_O=None
        if layer.membrane_decay_O is None
        else _membrane_decay(layer.membrane_decay_O),
    )


def _membrane_decay(share: float | Array) -> NDArray[np.int64]:
    """Return dv for τ, one or one an output."""
    dv = np.rint(DECAY_ONE * (1 - np.asarray(share, np.float64))).astype(np.int64)
    if (largest := int(dv.max())) > MEMBRANE_DECAY.maximum:
        raise HardspikeError(
            f"decay {np.min(share)} needs dv {largest}, allowed up to {MEMBRANE_DECAY.maximum}"
        )
    return dv


def _current_decay(share: float | Array) -> NDArray[np.int64]:
    """Return du for c, one or one an output."""
    du = DECAY_ONE - 1 - np.rint(DECAY_ONE * np.asarray(share, np.float64)).astype(np.int64)
    if (least := int(du.min())) < 0:
        raise HardspikeError(f"current_decay {np.max(share)} needs du {least}, allowed from 0")
    return np.asarray(du)


def _recurrent(recurrent: Dense | None, scale: float, step: int) -> Dense | None:
    """Return a layer's weights back to itself under its own scale."""
    if recurrent is None:
        return None
    steps = np.clip(np.rint(recurrent.weight_OI * (scale / step)), *level_range(step))
    bias = recurrent.bias_O
    whole = None if bias is None else np.rint(bias * scale).astype(np.int32)
    return Dense((step * steps).astype(np.int32), whole)


def at_largest_weight(layer: Layer[LIF], demands: Demands) -> Layer[LoihiLIF]:
    """Return the layer under the largest k that clips no weight and that every register allows.

    Raises:
        HardspikeError: the layer cannot be represented; layer-less line with the limit.
    """
    largest = _largest_weight(layer)
    top = -WEIGHT.minimum - demands.step
    total = _largest_float_sum(layer) * demands.input_max
    bounds = [
        (top / largest, f"weight (up to {top})"),
        (ACCUMULATOR_MAX / total, f"accumulator (up to {ACCUMULATOR_MAX})"),
        *register_bounds(layer, demands),
    ]
    scale, limit = min(bounds)
    fixed = at_scale(layer, scale, demands.step)
    while (total := largest_sum(fixed, demands.input_max)) > ACCUMULATOR_MAX:
        scale *= min(0.99, ACCUMULATOR_MAX / total)  # rounding took the sum over its bound
        fixed = at_scale(layer, scale, demands.step)
    if not fixed.synapse.weight.any():
        raise HardspikeError(
            f"{limit} is reached at a scale of {scale:.3g}, where every weight "
            f"(largest {largest:.3g}) rounds to zero"
        )
    return fixed


def register_bounds(layer: Layer[LIF], demands: Demands) -> list[tuple[float, str]]:
    """Return the largest k that bias and threshold allow, each with its limit in words."""
    bounds = []
    bias = 0.0 if layer.synapse.bias_O is None else float(np.abs(layer.synapse.bias_O).max())
    if bias > 0:
        bounds.append((BIAS.maximum / bias, f"bias mantissa (up to {BIAS.maximum})"))
    if layer.neuron.fires:
        bounds.append(
            (THRESHOLD.maximum / layer.neuron.threshold, f"threshold (up to {THRESHOLD.maximum})")
        )
    elif demands.largest_readout > 0:
        room = THRESHOLD.maximum / (_READOUT_HEADROOM * demands.largest_readout)
        bounds.append((room, f"membrane of the readout (up to {THRESHOLD.maximum})"))
    return bounds


def drive_bound(largest_drive: float) -> float:
    """Return the largest k that leaves the largest input of a step well inside the current's wrap.

    The current wraps at 2^23 after its shift by 6 bits; four times the largest |W x| seen stays
    below.
    """
    return STATE_END / (ALIGN * _DRIVE_HEADROOM * largest_drive) if largest_drive > 0 else np.inf


def representable(fixed: Layer[LoihiLIF], input_max: int) -> bool:
    """Whether sums fit the accumulator and lava-dl's loader keeps the weights; none is all zero."""
    if not fixed.synapse.weight.any() or largest_sum(fixed, input_max) > ACCUMULATOR_MAX:
        return False
    return not isinstance(fixed.synapse, Dense) or loader_fault(fixed.synapse.weight_OI) is None


def clipped_share(layer: Layer[LIF], scale: float, step: int) -> float:
    """Return the share of weights whose nearest level under `scale` the register does not hold."""
    steps = np.rint(layer.synapse.weight.astype(np.float64) * scale / step)
    lowest, highest = level_range(step)
    return float(((steps < lowest) | (steps > highest)).mean())


def with_numbers(synapse: Synapse, weight: Array, bias: Array | None) -> Synapse:
    """Return the synapse with other numbers."""
    if isinstance(synapse, Conv):
        return replace(synapse, weight_OIHW=weight, bias_O=bias)
    return Dense(weight, bias)


def _largest_weight(layer: Layer[LIF]) -> float:
    """Return the largest |W|.

    Raises:
        HardspikeError: a number is not finite, or all weights are zero.
    """
    weight, bias = layer.synapse.weight, layer.synapse.bias_O
    if not np.isfinite(weight).all() or (bias is not None and not np.isfinite(bias).all()):
        raise HardspikeError("found a weight or bias that is not finite")
    if not weight.any():
        raise HardspikeError("all weights are zero, nothing to represent")
    back = 0.0 if layer.recurrent is None else float(np.abs(layer.recurrent.weight_OI).max())
    return max(float(np.abs(weight.astype(np.float64)).max()), back)


def _largest_float_sum(layer: Layer[LIF]) -> float:
    """Return the largest Σ|W| over the outputs."""
    weight = np.abs(layer.synapse.weight.astype(np.float64))
    own = float(weight.reshape(len(weight), -1).sum(axis=1).max())
    if layer.recurrent is None:
        return own
    return max(own, float(np.abs(layer.recurrent.weight_OI).sum(axis=1).max()))

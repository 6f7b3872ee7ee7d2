"""What Loihi and Lava's models of it can hold, and a check that names every violation.

Registers are in `export.registers` (a deployed file is held to them when it is read); here are the
limits of what is computed from them. Sources: `lava/proc/conv/models.py`, `lava/proc/lif/models.py`
and `lava/proc/dense/models.py` of lava-nc 0.10.0, `lava/lib/dl/netx/utils.py` of lava-dl 0.6.0.
"""

from collections.abc import Iterator
from typing import Any

from export.bounds import ALIGN, STATE_END, current_peak, largest_sum
from export.errors import HardspikeError
from export.network import Array, Conv, Dense, FixedPointNetwork, Layer, LoihiLIF
from export.registers import BIAS, register_faults
from hardware.loihi.dense_loader import loaded_weights, loader_fault

ACCUMULATOR_BITS, ACCUMULATOR_MAX = 24, STATE_END - 1
"""Σ|w|·input_max, sign included. Lava's convolution wraps its sums at 24 bits; its dense model adds
weights shifted left by up to 8 bits in 32, which the same limit keeps from overflowing."""
CURRENT_BITS = 32
CURRENT_MAX = (1 << 31) - 1 - STATE_END - ALIGN * -BIAS.minimum
"""The current before its wrap, in units of the membrane: Lava adds it, in 32 bits, to a decayed
membrane (up to 2^23) and a bias (up to 2^18)."""


_NOT_LAVAS = ("subtractive reset", "refractory period", "filtered bias")
LONGEST_DELAY = 62
"""Steps, of all delays on the way of a spike together."""


def check_limits(network: FixedPointNetwork) -> None:
    """Check every number of `network` against the chip's registers and Lava's arithmetic.

    Raises:
        HardspikeError: every violation, one line each: layer, limit, found, allowed.
    """
    faults = list(register_faults(network))
    if not faults:
        faults = [*feature_faults(network), *_all_sum_faults(network)]
    if faults:
        raise HardspikeError(*faults)


def check_integers(network: FixedPointNetwork) -> None:
    """Check the numbers alone, and not whether netx and Lava have all that the layers do.

    Raises:
        HardspikeError: as `check_limits`.
    """
    faults = list(register_faults(network)) or list(_all_sum_faults(network))
    if faults:
        raise HardspikeError(*faults)


def _all_sum_faults(network: FixedPointNetwork) -> Iterator[str]:
    for index, layer in enumerate(network.layers):
        for fault in _sum_faults(layer, 1 if index else network.input_max, network.steps):
            yield f"layer {layer.name}: {fault}"


def not_lavas(layer: Layer[Any]) -> tuple[str, ...]:
    """Return what a layer's neurons do that no fixed-point neuron of Lava's does."""
    return tuple(feature for feature in layer.features if feature in _NOT_LAVAS)


def feature_faults(network: FixedPointNetwork) -> Iterator[str]:
    """Yield one line for each thing that netx or Lava's models do not run, or run otherwise."""
    arriving_N = None
    for layer in network.layers:
        for fault in _features(layer, arriving_N):
            yield f"layer {layer.name}: {fault}"
        arriving_N = layer.delay_N


def _features(layer: Layer[LoihiLIF], arriving_N: Array | None) -> Iterator[str]:
    """Yield the faults of one layer; `arriving_N` are the axonal delays of the layer below."""
    if layer.neuron.reset != "zero":
        yield (
            "subtractive reset: allowed is 'zero': Lava's neuron has no other; with --approximate "
            "reset it runs what comes nearest"
        )
    if layer.neuron.refractory:
        yield (
            f"refractory period: found {layer.neuron.refractory} steps, allowed 0: "
            "Lava's fixed-point neuron has none"
        )
    if layer.neuron.bias_filtered:
        yield "filtered bias: allowed is one on the membrane: Lava's neuron has no other"
    held = [delay_N for delay_N in (layer.dendrite_delay_N, arriving_N) if delay_N is not None]
    longest = sum(int(delay_N.max()) for delay_N in held)
    if longest > LONGEST_DELAY:
        yield f"delay: found {longest} steps, allowed up to {LONGEST_DELAY} (netx clamps it)"
    if longest and isinstance(layer.synapse, Conv):
        yield "delay: allowed before a dense layer only: netx ignores those of a convolution"
    if layer.recurrent is None:
        return
    if not isinstance(layer.synapse, Dense):
        yield "recurrence: allowed in a dense layer only: netx has no other"
    elif held:
        yield from _delayed_recurrence(layer, layer.synapse, arriving_N)


def _delayed_recurrence(
    layer: Layer[LoihiLIF], synapse: Dense, arriving_N: Array | None
) -> Iterator[str]:
    """Yield where netx runs a recurrent block with delays otherwise: it has one matrix of them."""
    assert layer.recurrent is not None
    outputs, inputs = synapse.weight_OI.shape
    parts = [synapse.weight_OI, layer.recurrent.weight_OI]
    if arriving_N is not None:
        yield "delay: allowed is no axonal delay before recurrence: netx delays both alike"
    elif inputs != outputs:
        yield (
            f"delay: found {inputs} inputs of {outputs} recurrent neurons, allowed as many: "
            "netx cannot load others"
        )
    elif any(part.any() for part in parts) and loaded_weights(parts)[0]:
        yield (
            "delay: found small weights in a recurrent layer, allowed those that fill 8 bits: "
            "netx loses their exponent"
        )


def _sum_faults(layer: Layer[LoihiLIF], input_max: int, steps: int) -> Iterator[str]:
    if layer.alive_N is not None:
        yield (
            f"dead neurons: found {int((layer.alive_N == 0).sum())}, allowed none in a layer of "
            "type conv: a netx file has its kernels, which all neurons of a channel share"
        )
    if layer.threshold_N is not None:
        yield (
            "threshold: found one a neuron, allowed one a layer: "
            "a netx file has one vThMant a layer"
        )
    total = largest_sum(layer, input_max)
    if total > ACCUMULATOR_MAX:
        yield (
            f"accumulator: found sums of |weight| × input up to {total}, "
            f"allowed up to {ACCUMULATOR_MAX} ({ACCUMULATOR_BITS} bits)"
        )
    peak = current_peak(layer, input_max, steps)
    if peak > CURRENT_MAX:
        yield (
            f"current: found up to {peak} within {steps} steps, "
            f"allowed up to {CURRENT_MAX} ({CURRENT_BITS} bits with membrane and bias)"
        )
    if isinstance(layer.synapse, Dense):
        recurrent = None if layer.recurrent is None else layer.recurrent.weight_OI
        fault = loader_fault(layer.synapse.weight_OI, recurrent)
        if fault is not None:
            yield fault

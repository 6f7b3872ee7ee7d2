"""What Loihi and Lava's models of it can hold, and a check that names every violation.

Registers are in `export.registers` (a deployed file is held to them when it is read); here are the
limits of what is computed from them. Sources: `lava/proc/conv/models.py`, `lava/proc/lif/models.py`
and `lava/proc/dense/models.py` of lava-nc 0.10.0, `lava/lib/dl/netx/utils.py` of lava-dl 0.6.0.
"""

from collections.abc import Iterator

from export.bounds import ALIGN, STATE_END, current_peak, largest_sum
from export.errors import HardspikeError
from export.network import Dense, FixedPointNetwork, Layer, LoihiLIF
from export.registers import BIAS, register_faults
from hardware.loihi.dense_loader import loader_fault

ACCUMULATOR_BITS, ACCUMULATOR_MAX = 24, STATE_END - 1
"""Σ|w|·input_max, sign included. Lava's convolution wraps its sums at 24 bits; its dense model adds
weights shifted left by up to 8 bits in 32, which the same limit keeps from overflowing."""
CURRENT_BITS = 32
CURRENT_MAX = (1 << 31) - 1 - STATE_END - ALIGN * -BIAS.minimum
"""The current before its wrap, in units of the membrane: Lava adds it, in 32 bits, to a decayed
membrane (up to 2^23) and a bias (up to 2^18)."""


def check_limits(network: FixedPointNetwork) -> None:
    """Check every number of `network` against the chip's registers and Lava's arithmetic.

    Raises:
        HardspikeError: every violation, one line each: layer, limit, found, allowed.
    """
    faults = list(register_faults(network))
    if not faults:
        faults = [
            f"layer {layer.name}: {fault}"
            for index, layer in enumerate(network.layers)
            for fault in _sum_faults(layer, 1 if index else network.input_max, network.steps)
        ]
    if faults:
        raise HardspikeError(*faults)


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
        fault = loader_fault(layer.synapse.weight_OI)
        if fault is not None:
            yield fault

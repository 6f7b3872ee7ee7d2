"""What Loihi's registers hold: the value ranges of a fixed-point network's numbers.

Ranges are those that Lava documents for its bit-accurate models (`lava/proc/lif/models.py`,
`lava/lib/dl/netx/utils.py`, lava-nc 0.10.0 and lava-dl 0.6.0).
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from export.network import FixedPointNetwork, Layer, LoihiLIF


@dataclass(frozen=True)
class Register:
    """An integer of `bits` bits between `minimum` and `maximum`, in steps of `step`."""

    name: str
    bits: int
    minimum: int
    maximum: int
    step: int = 1

    @property
    def allowed(self) -> str:
        """The range in words."""
        kind = "even integers" if self.step == 2 else "integers"
        return f"{kind} from {self.minimum} to {self.maximum} ({self.bits} bits)"

    def fault(self, values: Any) -> str | None:
        """Return what is wrong with a number or an array as `found …, allowed …`, or None."""
        array = np.asarray(values)
        if array.size == 0:
            return None
        if array.dtype.kind not in "iuf":
            return f"found {array.dtype}, allowed {self.allowed}"
        whole = np.trunc(array) if array.dtype.kind == "f" else array
        wrong = (whole != array) | (array < self.minimum) | (array > self.maximum)
        wrong |= np.remainder(array, self.step) != 0
        if not wrong.any():
            return None
        return f"found {array[wrong].flat[0]}, allowed {self.allowed}"


WEIGHT = Register("weight", 8, -256, 254, step=2)
"""Synaptic weight: 8 bits with the sign, in steps of 2; a graded sum of these is Σ w·s."""
MEMBRANE_DECAY = Register("membrane_decay", 12, 0, 4095)
"""dv, in 1/4096 a step."""
THRESHOLD = Register("threshold", 17, 0, 131071)
"""vth, in units of the membrane shifted right by 6 bits."""
ALIVE = Register("alive", 1, 0, 1)
"""Of a faulty chip's file: whether the neuron takes input."""
MODEL_CURRENT_DECAY = Register("current_decay", 13, -1, 4095)
"""du, in 1/4096 a step; one more than this is taken off the synaptic current. In Lava's CPU model
iDecay = du + 1 of a file from lava-dl may be 0, no decay at all."""
MODEL_MEMBRANE_DECAY = Register("membrane_decay", 13, 0, 4096)
"""The same of dv: 4096 keeps nothing."""
MODEL_THRESHOLD = Register("threshold", 18, 0, (1 << 18) - 1)
"""The same of vth: lava-dl's affine blocks have 2^18 − 1, which no membrane reaches."""
BIAS = Register("bias", 13, -4096, 4095)
"""Bias mantissa, sign included; netx fixes its exponent at 6."""


def register_faults(network: FixedPointNetwork) -> Iterator[str]:
    """Yield one line for each register that `network` overruns: layer, limit, found, allowed."""
    for layer in network.layers:
        for register, values in _registers(layer):
            fault = register.fault(values)
            if fault is not None:
                yield f"layer {layer.name}: {register.name}: {fault}"


def _registers(layer: Layer[LoihiLIF]) -> Iterator[tuple[Register, Any]]:
    yield WEIGHT, layer.synapse.weight
    if layer.synapse.bias_O is not None:
        yield BIAS, layer.synapse.bias_O
    if layer.recurrent is not None:
        yield WEIGHT, layer.recurrent.weight_OI
    yield MODEL_CURRENT_DECAY, layer.neuron.current_decay
    yield MODEL_MEMBRANE_DECAY, layer.neuron.membrane_decay
    yield MODEL_THRESHOLD, layer.neuron.threshold
    if layer.current_decay_O is not None:
        yield MODEL_CURRENT_DECAY, layer.current_decay_O
    if layer.membrane_decay_O is not None:
        yield MODEL_MEMBRANE_DECAY, layer.membrane_decay_O
    if layer.threshold_N is not None:
        yield THRESHOLD, layer.threshold_N
    if layer.alive_N is not None:
        yield ALIVE, layer.alive_N

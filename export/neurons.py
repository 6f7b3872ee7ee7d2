"""Neurons of the contract, the float network's and the chip's; equations: `export.network`."""

import math
from dataclasses import dataclass
from typing import Literal

from export.errors import HardspikeError

Reset = Literal["zero", "subtract"]
RESETS: tuple[Reset, ...] = ("zero", "subtract")
NO_CURRENT = 4095
"""The du that leaves no synaptic current from one step to the next."""
LONGEST_REFRACTORY = 1 << 16
"""Steps."""


@dataclass(frozen=True)
class LIF:
    """A leaky integrate-and-fire neuron of the float network.

    `decay` is τ, the share of the membrane kept a step, in [0, 1]; 0 is a threshold without memory,
    which only the float network has. `threshold` is ϑ, in units of the membrane; infinity makes an
    integrator that never fires (the `membrane` readout). A spike takes the membrane to zero, or ϑ
    off it (`reset`). `current_decay` is the share of the synaptic current kept a step, in [0, 1);
    0 leaves a step's input alone. The bias acts on the membrane, behind that filter, or is filtered
    with the input where `bias_filtered`. `refractory` is how many steps behind a spike hold the
    membrane at zero; only a reset to zero has one.

    Raises:
        HardspikeError: a field outside of what it may be.
    """

    decay: float
    threshold: float
    reset: Reset = "zero"
    current_decay: float = 0.0
    bias_filtered: bool = False
    refractory: int = 0

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
        if self.bias_filtered and self.current_decay == 0:
            raise HardspikeError(
                "bias_filtered: found without a synaptic current, allowed with one only"
            )
        _check_refractory(self)

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
    membrane to zero, or vth << 6 off it (`reset`). `bias_filtered` and `refractory` are those of a
    `LIF`; no Loihi that Lava simulates has them.
    """

    membrane_decay: int
    threshold: int
    current_decay: int = NO_CURRENT
    reset: Reset = "zero"
    bias_filtered: bool = False
    refractory: int = 0

    def __post_init__(self) -> None:
        _check_refractory(self)


def _check_refractory(neuron: LIF | LoihiLIF) -> None:
    if not 0 <= neuron.refractory <= LONGEST_REFRACTORY:
        raise HardspikeError(
            f"refractory: found {neuron.refractory}, allowed 0 to {LONGEST_REFRACTORY} steps"
        )
    if neuron.refractory and neuron.reset != "zero":
        raise HardspikeError(
            f"refractory: found {neuron.refractory} steps beside the reset {neuron.reset!r}, "
            "allowed with 'zero' only: the membrane is held there"
        )

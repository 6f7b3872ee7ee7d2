"""Networks that the tests of exported files share: convolution, dense, bias, filter, names."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from export.network import (
    LIF,
    Conv,
    Dense,
    FixedPointNetwork,
    HardSpikeNetwork,
    Layer,
    LoihiLIF,
    Readout,
)

Array = NDArray[Any]


def fixed_network(readout: Readout = "count", current_decay: int = 4095) -> FixedPointNetwork:
    """A strided, padded, not square convolution, then two dense layers."""
    rng = np.random.default_rng(7)

    def weight(*shape: int) -> Array:
        return (rng.integers(-128, 128, shape) * 2).astype(np.int16)

    def bias(size: int) -> Array:
        return rng.integers(-4096, 4096, size).astype(np.int16)

    conv = Conv(weight(4, 2, 3, 2), bias(4), (2, 1), (1, 0))
    layers = (
        Layer("conv", conv, LoihiLIF(300, 2000, current_decay), 100.5),
        Layer("hidden", Dense(weight(6, 4 * 5 * 6)), LoihiLIF(0, 131071, current_decay), 3.0),
        Layer("out", Dense(weight(3, 6), bias(3)), LoihiLIF(4095, 0, current_decay), 1 / 3),
    )
    return FixedPointNetwork((2, 9, 7), layers, readout, 6, 0.0105, ("null", "eins", "zwölf"), 3)


def float_network(readout: Readout = "count", dtype: Any = np.float32) -> HardSpikeNetwork:
    """The same stack in floating point: leaky, without leak, and the readout's neuron."""
    rng = np.random.default_rng(8)

    def array(*shape: int) -> Array:
        return rng.normal(size=shape).astype(dtype)

    last = LIF(0.95, 1.0 if readout == "count" else np.inf)
    layers = (
        Layer("conv", Conv(array(4, 2, 3, 2), array(4), (2, 1), (1, 0)), LIF(0.9, 1.0), 100.5),
        Layer("hidden", Dense(array(6, 4 * 5 * 6)), LIF(1.0, 2.5), 3.0),
        Layer("out", Dense(array(3, 6), array(3)), last, 1 / 3),
    )
    return HardSpikeNetwork((2, 9, 7), layers, readout, 6, 0.0105, ("null", "eins", "zwölf"), 3)

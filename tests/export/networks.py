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
    Reset,
    Shape,
    Synapse,
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


def float_feature_case(seed: int) -> tuple[HardSpikeNetwork, NDArray[np.uint8]]:
    """Draw a float network with all that a layer may have, and recordings `(B, T, C, H, W)`.

    Weights, thresholds and biases are in sixteenths and decays in quarters, so that few sums
    round.
    """
    random = np.random.default_rng([79, seed])
    shape: Shape = (2, 4, 5)
    reset: Reset = "subtract" if random.random() < 0.4 else "zero"
    layers = []
    for name in ("first", "second", "out"):
        conv = len(shape) == 3 and random.random() < 0.5
        weight_shape = (3, shape[0], 2, 2) if conv else (4, int(np.prod(shape)))
        weight = random.integers(-12, 20, weight_shape) / 16
        bias = random.integers(-4, 6, len(weight)) / 16 if random.random() < 0.6 else None
        synapse: Synapse = Conv(weight, bias) if conv else Dense(weight, bias)
        shape = synapse.output_shape(shape)
        layers.append(_float_layer(random, name, synapse, int(np.prod(shape)), reset))
    network = HardSpikeNetwork((2, 4, 5), tuple(layers), "count", 9, 0.01)
    return network, (random.random((2, 9, 2, 4, 5)) < 0.4).astype(np.uint8)


def _float_layer(
    random: np.random.Generator, name: str, synapse: Synapse, neurons: int, reset: Reset
) -> Layer[LIF]:
    outputs, some = len(synapse.weight), random.random(6) < 0.5
    current_O = _differing(random.choice([0, 0.25, 0.5], outputs)) if some[0] and some[1] else None
    current = 0.5 if some[0] else 0.0
    current = current if current_O is None else float(current_O.max())
    decay_O = _differing(random.choice([0.25, 0.5, 0.75, 1], outputs)) if some[2] else None
    decay = float(random.choice([0.5, 0.75, 1]))
    neuron = LIF(
        decay if decay_O is None else float(decay_O.max()),
        float(random.integers(4, 24)) / 16,
        reset,
        current,
        bias_filtered=current > 0 and synapse.bias_O is not None and bool(some[3]),
        refractory=int(random.integers(1, 4)) if some[4] and reset == "zero" else 0,
    )
    vector = not isinstance(synapse, Conv)
    back = random.integers(-8, 9, (neurons, neurons)) / 16
    return Layer(
        name,
        synapse,
        neuron,
        delay_N=random.integers(0, 4, neurons) if name != "out" and random.random() < 0.4 else None,
        recurrent=Dense(back) if vector and some[5] else None,
        membrane_decay_O=decay_O,
        current_decay_O=current_O,
    )


def _differing(values_O: Array) -> Array | None:
    """Return None where all are one."""
    return None if (values_O == values_O[0]).all() else values_O


def alike(neurons: int, neuron: LIF) -> Layer[LIF]:
    """Return a layer of so many neurons, all alike, whose synapses nothing reads."""
    return Layer("", Dense(np.zeros((neurons, 1))), neuron)

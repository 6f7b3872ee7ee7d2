"""Random fixed-point networks with all that a layer may have, and recordings for them."""

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from export.bounds import STATE_END, current_peak, largest_sum
from export.network import (
    READOUTS,
    Array,
    Conv,
    Dense,
    FixedPointNetwork,
    Layer,
    LoihiLIF,
    Shape,
    Synapse,
)
from hardware.loihi.limits import CURRENT_MAX

Random = np.random.Generator
FEATURES = (
    "subtractive reset",
    "refractory period",
    "filtered bias",
    "dilation",
    "groups",
    "recurrence",
    "axonal delay",
    "dendritic delay",
    "decays of each channel",
)


def feature_case(seed: int, resets: bool = True) -> tuple[FixedPointNetwork, NDArray[np.uint8]]:
    """Draw a network of 1 to 3 layers whose sums fit, and recordings `(B, T, C, H, W)`.

    Without `resets` its neurons are those that Lava has: no other reset, rest or bias.
    """
    random = np.random.default_rng([77, seed])
    while True:
        network = _network(random, resets)
        maxima = [network.input_max, *[1] * (len(network.layers) - 1)]
        if all(largest_sum(*pair) < STATE_END for pair in zip(network.layers, maxima, strict=True)):
            break
    shape = (3, network.steps, *network.input_shape)
    events = random.random(shape) < random.choice([0.1, 0.5, 1])
    return network, (events * random.integers(1, network.input_max + 1, shape)).astype(np.uint8)


def fits_32_bits(network: FixedPointNetwork) -> bool:
    """Whether no current of its steps leaves the 32 bits that Lava has for it."""
    maxima = [network.input_max, *[1] * (len(network.layers) - 1)]
    peaks = [
        current_peak(layer, largest, network.steps)
        for layer, largest in zip(network.layers, maxima, strict=True)
    ]
    return max(peaks) <= CURRENT_MAX


def _network(random: Random, resets: bool) -> FixedPointNetwork:
    wide = random.random() < 0.25
    shape: Shape = (2, 19, 19) if wide else (2 * _pick(random, 1, 2, 3), *_sizes(random, 2, 6))
    given, layers = (shape[0], shape[1], shape[2]), []
    for index in range(int(random.integers(1, 4))):
        conv = len(shape) == 3 and not wide and random.random() < 0.5
        synapse = _conv(random, shape) if conv else _dense(random, shape)
        shape = synapse.output_shape(shape)
        layers.append(_layer(random, f"layer{index}", synapse, int(np.prod(shape)), resets))
    return FixedPointNetwork(
        input_shape=given,
        layers=tuple(layers),
        readout=READOUTS[random.integers(2)],
        steps=int(random.integers(1, 12)),
        dt=0.01,
        input_max=_pick(random, 1, 1, 200),
    )


def _layer(
    random: Random, name: str, synapse: Synapse, neurons: int, resets: bool
) -> Layer[LoihiLIF]:
    outputs, some = len(synapse.weight), random.random(6) < 0.35
    du_O = random.integers(-1, 4096, outputs) if some[0] else None
    dv_O = random.integers(0, 4097, outputs) if some[1] else None
    usual = _pick(random, 4095, 4095, -1, 0, int(random.integers(0, 4096)))
    least_du = usual if du_O is None else int(du_O.min())
    filtered = resets and synapse.bias_O is not None
    neuron = LoihiLIF(
        membrane_decay=_decay(random, 0, 4096) if dv_O is None else int(dv_O.min()),
        threshold=_pick(random, 0, 131071, 262143, *random.integers(1, 2000, 2).tolist()),
        current_decay=least_du,
        reset="subtract" if resets and random.random() < 0.35 else "zero",
        bias_filtered=filtered and random.random() < 0.7,
    )
    if resets and neuron.reset == "zero" and random.random() < 0.4:
        neuron = replace(neuron, refractory=int(random.integers(1, 5)))
    return Layer(
        name,
        synapse,
        neuron,
        delay_N=random.integers(0, 5, neurons) if some[2] else None,
        recurrent=Dense(_weight(random, neurons, neurons)) if some[3] and neurons < 40 else None,
        dendrite_delay_N=random.integers(0, 5, neurons) if some[4] else None,
        current_decay_O=du_O,
        membrane_decay_O=dv_O,
    )


def _pick(random: Random, *choices: int) -> int:
    return choices[random.integers(len(choices))]


def _decay(random: Random, least: int, most: int) -> int:
    return _pick(random, least, most, int(random.integers(least, most)), int(random.integers(500)))


def _sizes(random: Random, least: int, end: int) -> tuple[int, int]:
    first, second = random.integers(least, end, 2)
    return int(first), int(second)


def _weight(random: Random, *shape: int) -> Array:
    kind = random.integers(4)
    if kind == 0:
        return (random.integers(-128, 128, shape) * 2).astype(np.int32)
    if kind == 1:
        return (random.integers(-5, 20, shape) * 2).astype(np.int32)
    return random.choice([254] if kind == 2 else [-256, 254], shape).astype(np.int32)


def _bias(random: Random, outputs: int) -> Any:
    return random.integers(-4096, 4096, outputs).astype(np.int32) if random.random() < 0.5 else None


def _dense(random: Random, shape: Shape) -> Dense:
    outputs = int(random.integers(1, 8))
    return Dense(_weight(random, outputs, int(np.prod(shape))), _bias(random, outputs))


def _conv(random: Random, shape: Shape) -> Conv:
    groups = _pick(random, 1, 2, shape[0])
    groups = groups if shape[0] % groups == 0 else 1
    outputs = groups * int(random.integers(1, 3))
    dilation, padding = _sizes(random, 1, 3), _sizes(random, 0, 3)
    kernel = [
        min(int(random.integers(1, 3)), (size + 2 * pad - 1) // gap + 1)
        for size, pad, gap in zip(shape[1:], padding, dilation, strict=True)
    ]
    weight = _weight(random, outputs, shape[0] // groups, *kernel)
    return Conv(weight, _bias(random, outputs), _sizes(random, 1, 3), padding, dilation, groups)

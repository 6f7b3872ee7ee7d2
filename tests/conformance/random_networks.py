"""Hypothesis strategies: small random fixed-point networks, registers at their ends included.

A wrap of the current needs |Σ w·s| > 2^17, so 516 weights of 254 and more: some networks are wide
and saturated, where currents wrap and membranes clip.
"""

from typing import Any

import numpy as np
from hypothesis import strategies as st
from numpy.typing import NDArray

from export.errors import HardspikeError
from export.network import (
    READOUTS,
    Conv,
    Dense,
    FixedPointNetwork,
    Layer,
    LoihiLIF,
    Shape,
    Synapse,
)
from hardware.loihi.limits import check_limits

Array = NDArray[Any]
Case = tuple[FixedPointNetwork, NDArray[np.uint8]]

_EXTREMES = (-256, 254)
WIDE = 720


def _register(largest: int, usual: int) -> st.SearchStrategy[int]:
    """Draw the ends of a register as often as values of use."""
    return st.one_of(
        st.sampled_from((0, 1, largest - 1, largest)),
        st.integers(0, usual),
        st.integers(0, largest),
    )


@st.composite
def _neurons(draw: st.DrawFn) -> LoihiLIF:
    return LoihiLIF(
        membrane_decay=draw(_register(4095, 1000)),
        threshold=draw(_register(131071, 2000)),
        current_decay=draw(st.one_of(st.just(4095), _register(4095, 1000))),
    )


def _integers(draw: st.DrawFn, shape: Shape, ends: tuple[int, int], step: int) -> Array:
    """Draw an array: all numbers in the range, those near zero, or its ends alone."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    kind = draw(st.sampled_from(("all", "small", "ends", "highest", "lowest")))
    if kind == "all":
        return rng.integers(ends[0] // step, ends[1] // step + 1, shape) * step
    if kind == "small":
        return rng.integers(-5, 6, shape) * step
    chosen = {"ends": ends, "highest": ends[1:], "lowest": ends[:1]}[kind]
    return rng.choice(np.array(chosen), shape)


@st.composite
def _synapses(draw: st.DrawFn, given: Shape) -> Synapse:
    if len(given) == 3 and draw(st.booleans()):
        outputs, kernel = draw(st.integers(1, 4)), [draw(st.integers(1, n)) for n in given[1:]]
        weight = _integers(draw, (outputs, given[0], *kernel), _EXTREMES, 2)
        bias = _integers(draw, (outputs,), (-4096, 4095), 1) if draw(st.booleans()) else None
        pairs = st.tuples(st.integers(1, 3), st.integers(1, 3))
        padding = draw(st.tuples(st.integers(0, 2), st.integers(0, 2)))
        return Conv(weight, bias, draw(pairs), padding)
    outputs = draw(st.one_of(st.integers(1, 6), st.just(WIDE)))
    weight = _integers(draw, (outputs, int(np.prod(given))), _EXTREMES, 2)
    bias = _integers(draw, (outputs,), (-4096, 4095), 1) if draw(st.booleans()) else None
    return Dense(weight, bias)


@st.composite
def networks(draw: st.DrawFn) -> FixedPointNetwork:
    """Draw a network of 1 to 3 layers whose sums stay inside Lava's accumulators."""
    input_shape = (draw(st.integers(1, 3)), draw(st.integers(1, 5)), draw(st.integers(1, 5)))
    if draw(st.booleans()):
        input_shape = (2, 19, 19)
    shape: Shape = input_shape
    layers = []
    for index in range(draw(st.integers(1, 3))):
        layers.append(Layer(f"layer{index}", draw(_synapses(shape)), draw(_neurons())))
        shape = layers[-1].synapse.output_shape(shape)
    return FixedPointNetwork(
        input_shape=input_shape,
        layers=tuple(layers),
        readout=draw(st.sampled_from(READOUTS)),
        steps=draw(st.integers(1, 12)),
        dt=draw(st.sampled_from((0.001, 0.01, 0.03))),
        input_max=draw(st.sampled_from((1, 1, 3, 127, 128, 255))),
    )


@st.composite
def cases(draw: st.DrawFn) -> Case:
    """Draw a network and recordings `(B, T, C, H, W)` for it, from silent to saturated."""
    network = draw(networks())
    shape = (draw(st.integers(1, 3)), network.steps, *network.input_shape)
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    rate = draw(st.sampled_from((0.0, 0.1, 0.5, 1.0)))
    counts = rng.integers(1, network.input_max + 1, shape)
    if rate == 1:
        counts = np.full(shape, network.input_max)
    return network, (counts * (rng.random(shape) < rate)).astype(np.uint8)


def within_limits(network: FixedPointNetwork) -> bool:
    """Whether currents and sums fit; registers always do here."""
    try:
        check_limits(network)
    except HardspikeError as error:
        return all("loader" in line for line in str(error).splitlines())
    return True

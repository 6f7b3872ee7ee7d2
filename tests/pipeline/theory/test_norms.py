"""Operator norms: exact where they claim to be, never below where they claim to bound."""

from typing import Any

import hypothesis.strategies as st
import numpy as np
import pytest
import torch
from hypothesis import given, settings

from export.network import Conv, Dense, Synapse
from pipeline.theory.norms import (
    SynapseMap,
    largest_column_sum,
    largest_row_sum,
    spectral_bound,
    spectral_estimate,
    synapse_map,
)


@st.composite
def operators(draw: st.DrawFn) -> SynapseMap:
    generator = np.random.default_rng(draw(st.integers(0, 2**32)))
    channels, height, width = (draw(st.integers(1, top)) for top in (3, 8, 8))
    shape = (channels, height, width)
    if draw(st.booleans()):
        dense = Dense(generator.normal(size=(draw(st.integers(1, 9)), channels * height * width)))
        return synapse_map(dense, shape)
    padding = (draw(st.integers(0, 2)), draw(st.integers(0, 2)))
    kernel = [
        draw(st.integers(1, min(4, size + 2 * pad)))
        for size, pad in zip((height, width), padding, strict=True)
    ]
    stride = (draw(st.integers(1, 3)), draw(st.integers(1, 3)))
    weight = generator.normal(size=(draw(st.integers(1, 4)), channels, *kernel))
    return synapse_map(Conv(weight, None, stride, padding), shape)


@settings(max_examples=60, deadline=None)
@given(operators(), st.integers(0, 2**31))
def test_sums_are_the_matrix_norms_and_bounds_lie_above(operator: SynapseMap, seed: int) -> None:
    matrix = operator.matrix()
    sums = matrix.abs().sum(1).max(), matrix.abs().sum(0).max()
    assert largest_row_sum(operator) == pytest.approx(float(sums[0]))
    assert largest_column_sum(operator) == pytest.approx(float(sums[1]))
    exact = float(torch.linalg.matrix_norm(matrix, 2))
    estimate, bound = spectral_estimate(operator, seed), spectral_bound(operator)
    assert estimate <= exact * (1 + 1e-12)
    assert estimate == pytest.approx(exact, rel=0.02)
    assert exact <= bound
    if operator.stride is None:
        assert bound == pytest.approx(exact)


@settings(max_examples=40, deadline=None)
@given(operators(), st.integers(0, 2**31))
def test_the_adjoint_is_the_adjoint(operator: SynapseMap, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(1, *operator.input_shape, generator=generator, dtype=torch.float64)
    y = torch.randn(1, *operator.output_shape, generator=generator, dtype=torch.float64)
    assert float((operator.apply(x) * y).sum()) == pytest.approx(
        float((x * operator.adjoint(y)).sum())
    )


# A mean above 0 keeps the two largest singular values apart, which sets the rate of convergence.
LAYERS: dict[str, tuple[Synapse, Any]] = {
    "strided and padded": (
        Conv(np.random.default_rng(0).normal(0.2, size=(4, 2, 5, 5)), None, (2, 2), (1, 1)),
        (2, 17, 17),
    ),
    "dense": (Dense(np.random.default_rng(1).normal(size=(10, 40))), (40,)),
}


@pytest.mark.parametrize("name", LAYERS)
def test_power_iteration_is_the_svd_of_the_materialised_operator(name: str) -> None:
    operator = synapse_map(*LAYERS[name])
    exact = float(torch.linalg.matrix_norm(operator.matrix(), 2))
    assert spectral_estimate(operator, 3, 5000, tolerance=-1) == pytest.approx(exact, rel=1e-9)


def test_the_torus_is_near_the_norm_where_row_sums_are_not() -> None:
    operator = synapse_map(*LAYERS["strided and padded"])
    exact = float(torch.linalg.matrix_norm(operator.matrix(), 2))
    assert exact < spectral_bound(operator) < 1.1 * exact
    assert (largest_row_sum(operator) * largest_column_sum(operator)) ** 0.5 > 2 * exact


def test_borders_count_as_the_network_sees_them() -> None:
    """A 3×3 kernel of ones over one padded pixel meets that pixel alone."""
    operator = synapse_map(Conv(np.ones((1, 1, 3, 3)), None, (1, 1), (1, 1)), (1, 1, 1))
    assert largest_row_sum(operator) == largest_column_sum(operator) == 1
    assert 1 <= spectral_bound(operator) < 1 + 1e-9


def test_a_silent_layer_has_norm_zero() -> None:
    operator = synapse_map(Dense(np.zeros((2, 3))), (3,))
    assert spectral_estimate(operator, 0) == spectral_bound(operator) == 0

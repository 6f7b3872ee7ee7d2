"""The weight step against numpy's least squares and eigenvalues.

Axes: `X` row, `O` output, `F` fan-in.
"""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import settings as given_settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from pipeline.training.admm.ridge import RidgeFactor

Array = NDArray[np.float64]


def rows(seed: int, count: int, fan_in: int) -> tuple[Array, Array]:
    """Return spikes `(X, F)`, the first input silent and the second always on, and residuals."""
    generator = np.random.default_rng(seed)
    inputs = (generator.random((count, fan_in)) < 0.3).astype(np.float64)
    inputs[:, 0] = 0
    if fan_in > 1:
        inputs[:, 1] = 1
    return inputs, generator.normal(size=(count, 4))


def factor_of(inputs: Array, ridge: float) -> RidgeFactor:
    return RidgeFactor(torch.from_numpy(inputs.T @ inputs), ridge)


@given_settings(deadline=None)
@given(st.integers(0, 999), st.integers(1, 30), st.integers(2, 12), st.floats(1e-3, 10))
def test_the_weight_step_minimises_the_ridge_objective(
    seed: int, count: int, fan_in: int, ridge: float
) -> None:
    """‖R − X Dᵀ‖² + μ·m·‖D‖², by least squares on the rows and, below them, √(μm) times one."""
    inputs, residual = rows(seed, count, fan_in)
    mean = np.mean(np.diag(inputs.T @ inputs))
    system = np.vstack([inputs, np.sqrt(ridge * mean) * np.eye(fan_in)])
    right = np.vstack([residual, np.zeros((fan_in, 4))])
    best = np.linalg.lstsq(system, right, rcond=None)[0].T
    found = factor_of(inputs, ridge).solved(torch.from_numpy(residual.T @ inputs))
    np.testing.assert_allclose(found.numpy(), best, atol=1e-9)
    assert (np.abs(found.numpy()[:, 0]) < 1e-12).all()  # the silent input moves nothing


def test_a_single_precision_solve_is_the_doubles_within_rounding() -> None:
    inputs, residual = rows(0, 50, 8)
    cross = torch.from_numpy(residual.T @ inputs)
    factor = factor_of(inputs, 0.01)
    single, double = factor.solved(cross.float()), factor.solved(cross)
    assert (single.dtype, double.dtype) == (torch.float32, torch.float64)
    # Forward error: a few times the condition and the unit roundoff.
    tolerance = 10 * factor.condition() * 2**-24 * float(double.norm())
    assert float((single.double() - double).norm()) < tolerance


@pytest.mark.parametrize("fan_in", [1, 7])
def test_without_any_spike_nothing_moves(fan_in: int) -> None:
    factor = RidgeFactor(torch.zeros(fan_in, fan_in, dtype=torch.float64), 0.1)
    nothing = torch.zeros(3, fan_in, dtype=torch.float64)
    assert torch.equal(factor.solved(nothing), nothing)
    assert factor.condition() == pytest.approx(1.0)


def test_the_gram_matrix_is_left_as_it_was() -> None:
    gram = torch.eye(4, dtype=torch.float64)
    RidgeFactor(gram, 0.5)
    assert torch.equal(gram, torch.eye(4, dtype=torch.float64))


@given_settings(deadline=None)
@given(st.integers(0, 999), st.integers(1, 60), st.integers(2, 40), st.sampled_from([0.01, 0.1, 1]))
def test_the_condition_is_that_of_the_eigenvalues(
    seed: int, count: int, fan_in: int, ridge: float
) -> None:
    """From within, to a few percent: spikes are not negative, and their Gram has one large end."""
    inputs, _ = rows(seed, count, fan_in)
    factor = factor_of(inputs, ridge)
    values = np.linalg.eigvalsh(factor.matrix_FF.numpy())
    true = float(values[-1] / values[0])
    assert 0.95 * true <= factor.condition() <= true * (1 + 1e-9)


def test_a_wide_layer_is_nearly_solved_by_its_leading_eigenvectors() -> None:
    """Against the exact step, within what the eigenvalues left out allow."""
    generator = np.random.default_rng(0)
    basis, _ = np.linalg.qr(generator.normal(size=(600, 600)))
    values = 300 * 0.95 ** np.arange(600) + 0.2
    factor = RidgeFactor(torch.from_numpy(basis * values @ basis.T), 1.0)
    shift = float(values.mean())
    cross = torch.from_numpy(generator.normal(size=(5, 600)) * np.sqrt(values) @ basis.T)
    exact, near = factor.solved(cross), factor.nearly_solved(cross)
    rest = float(values[128:].mean()) + shift
    bound = max((values[128] + shift) / rest - 1, 1 - (values[-1] + shift) / rest)
    assert 0 < float((near - exact).norm()) < 1.5 * bound * float(exact.norm())
    assert bound < 0.05


@pytest.mark.parametrize(("fan_in", "ridge"), [(8, 0.1), (600, 0.1)])
def test_a_narrow_layer_and_a_small_ridge_are_solved_as_they_are(fan_in: int, ridge: float) -> None:
    inputs, residual = rows(0, 900, fan_in)
    cross = torch.from_numpy(residual.T @ inputs)
    factor = factor_of(inputs, ridge)
    assert torch.equal(factor.nearly_solved(cross), factor.solved(cross))


def test_the_leading_eigenvectors_are_the_same_every_time() -> None:
    inputs, _ = rows(1, 40, 520)
    cross = torch.from_numpy(inputs[:3])
    one, other = (factor_of(inputs, 1.0).nearly_solved(cross) for _ in range(2))
    assert torch.equal(one, other)

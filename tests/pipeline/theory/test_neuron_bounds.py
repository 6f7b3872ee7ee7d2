"""Suprema of the smooth neuron against dense grids and automatic derivatives."""

import math

import hypothesis.strategies as st
import pytest
import torch
from hypothesis import given, settings

from pipeline.surrogate import SurrogateName
from pipeline.theory.neuron_bounds import STEEPEST, SmoothNeuron
from tests.pipeline.theory.networks import SURROGATES


@st.composite
def neurons(draw: st.DrawFn) -> SmoothNeuron:
    return SmoothNeuron(
        draw(st.sampled_from(SURROGATES)),
        draw(st.floats(0.05, 300.0)),
        draw(st.floats(0.05, 20.0)),
        draw(st.floats(0.1, 1.0)),
    )


def grid(low: float, high: float, points: int = 20001) -> torch.Tensor:
    return torch.linspace(low, high, points, dtype=torch.float64)


@settings(max_examples=50, deadline=None)
@given(neurons(), st.floats(-30, 30), st.floats(0, 30))
def test_extremes_over_an_interval_are_those_of_a_grid(
    neuron: SmoothNeuron, low: float, width: float
) -> None:
    high = low + width
    u = grid(low, high)
    around = 8 / neuron.slope
    finer = grid(neuron.threshold - around, neuron.threshold + around)
    u = torch.cat([u, finer[(finer >= low) & (finer <= high)]])
    for found, bound in (
        (neuron.kept_slope(u).abs().max(), neuron.largest_kept_slope(low, high)),
        (neuron.spike_slope(u).max(), neuron.largest_spike_slope(low, high)),
    ):
        # 1 − σ carries a rounding of 1e−16, whatever its size.
        assert float(found) <= bound * (1 + 1e-12) + 1e-14
        assert float(found) >= bound * (1 - 2e-2) - 1e-9
    least, most = neuron.kept_range(*torch.tensor([low, high], dtype=torch.float64))
    kept = neuron.kept(u)
    assert float(least) == pytest.approx(float(kept.min()), abs=1e-12)
    assert float(most) >= float(kept.max()) - 1e-12 * abs(float(most)) - 1e-13
    assert float(most) == pytest.approx(float(kept.max()), rel=1e-2, abs=1e-9)


@settings(max_examples=60, deadline=None)
@given(neurons())
def test_the_supremum_over_all_membranes_covers_far_ones(neuron: SmoothNeuron) -> None:
    far = torch.logspace(-3, 6, 20001, dtype=torch.float64)
    u = torch.cat([neuron.threshold - far, neuron.threshold + far, torch.tensor([0.0])])
    found = float(neuron.kept_slope(u).abs().max())
    assert found <= neuron.largest_kept_slope() * (1 + 1e-9)
    assert neuron.largest_kept_slope() >= 1


@pytest.mark.parametrize(
    ("surrogate", "expected"),
    [
        ("arctangent", (math.pi * 5 - math.atan(math.pi * 5)) / math.pi),
        ("fast_sigmoid", 4.5),
    ],
)
def test_the_closed_forms_at_slope_ten(surrogate: SurrogateName, expected: float) -> None:
    neuron = SmoothNeuron(surrogate, 10.0, 1.0, 0.9)
    assert neuron.largest_kept_slope() == pytest.approx(expected, rel=1e-12)


def test_at_a_gentle_slope_the_sigmoids_supremum_lies_left_of_zero() -> None:
    """βϑ = 1: |φ′| is largest, and above 1, where the membrane is negative."""
    neuron = SmoothNeuron("sigmoid", 1.0, 1.0, 0.9)
    u = grid(-40, 40, 400001)
    slopes = neuron.kept_slope(u)
    assert float(u[slopes.abs().argmax()]) < 0
    assert 1 < neuron.largest_kept_slope() == pytest.approx(float(slopes.max()), rel=1e-9)


@pytest.mark.parametrize("surrogate", SURROGATES)
@pytest.mark.parametrize(("slope", "threshold"), [(1.0, 0.5), (4.0, 1.0), (12.0, 2.0)])
def test_curvatures_cover_the_automatic_second_derivative(
    surrogate: SurrogateName, slope: float, threshold: float
) -> None:
    neuron = SmoothNeuron(surrogate, slope, threshold, 1.0)
    u, width = grid(-20, 25, 40000), 1e-6
    for first, bound in (
        (neuron.spike_slope, neuron.spike_curvature),
        (neuron.kept_slope, neuron.kept_curvature),
    ):
        second = (first(u + width) - first(u - width)) / (2 * width)
        assert float(second.abs().max()) <= bound * (1 + 1e-4)
    spikes = (neuron.spike_slope(u + width) - neuron.spike_slope(u - width)) / (2 * width)
    assert float(spikes.abs().max()) > 0.98 * neuron.spike_curvature


@pytest.mark.parametrize("surrogate", SURROGATES)
def test_the_table_of_suprema_is_tight(surrogate: SurrogateName) -> None:
    """At β = 1 and ϑ = 0 the membrane is z."""
    neuron, width = SmoothNeuron(surrogate, 1.0, 0.0, 1.0), 1e-6
    z = torch.cat([grid(-30, -1e-5, 300001), grid(1e-5, 30, 300001)])
    second = (neuron.spike_slope(z + width) - neuron.spike_slope(z - width)) / (2 * width)
    found = (neuron.spike_slope(z).max(), second.abs().max(), (z * second).abs().max())
    unit = STEEPEST[surrogate]
    table = (unit.slope, unit.curvature, unit.curvature_by_distance)
    for value, bound in zip(found, table, strict=True):
        assert float(value) == pytest.approx(bound, rel=1e-3)
        assert float(value) <= bound * (1 + 1e-6)


def test_the_integrator_keeps_everything() -> None:
    neuron = SmoothNeuron("sigmoid", 4.0, math.inf, 0.8)
    u = torch.tensor([-3.0, 2.0], dtype=torch.float64)
    assert torch.equal(neuron.kept(u), u)
    assert neuron.largest_kept_slope() == 1
    assert neuron.kept_curvature == 0
    assert neuron.kept_range(u, u) == (u, u)

"""No bound is ever violated, whatever the network and the input; and some are attained."""

import dataclasses
import math

import hypothesis.strategies as st
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from torch import Tensor

from export.errors import HardspikeError
from export.network import Conv, Dense
from pipeline.neuron import Activation
from pipeline.theory import observed
from pipeline.theory.bounds import (
    Gains,
    Norm,
    convergence_bound,
    curvature_bound,
    gains,
    largest_step_size,
    lipschitz,
    lipschitz_by_step,
)
from pipeline.theory.neuron_bounds import SmoothNeuron
from pipeline.theory.norms import synapse_map
from pipeline.theory.smooth_forward import MeanLoss, SmoothTwin
from pipeline.theory.states import (
    TheoryLayer,
    evidence_width,
    geometric_bound,
    state_bounds,
    theory_layers,
)
from tests.pipeline.theory.networks import Case, build, cases

SLACK = 1 + 1e-9
ORDERS: dict[Norm, float] = {"l2": 2.0, "linf": math.inf}


def pushed(case: Case, layer: int, upwards: bool) -> Tensor:
    """Inputs at the corner of the box that a gradient says moves the layer's membranes furthest."""
    inputs = case.inputs.clone().requires_grad_()
    membranes = SmoothTwin(case.network, case.activation)(inputs).membranes[layer]
    chosen = membranes.flatten(1).max() if upwards else -membranes.flatten(1).min()
    (slope,) = torch.autograd.grad(chosen, inputs)
    return torch.where(slope > 0, case.high, case.low).double()


@settings(max_examples=60, deadline=None)
@given(cases(), st.integers(0, 3), st.booleans())
def test_no_membrane_leaves_its_bounds(case: Case, layer: int, upwards: bool) -> None:
    reach = state_bounds(case.layers, case.steps, case.low, case.high)
    moved = pushed(case, min(layer, len(reach) - 1), upwards)
    largest = max(abs(case.low), abs(case.high))
    for inputs in (case.inputs, moved):
        run = SmoothTwin(case.network, case.activation)(inputs)
        for index, (bound, u) in enumerate(zip(reach, run.membranes, strict=True)):
            size = float(u.detach().abs().max())
            room = 1e-9 * (1 + size)
            assert (u >= bound.membrane_low - room).all()
            assert (u <= bound.membrane_high + room).all()
            geometric = geometric_bound(case.layers[index], case.steps, largest)
            assert size <= geometric + room
            largest_bound = max(-bound.low, bound.high)
            assert largest_bound <= geometric * SLACK
            largest = 1.0
        largest = max(abs(case.low), abs(case.high))


@settings(max_examples=70, deadline=None)
@given(cases())
def test_no_change_of_the_input_moves_the_evidence_further(case: Case) -> None:
    """Worst directions of the Jacobian, single flips, and far jumps between corners of the box."""
    x = case.inputs[:, :1]
    slopes = observed.jacobians(case.network, case.activation, x)
    small = observed.perturbations(x, slopes.inputs, case.generator())
    fresh = torch.rand(x.shape, generator=case.generator(), dtype=torch.float64)
    corners = case.low + (case.high - case.low) * fresh.round()
    aimed = [
        torch.where(way * slopes.inputs[:1].transpose(0, 1) > 0, case.high, case.low) - x
        for way in (-1, 1)
    ]
    changes = torch.cat([small, corners - x, *aimed], 1)
    step = observed.LARGEST_STEP
    reach = state_bounds(case.layers, case.steps, case.low - step, case.high + step)
    fires = case.network.readout == "count"
    width = evidence_width(reach[-1], case.steps, fires)
    for norm, order in ORDERS.items():
        each = [gains(layer, norm, at) for layer, at in zip(case.layers, reach, strict=True)]
        anywhere = [gains(layer, norm) for layer in case.layers]
        by_step = lipschitz_by_step(each, case.steps, case.network.readout)
        found = observed.responses(case.network, case.activation, x, changes, by_step, order)
        assert found.share_of_bound <= SLACK
        assert found.quotient <= lipschitz(by_step, norm) * SLACK
        assert found.change <= float(torch.linalg.vector_norm(width, order)) * SLACK
        local = float(torch.linalg.matrix_norm(slopes.inputs.flatten(1), order))
        assert local <= lipschitz(by_step, norm) * SLACK
        looser = lipschitz_by_step(anywhere, case.steps, case.network.readout)
        assert lipschitz(by_step, norm) <= lipschitz(looser, norm) * SLACK


@settings(max_examples=25, deadline=None)
@given(cases(), st.floats(0.01, 1.0))
def test_no_gradient_or_hessian_exceeds_its_bound(case: Case, radius: float) -> None:
    """At w, and between w and points of the ball around it."""
    labels = torch.arange(case.inputs.shape[1]) % 3
    loss = MeanLoss(case.network, case.activation, [(case.inputs, labels)])
    norms_T = case.inputs.flatten(2).norm(dim=2).max(dim=1).values.tolist()
    bound = curvature_bound(case.layers, norms_T, case.network.readout, radius)
    w = loss.parameters()
    curved, direction = observed.hessian_norm(loss, w, case.seed, iterations=5)
    assert curved <= bound.smoothness * SLACK
    gradient = loss.gradient(w)
    steps = [
        radius * part / part.norm() for part in (direction, gradient) if float(part.norm()) > 1e-12
    ]
    for step in steps:
        assert float(loss.gradient(w + step).norm()) <= bound.gradient * SLACK
        assert observed.gradient_quotient(loss, w, [step]) <= bound.smoothness * SLACK
        v = step / radius
        assert float(loss.hessian_product(w + step, v).norm()) <= bound.smoothness * SLACK


@settings(max_examples=30, deadline=None)
@given(cases(), st.floats(0.001, 0.5))
def test_the_first_order_bound_holds_within_the_ball(case: Case, rho: float) -> None:
    """|L(w+ε) − L(w) − ρ‖g‖| ≤ Lρ²/2 on the step, and no step of that size climbs higher."""
    labels = torch.arange(case.inputs.shape[1]) % 3
    loss = MeanLoss(case.network, case.activation, [(case.inputs, labels)])
    norms_T = case.inputs.flatten(2).norm(dim=2).max(dim=1).values.tolist()
    smooth = curvature_bound(case.layers, norms_T, case.network.readout, rho).smoothness
    w = loss.parameters()
    step = observed.ascent(loss, w, rho)
    assert abs(step.remainder) <= smooth * rho**2 / 2 * SLACK + 1e-12
    noise = torch.randn(w.shape, generator=case.generator(), dtype=w.dtype)
    climbed = loss.loss(w + rho * noise / noise.norm()) - loss.loss(w)
    assert climbed <= step.predicted + smooth * rho**2 / 2 + 1e-12


def one_layer(weight: list[list[float]], bias: list[float], decay: float) -> TheoryLayer:
    operator = synapse_map(Dense(np.array(weight)), (len(weight[0]),))
    neuron = SmoothNeuron("sigmoid", 4.0, math.inf, decay)
    return TheoryLayer("only", operator, torch.tensor(bias, dtype=torch.float64), neuron)


def test_an_integrators_bounds_by_hand() -> None:
    """w = (2, −3), b = ½, τ = ½, x in [0, 1], T = 3: drive in [−2.5, 2.5], u in [−4.375, 4.375]."""
    layer = one_layer([[2.0, -3.0]], [0.5], 0.5)
    (reach,) = state_bounds([layer], 3, 0.0, 1.0)
    assert [reach.low, reach.high] == pytest.approx([-4.375, 4.375])
    assert geometric_bound(layer, 3, 1.0) == pytest.approx(5.5 * 1.75)
    assert float(evidence_width(reach, 3, False)) == pytest.approx(8.75)


def test_an_integrators_lipschitz_bound_is_attained() -> None:
    """y = Σ τ^(T−1−k) W x[k]: the norm is ‖W‖₂·√(1 + τ² + τ⁴), along a singular vector."""
    layer = one_layer([[2.0, -3.0], [1.0, 1.0]], [0.0, 0.0], 0.5)
    by_step = lipschitz_by_step([gains(layer, "l2")], 3, "membrane")
    matrix = torch.cat([0.5 ** (2 - k) * layer.operator.weight for k in range(3)], 1)
    exact = float(torch.linalg.matrix_norm(matrix, 2))
    assert lipschitz(by_step, "l2") == pytest.approx(exact)


def test_the_steps_of_two_layers_by_hand() -> None:
    """count, T = 2, κ = 2 and 3, S = 1, ‖W‖ = 5 and 7."""
    found = lipschitz_by_step([Gains(5, 2, 1), Gains(7, 3, 1)], 2, "count")
    # Second layer: 7·(1 + 3) and 7; first: 5·(28 + 2·7) and 5·7.
    assert found == [5 * 42, 35]


def test_a_bound_beyond_float64_is_infinity() -> None:
    found = lipschitz_by_step([Gains(1e3, 1e3, 1e3)] * 3, 100, "count")
    assert lipschitz(found, "l2") == math.inf
    network = build([{"type": "dense", "units": 4}] * 3, gain=100.0)
    layers = theory_layers(network.contract(2, 0.01, 1), Activation("sigmoid", 1e80, "smooth"))
    assert curvature_bound(layers, [1.0] * 2, "count", 0.1).smoothness == math.inf


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**31), st.floats(0.05, 1.0), st.floats(0.0, 2.0), st.floats(0.0, 1.0))
def test_the_convergence_bound_holds_on_quadratics(
    seed: int, share: float, rho: float, noise: float
) -> None:
    """f = ½wᵀHw, ε of size ρ as far uphill as it gets, noise of variance σ²: moments are exact.

    E‖∇f(w_t)‖² = ‖H m_t‖² + tr(H C_t H) with m and C the mean and covariance of w_t, which follow
    the linear recursion of the step; ε is fixed by the mean, so it does not see the second batch.
    """
    generator = np.random.default_rng(seed)
    curvatures = generator.uniform(0, 4, size=5)
    smooth, steps = float(curvatures.max()), 40
    eta, mean = share / smooth, generator.normal(size=5) * 3
    covariance, total = np.zeros(5), 0.0
    gap = float(0.5 * curvatures @ mean**2)
    for _ in range(steps):
        slope = curvatures * mean
        total += float(slope @ slope + curvatures**2 @ covariance)
        epsilon = -rho * slope / max(float(np.linalg.norm(slope)), 1e-300)
        mean = mean - eta * curvatures * (mean + epsilon)
        covariance = (1 - eta * curvatures) ** 2 * covariance + eta**2 * noise**2 / 5
    bound = convergence_bound(gap, smooth, rho, noise**2, eta, steps)
    assert total / steps <= bound * SLACK


def test_the_convergence_bound_by_hand() -> None:
    assert convergence_bound(3.0, 2.0, 0.5, 4.0, 0.25, 12) == pytest.approx(2 + 1 + 2)
    with pytest.raises(HardspikeError, match="up to 1/L"):
        convergence_bound(1.0, 2.0, 0.1, 1.0, 0.6, 10)


def test_the_step_size_condition() -> None:
    assert largest_step_size(50.0) == pytest.approx(0.005)
    for wrong in (0.0, math.inf, math.nan):
        with pytest.raises(HardspikeError, match="smoothness: found"):
            largest_step_size(wrong)


def test_a_linear_readouts_smoothness_is_attained() -> None:
    """T = 1, W = 0, two classes: ∇²L = (diag p − ppᵀ) ⊗ xxᵀ with p = ½, of norm ½‖x‖²."""
    layer, x = one_layer([[0.0, 0.0]] * 2, [0.0, 0.0], 0.5), torch.tensor([3.0, 4.0]).double()
    unbiased = dataclasses.replace(layer, bias=None)
    found = curvature_bound([unbiased], [5.0], "membrane", 0.0)
    p = torch.full((2,), 0.5, dtype=torch.float64)
    hessian = torch.kron(torch.diag(p) - torch.outer(p, p), torch.outer(x, x))
    assert found.smoothness == pytest.approx(float(torch.linalg.eigvalsh(hessian).max()))
    assert found.gradient == pytest.approx(math.sqrt(2) * 5)


def test_the_tangents_of_two_layers_by_hand() -> None:
    """A 2×2 kernel of stride 1 with bias on 2×2 of padding 1, then a membrane readout; T = 2.

    Layer 1 (9 places, an input in 4 patches, ‖W‖ = 0, radius 0): a = √(4·1 + 9) at t = 1, then
    κa + √13.  Layer 2 (‖W‖ = 2): τa + 2·S·a₁ + √9, with g = τg + 2(S g₁ + R a₁²) + 2·S·a₁.
    """
    conv = synapse_map(Conv(np.zeros((1, 1, 2, 2)), np.zeros(1), (1, 1), (1, 1)), (1, 2, 2))
    neuron = SmoothNeuron("sigmoid", 4.0, 1.0, 0.9)
    first = TheoryLayer("conv", conv, torch.zeros(1).double(), neuron)
    dense = synapse_map(Dense(np.eye(2, 9) * 2), (1, 3, 3))
    second = TheoryLayer("dense", dense, None, SmoothNeuron("sigmoid", 4.0, math.inf, 0.5))
    found = curvature_bound([first, second], [1.0, 1.0], "membrane", 0.0)
    kept, bend = 0.9 * neuron.largest_kept_slope(), 0.9 * neuron.kept_curvature
    curve = neuron.spike_curvature
    a = [math.sqrt(13), kept * math.sqrt(13) + math.sqrt(13)]
    g = [0.0, bend * 13]
    along = twice = 0.0
    for a1, g1 in zip(a, g, strict=True):  # S = β/4 = 1
        twice = 0.5 * twice + 2 * (g1 + curve * a1**2) + 2 * a1
        along = 0.5 * along + 2 * a1 + 3
    assert found.gradient == pytest.approx(math.sqrt(2) * along)
    assert found.smoothness == pytest.approx(along**2 / 2 + math.sqrt(2) * twice)

"""What is observed is what it says: against materialised Jacobians and Hessians, and NumPy."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from torch.nn import functional

from pipeline.surrogate import SurrogateName
from pipeline.theory import observed
from pipeline.theory.smooth_forward import MeanLoss
from tests.pipeline.theory.networks import SURROGATES, Case, cases
from tests.pipeline.theory.test_smooth_forward import LABELS, small


@pytest.mark.parametrize("surrogate", SURROGATES)
@pytest.mark.parametrize("readout", ["count", "membrane"])
def test_the_remainder_of_the_first_order_bound_is_the_curvatures(
    readout: str, surrogate: SurrogateName
) -> None:
    """L(w+ε) − L(w) − ρ‖g‖ = ρ²∫(1−s) vᵀ∇²L v ds, so at most ρ²/2 times the largest of them."""
    case = small(readout, surrogate)
    loss = MeanLoss(case.network, case.activation, [(case.inputs, LABELS)])
    w = loss.parameters()
    for rho in (0.003, 0.03):
        step = observed.ascent(loss, w, rho)
        # The fast sigmoid's curvature jumps at the threshold, which quadrature cannot follow.
        accuracy = 0.05 if surrogate == "fast_sigmoid" else 1e-3
        assert step.remainder == pytest.approx(step.integral, rel=accuracy, abs=1e-12)
        assert abs(step.remainder) <= rho**2 / 2 * step.curvature * (1 + accuracy)
        assert step.predicted == pytest.approx(rho * float(loss.gradient(w).norm()))
        assert abs(step.remainder) > 1e-9


@pytest.mark.parametrize("readout", ["count", "membrane"])
def test_the_hessian_norm_is_the_largest_eigenvalue(readout: str) -> None:
    case = small(readout, "sigmoid")
    loss = MeanLoss(case.network, case.activation, [(case.inputs, LABELS)])
    w = loss.parameters()
    unit = torch.eye(len(w), dtype=torch.float64)
    hessian = torch.stack([loss.hessian_product(w, row) for row in unit])
    torch.testing.assert_close(hessian, hessian.T)
    exact = float(torch.linalg.eigvalsh(hessian).abs().max())
    found, direction = observed.hessian_norm(loss, w, 0, iterations=2000, tolerance=1e-14)
    assert found == pytest.approx(exact, rel=1e-6)
    assert float(direction.norm()) == pytest.approx(1)
    early, _ = observed.hessian_norm(loss, w, 0, iterations=3)
    assert early <= exact * (1 + 1e-12)
    step = 1e-3 * direction
    assert observed.gradient_quotient(loss, w, [step]) == pytest.approx(exact, rel=0.05)


def test_the_jacobian_predicts_a_small_change() -> None:
    case = small("count", "sigmoid")
    x = case.inputs[:, :1]
    found = observed.jacobians(case.network, case.activation, x)
    width = 1e-6 * torch.randn(x.shape, generator=case.generator(), dtype=torch.float64)
    ends = [case.network(x + way * width, case.activation)[0].detach() for way in (-1, 1)]
    along = found.inputs.flatten(1) @ width.flatten()
    torch.testing.assert_close(along, (ends[1] - ends[0]) / 2, rtol=1e-6, atol=1e-14)
    count = sum(parameter.numel() for parameter in case.network.parameters())
    assert found.parameters.shape == (3, count)


@settings(max_examples=40, deadline=None)
@given(cases())
def test_conditioning_bounds_the_input_gradient_by_the_parameter_gradient(case: Case) -> None:
    x, label = case.inputs[:, :1], torch.tensor([1])
    slopes = observed.jacobians(case.network, case.activation, x)
    ratio = observed.conditioning(slopes)
    (norms,) = observed.gradient_norms(case.network, case.activation, [(x, label)])
    assert norms.inputs <= ratio * norms.parameters * (1 + 1e-6) + 1e-12
    evidence = case.network(x, case.activation)
    g = (functional.softmax(evidence, 1) - functional.one_hot(label, 3))[0].detach()
    assert norms.inputs == pytest.approx(float((g @ slopes.inputs.flatten(1)).norm()), abs=1e-9)
    assert norms.evidence == pytest.approx(float(g.norm()), abs=1e-9)
    assert norms.parameters == pytest.approx(float((g @ slopes.parameters).norm()), abs=1e-9)


def test_states_by_hand() -> None:
    """T = 1 has no step that reads a membrane, so nothing expands."""
    case = small("count", "sigmoid", slope=40.0)
    labels = torch.zeros(2, dtype=torch.int64)
    once = observed.seen_states(
        case.network, case.activation, case.layers, [(case.inputs[:1], labels)]
    )
    assert [states.contraction for states in once] == [0.0] * 3
    seen = observed.seen_states(case.network, case.activation, case.layers, [(case.inputs, labels)])
    for states, layer in zip(seen, case.layers, strict=True):
        assert states.low < states.high
        assert 0 < states.mean_contraction <= states.contraction
        assert states.contraction <= layer.neuron.decay * layer.neuron.largest_kept_slope()
        assert (states.expanding_share > 0) == (states.contraction > 1)


def test_correlations_are_numpys() -> None:
    generator = np.random.default_rng(0)
    one = generator.normal(size=30)
    other = one + generator.normal(size=30)
    expected = float(np.corrcoef(one, other)[0, 1])
    assert observed.correlation(one.tolist(), other.tolist()) == pytest.approx(expected)
    assert observed.rank_correlation(one.tolist(), np.exp(one).tolist()) == pytest.approx(1)
    assert observed.correlation([1.0, 1.0], [1.0, 2.0]) is None

"""The smooth network in float64: exact gradients, and a twin that can be derived twice."""

from collections.abc import Callable

import pytest
import torch
from hypothesis import given, settings
from torch import Tensor
from torch.nn import functional

from pipeline.neuron import Activation
from pipeline.surrogate import SurrogateName
from pipeline.theory.smooth_forward import MeanLoss, SmoothTwin
from tests.pipeline.theory.networks import SURROGATES, Case, build, cases

LABELS = torch.tensor([0, 2])


def small(readout: str, surrogate: SurrogateName, slope: float = 3.0) -> Case:
    conv = {"type": "conv", "channels": 2, "kernel": 2, "stride": 2, "padding": 1, "bias": True}
    network = build([conv, {"type": "dense", "units": 4}], readout=readout, gain=4.0)
    generator = torch.Generator().manual_seed(1)
    inputs = torch.rand(4, 2, 1, 4, 4, generator=generator, dtype=torch.float64)
    return Case(network, Activation(surrogate, slope, "smooth"), inputs, 0.0, 1.0, 1)


def central_differences(function: Callable[[Tensor], float], at: Tensor, width: float) -> Tensor:
    found = torch.zeros_like(at).flatten()
    for index in range(at.numel()):
        step = torch.zeros_like(found)
        step[index] = width
        step = step.view_as(at)
        found[index] = (function(at + step) - function(at - step)) / (2 * width)
    return found.view_as(at)


@pytest.mark.parametrize("surrogate", SURROGATES)
@pytest.mark.parametrize("readout", ["count", "membrane"])
def test_the_gradient_is_that_of_central_differences(
    readout: str, surrogate: SurrogateName
) -> None:
    """Weights and biases of every layer, and inputs, through reset and time; to 1e−6."""
    case = small(readout, surrogate)
    loss = MeanLoss(case.network, case.activation, [(case.inputs, LABELS)])
    w = loss.parameters()
    expected = central_differences(loss.loss, w, 1e-6)
    assert float((loss.gradient(w) - expected).norm() / expected.norm()) < 1e-6

    def loss_of_inputs(inputs: Tensor) -> Tensor:
        return functional.cross_entropy(case.network(inputs, case.activation), LABELS)

    inputs = case.inputs.clone().requires_grad_()
    (found,) = torch.autograd.grad(loss_of_inputs(inputs), inputs)
    with torch.no_grad():
        near = central_differences(lambda x: float(loss_of_inputs(x)), case.inputs, 1e-6)
    assert float((found - near).norm() / near.norm()) < 1e-6
    assert float(near.norm()) > 1e-3


@settings(max_examples=40, deadline=None)
@given(cases())
def test_the_twin_is_the_trained_network(case: Case) -> None:
    run = SmoothTwin(case.network, case.activation)(case.inputs)
    torch.testing.assert_close(
        run.evidence, case.network(case.inputs, case.activation), rtol=1e-10, atol=1e-10
    )
    assert len(run.membranes) == len(case.layers)


@pytest.mark.parametrize("surrogate", SURROGATES)
@pytest.mark.parametrize("readout", ["count", "membrane"])
def test_the_hessian_product_is_the_difference_of_gradients(
    readout: str, surrogate: SurrogateName
) -> None:
    case = small(readout, surrogate)
    loss = MeanLoss(case.network, case.activation, [(case.inputs, LABELS)])
    w = loss.parameters()
    v = torch.randn(w.shape, generator=case.generator(), dtype=w.dtype)
    width = 1e-6
    expected = (loss.gradient(w + width * v) - loss.gradient(w - width * v)) / (2 * width)
    found = loss.hessian_product(w, v)
    assert float((found - expected).norm() / expected.norm()) < 1e-5


def test_batches_make_no_difference() -> None:
    case = small("count", "sigmoid")
    whole = MeanLoss(case.network, case.activation, [(case.inputs, LABELS)])
    parts = [(case.inputs[:, i : i + 1], LABELS[i : i + 1]) for i in range(2)]
    split = MeanLoss(case.network, case.activation, parts)
    w = whole.parameters()
    v = torch.ones_like(w)
    assert split.loss(w) == pytest.approx(whole.loss(w), rel=1e-12)
    torch.testing.assert_close(split.gradient(w), whole.gradient(w))
    torch.testing.assert_close(split.hessian_product(w, v), whole.hessian_product(w, v))

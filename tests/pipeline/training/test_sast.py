"""SAST's step: its equation, and its limit at ρ = 0."""

import torch
from torch import Tensor, nn

from pipeline.training.sast import sharpness_aware_gradient


def problem(seed: int = 0) -> tuple[list[Tensor], Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    shapes = ((4, 3), (4,), (2, 4))
    parameters = [nn.Parameter(torch.randn(shape, generator=generator)) for shape in shapes]
    inputs = torch.randn(5, 3, generator=generator)
    return list(parameters), inputs, torch.randn(5, 2, generator=generator)


def loss_of(parameters: list[Tensor], inputs: Tensor, targets: Tensor) -> Tensor:
    first, bias, last = parameters
    outputs = torch.tanh(inputs @ first.T + bias) @ last.T
    return (outputs - targets).square().mean()


def test_at_rho_zero_it_is_the_base_gradient_to_the_bit() -> None:
    parameters, inputs, targets = problem()
    loss, evaluations = sharpness_aware_gradient(
        lambda: loss_of(parameters, inputs, targets), parameters, 0.0
    )
    expected = torch.autograd.grad(loss_of(parameters, inputs, targets), parameters)
    assert evaluations == 1
    assert loss == float(loss_of(parameters, inputs, targets).detach())
    for parameter, gradient in zip(parameters, expected, strict=True):
        assert parameter.grad is not None
        assert torch.equal(parameter.grad, gradient)


def test_the_gradient_is_that_at_w_plus_epsilon_and_w_is_restored_to_the_bit() -> None:
    parameters, inputs, targets = problem(1)
    before = [parameter.detach().clone() for parameter in parameters]
    gradient = torch.autograd.grad(loss_of(parameters, inputs, targets), parameters)
    norm = torch.sqrt(sum((part.square().sum() for part in gradient), torch.zeros(())))
    moved = [
        (weight + 0.3 * part / norm).requires_grad_()
        for weight, part in zip(before, gradient, strict=True)
    ]
    expected = torch.autograd.grad(loss_of(moved, inputs, targets), moved)
    _, evaluations = sharpness_aware_gradient(
        lambda: loss_of(parameters, inputs, targets), parameters, 0.3
    )
    assert evaluations == 2
    for parameter, old, new in zip(parameters, before, expected, strict=True):
        assert torch.equal(parameter, old)
        torch.testing.assert_close(parameter.grad, new)


def test_the_step_leaves_a_sharp_minimum() -> None:
    """On ½·k·w² the perturbed gradient is k(w + ρ·sign w): larger than the plain one by kρ."""
    weight = nn.Parameter(torch.tensor([0.5]))
    sharpness_aware_gradient(lambda: 2 * weight.square().sum(), [weight], 0.25)
    torch.testing.assert_close(weight.grad, torch.tensor([3.0]))

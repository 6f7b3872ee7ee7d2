"""SAST's step: its equation, and its limit at ρ = 0."""

import pytest
import torch
from torch import Tensor, nn

from pipeline.config import Perturbation
from pipeline.training.sast import ascent, sharpness_aware_gradient


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


def moved_by(parameters: list[Tensor], chosen: Perturbation, rho: float) -> list[Tensor]:
    """Return ε, seen from inside the loss at the second evaluation."""
    before, seen = [parameter.detach().clone() for parameter in parameters], []

    def loss() -> Tensor:
        seen.append([p.detach() - old for p, old in zip(parameters, before, strict=True)])
        return loss_of(parameters, inputs, targets)

    inputs, targets = problem(2)[1:]
    generator = torch.Generator().manual_seed(5)
    sharpness_aware_gradient(loss, parameters, rho, chosen, generator=generator)
    for parameter, old in zip(parameters, before, strict=True):
        assert torch.equal(parameter, old)
    return seen[-1]


def norm(tensors: list[Tensor]) -> float:
    return float(torch.linalg.vector_norm(torch.cat([tensor.flatten() for tensor in tensors])))


@pytest.mark.parametrize("direction", ["gradient", "random"])
def test_layer_radii_follow_the_weights_and_add_up_to_rho(direction: str) -> None:
    parameters = problem(2)[0]
    chosen = Perturbation.model_validate({"direction": direction, "scope": "layer"})
    epsilon = moved_by(parameters, chosen, 0.3)
    assert norm(epsilon) == pytest.approx(0.3, rel=1e-4)
    for moved, parameter in zip(epsilon, parameters, strict=True):
        share = norm([parameter.detach()]) / norm([p.detach() for p in parameters])
        assert norm([moved]) == pytest.approx(0.3 * share, rel=1e-4)


@pytest.mark.parametrize("direction", ["gradient", "random"])
@pytest.mark.parametrize("scope", ["global", "layer"])
def test_an_adaptive_step_has_size_rho_in_units_of_each_weight(direction: str, scope: str) -> None:
    parameters = problem(2)[0]
    values = {"direction": direction, "scope": scope, "adaptive": True, "eta": 0.1}
    epsilon = moved_by(parameters, Perturbation.model_validate(values), 0.2)
    units = [parameter.detach().abs() + 0.1 for parameter in parameters]
    in_units = [moved / unit for moved, unit in zip(epsilon, units, strict=True)]
    assert norm(in_units) == pytest.approx(0.2, rel=1e-4)


def test_the_adaptive_step_by_hand() -> None:
    """w = (1, −2), g = (3, 4), η = 0: T = (1, 2), T g = (3, 8), ε = ρ (3, 16)/√73."""
    weights, grads = [torch.tensor([1.0, -2.0])], [torch.tensor([3.0, 4.0])]
    found = ascent(weights, grads, 0.5, Perturbation(adaptive=True, eta=0.0))
    torch.testing.assert_close(found[0], 0.5 * torch.tensor([3.0, 16.0]) / 73**0.5)


def test_a_random_direction_costs_one_gradient_and_depends_on_its_seed_alone() -> None:
    chosen = Perturbation(direction="random")
    one, same = moved_by(problem(2)[0], chosen, 0.1), moved_by(problem(2)[0], chosen, 0.1)
    assert all(torch.equal(a, b) for a, b in zip(one, same, strict=True))
    parameters, inputs, targets = problem(2)
    generator = torch.Generator().manual_seed(6)
    _, evaluations = sharpness_aware_gradient(
        lambda: loss_of(parameters, inputs, targets), parameters, 0.1, chosen, generator=generator
    )
    assert evaluations == 1


def test_the_second_gradient_is_of_the_second_minibatch() -> None:
    parameters, inputs, targets = problem(3)
    other = problem(4)[1:]
    gradient = torch.autograd.grad(loss_of(parameters, inputs, targets), parameters)
    epsilon = ascent(parameters, gradient, 0.2, Perturbation())
    moved = [(p.detach() + e).requires_grad_() for p, e in zip(parameters, epsilon, strict=True)]
    expected = torch.autograd.grad(loss_of(moved, *other), moved)
    loss, _ = sharpness_aware_gradient(
        lambda: loss_of(parameters, inputs, targets),
        parameters,
        0.2,
        second_loss_of=lambda: loss_of(parameters, *other),
    )
    assert loss == float(loss_of(parameters, inputs, targets).detach())
    for parameter, new in zip(parameters, expected, strict=True):
        torch.testing.assert_close(parameter.grad, new)


def test_a_loss_that_is_not_finite_at_the_moved_weights_is_told() -> None:
    """√(1 − w) is known at w = 0.5 and not at w + ε = 1.5."""
    weight = nn.Parameter(torch.tensor([0.5]))
    loss, _ = sharpness_aware_gradient(lambda: -(1 - weight).sqrt().sum(), [weight], 1.0)
    assert loss != loss
    assert weight.item() == 0.5

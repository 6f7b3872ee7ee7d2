"""The hand-derived neuron: exact gradients, and the contract's spikes when hard."""

import numpy as np
import pytest
import torch

from export.network import LIF
from hardware.reference import float_layer
from pipeline.neuron import Activation, Forward, integrate, lif
from pipeline.surrogate import SurrogateName
from tests.export.networks import alike

SURROGATES: tuple[SurrogateName, ...] = ("sigmoid", "arctangent", "fast_sigmoid")


def drive(seed: int = 0, steps: int = 6) -> torch.Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(steps, 3, 4, dtype=torch.float64, generator=generator)


@pytest.mark.parametrize("surrogate", SURROGATES)
def test_the_smooth_gradient_is_exact_through_reset_and_time(surrogate: SurrogateName) -> None:
    inputs, activation = drive(), Activation(surrogate, 2.5, "smooth")
    weights = torch.randn_like(inputs)

    def loss(x: torch.Tensor) -> torch.Tensor:
        return (lif(x, 0.9, 0.4, activation) * weights).sum()

    inputs.requires_grad_()
    (found,) = torch.autograd.grad(loss(inputs), inputs)
    expected, width = torch.zeros_like(found), 1e-6
    flat = inputs.detach().reshape(-1)
    for index in range(flat.numel()):
        moved = [flat.clone() for _ in range(2)]
        moved[0][index] += width
        moved[1][index] -= width
        above, below = (loss(one.view_as(inputs)) for one in moved)
        expected.view(-1)[index] = (above - below) / (2 * width)
    assert float((found - expected).norm() / expected.norm()) < 1e-6


@pytest.mark.parametrize("surrogate", SURROGATES)
def test_the_smooth_spike_is_one_half_at_the_threshold_and_rises(surrogate: SurrogateName) -> None:
    inputs = torch.tensor([[0.5, 1.0, 1.5]], dtype=torch.float64)
    low, middle, high = lif(inputs, 0.9, 1.0, Activation(surrogate, 4.0, "smooth"))[0].tolist()
    assert middle == 0.5
    assert 0 < low < middle < high < 1
    assert low == pytest.approx(1 - high)


@pytest.mark.parametrize("surrogate", SURROGATES)
def test_a_steep_slope_approaches_the_hard_spike(surrogate: SurrogateName) -> None:
    inputs = drive(3)
    smooth = lif(inputs, 0.9, 0.4, Activation(surrogate, 1e7, "smooth"))
    hard = lif(inputs, 0.9, 0.4, Activation(surrogate, 1.0, "hard"))
    torch.testing.assert_close(smooth, hard, atol=1e-3, rtol=0)


def test_the_hard_forward_is_the_contracts_neuron() -> None:
    inputs = drive(5, steps=40)
    found = lif(inputs, 0.85, 0.7, Activation("sigmoid", 2.0, "hard"))
    activation_BTN = inputs.transpose(0, 1).numpy()
    spikes, _ = float_layer(activation_BTN, 0.0, alike(activation_BTN.shape[-1], LIF(0.85, 0.7)))
    np.testing.assert_array_equal(found.transpose(0, 1).numpy(), spikes)
    assert 0 < spikes.mean() < 1


def test_a_membrane_at_the_threshold_does_not_spike() -> None:
    inputs = torch.tensor([[1.0], [0.25]])
    spikes = lif(inputs, 0.75, 1.0, Activation("sigmoid", 2.0, "hard"))
    assert spikes.flatten().tolist() == [0.0, 0.0]


@pytest.mark.parametrize("forward", ["smooth", "hard"])
def test_the_hard_gradient_is_the_smooth_formula_with_hard_spikes(forward: Forward) -> None:
    """One step: ∂s/∂I = σ′(u − ϑ) for both, worked out by hand."""
    inputs = torch.tensor([[0.3]], dtype=torch.float64, requires_grad=True)
    spikes = lif(inputs, 0.9, 1.0, Activation("sigmoid", 2.0, forward))
    (found,) = torch.autograd.grad(spikes.sum(), inputs)
    sigma = 1 / (1 + np.exp(1.4))
    assert found.item() == pytest.approx(2 * sigma * (1 - sigma))


def test_the_integrator_is_a_decaying_sum() -> None:
    inputs = torch.tensor([[1.0], [2.0], [4.0]])
    assert integrate(inputs, 0.5).flatten().tolist() == [1.0, 2.5, 5.25]

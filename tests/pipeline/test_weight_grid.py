"""The grid of the chip's weights, and the gradient through it."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from pipeline.weight_grid import Grid, best_grid, rounded


@given(st.integers(0, 10_000), st.integers(2, 8))
def test_every_weight_goes_to_the_nearest_point_of_the_grid(seed: int, bits: int) -> None:
    weight = torch.randn(5, 7, generator=torch.Generator().manual_seed(seed))
    grid = best_grid(weight, bits)
    points = grid.spacing * torch.arange(grid.lowest, grid.highest + 1)
    assert len(points) == 2**bits
    nearest = (weight[..., None] - points).abs().min(dim=-1).values
    torch.testing.assert_close((rounded(weight, grid) - weight).abs(), nearest)


@given(st.integers(0, 10_000), st.integers(2, 8))
def test_no_grid_up_to_the_largest_weight_is_better(seed: int, bits: int) -> None:
    weight = torch.randn(40, generator=torch.Generator().manual_seed(seed))

    def error(grid: Grid) -> float:
        return float((rounded(weight, grid) - weight).double().square().sum())

    found = best_grid(weight, bits)
    widest = float(weight.abs().max()) / found.highest
    assert error(found) <= error(Grid(widest, found.lowest, found.highest))


def test_the_gradient_passes_between_the_ends_of_the_grid_alone() -> None:
    weight = torch.tensor([-9.0, -2.1, 0.4, 1.4, 9.0], requires_grad=True)
    on_grid = rounded(weight, Grid(1.0, -2, 1))
    assert on_grid.tolist() == [-2.0, -2.0, 0.0, 1.0, 1.0]
    (grad,) = torch.autograd.grad((on_grid * torch.arange(1.0, 6.0)).sum(), weight)
    assert grad.tolist() == [0.0, 2.0, 3.0, 4.0, 0.0]


def test_weights_that_are_all_zero_have_a_grid() -> None:
    assert rounded(torch.zeros(3), best_grid(torch.zeros(3), 4)).tolist() == [0.0, 0.0, 0.0]


def test_weights_on_a_grid_stay_where_they_are() -> None:
    weight = 0.3 * torch.tensor([-3.0, 0.0, 2.0, 3.0])
    assert rounded(weight, best_grid(weight, 3)).tolist() == pytest.approx(weight.tolist())

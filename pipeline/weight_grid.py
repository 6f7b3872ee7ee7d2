"""Weights as the chip will hold them, in the forward pass of training.

A layer's integer weights are whole multiples of 2^(9 − bits) in −256 … 256 − 2^(9 − bits)
(`hardware.loihi.discretize`), so its float weights lie on a grid of 2^bits points with one spacing
q. Training through the grid rounds in the forward pass and passes the gradient on where the weight
is within the grid's ends (straight-through estimator, Bengio et al. 2013).
"""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

_CANDIDATES = 64
_SMALLEST_SHARE = 0.2
"""Spacings are tried down to this share of the one that just holds the largest weight."""


@dataclass(frozen=True)
class Grid:
    """The points q·lowest … q·highest."""

    spacing: float
    lowest: int
    highest: int


class _Rounded(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, weight: Tensor, grid: Grid) -> Tensor:
        steps = torch.round(weight / grid.spacing)
        ctx.save_for_backward((steps >= grid.lowest) & (steps <= grid.highest))
        return steps.clamp_(grid.lowest, grid.highest).mul_(grid.spacing)

    @staticmethod
    def backward(ctx: Any, *grad_outputs: Tensor) -> tuple[Tensor, None]:
        (inside,) = ctx.saved_tensors
        return grad_outputs[0] * inside, None


def rounded(weight: Tensor, grid: Grid) -> Tensor:
    """Return `weight` on the nearest points of `grid`."""
    on_grid: Tensor = _Rounded.apply(weight, grid)  # type: ignore[no-untyped-call]
    return on_grid


def best_grid(weight: Tensor, bits: int) -> Grid:
    """Return the grid of 2^bits points that has the smallest squared rounding error.

    Its spacing is searched geometrically below the one that just holds the largest weight; a grid
    for weights that are all zero has spacing 1.
    """
    lowest, highest = -(1 << (bits - 1)), (1 << (bits - 1)) - 1
    weight = weight.detach()
    largest = float(weight.abs().max())
    if largest == 0:
        return Grid(1.0, lowest, highest)
    shares = torch.logspace(0, -1, _CANDIDATES, base=1 / _SMALLEST_SHARE, dtype=torch.float64)
    grids = [Grid(largest / highest * float(share), lowest, highest) for share in shares]
    errors = [float((rounded(weight, grid) - weight).double().square().sum()) for grid in grids]
    return grids[errors.index(min(errors))]

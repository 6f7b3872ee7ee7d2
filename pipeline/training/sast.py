"""Sharpness-aware surrogate training: one step (arXiv 2603.18039).

    g = ∇L(w; batch)                        on the smooth network
    ε = ρ · g / (‖g‖₂ + 1e−12)              over all parameters together
    g′ = ∇L(w + ε; batch),  restore w       to the bit, from a copy
    base optimiser step with g′

The first pass needs no parameters kept beyond the copy. ρ = 0 skips it: the step is then the base
optimiser's own, bit for bit. The step is written out here, and not taken from a SAM package, so
that the restored weights are the very same bits and ρ may be zero.
"""

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

_EPSILON = 1e-12


def gradient(loss_of: Callable[[], Tensor], parameters: Sequence[Tensor]) -> float:
    """Set every parameter's `.grad` to ∇loss and return the loss."""
    loss = loss_of()
    for parameter, grad in zip(
        parameters, torch.autograd.grad(loss, list(parameters)), strict=True
    ):
        parameter.grad = grad
    return float(loss.detach())


def sharpness_aware_gradient(
    loss_of: Callable[[], Tensor], parameters: Sequence[Tensor], rho: float
) -> tuple[float, int]:
    """Set every parameter's `.grad` to the gradient at w + ε; w itself is unchanged.

    Returns the loss at w and the number of gradient evaluations (1 when ρ is 0, else 2).
    """
    loss = gradient(loss_of, parameters)
    if rho == 0:
        return loss, 1
    grads = [parameter.grad for parameter in parameters if parameter.grad is not None]
    norm = torch.linalg.vector_norm(torch.stack([torch.linalg.vector_norm(g) for g in grads]))
    scale = rho / (norm + _EPSILON)
    originals = [parameter.detach().clone() for parameter in parameters]
    with torch.no_grad():
        for parameter, grad in zip(parameters, grads, strict=True):
            parameter.add_(grad * scale)
    gradient(loss_of, parameters)
    with torch.no_grad():
        for parameter, original in zip(parameters, originals, strict=True):
            parameter.copy_(original)
    return loss, 2

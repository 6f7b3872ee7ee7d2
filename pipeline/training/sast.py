"""Sharpness-aware surrogate training: one step (arXiv 2603.18039), and what it is judged against.

    g = ∇L(w; batch)                                 on the smooth network
    ε = ρ · g / (‖g‖₂ + 1e−12)                       over all parameters together
    g′ = ∇L(w + ε; batch, or an independent second)  w is restored to the bit, from a copy
    base optimiser step with g′

Other measures of ε, with T = |w| + η for `adaptive` and T = 1 without:

    ε = ρ · T² g / (‖T g‖₂ + 1e−12)                  ASAM: ‖T⁻¹ε‖₂ = ρ
    ε_l = ρ_l · T² g_l / (‖T g_l‖₂ + 1e−12)          layer: ρ_l = ρ ‖w_l‖ / ‖w‖, so Σρ_l² = ρ²
    ε = ρ · T z / ‖z‖₂,  z normal                    random: no first gradient

ρ = 0 skips the first pass: the step is then the base optimiser's own, bit for bit. The step is
written out here, and not taken from a SAM package, because none has all of this: weights restored
to the very same bits, ρ = 0 without a second pass, a radius a layer, a random direction and a
second minibatch. The nearest is pytorch-optimizer, whose `SAM` (4.1.0) restores from copies, takes
the second gradient on whatever its closure holds and has ASAM without η; but ρ = 0 runs both
passes, one norm scales all layers, and no direction is random.
"""

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor

from pipeline.config import Perturbation

Loss = Callable[[], Tensor]
_EPSILON = 1e-12


def gradient(loss_of: Loss, parameters: Sequence[Tensor]) -> float:
    """Set every parameter's `.grad` to ∇loss and return the loss."""
    loss = loss_of()
    for parameter, grad in zip(
        parameters, torch.autograd.grad(loss, list(parameters)), strict=True
    ):
        parameter.grad = grad
    return float(loss.detach())


def sharpness_aware_gradient(
    loss_of: Loss,
    parameters: Sequence[Tensor],
    rho: float,
    perturbation: Perturbation | None = None,
    second_loss_of: Loss | None = None,
    generator: torch.Generator | None = None,
) -> tuple[float, int]:
    """Set every parameter's `.grad` to the gradient at w + ε; w itself is unchanged.

    `second_loss_of` is the loss on an independent minibatch; without it both passes share one.
    `generator` (of the processor) draws a random direction.

    Returns the loss and the number of gradient evaluations: 1 when ρ is 0 or the direction random,
    else 2. The loss is that at w; where only that at w + ε is known or finite, or it alone is not,
    it is that.
    """
    chosen = perturbation if perturbation is not None else Perturbation()
    if rho == 0:
        return gradient(loss_of, parameters), 1
    if chosen.direction == "random":
        normal = [torch.randn(p.shape, generator=generator).to(p) for p in parameters]
        loss = _gradient_at(loss_of, parameters, _random(parameters, normal, rho, chosen))
        return loss, 1
    loss = gradient(loss_of, parameters)
    grads = [parameter.grad for parameter in parameters if parameter.grad is not None]
    epsilon = ascent(parameters, grads, rho, chosen)
    second = _gradient_at(second_loss_of or loss_of, parameters, epsilon)
    return loss if math.isfinite(second) else second, 2


def ascent(
    parameters: Sequence[Tensor], grads: Sequence[Tensor], rho: float, chosen: Perturbation
) -> list[Tensor]:
    """Return ε along the gradient, one tensor a parameter."""
    units = _units(parameters, chosen)
    measured = _times(grads, units)
    return _times(_scaled(measured, _radii(parameters, rho, chosen)), units)


def _random(
    parameters: Sequence[Tensor], normal: Sequence[Tensor], rho: float, chosen: Perturbation
) -> list[Tensor]:
    """Return ε in the direction of `normal`, as large as an ascent step would be."""
    return _times(_scaled(normal, _radii(parameters, rho, chosen)), _units(parameters, chosen))


def _units(parameters: Sequence[Tensor], chosen: Perturbation) -> list[Tensor] | None:
    """Return T: |w| + η of every weight, or None for 1."""
    if not chosen.adaptive:
        return None
    return [parameter.detach().abs() + chosen.eta for parameter in parameters]


def _times(tensors: Sequence[Tensor], factors: list[Tensor] | None) -> list[Tensor]:
    if factors is None:
        return list(tensors)
    return [tensor * factor for tensor, factor in zip(tensors, factors, strict=True)]


def _radii(parameters: Sequence[Tensor], rho: float, chosen: Perturbation) -> list[Tensor] | float:
    """Return ρ of every tensor by itself, or one ρ for all together."""
    if chosen.scope == "global":
        return rho
    norms = torch.stack([torch.linalg.vector_norm(p.detach()) for p in parameters])
    return list(rho * norms / (torch.linalg.vector_norm(norms) + _EPSILON))


def _scaled(tensors: Sequence[Tensor], radii: list[Tensor] | float) -> list[Tensor]:
    """Return the tensors with the given norm, each its own or all together."""
    norms = [torch.linalg.vector_norm(tensor) for tensor in tensors]
    if isinstance(radii, list):
        scales = [radius / (norm + _EPSILON) for radius, norm in zip(radii, norms, strict=True)]
        return [tensor * scale for tensor, scale in zip(tensors, scales, strict=True)]
    scale = radii / (torch.linalg.vector_norm(torch.stack(norms)) + _EPSILON)
    return [tensor * scale for tensor in tensors]


def _gradient_at(loss_of: Loss, parameters: Sequence[Tensor], epsilon: Sequence[Tensor]) -> float:
    """Set every `.grad` to the gradient at w + ε and put w back; return the loss at w + ε."""
    originals = [parameter.detach().clone() for parameter in parameters]
    with torch.no_grad():
        for parameter, moved in zip(parameters, epsilon, strict=True):
            parameter.add_(moved)
    loss = gradient(loss_of, parameters)
    with torch.no_grad():
        for parameter, original in zip(parameters, originals, strict=True):
            parameter.copy_(original)
    return loss

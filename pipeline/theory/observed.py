"""What a trained smooth network does: states, responses to perturbations, gradients, curvature.

Axes: `T` time step, `B` recording, `C` channel, `H` height, `W` width, `K` class, `P` parameter,
`D` perturbation. All in float64. Every figure here is a largest one among those tried, so it lies
below the supremum that a bound is about.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

from pipeline.model import SpikingNetwork
from pipeline.neuron import Activation
from pipeline.theory.smooth_forward import Batch, MeanLoss, SmoothTwin
from pipeline.theory.states import TheoryLayer

LARGEST_STEP = 1.0
"""No perturbation here moves one input value by more than this."""
_RADII = (0.01, 0.1, 1.0)
_FLIPS = 8
_ROUNDING = 1e-13


@dataclass(frozen=True)
class SeenStates:
    """Of one layer: ends of the membrane, and κ = τ|φ′(u)| where a later step reads it."""

    low: float
    high: float
    contraction: float
    mean_contraction: float
    expanding_share: float


def seen_states(
    network: SpikingNetwork,
    activation: Activation,
    layers: Sequence[TheoryLayer],
    batches: Sequence[Batch],
) -> list[SeenStates]:
    """Return what each layer's membranes did over the recordings.

    `expanding_share` is the share of (recording, step, neuron) with κ > 1.
    """
    twin, found = SmoothTwin(network, activation), []
    with torch.no_grad():
        runs = [twin(spikes).membranes for spikes, _ in batches]
    for index, layer in enumerate(layers):
        membranes = torch.cat([run[index].flatten(1) for run in runs], dim=1)
        rates = layer.neuron.decay * layer.neuron.kept_slope(membranes[:-1]).abs()
        some = rates.numel() > 0
        found.append(
            SeenStates(
                float(membranes.min()),
                float(membranes.max()),
                float(rates.max()) if some else 0.0,
                float(rates.mean()) if some else 0.0,
                float((rates > 1).double().mean()) if some else 0.0,
            )
        )
    return found


@dataclass(frozen=True, eq=False)
class Jacobians:
    """∂evidence of one recording: to its input `(K, T, C, H, W)`, to the parameters `(K, P)`."""

    inputs: Tensor
    parameters: Tensor


def jacobians(network: SpikingNetwork, activation: Activation, spikes_TBCHW: Tensor) -> Jacobians:
    """Return both Jacobians of one recording, `spikes_TBCHW` with B = 1."""
    inputs = spikes_TBCHW.detach().clone().requires_grad_()
    parameters = list(network.parameters())
    evidence = network(inputs, activation)[0]
    rows = [
        torch.autograd.grad(value, [inputs, *parameters], retain_graph=True) for value in evidence
    ]
    return Jacobians(
        torch.stack([row[0].squeeze(1) for row in rows]),
        torch.stack([torch.cat([part.flatten() for part in row[1:]]) for row in rows]),
    )


def perturbations(spikes_TBCHW: Tensor, slope: Tensor, generator: torch.Generator) -> Tensor:
    """Return changes of one recording's input, `(T, D, C, H, W)`.

    `slope` is the input Jacobian `(K, T, C, H, W)`: its first right singular vector is the worst
    small change in ℓ2, the signs of its largest row the worst in ℓ∞. Both ways, at three radii,
    with a random direction and with some spikes added and taken away.
    """
    flat = slope.flatten(1)
    singular = torch.linalg.svd(flat, full_matrices=False).Vh[0]
    signs = flat[flat.abs().sum(1).argmax()].sign()
    noise = torch.randn(singular.shape, generator=generator, dtype=torch.float64)
    changes = [
        way * radius * part
        for part in (singular, signs, noise / noise.norm())
        for radius in _RADII
        for way in (-1, 1)
    ]
    chosen = torch.randperm(len(singular), generator=generator)[:_FLIPS]
    flips = torch.zeros_like(singular)
    flips[chosen] = torch.where(spikes_TBCHW.flatten()[chosen] > 0, -1.0, 1.0).double()
    stacked = torch.stack([*changes, flips]).view(-1, *slope.shape[1:])
    return stacked.transpose(0, 1)


@dataclass(frozen=True)
class Responses:
    """The largest ‖Δevidence‖/‖Δinput‖, ‖Δevidence‖, and ‖Δevidence‖ over its own bound."""

    quotient: float
    change: float
    share_of_bound: float


def responses(
    network: SpikingNetwork,
    activation: Activation,
    spikes_TBCHW: Tensor,
    changes_TDCHW: Tensor,
    per_step: Sequence[float],
    order: float,
) -> Responses:
    """Perturb one recording and hold each change of the evidence against Σ r[t]·‖Δx[t]‖.

    `order` is 2 or infinity: of the norm over inputs, over steps and over classes alike. What
    float64 rounding alone can do to the evidence is taken off each change: a saturated network
    moves by less than that.
    """
    with torch.no_grad():
        evidence = network(torch.cat([spikes_TBCHW, spikes_TBCHW + changes_TDCHW], 1), activation)
    rounding = _ROUNDING * (1 + float(torch.linalg.vector_norm(evidence, math.inf)))
    moved_D = torch.linalg.vector_norm(evidence[1:] - evidence[0], order, dim=1)
    change_D = (moved_D - rounding).clamp(min=0)
    step_norms_TD = torch.linalg.vector_norm(changes_TDCHW.flatten(2), order, dim=2)
    sizes_D = torch.linalg.vector_norm(step_norms_TD, order, dim=0)
    limits_D = torch.tensor(per_step, dtype=torch.float64) @ step_norms_TD
    some = sizes_D > 0
    quotients = (change_D / sizes_D)[some]
    shares = torch.where(change_D > 0, change_D / limits_D, 0.0)
    largest = float(quotients.max()) if some.any() else 0.0
    return Responses(largest, float(change_D.max()), float(shares.max()))


def hessian_norm(
    loss: MeanLoss, parameters_P: Tensor, seed: int, iterations: int = 30, tolerance: float = 1e-4
) -> tuple[float, Tensor]:
    """Return ‖∇²L v‖₂ with its unit v after power iteration: ‖∇²L‖₂ or less."""
    generator = torch.Generator().manual_seed(seed)
    v = torch.randn(parameters_P.shape, generator=generator, dtype=parameters_P.dtype)
    v, value = v / v.norm(), 0.0
    for _ in range(iterations):
        product = loss.hessian_product(parameters_P, v)
        previous, value = value, float(product.norm())
        if value == 0:
            break
        v = product / value
        if abs(value - previous) <= tolerance * value:
            break
    return value, v


def gradient_quotient(loss: MeanLoss, parameters_P: Tensor, steps: Sequence[Tensor]) -> float:
    """Return the largest ‖∇L(w + δ) − ∇L(w)‖₂/‖δ‖₂ over the steps δ tried."""
    here = loss.gradient(parameters_P)
    return max(
        float((loss.gradient(parameters_P + step) - here).norm() / step.norm()) for step in steps
    )


# Gauss–Lobatto on [0, 1]: exact up to degree 7, with both ends among the nodes.
_NODES = (0.0, (1 - math.sqrt(3 / 7)) / 2, 0.5, (1 + math.sqrt(3 / 7)) / 2, 1.0)
_WEIGHTS = (1 / 20, 49 / 180, 16 / 45, 49 / 180, 1 / 20)


@dataclass(frozen=True)
class Ascent:
    """The loss along the sharpness-aware step: actual against ρ‖g‖, and the curvature on the way.

    `remainder` is actual − predicted; `integral` is ρ²·∫(1−s) vᵀ∇²L(w + sρv)v ds by quadrature,
    which Taylor's theorem says it is; `curvature` is the largest |vᵀ∇²L v| at the nodes.
    """

    rho: float
    actual: float
    predicted: float
    remainder: float
    integral: float
    curvature: float


def ascent(loss: MeanLoss, parameters_P: Tensor, rho: float) -> Ascent:
    """Measure L(w + ρ g/‖g‖) − L(w) against its first-order prediction ρ‖g‖₂."""
    gradient = loss.gradient(parameters_P)
    norm = float(gradient.norm())
    v = gradient / max(norm, 1e-300)
    actual = loss.loss(parameters_P + rho * v) - loss.loss(parameters_P)
    curvatures = [
        float(v @ loss.hessian_product(parameters_P + rho * node * v, v)) for node in _NODES
    ]
    integral = rho**2 * math.fsum(
        weight * (1 - node) * value
        for weight, node, value in zip(_WEIGHTS, _NODES, curvatures, strict=True)
    )
    largest = max(map(abs, curvatures))
    return Ascent(rho, actual, rho * norm, actual - rho * norm, integral, largest)


@dataclass(frozen=True)
class GradientNorms:
    """ℓ2 norms of the gradient of one recording's loss: to parameters, input and evidence."""

    parameters: float
    inputs: float
    evidence: float


def gradient_norms(
    network: SpikingNetwork, activation: Activation, batches: Sequence[Batch]
) -> list[GradientNorms]:
    """Return the gradient norms of every recording's own loss."""
    found = []
    for spikes, labels in batches:
        for index in range(len(labels)):
            x = spikes[:, index : index + 1].detach().clone().requires_grad_()
            evidence = network(x, activation)
            loss = functional.cross_entropy(evidence, labels[index : index + 1])
            grads = torch.autograd.grad(loss, [evidence, x, *network.parameters()])
            to_evidence, to_input, *to_parameters = (float(grad.norm()) for grad in grads)
            found.append(GradientNorms(math.hypot(*to_parameters), to_input, to_evidence))
    return found


def conditioning(slopes: Jacobians) -> float:
    """Return σ_max(Jₓ)/σ_min(J_w) over directions that sum to zero; infinity at σ_min = 0.

    With g the loss's gradient to the evidence, ∇ₓℓ = Jₓᵀg and ∇_wℓ = J_wᵀg, and softmax gives g
    that sums to zero; so ‖∇ₓℓ‖ ≤ this·‖∇_wℓ‖ (proposition 6).
    """
    classes = len(slopes.parameters)
    ones = torch.ones(classes, 1, dtype=torch.float64)
    basis = torch.linalg.qr(torch.cat([ones, torch.eye(classes).double()], 1)).Q[:, 1:]
    most = torch.linalg.matrix_norm(basis.T @ slopes.inputs.flatten(1), 2)
    least = torch.linalg.matrix_norm(basis.T @ slopes.parameters, -2)
    return float(most / least) if least > 1e-12 * most else math.inf


def rank_correlation(one: Sequence[float], other: Sequence[float]) -> float | None:
    """Return Spearman's ρ, None where a side does not vary; values do not tie in practice."""
    ranks = [torch.tensor(side).double().argsort().argsort().double() for side in (one, other)]
    return correlation(ranks[0].tolist(), ranks[1].tolist())


def correlation(one: Sequence[float], other: Sequence[float]) -> float | None:
    """Return Pearson's r, None where a side does not vary."""
    sides = [torch.tensor(side, dtype=torch.float64) for side in (one, other)]
    x, y = (side - side.mean() for side in sides)
    scale = float(x.norm() * y.norm())
    return float(x @ y) / scale if scale > 0 else None

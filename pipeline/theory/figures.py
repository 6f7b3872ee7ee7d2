"""The figures of the report, part by part: what a bound says beside what the network does.

Axes: `T` time step, `K` class, `C` channel, `H` height, `W` width. Every part is a dict of plain
numbers; infinity stands for a bound beyond float64.
"""

import math
from dataclasses import asdict
from typing import Any

import torch
from torch import Tensor

from pipeline.theory import bounds, norms, observed
from pipeline.theory.smooth_forward import MeanLoss
from pipeline.theory.states import evidence_width, geometric_bound, state_bounds
from pipeline.theory.subject import Subject

JACOBIANS = 16
"""So many recordings are perturbed; their Jacobians take a backward pass a class."""
_ORDERS: dict[bounds.Norm, float] = {"l2": 2.0, "linf": math.inf}


def layer_figures(subject: Subject) -> list[dict[str, Any]]:
    """Return norms, contraction and membranes of every layer."""
    reach = state_bounds(subject.layers, subject.steps, 0, subject.input_max)
    seen = observed.seen_states(
        subject.network, subject.activation, subject.layers, subject.batches
    )
    found, largest_input = [], float(subject.input_max)
    for layer, bound, states in zip(subject.layers, reach, seen, strict=True):
        neuron, operator = layer.neuron, layer.operator
        found.append(
            {
                "name": layer.name,
                "decay": neuron.decay,
                "norms": {
                    "linf": norms.largest_row_sum(operator),
                    "l1": norms.largest_column_sum(operator),
                    "l2_estimate": norms.spectral_estimate(operator, subject.seed),
                    "l2_bound": norms.spectral_bound(operator),
                },
                "contraction": {
                    "everywhere": neuron.decay * neuron.largest_kept_slope(),
                    "reachable": neuron.decay * neuron.largest_kept_slope(bound.low, bound.high),
                    "seen": states.contraction,
                    "seen_mean": states.mean_contraction,
                    "seen_expanding_share": states.expanding_share,
                },
                "membrane": {
                    "geometric": geometric_bound(layer, subject.steps, largest_input),
                    "low": bound.low,
                    "high": bound.high,
                    "seen_low": states.low,
                    "seen_high": states.high,
                },
            }
        )
        largest_input = 1.0
    return found


def response_figures(subject: Subject) -> dict[str, Any]:
    """Return the Lipschitz bounds beside the changes of the evidence, and the conditioning."""
    limits = _limits(subject)
    generator = torch.Generator().manual_seed(subject.seed)
    found: dict[bounds.Norm, list[dict[str, float]]] = {norm: [] for norm in _ORDERS}
    ratios = []
    for x in subject.singles(JACOBIANS):
        slopes = observed.jacobians(subject.network, subject.activation, x)
        changes = observed.perturbations(x, slopes.inputs, generator)
        ratios.append(observed.conditioning(slopes))
        for norm, order in _ORDERS.items():
            response = observed.responses(
                subject.network, subject.activation, x, changes, limits[norm]["by_step"], order
            )
            local = float(torch.linalg.matrix_norm(slopes.inputs.flatten(1), order))
            found[norm].append(asdict(response) | {"local": local})
    largest = {
        norm: {key: max(one[key] for one in each) for key in each[0]}
        for norm, each in found.items()
    }
    merged: dict[str, Any] = {norm: limits[norm] | largest[norm] for norm in _ORDERS}
    return merged | {"n": len(ratios), "conditioning": ratios}


def _limits(subject: Subject) -> dict[bounds.Norm, dict[str, Any]]:
    """Return the Lipschitz bound and the width of the evidence over inputs and perturbed inputs."""
    low, high = -observed.LARGEST_STEP, subject.input_max + observed.LARGEST_STEP
    reach = state_bounds(subject.layers, subject.steps, low, high)
    width = evidence_width(reach[-1], subject.steps, subject.readout == "count")
    found: dict[bounds.Norm, dict[str, Any]] = {}
    for norm, order in _ORDERS.items():
        gains = [
            bounds.gains(layer, norm, at) for layer, at in zip(subject.layers, reach, strict=True)
        ]
        by_step = bounds.lipschitz_by_step(gains, subject.steps, subject.readout)
        found[norm] = {
            "bound": bounds.lipschitz(by_step, norm),
            "by_step": by_step,
            "width": float(torch.linalg.vector_norm(width, order)),
        }
    return found


def loss_figures(subject: Subject, rho: float) -> dict[str, Any]:
    """Return the loss as a function of the parameters: gradient, smoothness, first-order bound."""
    loss = MeanLoss(subject.network, subject.activation, subject.batches)
    w = loss.parameters()
    gradient = loss.gradient(w)
    curved, direction = observed.hessian_norm(loss, w, subject.seed)
    generator = torch.Generator().manual_seed(subject.seed)
    noise = torch.randn(w.shape, generator=generator, dtype=w.dtype)
    steps = [rho * part / part.norm() for part in (gradient, direction, noise) if part.any()]
    quotient = observed.gradient_quotient(loss, w, steps)
    limit = bounds.curvature_bound(subject.layers, _input_norms(subject), subject.readout, rho)
    estimate = max(curved, quotient)
    return {
        "rho": rho,
        "loss": loss.loss(w),
        "gradient_norm": float(gradient.norm()),
        "gradient_bound": limit.gradient,
        "smoothness_bound": limit.smoothness,
        "smoothness_estimate": estimate,
        "hessian_norm": curved,
        "gradient_quotient": quotient,
        "largest_step_size": bounds.largest_step_size(estimate) if estimate > 0 else None,
        "ascent": [asdict(observed.ascent(loss, w, part * rho)) for part in (0.25, 0.5, 1.0)],
    }


def _input_norms(subject: Subject) -> list[float]:
    """Return the largest ‖x[t]‖₂ of any recording, `(T,)`."""
    norms_TB: Tensor = torch.cat([x.flatten(2).norm(dim=2) for x, _ in subject.batches], 1)
    return list(norms_TB.max(dim=1).values.tolist())


def mechanism_figures(subject: Subject, conditioning: list[float]) -> dict[str, Any]:
    """Return parameter gradients beside input gradients, recording by recording."""
    found = observed.gradient_norms(subject.network, subject.activation, subject.batches)
    shares = [
        one.inputs / (one.parameters * ratio) if one.parameters > 0 else 0.0
        for one, ratio in zip(found, conditioning, strict=False)
    ]
    sides = [one.parameters for one in found], [one.inputs for one in found]
    # Both gradients carry the factor ∂ℓ/∂y, large where the loss is; without it the Jacobians stay.
    unit = [one for one in found if one.evidence > 0]
    alone = (
        [one.parameters / one.evidence for one in unit],
        [one.inputs / one.evidence for one in unit],
    )
    return {
        "parameter_gradients": sides[0],
        "input_gradients": sides[1],
        "evidence_gradients": [one.evidence for one in found],
        "pearson": observed.correlation(*sides),
        "spearman": observed.rank_correlation(*sides),
        "pearson_per_evidence": observed.correlation(*alone),
        "spearman_per_evidence": observed.rank_correlation(*alone),
        "conditioning": conditioning,
        "largest_share_of_bound": max(shares),
    }


def convergence_figures(
    loss: dict[str, Any], parameter_gradients: list[float], batch_size: int
) -> dict[str, Any]:
    """Return σ² of a minibatch drawn anew, and the floor of theorem 5 at η = 1/(4L).

    σ² = (mean ‖∇ℓ‖² − ‖∇f‖²)·n/(n−1)/batch;  floor = 3L²ρ² + 2Lησ² = 3L²ρ² + σ²/2, L from below.
    """
    n = len(parameter_gradients)
    spread = math.fsum(norm**2 for norm in parameter_gradients) - n * loss["gradient_norm"] ** 2
    variance = max(spread, 0.0) / (n - 1) / batch_size
    floor = 3 * (loss["smoothness_estimate"] * loss["rho"]) ** 2 + variance / 2
    return {"gradient_variance": variance, "convergence_floor": floor}

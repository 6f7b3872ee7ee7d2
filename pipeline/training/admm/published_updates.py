"""The closed-form updates of the published iteration, one a block of variables.

Axes: `T` time step, `B` recording, `N` neuron, `K` class, `O` output, `F` fan-in.

Each minimises the objective of `published` over its own block, all else held fixed, with two
exceptions that belong to what was published and are kept:

1. Relaxed spikes are minimised without bounds and then clipped to 0…1. Their matrix is not
   diagonal, so the clipped point is not the minimiser within the bounds, and can even be worse than
   the spikes before.
2. A membrane that is to fire against its own pull is put to ϑ + 1e-5: the infimum over z > ϑ is
   not attained.
"""

import torch
from torch import Tensor

from pipeline.training.admm.membrane import Neuron
from pipeline.training.admm.settings import Published

_ABOVE = 1e-5


def sought_drive(membranes_TBN: Tensor, spikes_TBN: Tensor | None, neuron: Neuron) -> Tensor:
    """Return x[t] = z[t] − δ·z[t−1] + ϑ·a[t−1], the drive these states would need, `(T, B, N)`.

    The output has no spikes, and no term of theirs.
    """
    drive = membranes_TBN.clone()
    drive[1:] -= neuron.decay * membranes_TBN[:-1]
    if spikes_TBN is not None:
        drive[1:] += neuron.threshold * spikes_TBN[:-1]
    return drive


def fitted_weights(cross_OF: Tensor, inverse_FF: Tensor) -> Tensor:
    """Return W = (Σ x aᵀ)(Σ a aᵀ)⁺, `(O, F)`; the output's Σ x aᵀ has (λ/ρ)a[T]ᵀ added.

    Of all minimisers of Σ ‖x − W a‖² it is the one of least norm.
    """
    return cross_OF @ inverse_FF


def pseudo_inverse(gram_FF: Tensor) -> Tensor:
    """Return (Σ a aᵀ)⁺ in float64."""
    inverse_FF: Tensor = torch.linalg.pinv(gram_FF.double(), hermitian=True)
    return inverse_FF


class SpikeUpdate:
    """a[t] = clip₀₁{[WᵀW + (ϑ²·1(t<T) + β/ρ)·1]⁻¹ right}, W the weights of the layer above.

    Solved by Cholesky in float64: β/ρ > 0 keeps the matrix definite.
    """

    def __init__(self, above_OF: Tensor, neuron: Neuron, weights: Published) -> None:
        gram = above_OF.double().T @ above_OF.double()
        self._threshold, self._pull = neuron.threshold, weights.beta / weights.rho
        self._before = _factor(gram, neuron.threshold**2 + self._pull)
        self._last = _factor(gram, self._pull)

    def before_last(self, asked_BN: Tensor, fires_BN: Tensor, misfit_BN: Tensor) -> Tensor:
        """Return a[t] of a step before the last, `(B, N)`.

        `asked_BN` is Wᵀv, `fires_BN` H(z[t] − ϑ), and `misfit_BN` z[t+1] − δz[t] − W a_below[t+1],
        which a spike at t is to make up for by its reset.
        """
        right = asked_BN + self._pull * fires_BN - self._threshold * misfit_BN
        return _solved(self._before, right)

    def last(self, asked_BN: Tensor, fires_BN: Tensor) -> Tensor:
        """Return a[T], whose reset nothing follows, `(B, N)`."""
        return _solved(self._last, asked_BN + self._pull * fires_BN)


def hidden_membranes(
    pulled_BN: Tensor,
    later_BN: Tensor | None,
    spikes_BN: Tensor,
    neuron: Neuron,
    weights: Published,
) -> Tensor:
    """Return z[t] of a hidden layer, `(B, N)`: the better of z ≤ ϑ and z > ϑ.

    `pulled_BN` is q = W a_below[t] + δz[t−1] − ϑa[t−1], `later_BN` r = z[t+1] − W a_below[t+1],
    None at t = T. Without the step function z* = (q + δ(r + ϑa))/(1 + δ²), or q at T. The other
    side of ϑ is no better than at ϑ itself, and is taken where it pays:

        z* > ϑ and Δ1 + Δ2 > 0 → ϑ;    z* ≤ ϑ and Δ2 − Δ1 > 0 → ϑ + 1e-5
        Δ1 = β(1 − 2a);   Δ2 = ρ[(z*−q)² + (r−δz*+ϑa)² − (ϑ−q)² − (r−δϑ+ϑa)²]

    Δ2 is computed as −ρ(1 + δ²)(z* − ϑ)², at T −ρ(z* − ϑ)²: the same, as z* is the minimum of that
    parabola, and without its cancellation.
    """
    threshold = torch.tensor(neuron.threshold, dtype=spikes_BN.dtype, device=spikes_BN.device)
    best, bend = pulled_BN, 1.0
    if later_BN is not None:
        bend = 1 + neuron.decay**2
        reset = neuron.threshold * spikes_BN
        best = (pulled_BN + neuron.decay * (later_BN + reset)) / bend
    price = weights.rho * bend * (best - threshold).square()  # −Δ2
    gain = weights.beta * (1 - 2 * spikes_BN)  # Δ1
    fires = best > threshold
    best = torch.where(fires & (gain > price), threshold, best)
    return torch.where(~fires & (-gain > price), _just_above(threshold), best)


def output_membranes(
    pulled_BK: Tensor, later_BK: Tensor, multiplier_BK: Tensor | None, decay: float, rho: float
) -> Tensor:
    """Return z_L[t] of a step before the last, (s + δr + (δ/ρ)λ)/(1 + δ²), `(B, K)`.

    s = `pulled_BK` = W a[t] + δz[t−1] and r = `later_BK` = z[t+1] − W a[t+1]. λ acts on the step
    before the last alone; elsewhere `multiplier_BK` is None.
    """
    pull = pulled_BK + decay * later_BK
    if multiplier_BK is not None:
        pull = pull + decay / rho * multiplier_BK
    return pull / (1 + decay**2)


def last_output_membranes(
    pulled_BK: Tensor, wanted_BK: Tensor, multiplier_BK: Tensor, rho: float
) -> Tensor:
    """Return z_L[T] = (ρs + 2y − λ)/(2 + ρ), `(B, K)`; s = `pulled_BK`, y = `wanted_BK`."""
    return (rho * pulled_BK + 2 * wanted_BK - multiplier_BK) / (2 + rho)


def _factor(gram_NN: Tensor, shift: float) -> Tensor:
    shifted = gram_NN.clone()
    shifted.diagonal().add_(shift)
    factor_NN: Tensor = torch.linalg.cholesky(shifted)
    return factor_NN


def _solved(factor_NN: Tensor, right_BN: Tensor) -> Tensor:
    solved_BN = torch.cholesky_solve(right_BN.double().T, factor_NN).T
    return solved_BN.clamp(0, 1).to(right_BN.dtype)


def _just_above(threshold: Tensor) -> Tensor:
    """Return ϑ + 1e-5, or the next number where that rounds to ϑ."""
    infinity = torch.full_like(threshold, torch.inf)
    return torch.maximum(threshold + _ABOVE, torch.nextafter(threshold, infinity))

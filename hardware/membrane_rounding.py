"""Rounding to integers that minimises the error of the membrane, not of each weight.

Axes: `O` output, `J` term of an error, as in `hardware.membrane_error`; `R` row, an output that is
still moving, `B` term of a block.

Every output o looks for integers q, one a free term, that minimise d H dᵀ with d = unit·q − target:
a closest vector problem, exact only at exponential cost. Two steps, both deterministic:

1. Error feedback: with H = RᵀR (R upper triangular) round the terms one by one from the last, each
   against the error that those before it have made,

       q_j = round((target_j − Σ_{i>j} R_ji d_i / R_jj) / unit_j)

   Largest diagonal first, the bias last: its grid is the finest. This is GPTQ (Frantar et al.
   2022, arXiv 2210.17323), in the triangular form of Chee et al. 2023 (arXiv 2307.13304).
2. Coordinate descent: move each term to its best integer given the others,
   q_j ← q_j − round((d H)_j / (H_jj unit_j)), until no single move helps.

An output whose d H dᵀ did not fall keeps the integers it came with.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hardware.membrane_error import mean_square_error

Array = NDArray[Any]
_BLOCK = 128
"""Terms whose mutual influence is followed one by one; between blocks it is one product."""
_SWEEPS = 20
_LEAST_GAIN = 1e-9
"""Share of H_jj·unit_j² below which the gain of a move counts as rounding noise."""


@dataclass(frozen=True, eq=False)
class Lattice:
    """The values that integers can take: unit_J·q with lowest_J ≤ q ≤ highest_J.

    A term with a unit of zero is not free: it stays as it is.
    """

    unit_J: Array
    lowest_J: Array
    highest_J: Array


class MembraneRounding:
    """Rounding by the form H, positive definite (`hardware.membrane_error.damped`).

    H is factored once; the scales of a layer may share it, as `order_J` does not depend on them.
    """

    def __init__(self, form_JJ: Array, lattice: Lattice) -> None:
        self.form_JJ = form_JJ
        self.order_J = _order(lattice, np.diag(form_JJ))
        upper_JJ = np.linalg.cholesky(form_JJ[np.ix_(self.order_J, self.order_J)]).T
        self.follow_JJ = upper_JJ / np.diag(upper_JJ)[:, None]

    def __call__(self, target_OJ: Array, start_OJ: Array, lattice: Lattice) -> NDArray[np.float64]:
        """Return integers q, `(O, J)`, whose error is at most that of `start_OJ` in every output.

        `target_OJ` is what unit·q should be; of a term that is not free it is minus the fixed
        error.
        """
        found_OJ = self._feed_back(target_OJ, start_OJ, lattice)
        self._descend(target_OJ, found_OJ, lattice)
        before_O = mean_square_error(lattice.unit_J * start_OJ - target_OJ, self.form_JJ)
        after_O = mean_square_error(lattice.unit_J * found_OJ - target_OJ, self.form_JJ)
        return np.where((after_O < before_O)[:, None], found_OJ, start_OJ)

    def _feed_back(
        self, target_OJ: Array, start_OJ: Array, lattice: Lattice
    ) -> NDArray[np.float64]:
        """Round term by term, in `order_J` from its end, against the error made so far."""
        order_J, follow_JJ = self.order_J, self.follow_JJ
        unit_J, lowest_J, highest_J = (
            bound[order_J] for bound in (lattice.unit_J, lattice.lowest_J, lattice.highest_J)
        )
        wanted_OJ, found_OJ = target_OJ[:, order_J], start_OJ[:, order_J].astype(np.float64)
        error_OJ = unit_J * found_OJ - wanted_OJ
        for end in range(len(order_J), 0, -_BLOCK):
            begin = max(0, end - _BLOCK)
            carried_OB = error_OJ[:, end:] @ follow_JJ[begin:end, end:].T
            for j in range(end - 1, begin - 1, -1):
                if not unit_J[j]:
                    continue
                carried_O = error_OJ[:, j + 1 : end] @ follow_JJ[j, j + 1 : end]
                carried_O += carried_OB[:, j - begin]
                nearest_O = np.rint((wanted_OJ[:, j] - carried_O) / unit_J[j])
                found_OJ[:, j] = np.clip(nearest_O, lowest_J[j], highest_J[j])
                error_OJ[:, j] = unit_J[j] * found_OJ[:, j] - wanted_OJ[:, j]
        result_OJ = np.empty_like(found_OJ)
        result_OJ[:, order_J] = found_OJ
        return result_OJ

    def _descend(self, target_OJ: Array, found_OJ: Array, lattice: Lattice) -> None:
        """Move single terms of `found_OJ`, in place, until no move lowers d H dᵀ."""
        rows = np.arange(len(found_OJ))
        for _ in range(_SWEEPS):
            before_RJ = found_OJ[rows]
            after_RJ = self._sweep(target_OJ[rows], before_RJ, lattice)
            found_OJ[rows] = after_RJ
            rows = rows[(after_RJ != before_RJ).any(axis=1)]
            if not len(rows):
                break

    def _sweep(self, target_RJ: Array, before_RJ: Array, lattice: Lattice) -> NDArray[np.float64]:
        """Give every term in turn its best integer given the others."""
        found_RJ, unit_J, form_JJ = before_RJ.copy(), lattice.unit_J, self.form_JJ
        error_RJ = unit_J * found_RJ - target_RJ
        for begin in range(0, len(unit_J), _BLOCK):
            block = slice(begin, begin + _BLOCK)
            slope_RB = error_RJ @ form_JJ[:, block]
            for j in range(begin, min(begin + _BLOCK, len(unit_J))):
                if not unit_J[j]:
                    continue
                slope_R, quantum = slope_RB[:, j - begin], form_JJ[j, j] * unit_J[j]
                best_R = found_RJ[:, j] - np.rint(slope_R / quantum)
                best_R = np.clip(best_R, lattice.lowest_J[j], lattice.highest_J[j])
                moves_R = best_R - found_RJ[:, j]
                gain_R = -moves_R * (2 * slope_R + moves_R * quantum)
                moves_R[gain_R <= _LEAST_GAIN * quantum] = 0
                if moves_R.any():
                    found_RJ[:, j] += moves_R
                    error_RJ[:, j] += unit_J[j] * moves_R
                    slope_RB += (unit_J[j] * moves_R)[:, None] * form_JJ[j, block]
        return found_RJ


def _order(lattice: Lattice, diagonal_J: Array) -> NDArray[np.int64]:
    """Return the terms in the triangular factor's order; rounding starts at its end.

    Fixed terms come last, so that what follows answers to their error, and the finest unit first.
    """
    keys = (diagonal_J, lattice.unit_J, lattice.unit_J == 0)
    return np.asarray(np.lexsort(keys), np.int64)

"""The weight step of ADMM: ridge regression from sums, by Cholesky in double precision.

Axes: `O` output, `F` fan-in. min ‖R − D X‖² + μ·m·‖D‖² has D = (RᵀX)(XᵀX + μ·m·1)⁻¹, with m the
mean of the diagonal of XᵀX. A silent input is a zero row of XᵀX; the ridge keeps it solvable, where
a pseudo-inverse would blow up its noise.
"""

import torch
from torch import Tensor

_POWER_STEPS = 30


class RidgeFactor:
    """The Cholesky factor of XᵀX + μ·m·1.

    Axes: `gram_FF` in float64; everything is solved in float64.
    """

    def __init__(self, gram_FF: Tensor, ridge: float) -> None:
        mean = float(gram_FF.diagonal().mean())
        self.shift = ridge * (mean if mean > 0 else 1.0)
        self.matrix_FF = gram_FF.clone()
        self.matrix_FF.diagonal().add_(self.shift)
        self.factor_FF = torch.linalg.cholesky(self.matrix_FF)

    def solved(self, cross_OF: Tensor) -> Tensor:
        """Return (RᵀX)(XᵀX + μ·m·1)⁻¹, `(O, F)`."""
        return torch.cholesky_solve(cross_OF.double().T, self.factor_FF).T

    def condition(self) -> float:
        """Return the ratio of the largest to the smallest eigenvalue, by power iteration.

        Both ends come from within: the true ratio is not below it by more than rounding, and may
        be above.
        """
        start = torch.ones_like(self.matrix_FF[:, :1]) / len(self.matrix_FF) ** 0.5
        start[::2] *= 0.5  # not orthogonal to an alternating vector
        high, low = start, start
        for _ in range(_POWER_STEPS):
            high = torch.nn.functional.normalize(self.matrix_FF @ high, dim=0)
            low = torch.nn.functional.normalize(torch.cholesky_solve(low, self.factor_FF), dim=0)
        largest = float((high * (self.matrix_FF @ high)).sum())
        smallest = float((low * (self.matrix_FF @ low)).sum())
        return largest / smallest

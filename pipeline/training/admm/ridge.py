"""The weight step of ADMM: ridge regression from sums, by Cholesky in double precision.

Axes: `O` output, `F` fan-in, `N` leading eigenvector.

min ‖R − D X‖² + μ·m·‖D‖² has D = (RᵀX)(XᵀX + μ·m·1)⁻¹, with m the mean of the diagonal of XᵀX. A
silent input is a zero row of XᵀX; the ridge keeps it solvable, where a pseudo-inverse would blow up
its noise.
"""

from collections.abc import Callable
from functools import cached_property

import torch
from torch import Tensor

_LANCZOS_STEPS = 12
_LEADING = 128
_SUBSPACE_STEPS = 2


class RidgeFactor:
    """XᵀX + μ·m·1 from a float64 `gram_FF`, and its Cholesky factor, made on first use."""

    def __init__(self, gram_FF: Tensor, ridge: float) -> None:
        mean = float(gram_FF.diagonal().mean())
        self.shift = ridge * (mean if mean > 0 else 1.0)
        self.matrix_FF = gram_FF.clone()
        self.matrix_FF.diagonal().add_(self.shift)
        self._condition: float | None = None
        self._factors: dict[torch.dtype, Tensor] = {}

    @cached_property
    def factor_FF(self) -> Tensor:
        """The lower Cholesky factor in float64."""
        factor_FF: Tensor = torch.linalg.cholesky(self.matrix_FF)
        return factor_FF

    def solved(self, cross_OF: Tensor) -> Tensor:
        """Return (RᵀX)(XᵀX + μ·m·1)⁻¹, `(O, F)`, in the precision of `cross_OF`."""
        factor = self._factor_in(cross_OF.dtype)
        half_FO = torch.linalg.solve_triangular(factor, cross_OF.T, upper=False)
        step_FO: Tensor = torch.linalg.solve_triangular(factor.T, half_FO, upper=True)
        return step_FO.transpose(0, 1)

    def nearly_solved(self, cross_OF: Tensor) -> Tensor:
        """Return `solved` with all but the leading eigenvalues λ of XᵀX at their mean λ̄.

        With U the `_LEADING` eigenvectors and s = μ·m it is
        D = (RᵀX − (RᵀX U)·(λ − λ̄)/(λ + s)·Uᵀ)/(λ̄ + s), which has the share (λ − λ̄)/(λ̄ + s) of an
        eigenvector's part wrong that is not in U. Of a narrow layer, and where an eigenvalue left
        out may be above s/4, it is `solved` itself.
        """
        if len(self.matrix_FF) <= 4 * _LEADING or self._leading is None:
            return self.solved(cross_OF)
        basis_FN, gain_N, rest = self._leading
        basis_FN, gain_N = basis_FN.to(cross_OF.dtype), gain_N.to(cross_OF.dtype)
        return (cross_OF - ((cross_OF @ basis_FN) * gain_N) @ basis_FN.T) / rest

    @cached_property
    def _leading(self) -> tuple[Tensor, Tensor, float] | None:
        """Return U, (λ − λ̄)/(λ + s) and λ̄ + s, by subspace iteration (Halko et al. 2011)."""
        gram_FF = self.matrix_FF.float()
        gram_FF.diagonal().sub_(self.shift)
        size, device = len(gram_FF), gram_FF.device
        generator = torch.Generator().manual_seed(0)
        basis_FN = torch.randn(size, _LEADING, generator=generator).to(device)
        for _ in range(_SUBSPACE_STEPS):
            basis_FN = torch.linalg.qr(gram_FF @ basis_FN).Q
        values_N, vectors_NN = torch.linalg.eigh(basis_FN.T @ (gram_FF @ basis_FN))
        if float(values_N[0]) > self.shift / 4:
            return None
        trace = float(self.matrix_FF.diagonal().sum()) - size * self.shift
        left = (trace - float(values_N.double().sum())) / (size - _LEADING)
        gain_N = (values_N - left) / (values_N + self.shift)
        return basis_FN @ vectors_NN, gain_N, left + self.shift

    def _factor_in(self, dtype: torch.dtype) -> Tensor:
        if dtype == torch.float64:
            return self.factor_FF
        if dtype not in self._factors:
            self._factors[dtype] = self.factor_FF.to(dtype)
        return self._factors[dtype]

    def condition(self) -> float:
        """Return the ratio of the largest to the smallest eigenvalue, by Lanczos' method.

        Both ends come from within: the ratio is not above the true one by more than rounding, and
        may be below it where eigenvalues lie close together.
        """
        if self._condition is None:
            self._condition = self._measured_condition()
        return self._condition

    def _measured_condition(self) -> float:
        lower, upper = self.factor_FF, self.factor_FF.T

        def inverse(vector_F1: Tensor) -> Tensor:
            # Twice as many calls as cholesky_solve, and 20 times as fast for one column.
            half = torch.linalg.solve_triangular(lower, vector_F1, upper=False)
            whole: Tensor = torch.linalg.solve_triangular(upper, half, upper=True)
            return whole

        size = len(self.matrix_FF)
        start = torch.linspace(0.5, 1.5, size, dtype=torch.float64, device=lower.device)[:, None]
        largest = _largest_eigenvalue(lambda vector_F1: self.matrix_FF @ vector_F1, start)
        return largest * _largest_eigenvalue(inverse, start)


def _largest_eigenvalue(product: Callable[[Tensor], Tensor], start_F1: Tensor) -> float:
    """Return the largest eigenvalue of a symmetric matrix within its first Krylov space."""
    basis_FN = torch.linalg.qr(start_F1).Q
    for _ in range(min(_LANCZOS_STEPS, len(start_F1)) - 1):
        # Orthonormal even where the product adds nothing to the space.
        basis_FN = torch.linalg.qr(torch.cat([basis_FN, product(basis_FN[:, -1:])], 1)).Q
    return float(torch.linalg.eigvalsh(basis_FN.T @ product(basis_FN))[-1])

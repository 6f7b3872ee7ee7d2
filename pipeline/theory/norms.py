"""Operator norms of a layer's synapses, as the network applies them: with stride and padding.

Axes: `B` vector, `C` channel, `H` height, `W` width, `O` output and `I` input of a weight.

`ℓ∞ → ℓ∞` is the largest Σ|w| of a row and `ℓ1 → ℓ1` that of a column; both are exact. For `ℓ2 → ℓ2`
power iteration gives an estimate that never exceeds the norm, so no bound may use it. Bounds use
the singular values of a dense matrix, and for a convolution those of the torus that it is cut from.
"""

import math
from dataclasses import dataclass, replace

import torch
from torch import Tensor
from torch.nn import functional
from torch.nn.grad import conv2d_input

from export.network import Conv, Shape, Synapse

ROUNDING = 1 + 1e-10
"""Float64 singular values are right to about 1e−13; a bound is rounded up by far more."""


@dataclass(frozen=True, eq=False)
class SynapseMap:
    """x ↦ W x of one layer in float64, without the bias; `stride` is None for a dense layer."""

    weight: Tensor
    input_shape: Shape
    output_shape: Shape
    stride: tuple[int, int] | None = None
    padding: tuple[int, int] = (0, 0)

    def apply(self, x: Tensor) -> Tensor:
        """Return W x of `(B, *input_shape)` as `(B, *output_shape)`."""
        if self.stride is None:
            return functional.linear(x.flatten(1), self.weight)
        return functional.conv2d(x, self.weight, None, self.stride, self.padding)

    def adjoint(self, y: Tensor) -> Tensor:
        """Return Wᵀ y of `(B, *output_shape)` as `(B, *input_shape)`."""
        if self.stride is None:
            return (y @ self.weight).view(len(y), *self.input_shape)
        size = (len(y), *self.input_shape)
        found: Tensor = conv2d_input(  # type: ignore[no-untyped-call]
            size, self.weight, y, self.stride, self.padding
        )
        return found

    def of(self, weight: Tensor) -> "SynapseMap":
        """Return the same wiring with other weights."""
        return replace(self, weight=weight)

    def matrix(self) -> Tensor:
        """Return the operator as a matrix, `(outputs, inputs)`; for small layers."""
        inputs = math.prod(self.input_shape)
        unit = torch.eye(inputs, dtype=self.weight.dtype).view(inputs, *self.input_shape)
        return self.apply(unit).flatten(1).T


def synapse_map(synapse: Synapse, input_shape: Shape) -> SynapseMap:
    """Return the operator of a layer of the contract that sees `input_shape`."""
    weight = torch.as_tensor(synapse.weight, dtype=torch.float64)
    output_shape = synapse.output_shape(input_shape)
    if isinstance(synapse, Conv):
        return SynapseMap(weight, input_shape, output_shape, synapse.stride, synapse.padding)
    return SynapseMap(weight, input_shape, output_shape)


def largest_row_sum(operator: SynapseMap) -> float:
    """Return ‖W‖ from ℓ∞ to ℓ∞: the largest Σ|w| into one output, borders counted as they are."""
    ones = torch.ones(1, *operator.input_shape, dtype=torch.float64)
    return float(operator.of(operator.weight.abs()).apply(ones).max())


def largest_column_sum(operator: SynapseMap) -> float:
    """Return ‖W‖ from ℓ1 to ℓ1: the largest Σ|w| out of one input."""
    ones = torch.ones(1, *operator.output_shape, dtype=torch.float64)
    return float(operator.of(operator.weight.abs()).adjoint(ones).max())


def spectral_estimate(
    operator: SynapseMap, seed: int, iterations: int = 500, tolerance: float = 1e-9
) -> float:
    """Return ‖W x‖₂ after power iteration on WᵀW: at most ‖W‖₂, and near it.

    Stops when a step raises the value by less than `tolerance` of itself; a negative one never
    stops it.
    """
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(1, *operator.input_shape, generator=generator, dtype=torch.float64)
    value = 0.0
    for _ in range(iterations):
        y = operator.apply(x / x.norm())
        previous, value = value, float(y.norm())
        x = operator.adjoint(y)
        if value <= previous * (1 + tolerance) or not x.any():
            break
    return value


def spectral_bound(operator: SynapseMap) -> float:
    """Return an upper bound on ‖W‖₂: the norm itself of a dense layer, nearly so of a convolution.

    Dense: the largest singular value. Convolution: the smaller of √(‖W‖₁·‖W‖∞) and the norm on a
    torus. A stride of s is a stride of 1 over s² times the channels (the kernel padded to a
    multiple of s); over the padded input that operator is a circular one with its wrapped outputs
    left out, so its norm is at most the circular one's, whose singular values are those of the
    kernel's Fourier blocks (Sedghi, Gupta and Long 2019).
    """
    if operator.stride is None:
        return float(torch.linalg.matrix_norm(operator.weight, 2)) * ROUNDING
    schur = math.sqrt(largest_row_sum(operator) * largest_column_sum(operator))
    return min(schur, _torus_norm(operator, operator.stride)) * ROUNDING


def _torus_norm(operator: SynapseMap, stride: tuple[int, int]) -> float:
    kernel = _unstrided(operator.weight, stride)
    _, height, width = operator.input_shape
    sizes = [
        -(-(size + 2 * pad) // step)
        for size, pad, step in zip((height, width), operator.padding, stride, strict=True)
    ]
    blocks = torch.fft.rfft2(kernel, s=sizes).permute(2, 3, 0, 1)
    return float(torch.linalg.matrix_norm(blocks, 2).max())


def _unstrided(weight_OIHW: Tensor, stride: tuple[int, int]) -> Tensor:
    """Return the kernel over inputs whose s×s cells became channels: `(O, I·s·s, H/s, W/s)`."""
    outputs, inputs, height, width = weight_OIHW.shape
    down, right = stride
    padded = functional.pad(weight_OIHW, (0, -width % right, 0, -height % down))
    cells = padded.view(outputs, inputs, -(-height // down), down, -(-width // right), right)
    return cells.permute(0, 1, 3, 5, 2, 4).flatten(1, 3)


def patches_per_input(operator: SynapseMap) -> int:
    """Return in how many outputs' patches one input lies at most: (k/s rounded up)², dense 1."""
    if operator.stride is None:
        return 1
    return math.prod(
        -(-size // step)
        for size, step in zip(operator.weight.shape[2:], operator.stride, strict=True)
    )

"""What ADMM asks of a layer's synapses: their adjoint, their inverse, and sums over their inputs.

Axes: `T` time step, `B` recording, `I` image (T·B), `O` output channel or neuron, `F` fan-in of an
output with 1 last where the layer has a bias, `R` place an output is computed at (1 for a dense
layer, H·W of a convolution).

With X the fan-ins of all places of all images as rows, a weight step needs no more of the inputs
than XᵀX and RᵀX. Both are sums over recordings, so that parts of a batch, and ranks, add up.
"""

import math
from collections.abc import Callable, Iterator

import torch
from torch import Tensor
from torch.nn import functional

from pipeline.config import ConvSettings
from pipeline.model import SpikingLayer, split_steps

_WINDOW_BYTES = 1 << 25
"""Fan-ins in memory at a time: a convolution's are many times its input."""
_CG_STEPS = 2


class Synapses:
    """The synapses of one layer over inputs of `input_shape`, without a gradient.

    `back_solved` is (WᵀW + γ·m·1)⁻¹Wᵀ, m the mean of the diagonal of WᵀW.
    """

    def __init__(self, layer: SpikingLayer, input_shape: tuple[int, ...]) -> None:
        self.layer, self.input_shape = layer, input_shape

    @property
    def matrix_OF(self) -> Tensor:
        """The weights, and the bias in the last column where there is one."""
        weight = self.layer.weight.detach().flatten(1)
        bias = self.layer.bias
        return weight if bias is None else torch.cat([weight, bias.detach()[:, None]], 1)

    def assign(self, matrix_OF: Tensor) -> None:
        """Take the weights, and the bias, from a matrix as `matrix_OF` returns it."""
        layer, columns = self.layer, self.layer.weight[0].numel()
        with torch.no_grad():
            layer.weight.copy_(matrix_OF[:, :columns].reshape(layer.weight.shape))
            if layer.bias is not None:
                layer.bias.copy_(matrix_OF[:, columns])

    def drive(self, spikes: Tensor) -> Tensor:
        """Return W x + b of every step, `(T, B, O…)`."""
        return split_steps(self.layer.drive(spikes.flatten(0, 1)), len(spikes))

    def gram(self, spikes: Tensor) -> Tensor:
        """Return XᵀX, `(F, F)` in float64."""
        products = (rows_XF.T @ rows_XF for rows_XF in self._rows(spikes))
        total = next(products).double()
        for product_FF in products:
            total += product_FF
        return total

    def cross(self, residual: Tensor, spikes: Tensor) -> Tensor:
        """Return RᵀX of residuals of the drive, `(O, F)` in float64.

        Of a convolution it is the correlation of inputs with residuals; its kernel makes no X.
        """
        images, wanted = spikes.flatten(0, 1), residual.flatten(0, 1)
        if isinstance(self.layer.settings, ConvSettings):
            found = self._correlation(wanted, images).flatten(1)
        else:
            found = wanted.T @ images.flatten(1)
        if self.layer.bias is not None:
            summed = wanted.sum((0, *range(2, wanted.dim())))
            found = torch.cat([found, summed[:, None]], 1)
        return found.double()

    def places(self, residual: Tensor) -> int:
        """Return how many rows X has for these residuals."""
        return residual.numel() // len(self.layer.weight)

    def back_solved(self, residual: Tensor, damping: float) -> Tensor:
        """Return what the inputs should change by for the drive to change by `residual`.

        `(T, B, …)` of the input's shape. Exact for a dense layer; a convolution takes a few steps
        of conjugate gradients, which damping keeps well conditioned.
        """
        if isinstance(self.layer.settings, ConvSettings):
            found = self._conv_back_solved(residual.flatten(0, 1), damping)
        else:
            found = dense_back_solved(self.layer.weight.detach(), residual.flatten(0, 1), damping)
        return split_steps(found.reshape(-1, *self.input_shape), len(residual))

    @property
    def _columns(self) -> int:
        return self.layer.weight[0].numel() + (self.layer.bias is not None)

    def _rows(self, spikes: Tensor) -> Iterator[Tensor]:
        """Yield X, a bounded part at a time."""
        images = spikes.flatten(0, 1)
        size = self._images_at_once(images)
        for start in range(0, len(images), size):
            rows_XF = self._fan_ins(images[start : start + size])
            if self.layer.bias is not None:
                rows_XF = torch.cat([rows_XF, rows_XF.new_ones(len(rows_XF), 1)], 1)
            yield rows_XF

    def _images_at_once(self, images: Tensor) -> int:
        settings, item = self.layer.settings, images.element_size()
        if not isinstance(settings, ConvSettings):
            return max(1, _WINDOW_BYTES // (self._columns * item))
        around = 2 * settings.padding - settings.kernel
        height, width = ((size + around) // settings.stride + 1 for size in images.shape[2:])
        places = height * width
        return max(1, _WINDOW_BYTES // (places * self._columns * item))

    def _fan_ins(self, images: Tensor) -> Tensor:
        """Return the fan-in of every output place, `(I·R, F)`, in the weight's order."""
        settings = self.layer.settings
        if not isinstance(settings, ConvSettings):
            return images.flatten(1)
        if settings.padding:
            images = functional.pad(images, [settings.padding] * 4)
        windows = images.unfold(2, settings.kernel, settings.stride)
        windows = windows.unfold(3, settings.kernel, settings.stride)
        return windows.permute(0, 2, 3, 1, 4, 5).reshape(-1, self.layer.weight[0].numel())

    def _conv_back_solved(self, residual: Tensor, damping: float) -> Tensor:
        """Return (WᵀW + γm)⁻¹Wᵀ r = Wᵀ(WWᵀ + γm)⁻¹ r, solved on the smaller side."""
        weight = self.layer.weight.detach()
        inputs, outputs = math.prod(self.input_shape), residual[0].numel()
        # Every output sees its whole kernel, but for those at a padded edge.
        shift = float(damping * weight.square().sum() * residual[0, 0].numel() / inputs)
        if outputs <= inputs:
            return self._adjoint(
                _conjugate_gradients(
                    lambda p: self._linear(self._adjoint(p)).add_(p, alpha=shift), residual
                )
            )
        asked = self._adjoint(residual)
        return _conjugate_gradients(
            lambda p: self._adjoint(self._linear(p)).add_(p, alpha=shift), asked
        )

    def _linear(self, images: Tensor) -> Tensor:
        settings = self.layer.settings
        assert isinstance(settings, ConvSettings)
        weight = self.layer.weight.detach()
        return functional.conv2d(images, weight, None, settings.stride, settings.padding)

    def _correlation(self, residual: Tensor, images: Tensor) -> Tensor:
        """Return Σ r x over places and images for every weight, in the weight's shape.

        The sum is what convolution's gradient by the weights is made of; torch has the kernel under
        that name alone. No graph is recorded or gone through.
        """
        settings = self.layer.settings
        assert isinstance(settings, ConvSettings)
        weight, one = self.layer.weight.detach(), [1, 1]
        stride, padding = [settings.stride] * 2, [settings.padding] * 2
        wanted = False, True, False  # of the sums for inputs, weights and biases
        found: Tensor = torch.ops.aten.convolution_backward(
            residual, images, weight, None, stride, padding, one, False, [0, 0], 1, wanted
        )[1]
        return found

    def _adjoint(self, residual: Tensor) -> Tensor:
        settings = self.layer.settings
        assert isinstance(settings, ConvSettings)
        left = [
            size + 2 * settings.padding - settings.kernel - (out - 1) * settings.stride
            for size, out in zip(self.input_shape[1:], residual.shape[2:], strict=True)
        ]
        weight = self.layer.weight.detach()
        stride, padding = settings.stride, settings.padding
        return functional.conv_transpose2d(residual, weight, None, stride, padding, tuple(left))


def dense_back_solved(weight_OF: Tensor, residual_IO: Tensor, damping: float) -> Tensor:
    """Return (WᵀW + γ·m·1)⁻¹Wᵀ r of every row, `(I, F)`.

    Solved on the smaller side: Wᵀ(WWᵀ + γ·m·1)⁻¹ is the same.
    """
    weight = weight_OF.double()
    shift = damping * weight.square().sum() / weight.shape[1]
    wide = weight.shape[0] < weight.shape[1]
    gram = weight @ weight.T if wide else weight.T @ weight
    # Over a silent layer a fitted readout is all zero, and asks for nothing.
    gram.diagonal().add_(shift if bool(shift) else 1.0)
    factor = torch.linalg.cholesky(gram)
    inverse_OF = (
        torch.cholesky_solve(weight, factor) if wide else torch.cholesky_solve(weight.T, factor).T
    )
    return residual_IO @ inverse_OF.to(residual_IO.dtype)


def _conjugate_gradients(product: Callable[[Tensor], Tensor], right: Tensor) -> Tensor:
    """Return a few steps' way to the x with `product`(x) = `right`, image by image (Saad 2003)."""
    x, r, p = torch.zeros_like(right), right.clone(), right.clone()
    size, tiny = _squared(r), torch.finfo(r.dtype).tiny
    for _ in range(_CG_STEPS):
        q = product(p)
        along = size / (_inner(p, q) + tiny)
        x.addcmul_(along, p)
        r.addcmul_(along, q, value=-1)
        last, size = size, _squared(r)
        p.mul_(size / (last + tiny)).add_(r)
    return x


def _inner(one: Tensor, other: Tensor) -> Tensor:
    return (one * other).sum((1, 2, 3), keepdim=True)


def _squared(values: Tensor) -> Tensor:
    return _inner(values, values)

"""Synapses of the contract: weights and biases, and the shape of what they sum.

Axes: `C` channel, `H` height, `W` width, `O` output, `I` input of a weight.
"""

import math
from dataclasses import dataclass
from typing import Any

from numpy.typing import NDArray

from export.errors import HardspikeError

Array = NDArray[Any]
Shape = tuple[int, ...]


@dataclass(frozen=True, eq=False)
class Dense:
    """Every input to every neuron: `weight_OI`, and `bias_O` or None."""

    weight_OI: Array
    bias_O: Array | None = None

    @property
    def weight(self) -> Array:
        """The weights, output first."""
        return self.weight_OI

    def output_shape(self, input_shape: Shape) -> Shape:
        """Return `(O,)`.

        Raises:
            HardspikeError: the inputs do not number I.
        """
        found, expected = math.prod(input_shape), self.weight_OI.shape[1]
        if found != expected:
            raise HardspikeError(f"dense weight: takes {expected} inputs, found {found}")
        return (self.weight_OI.shape[0],)


@dataclass(frozen=True, eq=False)
class Conv:
    """A two-dimensional cross-correlation, as `torch.nn.functional.conv2d` has it.

    `weight_OIHW`, `bias_O` (one a channel) or None; `stride`, `padding` and `dilation` are (H, W).
    Of `groups`, each has an equal share of the input's and of the output's channels; I of the
    weight is the share of one.
    """

    weight_OIHW: Array
    bias_O: Array | None = None
    stride: tuple[int, int] = (1, 1)
    padding: tuple[int, int] = (0, 0)
    dilation: tuple[int, int] = (1, 1)
    groups: int = 1

    @property
    def weight(self) -> Array:
        """The weights, output first."""
        return self.weight_OIHW

    def output_shape(self, input_shape: Shape) -> Shape:
        """Return (C, H, W) after the convolution: (size + 2·padding − reach) // stride + 1.

        A kernel reaches over dilation·(kernel − 1) + 1.

        Raises:
            HardspikeError: the input is not (C, H, W), has other channels, or is too small; the
                groups do not divide the output's channels.
        """
        outputs, share = self.weight_OIHW.shape[:2]
        if self.groups < 1 or outputs % self.groups:
            raise HardspikeError(
                f"conv groups: found {self.groups}, allowed a divisor of {outputs} output channels"
            )
        channels = share * self.groups
        kernel = tuple(
            gap * (taps - 1) + 1
            for gap, taps in zip(self.dilation, self.weight_OIHW.shape[2:], strict=True)
        )
        if len(input_shape) != 3 or input_shape[0] != channels:
            raise HardspikeError(
                f"conv weight: takes ({channels}, H, W), found an input of {input_shape}"
            )
        size = tuple(
            (input_shape[1 + axis] + 2 * self.padding[axis] - kernel[axis]) // self.stride[axis] + 1
            for axis in (0, 1)
        )
        if min(size) < 1:
            raise HardspikeError(
                f"conv kernel: {kernel[0]}×{kernel[1]} does not fit an input of "
                f"{input_shape[1]}×{input_shape[2]} with padding {self.padding}"
            )
        return (self.weight_OIHW.shape[0], *size)


Synapse = Dense | Conv

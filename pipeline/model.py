"""The network that is trained: the contract's layers with torch parameters.

Axes: `T` time step, `B` batch, `C` channel, `H` height, `W` width, `N` neuron.

The synapses of all T steps run as one product over T·B images; the time loop holds only the neuron
(`pipeline.neuron`). Convolutions are kept in channels-last memory, which their CPU kernels and the
elementwise neuron both like.
"""

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from export.errors import HardspikeError
from export.network import LIF, Conv, Dense, HardSpikeNetwork, Layer, Readout
from pipeline.config import ConvSettings, DenseSettings, NetworkSettings
from pipeline.neuron import Activation, integrate, lif
from pipeline.weight_grid import Grid, best_grid, rounded


class SpikingLayer(nn.Module):
    """Synapses (weight, perhaps bias) and LIF constants of one layer."""

    def __init__(
        self, settings: ConvSettings | DenseSettings, fan_in: int, defaults: NetworkSettings
    ) -> None:
        super().__init__()
        self.settings = settings
        self.decay = settings.tau if settings.tau is not None else defaults.tau
        own = settings.threshold
        self.threshold = own if own is not None else defaults.threshold
        if isinstance(settings, ConvSettings):
            shape: tuple[int, ...] = (settings.channels, fan_in, settings.kernel, settings.kernel)
        else:
            shape = (settings.units, fan_in)
        self.weight = nn.Parameter(torch.empty(shape))
        self.bias = nn.Parameter(torch.zeros(shape[0])) if settings.bias else None
        self.grid: Grid | None = None
        self.noise: Tensor | None = None
        self.mask: Tensor | None = None

    def reset_parameters(self, gain: float, generator: torch.Generator) -> None:
        """Draw weights uniformly from ±gain/√fan-in; biases start at zero."""
        bound = gain / math.sqrt(self.weight[0].numel())
        with torch.no_grad():
            self.weight.uniform_(-bound, bound, generator=generator)

    def weight_in_use(self) -> Tensor:
        """Return the weight as the forward pass has it: on its grid, with its noise, pruned."""
        weight = self.weight if self.grid is None else rounded(self.weight, self.grid)
        weight = weight if self.noise is None else weight + self.noise
        return weight if self.mask is None else weight * self.mask

    def drive(self, x: Tensor) -> Tensor:
        """Return W x + b of T·B inputs at once."""
        weight = self.weight_in_use()
        if isinstance(self.settings, ConvSettings):
            weight = weight.contiguous(memory_format=torch.channels_last)
            return functional.conv2d(
                x, weight, self.bias, self.settings.stride, self.settings.padding
            )
        return functional.linear(x.flatten(1), weight, self.bias)

    def contract(self, name: str, fires: bool) -> Layer[LIF]:
        """Return this layer as the contract has it."""
        weight = self.weight.detach().cpu().contiguous().numpy().copy()
        bias = None if self.bias is None else self.bias.detach().cpu().numpy().copy()
        neuron = LIF(self.decay, self.threshold if fires else math.inf)
        if isinstance(self.settings, ConvSettings):
            stride, padding = self.settings.stride, self.settings.padding
            return Layer(name, Conv(weight, bias, (stride, stride), (padding, padding)), neuron)
        return Layer(name, Dense(weight, bias), neuron)


class SpikingNetwork(nn.Module):
    """A stack of `SpikingLayer` over spikes of `input_shape` (C, H, W).

    Raises:
        HardspikeError: a layer does not fit the one before, or the last has not one unit a class.
    """

    def __init__(
        self, settings: NetworkSettings, input_shape: tuple[int, int, int], classes: Sequence[str]
    ) -> None:
        super().__init__()
        self.settings, self.input_shape = settings, input_shape
        self.classes = tuple(classes)
        self.layers = nn.ModuleList()
        shape: tuple[int, ...] = input_shape
        for index, layer in enumerate(settings.layers):
            fan_in = shape[0] if isinstance(layer, ConvSettings) else math.prod(shape)
            module = SpikingLayer(layer, fan_in, settings)
            self.layers.append(module)
            try:
                shape = module.contract("", True).synapse.output_shape(shape)
            except HardspikeError as error:
                raise HardspikeError(f"network.layers.{index}: {error}") from error
        if shape != (len(self.classes),):
            raise HardspikeError(
                f"network.layers.{len(self.layers) - 1}.units: found {shape[0]}, "
                f"allowed {len(self.classes)}, one a class of the data"
            )

    @property
    def readout(self) -> Readout:
        """How the last layer is read."""
        return self.settings.readout

    def reset_parameters(self, seed: int) -> None:
        """Draw all weights from `seed`."""
        generator = torch.Generator().manual_seed(seed)
        for layer in self._layers():
            layer.reset_parameters(self.settings.weight_gain, generator)

    def prune(self, share: float) -> None:
        """Set `share` of every layer's weights, the smallest, to zero and keep them out of use.

        Their choice depends on the weights alone, so a training that goes on needs no record of it.
        """
        for layer in self._layers():
            size = layer.weight.detach().abs().flatten()
            mask = torch.ones_like(size)
            mask[size.argsort(stable=True)[: round(share * len(size))]] = 0
            layer.mask = mask.view_as(layer.weight) if share else None
            with torch.no_grad():
                layer.weight.mul_(mask.view_as(layer.weight))

    def use_grid(self, bits: int | None) -> None:
        """Round the weights of the forward pass to `bits` bits from now on; None ends that."""
        for layer in self._layers():
            layer.grid = None
            if bits is not None:
                layer.grid = best_grid(layer.weight, bits)

    def use_noise(self, share: float, generator: torch.Generator) -> None:
        """Draw anew the noise on the weights, of `share` times each layer's root mean square."""
        for layer in self._layers():
            layer.noise = None
            if share:
                size = share * layer.weight.detach().square().mean().sqrt()
                normal = torch.randn(layer.weight.shape, generator=generator)
                layer.noise = size * normal.to(layer.weight)

    def weights(self) -> dict[str, Tensor]:
        """Return a copy of all parameters, the weights as the forward pass has them."""
        tensors = {key: value.detach().clone() for key, value in self.state_dict().items()}
        for index, layer in enumerate(self._layers()):
            tensors[f"layers.{index}.weight"] = layer.weight_in_use().detach().clone()
        return tensors

    def forward(self, spikes_TBCHW: Tensor, activation: Activation) -> Tensor:
        """Return the evidence for each class, `(B, classes)`.

        `count`: the last layer's spikes summed over the steps. `membrane`: the last layer's
        membrane after the last step.
        """
        x, steps = spikes_TBCHW, len(spikes_TBCHW)
        for index, layer in enumerate(self._layers()):
            drive = split_steps(layer.drive(x.flatten(0, 1)), steps)
            if index == len(self.layers) - 1 and self.readout == "membrane":
                return integrate(drive, layer.decay)[-1]
            x = lif(drive, layer.decay, layer.threshold, activation)
        return x.sum(0)

    def contract(self, steps: int, dt: float, input_max: int = 1) -> HardSpikeNetwork:
        """Return the hard float network: the same weights behind a hard threshold."""
        last = len(self.layers) - 1
        layers = tuple(
            layer.contract(_name(index, layer), index < last or self.readout == "count")
            for index, layer in enumerate(self._layers())
        )
        return HardSpikeNetwork(
            self.input_shape, layers, self.readout, steps, dt, self.classes, input_max
        )

    def _layers(self) -> list[SpikingLayer]:
        return [layer for layer in self.layers if isinstance(layer, SpikingLayer)]


def _name(index: int, layer: SpikingLayer) -> str:
    return f"{layer.settings.type}{index + 1}"


def to_time_first(spikes_BTCHW: NDArray[Any] | Tensor, device: torch.device) -> Tensor:
    """Return spikes as float32 `(T, B, C, H, W)` with channels last in memory."""
    spikes = torch.as_tensor(np.ascontiguousarray(spikes_BTCHW)).to(device)
    images = spikes.transpose(0, 1).flatten(0, 1).to(torch.float32)
    return split_steps(images.contiguous(memory_format=torch.channels_last), spikes.shape[1])


def split_steps(images: Tensor, steps: int) -> Tensor:
    """Return `(T·B, …)` as `(T, B, …)` without moving it in memory."""
    return images.view(steps, len(images) // steps, *images.shape[1:])


def predict(
    network: SpikingNetwork,
    spikes_BTCHW: NDArray[np.uint8],
    activation: Activation,
    batch_size: int = 250,
) -> NDArray[np.int64]:
    """Return the predicted class of each recording, `(B,)`; ties go to the lower index."""
    device = next(network.parameters()).device
    classes = []
    with torch.inference_mode():
        for start in range(0, len(spikes_BTCHW), batch_size):
            batch = to_time_first(spikes_BTCHW[start : start + batch_size], device)
            evidence = network(batch, activation).cpu().numpy()
            classes.append(evidence.argmax(axis=1))
    return np.concatenate(classes) if classes else np.zeros(0, np.int64)

"""Random small networks and inputs for the property tests.

Axes: `T` time step, `B` recording, `C` channel, `H` height, `W` width.
"""

from dataclasses import dataclass
from typing import Any

import hypothesis.strategies as st
import torch
from torch import Tensor

from pipeline.config import NetworkSettings
from pipeline.model import SpikingNetwork
from pipeline.neuron import Activation
from pipeline.surrogate import SurrogateName
from pipeline.theory.states import TheoryLayer, theory_layers

SURROGATES: tuple[SurrogateName, ...] = ("sigmoid", "arctangent", "fast_sigmoid")
CLASSES = ("a", "b", "c")


@dataclass(frozen=True, eq=False)
class Case:
    """A network, inputs `(T, B, C, H, W)` between `low` and `high`, and a source of randomness."""

    network: SpikingNetwork
    activation: Activation
    inputs: Tensor
    low: float
    high: float
    seed: int

    @property
    def steps(self) -> int:
        """T."""
        return len(self.inputs)

    @property
    def layers(self) -> tuple[TheoryLayer, ...]:
        """The layers as the theory sees them."""
        return theory_layers(self.network.contract(self.steps, 0.01, 255), self.activation)

    def generator(self) -> torch.Generator:
        """A generator of this case's seed."""
        return torch.Generator().manual_seed(self.seed)


def build(
    layers: list[dict[str, Any]],
    shape: tuple[int, int, int] = (1, 4, 4),
    readout: str = "count",
    tau: float = 0.9,
    threshold: float = 1.0,
    gain: float = 3.0,
    seed: int = 0,
) -> SpikingNetwork:
    """Return a float64 network with random weights and biases; its last layer has three units."""
    described = [*layers, {"type": "dense", "units": len(CLASSES), "bias": True}]
    settings = NetworkSettings.model_validate(
        {
            "layers": tuple(described),
            "readout": readout,
            "tau": tau,
            "threshold": threshold,
            "weight_gain": gain,
        }
    )
    network = SpikingNetwork(settings, shape, CLASSES)
    network.reset_parameters(seed)
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in network.parameters():
            if parameter.ndim == 1:
                parameter.uniform_(-0.5, 0.5, generator=generator)
    return network.double()


@st.composite
def conv_layers(draw: st.DrawFn, height: int, width: int) -> dict[str, Any]:
    """A convolution that fits an input of height × width."""
    padding = draw(st.integers(0, 2))
    return {
        "type": "conv",
        "channels": draw(st.integers(1, 3)),
        "kernel": draw(st.integers(1, min(4, min(height, width) + 2 * padding))),
        "stride": draw(st.integers(1, 3)),
        "padding": padding,
        "bias": draw(st.booleans()),
    }


@st.composite
def cases(draw: st.DrawFn) -> Case:
    """Dense and convolutional networks, both readouts, every surrogate, binary to real inputs."""
    height, width = draw(st.integers(3, 6)), draw(st.integers(3, 6))
    shape = (draw(st.integers(1, 2)), height, width)
    layers: list[dict[str, Any]] = []
    for _ in range(draw(st.integers(0, 2))):
        layer = draw(conv_layers(height, width))
        layers.append(layer)
        height, width = (
            (size + 2 * layer["padding"] - layer["kernel"]) // layer["stride"] + 1
            for size in (height, width)
        )
    if draw(st.booleans()):
        layers.append({"type": "dense", "units": draw(st.integers(1, 5)), "bias": True})
    seed = draw(st.integers(0, 2**31))
    network = build(
        layers,
        shape,
        draw(st.sampled_from(["count", "membrane"])),
        draw(st.sampled_from([0.2, 0.5, 0.9, 1.0])),
        draw(st.floats(0.2, 2.0)),
        draw(st.floats(0.3, 8.0)),
        seed,
    )
    activation = Activation(draw(st.sampled_from(SURROGATES)), draw(st.floats(0.5, 12.0)), "smooth")
    low, high = draw(st.sampled_from([(0.0, 1.0), (0.0, 5.0), (-1.5, 2.0)]))
    size = (draw(st.integers(1, 8)), draw(st.integers(1, 3)), *shape)
    raw = torch.rand(size, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    spread = low + (high - low) * raw
    inputs = spread if low < 0 else spread.round()
    return Case(network, activation, inputs, low, high, seed)

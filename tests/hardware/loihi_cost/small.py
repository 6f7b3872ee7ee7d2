"""Small networks of binary spikes for the cost model, drawn from a seed."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from export.network import Conv, Dense, FixedPointNetwork, Layer, LoihiLIF, Shape, Synapse

Spikes = NDArray[np.uint8]


def even(random: np.random.Generator, share: float, *shape: int) -> Any:
    """Even weights, about `share` of them not zero."""
    return 2 * random.integers(-30, 41, shape) * (random.random(shape) < share)


def network(seed: int, share: float = 0.7, bias: bool = True) -> FixedPointNetwork:
    """Return input → conv (padded) → conv (stride 2) → dense; the first and last with a bias."""
    random = np.random.default_rng(seed)
    size = (2, int(random.integers(3, 8)), int(random.integers(3, 8)))
    shape: Shape = size
    synapses: list[Synapse] = [
        Conv(even(random, share, 4, 2, 3, 3), _bias(random, 4, bias), (1, 1), (1, 1)),
        Conv(even(random, share, 3, 4, 3, 3), None, (2, 2)),
    ]
    for synapse in synapses:
        shape = synapse.output_shape(shape)
    synapses.append(Dense(even(random, share, 5, int(np.prod(shape))), _bias(random, 5, bias)))
    layers = tuple(
        Layer(f"layer{at}", synapse, LoihiLIF(int(random.integers(0, 1000)), 60))
        for at, synapse in enumerate(synapses)
    )
    return FixedPointNetwork(size, layers, "count", steps=6, dt=0.01)


def _bias(random: np.random.Generator, outputs: int, wanted: bool) -> Any:
    return random.integers(-5, 25, outputs) if wanted else None


def recordings(net: FixedPointNetwork, count: int, seed: int = 1) -> Spikes:
    """Return spikes `(B, T, C, H, W)`, a third of them set; the last recording is silent."""
    random = np.random.default_rng(seed)
    spikes = (random.random((count, net.steps, *net.input_shape)) < 0.3).astype(np.uint8)
    spikes[-1] = 0
    return spikes

"""What is too large to be put on cores is said so, and nothing is counted."""

import numpy as np
import pytest

from export.imported.checking import GRAPH
from export.network import Conv, Dense, FixedPointNetwork, Layer, LoihiLIF
from pipeline.imported.cores import cores_of

TOO_LARGE = {
    "524,288 neurons": (Layer("a", Conv(np.full((2, 1, 1, 1), 2)), LoihiLIF(0, 1)), (1, 512, 512)),
    "4,194,304 synapses": (
        Layer("a", Dense(np.zeros((1449, 1449))), LoihiLIF(0, 1), recurrent=Dense(np.eye(1449))),
        (1, 1, 1449),
    ),
}


@pytest.mark.parametrize("limit", TOO_LARGE)
def test_a_network_that_would_take_too_long_is_not_mapped(limit: str) -> None:
    layer, shape = TOO_LARGE[limit]
    cores = cores_of(FixedPointNetwork(shape, (layer,), "count", steps=1, dt=1.0))
    assert cores.remarks == {GRAPH: f"one Loihi 1: not mapped, more than {limit}"}
    assert not cores.splits
    assert not cores.shares


def test_a_neuron_that_no_core_holds_is_named() -> None:
    layer = Layer("wide", Dense(np.full((2, 4097), 2)), LoihiLIF(0, 1))
    cores = cores_of(FixedPointNetwork((1, 1, 4097), (layer,), "count", steps=1, dt=1.0))
    expected = "one Loihi 1: layer wide: neuron 0 alone needs 4,097 input axons, a core has 4,096"
    assert cores.remarks == {GRAPH: expected}

"""The trained network and the contract say the same thing."""

import dataclasses
import json
from typing import Any

import numpy as np
import pytest
import torch

from export.errors import HardspikeError
from export.network import Conv, HardSpikeNetwork, Layer, decide
from hardware.reference import run_float
from pipeline.config import NetworkSettings
from pipeline.model import SpikingNetwork, predict, to_time_first
from pipeline.neuron import Activation

HARD = Activation("sigmoid", 4.0, "hard")
CLASSES = ("a", "b", "c", "d")


def settings(readout: str = "count", **conv: Any) -> NetworkSettings:
    layers = [
        {"type": "conv", "channels": 5, "kernel": 3, "stride": 2, "padding": 1, **conv},
        {"type": "conv", "channels": 4, "kernel": 2, "bias": True, "tau": 0.75},
        {"type": "dense", "units": 9, "threshold": 0.6},
        {"type": "dense", "units": 4, "bias": True},
    ]
    return NetworkSettings.model_validate_json(
        json.dumps({"layers": layers, "readout": readout, "weight_gain": 4.0})
    )


def network(readout: str = "count", seed: int = 0) -> SpikingNetwork:
    model = SpikingNetwork(settings(readout), (2, 9, 7), CLASSES)
    model.reset_parameters(seed)
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim == 1:
                parameter.uniform_(-0.3, 0.3, generator=torch.Generator().manual_seed(seed))
    return model


def spikes(batch: int = 6, steps: int = 8) -> np.ndarray[Any, np.dtype[np.uint8]]:
    generator = np.random.default_rng(0)
    return (generator.random((batch, steps, 2, 9, 7)) < 0.4).astype(np.uint8)


def doubled(contract: HardSpikeNetwork) -> HardSpikeNetwork:
    """The same network in float64, where the order of summation hardly matters."""
    layers = []
    for layer in contract.layers:
        bias = None if layer.synapse.bias_O is None else layer.synapse.bias_O.astype(np.float64)
        name = "weight_OIHW" if isinstance(layer.synapse, Conv) else "weight_OI"
        wide: dict[str, Any] = {name: layer.synapse.weight.astype(np.float64), "bias_O": bias}
        copied = dataclasses.replace(layer.synapse, **wide)
        layers.append(Layer(layer.name, copied, layer.neuron))
    return HardSpikeNetwork(
        contract.input_shape, tuple(layers), contract.readout, contract.steps, contract.dt
    )


@pytest.mark.parametrize("readout", ["count", "membrane"])
def test_the_hard_forward_is_the_contract_run_by_the_reference(readout: str) -> None:
    model, inputs = network(readout), spikes()
    trace = run_float(doubled(model.contract(8, 0.01)), inputs)
    evidence = model.double()(to_time_first(inputs, torch.device("cpu")).double(), HARD)
    if readout == "count":
        np.testing.assert_array_equal(evidence.detach().numpy(), trace.last.sum(axis=1))
        assert trace.last.any()
    else:
        np.testing.assert_allclose(evidence.detach().numpy(), trace.membranes_BTN[:, -1])
    for layer, grid in trace.spikes_BTN.items():
        if layer != "dense4":
            assert 0.005 < grid.mean() < 0.9, layer


def test_predict_breaks_ties_towards_the_lower_class() -> None:
    model = network()
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.zero_()
    assert predict(model, spikes(), HARD).tolist() == [0] * 6
    assert decide(np.zeros((2, 3, 4)), "count").tolist() == [0, 0]


def test_the_same_seed_gives_the_same_weights_and_another_seed_others() -> None:
    one, again, other = (network(seed=seed).state_dict() for seed in (3, 3, 4))
    assert all(torch.equal(one[key], again[key]) for key in one)
    assert not torch.equal(one["layers.0.weight"], other["layers.0.weight"])


def test_a_network_without_a_unit_a_class_is_refused_by_name() -> None:
    with pytest.raises(HardspikeError, match=r"network.layers.3.units: found 4, allowed 3"):
        SpikingNetwork(settings(), (2, 9, 7), CLASSES[:3])


def test_a_kernel_larger_than_its_input_is_refused_by_name() -> None:
    with pytest.raises(HardspikeError, match=r"network.layers.0: conv kernel: 12×12"):
        SpikingNetwork(settings(kernel=12, padding=0), (2, 9, 7), CLASSES)

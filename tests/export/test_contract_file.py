"""Networks in safetensors: round trips, same bytes, damage in one line."""

import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings

from export.contract_file import read_fixed_network, read_float_network, write_network
from export.errors import HardspikeError
from export.network import Conv, Dense, FixedPointNetwork
from hardware.reference import run_float
from tests.conformance.feature_networks import feature_case
from tests.conformance.random_networks import networks
from tests.export.networks import fixed_network, float_feature_case, float_network


@given(networks())
@settings(max_examples=40, deadline=None, derandomize=True)
def test_random_networks_come_back(
    tmp_path_factory: pytest.TempPathFactory, network: FixedPointNetwork
) -> None:
    path = tmp_path_factory.mktemp("contract") / "fixed.safetensors"
    write_network(network, path)
    found = read_fixed_network(path)
    for field in ("input_shape", "shapes", "readout", "steps", "dt", "classes", "input_max"):
        assert getattr(found, field) == getattr(network, field), field
    for ours, theirs in zip(network.layers, found.layers, strict=True):
        assert (ours.name, ours.neuron, ours.scale) == (theirs.name, theirs.neuron, theirs.scale)
        np.testing.assert_array_equal(theirs.synapse.weight, ours.synapse.weight)


def test_delays_recurrence_and_decays_come_back(tmp_path: Path) -> None:
    for seed in range(30):
        network, _ = feature_case(seed)
        write_network(network, tmp_path / "fixed.safetensors")
        found = read_fixed_network(tmp_path / "fixed.safetensors")
        for ours, theirs in zip(network.layers, found.layers, strict=True):
            assert (theirs.neuron, theirs.features) == (ours.neuron, ours.features)
            for field in ("delay_N", "dendrite_delay_N", "current_decay_O", "membrane_decay_O"):
                np.testing.assert_array_equal(getattr(theirs, field), getattr(ours, field))
            if ours.recurrent is not None and theirs.recurrent is not None:
                np.testing.assert_array_equal(theirs.recurrent.weight, ours.recurrent.weight)
            if isinstance(ours.synapse, Conv) and isinstance(theirs.synapse, Conv):
                assert theirs.synapse.dilation == ours.synapse.dilation
                assert theirs.synapse.groups == ours.synapse.groups


def test_float_networks_come_back(tmp_path: Path) -> None:
    for seed in range(30):
        network, spikes = float_feature_case(seed)
        write_network(network, tmp_path / "float.safetensors")
        found = read_float_network(tmp_path / "float.safetensors")
        for ours, theirs in zip(network.layers, found.layers, strict=True):
            assert (theirs.neuron, theirs.features) == (ours.neuron, ours.features)
        np.testing.assert_array_equal(
            run_float(found, spikes).last, run_float(network, spikes).last
        )


def test_an_infinite_threshold_comes_back(tmp_path: Path) -> None:
    network = float_network("membrane")
    write_network(network, tmp_path / "float.safetensors")
    found = read_float_network(tmp_path / "float.safetensors")
    assert [layer.neuron for layer in found.layers] == [layer.neuron for layer in network.layers]


@pytest.mark.parametrize("fixed", [False, True])
def test_all_that_a_layer_may_have_comes_back(fixed: bool, tmp_path: Path) -> None:
    """Delays, ways back, decays of each channel, groups, dilation, reset and current."""
    whole: Any = fixed_network() if fixed else float_network()
    neuron: Any = whole.layers[0].neuron
    arrays: dict[str, Any] = {"delay_N": np.arange(6), "recurrent": Dense(np.eye(6))}
    if fixed:
        arrays["dendrite_delay_N"] = np.arange(6)[::-1].copy()
        arrays["membrane_decay_O"] = np.arange(6) + whole.layers[1].neuron.membrane_decay
        arrays["recurrent"] = Dense(np.eye(6, dtype=np.int32))
    reset = {"reset": "subtract"} | ({} if fixed else {"current_decay": 0.25})
    conv = Conv(np.ones((4, 1, 2, 2), np.int32), None, (2, 1), (1, 0), (2, 2), 2)
    inputs = math.prod(conv.output_shape(whole.input_shape))
    layers: Any = (
        replace(whole.layers[0], synapse=conv, neuron=replace(neuron, **reset)),
        replace(whole.layers[1], synapse=Dense(np.ones((6, inputs), np.int32)), **arrays),
        whole.layers[2],
    )
    network: Any = replace(whole, layers=layers)
    write_network(network, tmp_path / "whole.safetensors")
    read: Any = read_fixed_network if fixed else read_float_network
    first, second, _ = read(tmp_path / "whole.safetensors").layers
    assert first.neuron == layers[0].neuron
    assert (first.synapse.dilation, first.synapse.groups) == ((2, 2), 2)
    np.testing.assert_array_equal(second.recurrent.weight_OI, np.eye(6))
    for field in ("delay_N", "dendrite_delay_N", "current_decay_O", "membrane_decay_O"):
        np.testing.assert_array_equal(getattr(second, field), getattr(layers[1], field))


def test_the_same_network_gives_the_same_bytes(tmp_path: Path) -> None:
    for name in ("first", "second"):
        write_network(fixed_network(), tmp_path / name)
    assert (tmp_path / "first").read_bytes() == (tmp_path / "second").read_bytes()


def test_another_kind_is_refused(tmp_path: Path) -> None:
    write_network(fixed_network(), tmp_path / "fixed.safetensors")
    with pytest.raises(HardspikeError, match="of kind fixed, allowed"):
        read_float_network(tmp_path / "fixed.safetensors")


@pytest.mark.parametrize("share", [0.0, 0.01, 0.5, 0.99])
def test_a_truncated_file_ends_in_one_line(share: float, tmp_path: Path) -> None:
    path = tmp_path / "fixed.safetensors"
    write_network(fixed_network(), path)
    data = path.read_bytes()
    path.write_bytes(data[: int(len(data) * share)])
    with pytest.raises(HardspikeError) as caught:
        read_fixed_network(path)
    assert str(caught.value).startswith(f"{path}: ")
    assert len(str(caught.value).splitlines()) == 1


@pytest.mark.parametrize("key", ["layers", "dt", "steps", "readout"])
def test_a_header_without_a_field_ends_in_one_line(key: str, tmp_path: Path) -> None:
    path = tmp_path / "fixed.safetensors"
    write_network(fixed_network(), path)
    path.write_bytes(path.read_bytes().replace(key.encode(), b"x" * len(key)))
    with pytest.raises(HardspikeError) as caught:
        read_fixed_network(path)
    assert str(caught.value).startswith(f"{path}: ")

"""The stack's forward pass against the network that is trained and deployed.

Axes: `T` time step, `B` recording, `K` class, `F` feature of the readout.
"""

from typing import Literal

import pytest
import torch
from torch import Tensor

from export.network import Readout
from pipeline.config import ConvSettings, DenseSettings, NetworkSettings
from pipeline.model import SpikingNetwork
from pipeline.neuron import Activation
from pipeline.training.admm.stack import Stack

HARD = Activation("sigmoid", 1.0, "hard")
SHAPE = (2, 7, 6)
CLASSES = ("a", "b", "c")


def network_of(kind: Literal["conv", "dense"], readout: Readout, bias: bool) -> SpikingNetwork:
    first = (
        ConvSettings(type="conv", channels=4, kernel=3, stride=2, padding=1, bias=bias, tau=0.8),
        ConvSettings(type="conv", channels=5, kernel=2, bias=bias, threshold=0.6),
    )
    hidden = (DenseSettings(type="dense", units=9, bias=bias),)
    last = DenseSettings(type="dense", units=3, bias=bias, tau=0.7)
    layers = (*first, last) if kind == "conv" else (*hidden, *hidden, last)
    settings = NetworkSettings(layers=layers, readout=readout, threshold=0.5)
    network = SpikingNetwork(settings, SHAPE, CLASSES)
    network.reset_parameters(0)
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            if name.endswith("bias"):
                parameter.normal_(0.15, 0.2, generator=generator)
    return network


def spikes_of(seed: int, steps: int = 8, recordings: int = 6) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return (torch.rand(steps, recordings, *SHAPE, generator=generator) < 0.4).float()


@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("readout", ["membrane", "count"])
@pytest.mark.parametrize("kind", ["conv", "dense"])
def test_the_evidence_is_the_hard_networks(
    kind: Literal["conv", "dense"], readout: Readout, bias: bool
) -> None:
    network, spikes = network_of(kind, readout, bias), spikes_of(2)
    with torch.inference_mode():
        evidence = network(spikes, HARD)
        done = Stack(network, len(spikes), "hard").forward(spikes)
    assert all(float(state.spikes.sum()) for state in done.states)
    if readout == "count":
        assert torch.equal(done.evidence_BK, evidence)
        assert done.features_BF is None
    else:
        torch.testing.assert_close(done.evidence_BK, evidence, atol=1e-5, rtol=1e-5)
    network.double()
    with torch.inference_mode():
        exact = network(spikes.double(), HARD)
        done = Stack(network, len(spikes), "hard").forward(spikes.double())
    torch.testing.assert_close(done.evidence_BK, exact, atol=1e-12, rtol=1e-12)


@pytest.mark.parametrize("bias", [False, True])
def test_the_features_make_the_readout_linear_regression(bias: bool) -> None:
    """f = F Wᵀ for any weights, the bias's column of F being Σ_t δ^(T−t)."""
    network, spikes = network_of("dense", "membrane", bias).double(), spikes_of(3).double()
    stack = Stack(network, len(spikes), "hard")
    assert stack.readout is not None
    with torch.inference_mode():
        features_BF = stack.forward(spikes).features_BF
        assert features_BF is not None
        generator = torch.Generator().manual_seed(5)
        matrix_KF = torch.randn(3, 9 + bias, generator=generator, dtype=torch.float64)
        stack.readout.assign(matrix_KF)
        torch.testing.assert_close(features_BF @ matrix_KF.T, network(spikes, HARD))


def test_layers_and_constants_are_the_networks() -> None:
    network = network_of("conv", "membrane", True)
    stack = Stack(network, 8, "soft")
    assert [synapses.input_shape for synapses in stack.synapses] == [SHAPE, (4, 4, 3)]
    assert stack.readout is not None
    assert stack.readout.input_shape == (5, 3, 2)
    assert [(n.decay, n.threshold, n.reset) for n in stack.neurons] == [
        (0.8, 0.5, "soft"),
        (0.9, 0.6, "soft"),
    ]
    assert stack.weights_T.tolist() == pytest.approx([0.7**k for k in range(7, -1, -1)])
    assert stack.energy == pytest.approx(sum(0.7 ** (2 * k) for k in range(8)))


def test_a_count_readout_weighs_all_steps_alike_and_fires() -> None:
    stack = Stack(network_of("dense", "count", False), 8, "hard")
    assert len(stack.synapses) == len(stack.neurons) == 3
    assert stack.readout is None
    assert stack.weights_T.tolist() == [1.0] * 8
    assert stack.energy == 8.0


def test_a_layer_reads_the_spikes_of_the_layer_below() -> None:
    network, spikes = network_of("dense", "count", False), spikes_of(4)
    with torch.inference_mode():
        done = Stack(network, len(spikes), "hard").forward(spikes)
    assert torch.equal(done.below(0), spikes.flatten(2))
    assert done.below(2) is done.states[1].spikes


def test_soft_reset_is_another_network() -> None:
    network, spikes = network_of("dense", "count", False), spikes_of(5)
    with torch.inference_mode():
        hard = Stack(network, len(spikes), "hard").forward(spikes)
        soft = Stack(network, len(spikes), "soft").forward(spikes)
    assert not torch.equal(hard.states[0].membranes, soft.states[0].membranes)
